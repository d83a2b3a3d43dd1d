"""Histograms whose edges do not depend on the data, so that those of shards add up.

Format: {"edges": [...], "counts": [...], "nulls": n} with one more count than edges: below the first edge, between
edges, and from the last edge on. A value equal to an edge is counted above it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.stages.rules import Rule

Histogram = Mapping[str, Any]

MIN_BARS = 8
"""Minimum number of bars in a plot; empty ones are added above."""
MAX_BARS = 40
"""Maximum number of bars in a plot; neighbors are joined until there are no more."""


def add_histogram(left: Histogram, right: Histogram) -> dict[str, Any]:
    """Add two histograms. Edges that only one has are dropped and their bins joined, so nothing is guessed."""
    edges, parts = left["edges"], (left["counts"], right["counts"])
    if edges != right["edges"]:
        common = set(right["edges"])
        edges = [edge for edge in edges if edge in common]
        parts = _joined(left, edges), _joined(right, edges)
    counts = [a + b for a, b in zip(*parts, strict=True)]
    return {"edges": edges, "counts": counts, "nulls": left["nulls"] + right["nulls"]}


def _joined(histogram: Histogram, edges: Sequence[float]) -> list[int]:
    """Counts for a subset of the histogram's edges."""
    counts = [0] * (len(edges) + 1)
    for number, count in enumerate(histogram["counts"]):
        at = bisect_left(edges, histogram["edges"][number]) if number < len(histogram["edges"]) else len(edges)
        counts[at] += count
    return counts


def add_histograms(left: Mapping[str, Histogram], right: Mapping[str, Histogram]) -> dict[str, dict[str, Any]]:
    """Add histograms by name; names are in the order of `left`, then of `right`."""
    total = {name: dict(histogram) for name, histogram in left.items()}
    for name, histogram in right.items():
        total[name] = add_histogram(total[name], histogram) if name in total else dict(histogram)
    return total


@dataclass(frozen=True, slots=True)
class Bar:
    """Number of documents with a value from `low` up to, not including, `high`; None means no bound."""

    low: float | None
    high: float | None
    count: int


def cut_at_thresholds(histogram: Histogram, rules: Sequence[Rule]) -> tuple[dict[str, Any], list[float | None]]:
    """Reduce a histogram to one edge per rule, the one where its bars must end.

    `curation.stages.signals` has two edges for a threshold t: t itself and the next float above it, which distinguishes
    `> t` from `>= t`. The one that the rule does not need is removed, unless it is a regular edge.

    Returns:
        The histogram, and for each rule its edge, or None if the threshold is not among the edges.
    """
    edges = list(histogram["edges"])
    cuts: list[float | None] = []
    unneeded: set[float] = set()
    for rule in rules:
        at = edges.index(rule.threshold) if rule.threshold in edges[:-1] else None
        if at is None:
            cuts.append(None)
            continue
        after = edges[at + 1]
        cuts.append(after if rule.comparison in (">", "<=") else rule.threshold)
        if rule.comparison not in ("==", "!=") and after == math.nextafter(rule.threshold, math.inf):
            unneeded |= {rule.threshold, after}
    kept = [edge for edge in edges if edge not in unneeded or edge in cuts]
    return {"edges": kept, "counts": _joined(histogram, kept), "nulls": histogram["nulls"]}, cuts


def beyond(bar: Bar, rule: Rule, cut: float | None) -> bool:
    """Whether the values of a bar violate a rule, given its edge from `cut_at_thresholds`."""
    if cut is None:
        return False
    if rule.comparison in ("<", "<="):
        return bar.high is not None and bar.high <= cut
    if rule.comparison in ("==", "!="):
        return (bar.low == cut) == (rule.comparison == "==")
    return bar.low is not None and bar.low >= cut


def bars(histogram: Histogram, keep: Sequence[float] = (), most: int = MAX_BARS) -> list[Bar]:
    """The bars to draw.

    They span the bins that are not empty and the edges `keep`, so that a threshold that no value reaches is visible.

    Args:
        histogram: The histogram.
        keep: Edges at which no bars are joined.
        most: Maximum number of bars; neighbors are joined until there are no more.

    Returns:
        The bars in ascending order; none if the histogram is empty.
    """
    edges, counts = histogram["edges"], histogram["counts"]
    limits = [None, *edges, None]
    shown = [Bar(limits[at], limits[at + 1], count) for at, count in enumerate(counts)]
    filled = [at for at, bar in enumerate(shown) if bar.count]
    if not filled:
        return []
    limits_at = [edges.index(edge) for edge in keep]
    first, last = min([filled[0], *limits_at]), max([filled[-1], *(at + 1 for at in limits_at)])
    last = max(last, min(first + MIN_BARS - 1, len(edges) - 1))
    shown = shown[first : last + 1]
    while len(shown) > most:
        joined = _join_pairs(shown, keep)
        if len(joined) == len(shown):
            break
        shown = joined
    return shown


def _join_pairs(shown: Sequence[Bar], keep: Sequence[float]) -> list[Bar]:
    joined: list[Bar] = []
    at = 0
    while at < len(shown):
        bar = shown[at]
        if at + 1 < len(shown) and bar.high not in keep:
            after = shown[at + 1]
            bar = Bar(bar.low, after.high, bar.count + after.count)
            at += 1
        joined.append(bar)
        at += 1
    return joined


def inside(histogram: Histogram, bar: Bar) -> int:
    """Number of documents within a bar whose bounds are edges of the histogram."""
    edges = histogram["edges"]
    first = 0 if bar.low is None else edges.index(bar.low) + 1
    last = len(edges) if bar.high is None else edges.index(bar.high)
    return sum(histogram["counts"][first : last + 1])
