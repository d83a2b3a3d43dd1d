"""Manifests: a shard is done if its manifest exists and has the same fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.store.folder import Folder
from curation.store.manifest import Manifest, fingerprint, is_done, read_manifest, step_counts
from curation.store.shards import Output


def test_done_needs_the_same_fingerprint(tmp_path: Path) -> None:
    """A manifest with another fingerprint, step or shard does not count as done."""
    folder = Folder(str(tmp_path))
    manifest = Manifest("filter", "a", "f1", [{"path": "x"}], [Output("documents/a.parquet", 1, "h", 2)], {"n": 1})
    manifest.write(folder, {"seconds": 1.5})
    assert is_done(folder, "filter", "a", "f1") == manifest
    assert is_done(folder, "filter", "a", "f2") is None
    assert is_done(folder, "filter", "b", "f1") is None
    assert is_done(folder, "dedup", "a", "f1") is None
    assert read_manifest(folder, "filter", "a") == manifest
    assert folder.read_json("performance/filter/a.json") == {"seconds": 1.5}


def test_counts_of_a_step_are_in_the_order_of_the_shards(tmp_path: Path) -> None:
    """Counts are in the requested order, without the shards that are not done, though read concurrently."""
    folder = Folder(str(tmp_path))
    shards = [f"s{number}" for number in range(50)]
    for number, shard in enumerate(shards):
        if number % 7:
            Manifest("filter", shard, "f", counts={"n": number}).write(folder)
    wanted = shards[::-1]
    assert [counts["n"] for counts in step_counts(folder, "filter", wanted)] == [n for n in range(49, 0, -1) if n % 7]


def test_fingerprints_refuse_unstable_values() -> None:
    """An object whose `repr` contains its address would have another fingerprint each time, so it is refused."""
    with pytest.raises(TypeError, match="cannot fingerprint"):
        fingerprint(object())


def test_fingerprints_depend_on_values_not_on_key_order() -> None:
    """Mappings that differ only in key order have the same fingerprint; different values do not."""
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint("a", "b") != fingerprint("ab")
