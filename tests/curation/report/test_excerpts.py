"""Excerpts: they show the text, never what is masked, and nothing that could disguise the text around it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.report.excerpts import excerpt, harmless

property_test = settings(max_examples=150, deadline=None, derandomize=True)


def spans(data: st.DataObject, size: int) -> list[tuple[int, int]]:
    """Ascending and disjoint spans of a text of this size."""
    ends = sorted(data.draw(st.lists(st.integers(0, size), unique=True, max_size=12)))
    return [(start, end) for start, end in zip(ends[::2], ends[1::2], strict=False) if start < end]


def test_a_short_text_is_shown_completely() -> None:
    """The parts of a short text are its highlighted and other parts in order."""
    pieces = excerpt("one two three", [(4, 7)])
    assert [(piece.kind, piece.text) for piece in pieces] == [("text", "one "), ("mark", "two"), ("text", " three")]


def test_a_mask_hides_highlighted_text() -> None:
    """Personal data within a highlight is replaced by its kind, once."""
    pieces = excerpt("mail a@b.org now", [(0, 16)], [(5, 12, "email")])
    assert [(piece.kind, piece.text) for piece in pieces] == [("mark", "mail "), ("mask", "email"), ("mark", " now")]


@property_test
@given(st.text("abc \n", min_size=1, max_size=400), st.integers(5, 100), st.data())
def test_everything_is_shown_or_counted(text: str, length: int, data: st.DataObject) -> None:
    """Shown parts and gaps add up to the text, and a longer text is cut to about the requested length."""
    marks = spans(data, len(text))
    pieces = excerpt(text, marks, (), length)
    at = 0
    for piece in pieces:
        if piece.kind == "gap":
            at += int(piece.text.replace(",", ""))
        else:
            assert text[at : at + len(piece.text)] == piece.text
            at += len(piece.text)
    assert at == len(text)
    assert sum(len(piece.text) for piece in pieces if piece.kind != "gap") <= max(2 * length, length + 1)


@property_test
@given(st.integers(20, 300), st.integers(10, 60), st.data())
def test_masked_text_is_never_shown(size: int, length: int, data: st.DataObject) -> None:
    """Whatever is cut and highlighted, no character of personal data is shown."""
    masks = [(start, end, "phone") for start, end in spans(data, size)]
    text = "".join("#" if any(start <= at < end for start, end, _ in masks) else "." for at in range(size))
    pieces = excerpt(text, spans(data, size), masks, length)
    assert not any("#" in piece.text for piece in pieces)


def test_highlights_far_into_a_long_text_are_shown() -> None:
    """A long text is shown from its start and around the highlight."""
    text = "begin " + "x" * 5000 + " HERE " + "y" * 5000
    pieces = excerpt(text, [(5007, 5011)])
    assert ("mark", "HERE") in [(piece.kind, piece.text) for piece in pieces]
    assert pieces[0].text.startswith("begin")
    assert [piece.kind for piece in pieces].count("gap") == 2


@property_test
@given(st.text(st.characters(), max_size=60))
def test_no_harmful_character_is_left(text: str) -> None:
    """Every character other than printable ones, spaces, newlines and tabs is replaced, one for one."""
    shown = harmless(text)
    assert len(shown) == len(text)
    assert all(a in (b, "�") for a, b in zip(shown, text, strict=True))
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
    assert not {*shown} & {
        *"\x7f\x9b\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff\u2028"
    }


def test_scripts_and_emoji_are_unchanged() -> None:
    """Arabic, Devanagari with joiners and family emoji are unchanged."""
    for text in ("سلام", "क्\u200dष", "👩\u200d👧", "e\u0301", "a\xa0b\u3000c"):
        assert harmless(text) == text
