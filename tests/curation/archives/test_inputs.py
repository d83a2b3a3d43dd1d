"""Inputs: files, folders, globs and lists, in a stated order, each once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from curation.archives.inputs import find_inputs
from curation.errors import InputError


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    for name in ("b.warc.gz", "a.warc.gz", "deep/c.warc", "deep/d.arc.gz", "e.warc.wet.gz", "notes.txt", "x.wat.gz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def names(words: list[str]) -> list[str]:
    return [Path(entry.path).name for entry in find_inputs(words)]


def test_a_folder_gives_its_archives_sorted(crawl: Path) -> None:
    """Archives at any depth, sorted by path; other files are left alone."""
    assert names([str(crawl)]) == ["a.warc.gz", "b.warc.gz", "c.warc", "d.arc.gz", "e.warc.wet.gz"]


def test_words_keep_their_order_and_files_count_once(crawl: Path) -> None:
    """The order of the words is the input order; a file that two words name is read once, where it came first."""
    assert names([str(crawl / "b.warc.gz"), str(crawl / "*.warc.gz")]) == ["b.warc.gz", "a.warc.gz"]


def test_a_file_named_outright_needs_no_ending(crawl: Path) -> None:
    """Any file can be named; what is in it decides what it is."""
    assert names([str(crawl / "notes.txt")]) == ["notes.txt"]


def test_a_list_holds_one_path_a_line(crawl: Path) -> None:
    """@list.txt stands for its lines; blank lines do not count."""
    listing = crawl / "list.txt"
    listing.write_text(f"{crawl / 'b.warc.gz'}\n\n{crawl / 'deep'}\n")
    assert names([f"@{listing}"]) == ["b.warc.gz", "c.warc", "d.arc.gz"]


def test_other_file_systems() -> None:
    """A URL of another file system keeps its protocol, so that a worker can open it."""
    import fsspec

    fsspec.filesystem("memory").pipe_file("/crawl/a.warc", b"abc")
    (entry,) = find_inputs(["memory://crawl/"])
    assert entry.path == "memory:///crawl/a.warc"
    assert entry.open().read() == b"abc"


@pytest.mark.parametrize("word", ["missing.warc", "missing/*.warc", "@missing.txt", "nosuch://x/y.warc"])
def test_a_word_that_stands_for_nothing_is_an_error(tmp_path: Path, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, an empty glob, a missing list and an unknown protocol are each named."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"missing|nosuch"):
        find_inputs([word])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    """A folder without archives is named, with the endings that were looked for."""
    with pytest.raises(InputError, match=r"\.warc"):
        find_inputs([str(tmp_path)])


def test_a_changed_file_is_another_version(crawl: Path) -> None:
    """The identity of an input follows its size and time of change, its shard name only its path."""
    path = crawl / "a.warc.gz"
    before = find_inputs([str(path)])[0]
    path.write_bytes(b"other")
    os.utime(path, (1, 1))
    after = find_inputs([str(path)])[0]
    assert before != after
    assert before.shard == after.shard
