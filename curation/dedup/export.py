"""Signatures for others: whole minima as datasketch's LeanMinHash, whose indexes and stores then serve them."""

from __future__ import annotations

from typing import Any

from curation.batch import Batch
from curation.dedup.normalise import simplify
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import minima, shingles


def lean_minhashes(batch: Batch, settings: DedupSettings) -> list[Any]:
    """A `datasketch.LeanMinHash` for each document, None for one of fewer than `ngram` words.

    They are computed from the text, since what is stored is bands and one byte a permutation. With
    `MinHashLSH(num_perm=settings.permutations, params=settings.banding)` candidates are those of this project. The
    scheme named is the one whose values have the variant's width; minima that datasketch computed are not comparable.
    """
    from datasketch import LeanMinHash

    scheme = "affine64" if settings.variant == "datatrove" else "affine32"
    parts = shingles(simplify(batch.characters), settings)
    values = minima(parts, settings)
    present = (parts.first < parts.last).tolist()
    return [
        LeanMinHash(seed=settings.seed, hashvalues=row, scheme=scheme) if there else None
        for row, there in zip(values, present, strict=True)
    ]
