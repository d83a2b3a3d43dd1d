"""A folder on any file system that fsspec supports, written atomically.

A file is written under a unique hidden name in its folder, then renamed, so it is never seen half-written (on a local
disk it is synced first; on an object store the rename is a copy within the store). A killed process leaves a hidden
`.tmp` file, which `sweep` removes.

The folder may have been made by somebody else, and paths in it may come from its own files. So a path must stay inside
the folder, only regular files are read, and nothing is written or removed through a symbolic link in the folder. The
folder itself may be a link.

Files are hashed while they are written, so the hash must keep up with the writer: xxh3-128 does, at some 20 times the
speed of blake2b. It detects any damage; it does not protect against forged files, whose manifests could be forged too.
"""

from __future__ import annotations

import json
import os
import posixpath
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import IO, Any, cast

import xxhash
from fsspec.core import split_protocol
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from curation.errors import OutputError, UnsafePath, UsageError, WriteFailed
from curation.store.storage import EXTRAS, OBJECT_STORES, explain, file_system, is_io
from curation.store.untrusted import is_inside, is_special

TEMPORARY = ".tmp"


@contextmanager
def _writing() -> Iterator[None]:
    """Turn an error into WriteFailed, which distinguishes it from an error of an input that is read meanwhile."""
    try:
        yield
    except (WriteFailed, UsageError):
        raise
    except Exception as error:
        if not isinstance(error, NotImplementedError) and not is_io(error):
            raise
        raise WriteFailed(f"cannot write the output: {explain(error)}") from error


