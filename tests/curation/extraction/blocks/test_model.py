"""The file of a model: what is read back, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.extraction.blocks.measure import COUNT, SENSES
from curation.extraction.blocks.model import FORMAT, ROWS_AT_ONCE, InvalidModel, Trees, load, predict, save

GOOD: dict[str, Any] = {
    "format": np.int32(FORMAT),
    "keys": np.array([0, 5, 0, 7], np.uint32),
    "odds": np.zeros((4, SENSES), np.float32),
    "roots": np.array([0, ~3], np.int32),
    "features": np.array([1, 2], np.int32),
    "thresholds": np.array([0.5, 1.5], np.float32),
    "children": np.array([[1, ~0], [~1, ~2]], np.int32),
    "leaves": np.array([1, 2, 4, 8], np.float32),
}


def test_a_model_is_read_back(tmp_path: Path) -> None:
    """What was saved is loaded, and the same model gives the same bytes."""
    np.savez(tmp_path / "a.npz", **GOOD)
    model = load(str(tmp_path / "a.npz"))
    save(model, tmp_path / "b.npz")
    save(load(str(tmp_path / "b.npz")), tmp_path / "c.npz")
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()
    assert model.trees.leaves.tolist() == [1, 2, 4, 8]


def test_trees_are_walked_and_added_up() -> None:
    """A row goes left up to a threshold, right above it; the leaves of all trees are added up."""
    trees = Trees(*(GOOD[name] for name in Trees._fields))
    rows = np.zeros((3, COUNT), np.float32)
    rows[0, 1:3] = 0.5, 1.5
    rows[1, 1:3] = 0.5, 1.6
    rows[2, 1] = 0.6
    expected = 1 / (1 + np.exp(-np.array([2 + 8, 4 + 8, 1 + 8])))
    assert predict(trees, rows) == pytest.approx(expected)


def test_many_rows_are_walked_at_once() -> None:
    """However many rows there are, each has the sum of the leaves that it gets to by itself."""
    trees = load().trees
    rows = np.random.default_rng(1).normal(0, 3, (2 * ROWS_AT_ONCE + 5, COUNT)).astype(np.float32)
    shares = predict(trees, rows)
    for row in (0, 63, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, len(rows) - 1):
        total = 0.0
        for root in trees.roots.tolist():
            node = root
            while node >= 0:
                node = int(trees.children[node, int(rows[row, trees.features[node]] > trees.thresholds[node])])
            total += float(trees.leaves[~node])
        assert shares[row] == 1 / (1 + np.exp(-total))


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": np.array([1, 5, 3, 7], np.uint32)},  # no empty slot: a search would not end
        {"keys": np.array([0, 5, 7], np.uint32), "odds": np.zeros((3, SENSES), np.float32)},
        {"odds": np.zeros((4, SENSES + 1), np.float32)},
        {"children": np.array([[0, ~0], [~1, ~2]], np.int32)},  # a cycle
        {"children": np.array([[1, ~0], [~1, ~4]], np.int32)},
        {"children": np.array([[2, ~0], [~1, ~2]], np.int32)},
        {"roots": np.array([2], np.int32)},
        {"roots": np.array([~4], np.int32)},
        {"features": np.array([1, COUNT], np.int32)},
        {"features": np.array([1, -1], np.int32)},
        {"thresholds": np.array([0.5], np.float32)},
        {"leaves": np.array([1, 2, np.nan, 8], np.float32)},
        {"leaves": np.array([1, 2, 4, 8], np.float64)},
        {"format": np.int32(FORMAT + 1)},
        {"leaves": np.array([object()] * 4)},
        {"format": np.array([FORMAT, FORMAT], np.int32)},
        {"thresholds": np.array([0.5, np.nan], np.float32)},
        {"odds": np.full((4, SENSES), np.inf, np.float32)},
        {"roots": np.zeros(20_000, np.int32)},
        {"keys": np.zeros(1 << 25, np.uint32)},
    ],
)
def test_a_file_that_would_misguide_the_kernels_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    """Arrays that refer to what is not there, or that would never end a search, are refused when they are loaded."""
    np.savez(tmp_path / "bad.npz", **(GOOD | changed))
    with pytest.raises(InvalidModel):
        load(str(tmp_path / "bad.npz"))


def test_the_bundled_model_loads() -> None:
    """The package has a model of its format."""
    assert len(load().trees.roots) > 10


@pytest.mark.parametrize("kind", ["npy", "member", "empty", "compression"])
def test_a_file_that_is_no_archive_of_arrays_is_refused(tmp_path: Path, kind: str) -> None:
    """Whatever is wrong with a file, the error says that it is no model."""
    path = tmp_path / "bad.npz"
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif kind == "empty":
        path.touch()
    else:
        np.savez(path, **GOOD)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("leaves.npy" if kind == "member" else "more.npy", b"this is no array")
        if kind == "compression":
            data = bytearray(path.read_bytes())
            data[data.rfind(b"PK\x01\x02") + 10] = 99  # the method of the last member
            path.write_bytes(data)
    with pytest.raises(InvalidModel, match=r"bad\.npz"):
        load(str(path))
