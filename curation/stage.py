"""Stages, what they say about a batch, and the one function that applies them.

A stage is a callable from Batch to Outcome and nothing else: no I/O, no counters, no set-up. Dropping rows, timing,
counting and checking are done here, once, so that the author of a filter never meets them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.batch import Batch
from curation.rules import Rule, decide, violations
from curation.tally import StageTally


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage says about a batch: the same rows in the same order.

    reasons: null keeps the row, else the rule that removes it (without the stage's name).
    signals: the values measured, one field a signal. counts: anything else worth counting.
    """

    batch: Batch
    reasons: pa.StringArray | None = None
    signals: pa.StructArray | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Stage(Protocol):
    """A frozen dataclass of parameters, called with a batch.

    `version` rises when the same parameters give other answers. A stage may also offer `rules`, the table its verdicts
    come from; `assets()`, a mapping from the name of each model or list it reads to its content hash; and
    `libraries`, names of the packages whose version its answers depend on.
    """

    version: ClassVar[int]

    def __call__(self, batch: Batch, /) -> Outcome:
        """What the stage says about `batch`."""
        ...


class Filter:
    """Base of the filters that measure first and decide by a table of rules second."""

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules, thresholds filled in from the parameters."""
        raise NotImplementedError

    def measure(self, batch: Batch) -> pa.StructArray:
        """The signals of every row, one field a signal."""
        raise NotImplementedError

    def __call__(self, batch: Batch, /) -> Outcome:
        """Measure, then decide; the text is not edited."""
        signals = self.measure(batch)
        return Outcome(batch, decide(signals, self.rules), signals)


def struct(**signals: Any) -> pa.StructArray:
    """A struct array of signals from arrays of one length: `struct(words=..., mean_length=...)`."""
    return pa.StructArray.from_arrays([pa.array(values) for values in signals.values()], names=list(signals))


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of all stages on a batch: rows kept, rows removed (with stage, reason and signals), and the counts."""

    kept: Batch
    removed: list[pa.RecordBatch]
    signals: pa.StructArray
    tallies: dict[str, StageTally]
    nanoseconds: dict[str, int]


def signal_type(stages: Sequence[tuple[str, Stage]], empty: Batch) -> pa.DataType:
    """The struct type of all signals of a recipe, fields named `stage.signal`, found by applying it to no rows."""
    fields: list[pa.Field] = []
    batch = empty
    for name, stage in stages:
        outcome = stage(batch)
        if outcome.signals is not None:
            fields += [pa.field(f"{name}.{part.name}", part.type) for part in outcome.signals.type]
        batch = outcome.batch
    return pa.struct(fields)


def apply(stages: Sequence[tuple[str, Stage]], batch: Batch, signals: pa.DataType) -> Applied:
    """Apply named stages in order to `batch`, dropping what each removes.

    signals: the recipe's struct type, from `signal_type`.
    Raises RuntimeError if a stage changes the number of rows, their identity or their order.
    """
    measured: dict[str, pa.Array] = {}
    removed: list[pa.RecordBatch] = []
    tallies: dict[str, StageTally] = {}
    nanoseconds: dict[str, int] = {}
    for name, stage in stages:
        started = time.perf_counter_ns()
        outcome = stage(batch)
        nanoseconds[name] = time.perf_counter_ns() - started
        _check(name, batch, outcome)
        if outcome.signals is not None:
            measured |= {f"{name}.{part.name}": outcome.signals.field(part.name) for part in outcome.signals.type}
        gone = _gone(outcome)
        dropped = outcome.batch.keep(gone) if gone.any() else None
        if dropped is not None and outcome.reasons is not None:
            reasons = outcome.reasons.filter(pa.array(gone))
            all_signals = _assemble(
                {key: values.filter(pa.array(gone)) for key, values in measured.items()}, signals, len(dropped)
            )
            removed.append(_removed_rows(name, dropped, reasons, all_signals))
        kept = outcome.batch.keep(~gone)
        tallies[name] = _tally(batch, kept, outcome, getattr(stage, "rules", ()))
        if dropped is not None:
            measured = {key: values.filter(pa.array(~gone)) for key, values in measured.items()}
        batch = kept
    return Applied(batch, removed, _assemble(measured, signals, len(batch)), tallies, nanoseconds)


