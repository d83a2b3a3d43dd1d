"""What a folder made by somebody else may name: files and well-known stores, nothing that runs or waits.

A folder of a run contains paths: of its inputs, of earlier runs, of its own files. Whoever made the folder chose them.
"""

from __future__ import annotations

import os
import stat

from fsspec.core import split_protocol

PROTOCOLS = frozenset({"file", "local", "http", "https", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "hf"})
"""Protocols whose URLs name a file or folder and do nothing else. Others may hold the content themselves, chain file
systems, name hosts to log in to, or belong to a package that is installed here."""

SYSTEM = ("/proc", "/sys")
"""Folders of the kernel, whose files look regular but may wait forever or describe this process."""


def is_plain(url: str) -> bool:
    """Whether it is a local path, or a URL with one of PROTOCOLS and no chain of file systems.

    >>> is_plain("/crawl/a.warc.gz"), is_plain("s3://crawl/a.warc.gz")
    (True, True)
    >>> is_plain("data:,hello"), is_plain("zip://a.warc::/crawl/a.zip")
    (False, False)
    """
    protocol, _ = split_protocol(url)
    return "::" not in url and "\0" not in url and (protocol is None or protocol in PROTOCOLS)


def is_local(url: str) -> bool:
    """Whether a plain URL names a path of this machine."""
    return split_protocol(url)[0] in (None, "file", "local")


def is_inside(relative: str) -> bool:
    """Whether a path relative to a folder stays in the folder: not absolute, without "..".

    >>> is_inside("corpus/a.parquet"), is_inside("../a"), is_inside("/etc/passwd")
    (True, False, False)
    """
    return not relative.startswith("/") and ".." not in relative.split("/") and "\0" not in relative


def is_special(path: str) -> bool:
    """Whether a local path exists and is neither a regular file nor a folder, or belongs to the kernel."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError:
        return False
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return True
    real = os.path.realpath(path)
    return any(real == folder or real.startswith(f"{folder}/") for folder in SYSTEM)
