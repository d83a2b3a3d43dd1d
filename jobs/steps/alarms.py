"""Alarms: compares the shares that a finished step removed, by its manifests, with the bands of the recipe.

If parameters differ by language, the shares of each language are compared, too: one that loses most of its documents is
hidden in the shares of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curation.errors import AlarmRaised
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.table import OTHERS, Step, steps
from curation.recipes.alarms import READ, Rate, describe, quarantine_rates
from curation.running.cluster import Cluster
from curation.stages.by_language import language_stage
from curation.stages.tally import add_counts, sum_counts
from curation.store.folder import Folder
from curation.store.manifest import step_counts
from curation.store.paths import DOCUMENTS, REMOVED_BY_FILTER
from curation.store.shards import read_shard


def check_alarms(
    plan: Plan, step: Step, shards: Sequence[str], quarantined: Sequence[Mapping[str, str]], cluster: Cluster
) -> None:
    """Raise an alarm if a stage is outside its band. Manifests are read only if the recipe has a band for the step.

    Args:
        plan: The run.
        step: A finished step.
        shards: Its shards.
        quarantined: The quarantined inputs, as in run.json.
        cluster: Where to count documents by language.

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
    if plan.recipe.languages and step.name == "filter" and wanted & {*_stages_after_language(plan)}:
        for own in language_rates(plan, shards, cluster).values():
            violated += alarms.violated(own)
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


def language_rates(plan: Plan, shards: Sequence[str], cluster: Cluster) -> dict[str, dict[str, Rate]]:
    """How many documents entered the stages after the one that identifies the language, and were removed there.

    Args:
        plan: The run.
        shards: Filtered shards.
        cluster: Where to count.

    Returns:
        Rates by language, ascending, then by stage.
    """
    counts: dict[str, int] = {}
    for each in cluster.gather(CountLanguages(plan.folder), shards):
        counts = add_counts(counts, each)
    removed: dict[str, dict[str, int]] = {}
    for key, count in sorted(counts.items()):
        language, _, stage = key.partition("\t")
        removed.setdefault(language, {})[stage] = count
    rates: dict[str, dict[str, Rate]] = {}
    stages = _stages_after_language(plan)
    for language, by_stage in removed.items():
        entered = by_stage.get("", 0) + sum(by_stage.get(stage, 0) for stage in stages)
        rates[language] = {}
        for stage in stages:
            rates[language][stage] = Rate(by_stage.get(stage, 0), entered, f"documents in {language}")
            entered -= by_stage.get(stage, 0)
    return rates


def _stages_after_language(plan: Plan) -> list[str]:
    """The stages after the one that identifies the language."""
    stages = plan.recipe.stages
    return [name for name, _ in stages[language_stage(stages) + 1 :]]


@dataclass(frozen=True, slots=True)
class CountLanguages:
    """Counts the documents of a filtered shard; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, shard: str) -> dict[str, int]:
        """Documents by language and the stage that removed them, none if they are kept, separated by a tab."""
        counts: Counter[str] = Counter()
        for batch in read_shard(self.folder, DOCUMENTS.path(shard), ["language"]):
            counts.update(f"{language}\t" for language in batch["language"].drop_null().to_pylist())
        for batch in read_shard(self.folder, REMOVED_BY_FILTER.path(shard), ["language", "stage"]):
            pairs = zip(batch["language"].to_pylist(), batch["stage"].to_pylist(), strict=True)
            counts.update(f"{language}\t{stage}" for language, stage in pairs if language is not None)
        return dict(counts)
