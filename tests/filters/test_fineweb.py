"""FineWeb's rules: what each counts, by example, and that its threshold is exact."""

from __future__ import annotations

from typing import Any

import pytest
from heuristic_cases import batch_of, verdict

from curation.errors import ParameterError
from curation.filters.fineweb import FineWeb

NONE: dict[str, Any] = dict.fromkeys(
    ("min_terminal_lines", "max_short_lines", "max_dup_characters", "max_newlines_per_word")
)


@pytest.mark.parametrize(
    ("text", "signal", "value"),
    [
        ("a\n \nb\n\u3000\n", "lines", 2),
        ("a.\nb. \nc?\nd。\n\ne;", "terminal_lines", 3 / 5),
        ("x" * 30 + "\n" + "x" * 31 + "\n\n", "short_lines", 1 / 2),
        ("ab\n\nab\n \n \ncd", "dup_characters", 2 / 8),
        ("a b\n\nc\n", "newlines_per_word", 1),
    ],
)
def test_signals(text: str, signal: str, value: float) -> None:
    """Each signal of a small text is what the reference counts."""
    assert FineWeb().measure(batch_of([text]))[0].as_py()[signal] == pytest.approx(value)


@pytest.mark.parametrize("name", NONE)
def test_thresholds(name: str) -> None:
    """A document is removed only beyond the threshold, with the parameter's name as reason; None disables the rule."""
    batch = batch_of(["One line.\nOne line.\nAnother\n" + "and one that is longer than thirty characters"])
    value = FineWeb().measure(batch)[0].as_py()[name.split("_", 1)[1]]
    assert 0 < value < 1
    beyond = value + 0.001 if name.startswith("min_") else value - 0.001
    for threshold, reason in ((value, None), (beyond, name), (None, None)):
        assert FineWeb(**NONE | {name: threshold})(batch).reasons.to_pylist() == [reason]


def test_a_text_without_lines_is_empty() -> None:
    """A text of whitespace only is removed as `empty`, whatever the other rules."""
    assert FineWeb(**NONE)(batch_of(["", None, " \n\t\n"])).reasons.to_pylist() == ["empty"] * 3


def test_other_terminal_characters_and_line_length() -> None:
    """With other terminal characters and another short line length the verdicts equal the reference's."""
    from datatrove.pipeline.filters import FineWebQualityFilter

    ours = FineWeb(terminal_characters=(".", '"', ";"), short_line_length=4, max_dup_characters=0.1)
    theirs = FineWebQualityFilter(stop_chars=(".", '"', ";"), short_line_length=4, char_duplicates_ratio=0.1)
    texts = ['he said "no"\nfine', "done!\nreally?", "abcd\nabc;\nx", "five.\nsix 6.", "five.\nfive."]
    assert ours(batch_of(texts)).reasons.to_pylist() == [verdict(theirs, text)[0] for text in texts]


@pytest.mark.parametrize(
    ("name", "value"), [("min_terminal_lines", 2), ("max_newlines_per_word", -1), ("terminal_characters", ("ab",))]
)
def test_parameters_out_of_range(name: str, value: Any) -> None:
    """A value that makes no sense is refused, with the name of the parameter."""
    with pytest.raises(ParameterError, match=name):
        FineWeb(**{name: value})
