"""Stages as one function of a table: the rows they keep, the rows they remove and why, in the table's own kind.

Verdicts, reasons, texts and values are those of the filter step, which applies the same stages by the same function.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa

import curation
from curation.arrays import Bools, Int64s
from curation.errors import InputError
from curation.stages.batch import Batch
from curation.stages.by_language import LanguageStages
from curation.stages.frames import ROW, Frame, FramePart, frame_of, frame_parts
from curation.stages.stage import Stage, apply, signal_type, unblamed
from curation.stages.tally import StageTally, add_stages

Table = TypeVar("Table")
"""pa.Table, pa.RecordBatch, a pandas or polars DataFrame, or a dict of lists; what goes in comes out."""


class HasStages(Protocol):
    """A recipe, as far as a pipeline is concerned."""

    @property
    def stages(self) -> tuple[tuple[str, Stage], ...]:
        """Stages with their names, in order."""
        ...

    def by_language(self) -> LanguageStages | None:
        """The stages for every language; None if they are the same for all."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class PipelineResult(Generic[Table]):
    """What a pipeline made of a table.

    Attributes:
        kept: The rows kept, with what stages changed (`text`) and added (`language`).
        removed: The rows removed, in the order of the table, with the columns `stage` and `reason` (`stage.rule`).
        signals: What the stages measured of the rows kept, one row each; columns `stage.signal`.
        counts: By stage, what it did: `documents_in`, `documents_out`, `reasons` (documents by rule), and more.
    """

    kept: Table
    removed: Table
    signals: Table
    counts: dict[str, StageTally]

    def __repr__(self) -> str:
        into, out = 0, 0
        reasons: list[str] = []
        for number, (name, tally) in enumerate(self.counts.items()):
            into, out = into if number else tally.documents_in, tally.documents_out
            reasons += [f"{name}.{reason}: {count}" for reason, count in tally.reasons.items()]
        return f"PipelineResult(kept={out}, removed={into - out}, reasons={{{', '.join(reasons)}}})"


@dataclass(frozen=True, slots=True, init=False)
class Pipeline:
    """Stages applied in order to tables of documents.

    A table is a pyarrow Table or RecordBatch, a pandas or polars DataFrame, or a dict of lists. It needs a column of
    texts, and what its stages read besides (`Url` reads `url`, `Extract` reads `html`, of which it makes `text`); all
    further columns are kept as they are. Columns named `stage`, `reason` and `signals` are not shown to stages. The
    table is worked through in batches, so that it needs little memory beyond its own. A pipeline pickles.

    Example:
        >>> from curation import GopherQuality, Pipeline
        >>> pipeline = Pipeline([GopherQuality(min_words=4, min_stop_words=None)])
        >>> pipeline.keep({"text": ["Too short.", "This one is just long enough."], "n": [1, 2]})
        {'text': ['This one is just long enough.'], 'n': [2]}
    """

    stages: tuple[tuple[str, Stage], ...]
    text_column: str = field(default="text")
    recipe: HasStages | None = field(default=None, repr=False)

    def __init__(self, stages: Sequence[Stage | tuple[str, Stage]] | HasStages, *, text_column: str = "text") -> None:
        """Name the stages.

        Args:
            stages: Stages such as `GopherQuality()`, pairs of a name and a stage, or a recipe, whose stages are taken
                (not its tables: deduplication has `deduplicate`, personal data is the stage `Pii`). A stage without a
                name gets the one that recipes use (`gopher_quality`), one of your own its class's (`MyFilter`:
                `my_filter`).
            text_column: The column that holds the texts.

        Raises:
            TypeError: Something in `stages` is no stage, or `text_column` no string.
            ValueError: Two stages have one name, or a name is empty or has a dot.
        """
        if not isinstance(text_column, str):
            raise TypeError(f"text_column = {text_column!r}: must be a string")
        object.__setattr__(self, "stages", _named(stages))
        object.__setattr__(self, "text_column", text_column)
        object.__setattr__(self, "recipe", stages if hasattr(stages, "by_language") else None)

    def __call__(self, table: Table) -> PipelineResult[Table]:
        """Apply the stages to every row.

        Args:
            table: See the class.

        Returns:
            The rows kept, those removed with the reason, the values measured, and the counts.

        Raises:
            InputError: There is no text column, it holds no text, or a stage needs a column that is not there.
            TypeError: It is no table of a kind that is known.
        """
        frame = frame_of(table)
        with unblamed():
            run = _Run(self, frame)
        kept, removed = run.kept.frame(), run.removed.frame()
        signals = {part.name: pa.chunked_array(run.signals[part.name], part.type) for part in run.signal_type}
        return PipelineResult(kept.table, removed.table, kept.only(signals).table, run.counts)

    def keep(self, table: Table) -> Table:
        """The rows kept, for `dask_frame.map_partitions(pipeline.keep)` and `dataset.map(pipeline.keep, batched=True)`.

        Args:
            table: See the class.

        Returns:
            `pipeline(table).kept`. Which columns there are, and their types, does not depend on the rows.

        Raises:
            InputError, TypeError: As a call does.
        """
        with unblamed():
            return _Run(self, frame_of(table)).kept.frame().table  # type: ignore[no-any-return]

    def mask(self, table: Any) -> Bools:
        """Which rows are kept, for `frame[pipeline.mask(frame)]` and `dataset.filter(pipeline.mask, batched=True)`.

        Args:
            table: See the class.

        Returns:
            Booleans, shape (rows,). What stages would change in the text is not done.

        Raises:
            InputError, TypeError: As a call does.
        """
        with unblamed():
            return _Run(self, frame_of(table)).kept.mask()


