"""Stages, what they say about a batch, and the one function that applies them.

A stage is a callable from Batch to Outcome and nothing else: no I/O, no counters, no set-up. Dropping rows, timing,
counting and checking are done here, once, so that the author of a filter never meets them.
"""

from __future__ import annotations

import dataclasses
import time
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools
from curation.stages.batch import Batch
from curation.stages.rules import Rule, decide, violations
from curation.stages.signals import Histogram, histograms
from curation.stages.tally import StageTally


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
    """The result of all stages on a batch: rows kept, rows removed (with stage, reason and signals), and the counts.

    signals: of the kept rows. histograms: of every signal, by `stage.signal`, over the rows that entered its stage.
    """

    kept: Batch
    removed: list[pa.RecordBatch]
    signals: pa.StructArray
    tallies: dict[str, StageTally]
    nanoseconds: dict[str, int]
    histograms: dict[str, Histogram]


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


MEASURED_ALL = "signals"
"""Under this name stands the time that measuring removed documents takes."""


def apply(
    stages: Sequence[tuple[str, Stage]], batch: Batch, signals: pa.DataType, *, measure_all: bool = False
) -> Applied:
    """Apply named stages in order to `batch`, dropping what each removes.

    signals: the recipe's struct type, from `signal_type`. measure_all: let the stages after it measure a removed row
    too, as if it had stayed; verdicts, texts and counts are the same.
    Raises RuntimeError if a stage changes the number of rows, their identity or their order.
    """
    measured: dict[str, pa.Array] = {}
    removed: list[pa.RecordBatch] = []
    tallies: dict[str, StageTally] = {}
    nanoseconds: dict[str, int] = {}
    counted: dict[str, Histogram] = {}
    for position, (name, stage) in enumerate(stages):
        started = time.perf_counter_ns()
        outcome = stage(batch)
        nanoseconds[name] = time.perf_counter_ns() - started
        _check(name, batch, outcome)
        rules: Sequence[Rule] = getattr(stage, "rules", ())
        if outcome.signals is not None:
            measured |= _named(name, outcome.signals)
            counted |= histograms(name, outcome.signals, rules)
        gone = _gone(outcome)
        kept = outcome.batch.keep(~gone)
        tallies[name] = _tally(batch, kept, outcome, rules)
        if outcome.reasons is not None and gone.any():
            known = {key: values.filter(pa.array(gone)) for key, values in measured.items()}
            if measure_all:
                started = time.perf_counter_ns()
                known |= _measure_rest(stages[position + 1 :], as_if_kept(stage, batch, outcome, gone))
                nanoseconds[MEASURED_ALL] = nanoseconds.get(MEASURED_ALL, 0) + time.perf_counter_ns() - started
            dropped, reasons = outcome.batch.keep(gone), outcome.reasons.filter(pa.array(gone))
            removed.append(_removed_rows(name, dropped, reasons, _assemble(known, signals, len(dropped))))
            measured = {key: values.filter(pa.array(~gone)) for key, values in measured.items()}
        batch = kept
    return Applied(batch, removed, _assemble(measured, signals, len(batch)), tallies, nanoseconds, counted)


def _named(name: str, signals: pa.StructArray) -> dict[str, pa.Array]:
    return {f"{name}.{part.name}": signals.field(part.name) for part in signals.type}


def as_if_kept(stage: Stage, before: Batch, outcome: Outcome, gone: Bools) -> Batch:
    """The rows `gone` of a batch, which the stage removed, as they would have left it had they stayed.

    A stage that edits may have left their text alone; without its rules it edits them as well. One whose rules cannot
    be switched off is taken to have edited what it would.
    """
    dropped = outcome.batch.keep(gone)
    twin = without_rules(stage)
    return dropped if twin is None else dropped.with_text(twin(before.keep(gone)).batch.text)


def without_rules(stage: Stage) -> Stage | None:
    """A stage that may edit texts with all its rules switched off; None if it edits nothing or a rule stays on."""
    rules: Sequence[Rule] = getattr(stage, "rules", ())
    if isinstance(stage, Filter) or not rules:
        return None
    hints = typing.get_type_hints(type(stage))
    off: dict[str, bool | None] = {}
    for rule in rules:
        kind = hints.get(rule.reason)
        if kind is not bool and type(None) not in typing.get_args(kind):
            return None
        off[rule.reason] = False if kind is bool else None
    return typing.cast(Stage, dataclasses.replace(typing.cast(Any, stage), **off))


def _measure_rest(stages: Sequence[tuple[str, Stage]], batch: Batch) -> dict[str, pa.Array]:
    """Signals of the rows of `batch` by stages that remove none; null for rows without a text, such as unread pages."""
    filled = batch.text.is_valid().to_numpy(zero_copy_only=False)
    if not stages or not filled.any():
        return {}
    places = np.cumsum(filled) - 1
    rows = pa.array(places, mask=~filled)
    batch = batch.keep(filled)
    measured: dict[str, pa.Array] = {}
    for name, stage in stages:
        outcome = stage(batch)
        if outcome.signals is not None:
            measured |= {key: values.take(rows) for key, values in _named(name, outcome.signals).items()}
        twin = without_rules(stage) if _gone(outcome).any() else None
        batch = outcome.batch if twin is None else twin(batch).batch
    return measured


def _gone(outcome: Outcome) -> Bools:
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
    violated = {}
    if outcome.signals is not None:
        violated = {rule.reason: int(violations(outcome.signals, rule).sum()) for rule in rules}
    return StageTally(
        documents_in=len(before),
        documents_out=len(kept),
        characters_in=_characters(before),
        characters_out=_characters(kept),
        reasons=reasons,
        counts={key: int(value) for key, value in outcome.counts.items()},
        violations=violated,
    )


def _characters(batch: Batch) -> int:
    return pc.sum(pc.utf8_length(batch.text)).as_py() or 0
