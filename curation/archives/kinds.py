"""What kind of file an input is, told by its name: a web archive, Parquet, JSON Lines or plain text.

The name decides before a file is opened, so that planning a run of many inputs takes no request per file. For other
endings, the first bytes decide when the file is read; if they do not match a format, it is read as an archive.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["archive", "parquet", "jsonl", "text"]

_PACKINGS = ("", ".gz", ".zst")

ARCHIVE_ENDINGS = tuple(f".{kind}{packing}" for kind in ("warc", "arc", "wet") for packing in _PACKINGS)

PARQUET_ENDINGS = (".parquet",)

JSONL_ENDINGS = (
    *(f".{kind}{packing}" for kind in ("jsonl", "ndjson") for packing in _PACKINGS),
    ".json.gz",
    ".json.zst",
)

UNSURE_ENDINGS = (".json", *(f".txt{packing}" for packing in _PACKINGS))
"""Files that are data or a note about it. In a folder they count only where no other file does."""

ENDINGS = (*ARCHIVE_ENDINGS, *PARQUET_ENDINGS, *JSONL_ENDINGS)
"""File endings to look for in a folder. A file that is named explicitly may have any ending."""

PART_BYTES = 256 << 20
"""Largest part of a file that becomes one shard, for files that can be divided: a gigabyte of text in Parquet."""

_PARQUET, _BRACE = b"PAR1", b"{"


def kind_of(path: str) -> Kind | None:
    """The kind that a name tells, or None.

    >>> kind_of("data/train-00000.parquet"), kind_of("en/c4-train.00000.json.gz"), kind_of("x.warc.gz"), kind_of("x")
    ('parquet', 'jsonl', 'archive', None)
    """
    name = path.lower()
    if name.endswith(ARCHIVE_ENDINGS):
        return "archive"
    if name.endswith(PARQUET_ENDINGS):
        return "parquet"
    if name.endswith((*JSONL_ENDINGS, ".json")):
        return "jsonl"
    return "text" if name.endswith(UNSURE_ENDINGS) else None


def kind_by_content(head: bytes) -> Kind:
    """The kind that the first bytes of a file tell."""
    if head.startswith(_PARQUET):
        return "parquet"
    return "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_BRACE) else "archive"


def is_divisible(path: str) -> bool:
    """Whether it is a file of rows of which a part can be read by itself: JSON Lines only if they are not packed."""
    return kind_of(path) in ("parquet", "jsonl") and not path.lower().endswith((".gz", ".zst"))


def part_bounds(path: str, size: int) -> list[int]:
    """Offsets at which a file is divided, in equal parts of at most PART_BYTES; empty if it is not divided.

    Whatever begins in a part belongs to it: the row groups of a Parquet file, the lines of JSON Lines. So parts depend
    on the size alone, and are known before the file is opened.

    >>> part_bounds("a.parquet", 3 << 28), part_bounds("a.jsonl.gz", 3 << 28)
    ([268435456, 536870912], [])
    """
    if not is_divisible(path):
        return []
    parts = -(-size // PART_BYTES)
    return [size * part // parts for part in range(1, parts)]
