"""Sorted runs of counts: distinct byte strings in ascending order, with 64-bit counts.

Counts are written to disk as runs. Because runs are sorted, any number of them can be merged by streaming, one chunk
of each at a time, and the same text gives the same bytes however it was split into batches, shards and runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s, UInt8s, UInt64s
from curation.running.compiled import inner, kernel
from curation.store.folder import Folder
from curation.store.shards import Output
from curation.text.buffers import text_bytes

SCHEMA = pa.schema([("token", pa.binary()), ("count", pa.int64())])
"""Columns of a run on disk."""

HEAD = 8
"""Length of a string's head: its first bytes, read as one big-endian number. Only strings with equal heads are compared
byte by byte when sorting."""

CHUNK_ROWS, CHUNK_BYTES = 16_384, 1 << 20
"""Rows per chunk, and their bytes: what a merge holds in memory of each run."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Byte strings and how often each occurs.

    Attributes:
        data: uint8. String `i` is `data[offsets[i]:offsets[i + 1]]`.
        offsets: int64[n + 1].
        counts: int64[n].
    """

    data: UInt8s
    offsets: Int64s
    counts: Int64s

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, row: int) -> bytes:
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def rows(self, first: int, last: int) -> Counts:
        """Rows `first` to `last` (exclusive), sharing the bytes."""
        start, end = self.offsets[first], self.offsets[last]
        return Counts(self.data[start:end], self.offsets[first : last + 1] - start, self.counts[first:last])

    def chunks(self) -> Iterator[Counts]:
        """The rows in chunks of at most CHUNK_ROWS rows and CHUNK_BYTES bytes; a longer row is a chunk by itself."""
        first = 0
        while first < len(self):
            fits = int(np.searchsorted(self.offsets, self.offsets[first] + CHUNK_BYTES, "right")) - 1
            last = min(max(fits, first + 1), first + CHUNK_ROWS)
            yield self.rows(first, last)
            first = last

    def up_to(self, bound: bytes) -> int:
        """Number of leading rows of a sorted run that are at most `bound`."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self[middle] <= bound:
                low = middle + 1
            else:
                high = middle
        return low

    def to_arrow(self) -> pa.RecordBatch:
        """Convert to a record batch with SCHEMA.

        Like `from_arrow`, it works on buffers: pa.array and to_numpy import pandas where it is installed, which takes
        about 40 MB.

        Raises:
            ValueError: The strings hold over 2 GiB.
        """
        if len(self.data) > np.iinfo(np.int32).max:
            raise ValueError(f"{len(self.data)} bytes of tokens in one batch, over 2 GiB")
        buffers = [None, pa.py_buffer(self.offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(self.data))]
        tokens = pa.Array.from_buffers(pa.binary(), len(self), buffers)
        counts = pa.Array.from_buffers(
            pa.int64(), len(self), [None, pa.py_buffer(np.ascontiguousarray(self.counts, np.int64))]
        )
        return pa.RecordBatch.from_arrays([tokens, counts], schema=SCHEMA)

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch) -> Counts:
        """Convert from a record batch with SCHEMA, by buffers as in `to_arrow`."""
        tokens, counts = batch.column("token"), batch.column("count")
        data, offsets = text_bytes(tokens)
        numbers = np.frombuffer(counts.buffers()[1], np.int64)[counts.offset : counts.offset + len(counts)]
        return cls(data[offsets[0] : offsets[-1]], offsets - offsets[0], numbers)


def sorted_run(counts: Counts) -> Counts:
    """Sort the strings in ascending order and add up the counts of equal ones."""
    heads = np.empty(len(counts), np.uint64)
    _read_heads(counts.data, counts.offsets, heads)
    order = np.argsort(heads, kind="stable")
    _sort_ties(counts.data, counts.offsets, heads, order)
    data, offsets = np.empty_like(counts.data), np.empty_like(counts.offsets)
    totals = np.empty_like(counts.counts)
    rows = _fold(counts.data, counts.offsets, counts.counts, order, data, offsets, totals)
    return Counts(data[: offsets[rows]], offsets[: rows + 1], totals[:rows])


def write_run(folder: Folder, path: str, chunks: Iterable[Counts]) -> Output:
    """Write a sorted run as an Arrow stream, one batch per chunk. The file appears only once it is complete."""
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with folder.writing(path) as file, pa.ipc.new_stream(pa.PythonFile(file, "w"), SCHEMA, options=options) as stream:
        for chunk in chunks:
            stream.write_batch(chunk.to_arrow())
            rows += len(chunk)
    return Output(path, file.size, file.hash, rows)


