"""From the numbers of a run to what its page shows of them: plots with their tables, and tables with bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.report import plots
from curation.report.counting import NO_DAY
from curation.report.histograms import Histogram, bars, beyond, drawn, inside
from curation.stages.rules import Rule

Cells = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A rule as a figure's caption tells it: documents on each side, and their share of those measured."""

    rule: str
    reason: str
    go: int
    stay: int
    share: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot and the table that says the same. `key` names it in the page."""

    key: str
    title: str
    svg: str
    header: tuple[str, ...]
    rows: Sequence[Cells]
    thresholds: tuple[Threshold, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class BarRow:
    """A row of a table with bars: how many, how many of them kept, each also as a share of the longest bar."""

    name: str
    documents: int
    kept: int
    width: float
    kept_width: float

    @property
    def share(self) -> float:
        """Kept of all."""
        return self.kept / self.documents if self.documents else 0.0


def ranked(found: Mapping[str, Mapping[str, int]], most: int) -> list[BarRow]:
    """The first `most` entries of a mapping such as stats.json's "languages"."""
    longest = max((counts["documents"] for counts in found.values()), default=1) or 1
    rows = []
    for name, counts in list(found.items())[:most]:
        documents, kept = counts["documents"], counts["kept"]
        rows.append(BarRow(name, documents, kept, 100 * documents / longest, 100 * kept / longest))
    return rows


def signal_figures(stats: Mapping[str, Any], rules: Mapping[str, Sequence[Rule]]) -> dict[str, list[Figure]]:
    """A figure for each signal, by stage, in the order of the stages."""
    found: dict[str, list[Figure]] = {}
    for stage in stats["stages"]:
        figures = []
        for name, histogram in stats["signals"].items():
            if name.startswith(f"{stage}.") and sum(histogram["counts"]):
                own = [rule for rule in rules.get(stage, ()) if f"{stage}.{rule.signal}" == name]
                figures.append(_signal(name, histogram, stats["stages"][stage], own))
        if figures:
            found[stage] = figures
    return found


def _signal(name: str, histogram: Histogram, tally: Mapping[str, Any], rules: Sequence[Rule]) -> Figure:
    measured = sum(histogram["counts"])
    histogram, cuts = drawn(histogram, rules)
    limits = [cut for cut in cuts if cut is not None]
    shown = bars(histogram, keep=limits)
    whole = plots.are_whole(shown)
    judged = list(zip(rules, cuts, strict=True))
    gone = [bar.count if any(beyond(bar, rule, cut) for rule, cut in judged) else 0 for bar in shown]
    violated = {rule.reason: tally["violations"].get(rule.reason, 0) for rule in rules}
    told = tuple(
        Threshold(str(rule), rule.reason, go := violated[rule.reason], measured - go, go / measured) for rule in rules
    )
    if rules:
        stay = [bar.count - count for bar, count in zip(shown, gone, strict=True)]
        series = {"kept": stay, "removed": gone}
        header: tuple[str, ...] = ("value", "documents", "beyond a threshold")
        rows: list[Cells] = [(plots.span(bar, whole), bar.count, count) for bar, count in zip(shown, gone, strict=True)]
    else:
        series = {"documents": [bar.count for bar in shown]}
        header = ("value", "documents")
        rows = [(plots.span(bar, whole), bar.count) for bar in shown]
    nulls = histogram["nulls"]
    note = f"{measured:,} measured" + (f", {nulls:,} had nothing to measure" if nulls else "")
    drawing = plots.histogram(shown, series, limits)
    return Figure(f"signal-{name}", name.partition(".")[2], drawing, header, rows, told, note)


def two_sides(key: str, title: str, sides: Mapping[str, Histogram], unit: str) -> Figure | None:
    """Kept against removed by value, from two histograms of the same edges; None if both are empty."""
    both = [sides["kept"], sides["removed"]]
    total = {"edges": both[0]["edges"], "counts": [a + b for a, b in zip(*(h["counts"] for h in both), strict=True)]}
    shown = bars(total)
    if not shown:
        return None
    whole = plots.are_whole(shown)
    series = {name: [inside(histogram, bar) for bar in shown] for name, histogram in sides.items()}
    rows: list[Cells] = [
        (plots.span(bar, whole), *counts) for bar, *counts in zip(shown, series["kept"], series["removed"], strict=True)
    ]
    return Figure(key, title, plots.histogram(shown, series), (unit, "kept", "removed"), rows)


def one_side(key: str, title: str, histogram: Histogram, unit: str) -> Figure | None:
    """A histogram of what was kept; None if it is empty."""
    shown = bars(histogram)
    if not shown:
        return None
    whole = plots.are_whole(shown)
    rows: list[Cells] = [(plots.span(bar, whole), bar.count) for bar in shown]
    return Figure(key, title, plots.histogram(shown, {"kept": [bar.count for bar in shown]}), (unit, "kept"), rows)


def dates(days: Mapping[str, Mapping[str, int]], most: int = 40) -> Figure | None:
    """Kept against removed by day; by month or year where there are more than `most` days or months."""
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
    """A column for each name, in the order given; None if there is none."""
    if not counts:
        return None
    rows: list[Cells] = list(counts.items())
    return Figure(key, title, plots.columns(list(counts), {"documents": list(counts.values())}), (unit, "number"), rows)
