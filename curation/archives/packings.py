"""How packed bytes begin: magic numbers of the packings that are read, and of those that are only named."""

from __future__ import annotations

import re

GZIP, ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
DICTIONARY = b"\x5d\x2a\x4d\x18"
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")

PACKED = re.compile(re.escape(GZIP) + b"|" + re.escape(ZSTD) + b"|" + SKIPPABLE.pattern)
"""How a gzip member or any zstd frame begins."""

GZIP_WINDOW = 31
"""zlib's code for a gzip wrapper and the largest window."""

_FORMATS = {
    b"\x04\x22\x4d\x18": "lz4",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x89LZO": "lzo",
    b"PAR1": "Parquet",
    b"SQLite format 3": "SQLite",
}
"""Formats that people store archives or pages in, by their first bytes, for the error."""


def format_hint(head: bytes) -> str:
    """What to do about a file of another format, by its first bytes; empty if the format is unknown."""
    for magic, name in _FORMATS.items():
        if head.startswith(magic):
            return f"; the file is in {name} format: unpack it first"
    return ""
