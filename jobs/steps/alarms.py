"""Alarms: compares the shares that a finished step removed, by its manifests, with the bands of the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from curation.errors import AlarmRaised
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.table import OTHERS, Step, steps
from curation.recipes.alarms import READ, Rate, describe, quarantine_rates
from curation.stages.tally import sum_counts
from curation.store.manifest import step_counts


def check_alarms(plan: Plan, step: Step, shards: Sequence[str], quarantined: Sequence[Mapping[str, str]]) -> None:
    """Raise an alarm if a stage is outside its band. Manifests are read only if the recipe has a band for the step.

    Args:
        plan: The run.
        step: A finished step.
        shards: Its shards.
        quarantined: The quarantined inputs, as in run.json.

    Raises:
        AlarmRaised: A stage is outside its band; the message names each such stage, its share and its band.
    """
    alarms = plan.recipe.alarms
    others = {name for other in steps() for name in other.alarms if other is not step}
    wanted = {band.stage for band in alarms.bands if band.stage in step.alarms or OTHERS in step.alarms} - others
    if not wanted:
        return
    by_input = quarantine_rates(quarantined, len(plan.inputs)) if OTHERS in step.alarms else {}
    rates = {**(removal_rates(plan, step.name, shards) if wanted - {*by_input} else {}), **by_input}
    violated = alarms.violated({name: rate for name, rate in rates.items() if name in wanted})
    if violated:
        raise AlarmRaised(describe(violated, step.command, plan.folder.url))


def removal_rates(plan: Plan, step: str, shards: Sequence[str]) -> dict[str, Rate]:
    """How much entered and was removed over the given shards, by stage, from the manifests of the step."""
    total = sum_counts(step_counts(plan.folder, step, shards))
    rates = {
        name: Rate(tally.documents_in - tally.documents_out, tally.documents_in) for name, tally in total.stages.items()
    }
    if total.read:
        skipped = sum(
            count
            for name, count in total.read.items()
            if name.startswith("skipped.") and not name.startswith(("skipped.type.", "skipped.status"))
        )
        pages = sum(count for name, count in total.read.items() if name.startswith("pages."))
        rates[READ] = Rate(skipped, skipped + pages, "records")
    return rates
