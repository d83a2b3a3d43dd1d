"""Paths and URLs that come from a folder are checked before they are used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from curation.errors import UnsafePath, WriteFailed
from curation.store.folder import Folder
from curation.store.untrusted import is_plain, is_special


@pytest.mark.parametrize("relative", ["../a", "a/../../b", "/etc/passwd", "..", "a/..", "a\0b"])
@pytest.mark.parametrize("use", ["read", "write", "exists", "remove", "list", "hash"])
def test_paths_stay_in_the_folder(relative: str, use: str, tmp_path: Path) -> None:
    """A path that is absolute or goes up is refused by everything that takes one."""
    folder = Folder(str(tmp_path / "folder"))
    arguments = (b"",) if use == "write" else ()
    with pytest.raises(UnsafePath, match="out of the folder"):
        getattr(folder, use)(relative, *arguments)


@pytest.mark.parametrize("name", ["a..b", "..a/b", "a/...", "ä/b c"])
def test_unusual_names_are_allowed(name: str, tmp_path: Path) -> None:
    """Two dots within a name go nowhere."""
    folder = Folder(str(tmp_path))
    folder.write(name, b"x")
    assert folder.read(name) == b"x"


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("/a/b.warc", True),
        ("a/b", True),
        ("file:///a", True),
        ("s3://bucket/a", True),
        ("gs://bucket/a", True),
        ("https://host/a", True),
        ("data:text/plain,a", False),
        ("memory://a", False),
        ("file::/a", False),
        ("filecache::s3://bucket/a", False),
        ("zip://x::file:///a", False),
        ("tar://x", False),
        ("sftp://host/a", False),
        ("git://a", False),
        ("jupyter://host/a", False),
        ("S3://bucket/a", False),
        ("abc://a", False),
        ("/a://b", False),
    ],
)
def test_plain_urls(url: str, plain: bool) -> None:
    """Local paths and the usual stores are plain; chains, and protocols that do something else, are not."""
    assert is_plain(url) is plain


def test_special_files(tmp_path: Path) -> None:
    """Pipes, devices and the kernel's files are special, also behind links; files, folders and nothing are not."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "good").symlink_to("file")
    (tmp_path / "bad").symlink_to("/dev/null")
    special = ("/dev/null", "/proc/self/maps", str(tmp_path / "pipe"), str(tmp_path / "bad"))
    assert all(map(is_special, special))
    assert not any(is_special(str(tmp_path / name)) for name in ("file", "good", "absent", ""))


@pytest.mark.parametrize("link", ["a", "a/b", "a/b/c.txt"])
def test_writing_follows_no_links(link: str, tmp_path: Path) -> None:
    """A file is neither written nor removed if it, or a folder on the way to it, is a link."""
    folder, elsewhere = Folder(str(tmp_path / "folder")), tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = tmp_path / "folder" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    (elsewhere / "b").mkdir()
    for action in (
        lambda: folder.write("a/b/c.txt", b"x"),
        lambda: folder.remove("a/b/c.txt" if "c" in link else "a/b"),
    ):
        with pytest.raises(WriteFailed, match="symbolic link"):
            action()
    assert [path.name for path in elsewhere.rglob("*")] == ["b"]
