"""Extrapolates totals from a sample to the whole by ratio, each with an interval.

Totals are ratio estimates over chunks of the inputs (Cochran, Sampling Techniques, 3rd ed., ch. 6): the quantity per
byte of archive, times the bytes of all archives. The interval uses Student's t for the number of chunks read, and
shrinks to a point as the sample becomes the whole. If chunks come from only a few files, the spread between files is
estimated too, with as few degrees of freedom as there are, and the wider interval is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from curation.arrays import Float64s

LEVEL = 0.9
"""Confidence level of the intervals: nine in ten contain the true value."""

UNSEEN_FILES = 2.0
"""Factor on the width of an interval from one file of several, because the difference between files is unknown."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the bounds between which the true value is likely to lie."""

    value: float
    low: float
    high: float

    def times(self, factor: Interval) -> Interval:
        """The product, assuming independent errors: relative half-widths add up in quadrature."""
        value = self.value * factor.value
        low = math.hypot(self._below(), factor._below())
        high = math.hypot(self._above(), factor._above())
        return Interval(value, max(0.0, value * (1 - low)), value * (1 + high))

    def __add__(self, other: Interval) -> Interval:
        """The sum, assuming that the errors have the same sign."""
        return Interval(self.value + other.value, self.low + other.low, self.high + other.high)

    def complement(self) -> Interval:
        """1 minus a share."""
        return Interval(1 - self.value, 1 - self.high, 1 - self.low)

    def scaled(self, factor: float) -> Interval:
        """The interval multiplied by an exact number."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    def widened(self, share: float) -> Interval:
        """The interval with an additional, independent error of this share of the value."""
        return self.times(Interval(1.0, 1 - share, 1 + share))

    def __contains__(self, truth: float) -> bool:
        slack = 1e-9 * max(1.0, abs(self.high))
        return self.low - slack <= truth <= self.high + slack

    def _below(self) -> float:
        return (self.value - self.low) / self.value if self.value else 0.0

    def _above(self) -> float:
        return (self.high - self.value) / self.value if self.value else 0.0


def point(value: float) -> Interval:
    """The interval of an exact value."""
    return Interval(value, value, value)


@dataclass(frozen=True, slots=True)
class SamplingFrame:
    """Sizes of the sample and of the whole.

    Attributes:
        file: Number of each chunk's file.
        size: Bytes of each chunk.
        file_sizes: Bytes of each file that was sampled from, by number.
        files: Number of all files.
        total: Bytes of all files.
    """

    file: Sequence[int]
    size: Sequence[int]
    file_sizes: Mapping[int, int]
    files: int
    total: int

    @property
    def share(self) -> float:
        """Share of all bytes that is in the sample."""
        return sum(self.size) / self.total if self.total else 1.0

    @property
    def is_whole(self) -> bool:
        """Whether the sample contains everything."""
        return sum(self.size) >= self.total

    def estimate(self, values: Sequence[float]) -> Interval:
        """Estimate the total of a quantity from its values in the chunks."""
        x, y = np.asarray(self.size, np.float64), np.asarray(values, np.float64)
        if self.is_whole:
            return point(float(y.sum()))
        if not x.sum():
            return point(0.0)
        ratio = float(y.sum() / x.sum())
        half = _half_width(x, y, ratio, self.share)
        if len(self.file_sizes) < self.files:
            half = max(half, self._between_files(x, y, ratio))
        value = ratio * self.total
        # The total is at least what the sample itself contains.
        return Interval(value, max(float(y.sum()), value - half * self.total), value + half * self.total)

    def _between_files(self, x: Float64s, y: Float64s, ratio: float) -> float:
        """Half-width of the interval from the spread between files, for a sample from some of them."""
        files = np.asarray(self.file)
        if len(self.file_sizes) < 2:
            return UNSEEN_FILES * _half_width(x, y, ratio, self.share)
        by_x = np.asarray([x[files == file].sum() for file in self.file_sizes])
        by_y = np.asarray([y[files == file].sum() for file in self.file_sizes])
        sampled = by_x > 0
        return _half_width(by_x[sampled], by_y[sampled], ratio, sum(self.file_sizes.values()) / self.total)


def _half_width(x: Float64s, y: Float64s, ratio: float, share: float) -> float:
    """Half-width of the interval of a ratio y/x, estimated from the units of a sample with this share of the whole."""
    units = len(x)
    if units < 2:
        return UNSEEN_FILES * ratio
    spread = float(((y - ratio * x) ** 2).sum() / (units - 1))
    error = math.sqrt(max(0.0, 1 - share) * spread / units) / float(x.mean())
    return student(units - 1) * error


@cache
def student(degrees: int) -> float:
    """Two-sided quantile of Student's t at `LEVEL`."""
    from scipy.stats import t  # type: ignore[import-untyped]

    return float(t.ppf((1 + LEVEL) / 2, degrees))


def tokens_per_byte(half: float, full: float, doublings: float) -> Interval:
    """Estimate tokens per byte of text with a tokenizer trained on 2^doublings times the text.

    The bounds are no further change, and as much change again with every doubling; the value is the middle.

    Args:
        half: Tokens per byte with a tokenizer trained on half of the sample.
        full: Tokens per byte with a tokenizer trained on the whole sample.
        doublings: log2 of the ratio of all text to the sample.
    """
    change = (full - half) * doublings
    far = max(full + change, full / 2)
    return Interval((full + far) / 2, min(full, far), max(full, far))
