"""Views of a batch's text agree with Python's string methods."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from heuristic_cases import batch_of, strings
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.stages.batch import Batch
from curation.text import views
from curation.text.kernels import characters as kernels
from curation.text.kernels.chunks import ALL_SYMBOLS, HAS_ALPHA, IS_PUNCTUATION, IS_STOP

TEXT = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("\n\n\n\r .ab\u2028\x85\u3000é的😀")), max_size=40
)
TEXTS = st.lists(st.one_of(st.none(), TEXT), max_size=8)
MANY = settings(max_examples=150, deadline=None)


def texts_of(view: views.Characters) -> list[str]:
    return views.strings(view).to_pylist()


@given(TEXTS, st.integers(0, 3), st.integers(0, 8))
@MANY
def test_characters_and_back(texts: list[str | None], begin: int, size: int) -> None:
    """Any slice of a column survives conversion to code points and back; a null becomes an empty text."""
    column = pa.array(texts, pa.string()).slice(min(begin, len(texts)), size)
    view = views.characters(column)
    expected = [text or "" for text in column.to_pylist()]
    assert texts_of(view) == expected
    assert view.counts.tolist() == [len(text) for text in expected]
    assert texts_of(views.characters(column.cast(pa.large_string()))) == expected


def test_a_null_over_bytes_is_empty() -> None:
    """A null row is empty even if the buffer has bytes for it."""
    column = pa.Array.from_buffers(
        pa.string(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer(np.array([0, 3, 5], np.int32)), pa.py_buffer(b"abcde")]
    )
    assert texts_of(views.characters(column)) == ["", "de"]


def test_code_points_between_places() -> None:
    """Stretches of texts, empty and overlapping ones too, are put one after the other."""
    text = views.characters(pa.array(["aé邮", None, "bc"]))
    codepoints, edges = text.between(np.array([1, 3, 2, 0]), np.array([3, 3, 5, 1]))
    assert "".join(map(chr, codepoints)) == "é邮邮bca"
    assert edges.tolist() == [0, 2, 2, 5, 6]
    assert [len(one) for one in text.between(np.zeros(0, np.int64), np.zeros(0, np.int64))] == [0, 1]


def test_only_text_has_characters() -> None:
    """A column of another type is refused."""
    with pytest.raises(TypeError, match="int64"):
        views.characters(pa.array([1]))


@given(st.lists(TEXT, max_size=6))
@MANY
def test_lines_and_paragraphs(texts: list[str]) -> None:
    """Lines are split at newlines, paragraphs of the stripped text at runs of newlines."""
    batch = batch_of(texts)
    assert strings(batch, batch.lines) == [text.split("\n") for text in texts]
    assert strings(batch, batch.paragraphs) == [re.split(r"\n{2,}", text.strip()) for text in texts]


def test_classes_are_pythons() -> None:
    """The table agrees with Python for every code point."""
    table = kernels.classes()
    ends = "".join(chr(code) for code in range(0x110000) if len(f"a{chr(code)}a".splitlines()) == 2)
    for bit, holds in (
        (kernels.SPACE, str.isspace),
        (kernels.ALPHA, str.isalpha),
        (kernels.DECIMAL, str.isdecimal),
        (kernels.NEWLINE, ends.__contains__),
    ):
        assert (np.flatnonzero(table & bit) == [code for code in range(0x110000) if holds(chr(code))]).all()


def test_lower_case_is_pythons() -> None:
    """The table holds the characters that become one ASCII character; İ becomes two, which no phrase contains."""
    lower = kernels.ascii_lower()
    for code in range(0x110000):
        text = chr(code).lower()
        assert lower[code] == (ord(text) if text.isascii() else 0)
    assert "\u0130".lower() == "i\u0307"


def test_flags_of_words() -> None:
    """Flags say whether a word has a letter, is all symbols, is punctuation, and ends a sentence."""
    batch = batch_of(["Ab1 . $ ?! % , 12 。 …"])
    words = batch.words
    flags = dict(zip(strings(batch, words)[0], words.flags.tolist(), strict=True))
    assert flags == {
        "Ab1": HAS_ALPHA,
        ".": ALL_SYMBOLS | IS_PUNCTUATION | IS_STOP,
        "$": ALL_SYMBOLS,
        "?": ALL_SYMBOLS | IS_PUNCTUATION | IS_STOP,
        "!": ALL_SYMBOLS | IS_PUNCTUATION | IS_STOP,
        "%": ALL_SYMBOLS | IS_PUNCTUATION,
        ",": ALL_SYMBOLS | IS_PUNCTUATION,
        "12": 0,
        "。": ALL_SYMBOLS | IS_PUNCTUATION | IS_STOP,
        "…": ALL_SYMBOLS | IS_PUNCTUATION,
    }


@given(st.lists(TEXT, min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_views_of_kept_rows_equal_new_ones(texts: list[str], data: st.DataObject) -> None:
    """After rows are dropped twice, every view equals that of a batch that never had them."""
    batch = batch_of(texts)
    views_of = ("words", "lines", "paragraphs")
    for name in views_of:
        getattr(batch, name)
    for _ in range(2):
        mask = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
        texts = [text for text, keep in zip(texts, mask, strict=True) if keep]
        batch = batch.keep(np.array(mask, dtype=np.bool_))
        fresh = batch_of(texts)
        assert batch.text.to_pylist() == texts_of(batch.characters) == texts
        for name in views_of:
            assert strings(batch, getattr(batch, name)) == strings(fresh, getattr(fresh, name))
        kept = [flag for first, last in _bounds(batch) for flag in batch.words.flags[first:last].tolist()]
        assert kept == fresh.words.flags.tolist()


def _bounds(batch: Batch) -> list[tuple[int, int]]:
    return list(zip(batch.words.first.tolist(), batch.words.last.tolist(), strict=True))


def test_given_views_hold_only_for_their_rows() -> None:
    """Views passed with a new text are used once all other rows are dropped, and never for those rows."""
    batch, new = batch_of(["a b", "c", "d. e"]), batch_of(["x y z", "wrong", "éé. é"])
    valid = np.array([True, False, True])
    text = pa.array(["x y z", "c", "éé. é"])
    rewritten = batch.with_text(text, valid, characters=new.characters, words=new.words)
    assert strings(rewritten, rewritten.words) == [["x", "y", "z"], ["c"], ["éé", ".", "é"]]
    for mask in (valid, ~valid, np.array([False, True, True])):
        kept = batch.with_text(text, valid, characters=new.characters, words=new.words).keep(mask)
        fresh = batch_of(kept.text.to_pylist())
        assert strings(kept, kept.words) == strings(fresh, fresh.words)
        assert (kept.words.flags is new.words.flags) == (not mask[1])
