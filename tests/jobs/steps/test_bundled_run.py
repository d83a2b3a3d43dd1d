"""A run whose manifests are bundled is the same run as one whose manifests are single."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from planted import only, run, verdict_of, write_crawl

from curation.store import bundles
from curation.store.folder import Folder

DATA = ("documents", "removed", "signatures", "signals", "dedup", "corpus", "tokenizer", "tokens")


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture
def out(crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of two shards, which are as many as it takes."""
    monkeypatch.setattr(bundles, "BUNDLED_FROM", 2)
    run(crawl, tmp_path / "out")
    return tmp_path / "out"


def contents(out: Path, *tops: str) -> dict[str, bytes]:
    folder = Folder(str(out))
    return {path: folder.read(path) for top in tops or ("",) for path in folder.list(top)}


def test_data_and_statistics_do_not_depend_on_bundling(
    crawl: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every data file, the card and the report's numbers are those of a run with single manifests."""
    single = {path.stem for path in out.glob("manifests/*/*.json")}
    assert single == {"all"} | {path.stem for path in out.glob("manifests/report/part-*.json")}
    monkeypatch.setattr(bundles, "BUNDLED_FROM", 3)
    run(crawl, tmp_path / "single")
    assert not list((tmp_path / "single").glob("manifests/*/*.parquet"))
    for names in (DATA, ("report/stats.json",), ("README.md",)):
        if names is DATA:
            assert contents(out, *DATA) == contents(tmp_path / "single", *DATA)
        else:
            assert (out / names[0]).read_bytes() == (tmp_path / "single" / names[0]).read_bytes()


def test_a_rerun_does_nothing(crawl: Path, out: Path) -> None:
    """A second run changes no byte, as the fingerprints in bundles count like those in single manifests."""
    before = contents(out)
    run(crawl, out)
    assert contents(out) == before


def test_it_is_complete_and_intact(out: Path) -> None:
    """`verify` reads bundles and finds nothing wrong."""
    verdict = verdict_of(out)
    assert verdict.sound, verdict.lines()


def test_verify_names_a_damaged_bundle(out: Path) -> None:
    """A bundle that is not Parquet, or has the manifest of a shard that belongs elsewhere, is named."""
    path = only(out, "manifests/filter/bundle-*.parquet")
    table = pq.read_table(path)
    path.write_bytes(b"PAR1")
    faults = [str(fault) for fault in verdict_of(out).wrong]
    assert any(f"manifests/filter/{path.name}: not a bundle of manifests" in fault for fault in faults)
    wrong = next(n for n in range(bundles.BUNDLES) if f"bundle-{n:02x}.parquet" != path.name)
    pq.write_table(table, path)
    pq.write_table(table, path.with_name(f"bundle-{wrong:02x}.parquet"))
    faults = [str(fault) for fault in verdict_of(out).wrong]
    assert any(f"bundle-{wrong:02x}.parquet: has the manifest of" in fault for fault in faults)


def test_verify_names_histograms_that_are_missing(out: Path) -> None:
    """Histograms that were lost are a fault, and the only one."""
    path = only(out, "manifests/filter/signals-*.parquet")
    path.unlink()
    (fault,) = verdict_of(out).wrong
    assert fault.file == f"manifests/filter/{path.name}"


def test_verify_names_a_wrong_count_in_a_bundle(out: Path) -> None:
    """The outputs in bundles are compared with the files."""
    path = only(out, "manifests/filter/bundle-*.parquet")
    rows = pq.read_table(path).to_pylist()
    rows[0]["outputs"][0]["rows"] += 1
    pq.write_table(bundles.pa.Table.from_pylist(rows, schema=bundles.MANIFESTS), path)
    assert any("rows" in str(fault) for fault in verdict_of(out).wrong)


def test_a_lost_bundle_is_made_again(crawl: Path, out: Path) -> None:
    """Without a bundle its shards are not done: the next run makes them again, with the same bytes."""
    before = contents(out, "manifests", *DATA)
    lost = only(out, "manifests/filter/bundle-*.parquet")
    lost.unlink()
    assert not verdict_of(out).sound
    run(crawl, out)
    assert contents(out, "manifests", *DATA) == before


def test_single_manifests_are_bundled_when_inputs_are_added(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that grows to as many shards as it takes ends with the files of a run that had them from the start."""
    monkeypatch.setattr(bundles, "BUNDLED_FROM", 2)
    run(crawl / "a.warc.gz", tmp_path / "grown")
    assert not list((tmp_path / "grown").glob("manifests/filter/*.parquet"))
    run([crawl / "a.warc.gz", crawl / "b.warc.gz"], tmp_path / "grown")
    run([crawl / "a.warc.gz", crawl / "b.warc.gz"], tmp_path / "whole")
    ours, theirs = (contents(tmp_path / name, "manifests", *DATA) for name in ("grown", "whole"))
    assert ours.keys() == theirs.keys()
    assert {path for path in ours if ours[path] != theirs[path]} == set()
