"""`curate explain`: one document's path through the stages, every value measured beside its threshold, the verdict.

The document's record is read again from the archive and taken through the stages, so that a document that was kept has
its values too, and what was cut from its text can be shown; the stages after the one that removed it are asked as well,
as if it had stayed. Where the archive is gone, the values stored with the document are shown.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from curation.archives.reader import read_batches
from curation.dedup.decisions import SurvivorComparison, compare, find_row
from curation.errors import CurationError, UnreadableArchive
from curation.jobs.inspect.explain.lookup import find_documents
from curation.jobs.steps.corpus import line_cuts
from curation.jobs.steps.plan import Plan
from curation.stages.batch import Batch
from curation.stages.rules import Rule, violations
from curation.stages.signals import STORED
from curation.stages.stage import Stage, as_if_kept
from curation.store.folder import Folder
from curation.store.shards import rows_at, shard_name

RECORD_HEADERS = 1 << 20
"""Bytes read beyond the largest page allowed, for the headers around it."""

KEPT = ("corpus", "documents")
"""Places of documents that stay."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """One stage's view of the document: its values, its rules with whether each is violated, and its text around it.

    supposed: a stage before removed the document; this is what the stage would say of it. before, after: None where
    the text is not known.
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
    """Where a document is, why, and what each stage measured. place: a folder of the output.

    duplicate: of one that deduplication dropped, what ties it to its survivor. differs: the reason that the stages give
    now, where it is not the one that the run gave. asked: the key, where the document's address is spelled otherwise.
    """

    place: str
    row: dict[str, Any]
    stages: list[StageResult] = field(default_factory=list)
    replayed: bool = False
    duplicate: SurvivorComparison | None = None
    differs: str | None = None
    asked: str | None = None

    @property
    def reason(self) -> str | None:
        """The reason of the removal as `stage.rule`, None for a document that was kept."""
        return None if self.place in KEPT else self.row["reason"]


def explain(plan: Plan, key: str) -> list[Explanation]:
    """Everything known of the documents with this id or URL. InputError, with the nearest ones, if there is none."""
    return [_explain(plan, found.place, found.row, found.asked) for found in find_documents(plan, key)]


def _explain(plan: Plan, place: str, row: dict[str, Any], asked: str | None) -> Explanation:
    shard = shard_name(row["file_path"])
    number = None
    if place != "removed/filter" and plan.folder.exists(f"documents/{shard}.parquet"):
        number = find_row(plan.folder, shard, row["id"], row["warc_offset"])
    duplicate = compare(plan.folder, shard, number) if place == "removed/dedup" and number is not None else None
    batch = _record(plan, row)
    stages = list(_replay(plan, batch)) if batch is not None else list(_stored(plan, place, row, shard, number))
    differs = _difference(stages, place, row) if batch is not None else None
    if place == "corpus" and number is not None:
        stages += _corpus(plan, shard, number)
    return Explanation(place, row, stages, batch is not None, duplicate, differs, asked)


def _difference(stages: list[StageResult], place: str, row: dict[str, Any]) -> str | None:
    """What the stages say now, if it is not what the run says."""
    removed = next((f"{each.stage}.{each.reason}" for each in stages if each.reason and not each.supposed), None)
    return None if removed == (row["reason"] if place == "removed/filter" else None) else removed or "kept"


def _record(plan: Plan, row: dict[str, Any]) -> Batch | None:
    """The document as it left the reader, or None where the archive or the record in it cannot be reached."""
    source = next((entry for entry in plan.inputs if entry.path == row["file_path"]), None)
    if source is None or row["warc_offset"] is None:
        return None
    try:
        with source.open() as archive:
            archive.seek(row["warc_offset"])
            window = io.BytesIO(archive.read(plan.recipe.table("read").max_page_bytes + RECORD_HEADERS))
            batches = read_batches(window, source.path, plan.recipe.table("read"), Counter(), max_documents=1)
            batch = next(batches, None)
    except (OSError, ValueError, UnreadableArchive):
        return None
    return batch if batch is not None and len(batch) and batch.column("id")[0].as_py() == row["id"] else None


def _replay(plan: Plan, batch: Batch) -> Iterator[StageResult]:
    """What every stage says, those after the one that removes the document too if it has a text by then."""
    supposed = False
    for name, stage in plan.recipe.stages:
        measured, batch = _ask(name, stage, batch, supposed=supposed)
        yield measured
        supposed |= measured.reason is not None
        if supposed and batch.text[0].as_py() is None:
            return


def _ask(name: str, stage: Stage, batch: Batch, *, supposed: bool) -> tuple[StageResult, Batch]:
    """What a stage says of a batch of one row, and the batch as it leaves the stage if it stays."""
    outcome = stage(batch)
    reason = outcome.reasons[0].as_py() if outcome.reasons is not None else None
    signals = outcome.signals[0].as_py() if outcome.signals is not None else {}
    rules = _judge(stage, outcome.signals) if outcome.signals is not None else []
    left = outcome.batch if reason is None else as_if_kept(stage, batch, outcome, np.ones(1, np.bool_))
    measured = StageResult(name, signals, rules, reason, batch.text[0].as_py(), left.text[0].as_py(), supposed)
    return measured, left


def _corpus(plan: Plan, shard: str, number: int) -> Iterator[StageResult]:
    """What the steps after deduplication do to the text of a document of the corpus."""
    batch = _document(plan.folder, shard, number)
    pii: Stage = plan.recipe.table("pii")
    for name, stage in (*line_cuts(plan.folder, shard), ("pii", pii)):
        try:
            measured, batch = _ask(name, stage, batch, supposed=False)
        except CurationError:
            return  # the secret that its replacements were made with is not at hand
        yield measured


def _document(folder: Folder, shard: str, number: int) -> Batch:
    """One row of documents/<shard>.parquet, numbered as the stages of the corpus step want it."""
    found = rows_at(folder, f"documents/{shard}.parquet", [number]).combine_chunks().to_batches()[0]
    return Batch(found.append_column(pa.field("row", pa.int64()), pa.array([number], pa.int64())))


def _stored(plan: Plan, place: str, row: dict[str, Any], shard: str, number: int | None) -> Iterator[StageResult]:
    stored = _stored_values(plan.folder, place, row, shard, number)
    removed_by = row["stage"] if place == "removed/filter" else None
    supposed = False
    for name, stage in plan.recipe.stages:
        values = {key.removeprefix(f"{name}."): value for key, value in stored.items() if key.startswith(f"{name}.")}
        reason = row["reason"].removeprefix(f"{name}.") if name == removed_by else None
        if any(value is not None for value in values.values()):
            yield StageResult(name, values, _judge(stage, pa.array([values])), reason, None, None, supposed)
        supposed |= reason is not None


def _stored_values(folder: Folder, place: str, row: dict[str, Any], shard: str, number: int | None) -> dict[str, Any]:
    if place == "removed/filter":
        return row.get("signals") or {}
    path = f"{STORED}/{shard}.parquet"
    if number is None or not folder.exists(path):
        return {}
    rows = rows_at(folder, path, [number]).to_pylist()
    return dict(rows[0]) if rows else {}


def _judge(stage: Stage, signals: pa.StructArray) -> list[tuple[Rule, bool]]:
    rules: tuple[Rule, ...] = getattr(stage, "rules", ())
    return [(rule, bool(violations(signals, rule)[0])) for rule in rules]
