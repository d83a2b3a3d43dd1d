"""Fuzzes the files of classification models: a damaged one is refused, or scores texts; it never crashes or hangs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from fasttext_files import fasttext_model
from fuzzing import fuzz

from curation.quality.model import InvalidQualityModel, Linear, load

TEXTS = pa.array(["guten Tag good day", "", "</s> the __label__en x"])


def seeds() -> list[bytes]:
    """Small models of every kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        found = []
        for loss, quantized in ((3, True), (1, False), (4, True)):
            found.append(fasttext_model(path, loss, 2, 3, 2, quantized=quantized).read_bytes())
        Linear(np.ones(16, np.float32), 0.5).save(path)
        return [*found, path.read_bytes()]


def test_damaged_models() -> None:
    """Any change of a model's file gives a model whose scores are numbers, or an error that says what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"

        def check(data: bytes) -> None:
            path.write_bytes(data)
            for labels in (("en",), ()):
                try:
                    model = load(str(path), labels)
                except InvalidQualityModel:
                    continue
                assert len(model.score(TEXTS)) == len(TEXTS)

        fuzz(check, seeds(), [b"\xff\xff\xff\x7f", b"\xff" * 8, b"\0" * 8, b"\0"])
