"""Counts of what-if: they add up exactly, over batches and shards in any grouping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

UNSURE = "?"
"""Stands for what the stored signals do not tell."""

EXAMPLES = 5
"""Documents shown of those that change sides in either direction."""


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """Documents and characters. `a + b` is exact."""

    documents: int = 0
    characters: int = 0

    def __add__(self, other: DocumentCounts) -> DocumentCounts:
        return DocumentCounts(self.documents + other.documents, self.characters + other.characters)


@dataclass(frozen=True, slots=True)
class StageOutput:
    """What leaves a stage: now, and with the move at least and at most; equal where the signals decide."""

    now: DocumentCounts = field(default_factory=DocumentCounts)
    least: DocumentCounts = field(default_factory=DocumentCounts)
    most: DocumentCounts = field(default_factory=DocumentCounts)

    def __add__(self, other: StageOutput) -> StageOutput:
        return StageOutput(self.now + other.now, self.least + other.least, self.most + other.most)

    @property
    def exact(self) -> bool:
        """Whether one number is known."""
        return self.least == self.most


@dataclass(frozen=True, slots=True, order=True)
class ChangedDocument:
    """A document that changes sides: drawn by `mark`, found at `row` of `path`. Reasons are None where it is kept."""

    mark: int
    path: str
    row: int
    before: str | None
    after: str | None
    sure: bool
    value: str


@dataclass(frozen=True, slots=True)
class MoveCounts:
    """What the move does to a shard, or to all. `a + b` is exact.

    moves: documents by (reason now, reason then), those that stay as they are left out; "" is kept, "?" unsure.
    corpus: documents of the corpus as it is. lost: how many of them go for sure, those of clusters apart; clusters: by
    near-duplicate cluster that loses documents, how many it loses, its size, and documents of the corpus among them.
    """

    entered: int = 0
    stages: Mapping[str, StageOutput] = field(default_factory=dict)
    moves: Mapping[tuple[str, str], int] = field(default_factory=dict)
    let_in: Sequence[ChangedDocument] = ()
    put_out: Sequence[ChangedDocument] = ()
    corpus: int = 0
    lost: int = 0
    clusters: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    deduplicated: bool = True

    def __add__(self, other: MoveCounts) -> MoveCounts:
        names = [*self.stages, *(name for name in other.stages if name not in self.stages)]
        clusters = dict(self.clusters)
        for key, (gone, size, kept) in other.clusters.items():
            had = clusters.get(key, (0, 0, 0))
            clusters[key] = (had[0] + gone, max(had[1], size), had[2] + kept)
        return MoveCounts(
            self.entered + other.entered,
            {name: self.stages.get(name, StageOutput()) + other.stages.get(name, StageOutput()) for name in names},
            Counter(self.moves) + Counter(other.moves),
            sorted([*self.let_in, *other.let_in])[:EXAMPLES],
            sorted([*self.put_out, *other.put_out])[:EXAMPLES],
            self.corpus + other.corpus,
            self.lost + other.lost,
            clusters,
            self.deduplicated and other.deduplicated,
        )
