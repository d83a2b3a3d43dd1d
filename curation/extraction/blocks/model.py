"""The model that estimates how much of a block is main text: decision trees and a vocabulary, in arrays.

A model is a NumPy archive (.npz) without pickled objects, so that loading it runs no code. Its arrays are checked when
it is loaded: the kernels that read them do not check again.
"""

from __future__ import annotations

import hashlib
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from curation.arrays import Float32s, Float64s, Int32s
from curation.extraction.blocks import measure
from curation.extraction.blocks.measure import Vocabulary
from curation.running.compiled import kernel

FORMAT = 1
"""Raised when the features or the arrays of a model change; a model of another format is refused."""

MAX_BYTES, MAX_TREES = 1 << 26, 10_000
"""Bytes of all arrays of a model, and trees in it; more would make pages slow without making texts better."""

ROWS_AT_ONCE = 256
"""Rows of features that walk the trees together; a multiple of 64."""

BUNDLED = Path(__file__).with_name("model.npz")


class Trees(NamedTuple):
    """Decision trees whose leaves are added up to log-odds.

    Attributes:
        roots: First node of each tree.
        features: Feature that each node compares.
        thresholds: Value up to which a block goes left.
        children: Left and right child of each node, shape (nodes, 2); a negative number ~k is leaf k.
        leaves: Value of each leaf.
    """

    roots: Int32s
    features: Int32s
    thresholds: Float32s
    children: Int32s
    leaves: Float32s


class Model(NamedTuple):
    """A model.

    Attributes:
        vocabulary: Log-odds of tokens.
        trees: Trees over the features of `measure`.
    """

    vocabulary: Vocabulary
    trees: Trees


class InvalidModel(ValueError):
    """A file is no model for this version."""


@kernel
def predict(trees: Trees, features: Float32s) -> Float64s:
    """The expected share of main text of each row of `features`, 0 to 1.

    All rows walk a tree together: node by node, those that are there go on to one of its children. The processor
    compares many rows at once, as their values of a feature are copied next to each other.
    """
    rows, count = features.shape
    total = np.zeros(rows)
    # The odd number of cache lines per column lets all columns be in the cache together.
    columns, places = np.empty((count, ROWS_AT_ONCE + 16), np.float32), np.empty(ROWS_AT_ONCE, np.int32)
    for first in range(0, rows, ROWS_AT_ONCE):
        here = min(ROWS_AT_ONCE, rows - first)
        for row in range(here):
            for feature in range(count):
                columns[feature, row] = features[first + row, feature]
        padded = (here + 63) // 64 * 64  # loops without a remainder; what is computed of other rows is not used
        for root in trees.roots:
            for row in range(padded):
                places[row] = root
            node, last = np.int64(root), np.int64(root)
            while 0 <= node <= last:
                column, threshold = columns[trees.features[node]], trees.thresholds[node]
                left, right, current = trees.children[node, 0], trees.children[node, 1], np.int32(node)
                for row in range(padded):
                    child = right if column[row] > threshold else left
                    places[row] = child if places[row] == current else places[row]
                last = max(last, left, right)
                node += 1
            for row in range(here):
                total[first + row] += trees.leaves[np.uint32(~places[row])]
    for row in range(rows):
        total[row] = 1 / (1 + np.exp(-total[row]))
    return total


def save(model: Model, path: Path) -> None:
    """Write a model; the same model gives the same bytes."""
    arrays: dict[str, Any] = {"format": np.int32(FORMAT), "keys": model.vocabulary.keys, "odds": model.vocabulary.odds}
    arrays |= model.trees._asdict()
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def model_hash(path: str | None = None) -> str:
    """Hash of a model's file, for fingerprints; None means the bundled one."""
    with (Path(path) if path else BUNDLED).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=4)
def load(path: str | None = None) -> Model:
    """Read a model; None means the bundled one.

    Raises:
        OSError: The file cannot be read.
        InvalidModel: It is no model, or one of another format.
    """
    path = path or str(BUNDLED)
    if not Path(path).is_file():  # a pipe or a device would be waited for
        raise InvalidModel(f"{path} is not a file")
    try:
        return _checked(_arrays(path))
    except InvalidModel as error:
        raise InvalidModel(f"{path}: {error}") from error
    except OSError:
        raise
    except Exception as error:  # of zip, of NumPy's format, of arrays that are missing: the file decides which
        raise InvalidModel(f"{path} is not a model for extraction") from error


def _arrays(path: str) -> dict[str, Any]:
    """The arrays of a file, if they are of a size that a model may have."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            raise InvalidModel(f"its arrays take more than {MAX_BYTES >> 20} MiB")
    with np.load(path, allow_pickle=False) as file:
        if "format" not in file.files or not np.array_equal(file["format"], FORMAT):
            raise InvalidModel(f"it is not a model of format {FORMAT}, which this version reads")
        return {name: file[name] for name in file.files}


def _checked(arrays: dict[str, Any]) -> Model:
    keys, odds = _array(arrays["keys"], np.uint32), _array(arrays["odds"], np.float32, 2)
    if odds.shape != (len(keys), measure.SENSES) or len(keys) & (len(keys) - 1) or not (keys == 0).any():
        raise InvalidModel("the vocabulary is no table")
    if not np.isfinite(odds).all():
        raise InvalidModel("the vocabulary has values that are not numbers")
    return Model(Vocabulary(keys, odds), _trees(arrays, measure.COUNT))


def _array(value: Any, kind: Any, dimensions: int = 1) -> Any:
    if value.dtype != kind or value.ndim != dimensions:
        raise InvalidModel("an array has another type or shape")
    return np.ascontiguousarray(value)


def _trees(arrays: dict[str, Any], features: int) -> Trees:
    """The trees of a file; each node's children come after it, so that every walk ends."""
    trees = Trees(
        _array(arrays["roots"], np.int32),
        _array(arrays["features"], np.int32),
        _array(arrays["thresholds"], np.float32),
        _array(arrays["children"], np.int32, 2),
        _array(arrays["leaves"], np.float32),
    )
    nodes, leaves = len(trees.features), len(trees.leaves)
    if len(trees.thresholds) != nodes or trees.children.shape != (nodes, 2):
        raise InvalidModel("the arrays of its trees have different lengths")
    numbers = np.arange(nodes)[:, None]
    inner = trees.children >= 0
    if (
        (inner & ((trees.children <= numbers) | (trees.children >= nodes))).any()
        or (~inner & (~trees.children >= leaves)).any()
        or ((trees.roots >= nodes) | (trees.roots < -leaves)).any()
        or ((trees.features < 0) | (trees.features >= features)).any()
        or not (np.isfinite(trees.leaves).all() and np.isfinite(trees.thresholds).all())
        or len(trees.roots) > MAX_TREES
    ):
        raise InvalidModel("a tree refers to what is not there")
    return trees
