"""Bundles: the manifests of many shards in few files, still readable one by one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from row_files import damage_footer

from curation.errors import DamagedManifest
from curation.store import bundles
from curation.store.bundles import bundle, bundle_of, bundle_path, keep_only, list_step, plan_bundles
from curation.store.folder import Folder
from curation.store.manifest import (
    WHOLE,
    Manifest,
    counts_by_shard,
    fingerprints,
    histogram_sums,
    is_done,
    manifest_path,
    read_manifest,
    read_manifests,
    read_times,
    step_counts,
    step_times,
)
from curation.store.shards import Output
from curation.tokenize.encoding.parquet import footer as parquet

SHARDS = [f"s{number:03d}" for number in range(300)]
FEW = SHARDS[:40]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "out"))


@pytest.fixture(autouse=True)
def bundled_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 manifests are as many as it takes."""
    monkeypatch.setattr(bundles, "BUNDLED_FROM", len(FEW))


def manifest_of(shard: str, current: str = "f") -> Manifest:
    """A manifest like that of the filter step."""
    number = int(shard[1:])
    counts: dict[str, Any] = {"z": number, "stages": {"url": {"documents_in": number, "reasons": {}}}, "a": ["é", 1.5]}
    for name in ("x.b", "x.a"):
        counts.setdefault("signals", {})[name] = {"edges": [0, 0.5, 2], "counts": [number, 0, 1, 2], "nulls": number}
    outputs = [Output(f"documents/{shard}.parquet", number, f"h{number}", 2)]
    return Manifest("filter", shard, current, [{"path": shard, "size": 1}], outputs, counts)


def without_histograms(manifest: Manifest) -> Manifest:
    return replace(manifest, counts={name: value for name, value in manifest.counts.items() if name != "signals"})


def write(folder: Folder, shards: list[str], current: str = "f") -> None:
    for shard in shards:
        manifest_of(shard, current).write(folder, {"seconds": int(shard[1:])})


def bundle_all(folder: Folder, step: str = "filter") -> int:
    return sum(bundle(task) for task in plan_bundles(folder, step))


def files_of(folder: Folder) -> dict[str, bytes]:
    return {path: folder.read(path) for path in folder.list()}


def test_a_bundled_manifest_reads_as_before(folder: Folder) -> None:
    """One by one and in bulk, all but the histograms is as it was written, down to the order of keys."""
    write(folder, FEW)
    assert bundle_all(folder) == len(FEW)
    assert list_step(folder, "filter").single == ()
    for shard in FEW:
        read = is_done(folder, "filter", shard, "f")
        assert read == without_histograms(manifest_of(shard))
        assert list(read.counts) == ["z", "stages", "a"]
    assert read_manifest(folder, "filter", "s999") is None
    assert fingerprints(folder, "filter") == dict.fromkeys(FEW, "f")
    assert [counts["z"] for counts in step_counts(folder, "filter", FEW[::-1])] == [*range(39, -1, -1)]
    assert {each.shard: each.outputs[0].bytes for each in read_manifests(folder, "filter")} == {
        shard: number for number, shard in enumerate(FEW)
    }
    assert dict(step_times(folder, "filter")) == {shard: {"seconds": n} for n, shard in enumerate(FEW)}
    assert read_times(folder, "filter", "s007") == {"seconds": 7}


def test_histograms_are_summed_over_single_and_bundled_shards(folder: Folder) -> None:
    """The parts add up to the sum over the shards that are asked for, in the order of the signals."""
    write(folder, FEW)
    bundle_all(folder)
    write(folder, ["s100"])
    wanted = [*FEW[5:], "s100"]
    total: dict[str, list[int]] = {}
    nulls = 0
    for part in histogram_sums(folder, "filter", wanted):
        for name, histogram in part.items():
            assert histogram["edges"] == [0, 0.5, 2]
            assert isinstance(histogram["edges"][0], int)
            total[name] = [a + b for a, b in zip(total.get(name, [0] * 4), histogram["counts"], strict=True)]
            nulls += histogram["nulls"]
    numbers = sum(int(shard[1:]) for shard in wanted)
    assert list(total) == ["x.b", "x.a"]
    assert total["x.a"] == [numbers, 0, len(wanted), 2 * len(wanted)]
    assert nulls == 2 * numbers


