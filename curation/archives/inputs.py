"""Resolve the inputs on the command line to files or parts of files, each with a shard name and an identity.

A large file of rows is divided into parts, each of which is an input of its own (see `kinds.part_bounds`). Inputs keep
the order of the arguments; files within a folder or glob are sorted by path; a file named twice counts
once. The order decides which of two duplicates comes first, so it is part of a run's identity and stored in run.json.
Symbolic links are followed.
"""

from __future__ import annotations

import errno
import hashlib
import heapq
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import fsspec
from fsspec.core import split_protocol
from fsspec.implementations.local import LocalFileSystem

from curation.archives.commoncrawl.names import ROOT, archives_of, crawl_hint, is_crawl
from curation.archives.http_requests import http_info
from curation.archives.hub import chosen_files
from curation.archives.kinds import ENDINGS, UNSURE_ENDINGS, Kind, is_divisible, kind_of, part_bounds
from curation.archives.path_lists import expand_lists
from curation.archives.patience import Patience
from curation.archives.streams import open_stream
from curation.errors import InputError
from curation.running.overlap import overlapped
from curation.store.shards import shard_name
from curation.store.storage import OBJECT_STORES, file_system, input_errors, is_http, protocols
from curation.store.untrusted import is_local, is_special
from curation.text.valid import is_valid_text

REQUESTS = 16
"""Number of arguments to look up concurrently: a remote file takes one request, whose answer takes long."""

_GLOB = set("*?[")


