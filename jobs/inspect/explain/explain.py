"""`curate explain`: one document's path through the stages, with every measured value, its threshold and the verdict.

The document's record is read again from the archive and passed through the stages. That way a kept document has values
too, and it can be shown what was cut from its text. The stages after the one that removed the document are applied as
well, as if it had been kept. If the input is gone or cannot be read, the values stored with the document are shown.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from curation.archives.inputs import Input
from curation.archives.reader import ReadSettings, read_batches
from curation.archives.watched import read_watched_row
from curation.dedup.decisions import SurvivorComparison, compare, find_row, survivor_text
from curation.errors import CurationError, NotTrusted, UnreadableArchive
from curation.jobs.inspect.explain.lookup import LocatedDocument, find_documents
from curation.jobs.steps.corpus import later_stages, line_cuts
from curation.jobs.steps.plan import Plan
from curation.report.highlights import Spans, decisive, shared_lines
from curation.stages.batch import Batch
from curation.stages.by_language import identifies_language
from curation.stages.parameters import parameters
from curation.stages.rules import Rule, violations
from curation.stages.stage import Stage, as_if_kept, blamed
from curation.store.folder import Folder
from curation.store.paths import DOCUMENTS, RUN, SIGNALS
from curation.store.shards import rows_at
from curation.store.storage import explain as storage_error
from curation.store.storage import is_io

RECORD_HEADERS = 1 << 20
"""Bytes read in addition to the largest allowed page, for its headers."""

KEPT = ("corpus", "documents")
"""Folders of documents that were kept."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """What one stage says about the document.

    Attributes:
        stage: Name of the stage.
        signals: Measured values by signal.
        rules: The stage's rules, and whether the document violates each.
        reason: Why the stage removes the document; None if it keeps it.
        before: Text that enters the stage; None if it is not known.
        after: Text that leaves the stage; None if it is not known.
        supposed: Whether an earlier stage removed the document, so that this is what the stage would have said.
    """

    stage: str
    signals: dict[str, Any]
    rules: list[tuple[Rule, bool]]
    reason: str | None
    before: str | None
    after: str | None
    supposed: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a document is, why, and what each stage measured.

    Attributes:
        place: The folder of the output that has the document.
        row: The document's row there.
        stages: What each stage says, in order.
        replayed: Whether the record was read again; otherwise stored values are shown.
        duplicate: If deduplication removed the document, how it matches its survivor.
        differs: The reason that the stages give now, if it is not the one that the run gave.
        requested: The requested key, if the document's id or URL is spelled differently.
        missing: Why the document cannot be compared with its survivor, if it cannot.
        marks: Spans of the text that decided, in code points; None unless they were asked for.
        without_code: Stages that could not be applied, because their code is not built in and the run is not trusted.
    """

    place: str
    row: dict[str, Any]
    stages: list[StageResult] = field(default_factory=list)
    replayed: bool = False
    duplicate: SurvivorComparison | None = None
    differs: str | None = None
    requested: str | None = None
    missing: str | None = None
    marks: Spans | None = None
    without_code: Sequence[str] = ()

    @property
    def reason(self) -> str | None:
        """Why the document was removed, as `stage.rule`; None if it was kept."""
        return None if self.place in KEPT else self.row["reason"]


def explain(plan: Plan, key: str, *, marks: bool = False) -> list[Explanation]:
    """Explain the documents with this id or URL.

    Args:
        plan: The run.
        key: The id or URL.
        marks: Whether to find the parts of the text that decided.

    Raises:
        InputError: There is none; the message lists similar addresses.
    """
    found = find_documents(plan, key)
    return [_explain(plan, document, marks) for document in found]


