"""Long lists of strings as sorted 128-bit hashes in a file that all processes of a machine map into memory.

Four and a half million domains as a Python set take 0.6 GB and seconds in every process that loads them; as hashes they
are 73 MB once for the machine and open in a millisecond. At 128 bits a false hit is out of question (about 10⁻³² a
look-up).
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

CACHE = "CURATION_CACHE_DIR"
"""Environment variable that names the folder of such files; else XDG_CACHE_HOME or ~/.cache, each with /curation."""


@dataclass(frozen=True, slots=True)
class HashList:
    """A set of strings by their hashes, shape (n, 2) uint64, sorted by the first column."""

    hashes: npt.NDArray[np.uint64]

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        high, low = _hash(value.encode("utf-8", "surrogatepass"))
        column = self.hashes[:, 0]
        first = int(np.searchsorted(column, np.uint64(high)))
        while first < len(column) and int(column[first]) == high:
            if int(self.hashes[first, 1]) == low:
                return True
            first += 1
        return False

    def __len__(self) -> int:
        return len(self.hashes)


def _hash(data: bytes) -> tuple[int, int]:
    value = xxhash.xxh3_128_intdigest(data)
    return value >> 64, value & 0xFFFFFFFFFFFFFFFF


def hash_list(values: Iterable[bytes]) -> HashList:
    """The list of UTF-8 strings, each counted once."""
    digest = xxhash.xxh3_128_digest
    raw = np.frombuffer(b"".join(digest(value) for value in values), dtype=">u8").reshape(-1, 2)
    pairs = raw.astype(np.uint64)
    return HashList(np.ascontiguousarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]))


def cached_hash_list(name: str, build: Callable[[], Iterable[bytes]]) -> HashList:
    """The list kept under `name` (which must tell its content) in the machine's cache, built on first use.

    Where the folder cannot be written the list is built in memory, for this process alone.
    """
    path = cache_folder() / f"{name}.npy"
    if not path.exists():
        built = hash_list(build())
        if not _keep(path, built):
            return built
    return HashList(np.load(path, mmap_mode="r"))


def cache_folder() -> Path:
    """Where such files are kept on this machine."""
    if CACHE in os.environ:
        return Path(os.environ[CACHE])
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "curation"
    except RuntimeError:  # no home folder, as in some containers
        return Path(tempfile.gettempdir()) / "curation"


def _keep(path: Path, built: HashList) -> bool:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, built.hashes)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        return False
    return True
