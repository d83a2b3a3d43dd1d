"""`curate what-if` without a change: every threshold of the recipe, and how many documents it removes.

A document is removed for the first rule that it violates, so the number of documents that a threshold removes does not
say how many would be kept without it. Those are the ones that violate no other rule: of the same stage, which measured
them, and of later stages, as far as these measured them too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console

from curation.arrays import Bools
from curation.errors import UsageError
from curation.jobs.steps.moved_rules import MeasuredRows, languages_at, movable, pairs_of, removed_rows
from curation.jobs.steps.plan import Plan
from curation.recipes.differences import describe_value
from curation.recipes.recipe import Recipe
from curation.report.tables import FittedTable
from curation.running.cluster import Cluster
from curation.running.terminal import one_line
from curation.stages.rules import Rule, violations
from curation.stages.stage import Stage
from curation.store.folder import Folder
from curation.store.manifest import fingerprints
from curation.store.paths import REMOVED_BY_FILTER
from curation.store.shards import read_numbered

ROWS = 16_384
"""Documents counted at once."""

FIRST_SIGN = {"c4.lorem_ipsum", "c4.curly_bracket"}
"""Reasons of which only the one that comes first in a text is measured: whether the other follows is not stored."""


@dataclass(frozen=True, slots=True)
class RuleThreshold:
    """A threshold of the recipe.

    Attributes:
        key: The key, such as "gopher_quality.min_words".
        value: Its value, as text.
        removed: Documents removed for it.
        least: How many of them certainly violate no other rule.
        most: How many of them violate no other rule that measured them.
    """

    key: str
    value: str
    removed: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class RunThresholds:
    """The thresholds of a run.

    Attributes:
        active: Those that are set, the ones that remove most first.
        off: Keys of rules that are off, but measured.
        shards: Number of filtered shards, and of inputs.
    """

    active: Sequence[RuleThreshold]
    off: Sequence[str]
    shards: tuple[int, int]


@dataclass(frozen=True, slots=True)
class RemovedByRule:
    """Removed documents by reason. `a + b` is exact.

    Attributes:
        removed: All of them.
        least: Those that certainly violate no other rule.
        most: Those that violate no other rule that measured them.
    """

    removed: Counter[str] = field(default_factory=Counter)
    least: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: RemovedByRule) -> RemovedByRule:
        return RemovedByRule(self.removed + other.removed, self.least + other.least, self.most + other.most)


def thresholds(plan: Plan, cluster: Cluster) -> RunThresholds:
    """List the thresholds that `what_if` can change, with the documents they remove.

    Raises:
        UsageError: No shard has been filtered yet.
    """
    filtered = fingerprints(plan.folder, "filter")
    shards = [source.shard for source in plan.inputs if source.shard in filtered]
    if not shards:
        raise UsageError(f"{plan.folder.url}: no shard has been filtered yet")
    counted = sum(cluster.gather(CountRemoved(plan.folder, plan.recipe), shards), RemovedByRule())
    rules = {f"{name}.{rule.reason}" for name, stage in plan.recipe.stages for rule in getattr(stage, "rules", ())}
    keys = movable(plan.recipe.stages)
    active = [key for key in keys if key in rules or counted.removed[key]]
    listed = [
        RuleThreshold(
            key, describe_value(plan.recipe, key), counted.removed[key], counted.least[key], counted.most[key]
        )
        for key in active
    ]
    off = [key for key in keys if key not in active]
    return RunThresholds(sorted(listed, key=lambda each: -each.removed), off, (len(shards), len(plan.inputs)))


@dataclass(frozen=True, slots=True)
class CountRemoved:
    """Counts the removed documents of one shard; a picklable task for the cluster."""

    folder: Folder
    recipe: Recipe

    def __call__(self, shard: str) -> RemovedByRule:
        """Count them."""
        path, stages = REMOVED_BY_FILTER.path(shard), self.recipe.stages
        by_language = self.recipe.by_language()
        total = RemovedByRule()
        for numbers, batch in read_numbered(self.folder, path, ["id", "stage", "reason", "signals"], ROWS):
            rows = removed_rows(batch, pairs_of(stages, stages))
            if by_language is None:
                total += count_removed(rows, stages)
                continue
            for language, mask in languages_at(self.folder, path, numbers):
                total += count_removed(rows.where(mask), by_language.of(language))
        return total


def count_removed(rows: MeasuredRows, stages: Sequence[tuple[str, Stage]]) -> RemovedByRule:
    """Count rows by reason, and those that no other rule removes."""
    total = RemovedByRule()
    names = [name for name, _ in stages]
    reasons = [f"{names[at]}.{reason}" for at, reason in zip(rows.position, rows.reasons.to_pylist(), strict=True)]
    total.removed.update(reasons)
    numbers = {reason: np.asarray([each == reason for each in reasons], np.bool_) for reason in total.removed}
    for reason, mask in numbers.items():
        name, _, key = reason.partition(".")
        alone, is_sure = _violate_nothing_else(rows.where(mask), stages[names.index(name) :], key)
        total.most[reason] += int(alone.sum())
        total.least[reason] += 0 if reason in FIRST_SIGN else int((alone & is_sure).sum())
    return total


def _violate_nothing_else(rows: MeasuredRows, stages: Sequence[tuple[str, Stage]], own: str) -> tuple[Bools, Bools]:
    """Rows that violate no rule of these stages but the first stage's rule `own`, and those that all have measured."""
    alone, is_sure = np.ones(len(rows), np.bool_), np.ones(len(rows), np.bool_)
    for number, (name, stage) in enumerate(stages):
        rules: Sequence[Rule] = getattr(stage, "rules", ())
        signals = rows.of(name)
        known = {part.name for part in signals.type}
        is_measured = np.zeros(len(rows), np.bool_)
        for part in signals.flatten():
            is_measured |= np.asarray(part.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        for rule in rules:
            if rule.signal in known and (number or rule.reason != own):
                alone &= ~violations(signals, rule)
        is_sure &= is_measured
    return alone, is_sure


def show(answer: RunThresholds, console: Console) -> None:
    """Print a row for each threshold that removes documents, the names of the others, and how to change one."""
    columns = ("threshold", "value", "removes", "no other rule would")
    table = FittedTable(*columns, left=(0, 1), title="What each threshold removes")
    removing = [each for each in answer.active if each.removed]
    for each in removing:
        table.add_row(one_line(each.key), one_line(each.value), f"{each.removed:,}", _span(each))
    if removing:
        console.print(table)
    done, inputs = answer.shards
    if done < inputs:
        console.print(f"{done} of {inputs} shards are filtered; the numbers cover only these.")
    if any(each.least < each.most for each in removing):
        note = "up to: later stages have not measured all of these documents; a run with signals.all=true does"
        console.print(note, soft_wrap=True)
    others = {
        "remove no document": [each.key for each in answer.active if not each.removed],
        "off": answer.off,
    }
    for title, keys in others.items():
        if keys:
            console.print(one_line(f"{title}: {', '.join(keys)}"), soft_wrap=True)
    if answer.active:
        key = one_line(answer.active[0].key)
        change = (
            f"--set {key}=VALUE to count what it would keep with another value, --sweep {key}=A:B:STEP with several"
        )
        console.print(f"next: {change}", soft_wrap=True)


def _span(threshold: RuleThreshold) -> str:
    least, most = threshold.least, threshold.most
    return f"{most:,}" if least == most else f"{least:,} to {most:,}" if least else f"up to {most:,}"


def to_json(answer: RunThresholds) -> Mapping[str, Any]:
    """Convert to plain values for JSON."""
    return {
        "shards": {"counted": answer.shards[0], "inputs": answer.shards[1]},
        "thresholds": [
            {
                "key": each.key,
                "value": each.value,
                "removed": each.removed,
                "only_this_one": {"least": each.least, "most": each.most},
            }
            for each in answer.active
        ],
        "off": list(answer.off),
    }
