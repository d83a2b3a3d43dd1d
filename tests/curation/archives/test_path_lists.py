"""Lists of inputs: gzip, comments, a byte order mark, and relative paths."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from curation.archives.path_lists import expand_lists
from curation.errors import InputError, UsageError

TEXT = "\ufeff# paths of a crawl\n\ncrawl-data/a.warc.gz\r\n  /data/b.warc.gz  \ns3://other/c.warc.gz\ncc:latest\n"


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:])]
)
def test_lines_of_a_list(pack: object, tmp_path: Path) -> None:
    """A byte order mark, comments, blank lines and blanks around a path are left out, packed in gzip or not."""
    path = tmp_path / "warc.paths.gz"
    path.write_bytes(pack(TEXT.encode()))  # type: ignore[operator]
    expected = ["crawl-data/a.warc.gz", "/data/b.warc.gz", "s3://other/c.warc.gz", "cc:latest"]
    assert list(expand_lists([f"@{path}"])) == expected


@pytest.mark.parametrize("prefix", ["s3://commoncrawl", "s3://commoncrawl/"])
def test_the_prefix_is_for_relative_paths(prefix: str, tmp_path: Path) -> None:
    """The prefix comes before relative paths in lists, not before absolute ones, URLs, names and other arguments."""
    path = tmp_path / "list.txt"
    path.write_text(TEXT)
    expected = ["s3://commoncrawl/crawl-data/a.warc.gz", "/data/b.warc.gz", "s3://other/c.warc.gz", "cc:latest"]
    assert list(expand_lists(["x.warc.gz", f"@{path}"], prefix)) == ["x.warc.gz", *expected]


@pytest.mark.parametrize("data", [gzip.compress(b"a\n" * 999, mtime=0)[:-9], b"\xff\xfe", b"\x1f\x8b\x08 no gzip"])
def test_a_damaged_list_is_an_error_in_one_line(data: bytes, tmp_path: Path) -> None:
    """A list that breaks off or is no text is an error that names it."""
    path = tmp_path / "list.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"^input list .*list\.gz: [^\n]+$"):
        list(expand_lists([f"@{path}"]))


def test_a_list_that_is_not_there_is_an_error_in_plain_words(tmp_path: Path) -> None:
    """The message has the list and no number of an error."""
    with pytest.raises(InputError, match=r"^input list .*/list: no such file$"):
        list(expand_lists([f"@{tmp_path / 'list'}"]))


@pytest.mark.parametrize("inputs", [["a.warc.gz"], []])
def test_a_prefix_without_a_list_is_an_error(inputs: list[str]) -> None:
    """A prefix that would do nothing is refused."""
    with pytest.raises(UsageError, match="--prefix s3://x: only completes the paths in an @list"):
        list(expand_lists(inputs, "s3://x"))


def test_an_empty_list_is_an_error(tmp_path: Path) -> None:
    """A list without an input is named, instead of counting as no input at all."""
    (tmp_path / "list").write_text("# nothing\n\n")
    with pytest.raises(InputError, match=r"list: no input in it$"):
        list(expand_lists([f"@{tmp_path / 'list'}"]))
