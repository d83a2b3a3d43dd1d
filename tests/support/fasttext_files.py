"""Small fastText models of any kind with random vectors."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def fasttext_model(
    path: Path,
    loss: int = 3,
    shortest: int = 0,
    longest: int = 0,
    word_ngrams: int = 1,
    labels: tuple[str, ...] = ("en", "de", "ru", "fr", "ja"),
    *,
    quantized: bool = False,
    value: float | None = None,
) -> Path:
    """Write a model in fastText's format; a quantized one has norms, and some of its n-grams are pruned.

    The last number of its matrices is `value`, if that is given; the others are random.
    """
    chance = np.random.default_rng(loss * 100 + longest * 10 + word_ngrams)
    dim, buckets = 6, 50
    words = ["</s>", "guten", "good", "the", "день"]
    names = [f"__label__{name}" for name in labels]
    size, kept = len(words) + len(names), list(range(0, buckets, 3))
    options = (dim, 5, 5, 1, 5, word_ngrams, loss, 3, buckets, shortest, longest, 100)
    data = struct.pack("<ii12id", 793712314, 12, *options, 1e-4)
    data += struct.pack("<iiiqq", size, len(words), len(names), 1000, len(kept) if quantized else -1)
    for number, word in enumerate([*words, *names]):
        data += word.encode() + b"\0" + struct.pack("<qb", 900 - 70 * number, number >= len(words))
    if quantized:
        data += b"".join(struct.pack("<ii", bucket, place) for place, bucket in enumerate(kept))
    for rows in (len(words) + (len(kept) if quantized else buckets), len(names)):
        data += b"\1" if quantized else b"\0"
        if not quantized:
            numbers = chance.normal(size=(rows, dim)).astype("<f4")
            numbers[-1, -1] = numbers[-1, -1] if value is None else value
            data += struct.pack("<qq", rows, dim) + numbers.tobytes()
            continue
        data += struct.pack("<?qqi", True, rows, dim, rows * dim // 2) + chance.bytes(rows * dim // 2)
        data += struct.pack("<4i", dim, dim // 2, 2, 2) + chance.normal(size=dim * 256).astype("<f4").tobytes()
        data += chance.bytes(rows)
        data += struct.pack("<4i", 1, 1, 1, 1) + np.abs(chance.normal(size=256)).astype("<f4").tobytes()
    path.write_bytes(data)
    return path
