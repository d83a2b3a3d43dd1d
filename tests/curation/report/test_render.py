"""Formatting of numbers and names in the page and the funnel."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from curation.report.funnel import funnel_rows
from curation.report.render import percent, seconds, size, slug, visible
from curation.report.terminal import funnel_table, live_table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0.0\xa0%"),
        (1, "100.0\xa0%"),
        (0.1234, "12.3\xa0%"),
        (0.00001, "<\u20090.1\xa0%"),
        (0.99999, ">\u200999.9\xa0%"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(value: float, shown: str) -> None:
    """A tiny share is shown as less than a tenth of a percent, nearly all as more than 99.9 %."""
    assert percent(value) == shown


def test_times_and_sizes() -> None:
    """Times and sizes are shown in a suitable unit."""
    assert [seconds(value) for value in (None, 0.0031, 5.0, 103, 4000)] == [
        "–",
        "3.1 ms",
        "5 s",
        "1 min 43 s",
        "1 h 6 min",
    ]
    assert [size(value) for value in (None, 500, 999_600, 123456789, 5e12)] == ["–", "500 B", "1 MB", "123 MB", "5 TB"]


def test_names_as_ids() -> None:
    """The id of any reason consists of letters, digits, hyphens and underscores."""
    assert slug("c4.curly_bracket") == "c4-curly_bracket"
    assert slug("\"><script>'") == "script"
    assert slug("…") == "x"


def test_white_space_of_tokens_is_visible() -> None:
    """White space of a token is replaced by signs, and so are its control characters."""
    assert visible(" a\n\t\x1b") == "␣a↵⇥�"


def test_the_funnel_of_a_run_without_reading_counts() -> None:
    """Without reading counts the funnel begins with the first stage; without tokens none are estimated."""
    tally = {"documents_in": 4, "documents_out": 3, "characters_in": 0, "characters_out": 30, "reasons": {"b": 1}}
    (row,) = funnel_rows({"read": {}, "stages": {"x": tally}, "tokens": {}})
    assert (row.entered, row.left, row.removed, row.tokens) == (4, 3, 1, None)
    assert row.kept_share == 0.75


def test_waiting_documents_are_not_counted_as_removed() -> None:
    """In an unfinished run, documents that have not reached a stage are waiting, not removed."""
    filtered = {"documents_in": 9, "documents_out": 8, "characters_in": 9, "characters_out": 8, "reasons": {"a": 1}}
    corpus = {"documents_in": 3, "documents_out": 2, "characters_in": 3, "characters_out": 2, "reasons": {"b": 1}}
    rows = funnel_rows({"read": {}, "stages": {"c4": filtered, "dedup": corpus}, "tokens": {}})
    assert [(row.stage, row.removed, row.waiting) for row in rows] == [("c4", 1, 0), ("dedup", 1, 5)]
    shown = io.StringIO()
    Console(file=shown, width=200).print(funnel_table(rows, "x"), live_table(rows))
    assert shown.getvalue().count("5 waiting") == 2


def test_records_that_are_not_pages_are_not_in_the_funnel() -> None:
    """The row of reading counts pages and skipped records, not requests and other records."""
    read = {"pages.html": 5, "pages.text": 1, "skipped.type.json": 2, "passed.request": 9, "records.request": 9}
    (row,) = funnel_rows({"read": read, "stages": {}, "tokens": {}})
    assert (row.entered, row.left, [reason.name for reason in row.reasons]) == (8, 6, ["type.json"])


def test_tokens_are_estimated_by_the_rate_of_the_corpus() -> None:
    """The tokens of an earlier stage are its characters times the corpus' tokens per character."""

    def tally(characters: int) -> dict[str, object]:
        return {
            "documents_in": 1, "documents_out": 1, "characters_in": 0, "characters_out": characters, "reasons": {},
        }  # fmt: skip

    stats = {
        "read": {},
        "stages": {"url": tally(0), "a": tally(800), "pii": tally(400)},
        "tokens": {"corpus_tokens": 100},
    }
    assert [row.tokens for row in funnel_rows(stats)] == [None, 200, 100]
    assert [row.has_text for row in funnel_rows(stats)] == [False, True, True]
