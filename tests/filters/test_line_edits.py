"""RefinedWeb's line-wise corrections: lines just inside and outside of each rule, for DCLM and for Dolma 3."""

from __future__ import annotations

from typing import Any

import pytest
from heuristic_cases import batch_of

from curation.errors import ParameterError
from curation.filters.line_edits import LineEdits

OFF: dict[str, Any] = {
    "max_uppercase": None, "digits": False, "counters": False, "min_words": None, "phrases": False,
    "max_removed_words": None,
}  # fmt: skip


def edit(text: str, **parameters: Any) -> str:
    """The text after the rules given, the others off."""
    return str(LineEdits(**{**OFF, **parameters})(batch_of([text])).batch.text[0].as_py())


BOTH = ("dclm", "datamap")
DCLM, DATAMAP = ("dclm",), ("datamap",)
LINES: list[tuple[dict[str, Any], tuple[str, ...], str, bool]] = [
    ({"max_uppercase": 0.5}, BOTH, "ABcd", True),
    ({"max_uppercase": 0.5}, BOTH, "ABCde", False),
    ({"max_uppercase": 0.5}, BOTH, "AB 12", True),  # of all characters, not of letters
    ({"max_uppercase": 0.5}, DCLM, "ÉÉe", False),
    ({"max_uppercase": 0.5}, DATAMAP, "ÉÉe", True),  # 2 of 5 bytes
    ({"digits": True}, BOTH, "2024", False),
    ({"digits": True}, BOTH, "2,024", True),
    ({"digits": True}, DCLM, "٢٠٢٤", False),
    ({"digits": True}, DATAMAP, "٢٠٢٤", True),
    ({"counters": True}, BOTH, "3 likes", False),
    ({"counters": True}, BOTH, "* 1,234.5K Followers!", False),
    ({"counters": True}, BOTH, "12 views", False),
    ({"counters": True}, BOTH, "12 viewers", True),
    ({"counters": True}, BOTH, "3likes", True),
    ({"counters": True}, BOTH, "3 likes today", True),
    ({"counters": True}, BOTH, "likes 3", True),
    ({"min_words": 2}, BOTH, "two words", True),
    ({"min_words": 2}, BOTH, "one", False),
    ({"min_words": 2}, DCLM, "one -", True),
    ({"min_words": 2}, DATAMAP, "one -", False),
    ({"min_words": 2}, DATAMAP, "one-two", True),
    ({"min_words": 2}, DCLM, "one-two", False),
]


@pytest.mark.parametrize(("parameters", "variants", "line", "kept"), LINES)
def test_lines(parameters: dict[str, Any], variants: tuple[str, ...], line: str, kept: bool) -> None:
    """A line just inside of a rule stays, one just outside is cut; empty lines around it stay."""
    for variant in variants:
        text = f"the first one\n\n{line}\n\nthe last one"
        wanted = text if kept else "the first one\n\n\nthe last one"
        assert edit(text, variant=variant, **parameters) == wanted, variant


TEN = "a b c d e f g h"
"""Eight words."""


@pytest.mark.parametrize(
    ("variant", "before", "after"),
    [
        ("dclm", "2 items in cart", "2"),
        ("dclm", "Items In Cart: 3 books", ": 3 books"),
        ("dclm", "items in cart", None),
        ("dclm", f"{TEN[:13]} items in cart", TEN[:13]),  # ten words
        ("dclm", f"{TEN} items in cart", f"{TEN} items in cart"),  # eleven
        ("dclm", "It goes on. READ MORE...", "It goes on."),
        ("dclm", "It goes on. Read more now", "It goes on. Read more now"),
        ("dclm", "It goes on. Read more!!!", "It goes on."),  # the dots of the source are wildcards
        ("dclm", "Read more... or not", "Read more... or not"),
        ("dclm", "sign-in to go on", "to go on"),
        ("dclm", "Please sign-in", "Please sign-in"),
        ("dclm", " \t", None),
        ("datamap", "2 items in cart now", "2 now"),
        ("datamap", "2 Items in cart", "2 Items in cart"),
        ("datamap", "READ MORE...", "READ MORE..."),
        ("datamap", "It goes on. Read more...", "It goes on."),
        ("datamap", "Sign-in to go on", "to go on"),
        ("datamap", "sign-in to go on", "sign-in to go on"),
        ("datamap", " \t", None),
    ],
)
def test_phrases(variant: str, before: str, after: str | None) -> None:
    """Phrases are cut out of short lines; a line of which nothing is left is cut."""
    wanted = "\n".join(["first line", *([] if after is None else [after]), "last line"])
    assert edit(f"first line\n{before}\nlast line", variant=variant, phrases=True) == wanted


def test_phrases_in_lines_of_any_length() -> None:
    """Without a limit, as in Dolma 3, phrases are cut out of long lines too."""
    text = f"{TEN} {TEN} Read more..."
    assert edit(text, variant="datamap", phrases=True) == text
    assert edit(text, variant="datamap", phrases=True, max_phrase_words=None) == f"{TEN} {TEN}"


def test_ends_of_the_text() -> None:
    """DCLM strips the text after a rule for lines, but for `min_words`; Dolma 3 drops a last empty line per phrase."""
    assert edit("\n a b\n", digits=True) == "a b"
    assert edit("\n a b\n", min_words=2) == "\n a b\n"
    assert edit("\n a b\n\n\n\n\n", phrases=True, variant="datamap") == "\n a b\n\n"
    assert edit("a b\r\nc d", phrases=True, variant="datamap") == "a b\nc d"


def test_share_of_words_that_are_cut() -> None:
    """A document is removed if more than 5 % of its words were cut, and keeps its text; 5 % are kept without them."""
    kept, removed = f"{'word ' * 19}\nwords", f"{'word ' * 18}\nwords"
    outcome = LineEdits()(batch_of([kept, removed]))
    assert outcome.reasons is not None
    assert outcome.signals is not None
    assert outcome.reasons.to_pylist() == [None, "max_removed_words"]
    assert outcome.signals.field("removed_words").to_pylist() == [1 / 20, 1 / 19]
    assert outcome.batch.text.to_pylist() == [" ".join(["word"] * 19), removed]
    assert outcome.counts == {"lines.min_words": 1}


def test_words_that_count() -> None:
    """In DCLM only words that begin with a letter or digit count for the share."""
    text = "\n".join(["a b - - - - - - -"] * 9 + ["c"])
    signals = LineEdits()(batch_of([text])).signals
    assert signals is not None
    assert signals.field("removed_words").to_pylist() == [1 / 19]
    signals = LineEdits(variant="datamap")(batch_of(["don't\n-- --\nit is so"])).signals
    assert signals is not None
    assert signals.field("removed_words").to_pylist() == [1 / 4]


def test_without_words() -> None:
    """Texts without words are kept, and a text from which everything is cut is removed."""
    outcome = LineEdits()(batch_of(["", None, "one"]))
    assert outcome.reasons is not None
    assert outcome.reasons.to_pylist() == [None, None, "max_removed_words"]


def test_bad_parameters() -> None:
    """A share above 1 is refused."""
    with pytest.raises(ParameterError, match="max_uppercase"):
        LineEdits(max_uppercase=2)
