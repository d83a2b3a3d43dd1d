"""Alarms of real runs: the run stops before its next step, says why, and resumes where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from archives import page, prose, response, write_archive
from processes import SETTINGS, contents, curate

UNTIL = "filter,dedup"
BANDS = ["alarms.min_documents=5", "alarms.gopher_quality=[0.0, 0.4]"]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good pages, six thin ones, three copies, and a file that is not an archive."""
    folder = tmp_path_factory.mktemp("crawl")
    thin = "The shop on the corner of our street will be closed until Monday, and nobody knows whether for good."
    records = [response(f"https://a.org/{n}", page("good", *prose(n))) for n in range(6)]
    records += [response(f"https://a.org/thin/{n}", page("thin", f"{thin} {n} days are left.")) for n in range(6)]
    write_archive(folder / "a.warc.gz", records)
    write_archive(folder / "b.warc.gz", [response(f"https://b.org/{n}", page("good", *prose(n))) for n in range(3)])
    return folder


def test_the_run_stops_before_the_next_step(crawl: Path, tmp_path: Path) -> None:
    """It exits with code 3, names stage, rate and band, and no command runs a later step; then the run resumes."""
    out = tmp_path / "out"
    message = "gopher_quality removed 40.0% of 15 documents"
    for command in (["run", crawl], ["dedup"]):
        bands = [BANDS[0], "alarms.gopher_quality=[0.0, 0.39]"] if command == ["run", crawl] else []
        done = curate(*command, "--out", out, "--workers", "0", settings=[*SETTINGS, *bands])
        assert done.returncode == 3, done.stderr
        assert message in done.stderr
        assert "[0, 0.39]" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (out / "dedup").exists()
        assert not (out / "corpus").exists()
    made = {path: path.stat().st_mtime_ns for path in (out / "documents").iterdir()}
    done = curate("run", crawl, "--out", out, "--steps", UNTIL, "--workers", "0", settings=[*SETTINGS, *BANDS])
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in (out / "documents").iterdir()} == made
    silent = tmp_path / "silent"
    assert curate("run", crawl, "--out", silent, "--steps", UNTIL, "--workers", "0").returncode == 0
    left, right = contents(out), contents(silent)
    del left["run.json"], right["run.json"]
    assert left == right


def test_too_many_duplicates(crawl: Path, tmp_path: Path) -> None:
    """The alarm of deduplication is raised after the corpus step, before a tokenizer is trained."""
    bands = ["alarms.min_documents=9", "alarms.dedup=[0.0, 0.1]"]
    done = curate("run", crawl, "--out", tmp_path / "out", "--workers", "0", settings=[*SETTINGS, *bands])
    assert done.returncode == 3, done.stderr
    assert "dedup removed 33.3% of 9 documents" in done.stderr
    assert list((tmp_path / "out" / "corpus").glob("*.parquet"))
    assert not (tmp_path / "out" / "tokenizer").exists()


def test_no_alarm_below_min_documents(crawl: Path, tmp_path: Path) -> None:
    """Below min_documents no alarm is raised."""
    bands = ["alarms.min_documents=16", "alarms.gopher_quality=[0.0, 0.0]", "alarms.dedup=[0.9, 1.0]"]
    command = ["run", crawl, "--out", tmp_path / "out", "--steps", UNTIL, "--workers", "0"]
    done = curate(*command, settings=[*SETTINGS, *bands])
    assert done.returncode == 0, done.stderr


def test_quarantined_inputs(crawl: Path, tmp_path: Path) -> None:
    """Too many quarantined inputs stop the run with code 3; with a wider band it exits with 1, as without an alarm."""
    bad = tmp_path / "bad.warc.gz"
    bad.write_bytes(b"no archive at all" * 99)
    command = ["run", crawl, bad, "--out", tmp_path / "out", "--workers", "0"]
    done = curate(*command, settings=[*SETTINGS, "alarms.quarantined=[0.0, 0.1]"])
    assert done.returncode == 3, done.stderr
    assert "quarantined removed 33.3% of 3 inputs" in done.stderr
    assert not (tmp_path / "out" / "dedup").exists()
    done = curate(*command, "--steps", "filter", settings=[*SETTINGS, "alarms.quarantined=[0.0, 0.5]"])
    assert done.returncode == 1, done.stderr


def test_recipe_show_prints_alarms() -> None:
    """`recipe show` prints the table with the values of --set; an unknown name exits with code 2."""
    done = curate("recipe", "show", "fineweb", "--json", settings=[BANDS[1]])
    expected = {"min_documents": 1000, "damaged": 0.0, "unavailable": [0.0, 0.01], "gopher_quality": [0.0, 0.4]}
    assert json.loads(done.stdout)["alarms"] == expected
    done = curate("recipe", "show", "fineweb", "--json", settings=["alarms.gopher=[0, 1]"])
    assert done.returncode == 2
    assert "gopher_quality" in done.stderr
