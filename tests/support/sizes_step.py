"""A step as a contributor would add it: it counts the characters of every document of the corpus."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from curation.jobs.steps.run import Run
from curation.jobs.steps.table import Step, StepOutput
from curation.jobs.steps.tasks import run_tasks
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.store.paths import CORPUS, ShardFiles
from curation.store.shards import ShardWriter, read_shard

SIZES = ShardFiles("sizes")
COLUMNS = pa.schema([("id", pa.string()), ("characters", pa.int64())])

STEP = Step(
    "sizes",
    "shard",
    "sizes",
    "sizes_step:make",
    after=("corpus",),
    tables=("pii",),
    outputs=(StepOutput(SIZES, "sizes_step:COLUMNS", stamped=True),),
)


@dataclass(frozen=True, slots=True)
class SizesTask:
    """One shard to make."""

    folder: Folder
    shard: str
    fingerprint: str


def make(run: Run) -> None:
    """Make every shard that is not up to date."""
    tasks = [SizesTask(run.plan.folder, shard, run.fingerprints.of("sizes", shard)) for shard in run.shards]
    run_tasks("sizes", make_shard, tasks, run.cluster, run.progress)


def make_shard(task: SizesTask) -> dict[str, int]:
    """Make one shard, its manifest last."""
    metadata = {"curation.fingerprint": task.fingerprint}
    with ShardWriter(task.folder, SIZES.path(task.shard), COLUMNS, metadata) as writer:
        for batch in read_shard(task.folder, CORPUS.path(task.shard), ["id", "text"]):
            sizes = pc.cast(pc.utf8_length(batch.column("text")), pa.int64())
            writer.write(pa.RecordBatch.from_arrays([batch.column("id"), sizes], schema=COLUMNS))
    Manifest("sizes", task.shard, task.fingerprint, outputs=[writer.output]).write(task.folder)
    return {"documents_in": writer.output.rows, "documents_out": writer.output.rows}
