"""Counts what changed rules do to one shard, from its stored signals and in bounded memory."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Int64s
from curation.jobs.inspect.what_if.counts import (
    EXAMPLES,
    UNSURE,
    ChangedDocument,
    DocumentCounts,
    MoveCounts,
    StageOutput,
)
from curation.jobs.steps.moved_rules import (
    MeasuredRows,
    MovedStage,
    PairsByLanguage,
    judge_all,
    kept_rows,
    languages_at,
    present,
    removed_rows,
)
from curation.recipes.recipe import Recipe
from curation.stages.batch import Batch
from curation.stages.stage import apply, signal_type
from curation.store import schema
from curation.store.folder import Folder
from curation.store.paths import CLUSTERED, DOCUMENTS, DROPS, REMOVED_BY_FILTER, SIGNALS
from curation.store.shards import open_parquet, read_numbered, read_table, rows_at

LENGTHS = ("text_characters", "characters")
"""Signals that give the length of the text after the stage."""

ROWS = 16_384
"""Documents counted at once: their signals take a few megabytes."""


@dataclass(frozen=True, slots=True)
class CountMoved:
    """Counts one shard with changed rules; a picklable task for the cluster.

    Attributes:
        folder: Output folder of the run.
        stages: Stages of the recipe, before and after the change.
        measure: Whether documents that stored signals leave open are passed through the changed stages.
        recipes: The recipes before and after the change, if parameters differ by language.
    """

    folder: Folder
    stages: tuple[MovedStage, ...]
    measure: bool = False
    recipes: tuple[Recipe, Recipe] | None = None

    def __call__(self, shard: str) -> MoveCounts:
        """Count what the change does to the documents of the shard."""
        total = MoveCounts(stages={stage.name: StageOutput() for stage in self.stages})
        pairs = None if self.recipes is None else PairsByLanguage(*self.recipes)
        for part in chain(self._kept(shard), self._removed(shard)):
            if pairs is None:
                total += self._count(shard, part)
                continue
            for language, rows in languages_at(self.folder, part.path, part.numbers):
                total += replace(self, stages=pairs.of(language))._count(shard, part.where(rows))
        return total

    def _kept(self, shard: str) -> Iterator[_Part]:
        path, wanted = SIGNALS.path(shard), {stage.name for stage in self.stages if stage.touched or self.recipes}
        with open_parquet(self.folder, path) as parquet:
            names = parquet.schema_arrow.names
        lengths = {name for _, name in self._lengths(names)}
        columns = [name for name in names if name in lengths or any(name.startswith(f"{own}.") for own in wanted)]
        for numbers, batch in read_numbered(self.folder, path, ["id", *columns], ROWS):
            yield _Part(DOCUMENTS.path(shard), numbers, kept_rows(batch, self.stages), batch["id"])

    def _removed(self, shard: str) -> Iterator[_Part]:
        path = REMOVED_BY_FILTER.path(shard)
        for numbers, batch in read_numbered(self.folder, path, ["id", "stage", "reason", "signals"], ROWS):
            yield _Part(path, numbers, removed_rows(batch, self.stages), batch["id"])

    def _lengths(self, names: Sequence[str]) -> list[tuple[int, str]]:
        """The number of each stage that gives the length of the text after it, and the name of that signal."""
        return [
            (number, f"{stage.name}.{signal}")
            for number, stage in enumerate(self.stages)
            for signal in LENGTHS
            if f"{stage.name}.{signal}" in names
        ]

    def _count(self, shard: str, part: _Part) -> MoveCounts:
        """Count rows: those removed before the first changed stage stay removed, the others are judged again."""
        touched = next((number for number, stage in enumerate(self.stages) if stage.touched), len(self.stages))
        concerned = part.rows.position >= touched
        total = self._unconcerned(part.where(~concerned).rows)
        part = part.where(concerned)
        if not self.measure:
            return total + self._judged(shard, part)
        opened = self._left_open(part)
        if not opened.any():
            return total + self._judged(shard, part)
        measured, with_text = self._measured(part.where(opened))
        opened[np.flatnonzero(opened)[~with_text]] = False
        return total + measured + self._judged(shard, part.where(~opened))

    def _left_open(self, part: _Part) -> Bools:
        """Removed rows for which the stored signals do not decide whether, or by which stage, they are removed."""
        opened = np.zeros(len(part.rows), np.bool_)
        for judged in judge_all(self.stages, part.rows):
            opened |= judged.alive & judged.verdicts.unsure
        return np.asarray(opened & (part.rows.position < len(self.stages)), np.bool_)

    def _measured(self, part: _Part) -> tuple[MoveCounts, Bools]:
        """Count removed rows by applying the stages from the one that removed them; also returns which have a text."""
        documents = fetch_rows(self.folder, part.path, part.numbers)
        with_text = present(documents["text"])
        total = MoveCounts()
        for number in sorted(set(part.rows.position[with_text].tolist())):
            rows = with_text & (part.rows.position == number)
            total += self._measured_from(number, part.where(rows), documents.filter(pa.array(rows)))
        return total, with_text

    def _measured_from(self, number: int, part: _Part, rows: pa.RecordBatch) -> MoveCounts:
        stages = [(stage.name, stage.after) for stage in self.stages[number:]]
        batch = Batch(rows).with_columns(html=pa.nulls(len(rows), pa.string()), place=pa.array(np.arange(len(rows))))
        applied = apply(stages, batch, signal_type(stages, Batch(batch.table.slice(0, 0))))
        kept: dict[str, StageOutput] = {}
        for index, length in enumerate(self._text_lengths(part.rows)):
            before = _amount(part.rows.position > index, length)
            tally = applied.tallies.get(self.stages[index].name)
            after = before if tally is None else DocumentCounts(tally.documents_out, tally.characters_out)
            kept[self.stages[index].name] = StageOutput(before, after, after)
        after_all = {
            place: reason
            for removed in applied.removed
            for place, reason in zip(removed["place"].to_pylist(), removed["reason"].to_pylist(), strict=True)
        }
        own = f"{self.stages[number].name}."
        changed = [at for at in range(len(rows)) if after_all.get(at) != f"{own}{part.rows.reasons[at].as_py()}"]
        return MoveCounts(len(rows), kept, *self._changes(part, np.array(changed, np.int64), after_all))

    def _unconcerned(self, rows: MeasuredRows) -> MoveCounts:
        stages: dict[str, StageOutput] = {}
        for number, length in enumerate(self._text_lengths(rows)):
            amount = _amount(rows.position > number, length)
            stages[self.stages[number].name] = StageOutput(amount, amount, amount)
        return MoveCounts(len(rows), stages)

    def _text_lengths(self, rows: MeasuredRows) -> Iterator[Int64s]:
        """Characters of each row's text after each stage; if a stage did not measure them, those from before it."""
        signals = dict(self._lengths(list(rows.signals)))
        length = _before_extraction(rows)
        for number in range(len(self.stages)):
            if number in signals:
                values = rows.signals[signals[number]]
                length = np.where(present(values), _whole(values), length)
            yield length

    def _judged(self, shard: str, part: _Part) -> MoveCounts:
        rows, end = part.rows, len(self.stages)
        changed = np.zeros(len(rows), np.bool_)
        after: dict[int, str] = {}
        stages: dict[str, StageOutput] = {}
        numbered = enumerate(zip(self.stages, judge_all(self.stages, rows), self._text_lengths(rows), strict=True))
        for number, (stage, judged, length) in numbered:
            moved, reasons = np.flatnonzero(judged.moved).tolist(), judged.verdicts.reasons
            after |= {row: f"{stage.name}.{reasons[row].as_py()}" for row in moved}
            changed |= judged.moved
            alive, sure = judged.alive, judged.sure
            stages[stage.name] = StageOutput(*(_amount(mask, length) for mask in (rows.position > number, sure, alive)))
        changed |= alive & ((rows.position < end) | ~sure)
        after |= dict.fromkeys(np.flatnonzero(alive & ~sure).tolist(), UNSURE)
        counted = MoveCounts(len(rows), stages, *self._changes(part, np.flatnonzero(changed), after))
        kept = rows.position == end
        return counted + self._corpus(shard, part.numbers, kept, ~alive) if kept.any() else counted

    def _changes(
        self, part: _Part, changed: Int64s, after: Mapping[int, str]
    ) -> tuple[Counter[tuple[str, str]], list[ChangedDocument], list[ChangedDocument]]:
        """Moves by reason, and examples of documents that would be added and removed."""
        moves: Counter[tuple[str, str]] = Counter()
        added: list[ChangedDocument] = []
        removed: list[ChangedDocument] = []
        for row in changed.tolist():
            at = int(part.rows.position[row])
            before = "" if at == len(self.stages) else f"{self.stages[at].name}.{part.rows.reasons[row].as_py()}"
            now = after.get(row, "")
            moves[before, now] += 1
            if not before or now in ("", UNSURE):
                (added if before else removed).append(self._change(part, row, before, now))
        return moves, sorted(added)[:EXAMPLES], sorted(removed)[:EXAMPLES]

    def _change(self, part: _Part, row: int, before: str, now: str) -> ChangedDocument:
        key = zlib.crc32((part.ids[row].as_py() or "").encode())
        value = self._value(part.rows, row, before or now)
        return ChangedDocument(
            key, part.path, int(part.numbers[row]), before or None, now or None, now != UNSURE, value
        )

    def _value(self, rows: MeasuredRows, row: int, decided: str) -> str:
        """The value that the rule with the reason `decided` checks: "words = 62"."""
        for stage in self.stages:
            rules = [*getattr(stage.before, "rules", ()), *stage.rules]
            for rule in rules:
                if f"{stage.name}.{rule.reason}" == decided:
                    value = rows.signals[f"{stage.name}.{rule.signal}"][row].as_py()
                    return f"{rule.signal} = {value:.6g}" if isinstance(value, float) else f"{rule.signal} = {value}"
        return ""

    def _corpus(self, shard: str, numbers: Int64s, kept: Bools, removed: Bools) -> MoveCounts:
        """What removing documents does to the corpus, from the results of deduplication."""
        paths = [DROPS.path(shard), CLUSTERED.path(shard)]
        if not all(self.folder.exists(path) for path in paths):
            return MoveCounts(deduplicated=False)
        tables = [read_table(self.folder, path) for path in paths]
        dropped, heads = (table.filter(pa.array(np.isin(_rows(table), numbers))) for table in tables)
        in_corpus = kept.copy()
        in_corpus[np.searchsorted(numbers, _rows(dropped))] = False
        clusters: dict[str, tuple[int, int, int]] = {}
        alone = removed.copy()
        for table, of_corpus in ((dropped, 0), (heads, 1)):
            at = np.searchsorted(numbers, _rows(table))
            alone[at] = False
            for row, key, size in zip(
                at, table["cluster_id"].to_pylist(), table["cluster_size"].to_pylist(), strict=True
            ):
                if removed[row]:
                    cluster = clusters.get(key, (0, 0, 0))
                    clusters[key] = (cluster[0] + 1, max(cluster[1], size), cluster[2] + of_corpus)
        return MoveCounts(corpus=int(in_corpus.sum()), lost=int(alone.sum()), clusters=clusters)


