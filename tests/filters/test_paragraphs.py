"""Pages without paragraphs are removed."""

from __future__ import annotations

import pytest
from heuristic_cases import batch_of

from curation.errors import ParameterError
from curation.filters.paragraphs import Paragraphs

LONG, SHORT = "a" * 200, "b" * 199
TEXTS = ["\n".join([LONG, SHORT, LONG]), "", "\n\n", f"{LONG}x\n\nshort", "\n".join([LONG] * 3), SHORT]


def test_signals() -> None:
    """A line of at least `length` characters is a paragraph; the share is of characters without newlines."""
    signals = Paragraphs().measure(batch_of(TEXTS))
    assert signals.field("count").to_pylist() == [2, 0, 0, 1, 3, 0]
    assert signals.field("share").to_pylist() == [400 / 599, None, None, 201 / 206, 1, 0]


@pytest.mark.parametrize(
    ("parameters", "removed"),
    [
        ({}, ["min_count"] * 4 + [None, "min_count"]),
        ({"min_count": None, "min_share": 0.7}, ["min_share", None, None, None, None, "min_share"]),
        ({"min_count": 1, "length": 202}, ["min_count"] * 6),
        ({"min_count": None}, [None] * 6),
    ],
)
def test_rules(parameters: dict[str, int | float | None], removed: list[str | None]) -> None:
    """By default a document needs three paragraphs, as in mC4; a share where `min_share` is set."""
    assert Paragraphs(**parameters)(batch_of(TEXTS)).reasons.to_pylist() == removed  # type: ignore[arg-type]


def test_rows_that_are_left_keep_their_lines() -> None:
    """Rows that another filter dropped do not count for those that are left."""
    batch = batch_of(TEXTS)
    assert batch.lines.counts.tolist() == [3, 1, 3, 3, 3, 1]
    kept = batch.keep(Paragraphs(min_count=2)(batch).reasons.is_null().to_numpy(zero_copy_only=False))
    assert Paragraphs().measure(kept).field("count").to_pylist() == [2, 3]


def test_code_is_no_paragraph() -> None:
    """With `markdown`, code and marks do not count."""
    text = f"# {SHORT}\n\n```\n{LONG}\n```"
    assert Paragraphs().measure(batch_of([text])).field("count").to_pylist() == [2]
    assert Paragraphs(markdown=True).measure(batch_of([text])).field("count").to_pylist() == [0]


def test_parameters_out_of_range() -> None:
    """A share beyond 1 and a length of 0 are refused."""
    for name, value in (("min_share", 1.5), ("length", 0)):
        with pytest.raises(ParameterError, match=name):
            Paragraphs(**{name: value})  # type: ignore[arg-type]