def test_bundles_do_not_depend_on_how_shards_were_finished(folder: Folder, tmp_path: Path) -> None:
    """All at once, in two attempts, and made again give the same bytes."""
    write(folder, SHARDS)
    bundle_all(folder)
    other = Folder(str(tmp_path / "other"))
    write(other, SHARDS[200:], "old")
    bundle_all(other)
    write(other, SHARDS[::-1])
    bundle_all(other)
    assert files_of(other) == files_of(folder)
    assert len(files_of(folder)) == 3 * bundles.BUNDLES


def test_few_manifests_stay_single(folder: Folder) -> None:
    """Below BUNDLED_FROM shards there is nothing to bundle; once there are bundles, each further shard joins them."""
    write(folder, FEW[1:])
    Manifest("filter", WHOLE, "f").write(folder)
    assert plan_bundles(folder, "filter") == []
    write(folder, FEW[:1])
    bundle_all(folder)
    assert list_step(folder, "filter").single == (WHOLE,)
    write(folder, ["s123"])
    assert [task.shards for task in plan_bundles(folder, "filter")] == [("s123",)]


def test_a_shard_made_again_replaces_its_row(folder: Folder) -> None:
    """The single manifest counts while both exist, and is what the bundle has afterwards."""
    write(folder, FEW)
    bundle_all(folder)
    write(folder, FEW[:1], "new")
    for _ in range(2):
        assert fingerprints(folder, "filter")[FEW[0]] == "new"
        assert is_done(folder, "filter", FEW[0], "new") is not None
        assert len(list(read_manifests(folder, "filter"))) == len(FEW)
        assert [counts["z"] for _, counts in counts_by_shard(folder, "filter", FEW)] == [*range(40)]
        parts = [part["x.a"]["counts"][2] for part in histogram_sums(folder, "filter", FEW) if "x.a" in part]
        assert sum(parts) == len(FEW)
        bundle_all(folder)


@pytest.mark.parametrize("written", range(4))
def test_a_killed_attempt_is_made_up_for(folder: Folder, tmp_path: Path, written: int) -> None:
    """After a kill between any two files, every shard is done, and the next attempt gives the same files."""
    write(folder, FEW)
    before = Path(folder.url)
    shutil.copytree(before, tmp_path / "copy")
    bundle_all(folder)
    whole = files_of(folder)
    killed = Folder(str(tmp_path / "copy"))
    number = bundle_of(FEW[0])
    order = [
        bundles.bundle_path("filter", number, top="performance"),
        bundles.bundle_path("filter", number, "signals"),
        bundles.bundle_path("filter", number),
    ]
    for path in order[:written]:
        killed.write(path, whole[path])
    if written == len(order):
        killed.remove(f"manifests/filter/{FEW[0]}.json")
    assert fingerprints(killed, "filter") == dict.fromkeys(FEW, "f")
    assert sum(p["x.a"]["counts"][2] for p in histogram_sums(killed, "filter", FEW) if "x.a" in p) == len(FEW)
    assert dict(step_times(killed, "filter"))[FEW[3]] == {"seconds": 3}
    bundle_all(killed)
    assert {path: data for path, data in files_of(killed).items() if path.startswith("manifests")} == {
        path: data for path, data in whole.items() if path.startswith("manifests")
    }


def test_outdated_manifests_are_removed_from_bundles(folder: Folder) -> None:
    """`keep_only` removes single manifests and rows, and a bundle that has none left."""
    write(folder, FEW, "old")
    bundle_all(folder)
    write(folder, FEW[10:20])
    kept = keep_only(folder, "filter", lambda shard, current: current == "f" or shard == FEW[0])
    assert kept == {FEW[0], *FEW[10:20]}
    assert fingerprints(folder, "filter") == {FEW[0]: "old", **dict.fromkeys(FEW[10:20], "f")}
    assert keep_only(folder, "filter", lambda *_: False) == set()
    assert not folder.list("manifests")


