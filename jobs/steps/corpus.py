"""The corpus step: removes duplicates by the drop lists and replaces personal data, one task per shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Int64s
from curation.dedup.decisions import DROPS
from curation.dedup.lines import CutLines
from curation.jobs.steps.tasks import run_tasks
from curation.recipes.recipe import Recipe
from curation.running.performance import Meter
from curation.stages.batch import Batch
from curation.stages.signals import Histogram, add_histograms, to_json
from curation.stages.stage import Outcome, Stage, apply, signal_type
from curation.stages.tally import StageTally, add_stages
from curation.store import paths, schema
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.store.shards import ShardWriter, read_shard, read_table

if TYPE_CHECKING:
    from curation.jobs.steps.run import Run

STEP = "corpus"

DROP_SIGNALS = ("similarity", "cluster_id", "survivor_id", "survivor_shard", "survivor_run")
"""Columns of a drop list that are the signals in removed/dedup."""


@dataclass(frozen=True, slots=True)
class CorpusTask:
    """One shard to make."""

    folder: Folder
    shard: str
    pii: Stage
    fingerprint: str


def make(run: Run) -> None:
    """Make every shard of the corpus that is not done yet."""
    pii: Stage = run.plan.recipe.table("pii")
    tasks = [CorpusTask(run.plan.folder, shard, pii, run.fingerprints.of(STEP, shard)) for shard in run.shards]
    run_tasks(STEP, write_shard, tasks, run.cluster, run.progress)


def removed_columns(recipe: Recipe, signals: pa.DataType) -> pa.Schema:
    """Columns of removed/dedup/. Its signals depend on the options of deduplication, so any struct is accepted."""
    return schema.removed(pa.struct([]))


def write_shard(task: CorpusTask) -> dict[str, int]:
    """Make one shard of corpus/ and of removed/dedup/, its manifest last; returns documents in and out."""
    meter = Meter()
    folder, shard = task.folder, task.shard
    drops = Drops(read_table(folder, paths.DROPS.path(shard)), read_table(folder, paths.CLUSTERED.path(shard)))
    stages: list[tuple[str, Stage]] = [("dedup", drops), *line_cuts(folder, shard), ("pii", task.pii)]
    signals = signal_type(stages, Batch(_numbered(pa.RecordBatch.from_pylist([], schema=schema.DOCUMENT), 0)))
    metadata = {"curation.fingerprint": task.fingerprint}
    tallies: dict[str, StageTally] = {}
    counted: dict[str, Histogram] = {}
    first = 0
    with (
        ShardWriter(folder, paths.CORPUS.path(shard), schema.DOCUMENT, metadata) as corpus,
        ShardWriter(folder, paths.REMOVED_BY_DEDUP.path(shard), schema.removed(signals), metadata) as removed,
    ):
        for batch in read_shard(folder, paths.DOCUMENTS.path(shard)):
            applied = apply(stages, Batch(_numbered(batch, first)), signals)
            first += batch.num_rows
            corpus.write(applied.kept.table)
            for rows in applied.removed:
                removed.write(rows)
            tallies = add_stages(tallies, applied.tallies)
            counted = add_histograms(counted, applied.histograms)
            meter.add(applied.nanoseconds)
    counts = {"stages": {name: tally.to_json() for name, tally in tallies.items()}, "signals": to_json(counted)}
    outputs = [corpus.output, removed.output]
    Manifest(STEP, shard, task.fingerprint, [], outputs, counts).write(folder, meter.report())
    return {"documents_in": first, "documents_out": corpus.output.rows}


def line_cuts(folder: Folder, shard: str) -> list[tuple[str, Stage]]:
    """The stage that cuts the lines listed by line-level deduplication, if that ran."""
    path = paths.LINE_CUTS.path(shard)
    return [("lines", CutLines(read_table(folder, path)))] if folder.exists(path) else []


def _numbered(batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
    rows = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
    return batch.append_column(pa.field("row", pa.int64()), rows)


@dataclass(frozen=True, slots=True)
class Drops:
    """A shard's drop list as a stage, so that duplicates are removed, counted and explained like other documents.

    The batch needs a column `row`, the number of each document in its shard.

    Attributes:
        dropped: Duplicates to remove, columns DROPS of `curation.dedup.decisions`, rows ascending.
        kept: Survivors of clusters, columns KEPT, rows ascending.
    """

    dropped: pa.Table
    kept: pa.Table
    version: ClassVar[int] = 1

    def __call__(self, batch: Batch, /) -> Outcome:
        """Fill minhash_cluster_size; remove listed documents with the reason in the list."""
        rows = batch.column("row").to_numpy()
        positions, listed = _positions(rows, self.dropped["row"].to_numpy())
        drops = self.dropped.take(pa.array(positions, mask=~listed))
        sizes = np.ones(len(rows), dtype=np.int64)
        for table in (self.dropped, self.kept):
            at, there = _positions(rows, table["row"].to_numpy())
            sizes[there] = table["cluster_size"].to_numpy()[at[there]]
        columns = [drops[name].combine_chunks() for name in DROP_SIGNALS]
        signals = pa.StructArray.from_arrays(columns, fields=[DROPS.field(name) for name in DROP_SIGNALS])
        return Outcome(
            batch.with_columns(minhash_cluster_size=pa.array(sizes)), drops["reason"].combine_chunks(), signals
        )


def _positions(rows: Int64s, among: Int64s) -> tuple[Int64s, Bools]:
    """The position of each row in the ascending `among`, and whether it is there at all."""
    positions = np.minimum(np.searchsorted(among, rows), max(len(among) - 1, 0))
    is_there = among[positions] == rows if len(among) else np.zeros(len(rows), dtype=np.bool_)
    return positions, is_there
