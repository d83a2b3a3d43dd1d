"""A run over a whole dump: what the driver does for thousands of inputs, without extracting a page.

The folder of a finished run is generated: one small archive and one set of small shards for each input, and manifests
with the numbers of archives of 30,000 pages. Measured are, each in a process of its own and without workers:

- planning: a run on an empty folder, up to the first task that would start
- bundling: combining the manifests of each step, as is done once at its end
- report: from the counts of shards, which tasks have added up to parts, to the page
- rerun: all steps of the finished run, with nothing to do
- verify: what it checks in manifests and listings, before it opens any shard
- dedup: from signatures of two documents per shard to two lists per shard
- packing: from encoded files of two documents per shard to token shards, merged in tiers, one for every 13 shards

The last two do in one process what workers would do, so that their CPU is that of all tasks.

CPU is that of the process, memory its peak. Growth is the exponent of CPU between two sizes: 1 is linear.

    python tests/benchmarks/dump_scale.py [--quick] [--inputs 1000,10000,90000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from curation.archives.inputs import Input  # noqa: E402
from curation.dedup.documents import Shard  # noqa: E402
from curation.dedup.run import deduplicate  # noqa: E402
from curation.dedup.settings import DedupSettings  # noqa: E402
from curation.dedup.signatures import signature_schema  # noqa: E402
from curation.dedup.survivor_rules import survivor_value  # noqa: E402
from curation.jobs.inspect.verify.completion import survey  # noqa: E402
from curation.jobs.inspect.verify.verify import Verification  # noqa: E402
from curation.jobs.steps.fingerprints import Fingerprints  # noqa: E402
from curation.jobs.steps.plan import Plan, make_plan, open_plan  # noqa: E402
from curation.jobs.steps.progress import Progress  # noqa: E402
from curation.jobs.steps.report.facts import STEP as REPORT  # noqa: E402
from curation.jobs.steps.report.facts import expected_counts, parts_of  # noqa: E402
from curation.jobs.steps.run import Run, run_commands  # noqa: E402
from curation.jobs.steps.table import commands  # noqa: E402
from curation.report.counting import ShardFacts, most_frequent, total  # noqa: E402
from curation.running.cluster import Cluster  # noqa: E402
from curation.store.bundles import BundleTask, bundle, bundle_of, plan_bundles  # noqa: E402
from curation.store.manifest import Manifest, read_manifests  # noqa: E402
from curation.store.paths import TOKENIZER  # noqa: E402
from curation.tokenize.encoding.encode_shards import read_encoder, slots_folder  # noqa: E402
from curation.tokenize.encoding.encoder import EncodedTexts  # noqa: E402
from curation.tokenize.encoding.measure import no_counts  # noqa: E402
from curation.tokenize.encoding.shuffle import (  # noqa: E402
    Documents,
    document_keys,
    in_key_order,
    slot_count,
    write_slots,
)

SIZES, QUICK_SIZES = "1000,10000,90000", "500,2000"

SETTINGS = (
    "tokenizer.vocab_size=600",
    "tokens.sequence_length=64",
    "extract.extractor=resiliparse",
    "tokens.validation_fraction=0.3",
    "tokens.shard_rows=16",
)

PAGES = 30_000
"""Pages of an archive, to which the counts in the generated manifests are scaled."""
DOMAINS = 2_000
"""Domains in the counts of one shard for the report."""
COUNTED = 20
"""Shards whose counts are in each part of the report's."""

TOKENS = 50
"""Tokens of an encoded document."""

SHARD_FOLDERS = ("documents", "removed/filter", "signals", "corpus", "removed/dedup", "dedup/drop", "dedup/kept")
SHARD_STEPS = ("filter", "corpus", "count", "encode")
LINKS = 30_000
"""Hard links to one file: file systems limit them."""

GOALS = {"planning": 20, "rerun": 60, "report": 120, "verify": 180}
"""Acceptable CPU seconds at 90,000 inputs."""


MANIFESTS_MB = 100
"""Acceptable megabytes of manifests at 90,000 inputs, without histograms."""

