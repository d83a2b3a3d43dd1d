"""The question what a run will cost and keep, answered by running a sample of it: `curate estimate`.

The real steps run on sampled chunks, in a temporary folder and in this process, one shard after the other; what they
made, took and removed is then extrapolated (curation.jobs.inspect.estimate.extrapolation). A chunk is run once
beforehand, so that what only the first task of a worker pays (imports, models, compiled kernels) is told apart as its
start-up.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.archives.inputs import Input, find_inputs
from curation.jobs.inspect.estimate.sampling import InputSample, SampleRequest, take
from curation.jobs.steps.filter import FilterTask, filter_archive
from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.plan import DEFAULT_RECIPE, Plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.jobs.steps.train_tokenizer import make_tokenizer
from curation.recipes.alarms import Alarms
from curation.recipes.recipe import Recipe, load
from curation.running.cluster import Cluster
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, read_manifest
from curation.store.paths import TOKENIZER
from curation.store.shards import ShardWriter, read_table
from curation.tokenize.encoding.encode_shards import count_tokens, find_corpora

SHARDED = ("documents", "removed/filter", "signatures", "signals", "corpus", "removed/dedup")
"""Outputs with a file a shard."""

WHOLES = ("dedup", "tokenizer", "tokens")
STEPS = ("filter", "dedup", "train-tokenizer", "tokenize")

LOOK_SECONDS = 0.05
"""Between two looks at the memory."""


@dataclass
class SampleResult:
    """What the sample came to. by_chunk: values for each chunk of the frame; data: bytes of SHARDED less footers.

    abundance: texts by the number of chunks that they are in; near_copies: documents dropped for one of the same chunk
    or of an earlier run. processor, seconds, memory: by step; memory in bytes, of all processes together.
    """

    sample: InputSample
    by_chunk: dict[str, list[float]] = field(default_factory=dict)
    data: dict[str, list[float]] = field(default_factory=dict)
    footers: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    abundance: dict[int, int] = field(default_factory=dict)
    near_copies: int = 0
    survived_characters: int = 0
    tokens: int = 0
    half_rate: float = 0.0
    rate: float = 0.0
    vocabulary: tuple[int, int] = (0, 0)
    learning: float = 0.0
    processor: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    startup: float = 0.0
    quarantined: tuple[dict[str, str], ...] = ()

    def total(self, name: str) -> float:
        """Of all chunks."""
        return sum(self.by_chunk.get(name, ()))


def measure(
    words: Sequence[str], recipe: str | None, settings: Sequence[str], sampling: SampleRequest, progress: Progress
) -> tuple[SampleResult, Recipe, list[Input]]:
    """Run a sample of the inputs that `words` stand for; nothing is written outside a temporary folder.

    Raises what a run raises for inputs and recipes that cannot be used.
    """
    chosen = replace(load(recipe or DEFAULT_RECIPE, settings), alarms=Alarms())
    inputs = find_inputs(words)
    with tempfile.TemporaryDirectory(prefix="curate-estimate-") as place:
        base = Path(place)
        sample = take(inputs, sampling, base / "chunks")
        progress.note(f"sample: {len(sample.chunks)} chunks of {len(sample.frame.file_sizes)} of {len(inputs)} inputs")
        found = SampleResult(sample, quarantined=sample.unreadable)
        paths = [path for path in sample.paths if path]
        if paths:
            plan = Plan(Folder(str(base / "out")), chosen, tuple(find_inputs(paths)))
            _SampleRun(plan, found, progress, base).run()
    return found, chosen, inputs


@dataclass
class _SampleRun:
    """The steps on the sample."""

    plan: Plan
    found: SampleResult
    progress: Progress
    base: Path

    def run(self) -> None:
        plan, found = self.plan, self.found
        first, warm = plan.inputs[0], 0.0
        with self._watched("start-up"):
            started = time.perf_counter()
            task = FilterTask(
                Folder(str(self.base / "warm")), plan.recipe, first, Fingerprints(plan).of("filter", first.shard)
            )
            Cluster().gather(_tried, [task])
            warm = time.perf_counter() - started
        run = Run(plan, Cluster(), self.progress)
        with self._watched("filter"):
            run.run("filter")
        self._count_filtered(run.quarantined)
        found.startup = max(0.0, warm - next((s for s in found.by_chunk["seconds"] if s), 0.0))
        if not found.total("documents"):
            return
        with self._watched("dedup"):
            run.run("dedup")
        self._count_duplicates()
        if found.survived_characters:
            with self._watched("train-tokenizer"):
                run.run("train-tokenizer")
            with self._watched("tokenize"):
                run.run("tokenize")
            self._count_tokens()
        self._weigh()

    @contextmanager
    def _watched(self, step: str) -> Iterator[None]:
        """Take down the step's seconds, processor seconds and peak memory."""
        started, before = time.perf_counter(), _processor_seconds()
        done = threading.Event()
        peak = [0]

        def look() -> None:
            while not done.wait(LOOK_SECONDS):
                peak[0] = max(peak[0], _memory())

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        self.found.seconds[step] = time.perf_counter() - started
        self.found.processor[step] = max(0.0, _processor_seconds() - before)
        self.found.memory[step] = max(peak[0], _memory())

    def _shards(self) -> list[str | None]:
        """The shard of each chunk of the frame; None for what could not be read."""
        made = iter(self.plan.inputs)
        return [next(made).shard if path else None for path in self.found.sample.paths]

    def _count_filtered(self, quarantined: Sequence[dict[str, str]]) -> None:
        origin = dict(zip(self.found.sample.paths, self.found.sample.chunks, strict=True))
        causes = {origin[entry["path"]].source.path: entry["cause"] for entry in quarantined}
        self.found.quarantined += tuple({"path": path, "cause": cause} for path, cause in causes.items())
        rows: list[dict[str, float]] = []
        for shard in self._shards():
            manifest = read_manifest(self.plan.folder, "filter", shard) if shard else None
            if shard is None or manifest is None:
                rows.append({})
                continue
            tallies = list(manifest.counts["stages"].values())
            seconds = self.plan.folder.read_json(f"performance/filter/{shard}.json")["seconds"]
            pages = sum(count for name, count in manifest.counts["read"].items() if name.startswith("pages."))
            documents, characters = tallies[-1]["documents_out"], tallies[-1]["characters_out"]
            rows.append({"pages": pages, "documents": documents, "characters": characters, "seconds": seconds})
        for name in ("pages", "documents", "characters", "seconds"):
            self.found.by_chunk[name] = [row.get(name, 0) for row in rows]

    def _count_duplicates(self) -> None:
        folder = self.plan.folder
        chunks_of: dict[tuple[str, int], set[str]] = {}
        copies = 0
        for shard in filter(None, self._shards()):
            if not folder.exists(f"dedup/drop/{shard}.parquet"):
                continue
            for row in read_table(folder, f"dedup/drop/{shard}.parquet").to_pylist():
                copies += 1
                if row["survivor_run"] is None:
                    key = (row["survivor_shard"], row["survivor_row"])
                    chunks_of.setdefault(key, {row["survivor_shard"]}).add(shard)
            manifest = read_manifest(folder, "corpus", shard)
            if manifest is not None:
                dedup = manifest.counts["stages"].get("dedup", {})  # no stage has seen a shard of no documents
                self.found.survived_characters += dedup.get("characters_out", 0)
        abundance = Counter(len(chunks) for chunks in chunks_of.values())
        far = sum((times - 1) * texts for times, texts in abundance.items())
        self.found.near_copies = copies - far
        rest = int(self.found.total("documents")) - self.found.near_copies
        abundance[1] += rest - sum(times * texts for times, texts in abundance.items())
        self.found.abundance = {times: texts for times, texts in sorted(abundance.items()) if texts}

    def _count_tokens(self) -> None:
        """Tokens, and how well a tokenizer of half the sample fits that half."""
        folder, settings = self.plan.folder, self.plan.recipe.table("tokenizer")
        trained, tokens = (read_manifest(folder, step, WHOLE) for step in ("train-tokenizer", "tokens"))
        if trained is None or tokens is None:
            return
        self.found.tokens = tokens.counts["corpus_tokens"]
        self.found.vocabulary = (trained.counts["vocab_size"], settings.vocab_size)
        self.found.learning = folder.read_json(f"performance/train-tokenizer/{WHOLE}.json")["stages"]["learn"]
        shards = [shard for shard in self._shards() if shard and folder.exists(f"corpus/{shard}.parquet")]
        self.found.rate = self.found.tokens / max(_text_bytes(folder, shards), 1)
        half = Folder(str(self.base / "half"))
        some = shards[::2]
        for shard in some:
            half.write(f"corpus/{shard}.parquet", folder.read(f"corpus/{shard}.parquet"))
        size = _text_bytes(half, some)
        if len(some) == len(shards) or not size or self.found.sample.is_whole:
            self.found.half_rate = self.found.rate
            return
        make_tokenizer(half, some, settings, "half", "half", Cluster(), self.progress)
        own = find_corpora(half, some, replace(self.plan.recipe.table("tokens"), mix=()))[0][0]
        _, digest = half.hash(TOKENIZER)
        documents = sum(read_table(half, f"corpus/{shard}.parquet", ["id"]).num_rows for shard in some)
        made = sum(count_tokens((own, shard, half, digest)) for shard in some) - documents
        self.found.half_rate = made / size

    def _weigh(self) -> None:
        """Bytes of every output, files of shards without their footers, which do not grow with what is in them."""
        folder = self.plan.folder
        for kind in SHARDED:
            paths = [f"{kind}/{shard}.parquet" if shard else "" for shard in self._shards()]
            sizes = [_size(folder, path) if path else (0, 0) for path in paths]
            if not any(size for size, _ in sizes):
                continue
            self.found.data[kind] = [size - footer for size, footer in sizes]
            self.found.footers[kind] = sum(f for _, f in sizes) / max(1, sum(1 for size, _ in sizes if size))
            if not self.found.sample.is_whole:
                self._pack_as_shards(kind, [path for path, (size, _) in zip(paths, sizes, strict=True) if size])
        self.found.totals = {kind: sum(folder.size(path) for path in folder.list(kind)) for kind in WHOLES}

    def _pack_as_shards(self, kind: str, paths: Sequence[str]) -> None:
        """Write chunks into shards as large as a whole archive's, and see how much better they pack."""
        frame, before = self.found.sample.frame, sum(self.found.data[kind])
        shards = max(1, round(sum(frame.size) * frame.files / max(1, frame.total)))
        sizes = []
        for number in range(shards):
            some = paths[number * len(paths) // shards : (number + 1) * len(paths) // shards]
            if some:
                name = f"packed/{kind}/{number}.parquet"
                self._write_together(name, (read_table(self.plan.folder, path) for path in some))
                sizes.append(_size(self.plan.folder, name))
        after = sum(size - footer for size, footer in sizes)
        self.found.footers[kind] = sum(footer for _, footer in sizes) / len(sizes)
        self.found.data[kind] = [size * after / max(before, 1) for size in self.found.data[kind]]

    def _write_together(self, name: str, tables: Iterator[pa.Table]) -> None:
        first = next(tables)
        with ShardWriter(self.plan.folder, name, first.schema) as writer:
            writer.write(first)
            for table in tables:
                writer.write(table)


def _tried(task: FilterTask) -> dict[str, int]:
    """One shard, or nothing where the input is no archive: the step itself will name it."""
    from curation.errors import UnreadableArchive

    try:
        return filter_archive(task)
    except UnreadableArchive:
        return {}


def _size(folder: Folder, path: str) -> tuple[int, int]:
    """Bytes of a Parquet file, and of its footer."""
    if not folder.exists(path):
        return 0, 0
    data = folder.read(path)
    return len(data), int.from_bytes(data[-8:-4], "little") + 8


def _text_bytes(folder: Folder, shards: Sequence[str]) -> int:
    import pyarrow.compute as pc

    tables = (read_table(folder, f"corpus/{shard}.parquet", ["text"]) for shard in shards)
    return sum(pc.sum(pc.binary_length(table["text"])).as_py() or 0 for table in tables)


def _processes() -> list[Any]:
    import psutil  # type: ignore[import-untyped]

    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _processor_seconds() -> float:
    """Of this process and its children, those that ended included."""
    total = 0.0
    for number, process in enumerate(_processes()):
        with _gone():
            times = process.cpu_times()
            total += times.user + times.system + (times.children_user + times.children_system if not number else 0)
    return total


def _memory() -> int:
    """Resident bytes of this process and its children."""
    total = 0
    for process in _processes():
        with _gone():
            total += process.memory_info().rss
    return total


@contextmanager
def _gone() -> Iterator[None]:
    """A process may end while it is looked at."""
    import psutil

    with suppress(psutil.Error):
        yield