def fetch_rows(folder: Folder, path: str, numbers: Int64s) -> pa.RecordBatch:
    """Read documents of a file by their row numbers, ascending."""
    with open_parquet(folder, path) as parquet:
        missing = schema.LATER - {*parquet.schema_arrow.names}
    whole = rows_at(folder, path, numbers, [name for name in schema.DOCUMENT.names if name not in missing])
    for field in (schema.DOCUMENT.field(name) for name in missing):
        whole = whole.append_column(field, pa.nulls(whole.num_rows, field.type))
    whole = whole.select(schema.DOCUMENT.names).cast(schema.DOCUMENT).combine_chunks()
    return whole.to_batches()[0] if whole.num_rows else pa.RecordBatch.from_pylist([], schema=schema.DOCUMENT)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some rows of a file.

    Attributes:
        path: The file.
        numbers: int64[rows]. Row numbers in the file.
        rows: What the stages measured.
        ids: Ids of the documents.
    """

    path: str
    numbers: Int64s
    rows: MeasuredRows
    ids: pa.Array

    def where(self, mask: Bools) -> _Part:
        if mask.all():
            return self
        return _Part(self.path, self.numbers[mask], self.rows.where(mask), self.ids.filter(pa.array(mask)))


def _rows(table: pa.Table) -> Int64s:
    return np.asarray(table["row"].to_numpy(), np.int64)


def _before_extraction(rows: MeasuredRows) -> Int64s:
    """Characters of text before the first stage that measures them: all for text records, 0 for HTML pages."""
    html, text = rows.signals.get("extract.html_characters"), rows.signals.get("extract.text_characters")
    if html is None or text is None:
        return np.zeros(len(rows), np.int64)
    return np.where(present(html), 0, _whole(text))


def _whole(values: pa.Array) -> Int64s:
    return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False), np.int64)


def _amount(rows: Bools, length: Int64s) -> DocumentCounts:
    return DocumentCounts(int(rows.sum()), int(length[rows].sum()))
