"""The filter step: turns one input into one shard of kept documents, removed documents and signatures.

A shard is one task, or several if an archive is divided (`archive_parts`). It is streamed in batches: while one batch
is in the isolated extraction process, the heuristics run on the previous one and the input is read ahead. Memory is
bounded by the batches in flight, not by the size of the input.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curation.archives.inputs import Input
from curation.archives.ledger import Loss
from curation.archives.lines import count_lines
from curation.archives.watched import prepare, read_watched
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import VERSION as SIGNATURES_VERSION
from curation.dedup.signatures import signature_schema, signatures
from curation.extraction.acceleration.patches import NotAccelerated
from curation.extraction.extract import Extract
from curation.jobs.steps.acceleration import warn_about_slow_extraction
from curation.jobs.steps.archive_parts import add_times, divided, finished_parts, join, make_parts
from curation.jobs.steps.damage import damaged_inputs, describe_damage
from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.moved_thresholds import EarlierShard, filtered_again, recipe_before
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.progress import TELL_SECONDS
from curation.jobs.steps.removed import all_signals
from curation.jobs.steps.tasks import run_tasks
from curation.recipes.alarms import UNAVAILABLE
from curation.recipes.recipe import Recipe
from curation.running.answers import TaskFailure
from curation.running.clients import tell
from curation.running.compiled import is_cached
from curation.running.overlap import overlapped
from curation.running.performance import Meter
from curation.stages.batch import Batch
from curation.stages.signals import Histogram, add_histograms, stored_rows, stored_schema, to_json
from curation.stages.stage import Applied, apply, signal_type
from curation.stages.tally import StageTally, add_stages
from curation.store import paths, schema
from curation.store.folder import Folder
from curation.store.manifest import Manifest, fingerprints
from curation.store.shards import ShardWriter

if TYPE_CHECKING:
    from curation.jobs.steps.run import Run

STEP = "filter"

BATCHES_AT_WORK = 2
"""One in extraction, one in the heuristics. A third was not measurably faster and took its memory."""

POSITION = "position"
"""A column used only in this step: the document's number in the archive, by which removed rows are ordered."""


@dataclass(frozen=True, slots=True)
class FilterTask:
    """One shard to make.

    Attributes:
        folder: The output folder.
        recipe: The recipe.
        source: The input.
        fingerprint: Of the shard.
        parts: The parts of a divided archive, which are made before.
        earlier: The same shard filtered with other thresholds.
    """

    folder: Folder
    recipe: Recipe
    source: Input
    fingerprint: str
    parts: tuple[Input, ...] = ()
    earlier: EarlierShard | None = None

    @property
    def shard(self) -> str:
        """Its name in manifests/filter/."""
        return self.source.shard


def make(run: Run) -> None:
    """Make every shard that is not up to date; quarantine inputs that cannot be read, name those that are damaged."""
    plan = run.plan
    of = run.fingerprints.of
    sources = _with_first_rows(run)
    earlier = _earlier_shards(plan)
    tasks = [
        FilterTask(plan.folder, plan.recipe, source, of(STEP, source.shard), earlier=earlier.get(source.shard))
        for source in sources
    ]
    quarantined: dict[str, dict[str, Any]] = {}

    def give_up(failure: TaskFailure[FilterTask]) -> str:
        source = failure.item.source
        quarantined[source.shard] = {**source.place, "cause": failure.cause, "kind": failure.kind}
        return source.path

    def starting(left: Sequence[FilterTask]) -> Sequence[FilterTask]:
        warn_about_slow_extraction(plan.recipe, run.cluster, run.progress)
        for sentence in plan.recipe.substitutes():
            run.progress.warn(sentence, event="words")
        left = divided(run, left)
        make_parts(run, STEP, left, filter_archive)
        return left

    run_tasks(
        STEP,
        filter_archive,
        tasks,
        run.cluster,
        run.progress,
        give_up=give_up,
        starting=starting,
        stop_when_down=any(band.stage == UNAVAILABLE for band in plan.recipe.alarms.bands),
        size=lambda task: task.source.bytes,
    )
    damaged = damaged_inputs(plan.folder, [source for source in plan.inputs if source.shard not in quarantined])
    for entry in damaged:
        if entry not in run.damaged:
            run.progress.warn(describe_damage(entry), event="damaged", **entry)
    entries = sorted(quarantined.values(), key=lambda entry: (entry["path"], entry.get("start", 0)))
    run.record(entries, damaged)
    plan.folder.remove(paths.UNFINISHED)


