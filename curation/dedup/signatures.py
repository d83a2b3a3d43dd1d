"""Signatures: what deduplication stores about each document, one row per document, next to its shard.

With 14 × 8 a signature takes 244 bytes: 14 band keys of 8 bytes, a sketch of 112 bytes to verify candidate pairs, the
128-bit hash of the simplified text, and its length. The reference stores 952 bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from curation.arrays import Bools, UInt8s, UInt32s, UInt64s, UnsignedInts
from curation.dedup.algorithms import minhash
from curation.dedup.algorithms.normalization import simplify
from curation.dedup.algorithms.shingles import Shingles, joined_shingles, mixed_shingles
from curation.dedup.settings import DedupSettings
from curation.stages.batch import Batch
from curation.text import views

VERSION = 1
"""Increased when the same settings give different signatures."""


def signature_schema(settings: DedupSettings) -> pa.Schema:
    """Columns of signatures/<shard>.parquet. All but `length` are null for a text of fewer than `ngram` words.

    keys: the band keys as consecutive little-endian uint64; sketch: one byte per permutation; exact: hash of the
    simplified text; length: code points of the text. With the scope "language", keys and hashes depend on it.
    """
    bands, _ = settings.banding
    return pa.schema(
        [
            ("keys", pa.binary(8 * bands)),
            ("sketch", pa.binary(settings.permutations)),
            ("exact", pa.binary(16)),
            ("length", pa.int32()),
        ]
    )


def shingles(characters: views.Characters, settings: DedupSettings) -> Shingles:
    """Shingles of simplified texts, by the variant of the settings."""
    if settings.variant == "datatrove":
        return joined_shingles(characters, views.words(characters), settings.ngram)
    return mixed_shingles(characters, settings.ngram)


def minima(parts: Shingles, settings: DedupSettings) -> UInt64s | UInt32s:
    """Minimum of each permutation for each document, shape (documents, permutations)."""
    compute = minhash.minima_61 if settings.variant == "datatrove" else minhash.minima_32
    return compute(parts, settings.seed, settings.permutations)


def signatures(batch: Batch, settings: DedupSettings) -> pa.RecordBatch:
    """One row per document in the order of the batch, with the columns of `signature_schema`."""
    simplified = simplify(batch.characters)
    parts = shingles(simplified, settings)
    smallest = minima(parts, settings)
    missing = parts.first == parts.last
    keys, hashes = minhash.band_keys(smallest, *settings.banding), _text_hashes(simplified)
    if settings.scope == "language":
        languages = _language_hashes(batch)[:, None]
        keys ^= languages
        hashes = hashes.copy()
        hashes.view(np.uint64)[...] ^= languages
    columns = [
        _fixed(keys, missing),
        _fixed(minhash.sketch(smallest), missing),
        _fixed(hashes, missing),
        pa.array((batch.characters.last - batch.characters.first).astype(np.int32)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=signature_schema(settings))


def _language_hashes(batch: Batch) -> UInt64s:
    """A hash of the language of every document, shape (documents,): two languages have no key in common."""
    names = [name or "" for name in batch.languages.names]
    known = {name: xxhash.xxh3_64_intdigest(name.encode()) for name in set(names)}
    return np.array([known[name] for name in names], np.uint64)


def _text_hashes(characters: views.Characters) -> UInt8s:
    """128-bit hash of every text, shape (documents, 16)."""
    codes = characters.codepoints
    spans = zip(characters.first.tolist(), characters.last.tolist(), strict=True)
    digests = bytearray().join(xxhash.xxh3_128_digest(codes[first:last].data) for first, last in spans)
    return np.frombuffer(digests, np.uint8).reshape(-1, 16)


def _fixed(values: UnsignedInts, missing: Bools) -> pa.FixedSizeBinaryArray:
    """Rows of a 2-D array as binary values of a fixed size, null where `missing`."""
    values[missing] = 0
    kind = pa.binary(values.shape[1] * values.itemsize)
    validity = pa.array(~missing).buffers()[1]
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [validity, pa.py_buffer(values)])


def band_keys(table: pa.RecordBatch | pa.Table) -> UInt64s:
    """The `keys` column as an array, shape (rows, bands); zeros where null."""
    return _rows(table.column("keys")).view("<u8")


def sketches(table: pa.RecordBatch | pa.Table) -> UInt8s:
    """The `sketch` column as an array, shape (rows, permutations); zeros where null."""
    return _rows(table.column("sketch"))


def exact_hashes(table: pa.RecordBatch | pa.Table) -> UInt64s:
    """The `exact` column as an array, shape (rows, 2); zeros where null."""
    return _rows(table.column("exact")).view("<u8")


def _rows(column: pa.Array | pa.ChunkedArray) -> UInt8s:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    width = array.type.byte_width
    values = array.fill_null(bytes(width))
    buffer = values.buffers()[1]
    start = values.offset * width
    return np.frombuffer(buffer, np.uint8)[start : start + len(values) * width].reshape(-1, width)


def lean_minhashes(batch: Batch, settings: DedupSettings) -> list[Any]:
    """A `datasketch.LeanMinHash` for each document, None for one of fewer than `ngram` words.

    They are computed from the text, because only bands and one byte per permutation are stored. With
    `MinHashLSH(num_perm=settings.permutations, params=settings.banding)` the candidates are the same as ours. The
    scheme is the one with values of the variant's width; minima computed by datasketch are not comparable.
    """
    from datasketch import LeanMinHash

    scheme = "affine64" if settings.variant == "datatrove" else "affine32"
    parts = shingles(simplify(batch.characters), settings)
    values = minima(parts, settings)
    present = (parts.first < parts.last).tolist()
    return [
        LeanMinHash(seed=settings.seed, hashvalues=row, scheme=scheme) if has_words else None
        for row, has_words in zip(values, present, strict=True)
    ]
