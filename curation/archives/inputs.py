"""What a run reads: the archives that the words of the command line stand for, each with a name and an identity.

Input order is the order of the words, files within a folder or glob sorted by path; a file named twice counts once.
It decides which of two duplicates came first, so it is part of what a run is and stands in run.json.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from curation.errors import InputError
from curation.store.shards import shard_name

ARCHIVE_ENDINGS = tuple(f".{kind}{packing}" for kind in ("warc", "arc", "wet") for packing in ("", ".gz", ".zst"))
"""What a folder is searched for. A file named outright is taken whatever its ending."""

_GLOB = set("*?[")


@dataclass(frozen=True, slots=True)
class Input:
    """One archive: its path or URL, bytes, and what tells this version of the file from another (ETag or time)."""

    path: str
    size: int
    version: str

    @property
    def shard(self) -> str:
        """The name of the shard made from it."""
        return shard_name(self.path)

    def open(self) -> Any:
        """The file, opened for reading bytes, not decompressed."""
        return fsspec.open(self.path, "rb").open()


def find_inputs(words: Iterable[str]) -> list[Input]:
    """All archives that `words` stand for: files, folders, globs, fsspec URLs, or @list (one of these a line).

    Raises InputError for a word that stands for nothing.
    """
    found: dict[str, Input] = {}
    for word in _expand_lists(words):
        for entry in _find(word):
            found.setdefault(entry.path, entry)
    if not found:
        raise InputError("no input: name WARC files, folders, globs, URLs or @list.txt")
    return list(found.values())


def _expand_lists(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if not word.startswith("@"):
            yield word
            continue
        try:
            lines = Path(word[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"input list {word[1:]}: {error}") from error
        yield from (line.strip() for line in lines if line.strip())


def _find(word: str) -> list[Input]:
    url = word if "://" in word else os.path.abspath(os.path.expanduser(word))  # noqa: PTH100, PTH111
    try:
        fs, path = fsspec.core.url_to_fs(url)
        if fs.isdir(path):
            infos = [
                info for info in fs.find(path, detail=True).values() if info["name"].lower().endswith(ARCHIVE_ENDINGS)
            ]
            missing = f"folder {word}: no file in it ends in {', '.join(ARCHIVE_ENDINGS)}"
        elif not fs.exists(path) and _GLOB & set(path):
            infos = [info for info in fs.glob(path, detail=True).values() if info["type"] == "file"]
            missing = f"glob {word}: matches no file"
        else:
            infos = [fs.info(path)] if fs.exists(path) else []
            missing = f"input {word}: no such file or folder"
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"input {word}: {error}") from error
    if not infos:
        raise InputError(missing)
    return [_input(fs, info) for info in sorted(infos, key=lambda info: str(info["name"]))]


def _input(fs: Any, info: dict[str, Any]) -> Input:
    version = next(
        (info[key] for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created") if info.get(key)), ""
    )
    return Input(
        fs.unstrip_protocol(info["name"]) if not _is_local(fs) else info["name"], int(info["size"] or 0), str(version)
    )


def _is_local(fs: Any) -> bool:
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def base_name(path: str) -> str:
    """The file's own name, for people: "/dump/a.warc.gz" → "a.warc.gz"."""
    return posixpath.basename(path)