def _named(stages: Iterable[Any] | HasStages) -> tuple[tuple[str, Stage], ...]:
    given = getattr(stages, "stages", stages)
    if isinstance(given, str):
        raise TypeError(f"stages must be a sequence of stages or a recipe: Pipeline(load_recipe({given!r}))")
    if not isinstance(given, Iterable):
        kind = given.__name__ if isinstance(given, type) else type(given).__name__
        raise TypeError(f"{kind} given: must be a sequence of stages, such as [GopherQuality(), C4()], or a recipe")
    named: dict[str, Stage] = {}
    for entry in given:
        name, stage = entry if isinstance(entry, tuple) and len(entry) == 2 else (None, entry)
        check_stage(stage)
        name = stage_name(stage) if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"the name of a stage must be a string, not {name!r}")
        if not name or "." in name:
            raise ValueError(f"a stage is named {name!r}: a name must not be empty or have a dot")
        if name in named:
            example = f"({name + '_2'!r}, {type(stage).__name__}(...))"
            raise ValueError(f"two stages are named {name!r}: name one, as in {example}")
        named[name] = stage
    return tuple(named.items())


def check_stage(stage: Any) -> None:
    """TypeError for what is no stage, with what to give instead."""
    if isinstance(stage, type):
        raise TypeError(f"{stage.__name__} is a class: give an instance, {stage.__name__}()")
    if isinstance(stage, Stage):
        return
    kind = type(stage).__name__
    if isinstance(stage, str):
        kind, meant = "string", stage.replace("_", "").lower()
        for name in (name for name in curation.__all__ if name[0].isupper() and name.lower() == meant):
            raise TypeError(f"{stage!r} is no stage: give an instance, {name}()")
    if hasattr(stage, "stages"):
        raise TypeError(
            f"a {kind} is no stage but has several: give one of its `stages`, which are (name, stage) pairs"
        )
    raise TypeError(f"a {kind} is no stage: give an instance such as GopherQuality(), or of a class of your own")


def stage_name(stage: Stage) -> str:
    """The name that recipes use for a built-in stage, which is its file's; for any other its class's in snake case."""
    kind = type(stage)
    if kind.__module__.startswith("curation."):
        return kind.__module__.rpartition(".")[2]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind.__name__).lower()


@contextmanager
def needing(name: str, columns: Iterable[Any], hint: str = "") -> Iterator[None]:
    """InputError where a stage asks for a column that a batch lacks.

    Args:
        name: The stage's name.
        columns: The columns that there are.
        hint: Ends the message; `{}` is the column that is missing.
    """
    try:
        yield
    except KeyError as error:
        missing = re.match(r'Field "(.*)" does not exist in schema', str(error.args[0] if error.args else ""))
        if missing is None:
            raise
        column, there = missing[1], list(columns)
        if column in there:
            wrong = f"there are {there.count(column)}" if there.count(column) > 1 else "it does not hold text"
            raise InputError(f"stage {name}: cannot read the column {column!r}: {wrong}") from error
        names = ", ".join(map(repr, there)) or "none"
        raise InputError(
            f"stage {name}: needs the column {column!r}; there are: {names}{hint.format(column)}"
        ) from error


