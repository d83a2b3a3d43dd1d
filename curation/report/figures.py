"""Turn the numbers of a run into the figures of its page: plots with tables, and tables with bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.report import plots
from curation.report.counting import NO_DAY
from curation.report.histograms import Histogram, bars, beyond, cut_at_thresholds, inside
from curation.stages.rules import Rule

Cells = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A rule in the caption of a figure.

    Attributes:
        rule: The rule as text.
        reason: Its reason.
        removed: Number of measured documents that violate it.
        kept: Number of measured documents that do not.
        share: `removed` as a share of the measured documents.
    """

    rule: str
    reason: str
    removed: int
    kept: int
    share: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot and a table with the same numbers.

    Attributes:
        key: Name of the figure in the page.
        title: Caption.
        svg: The plot.
        header: Column names of the table.
        rows: Rows of the table.
        thresholds: Rules on the measured value.
        note: A note below the plot.
    """

    key: str
    title: str
    svg: str
    header: tuple[str, ...]
    rows: Sequence[Cells]
    thresholds: tuple[Threshold, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class BarRow:
    """A row of a table with bars: documents and kept documents; the widths are percentages of the longest bar."""

    name: str
    documents: int
    kept: int
    width: float
    kept_width: float

    @property
    def share(self) -> float:
        """Share of kept documents."""
        return self.kept / self.documents if self.documents else 0.0


def ranked(entries: Mapping[str, Mapping[str, int]], most: int) -> list[BarRow]:
    """Rows for the first `most` entries of a mapping such as "languages" in stats.json."""
    longest = max((counts["documents"] for counts in entries.values()), default=1) or 1
    rows = []
    for name, counts in list(entries.items())[:most]:
        documents, kept = counts["documents"], counts["kept"]
        rows.append(BarRow(name, documents, kept, 100 * documents / longest, 100 * kept / longest))
    return rows


def signal_figures(stats: Mapping[str, Any], rules: Mapping[str, Sequence[Rule]]) -> dict[str, list[Figure]]:
    """Figures of all signals by stage, in the order of the stages."""
    by_stage: dict[str, list[Figure]] = {}
    for stage in stats["stages"]:
        figures = []
        for name, histogram in stats["signals"].items():
            if name.startswith(f"{stage}.") and sum(histogram["counts"]):
                stage_rules = [rule for rule in rules.get(stage, ()) if f"{stage}.{rule.signal}" == name]
                figures.append(_signal(name, histogram, stats["stages"][stage], stage_rules))
        if figures:
            by_stage[stage] = figures
    return by_stage


def _signal(name: str, histogram: Histogram, tally: Mapping[str, Any], rules: Sequence[Rule]) -> Figure:
    measured = sum(histogram["counts"])
    histogram, cuts = cut_at_thresholds(histogram, rules)
    limits = [cut for cut in cuts if cut is not None]
    shown = bars(histogram, keep=limits)
    ints = plots.are_integers(shown)
    judged = list(zip(rules, cuts, strict=True))
    removed = [bar.count if any(beyond(bar, rule, cut) for rule, cut in judged) else 0 for bar in shown]
    violated = {rule.reason: tally["violations"].get(rule.reason, 0) for rule in rules}
    thresholds = tuple(
        Threshold(f"{rule.signal} {rule.limit}", rule.reason, n := violated[rule.reason], measured - n, n / measured)
        for rule in rules
    )
    if rules:
        kept = [bar.count - count for bar, count in zip(shown, removed, strict=True)]
        series = {"kept": kept, "removed": removed}
        header: tuple[str, ...] = ("value", "documents", "beyond a threshold")
        rows: list[Cells] = [(plots.span(bar, ints), bar.count, n) for bar, n in zip(shown, removed, strict=True)]
    else:
        series = {"documents": [bar.count for bar in shown]}
        header = ("value", "documents")
        rows = [(plots.span(bar, ints), bar.count) for bar in shown]
    nulls = histogram["nulls"]
    note = f"{measured:,} measured" + (f", {nulls:,} had nothing to measure" if nulls else "")
    drawing = plots.histogram(shown, series, limits)
    return Figure(f"signal-{name}", name.partition(".")[2], drawing, header, rows, thresholds, note)


def two_sides(key: str, title: str, sides: Mapping[str, Histogram], unit: str) -> Figure | None:
    """Kept and removed documents by value, from two histograms with the same edges; None if both are empty."""
    both = [sides["kept"], sides["removed"]]
    total = {"edges": both[0]["edges"], "counts": [a + b for a, b in zip(*(h["counts"] for h in both), strict=True)]}
    shown = bars(total)
    if not shown:
        return None
    ints = plots.are_integers(shown)
    series = {name: [inside(histogram, bar) for bar in shown] for name, histogram in sides.items()}
    rows: list[Cells] = [
        (plots.span(bar, ints), *counts) for bar, *counts in zip(shown, series["kept"], series["removed"], strict=True)
    ]
    return Figure(key, title, plots.histogram(shown, series), (unit, "kept", "removed"), rows)


def one_side(key: str, title: str, histogram: Histogram, unit: str) -> Figure | None:
    """A histogram of kept documents; None if it is empty."""
    shown = bars(histogram)
    if not shown:
        return None
    ints = plots.are_integers(shown)
    rows: list[Cells] = [(plots.span(bar, ints), bar.count) for bar in shown]
    return Figure(key, title, plots.histogram(shown, {"kept": [bar.count for bar in shown]}), (unit, "kept"), rows)


def dates(days: Mapping[str, Mapping[str, int]], most: int = 40) -> Figure | None:
    """Kept and removed documents by day, or by month or year if there are more than `most` days or months."""
    if not days:
        return None
    spans = ((10, "day"), (7, "month"), (4, "year"))
    days = {day: counts for day, counts in days.items() if day != NO_DAY} or days
    length, unit = next((span for span in spans if len({day[: span[0]] for day in days}) <= most), spans[-1])
    series: dict[str, list[int]] = {}
    for day, counts in sorted(days.items()):
        entry = series.setdefault(day[:length], [0, 0])
        entry[0] += counts["kept"]
        entry[1] += counts["documents"] - counts["kept"]
    names = list(series)
    sides = {"kept": [kept for kept, _ in series.values()], "removed": [removed for _, removed in series.values()]}
    rows: list[Cells] = [(name, *counts) for name, counts in series.items()]
    return Figure("dates", f"Pages by {unit} of crawl", plots.columns(names, sides), (unit, "kept", "removed"), rows)


def counted(key: str, title: str, unit: str, counts: Mapping[str, int]) -> Figure | None:
    """One column per name, in the given order; None without names."""
    if not counts:
        return None
    rows: list[Cells] = list(counts.items())
    return Figure(key, title, plots.columns(list(counts), {"documents": list(counts.values())}), (unit, "number"), rows)