def _gone(outcome: Outcome) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if outcome.reasons is None:
        return np.zeros(len(outcome.batch), dtype=np.bool_)
    return np.asarray(outcome.reasons.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _check(name: str, before: Batch, outcome: Outcome) -> None:
    rows = len(before)
    lengths = {"rows": len(outcome.batch)}
    if outcome.reasons is not None:
        lengths["reasons"] = len(outcome.reasons)
    if outcome.signals is not None:
        lengths["signals"] = len(outcome.signals)
    for what, length in lengths.items():
        if length != rows:
            raise RuntimeError(f"stage {name}: {length} {what} for {rows} documents")
    if not outcome.batch.column("id").equals(before.column("id")):
        raise RuntimeError(f"stage {name}: changed the order or identity of the documents")


def _assemble(measured: Mapping[str, pa.Array], signals: pa.DataType, rows: int) -> pa.StructArray:
    arrays = [measured[part.name] if part.name in measured else pa.nulls(rows, part.type) for part in signals]
    if not arrays:
        return pa.array([{}] * rows, signals)
    return pa.StructArray.from_arrays(arrays, fields=list(signals))


def _removed_rows(name: str, dropped: Batch, reasons: pa.StringArray, signals: pa.StructArray) -> pa.RecordBatch:
    table = dropped.without_columns("html").table
    table = table.append_column(pa.field("stage", pa.string()), pa.array([name] * len(dropped), pa.string()))
    prefixed = pc.binary_join_element_wise(pa.scalar(name), reasons, ".")
    table = table.append_column(pa.field("reason", pa.string()), prefixed)
    return table.append_column(pa.field("signals", signals.type), signals)


def _tally(before: Batch, kept: Batch, outcome: Outcome, rules: Sequence[Rule]) -> StageTally:
    reasons: dict[str, int] = {}
    if outcome.reasons is not None:
        for entry in pc.value_counts(outcome.reasons.drop_null()).to_pylist():
            reasons[entry["values"]] = entry["counts"]
    histograms, violated = {}, {}
    if outcome.signals is not None:
        histograms = {
            part.name: _histogram(outcome.signals.field(part.name))
            for part in outcome.signals.type
            if _is_number(part.type)
        }
        violated = {rule.reason: int(violations(outcome.signals, rule).sum()) for rule in rules}
    return StageTally(
        documents_in=len(before),
        documents_out=len(kept),
        characters_in=_characters(before),
        characters_out=_characters(kept),
        reasons=reasons,
        counts={key: int(value) for key, value in outcome.counts.items()},
        histograms=histograms,
        violations=violated,
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _characters(batch: Batch) -> int:
    return pc.sum(pc.utf8_length(batch.text)).as_py() or 0


BUCKETS_PER_OCTAVE = 8
"""Histogram buckets are 1/8 of a power of two wide: 9 % relative width over any range, and integer counts add up."""


def _histogram(values: pa.Array) -> dict[str, int]:
    """Counts by bucket: "0" is zero, "e<k>" is [2^(k/8), 2^((k+1)/8)), "-e<k>" the same below zero."""
    numbers = pc.cast(values.drop_null(), pa.float64()).to_numpy(zero_copy_only=False)
    numbers = numbers[np.isfinite(numbers)]
    buckets: dict[str, int] = {}
    for sign, part in (("", numbers[numbers > 0]), ("-", -numbers[numbers < 0])):
        keys, counts = np.unique(np.floor(np.log2(part) * BUCKETS_PER_OCTAVE).astype(np.int64), return_counts=True)
        buckets |= {f"{sign}e{key}": int(count) for key, count in zip(keys, counts, strict=True)}
    zeros = int((numbers == 0).sum())
    return buckets | ({"0": zeros} if zeros else {})
