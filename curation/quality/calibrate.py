"""Calibration: the quantiles of a model's scores on a corpus, stored on its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from curation.arrays import Float64s
from curation.errors import InputError, OutputError, UsageError
from curation.quality.model import (
    ALL,
    Card,
    InvalidQualityModel,
    QualityModel,
    card_path,
    load,
    quantiles_of,
    write_card,
)
from curation.text.text_files import read_texts, text_files

LEAST = 1000
"""Documents of a language from which on it has quantiles of its own: one per step of them."""


def calibrate(path: str, sources: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Score a corpus and store the quantiles on the model's card, next to what is there.

    Args:
        path: The model.
        sources: Run folders, folders and files of documents.
        labels: Labels of a fastText model that count as good, also stored; empty takes those of the card.

    Returns:
        `model`, `card` (path), `sha256`, `labels`, `documents`, `languages` (documents of each language that has
        quantiles of its own), and `percentiles` (the scores at 1, 5, 10, 25, 50, 75, 90, 95 and 99 %).

    Raises:
        UsageError: The model cannot be used.
        InputError: The corpus cannot be read, or has no documents.
        OutputError: The card cannot be written.
    """
    model = open_model(path, labels)
    files = text_files(sources)
    scores: list[Float64s] = []
    languages: list[str] = []
    for file in files:
        for batch in read_texts(file):
            scores.append(model.score(batch.column("text")))
            languages += [name or "" for name in batch.column("language").to_pylist()]
    if not scores:
        raise InputError(f"{', '.join(sources)}: no documents")
    every, names = np.concatenate(scores), np.array(languages, object)
    found, counts = np.unique([name for name in languages if name], return_counts=True)
    large = {str(name): int(count) for name, count in zip(found, counts, strict=True) if count >= LEAST}
    quantiles = {ALL: quantiles_of(every)} | {name: quantiles_of(every[names == name]) for name in large}
    save_card(model, replace(model.card, labels=model.labels, quantiles=quantiles))
    shown = (1, 5, 10, 25, 50, 75, 90, 95, 99)
    return {
        "model": path,
        "card": str(card_path(path)),
        "sha256": model.sha256,
        "labels": list(model.labels),
        "documents": len(every),
        "languages": large,
        "percentiles": {str(percent): float(quantiles[ALL][percent * 10]) for percent in shown},
    }


def open_model(path: str, labels: Sequence[str] = ()) -> QualityModel:
    """Load a model that a command names; UsageError if it cannot be used."""
    try:
        return load(path, tuple(labels))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except InvalidQualityModel as error:
        raise UsageError(str(error)) from error


def save_card(model: QualityModel, card: Card) -> None:
    """Write a model's card; OutputError if that fails."""
    try:
        write_card(model.path, model.sha256, card)
    except OSError as error:
        raise OutputError(f"{card_path(model.path)}: {error.strerror or error}") from error
