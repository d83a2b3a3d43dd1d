"""Which parts of which archives to ask for, so that records cost few requests and hardly more bytes than they have.

Records that are near each other in an archive are asked for together. The bytes between them are wasted, so gaps are
closed from the smallest on, as long as all together stay below WASTE of the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from curation.arrays import Int64s

WASTE = 0.08
"""Largest share of bytes between records, of those in records. Between two neighboring pages of CommonCrawl are the
metadata of the one and the request of the other: about 1 kB, next to 20 kB or more in a page."""

LARGEST_RANGE = 16 << 20
"""Bytes that are asked for at once, unless a single record has more."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Neighboring records of an archive.

    Attributes:
        first: Index of the first record.
        last: Index after the last record.
        start: First byte.
        stop: End, exclusive.
    """

    first: int
    last: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes to ask for."""
        return self.stop - self.start


def merge(archives: Int64s, offsets: Int64s, lengths: Int64s) -> list[ByteRange]:
    """The ranges to ask for, in the order of the records.

    Args:
        archives: Number of the archive of each record, int64[records], ascending.
        offsets: First byte of each record in its archive, int64[records], ascending within an archive.
        lengths: Bytes of each record, int64[records].
    """
    if not len(offsets):
        return []
    ends = offsets + lengths
    gaps = np.maximum(offsets[1:] - ends[:-1], 0)
    may = np.flatnonzero(archives[1:] == archives[:-1])
    order = may[np.argsort(gaps[may], kind="stable")]
    chosen = order[np.cumsum(gaps[order]) <= WASTE * lengths.sum()]
    joined = np.zeros(len(offsets), np.bool_)
    joined[chosen + 1] = True
    ranges: list[ByteRange] = []
    for record, (start, stop) in enumerate(zip(offsets.tolist(), ends.tolist(), strict=True)):
        last = ranges[-1] if ranges else None
        if joined[record] and last is not None and stop - last.start <= LARGEST_RANGE:
            ranges[-1] = ByteRange(last.first, record + 1, last.start, max(stop, last.stop))
        else:
            ranges.append(ByteRange(record, record + 1, start, stop))
    return ranges


def divide(sizes: Sequence[int], parts: int) -> Iterator[slice]:
    """Divide things of some sizes, in order, into at most `parts` runs of about the same total size; none is empty.

    >>> [range(5)[run] for run in divide([5, 1, 1, 1, 4], 3)]
    [range(0, 1), range(1, 4), range(4, 5)]
    """
    ends = np.cumsum(np.asarray(sizes, np.int64))
    if not len(ends):
        return
    bounds = np.searchsorted(ends, np.arange(1, parts) * int(ends[-1]) / parts, side="left") + 1
    edges = np.unique([0, *np.minimum(bounds, len(ends)), len(ends)])
    yield from (slice(int(first), int(last)) for first, last in pairwise(edges))
