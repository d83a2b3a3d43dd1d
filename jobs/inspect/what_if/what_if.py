"""`curate what-if`: what changed thresholds would keep, counted from stored signals without reading archives again.

The changed rules are applied to every document, shard by shard. Numbers are exact where the stored signals decide. A
loosened rule passes documents on to stages that never measured them; these make the difference between two bounds,
which are equal if the run had `signals.all`. How deduplication treats added documents is an estimate and labeled so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.errors import NotTrusted, UsageError
from curation.jobs.inspect.what_if.count_shard import CountMoved, fetch_rows
from curation.jobs.inspect.what_if.counts import UNSURE, ChangedDocument, MoveCounts, StageOutput
from curation.jobs.steps.moved_rules import moved_stages
from curation.jobs.steps.plan import Plan, differences
from curation.recipes.differences import value_of
from curation.recipes.recipe import Recipe, from_document
from curation.running.cluster import Cluster
from curation.stages.tally import sum_counts
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, fingerprints, read_manifest, step_counts
from curation.store.paths import RUN

HEAD = 90
"""Number of characters of an example's text to show."""


@dataclass(frozen=True, slots=True)
class Example:
    """A document that would be added or removed.

    Attributes:
        id: Id of the document.
        url: URL of the document.
        before: Reason of the removal now; None if it is kept.
        after: Reason with the changed thresholds; None if it would be kept.
        sure: Whether the stored signals decide.
        value: The value that decides, such as "words = 62".
        beginning: Beginning of the text.
    """

    id: str
    url: str
    before: str | None
    after: str | None
    sure: bool
    value: str
    beginning: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer.

    Attributes:
        changes: The changed keys, as "key: old → new".
        shards: Number of filtered shards, and of inputs.
        counted: Sums over all shards.
        tokens_per_character: Of the corpus; 0 before tokens are counted.
        corpus: Documents in the corpus now, and then at least and at most; None before deduplication.
        newcomers_kept: Estimated share of added documents that are not duplicates; None before deduplication.
        added: Examples of documents that would be added.
        removed: Examples of documents that would be removed.
    """

    changes: Sequence[str]
    shards: tuple[int, int]
    counted: MoveCounts
    tokens_per_character: float
    corpus: tuple[int, int, int] | None
    newcomers_kept: float | None
    added: Sequence[Example]
    removed: Sequence[Example]

    @property
    def whole(self) -> StageOutput:
        """What leaves the last stage."""
        return list(self.counted.stages.values())[-1] if self.counted.stages else StageOutput()


def what_if(plan: Plan, settings: Sequence[str], cluster: Cluster, *, measure: bool = False) -> WhatIf:
    """Count what the run would keep with other settings.

    Args:
        plan: The run.
        settings: Changed keys as KEY=VALUE.
        cluster: Where to count.
        measure: Whether documents that stored signals leave open are passed through the changed stages, with the text
            stored with them.

    Raises:
        RecipeError: A setting is invalid.
        UsageError: Stored signals cannot answer.
    """
    return count_changed(plan, changed_recipe(plan, settings), cluster, measure=measure)


def changed_recipe(plan: Plan, settings: Sequence[str]) -> Recipe:
    """The recipe of a run with other settings. Raises RecipeError if one is invalid."""
    own = plan.recipe
    if not own.without_code():
        return from_document(own.resolved(), "--set", settings)
    return from_document(own.resolved(), "--set", settings, trusted=False, stored=own.stored_stages())


def count_changed(plan: Plan, moved: Recipe, cluster: Cluster, *, measure: bool = False) -> WhatIf:
    """Like `what_if`, given the changed recipe."""
    recipe = plan.recipe
    if measure and (names := recipe.without_code()):
        raise NotTrusted(f"{plan.folder.url}/{RUN}", f"--measure has to run stage {names[0]!r}, which is not built in")
    stages = tuple(moved_stages(recipe, moved))
    filtered = fingerprints(plan.folder, "filter")
    shards = [source.shard for source in plan.inputs if source.shard in filtered]
    if not shards:
        raise UsageError(f"{plan.folder.url}: no shard has been filtered yet, so there are no signals")
    if not recipe.table("signals").stored:
        raise UsageError(f"{plan.folder.url}: its recipe does not store signals; run it with signals.stored=true")
    counted = sum(
        cluster.gather(
            CountMoved(plan.folder, stages, measure, (recipe, moved) if recipe.languages or moved.languages else None),
            shards,
        ),
        MoveCounts(),
    )
    corpus, share = _estimate(counted)
    return WhatIf(
        _changes(recipe, moved),
        (len(shards), len(plan.inputs)),
        counted,
        _tokens_per_character(plan, shards),
        corpus,
        share,
        _examples(plan.folder, counted.added),
        _examples(plan.folder, counted.removed),
    )


def _changes(before: Recipe, after: Recipe) -> list[str]:
    """The changed keys as "key: old → new"; a language without a value of its own has the one that holds for it."""
    keys = [line.partition(":")[0] for line in differences(before.resolved(), after.resolved())]
    return [f"{key}: {value_of(before, key)} → {value_of(after, key)}" for key in keys]


def _estimate(counted: MoveCounts) -> tuple[tuple[int, int, int] | None, float | None]:
    """Estimate the documents in the corpus: now, and then at least and at most.

    Assumes that a near-duplicate cluster that loses its survivor keeps another document, unless all are removed.

    Returns:
        The three numbers, and the assumed share of added documents that are not duplicates.
    """
    now = list(counted.stages.values())[-1]
    if not counted.deduplicated or not now.now.documents:
        return None, None
    share = counted.corpus / now.now.documents
    lost = counted.lost + sum(kept for removed, size, kept in counted.clusters.values() if removed >= size)
    remaining = counted.corpus - lost
    removed = sum(count for (before, after), count in counted.moves.items() if not before and after != UNSURE)
    newcomers = [amount.documents - (now.now.documents - removed) for amount in (now.least, now.most)]
    least, most = (remaining + round(share * number) for number in newcomers)
    return (counted.corpus, least, most), share


def _tokens_per_character(plan: Plan, shards: Sequence[str]) -> float:
    """Tokens per character of the corpus; 0 before tokens are counted."""
    tokens = read_manifest(plan.folder, "tokens", WHOLE)
    stages = sum_counts(step_counts(plan.folder, "corpus", shards)).stages
    characters = stages["pii"].characters_out if "pii" in stages else 0  # not there: no document is
    return tokens.counts.get("corpus_tokens", 0) / characters if tokens is not None and characters else 0.0


def _examples(folder: Folder, changed: Sequence[ChangedDocument]) -> list[Example]:
    rows = [fetch_rows(folder, change.path, np.array([change.row])).to_pylist()[0] for change in changed]
    return [_example(change, row) for change, row in zip(changed, rows, strict=True)]


def _example(change: ChangedDocument, row: dict[str, Any]) -> Example:
    beginning = " ".join((row["text"] or "")[: 4 * HEAD].split())[:HEAD]
    url, name = row["url"] or "", row["id"] or ""
    return Example(name, url, change.before, change.after, change.sure, change.value, beginning)
