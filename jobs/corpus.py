"""The corpus step: documents less the drop lists, personal data replaced, one task a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from curation.cluster import Cluster
from curation.jobs.plan import Plan
from curation.jobs.progress import Progress
from curation.manifest import is_done
from curation.stage import Stage
from curation.storage import Folder

STEP = "corpus"

DEDUP_SIGNALS = pa.struct([("similarity", pa.float64()), ("cluster_id", pa.string()), ("survivor_id", pa.string())])
"""What removed/dedup tells of a duplicate: estimated Jaccard similarity to its survivor, if verified, and the survivor."""


@dataclass(frozen=True, slots=True)
class CorpusTask:
    """One shard to make."""

    folder: Folder
    shard: str
    pii: Stage
    fingerprint: str


def write_corpus(plan: Plan, shards: Sequence[str], upstream: str, cluster: Cluster, progress: Progress) -> str:
    """Make every shard of the corpus that is not done yet; returns the step's fingerprint."""
    pii: Stage = plan.recipe.table("pii")
    step = plan.table_fingerprint(STEP, "pii", upstream=[upstream])
    tasks = [CorpusTask(plan.folder, shard, pii, step) for shard in shards]
    tasks = [task for task in tasks if is_done(plan.folder, STEP, task.shard, step) is None]
    with progress.step(STEP, len(shards), len(shards) - len(tasks)) as bar:
        for counts in cluster.each(write_shard, tasks):
            bar.advance(**counts)
    return step
