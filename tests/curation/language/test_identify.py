"""Language identification: the kernel's predictions equal the library's to the last bit."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
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


def test_real_texts(shared_data: Path) -> None:
    """Labels, scores and wanted scores equal the library's on every fifth text of the shared pages."""
    values = list(texts(shared_data)[::5])
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


def model_file(path: Path, loss: int, shortest: int, longest: int) -> Path:
    """Write a small model with random vectors, neither quantized nor pruned, in fastText's format."""
    chance = np.random.default_rng(loss * 10 + longest)
    dim, buckets = 6, 50
    words = ["</s>", "guten", "good", "the", "день"]
    names = [f"__label__{name}" for name in ("en", "de", "ru", "fr", "ja")]
    data = struct.pack("<ii12id", 793712314, 12, dim, 5, 5, 1, 5, 1, loss, 3, buckets, shortest, longest, 100, 1e-4)
    data += struct.pack("<iiiqq", 10, 5, 5, 1000, -1)
    for number, word in enumerate([*words, *names]):
        data += word.encode() + b"\0" + struct.pack("<qb", 900 - 70 * number, number >= len(words))
    for rows in (5 + buckets, 5):
        matrix = chance.normal(size=(rows, dim)).astype("<f4")
        data += b"\0" + struct.pack("<qq", rows, dim) + matrix.tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("loss", [1, 3], ids=["tree", "softmax"])
@pytest.mark.parametrize(("shortest", "longest"), [(2, 4), (1, 3), (0, 0)])
def test_other_models(tmp_path: Path, loss: int, shortest: int, longest: int) -> None:
    """Predictions are equal for unquantized models with and without n-grams, with a tree or a plain softmax."""
    path = model_file(tmp_path / "model.bin", loss, shortest, longest)
    assert isinstance(identify.load_model(str(path)), Classifier)
    values = [*GREETINGS, "good </s> guten", "", "x", " ".join(GREETINGS)]
    ours, theirs = by_kernel(values, path), by_library(values, path)
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    assert [score for _, score in ours] == pytest.approx([score for _, score in theirs], rel=1e-6)
    assert identify.labels(str(path)) == {"en", "de", "ru", "fr", "ja"}
    scores = dict(zip(*library(path).predict(GREETINGS[0], -1, -1.0), strict=True))
    found = identify.predict_all(pa.array([GREETINGS[0]], pa.string()), ["ja"], str(path))
    assert found.wanted_scores[0] == pytest.approx(scores["__label__ja"], rel=1e-6)


def test_a_model_of_another_kind_runs_in_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that the kernel does not support runs in the library, with the same predictions."""
    path = model_file(tmp_path / "model.bin", 1, 2, 4)
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
    path = model_file(tmp_path / "model.bin", 1, 2, 4)
    assert tuple(identify.detect_language(GREETINGS[0], str(path))) == by_kernel(GREETINGS[:1], path)[0]
    assert identify.detect_language("\ud800 Guten Morgen").language == "de"
    with pytest.raises(FileNotFoundError):
        identify.detect_language("", str(tmp_path / "none.bin"))