FILES = {
    "manifests": "manifests/*/[!s]*.*",
    "histograms": "manifests/*/signals-*",
    "times": "performance/*/*.*",
    "everything": "**/*.*",
}
"""Files to count."""


class WorkStarts(Exception):
    """Raised instead of starting the first task."""


class NoWorkers(Cluster):
    """A cluster that ends the measurement where the first task would start."""

    def map(self, function: Any, items: Any, finished: Any = None, copies: bool = False) -> Iterator[Any]:
        """Raise if there is an item."""
        for _ in items:
            raise WorkStarts
        return iter(())


class DumpFolder:
    """A generated run.

    Args:
        root: A folder for it.
        template: The folder with a small finished run.
        size: Number of inputs.

    Attributes:
        bundling: CPU seconds that bundling the manifests took.
    """

    def __init__(self, root: Path, template: Path, size: int) -> None:
        self.crawl, self.out, self.template, self.size = root / "crawl", root / "out", template / "out", size
        self.random = np.random.Generator(np.random.PCG64(size))
        self.bundling = 0.0

    def make(self) -> None:
        """Write inputs, shards and manifests."""
        self.crawl.mkdir(parents=True)
        for number in range(self.size):
            (self.crawl / f"CC-MAIN-20260101000000-20260101030000-{number:05d}.warc.gz").write_bytes(b"")
        plan = make_plan([str(self.crawl)], str(self.out), None, SETTINGS)
        plan.write()
        for name in ("tokenizer", "tokens", "manifests/tokens"):
            shutil.copytree(self.template / name, self.out / name)
        self._shards(plan)
        self._manifests(plan)

    def encode(self) -> None:
        """Write what encoding leaves for packing, for which there are manifests already."""
        plan = open_plan(str(self.out))
        folder, fingerprint = plan.folder, Fingerprints(plan).of("tokens")
        documents = sum(output.rows for made in read_manifests(folder, "corpus") for output in made.outputs[:1])
        settings = plan.recipe.table("tokens")
        slots = slot_count(documents, settings.shard_rows * settings.sequence_length)
        vocabulary = read_encoder(folder.url, folder.hash(TOKENIZER)[1]).vocabulary
        measured = json.dumps(no_counts(vocabulary).to_json())
        places = [slots_folder(fingerprint, split) for split in ("train", "validation", "measured")]
        for place in places:
            (self.out / place).mkdir(parents=True)
        for number, source in enumerate(plan.inputs):
            for split, place in enumerate(places[:2]):
                documents = encoded_documents(number, 2 - split, vocabulary)
                write_slots(folder, f"{place}/{source.shard}.arrow", documents, slots)
            (self.out / places[2] / f"{source.shard}.json").write_text(measured)

    def _shards(self, plan: Plan) -> None:
        for name in (*SHARD_FOLDERS, "signatures"):
            (self.out / name).mkdir(parents=True)
        for name in SHARD_FOLDERS:
            first = min((self.template / name).glob("*.parquet"))
            for number, source in enumerate(plan.inputs):
                path = self.out / name / f"{source.shard}.parquet"
                if number % LINKS == 0:
                    original = shutil.copy(first, path)
                else:
                    os.link(original, path)
        for number, source in enumerate(plan.inputs):
            file = io.BytesIO()
            pq.write_table(signature_table(plan.recipe.table("dedup"), number), file)
            (self.out / "signatures" / f"{source.shard}.parquet").write_bytes(file.getbuffer())

    def _manifests(self, plan: Plan) -> None:
        expected = Fingerprints(plan)
        for step in ("dedup", "train-tokenizer", "tokens"):
            for path in (self.template / "manifests" / step).glob("*.json"):
                values = {**json.loads(path.read_text()), "fingerprint": expected.of(step)}
                if step == "dedup":
                    values["outputs"] = [entry for shard in expected.shards for entry in self._lists(shard)]
                self._write(step, path.stem, values)
        for task in plan_bundles(plan.folder, "dedup"):
            bundle(task)
        for step in SHARD_STEPS:
            owner = {"count": "train-tokenizer"}.get(step, step)
            self._bundled(plan, step, {entry.shard: expected.of(owner, entry.shard) for entry in plan.inputs})
        counted = self._like(REPORT)
        for part in parts_of(expected_counts(plan)):
            counts = [counted.of({}, shard, "")["counts"] for shard in part.shards[:COUNTED]]
            facts = most_frequent(total(map(ShardFacts.from_json, counts)))
            self._write(REPORT, part.name, asdict(Manifest(REPORT, part.name, part.fingerprint, counts=asdict(facts))))

    def _bundled(self, plan: Plan, step: str, current: dict[str, str]) -> None:
        """Write and bundle the manifests of a step, one bundle after another, so that few files are there at once."""
        scaled, times = self._like(step), min((self.template / "performance" / step).glob("*-*.json")).read_bytes()
        by_bundle: dict[int, list[Input]] = {}
        for entry in plan.inputs:
            by_bundle.setdefault(bundle_of(entry.shard), []).append(entry)
        (self.out / "performance" / step).mkdir(parents=True)
        for number, entries in sorted(by_bundle.items()):
            for entry in entries:
                self._write(step, entry.shard, scaled.of(entry.identity, entry.shard, current[entry.shard]))
                (self.out / "performance" / step / f"{entry.shard}.json").write_bytes(times)
            before = time.process_time()
            bundle(BundleTask(plan.folder, step, number, tuple(entry.shard for entry in entries)))
            self.bundling += time.process_time() - before

    def _like(self, step: str) -> ScaledManifest:
        source = min((self.template / "manifests" / step).glob("*-*.json"))
        return ScaledManifest(json.loads(source.read_text()), self.random)

    def _lists(self, shard: str) -> Iterator[dict[str, Any]]:
        for name in ("drop", "kept"):
            size, digest = int(self.random.integers(1, 1 << 20)), self.random.bytes(16).hex()
            yield {"path": f"dedup/{name}/{shard}.parquet", "bytes": size, "hash": digest, "rows": size // 100}

    def _write(self, step: str, name: str, values: dict[str, Any]) -> None:
        path = self.out / "manifests" / step / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values) + "\n")