def test_a_large_manifest_of_a_whole_step_is_bundled(folder: Folder) -> None:
    """The manifest of a step that runs once is bundled from a megabyte on."""
    outputs = [Output(f"dedup/drop/{number:020d}.parquet", 1, "0" * 32, 1) for number in range(9_000)]
    manifest = Manifest("dedup", WHOLE, "f", inputs=[], outputs=outputs, counts={"documents": 1})
    manifest.write(folder)
    assert bundle_all(folder, "dedup") == 1
    assert list_step(folder, "dedup").single == ()
    assert is_done(folder, "dedup", WHOLE, "f") == manifest


def test_a_damaged_bundle_is_an_error_that_says_what_to_do(folder: Folder) -> None:
    """A bundle that is no Parquet, lacks a column or a value, or a manifest that is no JSON, is named in one line."""
    write(folder, FEW)
    bundle_all(folder)
    number = list_step(folder, "filter").bundles[0]
    path = Path(folder.path(bundle_path("filter", number)))
    table = pq.read_table(path)
    nothing = pa.nulls(len(table), pa.string())
    for damaged in (None, table.drop_columns("fingerprint"), table.set_column(1, "fingerprint", nothing)):
        path.write_bytes(b"PAR1") if damaged is None else pq.write_table(damaged, path)
        for read in (fingerprints, lambda *at: [*read_manifests(*at)]):
            with pytest.raises(DamagedManifest, match=r"bundle-..\.parquet is damaged \(.*\); delete it, and"):
                read(folder, "filter")
    folder.write(manifest_path("dedup", WHOLE), b"{")
    with pytest.raises(DamagedManifest, match=r"dedup/all\.json is damaged"):
        read_manifest(folder, "dedup", WHOLE)


def test_a_damaged_footer_does_not_block(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow's search for rows waits forever for what fails in its threads, so it is not used."""
    monkeypatch.setattr(bundles, "ROW_GROUP", 1)
    write(folder, SHARDS)
    bundle_all(folder)
    damage_footer(Path(folder.path(bundle_path("filter", bundle_of(SHARDS[0])))), "shard", parquet.TYPE, 0)
    found: list[Manifest | None] = []
    reading = Thread(target=lambda: found.append(read_manifest(folder, "filter", SHARDS[0])), daemon=True)
    reading.start()
    reading.join(30)
    assert found == [without_histograms(manifest_of(SHARDS[0]))]


def test_missing_histograms_are_an_error(folder: Folder) -> None:
    """Histograms that are not those of the bundle's shards are an error, since sums would be wrong silently."""
    write(folder, FEW)
    bundle_all(folder)
    first, second, *_ = (bundle_path("filter", number, "signals") for number in list_step(folder, "filter").bundles)
    folder.write(second, folder.read(first))
    with pytest.raises(DamagedManifest, match=r"delete it and bundle-..\.parquet"):
        [*histogram_sums(folder, "filter", FEW)]
    folder.remove(second)
    with pytest.raises(DamagedManifest, match="missing"):
        [*histogram_sums(folder, "filter", FEW)]


def test_damaged_times_are_left_out(folder: Folder) -> None:
    """Times are not needed for anything: a damaged file of them is ignored, and replaced by the next bundling."""
    write(folder, FEW)
    bundle_all(folder)
    for number in list_step(folder, "filter").bundles:
        folder.write(bundle_path("filter", number, top="performance"), b"PAR1")
    assert [*step_times(folder, "filter")] == []
    assert read_times(folder, "filter", FEW[0]) == {}
    write(folder, FEW)
    bundle_all(folder)
    assert len([*step_times(folder, "filter")]) == len(FEW)
