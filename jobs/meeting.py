"""Where what many files say of one document meets: a folder for what travels there, and hashes of ids to go by.

The ids of a run, or of two, do not fit into memory. Their hashes travel through an exchange whose partitions do. At 128
bits two of a billion ids share a hash with a probability of about 10⁻²¹.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from curation.storage import Folder

WORK = "verify-work"
"""In the output folder, where the workers may be on other machines."""

PARTITION_BYTES = 64 << 20


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


def partitions_for(rows: int, row_bytes: int) -> int:
    """Partitions for so many rows in all, of so many bytes each."""
    return max(1, min(4096, -(-rows * row_bytes // PARTITION_BYTES)))


def hash_texts(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """128-bit hashes of strings, shape (texts, 2); a null counts as the empty string."""
    digests = b"".join(xxhash.xxh3_128_digest((text or "").encode()) for text in texts.to_pylist())
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)
