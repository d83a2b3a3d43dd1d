"""Folders: atomic writes on a local disk and on another file system."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import OutputError, UsageError
from curation.store.folder import Folder


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "out") if request.param == "local" else f"memory://{uuid.uuid4().hex}")


def test_write_and_read(folder: Folder) -> None:
    """A written file is read back and listed, and has the same hash when written and when checked."""
    digest = folder.write("a/b.bin", b"x" * 100_000)
    assert folder.read("a/b.bin") == b"x" * 100_000
    assert folder.hash("a/b.bin") == (100_000, digest)
    assert folder.list() == ["a/b.bin"]
    assert folder.list("a", ".bin") == ["a/b.bin"]
    assert folder.list("nowhere") == []


def test_a_path_that_is_not_utf_8_is_an_error() -> None:
    """No file of a run could name it, also where it is the current folder."""
    with pytest.raises(UsageError, match="its path is not UTF-8"):
        Folder("/tmp/caf\udce9/out")


def test_the_hash_is_the_documented_one(folder: Folder) -> None:
    """The hash is that of `xxhsum -H2`, so that manifests can be checked without this package."""
    assert folder.write("a.bin", b"curation") == xxhash.xxh3_128_hexdigest(b"curation")
    assert folder.hash("a.bin")[1] != folder.write("a.bin", b"curatiom")


def test_a_failed_write_leaves_nothing(folder: Folder) -> None:
    """A block that raises leaves neither the file nor a temporary one, and keeps an earlier version."""
    folder.write("a.bin", b"first")

    def fail() -> None:
        with folder.writing("a.bin") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert folder.read("a.bin") == b"first"
    assert [Path(path).name for path in folder.fs.find(folder.path())] == ["a.bin"]


def test_sweep_removes_temporary_files(folder: Folder) -> None:
    """Hidden temporary files of killed processes are removed, all others are kept."""
    folder.write("a/b.bin", b"1")
    folder.fs.pipe_file(folder.path("a/.b.bin.123.tmp"), b"half")
    folder.sweep()
    assert [Path(path).name for path in folder.fs.find(folder.path())] == ["b.bin"]


def test_an_unwritable_folder_is_an_output_error(tmp_path: Path) -> None:
    """A file in place of the folder is an OutputError."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        Folder(str(tmp_path / "file" / "out")).check_writable()


def test_the_check_leaves_no_trace(tmp_path: Path) -> None:
    """Checking a folder that does not exist does not create it."""
    Folder(str(tmp_path / "new" / "deeper")).check_writable()
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_the_hash_does_not_depend_on_the_writes(parts: list[bytes]) -> None:
    """Many writes and a single write of the same bytes have the same hash."""
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    with folder.writing("many") as file:
        for part in parts:
            file.write(part)
    assert file.hash == folder.write("one", b"".join(parts))


@pytest.mark.parametrize(
    "url", ["memory://a//b", "memory://a/b?c=1", "memory://st*r/x", "memory://a/b[1]", "s3://", "s3:/b"]
)
def test_names_that_storage_takes_for_others_are_refused(url: str) -> None:
    """A folder whose name is a pattern or has an empty part, or that names no bucket, is refused before the start."""
    with pytest.raises(OutputError, match="cannot write to"):
        Folder(url).check_writable()
