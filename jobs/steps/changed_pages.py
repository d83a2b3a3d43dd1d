"""Pages whose verdict changes: read again at their offsets, and passed through the stages before and after a change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from curation.archives.reader import BATCH_BYTES, ReadSettings, read_batches
from curation.arrays import Bools, Int64s
from curation.dedup.signatures import signature_schema, signatures
from curation.errors import UnreadableArchive
from curation.jobs.steps.moved_rules import MovedStage
from curation.jobs.steps.removed import all_signals
from curation.recipes.recipe import Recipe
from curation.stages.batch import Batch
from curation.stages.by_language import identifies_language
from curation.stages.rules import Rule
from curation.stages.signals import Histogram, add_histograms, stored_rows, stored_schema
from curation.stages.stage import Applied, Outcome, Stage, apply
from curation.stages.tally import StageTally, add_stages
from curation.store import schema
from curation.store.folder import Folder
from curation.store.paths import DOCUMENTS, REMOVED_BY_FILTER, SIGNALS, SIGNATURES, ShardFiles
from curation.store.shards import rows_at

if TYPE_CHECKING:
    from curation.jobs.steps.filter import FilterTask

BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class MeasuredStage:
    """A stage that has measured already: it keeps everything."""

    signals: pa.StructArray | None
    rules: tuple[Rule, ...]
    version: ClassVar[int] = 1

    def __call__(self, batch: Batch, /) -> Outcome:
        """The batch, with the signals."""
        return Outcome(batch, None, self.signals)


class PageTotals:
    """What stages make of the changed pages.

    Attributes:
        tallies: Counts by stage.
        histograms: Of every signal.
        verdicts: The reason of each page by its offset; None for kept ones.
    """

    def __init__(self) -> None:
        self.tallies: dict[str, StageTally] = {}
        self.histograms: dict[str, Histogram] = {}
        self.verdicts: dict[int, str | None] = {}

    def add(self, applied: Applied) -> None:
        """Add the pages of a batch."""
        self.tallies = add_stages(self.tallies, applied.tallies)
        self.histograms = add_histograms(self.histograms, applied.histograms)
        self.verdicts |= dict.fromkeys(applied.kept.column("warc_offset").to_pylist())
        for removed in applied.removed:
            self.verdicts |= zip(removed["warc_offset"].to_pylist(), removed["reason"].to_pylist(), strict=True)


@dataclass(frozen=True, slots=True)
class BothRecipes:
    """Applies the stages of both recipes to pages; those before the first changed one, such as extraction, once.

    Attributes:
        stages: The stages of both, for languages without parameters of their own.
        recipes: The recipes before and after the change.
        signals: Struct type of their signals.
    """

    stages: Sequence[MovedStage]
    recipes: tuple[Recipe, Recipe]
    signals: pa.DataType

    def __call__(self, batch: Batch) -> tuple[Applied, Applied]:
        """The pages after the earlier stages, and after those of now.

        Raises:
            UnreadableArchive: The stages remove a page that they kept before.
        """
        by_language = any(recipe.languages for recipe in self.recipes)
        first = next(
            number
            for number, stage in enumerate(self.stages)
            if stage.touched or (by_language and identifies_language(stage.before))
        )
        lead, rest = self.stages[:first], self.stages[first:]
        fields = [each for each in self.signals if any(each.name.startswith(f"{stage.name}.") for stage in lead)]
        common = apply([(stage.name, stage.after) for stage in lead], batch, pa.struct(fields))
        if common.removed:
            raise UnreadableArchive("a page has another verdict than before")
        measured = [(stage.name, _given(stage, common.signals)) for stage in lead]
        both: list[list[tuple[str, Stage]]] = [
            [*measured, *((stage.name, stage.before) for stage in rest)],
            [*measured, *((stage.name, stage.after) for stage in rest)],
        ]
        old, new = (self._apply(*each, common.kept) for each in zip(self.recipes, both, strict=True))
        return old, new

    def _apply(self, recipe: Recipe, stages: list[tuple[str, Stage]], batch: Batch) -> Applied:
        measure_all = recipe.table("signals").all
        if recipe.languages:
            return recipe.languages.stages(stages).apply(batch, self.signals, measure_all=measure_all)
        return apply(stages, batch, self.signals, measure_all=measure_all)


def _given(stage: MovedStage, signals: pa.StructArray) -> MeasuredStage:
    names = [each.name for each in signals.type if each.name.startswith(f"{stage.name}.")]
    arrays = [signals.field(name) for name in names]
    own = [name.removeprefix(f"{stage.name}.") for name in names]
    return MeasuredStage(pa.StructArray.from_arrays(arrays, names=own) if own else None, stage.rules)


def changed_pages(
    task: FilterTask, folder: Folder, stored: Mapping[ShardFiles, tuple[Int64s, Bools]]
) -> Iterator[Batch]:
    """The pages with another verdict, read again, in the order of the archive.

    Raises:
        UnreadableArchive: One is not there.
    """
    dumps: dict[int, str | None] = {}
    for files, (_, changed) in stored.items():
        columns = rows_at(folder, files.path(task.shard), np.flatnonzero(changed), ["warc_offset", "dump"])
        dumps |= zip(columns["warc_offset"].to_pylist(), columns["dump"].to_pylist(), strict=True)
    settings: ReadSettings = task.recipe.table("read")
    pages: list[pa.RecordBatch] = []
    with task.source.open() as stream:
        for offset in sorted(dumps):
            stream.seek(offset)
            page = next(read_batches(stream, task.source.path, settings, Counter(), max_documents=1), None)
            if page is None or page.column("warc_offset")[0].as_py() != offset:
                raise UnreadableArchive(f"no page at offset {offset:,}")
            pages.append(page.with_columns(dump=pa.array([dumps[offset]], pa.string())).table)
            if len(pages) >= BATCH_ROWS or sum(each.nbytes for each in pages) >= BATCH_BYTES:
                yield _batch(pages)
                pages = []
    if pages:
        yield _batch(pages)


def _batch(pages: Sequence[pa.RecordBatch]) -> Batch:
    return Batch(pa.Table.from_batches(pages).combine_chunks().to_batches()[0])


class ChangedRows:
    """The rows of the changed pages for each kind of file."""

    def __init__(self, task: FilterTask, signals: pa.DataType) -> None:
        self._settings = task.recipe.table("dedup")
        self._parts: dict[ShardFiles, list[pa.Table]] = {}
        self._offsets: dict[ShardFiles, list[int]] = {}
        self._schemas = {
            DOCUMENTS: schema.DOCUMENT,
            SIGNATURES: signature_schema(self._settings),
            SIGNALS: stored_schema(signals),
            REMOVED_BY_FILTER: schema.removed(all_signals(signals)),
        }

    def add(self, applied: Applied) -> None:
        """Add the pages of a batch."""
        kept = applied.kept
        offsets = kept.column("warc_offset").to_pylist()
        self._add(DOCUMENTS, kept.table, offsets)
        self._add(SIGNATURES, signatures(kept, self._settings), offsets)
        self._add(SIGNALS, stored_rows(kept.table, applied.signals), offsets)
        if applied.removed:
            removed = pa.Table.from_batches(applied.removed).sort_by("warc_offset")
            self._add(REMOVED_BY_FILTER, removed, removed["warc_offset"].to_pylist())

    def _add(self, files: ShardFiles, rows: pa.RecordBatch | pa.Table, offsets: list[int]) -> None:
        table = pa.table(rows) if isinstance(rows, pa.RecordBatch) else rows
        columns = self._schemas[files]
        self._parts.setdefault(files, []).append(table.select(columns.names).cast(columns))
        self._offsets.setdefault(files, []).extend(offsets)

    def tables(self) -> dict[ShardFiles, tuple[pa.Table, Int64s]]:
        """The rows in the order of the archive, and their offsets."""
        return {
            files: (
                pa.concat_tables([columns.empty_table(), *self._parts.get(files, ())]),
                np.array(self._offsets.get(files, ()), np.int64),
            )
            for files, columns in self._schemas.items()
        }
