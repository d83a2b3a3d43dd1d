"""Gopher's quality rules: what each counts, by example, and that its threshold is exact."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from heuristic_cases import batch_of, verdict
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import ParameterError
from curation.filters.gopher_quality import GopherQuality

NONE: dict[str, Any] = {
    field.name: None for field in dataclasses.fields(GopherQuality) if field.name.startswith(("min_", "max_"))
}
PROSE = "The end of the road is # here ... and now\n- it begins to be ...\nNo. 12 of 34\n"


def measured(text: str, **parameters: Any) -> dict[str, float]:
    return GopherQuality(**parameters).measure(batch_of([text]))[0].as_py()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "signal", "value"),
    [
        ("one , two . % 3", "words", 3),
        ("one , two . % 345", "mean_word_length", 3),
        ("# a ## b", "hash_ratio", 3 / 5),
        ("a..... b…", "ellipsis_ratio", 2 / 4),
        ("- a\r\n  • b\n\nc\x85-", "bullet_lines", 3 / 5),
        ("a...\nb… \n...c\n. . .", "ellipsis_lines", 2 / 4),
        ("a 1 , b2", "alpha_words", 2 / 4),
        ("the The THE of of with.", "stop_words", 3),
    ],
)
def test_signals(text: str, signal: str, value: float) -> None:
    """Each signal of a small text is what the paper defines, as implemented by the reference."""
    assert measured(text)[signal] == pytest.approx(value)


def test_other_stop_words() -> None:
    """Stop words are a parameter: any words, in any script, each counted once."""
    assert measured("der die das und de DER 的 的", stop_words=("der", "und", "的", "nicht", "der"))["stop_words"] == 3
    assert measured("the of", stop_words=())["stop_words"] == 0


@pytest.mark.parametrize("name", NONE)
def test_thresholds(name: str) -> None:
    """A document is removed only beyond the threshold, with the parameter's name as reason; None disables the rule."""
    batch = batch_of([PROSE])
    value = GopherQuality().measure(batch)[0].as_py()[name.split("_", 1)[1]]
    assert value > 0
    step = 1 if isinstance(value, int) else 0.001
    beyond = value + step if name.startswith("min_") else value - step
    for threshold, reason in ((value, None), (beyond, name), (None, None)):
        stage = GopherQuality(**NONE | {name: threshold})
        assert stage(batch).reasons.to_pylist() == [reason]


def test_no_words_and_no_lines() -> None:
    """Without words or lines the ratios are null and remove nothing; the reference divides by zero there."""
    stage = GopherQuality(min_words=None, min_stop_words=None)
    outcome = stage(batch_of(["", " ", "\n", "..."]))
    assert outcome.reasons.to_pylist() == [None, None, None, "max_ellipsis_ratio"]
    assert outcome.signals[0].as_py()["alpha_words"] is None


def test_the_defaults_remove_an_empty_text() -> None:
    """An empty text has too few words."""
    assert GopherQuality()(batch_of(["", None])).reasons.to_pylist() == ["min_words", "min_words"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_words", -1), ("max_bullet_lines", 1.2), ("max_hash_ratio", float("nan")), ("stop_words", ("a", ""))],
)
def test_parameters_out_of_range(name: str, value: Any) -> None:
    """A value that no document could have is refused, with the name of the parameter."""
    with pytest.raises(ParameterError, match=name):
        GopherQuality(**{name: value})


def test_other_thresholds_equal_the_reference() -> None:
    """With other bounds and stop words the verdicts equal the reference's."""
    from datatrove.pipeline.filters import GopherQualityFilter

    ours = GopherQuality(min_words=3, max_words=8, max_mean_word_length=6, min_stop_words=1, stop_words=("el", "la"))
    theirs = GopherQualityFilter(
        min_doc_words=3, max_doc_words=8, max_avg_word_length=6, min_stop_words=1, stop_words=["el", "la"]
    )
    texts = ["el perro", "el perro come pan", "un perro come pan", "la " * 9, "la internacionalización descentralizada"]
    assert ours(batch_of(texts)).reasons.to_pylist() == [verdict(theirs, text)[0] for text in texts]


@pytest.mark.parametrize(
    ("text", "signal", "value"),
    [
        ("one , two. % 3x", "words", 3),
        ("one , two. % 345", "mean_word_length", 10 / 3),
        ("#a # b", "hash_ratio", 2 / 3),
        ("one, 1 , b2.", "alpha_words", 2 / 4),
        ("the, the\u2003of\nwith", "stop_words", 3),
    ],
)
def test_words_between_white_space(text: str, signal: str, value: float) -> None:
    """With `words = "space"`, a word is what stands between white space."""
    assert measured(text, words="space")[signal] == pytest.approx(value)


@given(st.text(alphabet="aé1,.# \t\n\u2003\x1f"))
def test_words_between_white_space_are_those_of_split(text: str) -> None:
    """The words are those of `str.split`, and their letters those of `str.isalpha`."""
    words = text.split()
    found = measured(text, words="space")
    assert found["alpha_words"] == (
        pytest.approx(sum(any(map(str.isalpha, word)) for word in words) / len(words)) if words else None
    )


def test_markdown_is_measured_as_prose() -> None:
    """With `markdown`, marks of headings are no hashes, and code has no words."""
    text = "# The heading\n\nThat is the text.\n\n```c\n#define x { 1 }\n```"
    assert measured(text, markdown=True) == measured("The heading\nThat is the text.")
    assert measured(text)["hash_ratio"] > 0
