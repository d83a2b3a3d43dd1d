"""Read the file of a fastText classifier into arrays for the kernel in `curation.language.fasttext_kernels`.

Supports classifiers of fastText's format versions 11 and 12 (src/fasttext.cc, args.cc, dictionary.cc, quantmatrix.cc):
with any n-grams of characters and words and any loss, quantized and pruned or not.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.arrays import Float32s, Int32s, Int64s, UInt8s
from curation.language.fasttext_kernels import fill_table

MAGIC, VERSIONS = 793712314, (11, 12)
HIERARCHICAL, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
SUPERVISED = 3
LABEL = 1
PREFIX = "__label__"
CENTROIDS = 256

MAX_DIM, MAX_BUCKETS, MAX_NGRAM = 1 << 14, 1 << 24, 255
"""Far above what models have; a damaged file cannot claim memory or time beyond them. Buckets: of a pruned model."""

MAPPED_BYTES = 64 << 20
"""Larger matrices stay in the file's pages, which all workers of a machine share."""


class Arrays(NamedTuple):
    """The model as the kernel reads it. The arrays of the tree (from `left` on) are empty for a plain softmax.

    Attributes:
        rows: Vectors of words and n-grams, shape (n, dim).
        output: Vectors of labels or of inner nodes of the tree, shape (labels or inner nodes, dim).
        output_norms: What the dot product with each row of `output` is multiplied by; ones unless it is quantized.
        word_bytes: Spellings of the dictionary, words before labels, one after another.
        word_starts: Where each spelling starts in `word_bytes`, shape (entries + 1,).
        table: Hash table from spelling to its number in the dictionary; open addressing, -1 where empty.
        words: Number of words in the dictionary; the entries after them are labels.
        ngram_kept: One bit per n-gram bucket, set if the bucket has a row. Empty if no n-gram was pruned.
        ngram_rows: Row of each n-gram bucket, -1 for none. Empty if no n-gram was pruned: then the row of a bucket
            is `words` plus its number.
        buckets: Number of n-gram buckets; an n-gram's bucket is its hash modulo this number.
        shortest: Minimum length of an n-gram in characters.
        longest: Maximum length of an n-gram in characters.
        word_ngrams: Maximum number of words in an n-gram of words.
        independent: Whether each label has a probability of its own (one against all) instead of a share (softmax).
        left: Left child of each node of the tree, leaves first.
        right: Right child of each node of the tree.
        paths: Output rows on the path from the root to each label, label after label.
        turns: For each step in `paths`, 1 if the path turns right, else 0.
        path_starts: Where each label's path starts in `paths`, shape (labels + 1,).
    """

    rows: Float32s
    output: Float32s
    output_norms: Float32s
    word_bytes: UInt8s
    word_starts: Int64s
    table: Int32s
    words: int
    ngram_kept: UInt8s
    ngram_rows: Int32s
    buckets: int
    shortest: int
    longest: int
    word_ngrams: int
    independent: bool
    left: Int32s
    right: Int32s
    paths: Int32s
    turns: Int32s
    path_starts: Int32s


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model for the kernel, and its labels without prefix, most frequent first."""

    labels: tuple[str, ...]
    arrays: Arrays


class _Cursor:
    """Reads the values of a file in order."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data, self.path, self.at = data, path, 0

    def read(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def array(self, kind: type[np.generic], count: int) -> npt.NDArray[Any]:
        if count * np.dtype(kind).itemsize > MAPPED_BYTES:
            mapped: npt.NDArray[Any] = np.memmap(self.path, kind, "r", self.at, (count,)).view(np.ndarray)
            self.at += mapped.nbytes
            return mapped
        values = np.frombuffer(self.data, kind, count, self.at).copy()
        self.at += values.nbytes
        return values

    def word(self) -> bytes:
        end = self.data.find(b"\0", self.at)
        _require(end >= 0)
        value = self.data[self.at : end]
        self.at = end + 1
        return value


def read_classifier(path: Path) -> Classifier | None:
    """Read a model, or return None if the kernel does not support its dictionary.

    Raises:
        ValueError: The file is not a fastText classifier of a known version, or is incomplete.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(_Cursor(data, path))
    except (struct.error, IndexError, OverflowError, MemoryError, TypeError) as error:
        raise ValueError(f"{path}: not a complete fastText model") from error


def _read(cursor: _Cursor) -> Classifier | None:
    magic, version = cursor.read("ii")
    dim, _, _, _, _, word_ngrams, loss, kind, buckets, shortest, longest, _ = cursor.read("12i")
    cursor.read("d")
    if magic != MAGIC or version not in VERSIONS:
        raise ValueError("not a fastText model of version 11 or 12")
    if kind != SUPERVISED:
        raise ValueError("a fastText model of word vectors, not a classifier")
    _require(loss in (HIERARCHICAL, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL) and 1 <= dim <= MAX_DIM)
    _require(buckets >= 0 and word_ngrams <= MAX_NGRAM and longest <= MAX_NGRAM)
    if version == VERSIONS[0]:
        longest = 0  # as the library reads it
    size, words, _, _, pruned = cursor.read("iiiqq")
    _require(0 <= words < size and (pruned < 0 or buckets <= MAX_BUCKETS))
    entries = [(cursor.word(), *cursor.read("qb")) for _ in range(size)]
    pairs = cursor.array(np.int32, 2 * max(0, pruned)).reshape(-1, 2)
    rows, norms = _read_matrix(cursor, dim)
    if norms is not None:
        with np.errstate(all="ignore"):  # of a damaged file
            rows *= norms[:, None]
    (quantized,) = cursor.read("?")
    output, norms = _read_matrix(cursor, dim, quantized)
    if buckets == 0:  # there are no n-grams, whatever their lengths
        longest, word_ngrams = 0, 1
    hashed = buckets if pruned < 0 and (longest > 0 or word_ngrams > 1) else 0
    _require(rows.shape[1] == output.shape[1] == dim and len(rows) >= words + hashed and len(output) >= size - words)
    _require(bool(((pairs >= 0) & (pairs < (buckets, len(rows) - words))).all()))
    if any((entry[2] == LABEL) != (number >= words) for number, entry in enumerate(entries)):
        return None
    spellings = [entry[0] for entry in entries]
    starts = np.cumsum([0, *map(len, spellings)])
    spelled = np.frombuffer(b"".join(spellings), np.uint8)
    table = np.full(1 << (2 * size).bit_length(), -1, np.int32)
    fill_table(table, spelled, starts)
    ngram_rows = np.full(buckets if pruned >= 0 else 0, -1, np.int32)
    ngram_rows[pairs[:, 0]] = pairs[:, 1] + words
    ngram_kept = np.packbits(ngram_rows >= 0, bitorder="little")
    counts = [entry[1] for entry in entries[words:]]
    tree = _huffman_tree(counts) if loss == HIERARCHICAL else (np.zeros(0, np.int32),) * 5
    labels = tuple(spelling.decode().removeprefix(PREFIX) for spelling in spellings[words:])
    return Classifier(
        labels,
        Arrays(
            rows, output, np.ones(len(output), np.float32) if norms is None else norms, spelled, starts, table, words,
            ngram_kept, ngram_rows, buckets, shortest, longest, word_ngrams, loss in (NEGATIVE_SAMPLING, ONE_VS_ALL),
            *tree,
        ),
    )  # fmt: skip


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("a damaged fastText model")


def _read_matrix(cursor: _Cursor, dim: int, quantized: bool | None = None) -> tuple[Float32s, Float32s | None]:
    """Read a matrix, shape (rows, dim), and the norms of its rows if they are quantized apart from their directions.

    Args:
        cursor: The file.
        dim: Length of a row.
        quantized: Whether it is product-quantized; None if the file says so here.
    """
    if quantized is None:
        (quantized,) = cursor.read("?")
    if not quantized:
        rows, columns = cursor.read("qq")
        return cursor.array(np.float32, rows * columns).reshape(rows, columns), None
    has_norms, rows, _, size = cursor.read("?qqi")
    codes = cursor.array(np.uint8, size).reshape(rows, -1)
    parts = [part[codes[:, number]] for number, part in enumerate(_read_centroids(cursor))]
    matrix = np.ascontiguousarray(np.concatenate(parts, axis=1)[:, :dim], dtype=np.float32)
    if not has_norms:
        return matrix, None
    norm_codes = cursor.array(np.uint8, rows)
    return matrix, np.ascontiguousarray(_read_centroids(cursor)[0][norm_codes, 0])


def _read_centroids(cursor: _Cursor) -> list[Float32s]:
    """Read, for each part of a vector, the 256 values it may have, shape (256, size of the part)."""
    dim, parts, width, last = cursor.read("4i")
    _require(1 <= parts <= dim <= MAX_DIM and width >= 1 and last >= 1)
    flat = cursor.array(np.float32, dim * CENTROIDS)
    widths = [width] * (parts - 1) + [last]
    ends = np.cumsum([0, *widths]) * CENTROIDS
    return [flat[ends[n] : ends[n + 1]].reshape(CENTROIDS, widths[n]) for n in range(parts)]


def _huffman_tree(counts: list[int]) -> tuple[Int32s, Int32s, Int32s, Int32s, Int32s]:
    """fastText's Huffman tree over labels by their counts (loss.cc): children of nodes, and the path to each leaf."""
    leaves = len(counts)
    weight = [*counts, *([10**15] * (leaves - 1))]
    left, right = [-1] * (2 * leaves - 1), [-1] * (2 * leaves - 1)
    leaf, node = leaves - 1, leaves
    for parent in range(leaves, 2 * leaves - 1):
        children = []
        for _ in range(2):
            if leaf >= 0 and weight[leaf] < weight[node]:
                children.append(leaf)
                leaf -= 1
            else:
                children.append(node)
                node += 1
        left[parent], right[parent] = children
        weight[parent] = weight[children[0]] + weight[children[1]]
    paths: list[list[tuple[int, int]]] = [[] for _ in range(2 * leaves - 1)]
    for parent in range(2 * leaves - 2, leaves - 1, -1):
        paths[left[parent]] = [*paths[parent], (parent - leaves, 0)]
        paths[right[parent]] = [*paths[parent], (parent - leaves, 1)]
    steps = [step for path in paths[:leaves] for step in path]
    starts = np.cumsum([0, *map(len, paths[:leaves])])
    arrays = (left, right, [row for row, _ in steps], [turn for _, turn in steps], starts)
    return tuple(np.array(values, np.int32) for values in arrays)  # type: ignore[return-value]
