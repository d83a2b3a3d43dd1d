"""Where an archive is divided. What the parts contain is tested in tests/fuzz and tests/jobs."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from curation.archives.divide import LAST_PARTS, part_places


@given(st.floats(0.25, 100), st.integers(1, 10**5))
def test_parts_get_smaller_towards_the_end(parts_of_size: float, first: int) -> None:
    """No part is larger than the first or than a fraction of what is left, nor smaller than a quarter of the first."""
    size = int(parts_of_size * first)
    places = [0, *part_places(size, first), size]
    parts = [(end - start, size - start) for start, end in pairwise(places)]
    assert [length for length, _ in parts[:-1]] == sorted((length for length, _ in parts[:-1]), reverse=True)
    last = max(first // 4, 1)
    assert all(last <= length <= first for length, _ in parts[:-1])
    assert all(length <= max(left // LAST_PARTS, last) for length, left in parts[:-1])
    assert parts[-1][0] < 2 * last


def test_a_long_archive_has_equal_parts_first() -> None:
    """Small parts cost more for each byte: only the last ones are."""
    places = part_places(1 << 30, 4 << 20)
    assert places[:200] == [number * (4 << 20) for number in range(1, 201)]
    assert len(places) < 256 + 16
