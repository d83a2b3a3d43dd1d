"""Folders of released versions: each in tests/releases, as that version wrote it from a small archive."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from curation import __version__
from curation.jobs.steps.plan import open_plan
from curation.store.folder import Folder
from curation.store.manifest import fingerprints, read_manifest

RELEASES = sorted((Path(__file__).parents[2] / "releases").glob("*.tar.xz"))


@pytest.fixture(params=RELEASES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def release(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def out(release: Path, tmp_path: Path) -> Path:
    with tarfile.open(release) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    return tmp_path / "out"


def curate(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "curation.jobs.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_there_is_a_folder_of_each_release() -> None:
    """The first release is among them."""
    assert "0.1.0.tar.xz" in {path.name for path in RELEASES}


def test_a_run_is_refused_in_one_line_that_says_what_to_do(release: Path, out: Path, tmp_path: Path) -> None:
    """Exit code 2, both versions, what changed, and the three ways on; nothing is written."""
    archive = tmp_path / "a.warc.gz"
    archive.write_bytes(b"")
    before = {path: Folder(str(out)).read(path) for path in Folder(str(out)).list()}
    done = curate("run", str(archive), "--out", str(out), "--workers", "0")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    version = release.name.removesuffix(".tar.xz")
    assert f"was made by curation {version}, and {__version__} would give other results; changed: " in line
    assert f"new folder, pass --update to redo the affected steps, or finish it with curation {version}." in line
    assert {path: Folder(str(out)).read(path) for path in Folder(str(out)).list()} == before


def test_it_can_be_read(out: Path) -> None:
    """The manifests of every shard are read, and verify finds the files intact."""
    plan = open_plan(str(out))
    for step in ("filter", "corpus", "encode"):
        assert set(fingerprints(plan.folder, step)) == {source.shard for source in plan.inputs}
        assert read_manifest(plan.folder, step, plan.inputs[0].shard) is not None
    done = curate("verify", str(out), "--workers", "0")
    assert done.returncode == 0, done.stdout + done.stderr
