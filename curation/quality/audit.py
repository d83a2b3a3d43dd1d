"""The audit of a quality model: whether its scores follow quality or something else, before it may remove anything.

Checks need no labels: how much of the scores the source of a document explains, how they vary within a source, by
language and by length, and how many verdicts flip if a text is only reformatted. With labels there are also AUCs, of
the scores, of the source alone, and within sources.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Float64s
from curation.quality.model import QualityModel
from curation.quality.train import auc, groups_of

LEAST = 100
"""Documents without which an audit says nothing."""
SOURCE_DOCUMENTS = 10
"""Documents of a source from which on its spread is measured."""
LANGUAGE_DOCUMENTS = 50
PAIRS = 200
"""Pairs of a good and another document of one source from which on the AUC within sources is measured."""
REFORMATTED = 1000
"""Documents that are reformatted, evenly spaced in the order of scores."""
FLAT = 0.1
"""A source is nearly constant if its scores spread less than this share of the spread of all."""
SAMPLES = 10
EXCERPT = 300


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit of a finding, and where it comes from.

    Attributes:
        name: Name of the finding.
        text: What is measured.
        limit: The value at which the audit fails.
        below: Whether it fails below the limit instead of above.
        source: Where the limit comes from.
    """

    name: str
    text: str
    limit: float
    below: bool
    source: str


LIMITS = (
    Limit("constant", "standard deviation of all scores", 0.01, True, "a score that is the same for all ranks nothing"),
    Limit("flips", "share of verdicts that flip by reformatting", 0.07, False, "7 % in arXiv 2605.23721"),
    Limit(
        "constant_sources", "share of sources with nearly constant scores", 0.12, False,
        "12 of 98 sources in marin issue 6860",
    ),
    Limit("source", "share of the variance of scores that the source explains", 0.5, False, "most of it, our choice"),
    Limit(
        "source_auc", "AUC of the labels by the source alone", 0.85, False, "0.852 in marin issue 6739"
    ),
    Limit("within_auc", "AUC of the labels within sources", 0.6, True, "0.5 is chance, our choice"),
    Limit("length", "rank correlation of score and length, absolute", 0.5, False, "a quarter of its variance, ours"),
    Limit("language", "difference between languages in the share above the threshold", 0.5, False, "our choice"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditDocuments:
    """The documents of an audit.

    Attributes:
        texts: Their texts.
        names: URL or id of each.
        sources: The source of each: its registered domain, or the file.
        languages: The language of each, "" if unknown.
        good: The label of each, 1 or 0, NaN without.
    """

    texts: pa.StringArray
    names: Sequence[str]
    sources: Sequence[str]
    languages: Sequence[str]
    good: Float64s


def audit(model: QualityModel, documents: AuditDocuments, threshold: float | None = None) -> dict[str, Any]:
    """Audit a model.

    Args:
        model: The model.
        documents: At least `LEAST` documents.
        threshold: The score at which verdicts are compared; None takes the median of the documents.

    Returns:
        `documents`, `sources`, `threshold`; `findings`, each with `name`, `text`, `value` (None if it cannot be
        measured), `limit`, `below`, `source` and `failed`; `failed`, the names of those that failed; `notes`;
        `flips` by reformatting; `languages` and `lengths` with the share above the threshold; `samples` with the
        documents liked `most` and `least`.
    """
    scores = model.score(documents.texts)
    least = float(np.median(scores)) if threshold is None else threshold
    groups = groups_of(documents.sources)
    large = {name: places for name, places in groups.items() if len(places) >= SOURCE_DOCUMENTS}
    spread = float(scores.std())
    flat = [name for name, places in large.items() if scores[places].std() < FLAT * spread]
    flips = _flips(model, documents.texts, scores, least)
    characters = np.array([len(text) for text in documents.texts.to_pylist()], np.float64)
    languages = _shares(documents.languages, scores >= least)
    values: dict[str, float | None] = {
        "constant": spread,
        "flips": max(flips.values()),
        "constant_sources": len(flat) / len(large) if large else None,
        "source": explained(scores, documents.sources),
        "length": abs(correlation(scores, characters)),
        "language": max(languages.values()) - min(languages.values()) if len(languages) > 1 else None,
        **_labeled(scores, documents),
    }
    findings = [_finding(limit, values.get(limit.name)) for limit in LIMITS]
    order = np.lexsort((np.arange(len(scores)), scores))
    edges = np.quantile(characters, [0, 0.25, 0.5, 0.75, 1])
    quarters = np.minimum(np.searchsorted(edges, characters, "right") - 1, 3)
    return {
        "documents": len(scores),
        "sources": len(groups),
        "large_sources": len(large),
        "threshold": round(least, 6),
        "auc": _rounded(values.get("auc")),
        "failed": [each["name"] for each in findings if each["failed"]],
        "findings": findings,
        "notes": _notes(documents, large),
        "flips": {name: round(value, 4) for name, value in flips.items()},
        "languages": {name: round(value, 4) for name, value in languages.items()},
        "lengths": [
            {
                "characters": int(edges[number]),
                "above": round(float((scores >= least)[quarters == number].mean()), 4),
            }
            for number in range(4)
            if (quarters == number).any()
        ],
        "samples": {
            "most": [_sample(documents, scores, int(place)) for place in order[::-1][:SAMPLES]],
            "least": [_sample(documents, scores, int(place)) for place in order[:SAMPLES]],
        },
    }


def explained(scores: Float64s, sources: Sequence[str]) -> float | None:
    """The share of the variance of the ranks of scores between sources of two documents or more, adjusted for chance.

    None if there are no two such sources, or all scores are equal.
    """
    groups = [places for places in groups_of(sources).values() if len(places) >= 2]
    if len(groups) < 2:
        return None
    rows = np.concatenate(groups)
    ranks = _ranks(scores[rows])
    total = float(((ranks - ranks.mean()) ** 2).sum())
    ends = np.cumsum([len(places) for places in groups])[:-1]
    within = float(sum(((part - part.mean()) ** 2).sum() for part in np.split(ranks, ends)))
    if total == 0 or len(rows) == len(groups):
        return None
    return max(0.0, 1 - (within / (len(rows) - len(groups))) / (total / (len(rows) - 1)))


def correlation(left: Float64s, right: Float64s) -> float:
    """Spearman's rank correlation; 0 if one side is constant."""
    ranks = _ranks(left), _ranks(right)
    if ranks[0].std() == 0 or ranks[1].std() == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: Float64s) -> Float64s:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places], np.float64)


