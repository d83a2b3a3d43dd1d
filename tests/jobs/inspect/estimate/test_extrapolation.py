"""Extrapolation from a sample: coverage of the intervals in simulations."""

from __future__ import annotations

import numpy as np
import pytest

from curation.jobs.inspect.estimate.extrapolation import (
    Interval,
    SamplingFrame,
    point,
    tokens_per_byte,
)


def test_nine_in_ten_intervals_contain_the_truth() -> None:
    """Over many samples of a known whole, about nine in ten intervals contain the true total."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(500, 1500, 200)
    values = sizes * rng.gamma(4, 0.25, 200)
    covered = 0
    for _ in range(400):
        sample = rng.choice(200, 12, replace=False)
        frame = SamplingFrame([0] * 12, sizes[sample].tolist(), {0: int(sizes.sum())}, 1, int(sizes.sum()))
        covered += float(values.sum()) in frame.estimate(values[sample].tolist())
    assert 0.84 <= covered / 400 <= 0.97


def test_files_that_differ_widen_it() -> None:
    """Differences between the sampled files widen the interval if there are files that were not sampled."""
    one = SamplingFrame([0, 0, 1, 1], [10, 10, 10, 10], {0: 20, 1: 20}, 8, 160)
    unlike, alike = one.estimate([1, 1, 9, 9]), one.estimate([1, 9, 1, 9])
    assert unlike.high - unlike.low > alike.high - alike.low
    all_seen = SamplingFrame([0, 0, 1, 1], [10, 10, 10, 10], {0: 80, 1: 80}, 2, 160)
    seen = all_seen.estimate([1, 1, 9, 9])
    assert seen.high - seen.low < unlike.high - unlike.low


def test_the_whole_is_a_point() -> None:
    """If the sample is the whole, the interval is a point."""
    assert SamplingFrame([0, 1], [10, 20], {0: 10, 1: 20}, 2, 30).estimate([3, 4]) == point(7)


def test_the_total_is_at_least_that_of_the_sample() -> None:
    """The lower bound is never below the total of the sample itself."""
    frame = SamplingFrame([0, 1], [10, 10], {0: 10, 1: 10}, 3, 30)
    assert frame.estimate([0, 50]).low >= 50


def test_tokens_per_byte() -> None:
    """The interval is between no further change and as much change again with each doubling."""
    interval = tokens_per_byte(0.20, 0.21, 2)
    assert (interval.low, interval.high) == (pytest.approx(0.21), pytest.approx(0.23))
    assert tokens_per_byte(0.21, 0.20, 1).low == pytest.approx(0.19)


def test_products() -> None:
    """Independent relative errors add up in quadrature, and a lower bound is never below zero."""
    product = Interval(10, 7, 13).times(Interval(2, 1.2, 2.8))
    assert (product.value, product.low, product.high) == (20, pytest.approx(10), pytest.approx(30))
    assert Interval(1, -3, 5).times(point(2)).low == 0
