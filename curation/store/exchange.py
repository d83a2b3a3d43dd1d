"""Shuffle: bring rows from many tasks together by partition, through files in a folder that all workers can reach.

A sending task buffers its rows, sorts each full buffer by partition and writes it as one Arrow file with one record
batch per partition; a receiving task reads its batch from every file. Unlike Dask's P2P shuffle this keeps no state in
workers: a worker that dies costs only its own task, tasks need not run concurrently, one process can do it all, and
rows sent by a killed run need not be sent again. tests/benchmarks/dedup_scale.py compares the two.

For n rows of w bytes and buffers of `BUFFER_BYTES` = B: sending takes 3 B of memory (buffer, order, sorted copy); there
are ⌈n·w / B⌉ files plus at most one per task, however many input files the rows came from; n·w bytes are spilled;
receiving takes the bytes of the partition.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.arrays import UInt64s
from curation.store.folder import Folder

PARTITION_BYTES = 64 << 20
"""Target size of a partition, which a task holds in memory."""

BUFFER_BYTES = 96 << 20
"""Bytes of rows that a sender buffers. Larger buffers mean fewer and longer reads: (total bytes / buffer bytes)²."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A shuffle of rows. Picklable.

    Attributes:
        folder: Folder that all workers can reach.
        path: Path in the folder for the files of the shuffle.
        partitions: Number of partitions.
    """

    folder: Folder
    path: str
    partitions: int

    def sender(self, task: str, schema: pa.Schema) -> Sender:
        """The sender of a task; a task that runs again under the same name replaces the rows it sent."""
        return Sender(self, task, schema)

    def receive(self, partition: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows sent to a partition: one batch per file in order of file names, without empty ones."""
        for path in self.folder.list(self.path, ".arrow"):
            with mapped(self.folder, path) as file:
                batch = pa.ipc.open_file(file).get_batch(partition)
                if batch.num_rows:
                    yield batch

    def receive_table(self, partition: int, schema: pa.Schema) -> pa.Table:
        """All rows sent to a partition as a table."""
        return pa.Table.from_batches(list(self.receive(partition)), schema=schema)

    def spilled(self) -> int:
        """Total size of all files in bytes."""
        return sum(self.folder.size(path) for path in self.folder.list(self.path, ".arrow"))

    def clear(self) -> None:
        """Remove all rows that were sent."""
        self.folder.remove(self.path)


class Sender:
    """Sends rows of one schema. A context manager: the last rows are written when the block ends without an error."""

    def __init__(self, exchange: Exchange, task: str, schema: pa.Schema) -> None:
        self._exchange, self._task, self._schema = exchange, task, schema
        self._tables: list[pa.RecordBatch] = []
        self._targets: list[npt.NDArray[np.integer[Any]]] = []
        self._bytes = self._files = self.rows = 0

    def __enter__(self) -> Sender:
        return self

    @property
    def partitions(self) -> int:
        """Number of partitions."""
        return self._exchange.partitions

    def send(self, rows: pa.RecordBatch, partitions: npt.NDArray[np.integer[Any]]) -> None:
        """Send rows.

        Args:
            rows: The rows.
            partitions: The partition of each row (0 ≤ partition < `self.partitions`), shape (rows,).
        """
        if not rows.num_rows:
            return
        self._tables.append(rows)
        self._targets.append(partitions.astype(np.uint16 if self.partitions <= 1 << 16 else np.uint32))
        self._bytes += rows.nbytes
        self.rows += rows.num_rows
        if self._bytes >= BUFFER_BYTES:
            self._write()

    def _write(self) -> None:
        table = pa.Table.from_batches(self._tables, schema=self._schema)
        targets = np.concatenate(self._targets)
        self._tables, self._targets, self._bytes = [], [], 0
        counts = np.bincount(targets, minlength=self.partitions)
        # A stable argsort of 16-bit integers is a radix sort.
        ordered = take(table, np.argsort(targets, kind="stable"))
        name = posixpath.join(self._exchange.path, f"{self._task}-{self._files:04d}.arrow")
        with (
            self._exchange.folder.writing(name, sync=False) as file,
            pa.ipc.new_file(pa.PythonFile(file, mode="w"), self._schema) as writer,
        ):
            start = 0
            for count in counts.tolist():
                writer.write_batch(ordered.slice(start, count))
                start += count
        self._files += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._tables:
            self._write()


def partitions_by_size(rows: int, row_bytes: int) -> int:
    """Number of partitions for `rows` rows in total of `row_bytes` bytes each."""
    return max(1, min(4096, -(-rows * row_bytes // PARTITION_BYTES)))


def partition_of(hashes: UInt64s, partitions: int) -> npt.NDArray[np.integer[Any]]:
    """The partition of each 64-bit hash: its upper half scaled to the number of partitions, shape (hashes,)."""
    return ((hashes >> np.uint64(32)) * np.uint64(partitions)) >> np.uint64(32)


def take(table: pa.Table, order: npt.NDArray[np.integer[Any]]) -> pa.RecordBatch:
    """The rows of `table` in the given order as one batch. Numbers are taken by NumPy, five times as fast as Arrow."""
    columns = []
    for column in table.columns:
        if pa.types.is_primitive(column.type) and not column.null_count:
            columns.append(pa.array(column.to_numpy()[order], column.type))
        else:
            columns.append(column.take(pa.array(order)).combine_chunks())
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


@contextmanager
def mapped(folder: Folder, relative: str, **options: Any) -> Iterator[Any]:
    """Open a file for random access: memory-mapped if it is local, else with fsspec's `options`."""
    if folder.is_local:
        with pa.memory_map(folder.readable(relative)) as file:
            yield file
    else:
        with folder.fs.open(folder.path(relative), "rb", **options) as file:
            yield file