def _earlier_shards(plan: Plan) -> dict[str, EarlierShard]:
    """The shards that an earlier run has with other thresholds."""
    recipe = recipe_before(plan)
    if plan.earlier is None or recipe is None:
        return {}
    folder = plan.earlier.folder
    past = Fingerprints(replace(plan, folder=folder, recipe=recipe))
    done = fingerprints(folder, STEP)
    expected = {source.shard: past.of(STEP, source.shard) for source in plan.inputs}
    return {shard: EarlierShard(folder, recipe, own) for shard, own in expected.items() if done.get(shard) == own}


def _with_first_rows(run: Run) -> list[Input]:
    """The inputs, with the number of the first row of each part of a file whose lines must be counted to know it.

    Every part counts its own lines, so that a file is read twice, not once for each part. If a file cannot be read now,
    the number stays unknown, and the part counts all lines before it when its turn comes.
    """
    sources = list(run.plan.inputs)
    done = fingerprints(run.plan.folder, STEP)
    parts = [each for each in sources if each.is_part and each.kind == "jsonl" and each.first_row is None]
    needed = {part.path for part in parts if done.get(part.shard) != run.fingerprints.of(STEP, part.shard)}
    counted = [part for part in parts if part.path in needed]
    if not counted:
        return sources
    first_rows: dict[str, int | None] = {}
    total: dict[str, int | None] = dict.fromkeys(needed, 0)
    for part, lines in zip(counted, run.cluster.gather(lines_of, counted), strict=True):
        before = first_rows[part.shard] = total[part.path]
        total[part.path] = None if before is None or lines is None else before + lines
    return [replace(each, first_row=first_rows.get(each.shard, each.first_row)) for each in sources]


def lines_of(source: Input) -> int | None:
    """The number of line ends in a part of a file; None if it cannot be read."""
    try:
        with source.open() as stream:
            return count_lines(stream, source.start, source.end)
    except OSError:
        return None


def depends(plan: Plan, shards: Sequence[str]) -> list[Any]:
    """What a shard depends on besides its input and the tables of the step: the stages and the kind of signatures."""
    settings: DedupSettings = plan.recipe.table("dedup")
    return [plan.recipe.identity()["stages"], SIGNATURES_VERSION, *settings.signature]


def signature_columns(recipe: Recipe, signals: pa.DataType) -> pa.Schema:
    """Columns of signatures/."""
    return signature_schema(recipe.table("dedup"))


def signal_columns(recipe: Recipe, signals: pa.DataType) -> pa.Schema | None:
    """Columns of signals/; None if the signals are unknown."""
    return stored_schema(signals) if signals.num_fields else None


def filter_archive(task: FilterTask) -> dict[str, int]:
    """Make one shard, its manifest last; returns documents read and kept.

    Raises:
        UnreadableArchive: Nothing in the input can be read.
        NotDivisible: The input is a part of an archive that cannot be read by itself.
    """
    warnings.simplefilter("ignore", NotAccelerated)  # the driver warns once for all workers
    meter = Meter()
    folder, recipe, shard = task.folder, task.recipe, task.shard
    is_stored = recipe.table("signals").stored
    parts = finished_parts(task, STEP)
    if task.earlier is None and not parts:
        prepare(task.source)  # processes start while the kernels of the stages are loaded here
        for _, stage in recipe.stages:
            if isinstance(stage, Extract):
                stage.prepare()
    signals = signal_type(recipe.stages, empty_batch())
    everything = all_signals(signals)
    files = {
        paths.DOCUMENTS: schema.DOCUMENT,
        paths.REMOVED_BY_FILTER: schema.removed(everything),
        paths.SIGNATURES: signature_schema(recipe.table("dedup")),
        **({paths.SIGNALS: stored_schema(signals)} if is_stored else {}),
    }
    moved = filtered_again(task, signals) if task.earlier is not None else None
    with ExitStack() as stack:
        writers = {
            each: stack.enter_context(ShardWriter(folder, each.path(shard), columns, _metadata(task)))
            for each, columns in files.items()
        }
        if moved is not None:
            counts = moved.write(writers, meter)
        elif parts:
            counts = join(folder, parts, writers, meter)
        else:
            counts = _filter(task, everything, writers, meter)
    if not is_stored:
        folder.remove(paths.SIGNALS.path(shard))
    outputs = [writer.output for writer in writers.values()]
    times = add_times(meter.report(), folder, parts)
    Manifest(STEP, shard, task.fingerprint, [task.source.identity], outputs, counts).write(folder, times)
    documents, removed, *_ = outputs
    return {"documents_in": documents.rows + removed.rows, "documents_out": documents.rows}


