"""Extrapolates the share of duplicates, which grows with the number of documents, from the copies found in a sample.

A page and its copy are rarely both in a small sample. How rarely depends on where the copy is: with a page's copies in
its own file, a sample of some whole files shows as large a share as all files have; with copies in any file, it shows a
fraction. So copies in the same chunk, in other chunks of the same file and in other files are counted and extrapolated
apart, each by the share of all pairs of bytes of that kind that the sample has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from curation.jobs.inspect.estimate.extrapolation import LEVEL, Interval, SamplingFrame, point, student


@dataclass(frozen=True, slots=True)
class FoundCopies:
    """The duplicates of a sample, by chunks of its frame.

    Attributes:
        documents: Number of documents in each chunk.
        near: Number of documents in each chunk that are duplicates of one in the same chunk or in an earlier run.
        spread: For each text that is in several chunks, the numbers of these chunks.
    """

    documents: Sequence[int] = ()
    near: Sequence[int] = ()
    spread: Sequence[Sequence[int]] = ()

    @property
    def share(self) -> float:
        """Share of the documents of the sample that are duplicates."""
        copies = sum(self.near) + sum(len(chunks) - 1 for chunks in self.spread)
        return copies / max(1, sum(self.documents))

    def without(self, chunk: int) -> FoundCopies:
        """The same without the documents of one chunk."""
        documents, near = [*self.documents], [*self.near]
        documents[chunk] = near[chunk] = 0
        spread = [[each for each in chunks if each != chunk] for chunks in self.spread]
        return FoundCopies(documents, near, [chunks for chunks in spread if len(chunks) > 1])


def project_duplicates(found: FoundCopies, frame: SamplingFrame) -> Interval:
    """The share of duplicates among the documents of all inputs.

    The bounds are the wider of two: those of Poisson counts of the copies found, and a jackknife that leaves out each
    chunk in turn, which shows whether copies are clustered.
    """
    if frame.is_whole or not sum(found.documents):
        return point(found.share)
    share = _project(found, frame)
    read = [number for number, documents in enumerate(found.documents) if documents]
    if len(read) < 2:
        return share
    others = np.asarray([_project(found.without(chunk), frame, chunk).value for chunk in read])
    variance = (len(read) - 1) / len(read) * float(((others - others.mean()) ** 2).sum()) * (1 - frame.share)
    half = student(len(read) - 1) * math.sqrt(variance)
    low, high = max(0.0, share.value - half), min(1.0, share.value + half)
    return Interval(share.value, min(share.low, low), max(share.high, high))


def _project(found: FoundCopies, frame: SamplingFrame, left_out: int | None = None) -> Interval:
    """The share of duplicates with the bounds of Poisson counts."""
    documents, near = sum(found.documents), sum(found.near)
    within, between, anywhere = Counter[int](), Counter[int](), Counter[int]()
    for chunks in found.spread:
        by_file = Counter(frame.file[chunk] for chunk in chunks)
        within.update(by_file.values())
        between[len(by_file)] += 1
        anywhere[len(chunks)] += 1
    inside = _with_single(within, documents - near)
    across = _with_single(between, documents - near - _copies(inside))
    low, high = _thinned(near, 1 - frame.share)
    kept = Interval(near, low, min(high, documents)).scaled(1 / max(1, documents)).complement()
    pairs = _Pairs.of(frame, left_out)
    parts = [
        _growing(inside, pairs.within_sample, pairs.within, pairs.growth),
        _growing(across, pairs.between_sample, pairs.between, pairs.growth),
    ]
    shares = [part for part in parts if part is not None]
    result = kept
    for share in shares:
        result = result.times(share.complement())
    if len(shares) < len(parts):  # such as of one file: copies may all be where they cannot be seen, or anywhere
        sample, every = pairs.within_sample + pairs.between_sample, pairs.within + pairs.between
        other = _growing(_with_single(anywhere, documents - near), sample, every, pairs.growth)
        also = kept.times(point(1.0) if other is None else other.complement())
        bounds = min(result.low, also.low), max(result.high, also.high)
        result = Interval((result.value + also.value) / 2, *bounds)
    return result.complement()


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of bytes in different chunks, of one file and of two files, in the sample and in all files.

    Attributes:
        growth: All bytes by those of the sample.
    """

    within_sample: float
    within: float
    between_sample: float
    between: float
    growth: float

    @classmethod
    def of(cls, frame: SamplingFrame, left_out: int | None) -> _Pairs:
        sizes = [0 if number == left_out else size for number, size in enumerate(frame.size)]
        by_file = Counter[int]()
        for file, size in zip(frame.file, sizes, strict=True):
            by_file[file] += size
        sample, chunk = sum(sizes), max(frame.size)
        chunks = sum(size * size for size in sizes)
        files = sum(size * size for size in by_file.values())
        # Files that were not sampled are taken to be as large as those that were.
        all_files = sum(size * size for size in frame.file_sizes.values()) * frame.files / len(frame.file_sizes)
        return cls(
            (files - chunks) / 2,
            max(0.0, all_files - frame.total * chunk) / 2,
            (sample * sample - files) / 2,
            max(0.0, frame.total * frame.total - all_files) / 2,
            frame.total / max(sample, 1),
        )