def read_run(folder: Folder, path: str) -> Iterator[Counts]:
    """Read a run chunk by chunk; one chunk is in memory at a time."""
    options = pa.ipc.IpcReadOptions(use_threads=False)
    with folder.open(path) as file, pa.ipc.open_stream(pa.PythonFile(file, "r"), options=options) as stream:
        for batch in stream:
            yield Counts.from_arrow(batch)


def concatenated(parts: Sequence[Counts]) -> Counts:
    """Concatenate the parts."""
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Counts(
        np.concatenate([part.data for part in parts]), offsets, np.concatenate([part.counts for part in parts])
    )


def merge_runs(runs: Sequence[Iterable[Counts]]) -> Iterator[Counts]:
    """Merge sorted runs, given in chunks, into one, also in chunks; one chunk of each run is in memory at a time."""
    sources = [iter(run) for run in runs]
    held: list[Counts | None] = [_next_chunk(source) for source in sources]
    while chunks := [chunk for chunk in held if chunk is not None]:
        bound = min(chunk[len(chunk) - 1] for chunk in chunks)
        parts = []
        for number, chunk in enumerate(held):
            if chunk is None:
                continue
            rows = chunk.up_to(bound)
            parts.append(chunk.rows(0, rows))
            held[number] = chunk.rows(rows, len(chunk)) if rows < len(chunk) else _next_chunk(sources[number])
        yield parts[0] if len(parts) == 1 else sorted_run(concatenated(parts))


def _next_chunk(source: Iterator[Counts]) -> Counts | None:
    return next((chunk for chunk in source if len(chunk)), None)


@kernel
def _read_heads(data: UInt8s, offsets: Int64s, heads: UInt64s) -> None:
    for row in range(len(heads)):
        begin, end = offsets[row], offsets[row + 1]
        head = np.uint64(0)
        for place in range(HEAD):
            byte = data[begin + place] if begin + place < end else np.uint8(0)
            head = (head << np.uint64(8)) | np.uint64(byte)
        heads[row] = head


@kernel
def _sort_ties(data: UInt8s, offsets: Int64s, heads: UInt64s, order: Int64s) -> None:
    """Sort rows with equal heads by their remaining bytes: a heap sort within each such group."""
    first, rows = 0, len(order)
    while first < rows:
        last = first + 1
        while last < rows and heads[order[last]] == heads[order[first]]:
            last += 1
        group = order[first:last]
        size = len(group)
        for top in range(size // 2 - 1, -1, -1):
            _sift_down(data, offsets, group, top, size)
        for end in range(size - 1, 0, -1):
            group[0], group[end] = group[end], group[0]
            _sift_down(data, offsets, group, 0, end)
        first = last


@inner
def _sift_down(data: UInt8s, offsets: Int64s, group: Int64s, top: int, size: int) -> None:
    while True:
        child = 2 * top + 1
        if child >= size:
            return
        if child + 1 < size and _compare(data, offsets, group[child], group[child + 1]) < 0:
            child += 1
        if _compare(data, offsets, group[top], group[child]) >= 0:
            return
        group[top], group[child] = group[child], group[top]
        top = child


@inner
def _compare(data: UInt8s, offsets: Int64s, left: int, right: int) -> np.int64:
    """Compare two strings with equal heads: negative, zero or positive."""
    begin, other = offsets[left], offsets[right]
    size, other_size = offsets[left + 1] - begin, offsets[right + 1] - other
    for place in range(HEAD, min(size, other_size)):
        difference = np.int64(data[begin + place]) - np.int64(data[other + place])
        if difference != 0:
            return difference
    return np.int64(size - other_size)


@kernel
def _fold(
    data: UInt8s, offsets: Int64s, counts: Int64s, order: Int64s, target: UInt8s, ends: Int64s, totals: Int64s
) -> int:
    """Write the rows in `order`, merging equal neighbors; returns the number of rows written."""
    rows, used, last = 0, 0, -1
    ends[0] = 0
    for row in order:
        begin, end = offsets[row], offsets[row + 1]
        size = end - begin
        equal = last >= 0 and size == offsets[last + 1] - offsets[last]
        place = 0
        while equal and place < size:
            equal = data[begin + place] == data[offsets[last] + place]
            place += 1
        if equal:
            totals[rows - 1] += counts[row]
            continue
        for place in range(size):
            target[used + place] = data[begin + place]
        used += size
        totals[rows] = counts[row]
        rows += 1
        ends[rows] = used
        last = row
    return rows
