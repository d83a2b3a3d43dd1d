"""The dedup step: signatures to drop lists, by the phases of `curation.dedup.run`."""

from __future__ import annotations

from collections.abc import Sequence

from curation.dedup.documents import WORK, Shard, earlier_fingerprints, earlier_shards
from curation.dedup.run import prepare
from curation.dedup.survivor_rules import survivor_value as worth
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.progress import Progress
from curation.running.cluster import Cluster
from curation.store.manifest import WHOLE, Manifest, is_done

STEP = "dedup"


def find_duplicates(plan: Plan, shards: Sequence[str], upstream: str, cluster: Cluster, progress: Progress) -> str:
    """Write the drop list and the survivors of every shard (names in input order); returns the step's fingerprint."""
    folder, settings = plan.folder, plan.recipe.table("dedup")
    earlier = earlier_shards(settings)
    mark = plan.table_fingerprint(STEP, "dedup", upstream=[upstream, *earlier_fingerprints(earlier)])
    done = is_done(folder, STEP, WHOLE, mark) is not None
    if done:
        with progress.step(STEP, 1, 1, unit="parts"):
            return mark
    best = worth(settings.survivor, plan.recipe.stages)
    all_shards = [*earlier, *(Shard(folder, name, 0, 0) for name in shards)]
    run = prepare(folder, settings, best, all_shards, cluster, mark)
    with progress.step(STEP, run.expected, unit="parts") as bar:
        found = run.deduplicate(bar.advance)
        manifest = Manifest(STEP, WHOLE, mark, outputs=found.outputs, counts=found.counts)
        manifest.write(folder, found.performance)
        folder.remove(WORK)
    return mark
