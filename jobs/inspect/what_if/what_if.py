"""`curate what-if`: what moved thresholds would keep, counted over stored signals, without reading an archive again.

Each document is judged anew by the moved rules, shard by shard. Numbers are exact where the stored signals decide;
documents that a loosened rule lets through to stages that never measured them make the difference of two bounds, which
the recipe key `signals.all` closes. What deduplication makes of newcomers is an estimate, and called one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.errors import UsageError
from curation.jobs.inspect.what_if.count_shard import CountMoved, fetch_rows
from curation.jobs.inspect.what_if.counts import UNSURE, ChangedDocument, MoveCounts, StageOutput
from curation.jobs.inspect.what_if.moved_rules import moved_stages
from curation.jobs.steps.plan import Plan, differences
from curation.recipes.recipe import from_document
from curation.running.cluster import Cluster
from curation.stages.tally import sum_counts
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, read_manifest, step_counts

HEAD = 90
"""Characters shown of an example's text."""


@dataclass(frozen=True, slots=True)
class Example:
    """A document that changes sides: reasons, the value that decides, where it stands and how it begins."""

    id: str
    url: str
    before: str | None
    after: str | None
    sure: bool
    value: str
    beginning: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer. tokens_per_character: 0 before tokens were counted; deduplicated: None before deduplication ran."""

    changes: Sequence[str]
    shards: tuple[int, int]
    counted: MoveCounts
    tokens_per_character: float
    corpus: tuple[int, int, int] | None
    newcomers_kept: float | None
    let_in: Sequence[Example]
    put_out: Sequence[Example]

    @property
    def whole(self) -> StageOutput:
        """What leaves the last stage."""
        return list(self.counted.stages.values())[-1] if self.counted.stages else StageOutput()


def what_if(plan: Plan, settings: Sequence[str], cluster: Cluster, *, measure: bool = False) -> WhatIf:
    """What the run would keep with the settings given.

    measure: documents that stored signals leave open go through the moved stages, by the text that is stored with them.

    Raises RecipeError for a setting that is none, UsageError where stored signals cannot answer.
    """
    recipe = plan.recipe
    moved = from_document(recipe.resolved(), f"{plan.folder.url}/run.json", settings)
    stages = tuple(moved_stages(recipe, moved))
    shards = [source.shard for source in plan.inputs if read_manifest(plan.folder, "filter", source.shard) is not None]
    if not shards:
        raise UsageError(f"{plan.folder.url}: no shard is filtered yet, so there are no signals")
    if not recipe.table("signals").stored:
        raise UsageError(f"{plan.folder.url}: its recipe stores no signals; run it with signals.stored=true")
    counted = sum(cluster.gather(CountMoved(plan.folder, stages, measure), shards), MoveCounts())
    corpus, share = _estimate(counted)
    return WhatIf(
        differences(recipe.resolved(), moved.resolved()),
        (len(shards), len(plan.inputs)),
        counted,
        _tokens_per_character(plan, shards),
        corpus,
        share,
        _examples(plan.folder, counted.let_in),
        _examples(plan.folder, counted.put_out),
    )


def _estimate(counted: MoveCounts) -> tuple[tuple[int, int, int] | None, float | None]:
    """Documents of the corpus now and then, at least and at most, and the share of newcomers taken to be no duplicates.

    A cluster of near-duplicates that loses its survivor is taken to keep another, unless all of it goes.
    """
    now = list(counted.stages.values())[-1]
    if not counted.deduplicated or not now.now.documents:
        return None, None
    share = counted.corpus / now.now.documents
    lost = counted.lost + sum(kept for gone, size, kept in counted.clusters.values() if gone >= size)
    staying = counted.corpus - lost
    gone = sum(count for (before, after), count in counted.moves.items() if not before and after != UNSURE)
    newcomers = [amount.documents - (now.now.documents - gone) for amount in (now.least, now.most)]
    least, most = (staying + round(share * number) for number in newcomers)
    return (counted.corpus, least, most), share


def _tokens_per_character(plan: Plan, shards: Sequence[str]) -> float:
    """Tokens of the corpus over its characters, 0 before they are counted."""
    tokens = read_manifest(plan.folder, "tokens", WHOLE)
    stages = sum_counts(step_counts(plan.folder, "corpus", shards)).stages
    characters = stages["pii"].characters_out if "pii" in stages else 0  # not there: no document is
    return tokens.counts.get("corpus_tokens", 0) / characters if tokens is not None and characters else 0.0


def _examples(folder: Folder, changed: Sequence[ChangedDocument]) -> list[Example]:
    found = [fetch_rows(folder, change.path, np.array([change.row])).to_pylist()[0] for change in changed]
    return [_example(change, row) for change, row in zip(changed, found, strict=True)]


def _example(change: ChangedDocument, row: dict[str, Any]) -> Example:
    beginning = " ".join((row["text"] or "")[: 4 * HEAD].split())[:HEAD]
    url, name = row["url"] or "", row["id"] or ""
    return Example(name, url, change.before, change.after, change.sure, change.value, beginning)
