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

from curation.arrays import Float32s, Int32s, Int64s, UInt8s, UInt64s
from curation.language.fasttext_kernels import fill_table, fill_tails

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

ROWS_AT_ONCE = 1 << 14


class Dictionary(NamedTuple):
    """The dictionary of a model as the kernel reads it.

    Attributes:
        word_bytes: Spellings, words before labels, one after another.
        word_starts: Where each spelling starts in `word_bytes`, shape (entries + 1,).
        table: Hash table from spelling to its number in the dictionary; open addressing, -1 where empty.
        tails: The last eight bytes of each spelling, as a number, shape (entries,).
        words: Number of words; the entries after them are labels.
    """

    word_bytes: UInt8s
    word_starts: Int64s
    table: Int32s
    tails: UInt64s
    words: int


class Ngrams(NamedTuple):
    """The n-grams of a model as the kernel reads them.

    Attributes:
        kept: One bit per n-gram bucket, 64 in a word, set if the bucket has a row. Empty if no n-gram was pruned: then
            every bucket has a row.
        ends: For each word of `kept`, the row after those of its buckets. Empty if no n-gram was pruned.
        first_row: Row of the first bucket that has one.
        buckets: Number of n-gram buckets; an n-gram's bucket is its hash modulo this number.
        shortest: Minimum length of an n-gram in characters.
        longest: Maximum length of an n-gram in characters.
        words: Maximum number of words in an n-gram of words.
    """

    kept: UInt64s
    ends: Int32s
    first_row: int
    buckets: int
    shortest: int
    longest: int
    words: int


class Tree(NamedTuple):
    """The tree over the labels of a model with hierarchical softmax; for other models, its arrays are empty.

    Attributes:
        left: Left child of each node of the tree, leaves first.
        right: Right child of each node of the tree.
        places: Place of each label among the leaves from left to right.
        paths: Output rows on the path from the root to each label, label after label.
        turns: For each step in `paths`, 1 if the path turns right, else 0.
        path_starts: Where each label's path starts in `paths`, shape (labels + 1,).
    """

    left: Int32s
    right: Int32s
    places: Int32s
    paths: Int32s
    turns: Int32s
    path_starts: Int32s


class Arrays(NamedTuple):
    """The model as the kernel reads it. Parts that are passed for every word are small, as passing takes time.

    Attributes:
        rows: Vectors of words and n-grams, shape (n, dim).
        output: Vectors of labels or of inner nodes of the tree, shape (labels or inner nodes, dim).
        output_norms: What the dot product with each row of `output` is multiplied by; ones unless it is quantized.
        dictionary: Words and labels.
        ngrams: N-grams of characters and words.
        independent: Whether each label has a probability of its own (one against all) instead of a share (softmax).
        tree: The tree over the labels.
    """

    rows: Float32s
    output: Float32s
    output_norms: Float32s
    dictionary: Dictionary
    ngrams: Ngrams
    independent: bool
    tree: Tree


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
        if count * np.dtype(kind).itemsize > len(self.data) - self.at:
            raise EOFError
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
        if not path.stat().st_size:
            raise EOFError
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(_Cursor(data, path))
    except (struct.error, EOFError, IndexError, OverflowError, MemoryError, TypeError) as error:
        raise ValueError("not a complete fastText model") from error


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels of a sound classifier, without the rest of it, which takes fifty times as long to read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        cursor = _Cursor(data, path)
        for form in ("ii", "12i", "d"):
            cursor.read(form)
        size, *_ = cursor.read("iiiqq")
        return tuple(entry[0].decode().removeprefix(PREFIX) for entry in _entries(cursor, size) if entry[2] == LABEL)


def _entries(cursor: _Cursor, size: int) -> list[tuple[Any, ...]]:
    """The dictionary: each word or label, how often it was seen, and which of the two it is."""
    return [(cursor.word(), *cursor.read("qb")) for _ in range(size)]


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
    entries = _entries(cursor, size)
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
    tails = np.zeros(size, np.uint64)
    fill_tails(tails, spelled, starts)
    kept, ends = np.zeros(0, np.uint64), np.zeros(0, np.int32)
    if pruned >= 0:
        row_of = np.full(-(-buckets // 64) * 64, -1, np.int32)
        row_of[pairs[:, 0]] = pairs[:, 1] + words
        has_row = row_of >= 0
        rows = np.concatenate([rows[:words], rows[row_of[has_row]]])
        kept = np.packbits(has_row, bitorder="little").view(np.uint64)
        ends = (words + np.cumsum(has_row.reshape(-1, 64).sum(axis=1))).astype(np.int32)
    counts = [entry[1] for entry in entries[words:]]
    return Classifier(
        tuple(spelling.decode().removeprefix(PREFIX) for spelling in spellings[words:]),
        Arrays(
            rows,
            output,
            np.ones(len(output), np.float32) if norms is None else norms,
            Dictionary(spelled, starts, table, tails, words),
            Ngrams(kept, ends, words, buckets, shortest, longest, word_ngrams),
            loss in (NEGATIVE_SAMPLING, ONE_VS_ALL),
            _huffman_tree(counts) if loss == HIERARCHICAL else Tree(*(np.zeros(0, np.int32),) * 6),
        ),
    )


def with_scores_of_words(classifier: Classifier) -> Classifier:
    """The same classifier with the score of each word and n-gram for every label in place of its vector.

    A label's score of a text is its row of `output` times the mean of the vectors, which is the mean of the products
    with the vectors. Made once, they are as short as the model has labels: two numbers are read for an n-gram instead
    of a hundred. Probabilities differ from the library's by rounding alone, about 1e-7.

    Args:
        classifier: A classifier. One with a tree, with a probability of its own for each label (which the library
            looks up in a coarse table), or with more labels than a vector has numbers is returned as it is.
    """
    arrays = classifier.arrays
    count = len(classifier.labels)
    if arrays.independent or len(arrays.tree.left) or count >= arrays.rows.shape[1]:
        return classifier
    output = (arrays.output[:count] * arrays.output_norms[:count, None]).T.astype(np.float64)
    rows = np.empty((len(arrays.rows), count), np.float32)
    with np.errstate(all="ignore"):  # of a damaged file
        for first in range(0, len(rows), ROWS_AT_ONCE):
            rows[first : first + ROWS_AT_ONCE] = arrays.rows[first : first + ROWS_AT_ONCE] @ output
    one = np.eye(count, dtype=np.float32)
    return Classifier(
        classifier.labels, arrays._replace(rows=rows, output=one, output_norms=np.ones(count, np.float32))
    )


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


def _huffman_tree(counts: list[int]) -> Tree:
    """fastText's Huffman tree over labels by their counts (loss.cc)."""
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
    places = np.argsort(sorted(range(leaves), key=lambda leaf: [turn for _, turn in paths[leaf]]))
    arrays = (left, right, places, [row for row, _ in steps], [turn for _, turn in steps], starts)
    return Tree(*(np.array(values, np.int32) for values in arrays))