def is_compiled(recipe: Recipe) -> bool:
    """Whether the first page will not wait for kernels to be compiled: some of those that it needs stand for all."""
    from curation.language.fasttext_kernels import fill_table

    kernels = [
        fill_table,
        *(kernel for _, stage in recipe.stages if isinstance(stage, Extract) for kernel in stage.kernels()),
    ]
    return all(map(is_cached, kernels))


def compile_kernels(recipe: Recipe) -> None:
    """Compile the kernels of the stages, from the last to the first: a worker begins with the first."""
    batch = Batch(pa.RecordBatch.from_pylist([], schema=schema.DOCUMENT))
    for _, stage in reversed(recipe.stages):
        if type(stage).__module__.startswith("curation."):
            with suppress(KeyError):  # the stage reads a column that only pages have
                stage(batch)


def _filter(
    task: FilterTask, signals: pa.DataType, writers: Mapping[paths.ShardFiles, ShardWriter], meter: Meter
) -> dict[str, Any]:
    """Read an input and write what becomes of its documents; returns what the manifest counts."""
    recipe = task.recipe
    settings: DedupSettings = recipe.table("dedup")
    measure_all = recipe.table("signals").all
    by_language = recipe.by_language()
    read: Counter[str] = Counter()
    losses: list[Loss] = []
    tallies: dict[str, StageTally] = {}
    counted: dict[str, Histogram] = {}

    def process(batch: Batch) -> tuple[Applied, pa.RecordBatch]:
        if by_language is not None:
            applied = by_language.apply(batch, signals, measure_all=measure_all)
        else:
            applied = apply(recipe.stages, batch, signals, measure_all=measure_all)
        with meter.timed("signatures"):
            return applied, signatures(applied.kept, settings)

    reporter = _ProgressReporter(task)
    batches = read_watched(task.source, recipe.table("read"), read, losses, reporter.read)
    numbered = _numbered(meter.each("read", batches))
    for applied, signature in overlapped(process, numbered, BATCHES_AT_WORK):
        with meter.timed("write"):
            writers[paths.DOCUMENTS].write(applied.kept.table)
            writers[paths.SIGNATURES].write(signature)
            if paths.SIGNALS in writers:
                writers[paths.SIGNALS].write(stored_rows(applied.kept.table, applied.signals))
            if applied.removed:
                removed = pa.Table.from_batches(applied.removed).sort_by(POSITION)
                writers[paths.REMOVED_BY_FILTER].write(removed)
        tallies = add_stages(tallies, applied.tallies)
        counted = add_histograms(counted, applied.histograms)
        meter.add(applied.nanoseconds)
        reporter.filtered()
    return {
        "read": dict(sorted(read.items())),
        "stages": {name: tally.to_json() for name, tally in tallies.items()},
        "signals": to_json(counted),
        "losses": [loss.to_json() for loss in losses],
    }


class _ProgressReporter:
    """Tells the driver, now and then, up to which byte of an input the documents are filtered."""

    def __init__(self, task: FilterTask) -> None:
        self._task, self._next = task, time.monotonic() + TELL_SECONDS
        self._offsets: deque[int] = deque()

    def read(self, offset: int) -> None:
        """Note up to which byte the next batch goes."""
        self._offsets.append(offset)

    def filtered(self) -> None:
        """Count the first batch that is not yet counted."""
        offset = self._offsets.popleft() if self._offsets else self._task.source.start
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TELL_SECONDS
            tell(self._task.folder.url, [self._task.shard, offset - self._task.source.start])


def empty_batch() -> Batch:
    """A batch of no records, with the columns that the reader gives."""
    return Batch(pa.RecordBatch.from_pylist([], schema=schema.RECORD.append(pa.field(POSITION, pa.int64()))))


def _metadata(task: FilterTask) -> dict[str, str]:
    return {"curation.fingerprint": task.fingerprint, "curation.recipe": task.recipe.name}


def _numbered(batches: Iterable[Batch]) -> Iterator[Batch]:
    start = 0
    for batch in batches:
        yield batch.with_columns(**{POSITION: pa.array(np.arange(start, start + len(batch), dtype=np.int64))})
        start += len(batch)
