"""The counts of what-if. They add up exactly over batches and shards in any grouping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

UNSURE = "?"
"""In place of a reason that the stored signals do not determine."""

EXAMPLES = 5
"""Number of example documents that would be added, and that would be removed."""


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """Documents and characters. `a + b` is exact."""

    documents: int = 0
    characters: int = 0

    def __add__(self, other: DocumentCounts) -> DocumentCounts:
        return DocumentCounts(self.documents + other.documents, self.characters + other.characters)


@dataclass(frozen=True, slots=True)
class StageOutput:
    """What leaves a stage.

    Attributes:
        now: With the run's thresholds.
        least: Minimum with the changed thresholds.
        most: Maximum with the changed thresholds; equal to `least` if the stored signals decide.
    """

    now: DocumentCounts = field(default_factory=DocumentCounts)
    least: DocumentCounts = field(default_factory=DocumentCounts)
    most: DocumentCounts = field(default_factory=DocumentCounts)

    def __add__(self, other: StageOutput) -> StageOutput:
        return StageOutput(self.now + other.now, self.least + other.least, self.most + other.most)

    @property
    def exact(self) -> bool:
        """Whether minimum and maximum are equal."""
        return self.least == self.most


@dataclass(frozen=True, slots=True, order=True)
class ChangedDocument:
    """A document that would be added or removed.

    Attributes:
        sample_key: Hash of the id; the examples are the documents with the lowest.
        path: File that has the document.
        row: Its row in the file.
        before: Reason of the removal now; None if it is kept.
        after: Reason with the changed thresholds; None if it would be kept.
        sure: Whether the stored signals decide.
        value: The value that decides, such as "words = 62".
    """

    sample_key: int
    path: str
    row: int
    before: str | None
    after: str | None
    sure: bool
    value: str


@dataclass(frozen=True, slots=True)
class MoveCounts:
    """What changed thresholds do to a shard, or to all shards. `a + b` is exact.

    Attributes:
        entered: Documents that enter the first stage.
        stages: What leaves each stage.
        moves: Changed documents by (reason now, reason then); "" is kept, "?" is unknown.
        added: Examples of documents that would be added.
        removed: Examples of documents that would be removed.
        corpus: Documents in the corpus now.
        lost: How many of them would certainly be removed, not counting those in near-duplicate clusters.
        clusters: For each cluster that would lose documents: how many, its size, and how many are in the corpus.
        deduplicated: Whether deduplication has run.
    """

    entered: int = 0
    stages: Mapping[str, StageOutput] = field(default_factory=dict)
    moves: Mapping[tuple[str, str], int] = field(default_factory=dict)
    added: Sequence[ChangedDocument] = ()
    removed: Sequence[ChangedDocument] = ()
    corpus: int = 0
    lost: int = 0
    clusters: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    deduplicated: bool = True

    def __add__(self, other: MoveCounts) -> MoveCounts:
        names = [*self.stages, *(name for name in other.stages if name not in self.stages)]
        clusters = dict(self.clusters)
        for key, (removed, size, kept) in other.clusters.items():
            own = clusters.get(key, (0, 0, 0))
            clusters[key] = (own[0] + removed, max(own[1], size), own[2] + kept)
        return MoveCounts(
            self.entered + other.entered,
            {name: self.stages.get(name, StageOutput()) + other.stages.get(name, StageOutput()) for name in names},
            Counter(self.moves) + Counter(other.moves),
            sorted([*self.added, *other.added])[:EXAMPLES],
            sorted([*self.removed, *other.removed])[:EXAMPLES],
            self.corpus + other.corpus,
            self.lost + other.lost,
            clusters,
            self.deduplicated and other.deduplicated,
        )
