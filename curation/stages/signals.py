"""What is kept of measured signals, and histograms of them that add up.

The edges of a histogram depend only on the signal's type and the thresholds of its stage, never on the data, so that
histograms of batches and shards add up in any grouping. Counts on both sides of every threshold are exact: a threshold
t is an edge, and so is the next number above it, which distinguishes `> t` from `>= t`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Float64s
from curation.stages.parameters import checked
from curation.stages.rules import Rule

FRACTION_STEP = 50
"""Edges between 0 and 1 are 1/50 apart."""

DECADE = (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8)
"""Ten edges per power of ten (the Renard series R10): neighbors differ by about a quarter."""


@checked
@dataclass(frozen=True, slots=True)
class SignalSettings:
    """Table [signals] of a recipe: which signals are stored. Those of removed documents are always in removed/.

    Attributes:
        stored: Write the signals of kept documents to signals/, which `curate what-if` reads.
        all: Also measure each removed document by the stages after the one that removed it, as if it had been kept, if
            it has a text. What is kept and removed, and why, does not change.
    """

    stored: bool = True
    all: bool = False


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values are in which range.

    Attributes:
        edges: Boundaries of the ranges, ascending.
        counts: One more than there are edges: counts[i] values satisfy edges[i-1] <= value < edges[i].
        nulls: Number of values that are null or NaN.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    nulls: int = 0

    def __add__(self, other: Histogram) -> Histogram:
        """The histogram of all values of both; ValueError if the edges differ."""
        if self.edges != other.edges:
            raise ValueError("histograms with different edges do not add up")
        return Histogram(self.edges, tuple(map(add, self.counts, other.counts)), self.nulls + other.nulls)

    def violating(self, rule: Rule) -> int:
        """How many values violate a rule; ValueError if its threshold is not among the edges."""
        at = self.edges.index(rule.threshold)
        less, equal, more = sum(self.counts[: at + 1]), self.counts[at + 1], sum(self.counts[at + 2 :])
        sides = {"<": less, "<=": less + equal, "==": equal, "!=": less + more, ">=": equal + more, ">": more}
        return sides[rule.comparison]

    def to_json(self) -> dict[str, Any]:
        """{"edges": […], "counts": […], "nulls": n}."""
        return {"edges": list(self.edges), "counts": list(self.counts), "nulls": self.nulls}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Histogram:
        """The inverse of `to_json`."""
        return cls(tuple(values["edges"]), tuple(values["counts"]), values["nulls"])


def is_number(kind: pa.DataType) -> bool:
    """Whether a signal of this type can be compared with a threshold: integers, floats and booleans."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def edges(kind: pa.DataType, thresholds: Iterable[float] = ()) -> tuple[float, ...]:
    """The edges for a signal of type `kind` with the `thresholds` of its rules, ascending.

    Integers have an edge at each number from 0 to 10, then ten per decade up to 10^8. Floats have edges 1/50 apart from
    0 to 1, then ten per decade up to 1000. Below zero, both have a few decades.
    """
    return _edges(not pa.types.is_floating(kind), tuple(sorted({float(value) for value in thresholds})))


@lru_cache(maxsize=1024)
def _edges(whole: bool, thresholds: tuple[float, ...]) -> tuple[float, ...]:
    limits: set[float] = {-1000.0, -100.0, -10.0, -1.0}
    if whole:
        limits |= {*range(10), *(round(step * 10**power) for power in range(1, 8) for step in DECADE), 10**8}
        limits |= {value for t in thresholds if math.isfinite(t) for value in (t, math.floor(t) + 1)}
        return tuple(int(value) if float(value).is_integer() else value for value in sorted(limits))
    limits |= {step / FRACTION_STEP for step in range(FRACTION_STEP)}
    limits |= {round(step * 10**power, 4) for power in range(3) for step in DECADE} | {1000.0}
    limits |= {value for t in thresholds if math.isfinite(t) for value in (t, math.nextafter(t, math.inf))}
    return tuple(sorted(float(value) for value in limits))


@lru_cache(maxsize=1024)
def _as_array(values: tuple[float, ...]) -> Float64s:
    return np.array(values, np.float64)


def histogram(values: pa.Array, thresholds: Iterable[float] = ()) -> Histogram:
    """The histogram of a signal's values (shape (rows,)), with the thresholds of its rules among the edges."""
    limits = edges(values.type, thresholds)
    numbers = pc.cast(values, pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    known = numbers[~np.isnan(numbers)]
    bins = np.searchsorted(_as_array(limits), known, side="right")
    counts = np.bincount(bins, minlength=len(limits) + 1)
    return Histogram(limits, tuple(counts.tolist()), len(numbers) - len(known))


def histograms(name: str, signals: pa.StructArray, rules: Iterable[Rule]) -> dict[str, Histogram]:
    """The histogram of each numeric signal of the stage `name`, by `stage.signal`."""
    thresholds: dict[str, list[float]] = {}
    for rule in rules:
        thresholds.setdefault(rule.signal, []).append(rule.threshold)
    return {
        f"{name}.{part.name}": histogram(signals.field(part.name), thresholds.get(part.name, ()))
        for part in signals.type
        if is_number(part.type)
    }


def add_histograms(left: Mapping[str, Histogram], right: Mapping[str, Histogram]) -> dict[str, Histogram]:
    """The sums of histograms by name; names are in the order of `left`, then of `right`."""
    total = dict(left)
    for name, other in right.items():
        total[name] = total[name] + other if name in total else other
    return total


def to_json(histograms: Mapping[str, Histogram]) -> dict[str, dict[str, Any]]:
    """Histograms as a manifest holds them under `counts["signals"]`."""
    return {name: counted.to_json() for name, counted in histograms.items()}


STORED = "signals"
"""Folder of the signals of kept documents."""


def stored_schema(signals: pa.DataType) -> pa.Schema:
    """Columns of signals/<shard>.parquet, given the struct type of the recipe's `signals`.

    Two columns identify the row. Each signal follows under its name, in the type in which it was measured, so that a
    rule gives the same verdict on the stored value.
    """
    return pa.schema([("id", pa.string()), ("warc_offset", pa.int64()), *signals])


def stored_rows(documents: pa.RecordBatch, signals: pa.StructArray) -> pa.RecordBatch:
    """Rows of signals/<shard>.parquet for `documents` and their `signals`, in the same order."""
    columns = [documents.column("id"), documents.column("warc_offset"), *signals.flatten()]
    return pa.RecordBatch.from_arrays(columns, schema=stored_schema(signals.type))
