"""The documents that the report shows: kept ones, and removed ones by reason.

What decided a removal is highlighted, and personal data is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import CurationError
from curation.filters.pii import REGIONS
from curation.jobs.steps.plan import Plan
from curation.pii.find import KINDS, Search, find
from curation.report.counting import KEPT, Place, ShardFacts
from curation.report.excerpts import ExcerptPart, excerpt, harmless
from curation.report.highlights import decisive, shared_lines
from curation.running.cluster import Cluster
from curation.stages.parameters import parameters
from curation.stages.rules import Rule
from curation.stages.stage import Stage
from curation.store.folder import Folder
from curation.store.paths import CORPUS, DOCUMENTS
from curation.store.shards import read_shard, rows_at
from curation.store.untrusted import is_plain

MASK_SCORE = 0.4
"""Score from which personal data is masked: lower than in the recipe, because an unnecessary mask does no harm here."""

URL_LENGTH = 200

Row = dict[str, Any]
Masks = list[tuple[int, int, str]]
Survivor = tuple[str, str]
"""A document that is kept instead of others: the folder of the earlier run that has it, "" for this run, and its id."""


@dataclass(frozen=True, slots=True)
class SampledDocument:
    """A document to show.

    Attributes:
        id: Id of the document.
        url: URL, with personal data masked.
        pieces: Excerpts of the text, with highlights and masks.
        language: Identified language.
        score: Score of the language.
        tokens: Number of tokens; None before they are counted.
        value: The measured value that decided, for example "words 62".
        rule: The rule that decided, for example "removed if words < 80"; "" if there is none.
        survivor: URL of the survivor, for a duplicate; its id if its text cannot be read.
        survivor_run: Folder of the earlier run that has the survivor; "" if this run has it.
        similarity: Similarity to the survivor, for a near-duplicate.
        marked: Whether anything is highlighted.
    """

    id: str
    url: str
    pieces: Sequence[ExcerptPart]
    language: str = ""
    score: float | None = None
    tokens: int | None = None
    value: str = ""
    rule: str = ""
    survivor: str = ""
    survivor_run: str = ""
    similarity: float | None = None
    marked: bool = False


@dataclass(frozen=True, slots=True)
class SampledCluster:
    """A cluster of near-duplicates.

    Attributes:
        size: Number of documents.
        survivor: URL of the survivor.
        examples: Some of the removed documents.
    """

    size: int
    survivor: str
    examples: Sequence[SampledDocument]


@dataclass(frozen=True, slots=True)
class Samples:
    """All documents that the report shows: by reason of removal (or kept), and in near-duplicate clusters."""

    by_reason: Mapping[str, Sequence[SampledDocument]] = field(default_factory=dict)
    clusters: Sequence[SampledCluster] = ()


def read_documents(
    plan: Plan, places: Sequence[Place], cluster: Cluster, length: int | None = None, sought: str | None = None
) -> list[tuple[str, SampledDocument]]:
    """Read documents to show.

    Args:
        plan: The run.
        places: Where they are.
        cluster: Where they are read.
        length: Approximate length of the excerpts in characters; None for that of the report.
        sought: What to mark in the texts of which no part decided, in any case.

    Returns:
        The reason of each, KEPT for one that was not removed, and the document.
    """
    rows, builder = _read(plan, places, cluster)
    return [(rows[place].get("reason") or KEPT, builder.sample(rows[place], length, sought)) for place in places]


def read_samples(plan: Plan, facts: ShardFacts, cluster: Cluster) -> Samples:
    """Read the documents that were sampled while counting the shards."""
    places = [place for sampled in facts.samples.values() for place in sampled]
    places += [place for _, sampled in facts.clusters.values() for place in sampled]
    rows, builder = _read(plan, places, cluster)
    by_reason = {
        reason: [builder.sample(rows[place]) for place in sampled if place in rows]
        for reason, sampled in facts.samples.items()
    }
    clusters = [
        builder.cluster(size, [rows[place] for place in sampled if place in rows])
        for size, sampled in facts.clusters.values()
    ]
    return Samples(by_reason, clusters)


def _read(plan: Plan, places: Sequence[Place], cluster: Cluster) -> tuple[dict[Place, Row], _SampleBuilder]:
    """The rows at these places, and what makes samples of them."""
    rows = _fetch(plan.folder, places, cluster)
    survivors = _survivors(plan, rows.values(), cluster)
    masks = _PersonalDataMasks([*rows.values(), *survivors.values()])
    by_language = plan.recipe.by_language()
    stages: dict[str | None, dict[str, Stage]] = {None: dict(plan.recipe.stages)}
    if by_language is not None:
        languages = {row.get("language") for row in (*rows.values(), *survivors.values())}
        stages |= {language: dict(by_language.of(language)) for language in languages}
    return rows, _SampleBuilder(stages, survivors, masks)


@dataclass(frozen=True, slots=True)
class FetchRows:
    """Reads some rows of a shard; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, task: tuple[str, tuple[int, ...]]) -> list[Row]:
        """Read rows of a file; `task` is its path and the row numbers, ascending."""
        path, numbers = task
        rows: list[Row] = rows_at(self.folder, path, numbers).to_pylist()
        return rows


def _fetch(folder: Folder, places: Sequence[Place], cluster: Cluster) -> dict[Place, Row]:
    wanted: dict[str, dict[int, Place]] = {}
    for place in places:
        wanted.setdefault(place[1], {})[place[2]] = place
    tasks = [(path, tuple(sorted(rows))) for path, rows in sorted(wanted.items())]
    by_place: dict[Place, Row] = {}
    for (path, numbers), rows in zip(tasks, cluster.gather(FetchRows(folder), tasks), strict=True):
        for number, row in zip(numbers, rows, strict=True):
            by_place[wanted[path][number]] = row
    return by_place


