"""Lists of inputs, one per line, such as the path lists that CommonCrawl publishes.

@warc.paths.gz     a list that is packed, of paths relative to `--prefix`
@crawl.txt         a plain one; blank lines, and lines that begin with #, are left out
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from curation.archives.streams import open_stream
from curation.errors import UsageError
from curation.store.storage import input_errors
from curation.store.untrusted import is_local

LIST = "@"
"""What an argument that names a list begins with."""

_GZIP = b"\x1f\x8b"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")


def expand_lists(arguments: Iterable[str], prefix: str = "") -> Iterator[str]:
    """The arguments, with the lines of each @list in its place.

    Args:
        arguments: Inputs; one that begins with @ is the path or URL of a list.
        prefix: Put before lines that are relative paths; a path, or a URL such as `s3://commoncrawl/`.

    Raises:
        InputError: A list cannot be read.
        UsageError: There is a prefix, but no list.
    """
    arguments = list(arguments)
    if prefix and not any(argument.startswith(LIST) for argument in arguments):
        raise UsageError(f"--prefix {prefix}: only completes the paths in an @list, and no input is one")
    for argument in arguments:
        if not argument.startswith(LIST):
            yield argument
            continue
        place = argument.removeprefix(LIST)
        with input_errors(f"input list {place}", "no such file"):
            lines = read_list(place)
            if not lines:
                raise ValueError("no input in it")
        yield from (_with_prefix(line, prefix) for line in lines)


def read_list(place: str) -> list[str]:
    """The lines of a list, without blank lines, comments and a byte order mark.

    Args:
        place: A path or any fsspec URL; gzip is recognized by its first bytes.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not UTF-8, or its packing is damaged.
    """
    if is_local(place):
        data = Path(place.partition("://")[2] or place).read_bytes()
    else:
        with open_stream(place) as stream:
            data = stream.read()
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error) as error:
            raise ValueError(f"damaged gzip: {error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _with_prefix(line: str, prefix: str) -> str:
    """A line of a list, after the prefix if it is a relative path.

    >>> _with_prefix("crawl-data/a.warc.gz", "s3://commoncrawl"), _with_prefix("/a.warc.gz", "s3://commoncrawl")
    ('s3://commoncrawl/crawl-data/a.warc.gz', '/a.warc.gz')
    """
    is_relative = not line.startswith(("/", "~")) and not _SCHEME.match(line)
    return f"{prefix.rstrip('/')}/{line}" if prefix and is_relative else line
