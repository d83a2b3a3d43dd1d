"""The corpus step: removes duplicates by the drop lists, benchmark items and personal data, one task per shard."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools, Int64s
from curation.dedup.decisions import DROPS
from curation.dedup.lines import CutLines
from curation.dedup.settings import DedupSettings
from curation.filters.decontaminate import MATCHES
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.removed import DROP_SIGNALS, signals_of
from curation.jobs.steps.tasks import run_tasks
from curation.recipes.recipe import Recipe
from curation.report.funnel import OF_EARLIER_RUNS
from curation.running.performance import Meter
from curation.stages.batch import Batch
from curation.stages.parameters import identity
from curation.stages.signals import Histogram, add_histograms, to_json
from curation.stages.stage import Applied, Outcome, Stage, apply
from curation.stages.tally import StageTally, add_stages
from curation.store import paths, schema
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.store.shards import ShardWriter, read_shard, read_table

if TYPE_CHECKING:
    from curation.jobs.steps.run import Run

STEP = "corpus"


@dataclass(frozen=True, slots=True)
class CorpusTask:
    """One shard to make."""

    folder: Folder
    shard: str
    later: tuple[tuple[str, Stage], ...]
    fingerprint: str
    has_earlier: bool = False


def make(run: Run) -> None:
    """Make every shard of the corpus that is not done yet."""
    later = later_stages(run.plan.recipe)
    dedup: DedupSettings = run.plan.recipe.table("dedup")
    has_earlier = bool(dedup.against) and dedup.mode != "within"
    tasks = [
        CorpusTask(run.plan.folder, shard, later, run.fingerprints.of(STEP, shard), has_earlier) for shard in run.shards
    ]
    run_tasks(STEP, write_shard, tasks, run.cluster, run.progress)


def later_stages(recipe: Recipe) -> tuple[tuple[str, Stage], ...]:
    """The stages after deduplication, in order: decontamination if it is on, and personal data."""
    decontaminate = recipe.table("decontaminate")
    first = () if decontaminate.is_off else (("decontaminate", decontaminate),)
    return (*first, ("pii", recipe.table("pii")))


def depends(plan: Plan, shards: Sequence[str]) -> Any:
    """What a shard depends on besides the tables of the step: decontamination, if it is on."""
    table = plan.recipe.table("decontaminate")
    return None if table.is_off else identity(table)


def write_shard(task: CorpusTask) -> dict[str, int]:
    """Make one shard of corpus/ and of removed/dedup/, its manifest last; returns documents in and out."""
    meter = Meter()
    folder, shard = task.folder, task.shard
    dropped, kept = (read_table(folder, files.path(shard)) for files in (paths.DROPS, paths.CLUSTERED))
    drops = Drops(dropped, kept, task.has_earlier)
    stages: list[tuple[str, Stage]] = [("dedup", drops), *line_cuts(folder, shard), *task.later]
    signals = signals_of(folder, shard)
    metadata = {"curation.fingerprint": task.fingerprint}
    tallies: dict[str, StageTally] = {}
    counted: dict[str, Histogram] = {}
    first = 0
    is_decontaminated = "decontaminate" in dict(stages)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(ShardWriter(folder, files.path(shard), columns, metadata))
            for files, columns in (
                (paths.CORPUS, schema.DOCUMENT),
                (paths.REMOVED_BY_DEDUP, schema.removed(signals)),
                *(((paths.CONTAMINATION, MATCHES),) if is_decontaminated else ()),
            )
        ]
        corpus, removed, *listed = writers
        for batch in read_shard(folder, paths.DOCUMENTS.path(shard)):
            applied = apply(stages, Batch(_numbered(batch, first)), signals)
            first += batch.num_rows
            corpus.write(applied.kept.table)
            for rows in applied.removed:
                removed.write(rows)
            for writer in listed:
                writer.write(found_items(applied))
            tallies = add_stages(tallies, applied.tallies)
            counted = add_histograms(counted, applied.histograms)
            meter.add(applied.nanoseconds)
    counts = {"stages": {name: tally.to_json() for name, tally in tallies.items()}, "signals": to_json(counted)}
    if not is_decontaminated:
        folder.remove(paths.CONTAMINATION.path(shard))
    outputs = [writer.output for writer in writers]
    Manifest(STEP, shard, task.fingerprint, [], outputs, counts).write(folder, meter.report())
    return {"documents_in": first, "documents_out": corpus.output.rows}


def found_items(applied: Applied) -> pa.Table:
    """The documents in which a benchmark item was found, columns MATCHES, kept ones first."""
    parts = [(applied.kept.table, applied.signals)]
    parts += [(rows, rows.column("signals")) for rows in applied.removed]
    tables = [MATCHES.empty_table()]
    for rows, signals in parts:
        fields = [signals.field(f"decontaminate.{name}") for name in MATCHES.names[2:]]
        table = pa.table([rows.column("id"), rows.column("url"), *fields], schema=MATCHES)
        tables.append(table.filter(pc.is_valid(table["outcome"])))
    return pa.concat_tables(tables)


def line_cuts(folder: Folder, shard: str) -> list[tuple[str, Stage]]:
    """The stage that cuts the lines listed by line-level deduplication, if that ran."""
    path = paths.LINE_CUTS.path(shard)
    return [("lines", CutLines(read_table(folder, path)))] if folder.exists(path) else []


def _numbered(batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
    rows = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
    return batch.append_column(pa.field("position", pa.int64()), rows)


@dataclass(frozen=True, slots=True)
class Drops:
    """A shard's drop list as a stage, so that duplicates are removed, counted and explained like other documents.

    The batch needs a column `position`, the number of each document in its shard.

    Attributes:
        dropped: Duplicates to remove, columns DROPS of `curation.dedup.decisions`, rows ascending.
        kept: Survivors of clusters, columns KEPT, rows ascending.
        has_earlier: Whether there are earlier runs, whose duplicates are counted.
    """

    dropped: pa.Table
    kept: pa.Table
    has_earlier: bool = False
    version: ClassVar[int] = 1

    def __call__(self, batch: Batch, /) -> Outcome:
        """Fill minhash_cluster_size; remove listed documents with the reason in the list."""
        rows = batch.column("position").to_numpy()
        positions, listed = _positions(rows, self.dropped["row"].to_numpy())
        drops = self.dropped.take(pa.array(positions, mask=~listed))
        sizes = np.ones(len(rows), dtype=np.int64)
        for table in (self.dropped, self.kept):
            at, there = _positions(rows, table["row"].to_numpy())
            sizes[there] = table["cluster_size"].to_numpy()[at[there]]
        columns = [drops[name].combine_chunks() for name in DROP_SIGNALS]
        signals = pa.StructArray.from_arrays(columns, fields=[DROPS.field(name) for name in DROP_SIGNALS])
        counts = {}
        if self.has_earlier:
            counts[OF_EARLIER_RUNS] = len(rows) - drops["survivor_run"].null_count
        return Outcome(
            batch.with_columns(minhash_cluster_size=pa.array(sizes)), drops["reason"].combine_chunks(), signals, counts
        )


def _positions(rows: Int64s, among: Int64s) -> tuple[Int64s, Bools]:
    """The position of each row in the ascending `among`, and whether it is there at all."""
    positions = np.minimum(np.searchsorted(among, rows), max(len(among) - 1, 0))
    is_there = among[positions] == rows if len(among) else np.zeros(len(rows), dtype=np.bool_)
    return positions, is_there
