"""A folder for rows on their way between tasks: local, or in the output folder, where all workers reach it."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from curation.store.folder import Folder

WORK = "verify-work"
"""In the output folder, where the workers may be on other machines."""


@contextmanager
def work_folder(folder: Folder, shared: bool) -> Iterator[Folder]:
    """A folder for what travels between tasks, gone afterwards. shared: the workers may be on other machines."""
    if not shared:
        local = tempfile.mkdtemp(prefix="curate-")
        try:
            yield Folder(local)
        finally:
            shutil.rmtree(local, ignore_errors=True)
        return
    name = f"{WORK}/{uuid.uuid4().hex}"
    try:
        yield Folder(f"{folder.url}/{name}")
    finally:
        folder.remove(WORK)
