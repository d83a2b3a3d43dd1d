"""Alarms, rung: the shares that a finished step removed, counted from its manifests and held against the recipe."""

from __future__ import annotations

from collections.abc import Sequence

from curation.errors import AlarmRaised
from curation.jobs.steps.plan import Plan
from curation.recipes.alarms import AFTER_DEDUP, QUARANTINED, READ, Rate, describe
from curation.stages.tally import sum_counts
from curation.store.manifest import step_counts

MANIFESTS = {"filter": "filter", "dedup": "corpus"}
"""The step of the command line, and under which name it leaves manifests."""


def ring(plan: Plan, step: str, shards: Sequence[str], quarantined: int) -> None:
    """Raise AlarmRaised if a stage of the finished `step` left its band. quarantined: inputs given up.

    Manifests are read only if the recipe has a band for the step.
    """
    alarms = plan.recipe.alarms
    wanted = {band.stage for band in alarms.bands}
    wanted = wanted & {*AFTER_DEDUP} if step == "dedup" else wanted - {*AFTER_DEDUP}
    if step not in MANIFESTS or not wanted:
        return
    rates = removal_rates(plan, step, shards) if wanted - {QUARANTINED} else {}
    if step == "filter":
        rates[QUARANTINED] = Rate(quarantined, len(plan.inputs), "inputs")
    found = alarms.ringing({name: rate for name, rate in rates.items() if name in wanted})
    if found:
        raise AlarmRaised(describe(found, step, plan.folder.url))


def removal_rates(plan: Plan, step: str, shards: Sequence[str]) -> dict[str, Rate]:
    """By stage, over the shards named: what the step's manifests say entered and was removed."""
    total = sum_counts(step_counts(plan.folder, MANIFESTS[step], shards))
    rates = {
        name: Rate(tally.documents_in - tally.documents_out, tally.documents_in) for name, tally in total.stages.items()
    }
    if total.read:
        skipped = sum(count for name, count in total.read.items() if name.startswith("skipped."))
        pages = sum(count for name, count in total.read.items() if name.startswith("pages."))
        rates[READ] = Rate(skipped, skipped + pages, "records")
    return rates
