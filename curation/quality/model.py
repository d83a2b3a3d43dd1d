"""Quality models: a fastText classifier or a linear model of our own, by path, and the card beside the file.

The card, `MODEL.json`, has what a score means: the label that counts as good, the quantiles of scores on a corpus, and
the findings of an audit. It names the model's hash, so that it is not taken for that of another file.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Float32s, Float64s
from curation.language.fasttext_file import ROWS_AT_ONCE, Classifier, read_classifier, with_scores_of_words
from curation.language.fasttext_kernels import classify
from curation.quality.linear_kernels import CLASSES, score_texts
from curation.text.buffers import text_bytes

FORMAT = 1
"""Of a linear model's file; raised when features change."""

MAX_BITS = 26
MAX_CARD_BYTES = 64 << 20
STEPS = 1000
"""Quantiles are stored at every 1/1000 of the documents."""

ALL = ""
"""Key of the quantiles of all documents, next to those of single languages."""


class InvalidQualityModel(ValueError):
    """A file is not a quality model, or its card is not one."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear model: `weights` of hashed features, float32[a power of two], and the bias."""

    weights: Float32s
    bias: float

    def score(self, texts: pa.StringArray) -> Float64s:
        """The probability of high quality of every text."""
        data, starts = text_bytes(texts)
        scores = np.empty(len(texts))
        shift = np.uint32(33 - len(self.weights).bit_length())
        score_texts(self.weights, self.bias, CLASSES, shift, data, starts, scores)
        return scores

    def save(self, path: Path) -> None:
        """Write the model; the same model gives the same bytes."""
        with path.open("wb") as file:
            np.savez_compressed(
                file, format=np.int32(FORMAT), weights=self.weights, bias=np.float64(self.bias)
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FastText:
    """A fastText classifier, and the numbers of the labels whose probabilities add up to the score."""

    classifier: Classifier
    numbers: tuple[int, ...]

    def score(self, texts: pa.StringArray) -> Float64s:
        """The probability of the good labels of every text; 0 for a text in which the model knows nothing."""
        data, starts = text_bytes(texts)
        best, scores = np.empty(len(texts), np.int64), np.empty(len(texts), np.float32)
        wanted = np.empty((len(texts), len(self.numbers)), np.float32)
        numbers = np.array(self.numbers, np.int64)
        classify(self.classifier.arrays, data, starts, numbers, best, scores, wanted)
        return np.asarray(wanted.astype(np.float64).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about a model.

    Attributes:
        labels: The labels of a fastText model that count as good.
        quantiles: The scores of a corpus at 0, 1/STEPS, … 1 of its documents, of all (key ALL) and by language.
        training: How it was trained and its figures on domains that it had not seen.
        audit: Findings of the audit, with `failed`; None if there was none.
    """

    labels: tuple[str, ...] = ()
    quantiles: Mapping[str, Float64s] = field(default_factory=dict)
    training: Mapping[str, Any] | None = None
    audit: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class QualityModel:
    """A model that is ready to score.

    Attributes:
        path: Its file.
        sha256: The file's hash.
        kind: "linear" or "fasttext".
        labels: The labels that count as good; empty for a linear model.
        scorer: The model itself.
        card: What is known about it.
    """

    path: str
    sha256: str
    kind: str
    labels: tuple[str, ...]
    scorer: Linear | FastText
    card: Card

    def score(self, texts: pa.StringArray) -> Float64s:
        """The score of every text, 0 to 1; a null counts as empty."""
        return self.scorer.score(texts.fill_null("") if texts.null_count else texts)


def card_path(path: str) -> Path:
    """The card of a model."""
    return Path(f"{path}.json")


def file_hash(path: str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(path: str, labels: tuple[str, ...] = ()) -> QualityModel:
    """Load a model, once per process while the file and its card stay the same.

    Args:
        path: The file: a fastText classifier, or a linear model by `curate train-quality`.
        labels: The labels of a fastText model whose probabilities add up to the score; empty takes those of the card.

    Raises:
        OSError: The file cannot be read.
        InvalidQualityModel: It is no model, the card is no card or of another model, or the labels do not exist.
    """
    stamps = [(stat.st_mtime_ns, stat.st_size) for stat in (Path(path).stat(), *_stat(card_path(path)))]
    return _load(path, labels, tuple(stamps))


def _stat(path: Path) -> list[Any]:
    return [path.stat()] if path.is_file() else []


@lru_cache(maxsize=16)
def _load(path: str, labels: tuple[str, ...], stamps: Any) -> QualityModel:
    if not Path(path).is_file():  # a pipe or a device would be waited for
        raise InvalidQualityModel(f"{path} is not a file")
    sha256 = file_hash(path)
    card = read_card(path, sha256)
    if zipfile.is_zipfile(path):
        if labels:
            raise InvalidQualityModel(f"{path} is a linear model, which has no labels")
        return QualityModel(path, sha256, "linear", (), _read_linear(path), card)
    try:
        classifier = read_classifier(Path(path))
    except ValueError as error:
        raise InvalidQualityModel(f"{path} is neither a fastText classifier nor a linear model: {error}") from error
    if classifier is None:
        raise InvalidQualityModel(f"{path}: the dictionary of the fastText model is in an unknown order")
    chosen = tuple(label.removeprefix("__label__") for label in labels or card.labels)
    known = ", ".join(sorted(classifier.labels)[:20])
    if not chosen:
        raise InvalidQualityModel(f"{path} needs the label that counts as good; it has {known}")
    for label in chosen:
        if label not in classifier.labels:
            raise InvalidQualityModel(f"{path} has no label {label!r}; it has {known}")
    scorer = FastText(with_scores_of_words(classifier), tuple(classifier.labels.index(label) for label in chosen))
    if not all(map(_is_finite, scorer.classifier.arrays[:3])):
        raise InvalidQualityModel(f"{path}: its weights are not all finite numbers")
    return QualityModel(path, sha256, "fasttext", chosen, scorer, card)


def _is_finite(values: Float32s) -> bool:
    return all(bool(np.isfinite(part).all()) for part in np.array_split(values, len(values) // ROWS_AT_ONCE + 1))


def _read_linear(path: str) -> Linear:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > 8 << MAX_BITS:
            raise InvalidQualityModel(f"{path}: its arrays take {size >> 20} MiB")
        with np.load(path, allow_pickle=False) as file:
            form, weights, bias = file["format"], file["weights"], float(file["bias"])
    except InvalidQualityModel:
        raise
    except Exception as error:  # of zip, of NumPy's format, of arrays that are missing: the file decides which
        raise InvalidQualityModel(f"{path} is not a linear model: {error}") from error
    if not np.array_equal(form, FORMAT):
        raise InvalidQualityModel(f"{path} is not a linear model of format {FORMAT}, which this version reads")
    count = weights.size
    fits = weights.dtype == np.float32 and weights.ndim == 1 and count > 1 and count & (count - 1) == 0
    if not fits or not np.isfinite(weights).all() or not np.isfinite(bias):
        raise InvalidQualityModel(f"{path}: its weights are not all finite numbers, or their number is no power of two")
    return Linear(np.ascontiguousarray(weights), bias)


def read_card(path: str, sha256: str) -> Card:
    """The card of a model; an empty one if there is none.

    Raises:
        InvalidQualityModel: It is no card, or that of another model.
    """
    file = card_path(path)
    if not file.is_file():
        return Card()
    if file.stat().st_size > MAX_CARD_BYTES:
        raise InvalidQualityModel(f"{file} is larger than {MAX_CARD_BYTES >> 20} MiB")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        labels = tuple(str(label) for label in values.get("labels", ()))
        quantiles = {str(key): np.array(each, np.float64) for key, each in values.get("quantiles", {}).items()}
        of = values["model"]
        training, audit = values.get("training"), values.get("audit")
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise InvalidQualityModel(f"{file} is not the card of a model: {error}") from error
    if of != sha256:
        raise InvalidQualityModel(
            f"{file} is the card of another model: calibrate and audit this one, or remove the card"
        )
    for scores in quantiles.values():
        if scores.shape != (STEPS + 1,) or not np.isfinite(scores).all() or (np.diff(scores) < 0).any():
            raise InvalidQualityModel(f"{file}: quantiles must be {STEPS + 1} ascending numbers")
    if not all(part is None or isinstance(part, Mapping) for part in (training, audit)):
        raise InvalidQualityModel(f"{file} is not the card of a model")
    return Card(labels, quantiles, training, audit)


def write_card(path: str, sha256: str, card: Card) -> None:
    """Write the card of a model; the same card gives the same bytes."""
    values: dict[str, Any] = {"model": sha256, "labels": list(card.labels)}
    values["quantiles"] = {key: scores.tolist() for key, scores in sorted(card.quantiles.items())}
    values |= {name: dict(part) for name, part in (("training", card.training), ("audit", card.audit)) if part}
    file = card_path(path)
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(file)


def quantiles_of(scores: Float64s) -> Float64s:
    """The scores at 0, 1/STEPS, … 1 of the documents."""
    return np.asarray(np.quantile(scores, np.linspace(0, 1, STEPS + 1)))


def percentiles(scores: Float64s, quantiles: Float64s) -> Float64s:
    """The share of documents below each score, 0 to 100; the middle of them where many have the same score.

    >>> percentiles(np.array([0.0, 0.25, 1.0]), np.linspace(0, 1, 5)).tolist()
    [0.0, 25.0, 100.0]
    """
    left = np.searchsorted(quantiles, scores, "left").astype(np.float64)
    right = np.searchsorted(quantiles, scores, "right").astype(np.float64)
    last = len(quantiles) - 1
    below = np.clip(left - 1, 0, last).astype(np.int64)
    above = np.clip(left, 0, last).astype(np.int64)
    width = quantiles[above] - quantiles[below]
    between = below + np.divide(scores - quantiles[below], width, out=np.zeros_like(scores), where=width > 0)
    places = np.where(right > left, (left + right - 1) / 2, between)
    return np.asarray(np.clip(places, 0, last) * (100 / last))
