"""Extrapolation from a sample: coverage of the intervals in simulations, and the growth of duplicates."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from curation.jobs.inspect.estimate.extrapolation import (
    Interval,
    SamplingFrame,
    duplicate_share,
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


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_duplicates_grow_with_the_documents(share: float) -> None:
    """A sample shows too few of the copies spread over a corpus, and the extrapolation corrects for that."""
    rng = random.Random(3)
    documents = [*range(6000), *range(1000), *range(100), *range(20)]
    truth = 1 - 6000 / len(documents)
    values, covered = [], 0
    for _ in range(60):
        abundance = Counter(Counter(rng.sample(documents, round(share * len(documents)))).values())
        interval = duplicate_share(abundance, 1 / share)
        seen = sum((times - 1) * texts for times, texts in abundance.items()) / round(share * len(documents))
        assert seen < truth
        values.append(interval.value)
        covered += truth in interval
    assert sum(values) / 60 == pytest.approx(truth, rel=0.1)
    assert covered >= 50


def test_no_duplicate_found_does_not_prove_there_are_none() -> None:
    """A small sample without duplicates still has an upper bound above zero; all documents without any do not."""
    interval = duplicate_share({1: 100}, 50)
    assert (interval.value, interval.low) == (0, 0)
    assert 0.1 < interval.high <= 1
    assert duplicate_share({1: 100}, 1) == point(0)
    assert duplicate_share({}, 9) == point(0)


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