def _labeled(scores: Float64s, documents: AuditDocuments) -> dict[str, float | None]:
    """AUCs of the labels: by the scores, by the source alone, and within sources; None for what cannot be measured."""
    known: Bools = np.isfinite(documents.good)
    good = documents.good == 1
    if len(set(good[known].tolist())) < 2:
        return {}
    places = {name: rows[known[rows]] for name, rows in groups_of(documents.sources).items()}
    by_source = np.full(len(scores), np.nan)
    pairs = won = 0.0
    for rows in places.values():
        if len(rows) < 2:
            continue
        total = good[rows].sum()
        by_source[rows] = (total - good[rows]) / (len(rows) - 1)  # of the other documents of the source
        count = float(total * (len(rows) - total))
        if count:
            pairs += count
            won += count * auc(scores[rows], good[rows])
    known_source = np.isfinite(by_source)
    source = auc(by_source[known_source], good[known_source])
    mixed = any(0 < good[rows].sum() < len(rows) for rows in places.values())
    return {
        "auc": auc(scores[known], good[known]),
        "source_auc": source if mixed and np.isfinite(source) else None,
        "within_auc": won / pairs if pairs >= PAIRS else None,
    }


def _notes(documents: AuditDocuments, large: Mapping[str, Any]) -> list[str]:
    notes = []
    known = np.isfinite(documents.good)
    if not known.any():
        notes.append("no labels: the spread of scores within sources is what shows whether they follow the source")
    elif not any(
        0 < documents.good[rows[known[rows]]].sum() < known[rows].sum()
        for rows in groups_of(documents.sources).values()
    ):
        notes.append(
            "each source holds one class only, so the labels cannot tell quality from source: see the spread of scores "
            "within sources instead"
        )
    if len(large) < 2:
        notes.append(f"fewer than two sources have {SOURCE_DOCUMENTS} documents, so their spread is not measured")
    return notes


def _finding(limit: Limit, value: float | None) -> dict[str, Any]:
    failed = value is not None and (value < limit.limit if limit.below else value > limit.limit)
    return {
        "name": limit.name,
        "text": limit.text,
        "value": _rounded(value),
        "limit": limit.limit,
        "below": limit.below,
        "source": limit.source,
        "failed": bool(failed),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _shares(names: Sequence[str], above: Bools) -> dict[str, float]:
    groups = groups_of(names)
    return {
        name: float(above[places].mean())
        for name, places in groups.items()
        if name and len(places) >= LANGUAGE_DOCUMENTS
    }


def _flips(model: QualityModel, texts: pa.StringArray, scores: Float64s, threshold: float) -> dict[str, float]:
    """The share of verdicts that each reformatting flips."""
    order = np.argsort(scores, kind="stable")
    rows = order[np.unique(np.linspace(0, len(order) - 1, min(REFORMATTED, len(order))).astype(np.int64))]
    before = scores[rows] >= threshold
    chosen = texts.take(pa.array(rows)).to_pylist()
    flips = {}
    for name, change in REFORMATTINGS.items():
        after = model.score(pa.array([change(text) for text in chosen], pa.string())) >= threshold
        flips[name] = float((before != after).mean())
    return flips


def _wrapped(text: str) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, 72, break_long_words=False)) for line in text.split("\n"))


_MARKDOWN = re.compile(r"^[ ]{0,3}(?:#{1,6}|>|[-*+]|\d{1,3}\.)[ ]|[*_`]", re.MULTILINE)


def _plain(text: str) -> str:
    return _MARKDOWN.sub("", text)


REFORMATTINGS: dict[str, Callable[[str], str]] = {
    "wrapped": _wrapped,
    "one line": lambda text: " ".join(text.split()),
    "without Markdown": _plain,
    "lower case": str.lower,
    "upper case": str.upper,
}
"""Changes that leave the content as it is, by name."""


def _sample(documents: AuditDocuments, scores: Float64s, place: int) -> dict[str, Any]:
    text = " ".join(documents.texts[place].as_py().split())
    return {"name": documents.names[place], "score": round(float(scores[place]), 4), "text": text[:EXCERPT]}
