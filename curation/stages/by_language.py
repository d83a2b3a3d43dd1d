"""Stages whose parameters differ by language: one pass, each document by the rules of its own language.

The stages before the one that identifies the language see the whole batch, and so does that one, since identifying
many texts at once is cheaper. Its rules and all later stages are then applied to the documents of each language, as
views of the same batch, and the results are put together again in the order of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools
from curation.running.performance import processor_ns
from curation.stages.batch import Batch
from curation.stages.rules import Rule, decide
from curation.stages.signals import add_histograms
from curation.stages.stage import Applied, Outcome, Stage, apply, blamed, measure
from curation.stages.tally import StageTally, add_counts, add_stages

Named = tuple[str, Stage]

_ORDER = "order in the batch"
"""A column used only while the documents of a batch are apart."""


def identifies_language(stage: Stage) -> bool:
    """Whether a stage fills the column `language`."""
    return bool(getattr(stage, "identifies_language", False))


def language_stage(stages: Sequence[Named]) -> int:
    """The number of the first stage that fills the column `language`; the number of stages if none does."""
    return next((number for number, (_, stage) in enumerate(stages) if identifies_language(stage)), len(stages))


class LanguageStages:
    """The stages of a recipe for every language.

    Attributes:
        thresholds: The rules whose thresholds are edges of the histograms, by stage.
    """

    def __init__(
        self, stages: Sequence[Named], variants: Callable[[str], Mapping[str, Stage]], languages: Iterable[str]
    ) -> None:
        """Divide the stages at the one that identifies the language.

        Args:
            stages: The stages with their names, in order, for languages without parameters of their own.
            variants: From a language to the stages that differ for it, by name.
            languages: The languages whose thresholds are to be edges of the histograms of signals.
        """
        at = language_stage(stages)
        self._before, self._rest = tuple(stages[:at]), tuple(stages[at:])
        self._variants = variants
        self._known: dict[str | None, tuple[Named, ...]] = {None: self._rest}
        every = [self._rest, *map(self._of, sorted(languages))]
        self.thresholds: Mapping[str, Sequence[Rule]] = {
            name: [rule for each in every for rule in getattr(each[number][1], "rules", ())]
            for number, (name, _) in enumerate(self._rest)
        }

    def of(self, language: str | None) -> tuple[Named, ...]:
        """All stages with the parameters of a language, in order."""
        return (*self._before, *self._of(language))

    def _of(self, language: str | None) -> tuple[Named, ...]:
        if language not in self._known:
            variants = self._variants(language or "")
            self._known[language] = tuple((name, variants.get(name, stage)) for name, stage in self._rest)
        return self._known[language]

    def apply(self, batch: Batch, signals: pa.DataType, *, measure_all: bool = False) -> Applied:
        """Apply the stages to a batch, as `curation.stages.stage.apply` does; arguments as there."""
        whole = apply(self._before, batch, signals, measure_all=measure_all, then=self._measure)
        order = pa.array(np.arange(len(whole.kept)))
        started = processor_ns()
        identified = self._identify(whole.kept.with_columns(**{_ORDER: order}))
        spent = processor_ns() - started
        parts = [
            apply(
                [(self._rest[0][0], part), *stages[1:]],
                part.outcome.batch,
                signals,
                measure_all=measure_all,
                earlier=whole.signals.filter(pa.array(rows)),
                thresholds=self.thresholds,
            )
            for rows, part, stages in identified
        ]
        joined = _joined(parts, self._rest)
        nanoseconds = add_counts(whole.nanoseconds, joined.nanoseconds)
        return Applied(
            joined.kept,
            [*whole.removed, *joined.removed],
            joined.signals,
            {**whole.tallies, **joined.tallies},
            {**nanoseconds, self._rest[0][0]: nanoseconds[self._rest[0][0]] + spent},
            {**whole.histograms, **joined.histograms},
        )

    def _identify(self, batch: Batch) -> list[tuple[Bools, _Identified, tuple[Named, ...]]]:
        """For each language of a batch: which rows it has, what the first stage says of them, and its stages."""
        with blamed(*self._rest[0], batch):
            outcome = self._rest[0][1](batch)
        found = []
        for language, rows in languages_of(outcome.batch):
            stages = self._of(language)
            assert outcome.signals is not None
            part = Outcome(outcome.batch.keep(rows), None, outcome.signals.filter(pa.array(rows)))
            found.append((rows, _Identified(part, stages[0][1]), stages))
        return found

    def _measure(self, batch: Batch) -> dict[str, pa.Array]:
        """The signals of documents removed before their language was known."""
        order = np.zeros(0, np.int64)
        measured: list[dict[str, pa.Array]] = []
        for rows, part, stages in self._identify(batch):
            order = np.concatenate([order, np.flatnonzero(rows)])
            measured.append(measure([(self._rest[0][0], part), *stages[1:]], part.outcome.batch))
        back = pa.array(np.argsort(order))
        names = dict.fromkeys(name for each in measured for name in each)
        return {name: pa.concat_arrays([each[name] for each in measured]).take(back) for name in names}


@dataclass(frozen=True, slots=True)
class _Identified:
    """The stage that identified the language, for documents of one language: their outcome, judged by its rules."""

    outcome: Outcome
    stage: Stage
    version: ClassVar[int] = 1

    @property
    def rules(self) -> tuple[Rule, ...]:
        rules: tuple[Rule, ...] = getattr(self.stage, "rules", ())
        return rules

    def __call__(self, batch: Batch, /) -> Outcome:
        assert self.outcome.signals is not None
        return Outcome(self.outcome.batch, decide(self.outcome.signals, self.rules), self.outcome.signals)


def languages_of(batch: Batch) -> Iterator[tuple[str | None, Bools]]:
    """The languages of a batch, ascending, each with its rows, shape (rows,). One of no rows has the language None."""
    column = batch.column("language")
    names: list[str | None] = sorted(pc.unique(column.drop_null()).to_pylist())
    if column.null_count or not names:
        names.append(None)
    for name in names:
        rows = pc.equal(column, name).fill_null(False) if name is not None else column.is_null()
        yield name, np.asarray(rows.to_numpy(zero_copy_only=False), np.bool_)


def _joined(parts: Sequence[Applied], stages: Sequence[Named]) -> Applied:
    """What was done to the documents of all languages, those that are kept in the order of their batch.

    The rules of `stages`, those of languages without parameters of their own, are always counted, be it as 0: which
    rules a shard counts does not depend on what its batches contain.
    """
    kept = pa.Table.from_batches([part.kept.table for part in parts])
    order = pc.array_sort_indices(kept[_ORDER].combine_chunks())
    table = kept.drop_columns([_ORDER]).take(order).combine_chunks()
    batches = table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    never = {name: dict.fromkeys([rule.reason for rule in getattr(stage, "rules", ())], 0) for name, stage in stages}
    tallies = {name: StageTally(violations=each) for name, each in never.items()}
    total: dict[str, Any] = {"tallies": tallies, "nanoseconds": {}, "histograms": {}}
    for part in parts:
        total["tallies"] = add_stages(total["tallies"], part.tallies)
        total["nanoseconds"] = add_counts(total["nanoseconds"], part.nanoseconds)
        total["histograms"] = add_histograms(total["histograms"], part.histograms)
    return Applied(
        Batch(batches[0]),
        [rows.drop_columns([_ORDER]) for part in parts for rows in part.removed],
        pa.concat_arrays([part.signals for part in parts]).take(order),
        **total,
    )
