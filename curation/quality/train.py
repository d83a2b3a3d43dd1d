"""Training a quality model from good and other documents, measured on domains that it has not seen.

Folds are made of registered domains, so that no site is in training and in the measurement. Of near-duplicates only one
is measured or trained on for the measurement: a copy on another domain has been seen. Both classes weigh the same. The
same documents give the same bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.arrays import Bools, Float64s, Int32s, Int64s
from curation.dedup.in_memory import deduplicate
from curation.errors import UsageError
from curation.quality.linear_kernels import CLASSES, descend, fill_features
from curation.quality.model import Linear, load
from curation.text.buffers import text_bytes

Kind = Literal["linear", "fasttext"]

BITS = 20
"""Base-2 logarithm of the number of weights of a linear model."""
PASSES = 10
RATE = 1.0
DECAY = 1e-4
"""Chosen by the AUC on domains that were held out, which three times as much or as little of each changes by 0.02."""

GOOD, OTHER = "hq", "other"
"""Labels of a fastText model."""
FASTTEXT = {
    "dim": 64, "wordNgrams": 2, "bucket": 1 << 20, "lr": 0.5, "minCount": 2, "seed": 0, "thread": 1,
    "verbose": 0,
}  # fmt: skip
"""Parameters of fastText; one thread, since several give other bytes each time."""
DOCUMENT_PASSES, MIN_EPOCHS, MAX_EPOCHS = 20_000, 5, 100
"""Passes over all documents together, within these bounds of passes over each: few documents take more of them."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Documents to train on.

    Attributes:
        texts: Their texts.
        good: Whether each is good, bool[documents].
        domains: The registered domain of each, or a name of its own if it has no URL.
    """

    texts: pa.StringArray
    good: Bools
    domains: npt.NDArray[np.object_]

    def where(self, mask: Bools) -> Examples:
        """The documents selected by a mask."""
        return Examples(self.texts.filter(pa.array(mask)), self.good[mask], self.domains[mask])

    def without_copies(self) -> Examples:
        """The first of each group of near-duplicates, on whichever side."""
        kept = deduplicate(pa.table({"text": self.texts, "row": np.arange(len(self.good))})).kept
        return self.where(np.isin(np.arange(len(self.good)), kept["row"].to_numpy()))


def train_linear(examples: Examples) -> Linear:
    """Train a linear model."""
    data, starts = text_bytes(examples.texts)
    shift = np.uint32(32 - BITS)
    scratch = np.empty(int(np.diff(starts).max(initial=0)) + 1, np.int32)
    rows: list[Int32s] = []
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        rows.append(scratch[: fill_features(data, first, last, CLASSES, shift, scratch)].copy())
    features = np.concatenate([*rows, np.zeros(0, np.int32)])
    ends: Int64s = np.cumsum([0, *map(len, rows)])
    weights, squares, bias = np.zeros(1 << BITS), np.zeros(1 << BITS), np.zeros(2)
    targets, costs = examples.good.astype(np.float64), balance(examples.good)
    chance = np.random.default_rng(0)
    for _ in range(PASSES):
        order = chance.permutation(len(targets))
        descend(weights, squares, bias, features, ends, targets, costs, order, RATE, DECAY)
    return Linear(weights.astype(np.float32), float(bias[0]))


def balance(good: Bools) -> Float64s:
    """The cost of each document, so that both classes weigh the same and the mean is 1."""
    share = good.mean()
    return np.asarray(np.where(good, 0.5 / share, 0.5 / (1 - share)), np.float64)


def fasttext_trainer() -> Any:
    """The library with training; UsageError if only the one for prediction is installed."""
    import fasttext

    if not hasattr(fasttext, "train_supervised"):
        raise UsageError(
            "--kind fasttext needs the whole fastText library, and only fasttext-predict is installed: "
            "pip install --force-reinstall --no-deps fasttext-numpy2-wheel; or train a linear model, --kind linear"
        )
    return fasttext


def train_fasttext(examples: Examples, path: Path) -> None:
    """Train a fastText model and write it; the smaller class is repeated so that both weigh about the same."""
    library = fasttext_trainer()
    count, good = len(examples.good), int(examples.good.sum())
    times = max(1, round((count - good) / good)), max(1, round(good / (count - good)))
    order = np.random.default_rng(0).permutation(count)
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines.txt"
        with lines.open("w", encoding="utf-8") as file:
            for row in order.tolist():
                is_good = bool(examples.good[row])
                text = " ".join(examples.texts[row].as_py().split())
                file.write(f"__label__{GOOD if is_good else OTHER} {text}\n" * times[0 if is_good else 1])
        epochs = min(MAX_EPOCHS, max(MIN_EPOCHS, DOCUMENT_PASSES // count))
        library.train_supervised(str(lines), epoch=epochs, **FASTTEXT).save_model(str(path))


def fit(examples: Examples, kind: Kind, path: Path) -> None:
    """Train a model of this kind and write it."""
    if kind == "linear":
        train_linear(examples).save(path)
    else:
        train_fasttext(examples, path)


def folds_of(domains: npt.NDArray[np.object_], folds: int) -> Int64s:
    """The fold of each document, by a hash of its domain: the same whatever other domains there are."""
    known = {
        name: int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=8).digest()) % folds
        for name in set(domains.tolist())
    }
    return np.array([known[name] for name in domains.tolist()], np.int64)


def cross_validate(examples: Examples, kind: Kind, folds: int) -> Float64s:
    """The score of each document by a model trained on other domains; NaN in a fold that cannot be held out.

    A fold is left out if the documents outside of it are all good, or none is.
    """
    scores = np.full(len(examples.good), np.nan)
    fold_of = folds_of(examples.domains, folds)
    with tempfile.TemporaryDirectory() as folder:
        for fold in range(folds):
            inside = fold_of == fold
            rest = examples.where(~inside)
            if not inside.any() or len(set(rest.good.tolist())) < 2:
                continue
            path = Path(folder) / f"{fold}.model"
            fit(rest, kind, path)
            labels = () if kind == "linear" else (GOOD,)
            scores[inside] = load(str(path), labels).score(examples.texts.filter(pa.array(inside)))
    return scores


def auc(scores: Float64s, good: Bools) -> float:
    """The chance that a good document scores higher than another, ties counting half; NaN without both.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    positive, negative = int(good.sum()), int((~good).sum())
    if not positive or not negative:
        return float("nan")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float((ranks[good].sum() - positive * (positive + 1) / 2) / (positive * negative))


def calibration(scores: Float64s, good: Bools, bins: int = 10) -> list[dict[str, Any]]:
    """The mean score and the share of good documents in bins of the score: `from`, `documents`, `score`, `good`."""
    places = np.minimum((scores * bins).astype(np.int64), bins - 1)
    return [
        {
            "from": number / bins,
            "documents": int((places == number).sum()),
            "score": round(float(scores[places == number].mean()), 4),
            "good": round(float(good[places == number].mean()), 4),
        }
        for number in range(bins)
        if (places == number).any()
    ]


def figures(scores: Float64s, examples: Examples) -> dict[str, Any]:
    """What the scores of held-out documents say: `documents`, `auc`, `calibration`."""
    held: Bools = np.isfinite(scores)
    good = examples.good[held]
    value = auc(scores[held], good)
    return {
        "documents": int(held.sum()),
        "domains": len(set(examples.domains[held].tolist())),
        "auc": None if np.isnan(value) else round(value, 4),
        "calibration": calibration(scores[held], good),
    }


def groups_of(names: Sequence[str]) -> dict[str, Int64s]:
    """The places of each name: ["a", "b", "a"] → {"a": [0, 2], "b": [1]}, by name."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return {name: np.array(found, np.int64) for name, found in sorted(places.items())}
