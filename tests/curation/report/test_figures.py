"""The figures of a report."""

from __future__ import annotations

from curation.report.figures import signal_figures
from curation.stages.rules import Rule


def test_a_threshold_is_written_as_a_whole_number() -> None:
    """A threshold of millions has its digits, as `explain` shows it, not an exponent."""
    histogram = {"edges": [0, 10_000_000], "counts": [3], "nulls": 0}
    stats = {"stages": {"extract": {"violations": {}}}, "signals": {"extract.html_characters": histogram}}
    rules = {"extract": [Rule("html_characters", ">", 10_000_000, "max_html_characters")]}
    [figure] = signal_figures(stats, rules)["extract"]
    assert [threshold.rule for threshold in figure.thresholds] == ["html_characters > 10,000,000"]
