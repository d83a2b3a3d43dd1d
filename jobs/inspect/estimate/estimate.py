"""`curate estimate`: runs a sample of the inputs to find out what a run of all of them would keep and cost.

The real steps run on sampled chunks in a temporary folder and in this process, one shard after the other. What they
produced, removed and took is then extrapolated (curation.jobs.inspect.estimate.extrapolation). What a run takes once,
whatever its size, is measured apart: a worker is started, and all steps run on one chunk before, which shows what the
first task of each kind takes for imports, models and compiled kernels, and after, which shows what any run takes.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc

from curation.archives.inputs import Input, find_inputs
from curation.archives.reader import ReadSettings
from curation.jobs.inspect.estimate.copies import FoundCopies
from curation.jobs.inspect.estimate.sampling import InputSample, SampleRequest, take_sample
from curation.jobs.steps.plan import DEFAULT_RECIPE, Plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.report.facts import count_shards
from curation.jobs.steps.run import Run
from curation.jobs.steps.table import commands, outputs
from curation.jobs.steps.train_tokenizer import make_tokenizer
from curation.recipes.alarms import Alarms
from curation.recipes.recipe import Recipe, load
from curation.running.cluster import Cluster, open_cluster
from curation.running.fork_server import forking
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, read_manifest, read_times
from curation.store.paths import CORPUS, DROPS, TOKENIZER
from curation.store.shards import ShardWriter, read_table, shard_of
from curation.tokenize.encoding.encode_shards import count_tokens, find_corpora

STEPS = tuple(command for command in commands() if command != "report")

SHARDED = tuple(files.prefix.removesuffix("/") for step, files in outputs() if step.unit == "shard" and step.make)
"""Outputs with one file per shard."""

WHOLES = dict.fromkeys(
    files.prefix.partition("/")[0] for step, files in outputs() if step.unit != "shard" and not step.anytime
)
"""Folders of the other outputs."""

POLL_SECONDS = 0.05
"""Interval between two measurements of memory."""


@dataclass
class SampleResult:
    """What running the sample gave.

    Attributes:
        sample: The sample.
        by_chunk: Pages, documents, characters and seconds of the filter step, for each chunk of the frame.
        data: Bytes of each output of SHARDED without Parquet footers, for each chunk.
        footers: Average bytes of a Parquet footer in each output of SHARDED.
        totals: Bytes of each output of WHOLES.
        copies: The duplicates that were found.
        survived_characters: Characters left after deduplication.
        tokens: Tokens of the corpus.
        half_rate: Tokens per byte with a tokenizer trained on half of the sample, on that half.
        rate: Tokens per byte with a tokenizer trained on the sample.
        vocabulary: Size of the trained vocabulary, and the size in the recipe.
        learning: Seconds spent learning merges.
        processor: CPU seconds by step.
        once: How many of them a run of any size takes, for the steps after filter.
        seconds: Wall seconds by step.
        memory: Peak bytes by step, of all processes together.
        startup: Wall seconds that a run takes before it works: to start a worker, and for the first task of each step.
        report: Wall seconds that the report of any run takes.
        quarantined: Unreadable inputs: {"path": …, "cause": …}.
    """

    sample: InputSample
    by_chunk: dict[str, list[float]] = field(default_factory=dict)
    data: dict[str, list[float]] = field(default_factory=dict)
    footers: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    copies: FoundCopies = field(default_factory=FoundCopies)
    survived_characters: int = 0
    tokens: int = 0
    half_rate: float = 0.0
    rate: float = 0.0
    vocabulary: tuple[int, int] = (0, 0)
    learning: float = 0.0
    processor: dict[str, float] = field(default_factory=dict)
    once: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    startup: float = 0.0
    report: float = 0.0
    quarantined: tuple[dict[str, str], ...] = ()

    def total(self, name: str) -> float:
        """The sum over all chunks."""
        return sum(self.by_chunk.get(name, ()))


def measure(
    words: Sequence[str], recipe: str | None, settings: Sequence[str], sampling: SampleRequest, progress: Progress
) -> tuple[SampleResult, Recipe, list[Input]]:
    """Run a sample of the inputs. Nothing is written outside of a temporary folder.

    Args:
        words: Inputs as on the command line: files, folders, globs, URLs, @lists.
        recipe: Name or file of the recipe; None for the default.
        settings: Settings as KEY=VALUE.
        sampling: What to sample.
        progress: Where to report progress.

    Returns:
        The result, the recipe used, and all inputs.

    Raises:
        CurationError: As in a run, for inputs and recipes that cannot be used.
    """
    loaded = replace(load(recipe or DEFAULT_RECIPE, settings), alarms=Alarms())
    read: ReadSettings = loaded.table("read")
    inputs = find_inputs(words, read.sample, read.seed)
    with tempfile.TemporaryDirectory(prefix="curate-estimate-") as path:
        base = Path(path)
        sample = take_sample(inputs, sampling, base / "chunks")
        progress.note(f"sample: {len(sample.chunks)} chunks of {len(sample.frame.file_sizes)} of {len(inputs)} inputs")
        result = SampleResult(sample, quarantined=sample.unreadable)
        parts = tuple(source for source in sample.inputs if source is not None)
        if parts:
            plan = Plan(Folder(str(base / "out")), loaded, parts)
            _SampleRun(plan, result, progress, base).run()
    return result, loaded, inputs


@dataclass
class _SampleRun:
    """Runs the steps on the sample and records what they give."""

    plan: Plan
    result: SampleResult
    progress: Progress
    base: Path

    def run(self) -> None:
        first = self._run_of_first("first")
        cold = {command: _seconds(first.run, command)[0] for command in STEPS}
        self._run_steps(Run(self.plan, Cluster(), self.progress))
        again = self._run_of_first("again")
        warm = {command: _seconds(again.run, command)[1] for command in STEPS}
        for command in STEPS[1:]:
            whole, share = self.result.processor.get(command, 0.0), self._share_of_first(command)
            self.result.once[command] = min(whole, max(0.0, (warm[command] - share * whole) / max(1 - share, 1e-9)))
        # What follows loads libraries that workers do not have, and so comes after memory was measured.
        extra = (
            cold[command] - self._share_of_first(command) * self.result.seconds.get(command, 0.0) for command in STEPS
        )
        self.result.startup = _seconds(_start_worker)[0] + sum(max(0.0, seconds) for seconds in extra)
        self.result.report = _seconds(first.run, "report")[0]

    def _run_of_first(self, name: str) -> Run:
        """A run of the first chunk alone, in a folder of this name."""
        plan = replace(self.plan, folder=Folder(str(self.base / name)), inputs=self.plan.inputs[:1])
        return Run(plan, Cluster(), Progress("silent"))

    def _share_of_first(self, command: str) -> float:
        """The share of the sample's work that the first chunk is."""
        values = self.result.by_chunk.get("seconds" if command == "filter" else "characters", ())
        return next((value for value in values if value), 0.0) / max(sum(values), 1e-9)

    def _run_steps(self, run: Run) -> None:
        """Run the steps on the sample and count what they give, as far as there is something to work on."""
        result = self.result
        for command in STEPS:
            if command == "train-tokenizer" and not result.survived_characters:
                break
            with self._watched(command):
                run.run(command)
            if command == "filter":
                self._count_filtered(run.quarantined)
                if not result.total("documents"):
                    return
            elif command == "dedup":
                self._count_duplicates()
            elif command == "tokenize":
                self._count_tokens()
        with self._watched("report"):
            count_shards(self.plan, Cluster())
        self._measure_sizes()

    @contextmanager
    def _watched(self, step: str) -> Iterator[None]:
        """Record the step's wall seconds, CPU seconds and peak memory."""
        started, before = time.perf_counter(), _processor_seconds()
        done = threading.Event()
        peak = [0]

        def poll() -> None:
            while not done.wait(POLL_SECONDS):
                peak[0] = max(peak[0], _memory())

        watcher = threading.Thread(target=poll, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        self.result.seconds[step] = time.perf_counter() - started
        self.result.processor[step] = max(0.0, _processor_seconds() - before)
        self.result.memory[step] = max(peak[0], _memory())

    def _shards(self) -> list[str | None]:
        """The shard of each chunk of the frame; None for a chunk that could not be read."""
        return [None if source is None else source.shard for source in self.result.sample.inputs]

    def _count_filtered(self, quarantined: Sequence[dict[str, str]]) -> None:
        origin = dict(zip(self._shards(), self.result.sample.chunks, strict=True))
        causes = {origin[shard_of(entry)].source.path: entry["cause"] for entry in quarantined}
        self.result.quarantined += tuple({"path": path, "cause": cause} for path, cause in causes.items())
        rows: list[dict[str, float]] = []
        for shard in self._shards():
            manifest = read_manifest(self.plan.folder, "filter", shard) if shard else None
            if shard is None or manifest is None:
                rows.append({})
                continue
            tallies = list(manifest.counts["stages"].values())
            seconds = read_times(self.plan.folder, "filter", shard)["seconds"]
            pages = sum(count for name, count in manifest.counts["read"].items() if name.startswith("pages."))
            documents, characters = tallies[-1]["documents_out"], tallies[-1]["characters_out"]
            rows.append({"pages": pages, "documents": documents, "characters": characters, "seconds": seconds})
        for name in ("pages", "documents", "characters", "seconds"):
            self.result.by_chunk[name] = [row.get(name, 0) for row in rows]

    def _count_duplicates(self) -> None:
        folder = self.plan.folder
        number_of = {shard: number for number, shard in enumerate(self._shards()) if shard}
        near = [0] * len(self._shards())
        chunks_of: dict[tuple[str, int], set[int]] = {}
        for shard, number in number_of.items():
            if not folder.exists(DROPS.path(shard)):
                continue
            for row in read_table(folder, DROPS.path(shard)).to_pylist():
                if row["survivor_run"] is not None:
                    near[number] += 1
                    continue
                key = (row["survivor_shard"], row["survivor_row"])
                chunks = chunks_of.setdefault(key, {number_of[row["survivor_shard"]]})
                near[number] += number in chunks
                chunks.add(number)
            manifest = read_manifest(folder, "corpus", shard)
            if manifest is not None:
                dedup = manifest.counts["stages"].get("dedup", {})  # no stage is run on a shard without documents
                self.result.survived_characters += dedup.get("characters_out", 0)
        documents = [int(count) for count in self.result.by_chunk["documents"]]
        spread = [sorted(chunks) for chunks in chunks_of.values() if len(chunks) > 1]
        self.result.copies = FoundCopies(documents, near, spread)

    def _count_tokens(self) -> None:
        """Count tokens, and measure how well a tokenizer trained on half of the sample fits that half."""
        folder, settings = self.plan.folder, self.plan.recipe.table("tokenizer")
        trained, tokens = (read_manifest(folder, step, WHOLE) for step in ("train-tokenizer", "tokens"))
        if trained is None or tokens is None:
            return
        self.result.tokens = tokens.counts["corpus_tokens"]
        size = trained.counts["vocab_size"]
        self.result.vocabulary = (size, size if settings.file else settings.vocab_size)
        seconds = folder.read_json(f"performance/train-tokenizer/{WHOLE}.json")["stages"]
        self.result.learning = seconds.get("learn", 0.0)
        shards = [shard for shard in self._shards() if shard and folder.exists(CORPUS.path(shard))]
        self.result.rate = self.result.tokens / max(_text_bytes(folder, shards), 1)
        half = Folder(str(self.base / "half"))
        some = shards[::2]
        for shard in some:
            half.write(CORPUS.path(shard), folder.read(CORPUS.path(shard)))
        size = _text_bytes(half, some)
        if len(some) == len(shards) or not size or settings.file or self.result.sample.frame.is_whole:
            self.result.half_rate = self.result.rate
            return
        make_tokenizer(half, some, settings, "half", "half", Cluster(), self.progress)
        own = find_corpora(half, some, replace(self.plan.recipe.table("tokens"), mix=()))[0][0]
        _, digest = half.hash(TOKENIZER)
        documents = sum(read_table(half, CORPUS.path(shard), ["id"]).num_rows for shard in some)
        tokens_in_half = sum(count_tokens((own, shard, half, digest)) for shard in some) - documents
        self.result.half_rate = tokens_in_half / size

    def _measure_sizes(self) -> None:
        """Measure the bytes of every output. Footers are counted separately, because they do not grow with the data."""
        folder = self.plan.folder
        for kind in SHARDED:
            paths = [f"{kind}/{shard}.parquet" if shard else "" for shard in self._shards()]
            sizes = [_size(folder, path) if path else (0, 0) for path in paths]
            if not any(size for size, _ in sizes):
                continue
            self.result.data[kind] = [size - footer for size, footer in sizes]
            self.result.footers[kind] = sum(f for _, f in sizes) / max(1, sum(1 for size, _ in sizes if size))
            if not self.result.sample.frame.is_whole:
                self._pack_as_shards(kind, [path for path, (size, _) in zip(paths, sizes, strict=True) if size])
        self.result.totals = {kind: sum(folder.size(path) for path in folder.list(kind)) for kind in WHOLES}

    def _pack_as_shards(self, kind: str, paths: Sequence[str]) -> None:
        """Write chunks into shards as large as those of whole archives, to measure how much better they compress."""
        frame, before = self.result.sample.frame, sum(self.result.data[kind])
        shards = max(1, round(sum(frame.size) * frame.files / max(1, frame.total)))
        sizes = []
        for number in range(shards):
            some = paths[number * len(paths) // shards : (number + 1) * len(paths) // shards]
            if some:
                name = f"packed/{kind}/{number}.parquet"
                self._write_together(name, (read_table(self.plan.folder, path) for path in some))
                sizes.append(_size(self.plan.folder, name))
        after = sum(size - footer for size, footer in sizes)
        self.result.footers[kind] = sum(footer for _, footer in sizes) / len(sizes)
        self.result.data[kind] = [size * after / max(before, 1) for size in self.result.data[kind]]

    def _write_together(self, name: str, tables: Iterator[pa.Table]) -> None:
        first = next(tables)
        with ShardWriter(self.plan.folder, name, first.schema) as writer:
            for table in chain([first], tables):
                writer.write(table)


def _seconds(function: Callable[..., object], *values: object) -> tuple[float, float]:
    """Wall seconds and CPU seconds of a call."""
    started, before = time.perf_counter(), _processor_seconds()
    function(*values)
    return time.perf_counter() - started, _processor_seconds() - before


def _start_worker() -> None:
    """Start a worker as a run does, and end it."""
    with forking("curation.jobs.cli.preloaded"), open_cluster(1) as cluster:
        cluster.everywhere(list)


def _size(folder: Folder, path: str) -> tuple[int, int]:
    """Bytes of a Parquet file and of its footer; (0, 0) if it does not exist."""
    if not folder.exists(path):
        return 0, 0
    data = folder.read(path)
    return len(data), int.from_bytes(data[-8:-4], "little") + 8


def _text_bytes(folder: Folder, shards: Sequence[str]) -> int:
    tables = (read_table(folder, CORPUS.path(shard), ["text"]) for shard in shards)
    return sum(pc.sum(pc.binary_length(table["text"])).as_py() or 0 for table in tables)


def _processes() -> list[Any]:
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def _processor_seconds() -> float:
    """CPU seconds of this process and its children, including those that have ended."""
    total = 0.0
    for number, process in enumerate(_processes()):
        with suppress(psutil.Error):  # the process ended meanwhile
            times = process.cpu_times()
            total += times.user + times.system + (times.children_user + times.children_system if not number else 0)
    return total


def _memory() -> int:
    """Resident bytes of this process and its children."""
    total = 0
    for process in _processes():
        with suppress(psutil.Error):  # the process ended meanwhile
            total += process.memory_info().rss
    return total
