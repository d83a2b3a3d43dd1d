"""Arrays that are the same for every process of a machine: made once, then read from its cache folder.

Tables of a million code points, lists of millions of domains, the best number of bands: each takes a moment or seconds
to make, or imports a large library, in every worker. The name says what the content depends on, versions included.
"""

from __future__ import annotations

import os
import sys
import tempfile
import unicodedata
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from curation.store.folder import Folder

CACHE = "CURATION_CACHE_DIR"
"""Environment variable with the cache folder; the default is `curation` in XDG_CACHE_HOME or in ~/.cache."""

Array = np.ndarray[Any, Any]


def cached_array(
    name: str, make: Callable[[], Array], is_valid: Callable[[Array], bool], *, mapped: bool = False
) -> Array:
    """Load an array from the machine's cache, or make it on first use.

    If the cache folder cannot be written, the array is made for this process only.

    Args:
        name: Name of the array in the cache; it must identify the content.
        make: Returns the array.
        is_valid: Whether an array can be the one; a file with another one is replaced.
        mapped: Whether to map the file into memory, read-only, instead of reading it.
    """
    path = cache_folder() / f"{name}.npy"
    cached = _load(path, is_valid, mapped)
    if cached is not None:
        return cached
    made = make()
    if not _save(path, made) or not mapped:
        return made
    cached = _load(path, is_valid, mapped)
    return made if cached is None else cached


def versions(*packages: str) -> str:
    """The versions of this Python, its Unicode data, and packages, for a name."""
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}-unicode{unicodedata.unidata_version}"
    return "-".join([python, *(f"{package}{version(package)}" for package in packages)])


def cache_folder() -> Path:
    """The cache folder on this machine."""
    if CACHE in os.environ:
        return Path(os.environ[CACHE])
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "curation"
    except RuntimeError:  # no home folder, as in some containers
        return Path(tempfile.gettempdir()) / f"curation-{os.getuid()}"


def _load(path: Path, is_valid: Callable[[Array], bool], mapped: bool) -> Array | None:
    """The array in a file; None if there is no file, or another array in it."""
    try:
        array = np.asarray(np.load(path, mmap_mode="r" if mapped else None))
    except (OSError, ValueError, EOFError):
        return None
    return array if is_valid(array) else None


def _save(path: Path, array: Array) -> bool:
    try:
        with Folder(str(path.parent)).writing(path.name, sync=False) as file:
            np.save(file, array)
    except OSError:
        return False
    return True
