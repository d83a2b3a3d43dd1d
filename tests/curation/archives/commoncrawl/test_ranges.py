"""Which bytes are asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.archives.commoncrawl.ranges import LARGEST_RANGE, WASTE, divide, merge

RECORDS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5000), st.integers(1, 300)), max_size=40)


@given(RECORDS)
@settings(max_examples=150, deadline=None)
def test_ranges_have_all_records_and_little_else(records: list[tuple[int, int, int]]) -> None:
    """Every record is in one range of its archive, and at most WASTE of the bytes asked for is between records."""
    archives, offsets, lengths = (
        (np.array(column, np.int64) for column in zip(*sorted(records), strict=True))
        if records
        else (np.zeros(0, np.int64),) * 3
    )
    ranges = merge(archives, offsets, lengths)
    assert [number for each in ranges for number in range(each.first, each.last)] == list(range(len(records)))
    for each in ranges:
        inside = slice(each.first, each.last)
        assert len(set(archives[inside].tolist())) == 1
        assert each.start == offsets[each.first]
        assert each.stop == (offsets + lengths)[inside].max()
    assert sum(each.size for each in ranges) <= (1 + WASTE) * lengths.sum()


def test_the_smallest_gaps_are_closed_first() -> None:
    """Of gaps that cannot all be closed, the smallest are."""
    offsets, lengths = np.array([0, 110, 300, 403]), np.array([100, 100, 100, 100])
    assert [(each.start, each.stop) for each in merge(np.zeros(4, np.int64), offsets, lengths)] == [
        (0, 210),
        (300, 503),
    ]


def test_a_range_is_not_too_large() -> None:
    """Records without a gap are divided where a range would be larger than LARGEST_RANGE."""
    lengths = np.full(5, LARGEST_RANGE // 2 - 1)
    offsets = np.cumsum(lengths) - lengths
    assert [each.last - each.first for each in merge(np.zeros(5, np.int64), offsets, lengths)] == [2, 2, 1]


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_runs_of_about_the_same_size(sizes: list[int], parts: int) -> None:
    """Runs are in order and not empty, have everything, and none is larger than its part and one thing more."""
    runs = [sizes[each] for each in divide(sizes, parts)]
    assert [size for run in runs for size in run] == sizes
    assert all(runs)
    assert len(runs) <= parts
    assert all(sum(run) <= sum(sizes) / parts + max(sizes) for run in runs)