class HashingFile:
    """A binary file that is written once from start to end, and tracks its size and xxh3-128 hash."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = xxhash.xxh3_128()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Append bytes or any buffer; returns the number of bytes."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        with _writing():
            self._file.write(view)
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        """Number of bytes written so far."""
        return self.size

    def flush(self) -> None:
        """Do nothing: the file is synced when it is committed."""

    def close(self) -> None:
        """Mark the end of writing; `Folder.writing` closes the underlying file."""
        self.closed = True

    @property
    def hash(self) -> str:
        """Hexadecimal xxh3-128 of the bytes written."""
        return self._hash.hexdigest()


class Folder:
    """The folder at an fsspec URL or local path. Picklable; paths are relative to it and use `/`."""

    def __init__(self, url: str) -> None:
        self.url = os.path.abspath(os.path.expanduser(url)) if "://" not in url else url.rstrip("/")  # noqa: PTH100, PTH111
        try:
            self.url.encode()
        except UnicodeEncodeError:
            raise UsageError(f"folder {self.url}: its path is not UTF-8") from None

    def __repr__(self) -> str:
        return f"Folder({self.url!r})"

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        return file_system(self.url)

    @property
    def fs(self) -> Any:
        """The fsspec file system."""
        return self._opened[0]

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a disk of this machine."""
        return isinstance(self.fs, LocalFileSystem)

    @property
    def is_in_memory(self) -> bool:
        """Whether the folder is in the memory of this process, so that workers do not see it."""
        return isinstance(self.fs, MemoryFileSystem)

    def path(self, relative: str = "") -> str:
        """The file system's path of `relative`. Raises UnsafePath if that is not inside the folder."""
        if not is_inside(relative):
            raise UnsafePath(f"{self.url}: {relative!r} is a path out of the folder")
        return posixpath.join(self._opened[1], relative) if relative else self._opened[1]

    def readable(self, relative: str) -> str:
        """The file system's path of a file to read. Raises UnsafePath for a pipe, a device, and the like."""
        path = self.path(relative)
        if self.is_local and is_special(path):
            raise UnsafePath(f"{self.url}: {relative} is not a regular file")
        return path

    def exists(self, relative: str) -> bool:
        """Whether a file or folder exists."""
        return bool(self.fs.exists(self.path(relative)))

    def size(self, relative: str) -> int:
        """Size of a file in bytes. Raises FileNotFoundError if it does not exist."""
        return int(self.fs.size(self.path(relative)))

    def open(self, relative: str) -> IO[bytes]:
        """Open a file for reading."""
        return cast("IO[bytes]", self.fs.open(self.readable(relative), "rb"))

    def read(self, relative: str) -> bytes:
        """All bytes of a file."""
        return bytes(self.fs.cat_file(self.readable(relative)))

    def read_json(self, relative: str) -> Any:
        """The value of a JSON file."""
        return json.loads(self.read(relative))

    def list(self, relative: str = "", suffix: str = "") -> list[str]:
        """Sorted relative paths of all files below `relative` that end in `suffix`, without hidden ones."""
        start, base = self.path(relative), self.path()
        if self.is_local:
            paths = list(_local_files(start))
        elif self.fs.exists(start):
            paths = self.fs.find(start)
        else:
            return []
        skip = len(base.rstrip("/")) + 1
        paths = [path[skip:] for path in paths if path.endswith(suffix)]
        return sorted(path for path in paths if not path.startswith(".", path.rfind("/") + 1))

    def remove(self, relative: str) -> None:
        """Delete a file, or a folder with its contents, if it exists."""
        if self.exists(relative):
            self.check_no_link(relative)
            self.fs.rm(self.path(relative), recursive=True)

    def remove_all(self, relatives: Sequence[str]) -> None:
        """Delete those of these files that exist, in few requests."""
        for relative in relatives:
            self.check_no_link(relative)
        paths = [self.path(relative) for relative in relatives]
        if not self.is_local and paths:
            with suppress(FileNotFoundError):
                self.fs.rm(paths)
                return
        for path in paths:
            with suppress(FileNotFoundError):
                self.fs.rm_file(path)

    @contextmanager
    def writing(self, relative: str, sync: bool = True) -> Iterator[HashingFile]:
        """Write a file atomically: it gets its name when the block ends, and is discarded if the block raises.

        Args:
            relative: Path of the file.
            sync: False for a file that a power failure may damage, because it is recreated if it cannot be read.
        """
        path = self.path(relative)
        self.check_no_link(relative)
        if split_protocol(self.url)[0] not in OBJECT_STORES:  # there it would create a bucket that is missing
            with _writing():
                self.fs.makedirs(posixpath.dirname(path), exist_ok=True)
        if self.is_local:
            with _local_writing(path, sync) as file:
                yield file
            return
        temporary = self.path(
            posixpath.join(posixpath.dirname(relative), _temporary_name(posixpath.basename(relative)))
        )
        try:
            with _writing():
                raw = self.fs.open(temporary, "wb")
            try:
                file = HashingFile(raw)
                yield file
            except BaseException:
                with suppress(Exception):
                    raw.close()
                raise
            with _writing():
                raw.close()
                self.fs.mv(temporary, path)
        except BaseException:
            with suppress(Exception):  # the first error counts
                if self.fs.exists(temporary):
                    self.fs.rm_file(temporary)
            raise

    def write(self, relative: str, data: bytes | memoryview, sync: bool = True) -> str:
        """Write a file atomically and return its hash; `sync` as in `writing`."""
        with self.writing(relative, sync) as file:
            file.write(data)
        return file.hash

    def write_json(self, relative: str, value: Any, sync: bool = True, indent: int | None = 1) -> str:
        """Write a value as JSON, keys in their given order, and return the file's hash; `sync` as in `writing`."""
        return self.write(relative, (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode(), sync)

    def hash(self, relative: str) -> tuple[int, str]:
        """Current size in bytes and hexadecimal xxh3-128 of a file."""
        digest, size = xxhash.xxh3_128(), 0
        with self.open(relative) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                size += len(chunk)
        return size, digest.hexdigest()

    def sweep(self) -> None:
        """Remove the temporary files of killed processes. Only for the folder's one driver, while no task runs."""
        if self.fs.exists(self.path()):
            for path in self.fs.find(self.path()):
                name = posixpath.basename(path)
                if name.startswith(".") and name.endswith(TEMPORARY):
                    self.fs.rm_file(path)

    def check_no_link(self, relative: str) -> None:
        """Check that neither a file nor a folder on the way to it is a symbolic link.

        Raises:
            WriteFailed: One of them is.
        """
        if not self.is_local:
            return
        path = self.path()
        for part in self.path(relative)[len(path) :].split("/"):
            path = posixpath.join(path, part)
            if part and os.path.islink(path):  # noqa: PTH114
                raise WriteFailed(f"{path} is a symbolic link, and nothing is written through links in a run's folder")

    def check_no_links(self, names: Iterable[str]) -> None:
        """Check, before anything is written, that none of these files and folders is a symbolic link.

        Raises:
            OutputError: One of them is.
        """
        for name in names:
            try:
                self.check_no_link(name)
            except WriteFailed as error:
                raise OutputError(str(error)) from error

    def check_writable(self) -> None:
        """Check that files can be created here. Leaves nothing behind, not even the folder.

        Raises:
            OutputError: A file cannot be created.
        """
        _check_name(self.url, self.is_local)
        base = Folder(_existing_parent(self.path())) if self.is_local else self
        probe = f".probe-{uuid.uuid4().hex}{TEMPORARY}"
        try:
            with base.writing(probe) as file:
                file.write(b"")
            base.remove(probe)
        except OSError as error:
            cause = error.__cause__ if isinstance(error, WriteFailed) and error.__cause__ else error
            raise OutputError(f"cannot write to {self.url}: {explain(cause)}") from error


def _check_name(url: str, is_local: bool) -> None:
    """Raise OutputError for a folder that storage would take for another one or for a pattern."""
    if is_local:
        if schemes := _STORES & set(url.split("/")):
            scheme = min(schemes)
            raise OutputError(f"cannot write to {url}: {scheme} is no folder; write {scheme}//BUCKET/FOLDER")
        return
    rest = url.partition(":")[2]
    if not rest.strip("/"):
        raise OutputError(f"cannot write to {url}: it names no bucket")
    if "//" in rest.removeprefix("//").rstrip("/") or set("?*[]{}") & set(rest):
        raise OutputError(f"cannot write to {url}: a folder in storage has a name without //, ?, *, [], {{}}")


_STORES = {f"{protocol}:" for protocol in EXTRAS}


def _existing_parent(path: str) -> str:
    while not os.path.exists(path):  # noqa: PTH110
        path = posixpath.dirname(path)
    return path


def _local_files(start: str) -> Iterator[str]:
    """All files below a folder, and links, which are not followed. Unlike fsspec's `find`, needs no `stat` for each."""
    waiting = [start]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry.path


def _temporary_name(name: str) -> str:
    return f".{name}.{uuid.uuid4().hex}{TEMPORARY}"


@contextmanager
def _local_writing(path: str, sync: bool) -> Iterator[HashingFile]:
    head, name = posixpath.split(path)
    temporary = posixpath.join(head, _temporary_name(name))
    try:
        with _writing():
            raw = open(temporary, "wb")  # noqa: PTH123, SIM115
        try:
            file = HashingFile(raw)
            yield file
            with _writing():
                raw.flush()
                if sync:
                    os.fsync(raw.fileno())
        finally:
            with suppress(OSError):  # closing retries a write that failed
                raw.close()
        with _writing():
            os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        if os.path.exists(temporary):  # noqa: PTH110
            os.unlink(temporary)  # noqa: PTH108
        raise
