"""`curate explain`: one document's path through the stages, every value measured beside its threshold, the verdict.

The document is found by id or URL in the output folder. Its record is then read again from the archive and taken
through the stages, so that a document that was kept has its values too; where the archive is gone, the values stored
with a removed document are shown.
"""

from __future__ import annotations

import difflib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import FSSpecHandler, PyFileSystem
from rich.console import Console
from rich.table import Table

from curation.batch import Batch
from curation.dedup.drops import Comparison, compare, find_row
from curation.errors import InputError, UnreadableArchive
from curation.jobs.plan import Plan
from curation.jobs.report import printable
from curation.rules import Rule, violations
from curation.shards import shard_name
from curation.stage import Stage
from curation.warc import read_batches

RECORD_HEADERS = 1 << 20
"""Bytes read beyond the largest page allowed, for the headers around it."""

PLACES = ("corpus", "removed/filter", "removed/dedup", "documents")
"""Where a document may be, the most telling place first; documents/ only until the corpus is written."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One stage's view of the document: its values, its rules with whether each is violated, and what it counted."""

    stage: str
    signals: dict[str, Any]
    rules: list[tuple[Rule, bool]]
    reason: str | None
    text_before: str | None
    text_after: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a document is, why, and what each stage measured. `place` is one of PLACES.

    duplicate: of one that deduplication dropped, what ties it to its survivor.
    """

    place: str
    row: dict[str, Any]
    stages: list[Measured] = field(default_factory=list)
    replayed: bool = False
    duplicate: Comparison | None = None


def explain(plan: Plan, key: str) -> list[Explanation]:
    """Everything known of the documents with this id or URL. InputError if there is none."""
    found = [_explain_row(plan, place, row) for place, rows in _find(plan, key).items() for row in rows]
    if not found:
        raise InputError(f"{key}: no document of this id or URL in {plan.folder.url}")
    return found


def _find(plan: Plan, key: str) -> dict[str, list[dict[str, Any]]]:
    files = PyFileSystem(FSSpecHandler(plan.folder.fs))
    found: dict[str, list[dict[str, Any]]] = {}
    seen: set[tuple[str, int]] = set()
    for place in PLACES:
        paths = [plan.folder.path(path) for path in plan.folder.list(place, ".parquet")]
        if not paths:
            continue
        wanted = (ds.field("id") == key) | (ds.field("url") == key)
        rows = ds.dataset(paths, format="parquet", filesystem=files).to_table(filter=wanted).to_pylist()
        new = [row for row in rows if (row["file_path"], row["warc_offset"]) not in seen]
        seen.update((row["file_path"], row["warc_offset"]) for row in new)
        if new:
            found[place] = new
    return found


def _explain_row(plan: Plan, place: str, row: dict[str, Any]) -> Explanation:
    batch = _record(plan, row)
    duplicate = _compare(plan, row) if place == "removed/dedup" else None
    if batch is None:
        return Explanation(place, row, list(_stored(plan, row)), duplicate=duplicate)
    return Explanation(place, row, list(_replay(plan, batch)), replayed=True, duplicate=duplicate)


def _compare(plan: Plan, row: dict[str, Any]) -> Comparison | None:
    shard = shard_name(row["file_path"])
    number = find_row(plan.folder, shard, row["id"], row["warc_offset"])
    return compare(plan.folder, shard, number) if number is not None else None


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


def _replay(plan: Plan, batch: Batch) -> Iterator[Measured]:
    for name, stage in plan.recipe.stages:
        outcome = stage(batch)
        reason = outcome.reasons[0].as_py() if outcome.reasons is not None else None
        signals = outcome.signals[0].as_py() if outcome.signals is not None else {}
        rules = _judge(stage, outcome.signals) if outcome.signals is not None else []
        yield Measured(name, signals, rules, reason, batch.text[0].as_py(), outcome.batch.text[0].as_py())
        if reason is not None:
            return
        batch = outcome.batch


def _stored(plan: Plan, row: dict[str, Any]) -> Iterator[Measured]:
    stored: dict[str, Any] = row.get("signals") or {}
    for name, stage in plan.recipe.stages:
        values = {key.removeprefix(f"{name}."): value for key, value in stored.items() if key.startswith(f"{name}.")}
        if not any(value is not None for value in values.values()):
            continue
        reason = row["reason"].partition(".")[2] if row.get("stage") == name else None
        yield Measured(name, values, _judge(stage, pa.array([values])), reason, None, row["text"])


def _judge(stage: Stage, signals: pa.StructArray) -> list[tuple[Rule, bool]]:
    rules: tuple[Rule, ...] = getattr(stage, "rules", ())
    return [(rule, bool(violations(signals, rule)[0])) for rule in rules]


def as_plain(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain values for JSON."""
    stages = [
        {
            "stage": measured.stage,
            "signals": measured.signals,
            "rules": [
                {"rule": str(rule), "reason": rule.reason, "violated": violated} for rule, violated in measured.rules
            ],
            "reason": measured.reason,
        }
        for measured in explanation.stages
    ]
    return {
        "place": explanation.place,
        "document": explanation.row,
        "stages": stages,
        "replayed": explanation.replayed,
        "duplicate": asdict(explanation.duplicate) if explanation.duplicate is not None else None,
    }


