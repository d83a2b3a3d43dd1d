"""What each worker proves before its first task: that it sees the run's folder and its inputs."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from curation.archives.inputs import Input
from curation.jobs.steps.storage_check import StorageCheck
from curation.store.folder import Folder
from curation.store.lease import leased


@pytest.fixture
def source(tmp_path: Path) -> Input:
    (tmp_path / "in.warc").write_bytes(b"x")
    return Input(str(tmp_path / "in.warc"), 1, "1")


def test_a_worker_that_sees_everything(tmp_path: Path, source: Input) -> None:
    """It may have tasks, and its proof leaves no file."""
    folder = Folder(str(tmp_path / "out"))
    with leased(folder, dict, print) as lease:
        before = sorted(Path(folder.path()).iterdir())
        assert pickle.loads(pickle.dumps(StorageCheck(folder, lease.token, source)))() == ""
        assert sorted(Path(folder.path()).iterdir()) == before


def test_a_worker_without_the_output(tmp_path: Path, source: Input) -> None:
    """A mount that is missing, another folder in its place, and one that cannot be written are told apart."""
    folder = Folder(str(tmp_path / "out"))
    with leased(folder, dict, print) as lease:
        check = StorageCheck(folder, lease.token, source)
        Path(folder.path()).rename(tmp_path / "away")
        assert "does not see this run in the output folder" in check()
        (tmp_path / "out").mkdir()
        assert "is the same storage mounted there?" in check()
        shutil.copytree(tmp_path / "away", tmp_path / "out", dirs_exist_ok=True)
        assert check() == ""
        assert "does not see this run" in StorageCheck(folder, "another run's", source)()


def test_a_worker_without_the_inputs(tmp_path: Path, source: Input) -> None:
    """The input and what is wrong with it are named."""
    folder = Folder(str(tmp_path / "out"))
    with leased(folder, dict, print) as lease:
        Path(source.path).unlink()
        cause = StorageCheck(folder, lease.token, source)()
    assert cause.startswith(f"it cannot read the input {source.path}: FileNotFoundError")


def test_a_worker_that_may_not_write(tmp_path: Path, source: Input, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder and the reason are named."""
    folder = Folder(str(tmp_path / "out"))
    with leased(folder, dict, print) as lease, monkeypatch.context() as patched:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError("read-only file system")

        patched.setattr(Folder, "writing", refuse)
        assert StorageCheck(folder, lease.token, source)() == f"cannot write to {folder.url}: read-only file system"
