"""Stages, their outcome for a batch, and the one function that applies them.

A stage is a callable from Batch to Outcome and nothing else: no I/O, no counters, no set-up. Dropping rows, timing,
counting and checking are done here, once, so that the author of a filter does not have to.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools, Int64s
from curation.errors import CurationError, StageFailed
from curation.running.answers import describe, place
from curation.running.performance import processor_ns
from curation.stages.batch import Batch
from curation.stages.rules import Rule, decide, violations
from curation.stages.signals import Histogram, histograms
from curation.stages.tally import StageTally


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a stage for a batch.

    Attributes:
        batch: The same rows in the same order, with columns that the stage filled or edited.
        reasons: Why each row is removed, without the stage's name; null keeps the row. None keeps all rows.
        signals: The measured values, one field per signal.
        counts: Anything else worth counting.
    """

    batch: Batch
    reasons: pa.StringArray | None = None
    signals: pa.StructArray | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Stage(Protocol):
    """A frozen dataclass of parameters, called with a batch.

    A stage may also have `rules`, the table that its verdicts come from; `assets()`, a mapping from the name of each
    model or list that it reads to its content hash; and `libraries`, names of the packages whose versions its output
    depends on.

    Attributes:
        version: Raised when the same parameters give another output.
    """

    version: ClassVar[int]

    def __call__(self, batch: Batch, /) -> Outcome:
        """The outcome for `batch`."""
        ...


class Filter:
    """Base class of filters that measure first, then decide by a table of rules."""

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules, with thresholds from the parameters."""
        raise NotImplementedError

    def measure(self, batch: Batch) -> pa.StructArray:
        """The signals of every row, one field per signal."""
        raise NotImplementedError

    def __call__(self, batch: Batch, /) -> Outcome:
        """Measure, then decide; the text is not edited."""
        signals = self.measure(batch)
        if not isinstance(signals, pa.StructArray):
            kind = type(signals).__name__
            raise TypeError(f"{type(self).__name__}.measure must return struct(signal=values, ...), not a {kind}")
        try:
            return Outcome(batch, decide(signals, self.rules), signals)
        except KeyError as error:
            raise KeyError(f"{type(self).__name__}: {error.args[0]}") from error


@dataclass(frozen=True, slots=True)
class RewrittenTexts:
    """Texts that a stage rewrote.

    Attributes:
        text: The new text of every row.
        signals: The measured values, one field per signal.
        counts: What was done to each row, by name, each of shape (rows,).
    """

    text: pa.StringArray
    signals: pa.StructArray
    counts: Mapping[str, Int64s] = field(default_factory=dict)


class Rewriter:
    """Base class of stages that rewrite texts, and may remove documents by a table of rules."""

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules; each reason is a parameter that switches its rule off."""
        return ()

    def rewrite(self, batch: Batch) -> RewrittenTexts:
        """The new text and the signals of every row."""
        raise NotImplementedError

    def __call__(self, batch: Batch, /) -> Outcome:
        """Rewrite, then decide. A removed document keeps its text. Counts: what was done to kept documents."""
        rewritten = self.rewrite(batch)
        reasons = decide(rewritten.signals, self.rules)
        kept = reasons.is_null()
        texts = pc.if_else(kept, rewritten.text, batch.text)
        sums = {name: int(each[kept.to_numpy(zero_copy_only=False)].sum()) for name, each in rewritten.counts.items()}
        counts = {name: count for name, count in sums.items() if count}
        edited = batch if texts.equals(batch.text) else batch.with_columns(text=texts)
        return Outcome(edited, reasons, rewritten.signals, counts)


