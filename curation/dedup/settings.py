"""The recipe's table [dedup]: what counts as a duplicate, and which copy is kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from curation.dedup.survivor_rules import check_rule
from curation.errors import ParameterError
from curation.stages.parameters import LocalPath, Outside, Size, checked
from curation.store.machine_cache import cached_array, versions
from curation.store.untrusted import is_plain

PERMUTATIONS = 112
"""Number of hash functions to divide into bands and rows: FineWeb's 14 × 8."""

MISS_WEIGHT = 0.7
"""Weight of missed duplicates when bands and rows are chosen; false candidates have the rest up to 1.

A false candidate costs a comparison; a missed duplicate is never found. With this weight, the threshold 0.72 gives
FineWeb's 14 × 8."""


EarlierRun = Annotated[str, Outside("a special file system", lambda url: not is_plain(url)), LocalPath()]


@checked
@dataclass(frozen=True, slots=True)
class DedupSettings:
    """Table [dedup] of a recipe: near-duplicates by MinHash, exact duplicates, and repeated lines.

    Attributes:
        enabled: Whether to remove duplicates; if false, no document is a duplicate of another.
        variant: "fast" uses 32-bit permutations of hashed words; "datatrove" gives the same minima as datatrove 0.10,
            bit for bit.
        ngram: Number of words in a shingle.
        threshold: Jaccard similarity from which two documents are near-duplicates, above 0 to 1. It also determines
            `bands` and `rows` if they are not given.
        bands: Number of bands; two documents that agree in all rows of a band are candidates. Give both or neither of
            `bands` and `rows`.
        rows: Number of permutations per band.
        seed: Random seed of the permutations.
        verify: Whether a candidate pair counts only if its estimated similarity reaches `threshold`. If false, every
            candidate pair counts, as in the reference.
        exact: Whether to also remove texts that are equal after normalization, with the reason `exact_duplicate`.
        url: Whether to keep only the newest of documents with the same normalized URL, with the reason
            `url_duplicate`.
        survivor: Which document of a cluster is kept: a name in `survivor_rules.RULES` ("first" means first in input
            order), or the one with the highest value of a column or signal ("best:language_score",
            "best:gopher_quality.words").
        max_cluster_size: Clusters above this size are split by similarity and reported; None means no limit.
        scope: Which documents are compared: all of the "corpus", or those of each "language" by themselves. Repeated
            lines have a scope of their own, `line_scope`.
        against: Output folders of earlier runs. Their documents count as first and are never changed.
        mode: What to remove if `against` is set: "both" removes duplicates of documents of the earlier runs and of
            this run, "against" only those of the earlier runs, "within" only those of this run.
        max_line_documents: Lines that occur in more documents than this are cut from the text; None cuts none.
        line_scope: Where occurrences of a line are counted: "domain" or "corpus".
    """

    version: ClassVar[int] = 1
    added: ClassVar[tuple[str, ...]] = ("scope",)
    libraries: ClassVar[tuple[str, ...]] = ("datatrove", "regex", "spacy", "xxhash")

    enabled: bool = True
    variant: Literal["fast", "datatrove"] = "fast"
    ngram: Size = 5
    threshold: Annotated[float, Gt(0), Le(1)] = 0.72
    bands: Annotated[int, Ge(1), Le(256)] | None = None
    rows: Annotated[int, Ge(1), Le(256)] | None = None
    seed: Annotated[int, Ge(0), Lt(2**32)] = 1
    verify: bool = True
    exact: bool = True
    url: bool = False
    survivor: str = "first"
    max_cluster_size: Annotated[int, Ge(2)] | None = 1000
    scope: Literal["corpus", "language"] = "corpus"
    against: tuple[EarlierRun, ...] = ()
    mode: Literal["both", "within", "against"] = "both"
    max_line_documents: Size | None = None
    line_scope: Literal["domain", "corpus"] = "domain"

    def __post_init__(self) -> None:
        if (self.bands is None) != (self.rows is None):
            missing = "bands" if self.bands is None else "rows"
            raise ParameterError(missing, None, "given, or `bands` and `rows` both left out")
        check_rule(self.survivor)

    @property
    def banding(self) -> tuple[int, int]:
        """Bands and rows: as given, or datasketch's optimum for `threshold` with at most 112 permutations."""
        if self.bands is not None and self.rows is not None:
            return self.bands, self.rows
        return _best_banding(self.threshold)

    @property
    def signature(self) -> tuple[object, ...]:
        """What signatures depend on; documents of runs that differ in it cannot be compared."""
        scope = () if self.scope == "corpus" else (self.scope,)
        return self.variant, self.ngram, *self.banding, self.seed, *scope

    @property
    def permutations(self) -> int:
        """Total number of hash functions: bands × rows."""
        bands, rows = self.banding
        return bands * rows

    def probability(self, similarity: float) -> float:
        """Probability that texts of this Jaccard similarity share a band: 1 − (1 − sʳ)ᵇ (Leskovec et al., ch. 3)."""
        bands, rows = self.banding
        return float(1 - (1 - similarity**rows) ** bands)


@cache
def _best_banding(threshold: float) -> tuple[int, int]:
    """datasketch's optimum; it takes a while, most of which is the import of scipy."""
    bands, rows = cached_array(
        f"banding-{PERMUTATIONS}-{MISS_WEIGHT}-{threshold!r}-{versions('datasketch')}",
        lambda: np.array(_optimize_banding(threshold)),
        lambda array: array.shape == (2,) and array.dtype == np.int64,
    )
    return int(bands), int(rows)


def _optimize_banding(threshold: float) -> tuple[int, int]:
    from datasketch import MinHashLSH

    try:
        index = MinHashLSH(threshold, PERMUTATIONS, weights=(1 - MISS_WEIGHT, MISS_WEIGHT))
    except ValueError:  # datasketch requires two bands, but close to 1 a single one would be best
        return 2, PERMUTATIONS // 2
    return int(index.b), int(index.r)