@dataclass(frozen=True, slots=True)
class Input:
    """One archive or other file, or a part of one.

    Attributes:
        path: Path or fsspec URL.
        size: Size of the file in bytes.
        version: ETag, checksum or modification time: differs between versions of the same file.
        start: First byte of the part. What begins in a part belongs to it, such as a row group or a line.
        stop: End of the part, exclusive; None for the end of the file.
        first_row: The number of its first row, where lines would have to be counted to know it; None if unknown.
        dump: In parts of an archive, the crawl that its first record names; None if it names none.
    """

    path: str
    size: int
    version: str
    start: int = 0
    stop: int | None = None
    first_row: int | None = field(default=None, compare=False)
    dump: str | None = field(default=None, compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """Path, size, version, and which part, as plain values, as in fingerprints, manifests and run.json."""
        return {**self.place, "size": self.size, "version": self.version}

    @property
    def place(self) -> dict[str, Any]:
        """Path, and which part of the file, as in the lists of run.json."""
        return {"path": self.path} | ({"start": self.start, "stop": self.end} if self.is_part else {})

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a file."""
        return self.start > 0 or self.stop is not None

    @property
    def end(self) -> int:
        """Offset after its last byte."""
        return self.size if self.stop is None else self.stop

    @property
    def bytes(self) -> int:
        """Its size in bytes."""
        return self.end - self.start

    @property
    def shard(self) -> str:
        """The name of the shard that is made from it."""
        return shard_name(self.path, self.start if self.is_part else None)

    @property
    def kind(self) -> Kind | None:
        """The kind of file that its name tells, or None."""
        return kind_of(self.path)

    @property
    def is_divisible(self) -> bool:
        """Whether parts of the file can be read by themselves, without what comes before them being unpacked."""
        return self.kind in ("archive", None) or is_divisible(self.path)

    @property
    def parts(self) -> list[Input]:
        """The parts of a file that is divided, or the file itself."""
        bounds = [0, *part_bounds(self.path, self.size), self.size]
        if len(bounds) == 2:
            return [self]
        return [replace(self, start=start, stop=stop) for start, stop in pairwise(bounds)]

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine."""
        return is_local(self.path)

    @property
    def is_special(self) -> bool:
        """Whether it is a pipe, a device, or the like: opening it may wait forever, or describe this process."""
        return self.is_local and is_special(LocalFileSystem._strip_protocol(self.path))

    def open(self) -> Any:
        """Open the file for reading its bytes, not decompressed. Failed requests to another machine are repeated."""
        is_remote = "://" in self.path and not self.path.startswith(("file://", "local://", "memory://"))
        return open_stream(self.path) if is_remote else fsspec.open(self.path, "rb").open()


def find_inputs(arguments: Iterable[str], sample: float = 1.0, seed: int = 0) -> list[Input]:
    """Find the files that the arguments name.

    Args:
        arguments: Files, folders, globs, fsspec URLs, names of crawls (`cc:CC-MAIN-2025-08`), or @list (a file with one
            of these per line).
        sample: Share of the files to choose, above 0 and at most 1, by `in_sample`, but at least one file.
        seed: Random seed of the sample.

    Returns:
        The files in input order, each once, large ones in parts.

    Raises:
        InputError: An argument matches no file.
    """
    inputs: dict[str, Input] = {}
    for found in overlapped(_find_argument, _expand(arguments, sample, seed), REQUESTS):
        inputs |= {entry.path: entry for entry in found if entry.path not in inputs}
    if not inputs:
        raise InputError("no input: name WARC, Parquet or JSON Lines files, folders, globs, URLs or @list.txt")
    lowest = min(inputs, key=partial(_place_in_sample, seed=seed))
    chosen = [entry for entry in inputs.values() if in_sample(entry.path, sample, seed)] or [inputs[lowest]]
    return [part for entry in chosen for part in entry.parts]


def in_sample(path: str, share: float, seed: int) -> bool:
    """Whether a file is in a sample: by a hash of its path and the seed, so that a larger share only adds files.

    The archives of a crawl are hashed by their path in the crawl, so that every server gives the same sample.

    Args:
        path: Path or URL of the file.
        share: Share of all files, up to 1.
        seed: Random seed.
    """
    return share >= 1 or _place_in_sample(path, seed) < share


def _place_in_sample(path: str, seed: int) -> float:
    """The smallest share with which a file is in a sample, from 0 to below 1."""
    name = path[max(0, path.find(ROOT)) :]
    digest = hashlib.blake2b(f"{seed} {name}".encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def find_again(paths: Iterable[str]) -> list[Input]:
    """Find the files that an earlier run recorded, each by its path: no lists, folders or globs.

    Raises:
        InputError: A file is gone, or there are none.
    """
    again = overlapped(partial(_find, recorded=True), paths, REQUESTS)
    inputs = {entry.path: entry for found in again for entry in found}
    if not inputs:
        raise InputError("no input: the earlier run recorded none")
    return [part for entry in inputs.values() for part in entry.parts]


def _expand(arguments: Iterable[str], sample: float, seed: int) -> Iterator[tuple[str, bool]]:
    """Each argument, and whether it is known to be a file.

    Archives that are not in the sample are left out where their names tell, so that no request is made for them: all
    but the one that a larger sample would have first, which is the sample if there is no other file.
    """
    left_out: list[tuple[float, str, bool]] = []
    for argument in expand_lists(arguments):
        is_name = is_crawl(argument)
        for place in archives_of(argument) if is_name else [argument]:
            if in_sample(place, sample, seed) or not (is_name or _names_archive(place)):
                yield place, is_name
            else:
                left_out = [min([(_place_in_sample(place, seed), place, is_name), *left_out])]
    yield from ((place, is_name) for _, place, is_name in left_out)


def _names_archive(argument: str) -> bool:
    """Whether an argument is the URL of a single archive, as far as its name tells."""
    return "://" in argument and kind_of(argument) == "archive" and not _GLOB & set(argument)


def _find_argument(argument: tuple[str, bool]) -> list[Input]:
    return _find(argument[0], recorded=argument[1])


def _find(argument: str, *, recorded: bool = False) -> list[Input]:
    """The inputs that an argument names: one request for a file, and the listing of a folder or glob once."""
    url = argument if "://" in argument else os.path.abspath(os.path.expanduser(argument))  # noqa: PTH100, PTH111
    with input_errors(f"input {argument}"):
        fs, path = file_system(url)
        if _is_local(fs):
            fs = _LocalFiles()
        info = _info(fs, path) if recorded or not (is_http(fs) and url.endswith("/")) else None
        if recorded:
            infos = [info] if info is not None and info["type"] == "file" else []
            missing = f"input {argument}: no such file"
        elif (is_http(fs) and url.endswith("/")) or (
            info is not None and (info["type"] == "directory" or url.endswith("/"))
        ):
            infos = chosen_files(fs, path, _listed(fs, path, fs.find))
            missing = f"folder {argument}: no file in it ends in {', '.join((*ENDINGS, *UNSURE_ENDINGS))}"
        elif info is None and _GLOB & set(path):
            infos = [info for info in _listed(fs, path, fs.glob) if info["type"] == "file"]
            missing = f"glob {argument}: matches no file"
        else:
            infos = [info] if info is not None else []
            missing = f"input {argument}: no such file or folder{crawl_hint(argument)}"
            if _is_local(fs) and is_special(path):
                raise InputError(f"input {argument}: neither a file nor a folder: a pipe, a device or the like")
        if split_protocol(url)[0] in OBJECT_STORES:
            missing += ", or no such bucket"
        infos = _each_once(infos)
        if is_http(fs) and infos != [info]:  # a listing has neither sizes nor times
            infos = [
                found
                for found in overlapped(partial(_info, fs), (each["name"] for each in infos), REQUESTS)
                if found is not None
            ]
    if not infos:
        raise InputError(missing)
    if wrong := next((str(info["name"]) for info in infos if not is_valid_text(str(info["name"]))), None):
        raise InputError(f"input {wrong}: its name is not UTF-8")
    return [_input(fs, info) for info in infos]


def _listed(fs: Any, path: str, search: Callable[..., dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What `fs.find` or `fs.glob` gives for a path. A failed request to an HTTP server is made again."""
    try:
        found = Patience(path)(partial(search, path, detail=True)) if is_http(fs) else search(path, detail=True)
    except FileNotFoundError:
        if not is_http(fs):
            raise
        return []
    return list(found.values())


class _LocalFiles(LocalFileSystem):  # type: ignore[misc]
    """The local file system, whose folders are searched through symbolic links."""

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **options: Any
    ) -> Any:
        """The files below a folder, also behind links.

        Without `maxdepth` each folder is searched once, whatever links lead to it or around in a circle: one that is
        there itself under its own path, another one under the first path by name.

        Raises:
            OSError: A folder cannot be listed, or a link leads nowhere that may be to archives.
        """
        found: dict[str, dict[str, Any]] = {}
        seen: set[tuple[int, int]] = set()
        own: list[tuple[str, int, bool]] = [(self._strip_protocol(path), 0, False)]
        links: list[tuple[str, int, bool]] = []
        while own or links:
            name, depth, is_linked = own.pop() if own else heapq.heappop(links)
            status = _status(name)
            if status is None:
                continue
            identity, is_folder = (status.st_dev, status.st_ino), stat.S_ISDIR(status.st_mode)
            if is_folder and maxdepth is None:
                if identity in seen:
                    continue
                seen.add(identity)
            if stat.S_ISREG(status.st_mode) or (is_folder and withdirs):
                kind = "directory" if is_folder else "file"
                found[name] = {"name": name, "size": status.st_size, "type": kind, "mtime": status.st_mtime}
                found[name] |= {"identity": identity, "linked": is_linked}
            if is_folder and (maxdepth is None or depth < maxdepth):
                with os.scandir(name) as entries:
                    for entry in entries:
                        if entry.is_symlink():
                            heapq.heappush(links, (entry.path, depth + 1, True))
                        else:
                            own.append((entry.path, depth + 1, is_linked))
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names


def _each_once(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The files sorted by path, without those behind a link that are there under another path too."""
    infos = sorted(infos, key=lambda info: str(info["name"]))
    seen = {info.get("identity") for info in infos if not info.get("linked")}
    chosen = []
    for info in infos:
        if not info.get("linked") or info["identity"] not in seen:
            seen.add(info.get("identity"))
            chosen.append(info)
    return chosen


def _status(path: str) -> os.stat_result | None:
    """The status of a file or of what a link leads to; None for a link in a circle, or to nothing that matters here."""
    try:
        return os.stat(path)  # noqa: PTH116
    except OSError as error:
        name = path.rpartition("/")[2].lower()
        if error.errno == errno.ELOOP or not (name.endswith(ENDINGS) or "." not in name):
            return None
        raise


def _info(fs: Any, path: str) -> dict[str, Any] | None:
    """What the file system says about a file or folder; None if there is none, or only a link to none."""
    try:
        info: dict[str, Any] = Patience(path)(partial(http_info, fs, path)) if is_http(fs) else fs.info(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if info.get("islink") and not fs.exists(path) else info


def _input(fs: Any, info: dict[str, Any]) -> Input:
    version = next(
        (info[key] for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created") if info.get(key)), ""
    )
    return Input(
        fs.unstrip_protocol(info["name"]) if not _is_local(fs) else info["name"], int(info["size"] or 0), str(version)
    )


def _is_local(fs: Any) -> bool:
    return "file" in protocols(fs)
