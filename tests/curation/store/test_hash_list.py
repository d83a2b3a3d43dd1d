"""Hash lists: the same answers as a set, shared through a cache file that may be missing or broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.store.hash_list import HashList, cached_hash_list, hash_list

WORDS = [b"a.org", b"b.org", "bücher.de".encode(), b"c.org"]


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(st.text(max_size=5)), st.lists(st.text(max_size=5)))
def test_a_hash_list_is_a_set(listed: list[str], values: list[str]) -> None:
    """Membership is that of a set, whatever the values and however often they occur."""
    answers = hash_list(value.encode("utf-8", "surrogatepass") for value in listed).contains(values)
    assert answers.tolist() == [value in set(listed) for value in values]


def test_equal_upper_halves_are_distinguished() -> None:
    """Entries whose first 64 bits are equal are each found, and no other value is."""
    base = hash_list([b"x", b"y"])
    upper, lower = hash_list([b"a"]).hashes[:, 0]
    crowded = np.array([[*base.hashes[0], upper, upper, upper], [*base.hashes[1], 1, lower, 2]], np.uint64)
    crowded = crowded[:, np.argsort(crowded[0], kind="stable")]
    assert HashList(crowded).contains(["a", "x", "y", "b"]).tolist() == [True, True, True, False]
    assert HashList(crowded[:, crowded[1] != lower]).contains(["a"]).tolist() == [False]


def test_a_list_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second use reads the file that the first one wrote, and there are no other files."""
    monkeypatch.setenv("CURATION_CACHE_DIR", str(tmp_path / "new" / "folder"))
    first = cached_hash_list("x", lambda: WORDS)
    second = cached_hash_list("x", lambda: pytest.fail("built again"))
    assert len(first) == len(second) == 4
    assert second.contains(["a.org", "bücher.de", "d.org"]).tolist() == [True, True, False]
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["x.npy"]


@pytest.mark.parametrize("content", [b"", b"no array", b"cut"])
def test_a_broken_file_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A cache file that is empty, damaged or foreign is replaced."""
    monkeypatch.setenv("CURATION_CACHE_DIR", str(tmp_path))
    cached_hash_list("x", lambda: WORDS)
    path = tmp_path / "x.npy"
    path.write_bytes(path.read_bytes()[:-8] if content == b"cut" else content)
    assert cached_hash_list("x", lambda: WORDS).contains(["c.org"]).tolist() == [True]
    assert len(np.load(path)[0]) == 4