class _Run:
    """A pipeline's way through a table."""

    def __init__(self, pipeline: Pipeline, frame: Frame) -> None:
        self.counts = {name: StageTally() for name, _ in pipeline.stages}
        by_language = None if pipeline.recipe is None else pipeline.recipe.by_language()
        self.signals: dict[str, list[pa.Array]] = {}
        for number, part in enumerate(frame_parts(frame, pipeline.text_column)):
            if number == 0:
                self._ask(pipeline, frame, part.batch.slice(0, 0))
            batch = Batch(part.batch)
            if by_language is not None:
                applied = by_language.apply(batch, self.signal_type)
            else:
                applied = apply(pipeline.stages, batch, self.signal_type)
            self.kept.add(part, pa.Table.from_batches([applied.kept.table]))
            if applied.removed:
                removed = [pa.Table.from_batches([rows]) for rows in applied.removed]
                self.removed.add(part, pa.concat_tables(removed, promote_options="default").sort_by(ROW))
            for field_, values in zip(self.signal_type, applied.signals.flatten(), strict=True):
                self.signals[field_.name].append(values)
            self.counts = add_stages(self.counts, applied.tallies)

    def _ask(self, pipeline: Pipeline, frame: Frame, empty: pa.RecordBatch) -> None:
        """Learn from a batch of no rows which columns and signals there will be."""
        batch = Batch(empty)
        fields: list[pa.Field] = []
        for name, stage in pipeline.stages:
            with needing(name, frame.names), unblamed():
                fields += signal_type([(name, stage)], batch)
                batch = stage(batch).batch
        self.signal_type = pa.struct(fields)
        self.signals = {part.name: [] for part in fields}
        after = batch.table.schema
        twice = [field for field in after.names if frame.names.count(field) > 1]
        if twice:
            raise InputError(f"the stages fill the column {twice[0]!r}, of which the table has several")
        if pipeline.text_column not in frame.names and ("html" in after.names or "html" not in empty.schema.names):
            raise InputError(f"the table has no column {pipeline.text_column!r}, and no stage makes it of the html")
        gone = [name for name in empty.schema.names if name not in after.names]
        added = {part.name: part.type for part in after if part.name not in empty.schema.names}
        if pipeline.text_column not in frame.names:
            added["text"] = pa.string()
        if "id" not in frame.names:
            gone.append("id")
        verdict = {"stage": pa.string(), "reason": pa.string()}
        self.kept = _Rows(frame, pipeline.text_column, gone, added)
        self.removed = _Rows(frame, pipeline.text_column, gone, added | verdict)


class _Rows:
    """Rows of a table that are kept, or those that are removed, and what stages made of them.

    gone: columns that stages drop; added: those that they add, with their types.
    """

    def __init__(self, source: Frame, text_column: str, gone: Sequence[str], added: dict[str, pa.DataType]) -> None:
        self._source, self._text_column = source, text_column
        self._gone = [name for name in gone if name in source.names]
        self._added = added
        self._parts: list[tuple[Int64s, dict[str, pa.Array]]] = []

    def add(self, part: FramePart, after: pa.Table) -> None:
        """Rows of a part of the table as stages left them, in order."""
        rows = after.column(ROW).to_numpy()
        before = part.batch if len(rows) == part.batch.num_rows else part.batch.take(pa.array(rows - part.first))
        edited = {}
        for name in (*self._added, *before.schema.names):
            if name not in after.schema.names or name in (ROW, "id"):
                continue
            values = _whole(after.column(name))
            if name in self._added or name in part.cleaned or not values.equals(before.column(name)):
                edited[name] = values
        self._parts.append((rows, edited))

    def mask(self) -> Bools:
        """Which rows of the table these are."""
        found = np.zeros(self._source.rows, np.bool_)
        for rows, _ in self._parts:
            found[rows] = True
        return found

    def frame(self) -> Frame:
        """The rows in the table's own kind."""
        frame = self._source.where(self.mask()).drop(self._gone)
        names = dict.fromkeys([*self._added, *(name for _, edited in self._parts for name in edited)])
        columns = {}
        for name in names:
            found = [self._values(name, rows, edited) for rows, edited in self._parts]
            kind = self._added.get(name) or found[0].type
            columns[self._text_column if name == "text" else name] = pa.chunked_array(found, kind)
        return frame.replace(columns) if columns else frame

    def _values(self, name: str, rows: Int64s, edited: dict[str, pa.Array]) -> pa.Array:
        if name in edited:
            return edited[name]
        if name in self._added:
            return pa.nulls(len(rows), self._added[name])
        if not len(rows):
            return pa.nulls(0, self._kind(name))
        column = self._text_column if name == "text" else name
        values, _ = self._source.column(column, int(rows[0]), int(rows[-1]) + 1)
        return values.take(pa.array(rows - rows[0])).cast(self._kind(name))

    def _kind(self, name: str) -> pa.DataType:
        """The type in which stages left a column somewhere."""
        return next(edited[name].type for _, edited in self._parts if name in edited)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
