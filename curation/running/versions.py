"""Versions of installed packages and of this package's code."""

from __future__ import annotations

import importlib.metadata
import os
from functools import cache
from pathlib import Path

import xxhash


@cache
def library_version(name: str) -> str:
    """The installed version of a package. Cached: reading its metadata takes milliseconds."""
    return importlib.metadata.version(name)


@cache
def code_version() -> str:
    """Version of this package and a hash of its modules, which distinguishes checkouts of the same version."""
    digest = xxhash.xxh3_64()
    for folder, folders, names in os.walk(Path(__file__).parent.parent, followlinks=True):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                digest.update(name.encode() + (Path(folder) / name).read_bytes())
    return f"{library_version('curation')} ({digest.hexdigest()[:8]})"
