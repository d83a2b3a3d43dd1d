"""A folder for rows exchanged between tasks: local, or in the output folder, where all workers can access it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from curation.store.folder import Folder

WORK = "verify-work"
"""Name of the folder in the output folder, used if the workers may be on other machines."""


@contextmanager
def work_folder(folder: Folder, shared: bool) -> Iterator[Folder]:
    """Create a temporary folder for rows exchanged between tasks, removed afterwards.

    Args:
        folder: Output folder.
        shared: Whether the workers may be on other machines; the temporary folder is then in the output folder.
    """
    if not shared:
        with tempfile.TemporaryDirectory(prefix="curate-", ignore_cleanup_errors=True) as local:
            yield Folder(local)
        return
    folder.check_no_link(WORK)
    name = f"{WORK}/{uuid.uuid4().hex}"
    try:
        yield Folder(f"{folder.url}/{name}")
    finally:
        folder.remove(WORK)
