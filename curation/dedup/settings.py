"""The recipe's table [dedup]: what counts as a duplicate, and which of its copies stays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from curation.dedup.survivor_rules import check_rule
from curation.errors import ParameterError
from curation.stages.parameters import Size, checked

PERMUTATIONS = 112
"""Hash functions there are to share out between bands and rows: FineWeb's 14 × 8."""

MISS_WEIGHT = 0.7
"""How much a missed duplicate counts against a false candidate (1 in all) when bands and rows are chosen.

A false candidate costs a comparison; a missed one stays missed. At this weight threshold .72 gives FineWeb's 14 × 8."""


@checked
@dataclass(frozen=True, slots=True)
class DedupSettings:
    """Near-duplicates by MinHash: word `ngram`-grams, `bands` × `rows` permutations drawn with `seed`.

    enabled: off, no document is a duplicate of another.
    variant: `fast` has 32-bit permutations of hashed words, `datatrove` minima equal to datatrove 0.10's, bit for bit.
    threshold: Jaccard similarity from which two documents are near-duplicates; where `bands` and `rows` are not given,
    it chooses them. verify: a candidate pair counts only if its estimated similarity reaches `threshold`; off, every
    pair that shares a band counts, as in the reference.
    exact: texts that are equal once simplified are duplicates of their own kind (`exact_duplicate`).
    url: of documents with one normalised URL only the newest stays (`url_duplicate`).
    survivor: which of a cluster stays: a name in `survivor_rules.RULES` (`first` is the first in input order), or the
    one with most of a column or signal (`best:language_score`, `best:gopher_quality.words`).
    max_cluster_size: clusters above it are taken apart by similarity and reported; null sets no limit.
    against: output folders of earlier runs, whose documents come first and are never touched. mode: which duplicates go
    then: of their documents and of this run's (`both`), of theirs alone (`against`), or of this run's (`within`).
    max_line_documents: lines that stand in more documents than this, of one domain or of the whole corpus as
    `line_scope` says, are cut from the text; null cuts none.
    """

    version: ClassVar[int] = 1
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
    against: tuple[str, ...] = ()
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
        """Bands and rows: those given, else datasketch's best for `threshold` within 112 permutations."""
        if self.bands is not None and self.rows is not None:
            return self.bands, self.rows
        return _best_banding(self.threshold)

    @property
    def signature(self) -> tuple[object, ...]:
        """What a document's signature depends on; runs that differ in it cannot be compared."""
        return self.variant, self.ngram, *self.banding, self.seed

    @property
    def permutations(self) -> int:
        """Hash functions in all: bands × rows."""
        bands, rows = self.banding
        return bands * rows

    def probability(self, similarity: float) -> float:
        """Chance that two documents of this Jaccard similarity share a band: 1 − (1 − sʳ)ᵇ (Leskovec et al., ch. 3)."""
        bands, rows = self.banding
        return float(1 - (1 - similarity**rows) ** bands)


@cache
def _best_banding(threshold: float) -> tuple[int, int]:
    from datasketch import MinHashLSH

    try:
        index = MinHashLSH(threshold, PERMUTATIONS, weights=(1 - MISS_WEIGHT, MISS_WEIGHT))
    except ValueError:  # datasketch wants two bands, and nearest to 1 a single one would be best
        return 2, PERMUTATIONS // 2
    return int(index.b), int(index.r)
