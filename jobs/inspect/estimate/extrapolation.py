"""Extrapolates from a sample to the whole: totals by ratio, duplicates by their growth, each with an interval.

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


def poisson(count: int) -> tuple[float, float]:
    """Garwood's interval at `LEVEL` for the mean of a Poisson count."""
    from scipy.stats import chi2

    low = float(chi2.ppf((1 - LEVEL) / 2, 2 * count) / 2) if count else 0.0
    return low, float(chi2.ppf((1 + LEVEL) / 2, 2 * count + 2) / 2)


def duplicate_share(abundance: Mapping[int, int], growth: float) -> Interval:
    """Estimate the share of documents that are copies of others.

    The share grows with the number of documents, because a text and its copy are more likely to be both among them:
    with pairs of copies it doubles when the documents double. The expected number of distinct texts follows Colwell et
    al. 2012 (Journal of Plant Ecology 5, eq. 9) with Chao's estimate of the unseen texts; for copies in pairs it is
    exact. The bounds are those of a Poisson count of the copies found.

    Args:
        abundance: {n: number of texts that were found n times in the sample}.
        growth: How many times as many documents as in the sample.
    """
    documents = sum(times * texts for times, texts in abundance.items())
    copies = sum((times - 1) * texts for times, texts in abundance.items())
    if not documents:
        return point(0.0)
    if growth <= 1:
        return point(copies / documents)
    low, high = poisson(copies)
    if not copies:
        return Interval(0.0, 0.0, _share(_more_copies({1: documents}, documents, high), growth))
    bounds = [_share(_more_copies(abundance, documents, bound / copies), growth) for bound in (low, copies, high)]
    return Interval(bounds[1], min(bounds), max(bounds))


def _more_copies(abundance: Mapping[int, int], documents: int, factor: float) -> dict[int, float]:
    """The same number of documents with `factor` times as many copies, and fewer texts found once."""
    if set(abundance) == {1}:
        pairs = min(factor, documents / 2)
        return {1: documents - 2 * pairs, 2: pairs}
    repeated = {times: texts * factor for times, texts in abundance.items() if times > 1}
    used = sum(times * texts for times, texts in repeated.items())
    if used > documents:
        repeated = {times: texts * documents / used for times, texts in repeated.items()}
        used = documents
    return {1: documents - used, **repeated}


def _share(abundance: Mapping[int, float], growth: float) -> float:
    documents = sum(times * texts for times, texts in abundance.items())
    seen, once, twice = sum(abundance.values()), abundance.get(1, 0.0), abundance.get(2, 0.0)
    rest = documents * (growth - 1)
    # Chao's estimate if any text was found twice, else its bias-corrected form.
    unseen = once * once / (2 * twice) if twice > 0 else once * max(once - 1, 0) / 2
    new = unseen * -math.expm1(-rest * once / (documents * unseen)) if unseen else 0.0
    return min(1.0, max(0.0, 1 - (seen + new) / (documents * growth)))


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