def _with_single(abundance: Counter[int], documents: int) -> dict[int, int]:
    """Texts by how often they are found, with those that are found once."""
    several = {times: texts for times, texts in abundance.items() if times > 1}
    return {1: documents - sum(times * texts for times, texts in several.items()), **several}


def _copies(abundance: Mapping[int, int]) -> int:
    return sum((times - 1) * texts for times, texts in abundance.items())


def _growing(abundance: Mapping[int, int], sample: float, every: float, growth: float) -> Interval | None:
    """The share of copies of one kind among all documents; None if the sample cannot have any but others can.

    Args:
        abundance: {n: number of texts that were found n times}.
        sample: Pairs of bytes in which copies of this kind could be found.
        every: Such pairs in all files.
        growth: All bytes by those of the sample.
    """
    if every <= 0:
        return point(0.0)
    if sample <= 0:
        return None
    return duplicate_share(abundance, max(1.0, every / sample / growth), min(1.0, sample / every))


@cache
def poisson(count: int) -> tuple[float, float]:
    """Garwood's interval at `LEVEL` for the mean of a Poisson count."""
    from scipy.stats import chi2  # type: ignore[import-untyped]

    low = float(chi2.ppf((1 - LEVEL) / 2, 2 * count) / 2) if count else 0.0
    return low, float(chi2.ppf((1 + LEVEL) / 2, 2 * count + 2) / 2)


def _thinned(count: int, unseen: float) -> tuple[float, float]:
    """The interval for a count of what a share `unseen` of all could not show: narrower the more was seen."""
    low, high = poisson(count)
    return count - (count - low) * math.sqrt(unseen), count + (high - count) * math.sqrt(unseen)


def duplicate_share(abundance: Mapping[int, int], growth: float, seen: float = 0.0) -> Interval:
    """Estimate the share of documents that are copies of others.

    The share grows with the number of documents, because a text and its copy are more likely to be both among them:
    with pairs of copies it doubles when the documents double. The expected number of distinct texts follows Colwell et
    al. 2012 (Journal of Plant Ecology 5, eq. 9) with Chao's estimate of the unseen texts; for copies in pairs it is
    exact. The bounds are those of a Poisson count of the copies found.

    Args:
        abundance: {n: number of texts that were found n times in the sample}.
        growth: How many times as many documents as in the sample.
        seen: Share of all pairs of documents that is in the sample.
    """
    documents = sum(times * texts for times, texts in abundance.items())
    copies = _copies(abundance)
    if not documents or seen >= 1:
        return point(copies / max(1, documents))
    low, high = _thinned(copies, 1 - seen)
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
