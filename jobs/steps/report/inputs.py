"""What became of each input: a row for every one, or for folders and the most unusual inputs if there are very many."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from curation.archives.inputs import Input
from curation.archives.ledger import LOST, SKIPPED_AS_LOST
from curation.jobs.steps.report.summary import shown
from curation.report.tables import FittedTable
from curation.running.terminal import one_line
from curation.store.shards import shard_of

LISTED = 100
"""Up to this many inputs are listed one by one."""

UNUSUAL = 10
"""Inputs that are listed of each unusual kind if there are more."""

FOLDERS = 30
"""Folders that are listed; the others are added up."""

OTHERS = "(other folders)"

COUNTS = ("bytes", "records", "documents", "kept", "in_corpus", "lost_bytes", "lost_records")
"""What is counted for an input: its size, records or rows read, documents into the first stage, out of the last stage
before deduplication and in the corpus, and what was lost to damage and bad rows."""

Row = dict[str, Any]


class InputCounter:
    """Counts what became of each input. The parts of a divided file are counted as one input.

    Args:
        sources: The inputs of the run.
        quarantined: Those of which nothing was used, as in run.json.
    """

    def __init__(self, sources: Sequence[Input], quarantined: Iterable[Mapping[str, Any]]) -> None:
        self._rows: dict[str, Row] = {}
        self._row_of: dict[str, Row] = {}
        given_up = set(map(shard_of, quarantined))
        for source in sources:
            row = self._rows.get(source.path)
            if row is None:
                row = self._rows[source.path] = {"path": source.path, "kind": source.kind or "unknown"}
                row |= {**dict.fromkeys(COUNTS, 0), "quarantined": False}
            row["bytes"] += source.bytes
            shard = source.shard
            self._row_of[shard] = row
            row["quarantined"] |= shard in given_up

    def counting(self, step: str, counted: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Mapping[str, Any]]:
        """Yield the counts of the shards of a step, and add them to those of their inputs.

        Args:
            step: "filter" or "corpus".
            counted: Shard and counts, as from `counts_by_shard`.
        """
        for shard, counts in counted:
            row, tallies = self._row_of[shard], [*counts["stages"].values()]
            entered, left = (tallies[0]["documents_in"], tallies[-1]["documents_out"]) if tallies else (0, 0)
            if step == "filter":
                read = counts["read"]
                row["records"] += sum(number for name, number in read.items() if name.startswith("records."))
                row["lost_bytes"] += read.get(LOST, 0)
                row["lost_records"] += sum(read.get(name, 0) for name in SKIPPED_AS_LOST)
                row["documents"] += entered
                row["kept"] += left
            else:
                row["in_corpus"] += left
            yield counts

    def to_json(self) -> dict[str, Any]:
        """`count`, `inputs` by path, and, with more than LISTED inputs, `folders`, for stats.json."""
        rows = [self._rows[path] for path in sorted(self._rows)]
        if len(rows) <= LISTED:
            return {"count": len(rows), "inputs": rows}
        return {"count": len(rows), "inputs": _unusual(rows), "folders": _folders(rows)}


def _unusual(rows: Sequence[Row]) -> list[Row]:
    """The inputs that were quarantined, lost most, or kept most or fewest documents for their number, by path."""
    documents, kept = (sum(row[name] for row in rows) for name in ("documents", "kept"))
    share = kept / documents if documents else 0.0

    def beyond(row: Row) -> float:
        return float(row["kept"] - share * row["documents"])

    orders: tuple[Callable[[Row], Any], ...] = (
        lambda row: row["quarantined"],
        lambda row: row["lost_records"],
        lambda row: row["lost_bytes"],
        beyond,
        lambda row: -beyond(row),
    )
    chosen: set[str] = set()
    for order in orders:
        ranked = sorted((row for row in rows if order(row) > 0), key=lambda row: (-order(row), row["path"]))
        chosen.update(row["path"] for row in ranked[:UNUSUAL])
    return [row for row in rows if row["path"] in chosen]


def _folders(rows: Sequence[Row]) -> list[Row]:
    """The sums by folder and kind, the largest first."""
    sums: dict[tuple[str, str], Row] = {}
    for row in rows:
        _add(sums, (posixpath.dirname(row["path"]), row["kind"]), row, 1)
    ranked = sorted(sums.values(), key=lambda row: (-row["bytes"], row["path"], row["kind"]))
    rest: dict[tuple[str, str], Row] = {}
    for row in ranked[FOLDERS:]:
        _add(rest, (OTHERS, row["kind"]), row, row["inputs"])
    return [*ranked[:FOLDERS], *rest.values()]


def _add(sums: dict[tuple[str, str], Row], key: tuple[str, str], row: Row, inputs: int) -> None:
    total = sums.setdefault(key, {"path": key[0], "kind": key[1], "inputs": 0, **dict.fromkeys(COUNTS, 0)})
    total["inputs"] += inputs
    for name in COUNTS:
        total[name] += row[name]


def tables(inputs: Mapping[str, Any], has_corpus: bool) -> list[FittedTable]:
    """The tables for the terminal.

    Args:
        inputs: `inputs` of stats.json.
        has_corpus: Whether some of the corpus is there.
    """
    found = []
    folders = inputs.get("folders", [])
    if folders:
        title = f"{inputs['count']:,} inputs, by folder"
        found.append(_table(title, "folder", folders, has_corpus))
    if inputs["inputs"]:
        title = "Quarantined, damaged and otherwise unusual inputs" if folders else "Inputs"
        found.append(_table(title, "input", inputs["inputs"], has_corpus))
    return found


def _table(title: str, name: str, rows: Sequence[Row], has_corpus: bool) -> FittedTable:
    numbers = ["inputs"] * ("inputs" in rows[0]) + [each for each in COUNTS if each != "in_corpus" or has_corpus]
    columns = [name, "kind", *(each.replace("_", " ") for each in numbers)]
    table = FittedTable(*columns, title=title, left=(0, 1), grouped=True)
    for row in rows:
        kind = f"{row['kind']}, quarantined" if row.get("quarantined") else row["kind"]
        table.add_row(one_line(shown(row["path"])), kind, *(f"{row[each]:,}" for each in numbers))
    return table
