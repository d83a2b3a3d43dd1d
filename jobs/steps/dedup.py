"""The dedup step: turns signatures into drop lists, by the phases of `curation.dedup.run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from curation.dedup.documents import WORK, Shard, earlier_fingerprints, earlier_shards
from curation.dedup.run import prepare
from curation.dedup.survivor_rules import survivor_value
from curation.jobs.steps.plan import Plan
from curation.store.manifest import WHOLE, Manifest, is_done

if TYPE_CHECKING:
    from curation.jobs.steps.run import Run

STEP = "dedup"


def make(run: Run) -> None:
    """Write the drop list and the survivors of every shard, unless they are up to date."""
    plan, fingerprint = run.plan, run.fingerprints.of(STEP)
    folder, settings = plan.folder, plan.recipe.table("dedup")
    if is_done(folder, STEP, WHOLE, fingerprint) is not None:
        with run.progress.step(STEP, 1, 1, unit="parts"):
            return
    best = survivor_value(settings.survivor, plan.recipe.stages)
    shards = [*earlier_shards(settings), *(Shard(folder, name, 0, 0) for name in run.shards)]
    deduplication = prepare(folder, settings, best, shards, run.cluster, fingerprint)
    with run.progress.step(STEP, deduplication.expected, unit="parts") as bar:
        result = deduplication.deduplicate(bar.advance)
        manifest = Manifest(STEP, WHOLE, fingerprint, outputs=result.outputs, counts=result.counts)
        manifest.write(folder, result.performance)
        folder.remove(WORK)


def depends(plan: Plan, shards: Sequence[str]) -> list[str]:
    """Fingerprints of the earlier runs to deduplicate against."""
    return earlier_fingerprints(earlier_shards(plan.recipe.table("dedup")))