def show(explanation: Explanation, console: Console) -> None:
    """Print the explanation: where the document is, then a table of each stage's values and thresholds."""
    row = explanation.row
    verdict = "kept" if explanation.place in ("corpus", "documents") else f"removed: {row['reason']}"
    for name in ("id", "url", "file_path", "warc_offset", "date", "language", "language_score", "minhash_cluster_size"):
        console.print(f"{name:<21}{printable(str(row[name]))}")
    console.print(f"{'verdict':<21}[bold]{printable(verdict)}[/bold] ({explanation.place}/)")
    if explanation.place == "removed/dedup":
        for name, value in (row["signals"] or {}).items():
            console.print(f"{name:<21}{printable(str(value))}")
    if explanation.duplicate is not None:
        _show_duplicate(explanation.duplicate, console)
    if not explanation.replayed:
        console.print("The archive cannot be read; these are the values stored with the document.")
    table = Table("stage", "signal", "value", "goes if", "verdict")
    for measured in explanation.stages:
        for line in _lines(measured):
            table.add_row(*line)
    console.print(table)
    for measured in explanation.stages:
        _show_edit(measured, console)


def _show_duplicate(found: Comparison, console: Console) -> None:
    bands = ", ".join(map(str, found.shared_bands)) or "none"
    console.print(f"{'survivor_url':<21}{printable(str(found.survivor_url))}")
    console.print(f"{'bands in common':<21}{len(found.shared_bands)} of {found.bands}: {bands}")
    console.print(f"{'same simplified text':<21}{'yes' if found.same_text else 'no'}")


def _lines(measured: Measured) -> Iterator[tuple[str, str, str, str, str]]:
    ruled = {rule.signal for rule, _ in measured.rules}
    for rule, violated in measured.rules:
        verdict = "removed here" if rule.reason == measured.reason else "violated" if violated else "passes"
        value = _value(measured.signals.get(rule.signal))
        yield measured.stage, rule.signal, value, f"{rule.comparison} {rule.threshold:g}  ({rule.reason})", verdict
    for signal, value in measured.signals.items():
        if signal not in ruled:
            yield measured.stage, signal, _value(value), "", ""
    if measured.reason is not None and all(rule.reason != measured.reason for rule, _ in measured.rules):
        yield measured.stage, "", "", measured.reason, "removed here"


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def _show_edit(measured: Measured, console: Console) -> None:
    """Lines that the stage took out of the text or put in, unless it made the text."""
    before, after = measured.text_before, measured.text_after
    if before is None or after is None or before == after:
        return
    console.print(f"[bold]{measured.stage}[/bold] changed the text:")
    for line in difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=0):
        if line[:1] in "+-" and line[:3] not in ("+++", "---"):
            style = "green" if line[0] == "+" else "red"
            console.print(f"[{style}]{printable(line)}[/{style}]", soft_wrap=True)
