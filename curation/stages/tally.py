"""Counts that add up: only integers, so that any grouping of batches and shards gives the same totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


def add_counts(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """{"a": 1} + {"a": 2, "b": 1} → {"a": 3, "b": 1}, keys sorted."""
    return {key: left.get(key, 0) + right.get(key, 0) for key in sorted({*left, *right})}


@dataclass(frozen=True, slots=True)
class StageTally:
    """What one stage did to some documents. `a + b` is exact and associative.

    Attributes:
        documents_in: Documents that entered the stage.
        documents_out: Documents that it kept.
        characters_in: Characters of the text of documents that entered.
        characters_out: Characters of the text of kept documents.
        reasons: Documents removed, by reason.
        counts: What the stage counted itself.
        violations: Documents that violate each rule, whether or not another rule comes first.
    """

    documents_in: int = 0
    documents_out: int = 0
    characters_in: int = 0
    characters_out: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    violations: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: StageTally) -> StageTally:
        return StageTally(
            self.documents_in + other.documents_in,
            self.documents_out + other.documents_out,
            self.characters_in + other.characters_in,
            self.characters_out + other.characters_out,
            add_counts(self.reasons, other.reasons),
            add_counts(self.counts, other.counts),
            add_counts(self.violations, other.violations),
        )

    def to_json(self) -> dict[str, Any]:
        """A plain mapping, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StageTally:
        """The inverse of `to_json`."""
        return cls(**values)


def add_stages(left: Mapping[str, StageTally], right: Mapping[str, StageTally]) -> dict[str, StageTally]:
    """The sums of tallies by stage; stages are in the order of `left`, then of `right`."""
    return {
        name: left.get(name, StageTally()) + right.get(name, StageTally())
        for name in [*left, *(n for n in right if n not in left)]
    }


@dataclass(frozen=True, slots=True)
class StepTally:
    """What the manifests of a step counted. `a + b` is exact and associative.

    Attributes:
        read: Records read, by type and by what became of them (see `read_batches`).
        stages: Documents, by stage.
    """

    read: Mapping[str, int] = field(default_factory=dict)
    stages: Mapping[str, StageTally] = field(default_factory=dict)

    def __add__(self, other: StepTally) -> StepTally:
        return StepTally(add_counts(self.read, other.read), add_stages(self.stages, other.stages))

    def to_json(self) -> dict[str, Any]:
        """A plain mapping, ready for JSON."""
        return asdict(self)


def sum_counts(manifests: Iterable[Mapping[str, Any]]) -> StepTally:
    """The total of what a step counted, from the counts of its manifests. Adds in place: there may be 100,000."""
    read: dict[str, int] = {}
    stages: dict[str, dict[str, Any]] = {}
    for counts in manifests:
        _add_in_place(read, counts.get("read", {}))
        for name, tally in counts["stages"].items():
            total = stages.setdefault(name, {})
            for key, value in tally.items():
                if isinstance(value, Mapping):
                    _add_in_place(total.setdefault(key, {}), value)
                else:
                    total[key] = total.get(key, 0) + value
    return StepTally(_by_name(read), {name: StageTally.from_json(_by_name(total)) for name, total in stages.items()})


def _add_in_place(total: dict[str, int], counts: Mapping[str, int]) -> None:
    for key, value in counts.items():
        total[key] = total.get(key, 0) + value


def _by_name(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Sorted by key, also inside."""
    return {key: _by_name(value) if isinstance(value, dict) else value for key, value in sorted(counts.items())}
