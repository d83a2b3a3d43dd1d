"""Long lists of strings as sorted 128-bit hashes in a file that all processes of a machine map into memory.

Four and a half million domains as a Python set take 0.6 GB and seconds in every process that loads them; as hashes they
are 73 MB once for the machine and open in a millisecond. At 128 bits a false hit is out of question (about 10⁻³² a
look-up).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from curation.arrays import Bools, UInt64s
from curation.store.folder import Folder

CACHE = "CURATION_CACHE_DIR"
"""Environment variable that names the folder of such files; else XDG_CACHE_HOME or ~/.cache, each with /curation."""


@dataclass(frozen=True, slots=True)
class HashList:
    """A set of strings by their hashes, shape (2, n) uint64: upper halves in ascending order, lower halves."""

    hashes: UInt64s

    def contains(self, values: Sequence[str]) -> Bools:
        """Which of the values are in the list, shape (values,)."""
        upper, lower = self.hashes
        wanted = _hashes(value.encode("utf-8", "surrogatepass") for value in values)
        found = np.zeros(len(values), dtype=np.bool_)
        places = np.searchsorted(upper, wanted[0])
        open_rows = np.arange(len(values))
        while len(open_rows):
            places = places[(inside := places < len(upper))]
            open_rows = open_rows[inside]
            same = upper[places] == wanted[0, open_rows]
            places, open_rows = places[same], open_rows[same]
            found[open_rows] |= lower[places] == wanted[1, open_rows]
            places = places + 1  # upper halves may be equal, though 64 bits hardly ever are
        return found

    def __len__(self) -> int:
        return int(self.hashes.shape[1])


def hash_list(values: Iterable[bytes]) -> HashList:
    """The list of UTF-8 strings."""
    pairs = _hashes(values)
    return HashList(np.ascontiguousarray(pairs[:, np.argsort(pairs[0], kind="stable")]))


def _hashes(values: Iterable[bytes]) -> UInt64s:
    """Upper and lower halves of xxh3-128, shape (2, values)."""
    raw = np.frombuffer(b"".join(map(xxhash.xxh3_128_digest, values)), dtype=">u8")
    return raw.reshape(-1, 2).T.astype(np.uint64)


def cached_hash_list(name: str, build: Callable[[], Iterable[bytes]]) -> HashList:
    """The list kept under `name` (which must tell its content) in the machine's cache, built on first use.

    Where the folder cannot be written the list is built in memory, for this process alone.
    """
    path = cache_folder() / f"{name}.npy"
    kept = _load(path)
    if kept is not None:
        return kept
    built = hash_list(build())
    return (_load(path) or built) if _keep(path, built) else built


def cache_folder() -> Path:
    """Where such files are kept on this machine."""
    if CACHE in os.environ:
        return Path(os.environ[CACHE])
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "curation"
    except RuntimeError:  # no home folder, as in some containers
        return Path(tempfile.gettempdir()) / f"curation-{os.getuid()}"


def _load(path: Path) -> HashList | None:
    """The list in a file, or None if there is none or the file is not what `_keep` writes."""
    try:
        hashes = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    if hashes.ndim != 2 or hashes.shape[0] != 2 or hashes.dtype != np.uint64:
        return None
    return HashList(np.asarray(hashes))


def _keep(path: Path, built: HashList) -> bool:
    try:
        with Folder(str(path.parent)).writing(path.name, sync=False) as file:
            np.save(file, built.hashes)
    except OSError:
        return False
    return True