class ScaledManifest:
    """Makes manifests like one of a small archive, with random numbers of the size of a large one."""

    def __init__(self, like: dict[str, Any], random: np.random.Generator) -> None:
        self.like, self.random, self.name = like, random, like["shard"]
        counts = {name: value for name, value in like["counts"].items() if name != "signals"}
        self.counts = json.dumps(counts)
        self.histograms = like["counts"].get("signals", {})

    def of(self, source: dict[str, Any], shard: str, current: str) -> dict[str, Any]:
        """A manifest for this input and shard, with this fingerprint."""
        like, random = self.like, self.random
        counts = self._scale(
            json.loads(self.counts.replace(self.name, shard)), int(random.integers(PAGES // 20, PAGES // 10))
        )
        if self.histograms:
            counts["signals"] = {name: self._histogram(value) for name, value in self.histograms.items()}
        if "kept" in counts:
            names = random.zipf(1.2, DOMAINS).tolist()
            for part in ("kept", "removed"):
                domains = {f"site-{name % 10**7}.example.org": 1 + name % 50 for name in names}
                counts[part] = {**counts[part], "domain": domains}
        outputs = [
            {
                "path": output["path"].replace(self.name, shard),
                "bytes": int(random.integers(1, 1 << 28)),
                "hash": random.bytes(16).hex(),
                "rows": int(random.integers(1, PAGES)),
            }
            for output in like["outputs"]
        ]
        inputs = [source] if like["inputs"] else []
        return {**like, "shard": shard, "fingerprint": current, "inputs": inputs, "outputs": outputs, "counts": counts}

    def _scale(self, value: Any, factor: int, above: str = "") -> Any:
        """All numbers times the factor, so that they still add up; rules are violated at random."""
        if above == "violations":
            return {name: int(self.random.integers(PAGES)) for name in value}
        if isinstance(value, dict):
            return {name: self._scale(part, factor, name) for name, part in value.items()}
        return value * factor if isinstance(value, int) else value

    def _histogram(self, value: dict[str, Any]) -> dict[str, Any]:
        """Values spread log-normally over half of the bins."""
        bins = len(value["counts"])
        place = np.arange(bins) - bins / 2
        expected = PAGES * np.exp(-(place**2) / bins) / bins
        return {**value, "counts": self.random.poisson(expected).tolist()}


def signature_table(settings: DedupSettings, seed: int) -> pa.Table:
    """The signatures of two documents that resemble no others."""
    random = np.random.Generator(np.random.PCG64(seed))
    schema = signature_schema(settings)
    columns = []
    for field in schema:
        if pa.types.is_fixed_size_binary(field.type):
            data = pa.py_buffer(random.bytes(2 * field.type.byte_width))
            columns.append(pa.FixedSizeBinaryArray.from_buffers(field.type, 2, [None, data]))
        else:
            columns.append(pa.array(np.full(2, 1000), field.type))
    return pa.table(columns, schema=schema)


def encoded_documents(seed: int, count: int, vocabulary: int) -> Documents:
    """Random documents in key order."""
    random = np.random.Generator(np.random.PCG64((seed, count)))
    ids = pa.array([f"{seed}-{count}-{row}" for row in range(count)])
    tokens = random.integers(0, vocabulary, count * TOKENS).astype(np.uint16)
    keys = document_keys(ids, np.zeros(count, np.int64), 0)
    rows = np.arange(count)
    return in_key_order(EncodedTexts(tokens, np.arange(count + 1) * TOKENS), ids, keys, rows, np.dtype(np.uint16))


def planning(folder: DumpFolder) -> None:
    """Plan a new run up to the first task."""
    with tempfile.TemporaryDirectory(dir=folder.out.parent) as empty, suppress(WorkStarts):
        plan = make_plan([str(folder.crawl)], empty, None, SETTINGS)
        Run(plan, NoWorkers(), Progress("silent")).run("filter")


def report(folder: DumpFolder) -> None:
    """Report on the finished run."""
    run_commands(["report"], str(folder.out), [], None, [], 0, None, update=False, as_json=False)


def rerun(folder: DumpFolder) -> None:
    """Run all steps of the finished run again."""
    run_commands(commands(), str(folder.out), [str(folder.crawl)], None, [], 0, None, update=False, as_json=False)


def verify(folder: DumpFolder) -> None:
    """Check manifests and listings."""
    plan = open_plan(str(folder.out))
    state = survey(plan, Cluster())
    assert not state.left, state.left
    assert not state.faults, state.faults[:3]
    unlisted = [*Verification(plan, Cluster(), plan.folder).unlisted_files(state, set(state.outputs))]
    assert not unlisted, unlisted[:3]


def dedup(folder: DumpFolder) -> None:
    """Deduplicate the generated signatures."""
    plan = open_plan(str(folder.out))
    settings = plan.recipe.table("dedup")
    shards = [Shard(plan.folder, source.shard, 0, 0) for source in plan.inputs]
    best = survivor_value(settings.survivor, plan.recipe.stages)
    result = deduplicate(plan.folder, settings, best, shards, Cluster(), "measured")
    assert result.counts["documents"] == 2 * len(shards)


def packing(folder: DumpFolder) -> None:
    """Make the token shards from encoded files."""
    shutil.rmtree(folder.out / "manifests" / "tokens")
    run_commands(["tokenize"], str(folder.out), [], None, [], 0, None, update=False, as_json=False)
    assert not (folder.out / "encoded").exists()


MEASURES: dict[str, Callable[[DumpFolder], None]] = {
    "planning": planning,
    "report": report,
    "rerun": rerun,
    "verify": verify,
    "dedup": dedup,
    "packing": packing,
}


def measure(name: str, folder: DumpFolder) -> dict[str, float]:
    """Measure in this process: seconds, CPU seconds and peak memory in bytes, as one line of JSON on stdout."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        started, before = time.perf_counter(), time.process_time()
        MEASURES[name](folder)
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - before,
        "memory": peak_memory(),
    }


def peak_memory() -> int:
    """Bytes. `getrusage` would also count the memory of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def in_child(name: str, root: Path, template: Path, size: int) -> dict[str, float]:
    """Measure in a new process."""
    command = [sys.executable, __file__, "--measure", name, "--folder", str(root), "--template", str(template)]
    done = subprocess.run([*command, "--inputs", str(size)], stdout=subprocess.PIPE, text=True, check=True)
    values: dict[str, float] = json.loads(done.stdout)
    return values


def make_template(folder: Path) -> None:
    """A finished run over two small archives."""
    from planted import run, write_crawl

    run(write_crawl(folder / "crawl"), folder / "out")


def main() -> int:
    """Make and measure one folder of each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_SIZES} inputs")
    parser.add_argument("--inputs", help=f"numbers of inputs [default: {SIZES}]")
    parser.add_argument("--folder", type=Path, help="where to make the folders [default: a temporary folder]")
    parser.add_argument("--template", type=Path, help="a small finished run to copy from [default: it is made]")
    parser.add_argument("--measure", choices=MEASURES, help="make this measurement of a folder that exists")
    args = parser.parse_args()
    sizes = [int(size) for size in (args.inputs or (QUICK_SIZES if args.quick else SIZES)).split(",")]
    if args.measure:
        print(json.dumps(measure(args.measure, DumpFolder(args.folder, args.template, sizes[0]))))
        return 0
    with tempfile.TemporaryDirectory(dir=args.folder) as root:
        template = args.template or Path(root) / "template"
        if args.template is None:
            make_template(template)
        print_all(Path(root), template, sizes)
    return 0


def print_all(root: Path, template: Path, sizes: list[int]) -> None:
    """Measure each size, and print a table and the figures."""
    figures: list[dict[str, Any]] = []
    before: dict[str, tuple[int, float]] = {}
    print(f"{'inputs':>8}  {'what':<10} {'seconds':>8} {'CPU s':>8} {'CPU ms per input':>17} {'growth':>7} {'MB':>6}")
    for size in sizes:
        place = root / str(size)
        folder = DumpFolder(place, template, size)
        folder.make()
        print(
            f"{size:>8,}  {'bundling':<10} {'':>8} {folder.bundling:>8.1f} {1000 * folder.bundling / size:>17.2f}",
            flush=True,
        )
        for name in MEASURES:
            if name == "packing":
                folder.encode()
            values = in_child(name, place, template, size)
            cpu, growth = values["cpu"], math.nan
            if name in before:
                smaller, earlier = before[name]
                growth = math.log(cpu / earlier) / math.log(size / smaller)
            before[name] = size, cpu
            columns = f"{values['seconds']:>8.1f} {cpu:>8.1f} {1000 * cpu / size:>17.2f} {growth:>7.2f}"
            print(f"{size:>8,}  {name:<10} {columns} {values['memory'] / 1e6:>6,.0f}", flush=True)
            if name in GOALS:
                figures.append(figure(name, cpu, GOALS[name], "CPU s", size))
        for name, pattern in FILES.items():
            bytes_ = [path.stat().st_size for path in folder.out.glob(pattern)]
            print(f"{size:>8,}  {name:<12} {len(bytes_):>9,} files {sum(bytes_) / 1e6:>9,.1f} MB", flush=True)
            if name == "manifests":
                figures.append(figure(name, sum(bytes_) / 1e6, MANIFESTS_MB, "MB", size))
        shutil.rmtree(place)
    for entry in figures:
        print(json.dumps(entry))


def figure(name: str, ours: float, goal: float, unit: str, size: int) -> dict[str, Any]:
    """A figure whose peer is the goal at 90,000 inputs."""
    return {
        "name": name,
        "ours": round(ours, 2),
        "peer": round(goal, 2),
        "ratio": round(goal / ours, 2),
        "unit": unit,
        "n": size,
    }


if __name__ == "__main__":
    sys.exit(main())