def _explain(plan: Plan, document: LocatedDocument, marks: bool) -> Explanation:
    place, shard, row = document.place, document.shard, document.row
    number = None
    if place != "removed/filter" and plan.folder.exists(DOCUMENTS.path(shard)):
        number = find_row(plan.folder, shard, row["id"], row["warc_offset"], row.get("row"))
    duplicate, missing = None, None
    if place == "removed/dedup" and number is not None:
        duplicate, missing = _compare(plan, shard, number, row)
    spans = _marks(plan, row, shard, number if duplicate is not None else None) if marks else None
    batch = _record(plan, row)
    stages = list(_replay(plan, batch)) if batch is not None else list(_stored(plan, place, row, shard, number))
    differs = _difference(stages, place, row) if batch is not None else None
    if number is not None and (place == "corpus" or row.get("stage") == "decontaminate"):
        stages += _corpus(plan, shard, number)
    said = duplicate, differs, document.requested, missing, spans
    return Explanation(place, row, stages, batch is not None, *said, plan.recipe.without_code())


def _marks(plan: Plan, row: dict[str, Any], shard: str, number: int | None) -> Spans:
    """What decided a removal: what a rule counted, or the lines that a duplicate shares with its survivor.

    Args:
        plan: The run.
        row: The document's row.
        shard: Its shard.
        number: Its row in documents/, for a duplicate whose survivor can be read.
    """
    text, stage = row["text"] or "", dict(plan.recipe.stages_of(row["language"])).get(row.get("stage") or "")
    if number is not None:
        return shared_lines(text, survivor_text(plan.folder, shard, number, plan.recipe.table("dedup").against))
    return decisive(row["reason"], text, parameters(stage)) if stage is not None else []


def _compare(plan: Plan, shard: str, number: int, row: dict[str, Any]) -> tuple[SurvivorComparison | None, str | None]:
    """How a duplicate matches its survivor, or why that cannot be said: the survivor's run may have been moved."""
    try:
        return compare(plan.folder, shard, number, plan.recipe.table("dedup").against), None
    except Exception as error:
        missing = isinstance(error, ValueError | LookupError) or is_io(error)
        if isinstance(error, CurationError) or not missing:
            raise
        earlier = (row["signals"] or {}).get("dedup.survivor_run")
        what = f"the earlier run {earlier}, which has the survivor," if earlier else "a file of deduplication"
        gone = isinstance(error, FileNotFoundError)
        return None, f"{what} {'is no longer there' if gone else f'cannot be read: {storage_error(error)}'}"


def _difference(stages: list[StageResult], place: str, row: dict[str, Any]) -> str | None:
    """The verdict of the stages now, if it is not that of the run."""
    removed = next((f"{each.stage}.{each.reason}" for each in stages if each.reason and not each.supposed), None)
    return None if removed == (row["reason"] if place == "removed/filter" else None) else removed or "kept"


def _record(plan: Plan, row: dict[str, Any]) -> Batch | None:
    """The document as the reader returns it, or None if its file or record cannot be read."""
    source = next((entry for entry in plan.inputs if entry.path == row["file_path"]), None)
    if plan.recipe.without_code():  # stages that cannot be applied
        return None
    if source is None or (row["warc_offset"] is None and row.get("row") is None):
        return None
    if not plan.trusted and source.is_special:
        raise NotTrusted(f"{plan.folder.url}/{RUN}", f"the input {source.path!r} is not a regular file")
    try:
        batch = _read(source, row.get("row"), row["warc_offset"], plan.recipe.table("read"))
    except (OSError, ValueError, UnreadableArchive):
        return None
    return batch if batch is not None and len(batch) and batch.column("id")[0].as_py() == row["id"] else None


def _read(source: Input, row: int | None, offset: int | None, settings: ReadSettings) -> Batch | None:
    """The document at a row of its file, or at a byte offset of its archive."""
    if row is not None:
        return read_watched_row(source, row, settings)
    with source.open() as archive:
        archive.seek(offset or 0)
        window = io.BytesIO(archive.read(settings.max_page_bytes + RECORD_HEADERS))
        return next(read_batches(window, source.path, settings, Counter(), max_documents=1), None)


