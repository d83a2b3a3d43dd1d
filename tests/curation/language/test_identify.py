"""Language identification: the kernel's predictions equal the library's to the last bit."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fasttext_files import fasttext_model
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import texts

from curation.language import identify
from curation.language.fasttext_file import Classifier, read_classifier

GREETINGS = ["guten Morgen", "good morning", "bonjour à tous", "добрый день", "おはよう", "صباح الخير", "🙂"]
WORDS = [
    *GREETINGS,
    "</s>",
    "__label__en",
    "__label__xx",
    "<",
    ">",
    "a",
    "I",
    "\0",
    "\t",
    "\u2028",
    "\x85",
    "the",
    "<de>",
]


@cache
def library(path: Path) -> Any:
    import fasttext

    return fasttext.load_model(str(path))


def by_library(values: list[str], path: Path) -> list[tuple[str | None, float]]:
    found = [library(path).predict(value.replace("\n", " "), 1) for value in values]
    return [(names[0].removeprefix("__label__"), float(scores[0])) if names else (None, 0.0) for names, scores in found]


def by_kernel(values: list[str], path: Path | None = None) -> list[tuple[str | None, float]]:
    found = identify.predict_all(pa.array(values, pa.string()), path=str(path) if path else None)
    return list(zip(found.languages, found.scores.tolist(), strict=True))


def test_labels_of_the_built_in_model() -> None:
    """They are read without the rest of the model, and are those that the loaded model has."""
    identify.labels.cache_clear()
    assert identify.labels() == {*identify.load_model().labels}


def test_real_texts(shared_data: Path) -> None:
    """Labels, scores and wanted scores equal the library's on every fifth text of the shared pages."""
    values = list(texts(shared_data, 5))
    assert by_kernel(values) == by_library(values, identify.model_path())
    found = identify.predict_all(pa.array(values), ["de", "fr"]).wanted_scores
    for value, score in zip(values[::10], found[::10], strict=True):
        names, scores = library(identify.model_path()).predict(value.replace("\n", " "), -1, -1.0)
        all_scores = dict(zip(names, scores, strict=True))
        assert score == max(all_scores["__label__de"], all_scores["__label__fr"])


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=12)), max_size=12).map(" ".join))
def test_any_text(value: str) -> None:
    """Predictions are equal for any text: other scripts, separators, words that look like labels or line ends."""
    assert by_kernel([value]) == by_library([value], identify.model_path())


def test_models_of_every_kind(tmp_path: Path) -> None:
    """Predictions equal the library's for every loss, with n-grams of letters and words, quantized or not, and for long
    texts and words.
    """
    values = [*GREETINGS, "good </s> guten", "", "x", "__label__en the", "good the good the day", " ".join(GREETINGS)]
    values += ["good new day " * 3000, "день" * 9000 + " the"]
    for loss in (1, 2, 3, 4):
        for shortest, longest, words in ((2, 4, 1), (1, 3, 2), (0, 0, 1), (0, 0, 3)):
            for quantized in (False, True):
                path = fasttext_model(tmp_path / "model.bin", loss, shortest, longest, words, quantized=quantized)
                identify.load_model.cache_clear()
                library.cache_clear()
                assert isinstance(identify.load_model(str(path)), Classifier)
                ours, theirs = by_kernel(values, path), by_library(values, path)
                assert [name for name, _ in ours] == [name for name, _ in theirs]
                assert [score for _, score in ours] == pytest.approx([score for _, score in theirs], rel=1e-6)
                wanted = identify.predict_all(pa.array(values[:1], pa.string()), ["ja"], str(path)).wanted_scores
                scores = dict(zip(*library(path).predict(values[0], -1, -1.0), strict=True))
                assert wanted[0] == pytest.approx(scores["__label__ja"], rel=1e-6)
    identify.labels.cache_clear()
    assert identify.labels(str(path)) == {"en", "de", "ru", "fr", "ja"}


def test_a_model_of_another_kind_runs_in_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that the kernel does not support runs in the library, with the same predictions."""
    path = fasttext_model(tmp_path / "model.bin", 1, 2, 4)
    names, scores = zip(*by_kernel(GREETINGS, path), strict=True)
    wanted = identify.predict_all(pa.array([*GREETINGS, ""]), ["de"], str(path)).wanted_scores
    monkeypatch.setattr(identify, "read_classifier", lambda _: None)
    identify.load_model.cache_clear()
    try:
        assert not isinstance(identify.load_model(str(path)), Classifier)
        names_again, scores_again = zip(*by_kernel(GREETINGS, path), strict=True)
        assert names_again == names
        assert scores_again == pytest.approx(scores)
        again = identify.predict_all(pa.array([*GREETINGS, ""]), ["de"], str(path)).wanted_scores
        assert again.tolist() == pytest.approx(wanted.tolist())
    finally:
        identify.load_model.cache_clear()


def test_nulls_slices_and_no_texts() -> None:
    """A null counts as an empty text, a slice is read from its start, and no texts give no predictions."""
    column = pa.array(["x", *GREETINGS, None, ""], pa.string())
    found = identify.predict_all(column.slice(1))
    assert list(zip(found.languages, found.scores.tolist(), strict=True)) == by_kernel([*GREETINGS, "", ""])
    assert identify.predict_all(column.slice(0, 0)).languages == []
    assert identify.predict_all(pa.array([], pa.string())).languages == []


@pytest.mark.parametrize(
    "content", [b"", b"no model at all", struct.pack("<ii", 793712314, 12), b"\xba\x16\x4f\x2f" * 40]
)
def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file, a file of another format and a truncated model raise ValueError."""
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        read_classifier(path)


def test_one_text(tmp_path: Path) -> None:
    """The answer for one text is that for a column; another model answers by its labels; odd texts do no harm."""
    for value in [*GREETINGS, ""]:
        assert tuple(identify.detect_language(value)) == by_kernel([value])[0]
    path = fasttext_model(tmp_path / "model.bin", 1, 2, 4)
    assert tuple(identify.detect_language(GREETINGS[0], str(path))) == by_kernel(GREETINGS[:1], path)[0]
    assert identify.detect_language("\ud800 Guten Morgen").language == "de"
    with pytest.raises(FileNotFoundError):
        identify.detect_language("", str(tmp_path / "none.bin"))
