"""From a sample to the whole: coverage of the intervals by simulation, and the growth of duplicates."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from curation.jobs.inspect.estimate.extrapolation import Frame, Interval, duplicate_share, point, tokens_per_byte


def test_nine_in_ten_intervals_hold_the_truth() -> None:
    """Over many samples of chunks of a known whole, about as often as stated, whatever the sizes of chunks."""
    dice = np.random.default_rng(1)
    sizes = dice.integers(500, 1500, 200)
    values = sizes * dice.gamma(4, 0.25, 200)
    held = 0
    for _ in range(400):
        drawn = dice.choice(200, 12, replace=False)
        frame = Frame([0] * 12, sizes[drawn].tolist(), {0: int(sizes.sum())}, 1, int(sizes.sum()))
        held += float(values.sum()) in frame.estimate(values[drawn].tolist())
    assert 0.84 <= held / 400 <= 0.97


def test_files_that_differ_widen_it() -> None:
    """Chunks of two files that are alike within and unlike each other tell little of the six files not seen."""
    one = Frame([0, 0, 1, 1], [10, 10, 10, 10], {0: 20, 1: 20}, 8, 160)
    unlike, alike = one.estimate([1, 1, 9, 9]), one.estimate([1, 9, 1, 9])
    assert unlike.high - unlike.low > alike.high - alike.low
    all_seen = Frame([0, 0, 1, 1], [10, 10, 10, 10], {0: 80, 1: 80}, 2, 160)
    seen = all_seen.estimate([1, 1, 9, 9])
    assert seen.high - seen.low < unlike.high - unlike.low


def test_the_whole_is_a_point() -> None:
    """Nothing is left to guess."""
    assert Frame([0, 1], [10, 20], {0: 10, 1: 20}, 2, 30).estimate([3, 4]) == point(7)


def test_what_was_found_is_there() -> None:
    """No lower bound is below what the sample itself holds."""
    frame = Frame([0, 1], [10, 10], {0: 10, 1: 10}, 3, 30)
    assert frame.estimate([0, 50]).low >= 50


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_duplicates_grow_with_the_documents(share: float) -> None:
    """Pairs spread over a corpus: the sample shows too few of them, and the extrapolation makes up for that."""
    dice = random.Random(3)
    documents = [*range(6000), *range(1000), *range(100), *range(20)]
    truth = 1 - 6000 / len(documents)
    values, held = [], 0
    for _ in range(60):
        found = Counter(Counter(dice.sample(documents, round(share * len(documents)))).values())
        told = duplicate_share(found, 1 / share)
        seen = sum((times - 1) * texts for times, texts in found.items()) / round(share * len(documents))
        assert seen < truth
        values.append(told.value)
        held += truth in told
    assert sum(values) / 60 == pytest.approx(truth, rel=0.1)
    assert held >= 50


def test_no_duplicate_found_is_no_proof_of_none() -> None:
    """A small sample without any leaves room above; all documents without any leave none."""
    told = duplicate_share({1: 100}, 50)
    assert (told.value, told.low) == (0, 0)
    assert 0.1 < told.high <= 1
    assert duplicate_share({1: 100}, 1) == point(0)
    assert duplicate_share({}, 9) == point(0)


def test_tokens_a_byte() -> None:
    """Between no further change and as much again at each doubling."""
    told = tokens_per_byte(0.20, 0.21, 2)
    assert (told.low, told.high) == (pytest.approx(0.21), pytest.approx(0.23))
    assert tokens_per_byte(0.21, 0.20, 1).low == pytest.approx(0.19)


def test_products() -> None:
    """Relative errors that are independent add up in quadrature, and a bound is never below nothing."""
    product = Interval(10, 7, 13).times(Interval(2, 1.2, 2.8))
    assert (product.value, product.low, product.high) == (20, pytest.approx(10), pytest.approx(30))
    assert Interval(1, -3, 5).times(point(2)).low == 0
