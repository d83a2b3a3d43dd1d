"""Small stages for tests of what applies stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import ParameterError
from curation.stages.batch import Batch
from curation.stages.rules import Rule
from curation.stages.stage import Filter, Outcome, struct


@dataclass(frozen=True, slots=True)
class Length(Filter):
    """Removes texts shorter or longer than its limits."""

    min_length: int | None = 3
    max_length: float = 10
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.min_length is not None and self.min_length < 0:
            raise ParameterError("min_length", self.min_length, "at least 0")

    @property
    def rules(self) -> tuple[Rule, ...]:
        lowest = () if self.min_length is None else (Rule("length", "<", self.min_length, "min_length"),)
        return (*lowest, Rule("length", ">", self.max_length, "max_length"))

    def measure(self, batch: Batch) -> pa.StructArray:
        return struct(length=pc.utf8_length(batch.text))


@dataclass(frozen=True, slots=True)
class Upper:
    """Edits texts and counts the edits."""

    version: ClassVar[int] = 1

    def __call__(self, batch: Batch, /) -> Outcome:
        return Outcome(batch.with_columns(text=pc.utf8_upper(batch.text)), counts={"edited": len(batch)})


@dataclass(frozen=True, slots=True)
class Broken:
    """Violates the contract of a stage in one of several ways."""

    how: str
    version: ClassVar[int] = 1

    def __call__(self, batch: Batch, /) -> Outcome:
        if self.how == "drops":
            return Outcome(Batch(batch.table.slice(1)))
        if self.how == "reorders":
            return Outcome(Batch(batch.table.take(pa.array(range(len(batch) - 1, -1, -1)))))
        return Outcome(batch, pa.array([None] * (len(batch) + 1), pa.string()))


def documents(*texts: str | None) -> Batch:
    """A batch of documents with these texts and ids 0, 1, 2 …"""
    from curation.store import schema

    rows = [{"text": text, "id": str(i)} for i, text in enumerate(texts)]
    return Batch(pa.RecordBatch.from_pylist(rows, schema=schema.DOCUMENT))
