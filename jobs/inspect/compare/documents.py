"""Matches the documents of two runs by id, and determines the outcome of each in both runs.

Every document, kept or removed, is sent to the partition of its id's hash, so that the same ids of both runs are in the
same partition. Partitions are compared one by one, so memory does not grow with the size of the runs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from curation.arrays import Int64s
from curation.jobs.steps.plan import Plan
from curation.store.exchange import Exchange, partition_of
from curation.store.folder import Folder
from curation.store.hashing import hash_texts
from curation.store.manifest import fingerprints
from curation.store.shards import read_numbered

EXAMPLES = 3
"""Number of example documents per outcome: those with the lowest hashes."""

NOT_READ = "not read"
"""In place of a reason: the run did not read the record, or did not treat it as a page."""

MENTION = pa.schema(
    [
        ("high", pa.uint64()),
        ("low", pa.uint64()),
        ("side", pa.uint8()),
        ("reason", pa.string()),
        ("text", pa.uint64()),
        ("characters", pa.int64()),
        ("tokens", pa.int64()),
        ("file", pa.int32()),
        ("row", pa.int64()),
    ]
)
"""A document of a run: the hash of its id, the run (0 or 1), the reason of its removal (null if it was kept), the hash
of its text, its size, and its file and row."""

ROW_BYTES = 96


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """A file of documents.

    Attributes:
        side: The run: 0 or 1.
        number: Number of the file among all files of both runs.
        folder: Output folder of the run.
        path: Path of the file in the folder.
        kept: Whether its documents were kept.
    """

    side: int
    number: int
    folder: Folder
    path: str
    kept: bool


@dataclass(frozen=True, slots=True)
class SendDocuments:
    """Sends the documents of a file to their partitions; a picklable task for the cluster."""

    exchange: Exchange

    def __call__(self, file: ComparedFile) -> int:
        """Send the documents of a file; returns how many."""
        columns = ["id", "token_count", "text"] if file.kept else ["id", "token_count", "reason"]
        with self.exchange.sender(f"documents-{file.number:06d}", MENTION) as sender:
            for numbers, batch in read_numbered(file.folder, file.path, columns, 2048):
                rows = _mentions(file, batch, numbers)
                sender.send(rows, partition_of(rows.column("high").to_numpy(), sender.partitions))
        return sender.rows


def _mentions(file: ComparedFile, batch: pa.RecordBatch, rows: Int64s) -> pa.RecordBatch:
    n = batch.num_rows
    hashes = hash_texts(batch.column("id"))
    texts, characters, reasons = np.zeros(n, np.uint64), np.zeros(n, np.int64), pa.nulls(n, pa.string())
    if file.kept:
        column = batch.column("text")
        digests = (xxhash.xxh3_64_intdigest((text or "").encode()) for text in column.to_pylist())
        texts = np.fromiter(digests, np.uint64, n)
        characters = pc.utf8_length(column).fill_null(0).to_numpy().astype(np.int64)
    else:
        reasons = batch.column("reason")
    columns = [
        pa.array(np.ascontiguousarray(hashes[:, 0])),
        pa.array(np.ascontiguousarray(hashes[:, 1])),
        pa.array(np.full(n, file.side, np.uint8)),
        reasons,
        pa.array(texts),
        pa.array(characters),
        batch.column("token_count").fill_null(0),
        pa.array(np.full(n, file.number, np.int32)),
        pa.array(rows),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=MENTION)


Outcome = tuple[str | None, str | None, bool]
"""The outcome of a document: the reasons in A and in B, None if it was kept, and whether both have the same text."""

Place = tuple[int, int]
"""File and row."""

Example = tuple[int, Place | None, Place | None]
"""The hash by which examples are selected, and the document's place in A and in B."""


@dataclass
class OutcomeTally:
    """Documents with one outcome. Characters and tokens are those of the corpus that has them, A's if both do."""

    documents: int = 0
    characters: int = 0
    tokens: int = 0
    examples: list[Example] = field(default_factory=list)

    def __add__(self, other: OutcomeTally) -> OutcomeTally:
        examples = sorted([*self.examples, *other.examples], key=lambda example: example[0])[:EXAMPLES]
        return OutcomeTally(
            self.documents + other.documents, self.characters + other.characters, self.tokens + other.tokens, examples
        )


@dataclass(frozen=True, slots=True)
class CompareDocuments:
    """Compares the documents of a partition; a picklable task for the cluster."""

    exchange: Exchange

    def __call__(self, partition: int) -> tuple[dict[Outcome, OutcomeTally], tuple[int, int]]:
        """Compare a partition; returns tallies by outcome, and how many repeated ids each run has."""
        table = self.exchange.receive_table(partition, MENTION)
        if not table.num_rows:
            return {}, (0, 0)
        table = table.sort_by([(name, "ascending") for name in ("high", "low", "side", "file", "row")])
        tallies: dict[Outcome, OutcomeTally] = {}
        repeated = [0, 0]
        # Only a block of rows at a time is converted to Python objects.
        rows = (row for batch in table.to_batches(max_chunksize=8192) for row in batch.to_pylist())
        for (high, _), mentions in groupby(rows, itemgetter("high", "low")):
            sides: list[dict[str, Any] | None] = [None, None]
            for mention in mentions:
                known = sides[mention["side"]]
                repeated[mention["side"]] += known is not None
                if known is None or (known["reason"] is not None and mention["reason"] is None):
                    sides[mention["side"]] = mention
            outcome, tally = _judge(high, *sides)
            tallies[outcome] = tallies.get(outcome, OutcomeTally()) + tally
        return tallies, (repeated[0], repeated[1])


def _judge(high: int, a: dict[str, Any] | None, b: dict[str, Any] | None) -> tuple[Outcome, OutcomeTally]:
    reasons = [NOT_READ if side is None else side["reason"] for side in (a, b)]
    kept = [side for side in (a, b) if side is not None and side["reason"] is None]
    same = len(kept) == 2 and kept[0]["text"] == kept[1]["text"]
    places = [None if side is None else (side["file"], side["row"]) for side in (a, b)]
    size = kept[0] if kept else {"characters": 0, "tokens": 0}
    return (reasons[0], reasons[1], same), OutcomeTally(
        1, size["characters"], size["tokens"], [(high, places[0], places[1])]
    )


def files_of(plans: tuple[Plan, Plan]) -> tuple[list[ComparedFile], list[str]]:
    """List every file of documents of both runs, as far as they have run; also returns notes for the reader."""
    files: list[ComparedFile] = []
    notes = []
    for side, plan in enumerate(plans):
        early = late = 0
        filtered, finished = (fingerprints(plan.folder, step) for step in ("filter", "corpus"))
        for source in plan.inputs:
            places = _places(source.shard, filtered, finished)
            early += places == _FILTERED
            late += not places
            for place, kept in places:
                path = f"{place}/{source.shard}.parquet"
                files.append(ComparedFile(side, len(files), plan.folder, path, kept))
        name = "AB"[side]
        if early:
            notes.append(f"{name}: {early:,} inputs are only filtered; what deduplication will remove counts as kept")
        if late:
            notes.append(f"{name}: {late:,} inputs are not filtered yet and count as not read")
    return files, notes


_FILTERED = (("documents", True), ("removed/filter", False))
_FINISHED = (("corpus", True), ("removed/filter", False), ("removed/dedup", False))


def _places(shard: str, filtered: Collection[str], finished: Collection[str]) -> tuple[tuple[str, bool], ...]:
    if shard not in filtered:
        return ()
    return _FINISHED if shard in finished else _FILTERED
