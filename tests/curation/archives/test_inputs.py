"""Inputs: files, folders, globs and lists, in a defined order, each file once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from curation.archives.inputs import find_inputs
from curation.errors import InputError


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    for name in ("b.warc.gz", "a.warc.gz", "deep/c.warc", "deep/d.arc.gz", "e.warc.wet.gz", "notes.txt", "x.wat.gz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def names(arguments: list[str]) -> list[str]:
    return [Path(entry.path).name for entry in find_inputs(arguments)]


def test_a_folder_gives_its_archives_sorted(crawl: Path) -> None:
    """A folder gives the archives at any depth, sorted by path; other files are ignored."""
    assert names([str(crawl)]) == ["a.warc.gz", "b.warc.gz", "c.warc", "d.arc.gz", "e.warc.wet.gz"]


def test_arguments_keep_their_order_and_files_count_once(crawl: Path) -> None:
    """Inputs keep the order of the arguments; a file named twice is read once, at its first place."""
    assert names([str(crawl / "b.warc.gz"), str(crawl / "*.warc.gz")]) == ["b.warc.gz", "a.warc.gz"]


def test_a_file_named_explicitly_needs_no_ending(crawl: Path) -> None:
    """A file that is named explicitly is an input whatever its ending."""
    assert names([str(crawl / "notes.txt")]) == ["notes.txt"]


def test_a_list_holds_one_path_per_line(crawl: Path) -> None:
    """@list.txt is replaced by its lines; blank lines are ignored."""
    listing = crawl / "list.txt"
    listing.write_text(f"{crawl / 'b.warc.gz'}\n\n{crawl / 'deep'}\n")
    assert names([f"@{listing}"]) == ["b.warc.gz", "c.warc", "d.arc.gz"]


def test_other_file_systems() -> None:
    """A URL of another file system keeps its protocol, so that a worker can open it."""
    fsspec.filesystem("memory").pipe_file("/crawl/a.warc", b"abc")
    (entry,) = find_inputs(["memory://crawl/"])
    assert entry.path == "memory:///crawl/a.warc"
    assert entry.open().read() == b"abc"


@pytest.fixture
def linked(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crawl with links to a folder and a file outside, to what is in it, and around in circles."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "2024").mkdir()
    (outside / "2024" / "o.warc.gz").write_bytes(b"o")
    (outside / "p.warc.gz").write_bytes(b"pp")
    (outside / "2024" / "back").symlink_to(crawl)
    (crawl / "2024").symlink_to(outside / "2024")
    (crawl / "deep" / "p.warc.gz").symlink_to(outside / "p.warc.gz")
    (crawl / "deep" / "up").symlink_to("..")
    (crawl / "latest").symlink_to("deep")
    (crawl / "latest.warc.gz").symlink_to("a.warc.gz")
    (crawl / "self").symlink_to("self")
    (crawl / "notes-gone.txt").symlink_to("gone.txt")
    (crawl / "named.warc").symlink_to("notes.txt")
    return crawl


def test_links_are_followed_and_each_file_is_read_once(linked: Path) -> None:
    """Linked files and folders are read, once each, under their own path if they have one; circles end."""
    found = {str(Path(entry.path).relative_to(linked)): entry for entry in find_inputs([str(linked)])}
    own = ["a.warc.gz", "b.warc.gz", "deep/c.warc", "deep/d.arc.gz", "e.warc.wet.gz"]
    assert list(found) == sorted([*own, "2024/o.warc.gz", "deep/p.warc.gz", "named.warc"])
    assert found["deep/p.warc.gz"].size == 2


def test_globs_go_through_links(linked: Path) -> None:
    """A glob finds linked files and what is in linked folders."""
    assert names([str(linked / "*" / "*.warc.gz")]) == ["o.warc.gz", "p.warc.gz"]
    assert names([str(linked / "l*" / "*.warc")]) == ["c.warc"]
    assert names([str(linked / "l*.gz")]) == ["latest.warc.gz"]
    assert names([str(linked / "latest" / "*")]) == ["c.warc", "d.arc.gz", "p.warc.gz"]
    assert names([str(linked / "**" / "o.warc*")]) == ["o.warc.gz"]


def test_the_version_of_a_link_is_that_of_its_file(linked: Path) -> None:
    """An input behind a link is another version once the file that the link leads to has changed."""
    path = linked / "deep" / "p.warc.gz"
    before = find_inputs([str(linked)])
    os.utime(path, (1, 1))
    changed = [after.path for old, after in zip(before, find_inputs([str(linked)]), strict=True) if after != old]
    assert changed == [str(path)]


@pytest.mark.parametrize("name", ["gone.warc.gz", "gone"])
def test_a_link_to_nothing_is_an_error(crawl: Path, name: str) -> None:
    """A link that leads nowhere and may have led to archives is an error that names it."""
    (crawl / name).symlink_to("/nowhere/at-all")
    with pytest.raises(InputError, match=f"No such file.*{name}"):
        find_inputs([str(crawl)])


@pytest.mark.parametrize("argument", ["missing.warc", "missing/*.warc", "@missing.txt", "nosuch://x/y.warc"])
def test_an_argument_without_files_is_an_error(tmp_path: Path, argument: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names a missing file, an empty glob, a missing list or an unknown protocol."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"missing|nosuch"):
        find_inputs([argument])


def test_the_name_of_a_crawl_without_its_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for an input that is the name of a crawl has the name to use; other errors have none."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no such file or folder; the crawl of that name is cc:CC-MAIN-2025-08/wet$"):
        find_inputs(["CC-MAIN-2025-08/wet"])
    with pytest.raises(InputError, match=r"no such file or folder$"):
        find_inputs(["latest"])


@pytest.mark.parametrize("argument", ["", "/*.warc.gz", "/caf\udce9.warc.gz"])
def test_a_name_that_is_not_utf_8_is_an_error(tmp_path: Path, argument: str) -> None:
    """No table can hold it, so it is named before anything is read."""
    (tmp_path / "caf\udce9.warc.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"caf.udce9\.warc\.gz: its name is not UTF-8"):
        names([f"{tmp_path}{argument}"])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    """The error for a folder without archives lists the accepted endings."""
    with pytest.raises(InputError, match=r"\.warc"):
        find_inputs([str(tmp_path)])


def test_a_changed_file_is_another_version(crawl: Path) -> None:
    """An input's identity depends on its size and modification time, its shard name only on its path."""
    path = crawl / "a.warc.gz"
    before = find_inputs([str(path)])[0]
    path.write_bytes(b"other")
    os.utime(path, (1, 1))
    after = find_inputs([str(path)])[0]
    assert before != after
    assert before.shard == after.shard


class CountingFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Files in memory that count what is asked about them."""

    protocol = "counting"
    asked: ClassVar[list[tuple[str, str]]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("counting://", "memory://")))

    def info(self, path: str, **options: Any) -> Any:
        """Count the request."""
        self.asked.append(("info", path))
        return super().info(path, **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        """Count the request."""
        self.asked.append(("ls", path))
        return super().ls(path, detail, **options)

    def exists(self, path: str, **options: Any) -> bool:
        """Count the request."""
        self.asked.append(("exists", path))
        return bool(super().exists(path, **options))


@pytest.fixture
def counting() -> list[tuple[str, str]]:
    """What a file system of 50 archives was asked, from now on."""
    fsspec.register_implementation("counting", CountingFileSystem, clobber=True)
    for number in range(50):
        fsspec.filesystem("counting").pipe_file(f"/dump/{number:02d}.warc.gz", b"abc")
    CountingFileSystem.asked.clear()
    return CountingFileSystem.asked


def test_a_named_file_is_asked_about_once(counting: list[tuple[str, str]]) -> None:
    """Each file that is named takes one request, and keeps its place."""
    named = [f"counting://dump/{number:02d}.warc.gz" for number in range(49, -1, -1)]
    assert [entry.path.rpartition("/")[2] for entry in find_inputs(named)] == [
        name.rpartition("/")[2] for name in named
    ]
    assert sorted(counting) == sorted(("info", f"/dump/{number:02d}.warc.gz") for number in range(50))


def test_a_link_to_no_file_is_no_input(tmp_path: Path) -> None:
    """A link whose target is gone is a missing file."""
    (tmp_path / "a.warc").symlink_to(tmp_path / "gone.warc")
    with pytest.raises(InputError, match="no such file"):
        find_inputs([str(tmp_path / "a.warc")])


def test_devices_and_pipes_are_no_inputs(tmp_path: Path) -> None:
    """Reading one could wait forever or never end."""
    os.mkfifo(tmp_path / "pipe.warc")
    for name in ("/dev/zero", str(tmp_path / "pipe.warc")):
        with pytest.raises(InputError, match=f"^input {name}: neither a file nor a folder"):
            find_inputs([name])


def test_a_folder_is_listed_once(counting: list[tuple[str, str]]) -> None:
    """The files of a folder take no request of their own."""
    assert len(find_inputs(["counting://dump"])) == 50
    assert counting == [("info", "/dump")]  # in memory, the listing itself asks nothing