def _replay(plan: Plan, batch: Batch) -> Iterator[StageResult]:
    """Apply every stage, including those after the one that removes the document if it has a text by then."""
    supposed = False
    for number, (name, stage) in enumerate(plan.recipe.stages):
        if plan.recipe.languages:
            stage = _of_language(plan, number, stage, batch)
        measured, batch = _apply(name, stage, batch, supposed=supposed)
        yield measured
        supposed |= measured.reason is not None
        if supposed and batch.text[0].as_py() is None:
            return


def _of_language(plan: Plan, number: int, stage: Stage, batch: Batch) -> Stage:
    """The stage with the parameters for the document's language, if it is known by then."""
    if identifies_language(stage):
        with blamed(plan.recipe.stages[number][0], stage):
            batch = stage(batch).batch
    if "language" not in batch.table.schema.names:
        return stage
    return plan.recipe.stages_of(batch.column("language")[0].as_py())[number][1]


def _apply(name: str, stage: Stage, batch: Batch, *, supposed: bool) -> tuple[StageResult, Batch]:
    """Apply a stage to a batch with one row; returns the result and the batch after the stage, as if it were kept."""
    with blamed(name, stage):
        outcome = stage(batch)
        reason = outcome.reasons[0].as_py() if outcome.reasons is not None else None
        signals = outcome.signals[0].as_py() if outcome.signals is not None else {}
        rules = _judge(stage, outcome.signals) if outcome.signals is not None else []
        left = outcome.batch if reason is None else as_if_kept(stage, batch, outcome, np.ones(1, np.bool_))
    measured = StageResult(name, signals, rules, reason, batch.text[0].as_py(), left.text[0].as_py(), supposed)
    return measured, left


def _corpus(plan: Plan, shard: str, number: int) -> Iterator[StageResult]:
    """What the steps after deduplication do to the text of a document that is no duplicate."""
    batch = _document(plan.folder, shard, number)
    for name, stage in (*line_cuts(plan.folder, shard), *later_stages(plan.recipe)):
        try:
            measured, batch = _apply(name, stage, batch, supposed=False)
        except CurationError:
            return  # the secret used for its replacements is not available
        yield measured
        if measured.reason is not None:
            return


def _document(folder: Folder, shard: str, number: int) -> Batch:
    """One row of documents/<shard>.parquet, with the row number that the stages of the corpus step need."""
    rows = rows_at(folder, DOCUMENTS.path(shard), [number]).combine_chunks().to_batches()[0]
    return Batch(rows.append_column(pa.field("position", pa.int64()), pa.array([number], pa.int64())))


def _stored(plan: Plan, place: str, row: dict[str, Any], shard: str, number: int | None) -> Iterator[StageResult]:
    stored = _stored_values(plan.folder, place, row, shard, number)
    removed_by = row["stage"] if place == "removed/filter" else None
    supposed = False
    for name, stage in plan.recipe.stages_of(row["language"]):
        values = {key.removeprefix(f"{name}."): value for key, value in stored.items() if key.startswith(f"{name}.")}
        reason = row["reason"].removeprefix(f"{name}.") if name == removed_by else None
        if any(value is not None for value in values.values()):
            yield StageResult(name, values, _judge(stage, pa.array([values])), reason, None, None, supposed)
        supposed |= reason is not None


def _stored_values(folder: Folder, place: str, row: dict[str, Any], shard: str, number: int | None) -> dict[str, Any]:
    if place == "removed/filter":
        return row.get("signals") or {}
    path = SIGNALS.path(shard)
    if number is None or not folder.exists(path):
        return {}
    rows = rows_at(folder, path, [number]).to_pylist()
    return dict(rows[0]) if rows else {}


def _judge(stage: Stage, signals: pa.StructArray) -> list[tuple[Rule, bool]]:
    rules: tuple[Rule, ...] = getattr(stage, "rules", ())
    return [(rule, bool(violations(signals, rule)[0])) for rule in rules]
