"""Alarms: the shares that a finished step removed, counted from its manifests, against the bands of the recipe."""

from __future__ import annotations

from collections.abc import Sequence

from curation.errors import AlarmRaised
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.table import OTHERS, Step, steps
from curation.recipes.alarms import QUARANTINED, READ, Rate, describe
from curation.stages.tally import sum_counts
from curation.store.manifest import step_counts


def ring(plan: Plan, step: Step, shards: Sequence[str], quarantined: int) -> None:
    """Raise an alarm if a stage left its band. Manifests are read only if the recipe has a band for the step.

    Args:
        plan: the run.
        step: a finished step.
        shards: its shards.
        quarantined: number of inputs given up.

    Raises:
        AlarmRaised: naming each stage, its share and its band.
    """
    alarms = plan.recipe.alarms
    others = {name for other in steps() for name in other.alarms if other is not step}
    wanted = {band.stage for band in alarms.bands if band.stage in step.alarms or OTHERS in step.alarms} - others
    if not wanted:
        return
    rates = removal_rates(plan, step.name, shards) if wanted - {QUARANTINED} else {}
    if OTHERS in step.alarms:
        rates[QUARANTINED] = Rate(quarantined, len(plan.inputs), "inputs")
    found = alarms.ringing({name: rate for name, rate in rates.items() if name in wanted})
    if found:
        raise AlarmRaised(describe(found, step.command, plan.folder.url))


def removal_rates(plan: Plan, step: str, shards: Sequence[str]) -> dict[str, Rate]:
    """By stage, over the shards named: what the step's manifests say entered and was removed."""
    total = sum_counts(step_counts(plan.folder, step, shards))
    rates = {
        name: Rate(tally.documents_in - tally.documents_out, tally.documents_in) for name, tally in total.stages.items()
    }
    if total.read:
        skipped = sum(count for name, count in total.read.items() if name.startswith("skipped."))
        pages = sum(count for name, count in total.read.items() if name.startswith("pages."))
        rates[READ] = Rate(skipped, skipped + pages, "records")
    return rates
