"""MADLAD-400's rules for sentences: documents just inside and outside of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from heuristic_cases import batch_of

from curation.errors import ParameterError
from curation.filters.sentences import Sentences
from curation.stages.parameters import identity

FINE = "This one is fine."
LIST = "Anna Berta Clara Dora Eva Frida Gerda and hers are in it."
"""Twelve words, seven of them with a capital."""
HALF = "Anna Berta Clara Dora Eva Frida and all of hers are in."
SHORT = "Anna Berta Clara Dora Eva Frida Gerda Hanna Ida Jana Klara."
"""Eleven words."""


def reasons(*texts: str | None, **parameters: object) -> list[str | None]:
    found = Sentences(**parameters)(batch_of(list(texts))).reasons  # type: ignore[arg-type]
    assert found is not None
    return list(found.to_pylist())


def test_number_of_sentences() -> None:
    """A document of five sentences is kept, one of four is not; ends are `.`, `!` and `?` before white space."""
    assert reasons("A. B! C?\nD... E", "A. B! C?\nD.E", "", None, ". ! ? a") == [None, *["min_count"] * 4]


@pytest.mark.parametrize(("sentence", "kept"), [(LIST, False), (HALF, True), (SHORT, True), (LIST.lower(), True)])
def test_lists(sentence: str, kept: bool) -> None:
    """A sentence of at least 12 words, more than half of them with a capital, is questionable; a fifth is too many."""
    text = " ".join([FINE] * 4 + [sentence])
    assert reasons(text) == [None if kept else "max_questionable"]
    assert reasons(f"{FINE} {text}") == [None]


def test_phrases_and_expressions(tmp_path: Path) -> None:
    """Phrases of a file are found as they are spelled, expressions anywhere; a sentence counts once."""
    file = tmp_path / "phrases"
    file.write_text("items (new)\n\nview cart\n", encoding="utf-8")
    texts = [" ".join([FINE] * 4 + [sentence]) for sentence in ("Your items (new).", "View cart.", "Call 555-1234.")]
    assert reasons(*texts, phrases=str(file)) == ["max_questionable", None, None]
    assert reasons(*texts, expressions=(r"\d{3}-\d{4}",)) == [None, None, "max_questionable"]
    signals = Sentences(phrases=str(file), expressions=("new",)).measure(batch_of([texts[0]]))
    assert signals.field("questionable").to_pylist() == [1 / 5]


def test_the_file_is_part_of_the_identity(tmp_path: Path) -> None:
    """Other phrases under the same path give another fingerprint."""
    for name, text in (("a", "one\n"), ("b", "two\n")):
        (tmp_path / name).write_text(text)
    one, other = (identity(Sentences(phrases=str(tmp_path / name)))["assets"] for name in ("a", "b"))
    assert one != other
    assert identity(Sentences())["assets"] == {}


def test_bad_values(tmp_path: Path) -> None:
    """A file that is not there and an expression that RE2 does not accept are named."""
    with pytest.raises(ParameterError, match="phrases"):
        Sentences(phrases=str(tmp_path / "none"))
    with pytest.raises(ParameterError, match="expressions"):
        Sentences(expressions=("(?=a)",))