def fetch_ids(task: tuple[str, str, tuple[str, ...]]) -> list[Row]:
    """Read id, URL and text of the documents with these ids in a shard; none if it is not there or cannot be read.

    Args:
        task: URL of the run's folder, the shard's path and the ids.
    """
    url, path, ids = task
    wanted, rows = pa.array(ids, pa.string()), list[Row]()
    with suppress(OSError, ValueError, CurationError):
        for batch in read_shard(Folder(url), path, ["id", "url", "text"]):
            rows += batch.filter(pc.is_in(batch["id"], wanted)).to_pylist()
    return rows


def _survivors(plan: Plan, rows: Iterable[Row], cluster: Cluster) -> dict[Survivor, Row]:
    """The documents kept instead of these, as the corpus has them, or documents/ of an earlier run."""
    against = {Folder(url).url for url in plan.recipe.table("dedup").against}
    wanted: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        survivor, shard = _survivor_of(row), (row.get("signals") or {}).get("dedup.survivor_shard") or ""
        if survivor is not None and (not survivor[0] or is_plain(survivor[0]) or survivor[0] in against):
            path = DOCUMENTS.path(shard) if survivor[0] else CORPUS.path(shard)
            wanted.setdefault((survivor[0], path), set()).add(survivor[1])
    places = sorted(wanted)
    tasks = [(run or plan.folder.url, path, tuple(sorted(wanted[run, path]))) for run, path in places]
    found = zip(places, cluster.gather(fetch_ids, tasks), strict=True)
    return {(run, row["id"]): row for (run, _), part in found for row in part}


def _survivor_of(row: Row) -> Survivor | None:
    """The survivor of a duplicate."""
    signals = row.get("signals") or {}
    name = signals.get("dedup.survivor_id")
    return (signals.get("dedup.survivor_run") or "", name) if name else None


class _PersonalDataMasks:
    """Personal data in the URLs and texts of some rows, found in one search."""

    def __init__(self, rows: Sequence[Row]) -> None:
        texts = sorted({text for row in rows for text in (row["text"], row["url"]) if text})
        search = Search(tuple((kind, MASK_SCORE) for kind in KINDS), REGIONS)
        by_number = find(pa.array(texts, pa.string()), search) if texts else {}
        self._matches = {texts[number]: matches for number, matches in by_number.items()}

    def masks(self, text: str) -> Masks:
        """The spans (start, end, kind) to mask; values that do not belong to a person are kept."""
        return [(m.start, m.end, m.kind) for m in self._matches.get(text, ()) if not m.kept]

    def line(self, text: str | None, length: int) -> str:
        """A masked text in one line, cut to `length` characters."""
        parts, at = [], 0
        for start, end, kind in self.masks(text or ""):
            parts += [(text or "")[at:start], f"<{kind}>"]
            at = end
        whole = harmless("".join([*parts, (text or "")[at:]])).replace("\n", " ").replace("\t", " ")
        return whole if len(whole) <= length else whole[: length - 1] + "…"


@dataclass(frozen=True, slots=True)
class _SampleBuilder:
    stages: Mapping[str | None, Mapping[str, Stage]]
    survivors: Mapping[Survivor, Row]
    masking: _PersonalDataMasks

    def sample(self, row: Row, length: int | None = None, sought: str | None = None) -> SampledDocument:
        text, reason = row["text"] or "", row.get("reason") or ""
        stages = self.stages.get(row.get("language"), self.stages[None])
        stage = stages.get(row.get("stage") or "")
        of = _survivor_of(row)
        survivor = None if of is None else self.survivors.get(of)
        highlights = decisive(reason, text, parameters(stage)) if stage is not None else []
        if survivor is not None:
            highlights = shared_lines(text, survivor["text"] or "")
        if sought and not highlights:
            highlights = [found.span() for found in re.finditer(re.escape(sought), text, re.IGNORECASE)]
        masks = self.masking.masks(text)
        value, rule = _judged(row, stage)
        signals = row.get("signals") or {}
        return SampledDocument(
            id=harmless(row["id"] or ""),
            url=self.masking.line(row["url"], URL_LENGTH),
            pieces=excerpt(text, highlights, masks) if length is None else excerpt(text, highlights, masks, length),
            language=harmless(row["language"] or ""),
            score=row["language_score"],
            tokens=row["token_count"],
            value=value,
            rule=rule,
            survivor="" if of is None else self.masking.line((survivor or {}).get("url") or of[1], URL_LENGTH),
            survivor_run="" if of is None else harmless(of[0]),
            similarity=signals.get("dedup.similarity"),
            marked=bool(highlights),
        )

    def cluster(self, size: int, rows: Sequence[Row]) -> SampledCluster:
        examples = [self.sample(row, 300) for row in rows]
        survivor = next((example.survivor for example in examples if example.survivor), "")
        return SampledCluster(size, survivor, examples)


def _judged(row: Row, stage: Stage | None) -> tuple[str, str]:
    """The value that the rule of the row's reason checked, and the rule."""
    name = (row.get("reason") or "").partition(".")[2]
    rules: tuple[Rule, ...] = getattr(stage, "rules", ())
    rule = next((rule for rule in rules if rule.reason == name), None)
    if rule is None:
        return "", ""
    value = (row.get("signals") or {}).get(f"{row['stage']}.{rule.signal}")
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{rule.signal} {text}", f"removed if {rule}"