def struct(**signals: Any) -> pa.StructArray:
    """A struct array of signals from arrays of one length: `struct(words=..., mean_length=...)`."""
    arrays = {name: pa.array(values) for name, values in signals.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len({*lengths.values()}) > 1:
        raise ValueError(f"struct(): all signals need one value per document, but their lengths are {lengths}")
    return pa.StructArray.from_arrays([*arrays.values()], names=list(arrays))


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of all stages on a batch.

    Attributes:
        kept: The rows that no stage removed.
        removed: The other rows, with stage, reason and signals, one record batch per stage that removed any.
        signals: Signals of the kept rows.
        tallies: Counts by stage.
        nanoseconds: Processor time of each stage, and by measuring removed rows under `MEASURED_ALL`.
        histograms: Of every signal, by `stage.signal`, over the rows that entered its stage.
    """

    kept: Batch
    removed: list[pa.RecordBatch]
    signals: pa.StructArray
    tallies: dict[str, StageTally]
    nanoseconds: dict[str, int]
    histograms: dict[str, Histogram]


@contextmanager
def blamed(name: str, stage: Stage, batch: Batch | None = None) -> Iterator[None]:
    """Raise StageFailed, with the place, for an exception of the code of a stage that is not built in.

    I/O errors are left as they are: they may pass.

    Args:
        name: Name of the stage.
        stage: The stage.
        batch: The documents to which it is applied, of which the error names one on which it fails.
    """
    try:
        yield
    except (CurationError, OSError):
        raise
    except Exception as error:
        if type(stage).__module__.startswith("curation."):
            raise
        document = "" if batch is None else _failing(stage, batch, error)
        raise StageFailed(f"stage {name}: {describe(error)} ({place(error)}){document}") from error


def _failing(stage: Stage, batch: Batch, error: Exception) -> str:
    """The first document on which a stage raises the same kind of exception by itself; empty if there is none."""
    for row in range(len(batch)):
        mask = np.arange(len(batch)) == row
        try:
            stage(batch.keep(mask))
        except Exception as own:
            if type(own) is type(error):
                names = [batch.column(key)[row].as_py() for key in ("url", "id") if key in batch.table.schema.names]
                return next((f" for {name}" for name in names if name), "")
    return ""


@contextmanager
def unblamed() -> Iterator[None]:
    """Raise what the code of a stage raised instead of StageFailed, for programs that call it themselves."""
    try:
        yield
        return
    except StageFailed as error:
        failure = error
    raise failure.__cause__ or failure


def signal_type(stages: Sequence[tuple[str, Stage]], empty: Batch) -> pa.DataType:
    """The struct type of all signals of named stages, found by applying them to a batch without rows.

    Args:
        stages: The stages with their names, in order.
        empty: A batch of no rows with the columns that the first stage reads.

    Returns:
        A struct with one field per signal, named `stage.signal`.

    Raises:
        StageFailed: A stage that is not built in raised an exception, or returned something else than an outcome.
    """
    fields: list[pa.Field] = []
    batch = empty
    for name, stage in stages:
        with blamed(name, stage):
            outcome = stage(batch)
        if not isinstance(outcome, Outcome):
            raise StageFailed(f"stage {name}: must return an Outcome, not a {type(outcome).__name__}")
        _check(name, batch, outcome)
        if outcome.signals is not None:
            fields += [pa.field(f"{name}.{part.name}", part.type) for part in outcome.signals.type]
        batch = outcome.batch
    return pa.struct(fields)


MEASURED_ALL = "signals"
"""Name under which the time for measuring removed documents is reported."""


def apply(
    stages: Sequence[tuple[str, Stage]],
    batch: Batch,
    signals: pa.DataType,
    *,
    measure_all: bool = False,
    earlier: pa.StructArray | None = None,
    then: Callable[[Batch], dict[str, pa.Array]] | None = None,
    thresholds: Mapping[str, Sequence[Rule]] | None = None,
) -> Applied:
    """Apply named stages in order to a batch, dropping what each removes.

    Args:
        stages: The stages with their names, in order.
        batch: The documents.
        signals: Struct type of all signals, from `signal_type`.
        measure_all: Also measure each removed row by the stages after the one that removed it, as if it had been kept.
            Verdicts, texts and counts do not change.
        earlier: Signals of the rows, those of earlier stages filled in, if `stages` are not all stages.
        then: Measures removed rows by later stages, if `stages` are not all stages.
        thresholds: The rules whose thresholds are edges of the histograms, by stage; by default its own.

    Raises:
        StageFailed: A stage that is not built in raised an exception, or a stage changed the number, identity or order
            of the rows.
    """
    measured: dict[str, pa.Array] = (
        {} if earlier is None else {part.name: earlier.field(part.name) for part in earlier.type}
    )
    removed: list[pa.RecordBatch] = []
    tallies: dict[str, StageTally] = {}
    nanoseconds: dict[str, int] = {}
    counted: dict[str, Histogram] = {}
    characters = _characters(batch)
    for position, (name, stage) in enumerate(stages):
        with blamed(name, stage, batch):
            started = processor_ns()
            outcome = stage(batch)
            nanoseconds[name] = processor_ns() - started
            _check(name, batch, outcome)
            rules: Sequence[Rule] = getattr(stage, "rules", ())
            if outcome.signals is not None:
                measured |= _named(name, outcome.signals)
                counted |= histograms(name, outcome.signals, (thresholds or {}).get(name, rules))
            is_removed = _removed_mask(outcome)
            kept = outcome.batch.keep(~is_removed)
            tallies[name] = _tally(batch, kept, outcome, rules, characters)
            characters = tallies[name].characters_out
            if outcome.reasons is not None and is_removed.any():
                known = {key: values.filter(pa.array(is_removed)) for key, values in measured.items()}
                if measure_all:
                    started = processor_ns()
                    known |= measure(stages[position + 1 :], as_if_kept(stage, batch, outcome, is_removed), then)
                    nanoseconds[MEASURED_ALL] = nanoseconds.get(MEASURED_ALL, 0) + processor_ns() - started
                dropped, reasons = outcome.batch.keep(is_removed), outcome.reasons.filter(pa.array(is_removed))
                removed.append(_removed_rows(name, dropped, reasons, _assemble(known, signals, len(dropped))))
                measured = {key: values.filter(pa.array(~is_removed)) for key, values in measured.items()}
            batch = kept
    return Applied(batch, removed, _assemble(measured, signals, len(batch)), tallies, nanoseconds, counted)


def _named(name: str, signals: pa.StructArray) -> dict[str, pa.Array]:
    return {f"{name}.{part.name}": signals.field(part.name) for part in signals.type}


def as_if_kept(stage: Stage, before: Batch, outcome: Outcome, is_removed: Bools) -> Batch:
    """The rows that a stage removed, as they would have left it if they had been kept.

    A stage that edits texts may leave those of removed rows alone; with its rules disabled it edits them too. If its
    rules cannot be disabled, the texts are taken as they are.

    Args:
        stage: The stage.
        before: The batch that it was given.
        outcome: Its outcome for that batch.
        is_removed: Whether it removed each row, shape (rows,).
    """
    dropped = outcome.batch.keep(is_removed)
    edit_only = without_rules(stage)
    return dropped if edit_only is None else dropped.with_text(edit_only(before.keep(is_removed)).batch.text)


def without_rules(stage: Stage) -> Stage | None:
    """The stage with all its rules disabled; None if it edits no texts or has a rule that cannot be disabled."""
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


def measure(
    stages: Sequence[tuple[str, Stage]], batch: Batch, then: Callable[[Batch], dict[str, pa.Array]] | None = None
) -> dict[str, pa.Array]:
    """Signals of the rows by these stages, which remove nothing; null for rows without a text, such as unread pages.

    Args:
        stages: The stages with their names, in order.
        batch: The documents.
        then: Measures them by later stages, if there are any.

    Returns:
        The signals by `stage.signal`; those of a stage are missing if no row has a text.
    """
    filled = batch.text.is_valid().to_numpy(zero_copy_only=False)
    if not (stages or then) or not filled.any():
        return {}
    places = np.cumsum(filled) - 1
    rows = pa.array(places, mask=~filled)
    batch = batch.keep(filled)
    measured: dict[str, pa.Array] = {}
    for name, stage in stages:
        with blamed(name, stage):
            outcome = stage(batch)
            if outcome.signals is not None:
                measured |= _named(name, outcome.signals)
            edit_only = without_rules(stage) if _removed_mask(outcome).any() else None
            batch = outcome.batch if edit_only is None else edit_only(batch).batch
    measured |= {} if then is None else then(batch)
    return {name: values.take(rows) for name, values in measured.items()}


def _removed_mask(outcome: Outcome) -> Bools:
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
            raise StageFailed(f"stage {name}: {length} {what} for {rows} documents; there must be one for each")
    if not outcome.batch.column("id").equals(before.column("id")):
        raise StageFailed(f"stage {name}: changed the order or identity of the documents")


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


def _tally(before: Batch, kept: Batch, outcome: Outcome, rules: Sequence[Rule], characters: int) -> StageTally:
    reasons: dict[str, int] = {}
    if outcome.reasons is not None:
        for entry in pc.value_counts(outcome.reasons.drop_null()).to_pylist():
            reasons[entry["values"]] = entry["counts"]
    violated: dict[str, int] = {}
    for rule in rules if outcome.signals is not None else ():
        violated[rule.reason] = violated.get(rule.reason, 0) + int(violations(outcome.signals, rule).sum())
    return StageTally(
        documents_in=len(before),
        documents_out=len(kept),
        characters_in=characters,
        characters_out=_characters(kept),
        reasons=reasons,
        counts={key: int(value) for key, value in outcome.counts.items()},
        violations=violated,
    )


def _characters(batch: Batch) -> int:
    return pc.sum(pc.utf8_length(batch.text)).as_py() or 0
