"""Line-level deduplication, an option: cut lines that occur in many documents of a domain or of the corpus.

Some menus, cookie notices and footers survive extraction, and then occur on every page of their site. A line is
identified by a hash of its text without surrounding white space. Each document counts once per line; duplicates do not
count. A line that occurs in more documents than the limit is cut everywhere, and a document with nothing left is
removed.

A range sends (hash, documents) for each batch of documents. If a hash occurs in too many documents, every range that
sent it receives it, reads its documents again and lists the lines to cut. Memory: a batch of documents, the buffer of
an exchange, and the frequent hashes of one range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import xxhash

from curation.arrays import Int64s, UInt32s, UInt64s
from curation.dedup.algorithms.hashing import PRIME_1, PRIME_3, mix
from curation.dedup.decisions import read_drops
from curation.dedup.documents import PartitionTask, RangeTask, Shard, Work
from curation.running.compiled import inner, kernel
from curation.stages.batch import Batch
from curation.stages.stage import Outcome
from curation.store.exchange import Exchange, partition_of
from curation.store.paths import DOCUMENTS, LINE_CUTS
from curation.store.shards import Output, ShardWriter, read_numbered
from curation.text.hosts import registered_domain

BLANK = np.uint64(0)
"""The hash of a blank line, which is never cut."""

CUTS = pa.schema([("row", pa.int64()), ("line", pa.int32())])
"""Columns of dedup/lines/<shard>.parquet: lines to cut, by row of documents/<shard>.parquet and index in
`text.split("\\n")`, both ascending."""


@inner
def _is_space(code: int) -> bool:
    return code <= 32 or code == 0x85 or code == 0xA0 or code == 0x3000 or 0x2000 <= code <= 0x200B


@kernel
def _hash_lines(codepoints: UInt32s, starts: Int64s, ends: Int64s, scopes: UInt64s, out: UInt64s) -> None:
    for line in range(len(starts)):
        start, end = starts[line], ends[line]
        while start < end and _is_space(int(codepoints[start])):
            start += 1
        while end > start and _is_space(int(codepoints[end - 1])):
            end -= 1
        value = scopes[line] ^ PRIME_3
        for position in range(start, end):
            value = (value ^ np.uint64(codepoints[position])) * PRIME_1
            value ^= value >> np.uint64(32)
        out[line] = max(mix(value), np.uint64(1)) if end > start else BLANK


def line_hashes(batch: Batch, scope: str) -> tuple[Int64s, Int64s, UInt64s]:
    """Hash all lines of a batch.

    Args:
        batch: The documents.
        scope: "corpus", or "domain" for hashes that are equal only within a registered domain.

    Returns:
        For each line the row of its document, its index in the document, and its hash, all of shape (lines,).
    """
    spans = batch.lines
    counts = spans.last - spans.first
    owner = np.repeat(np.arange(len(counts)), counts)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    flat = np.repeat(spans.first, counts) + inside
    scopes = np.zeros(len(counts), np.uint64)
    if scope == "domain":
        domains = (registered_domain(url or "") for url in batch.column("url").to_pylist())
        scopes = np.array([xxhash.xxh3_64_intdigest(domain.encode()) for domain in domains], np.uint64)
    out = np.empty(len(owner), np.uint64)
    _hash_lines(batch.characters.codepoints, spans.starts[flat], spans.ends[flat], scopes[owner], out)
    return owner, inside, out


def document_counts(owner: Int64s, hashes: UInt64s) -> tuple[UInt64s, Int64s]:
    """Count the documents that contain each line; returns distinct hashes, ascending and without BLANK, and counts."""
    order = np.lexsort((owner, hashes))
    owner, hashes = owner[order], hashes[order]
    new = np.ones(len(hashes), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    distinct, counts = np.unique(hashes[new & (hashes != BLANK)], return_counts=True)
    return distinct, counts


COUNTS = pa.schema([("hash", pa.uint64()), ("documents", pa.int32()), ("range", pa.int32())])

FREQUENT = pa.schema([("hash", pa.uint64())])

LINES_PER_DOCUMENT = 32
"""Expected number of lines per document, to choose the number of partitions."""


def line_counts_exchange(work: Work) -> Exchange:
    """Exchange of COUNTS rows by hash."""
    return work.by_key("line-counts", LINES_PER_DOCUMENT * work.documents)


def frequent_lines_exchange(work: Work) -> Exchange:
    """Exchange of FREQUENT rows by the range that contains such lines."""
    return work.by_range("frequent-lines")


def send_lines(task: RangeTask) -> int:
    """Send the number of kept documents that contain each line. Returns the rows sent."""
    exchange = line_counts_exchange(task.work)
    with exchange.sender(task.name, COUNTS) as sender:
        for shard in task.shards:
            for _, batch in _kept_documents(task.work, shard):
                owner, _, hashes = line_hashes(batch, task.work.settings.line_scope)
                distinct, counts = document_counts(owner, hashes)
                numbers = np.full(len(distinct), task.number, np.int32)
                columns = [pa.array(distinct), pa.array(counts.astype(np.int32)), pa.array(numbers)]
                rows = pa.RecordBatch.from_arrays(columns, schema=COUNTS)
                sender.send(rows, partition_of(distinct, exchange.partitions))
    return sender.rows


def choose_lines(task: PartitionTask) -> int:
    """Send to the ranges those of their lines that are in too many documents. Returns the number of such lines."""
    work, limit = task.work, task.work.settings.max_line_documents or 0
    rows = task.exchange.receive_table(task.number, COUNTS)
    hashes, place = np.unique(rows.column("hash").to_numpy(), return_inverse=True)
    totals = np.bincount(place, weights=rows.column("documents").to_numpy(), minlength=len(hashes))
    frequent = totals > limit
    targets = np.unique(np.stack([rows.column("range").to_numpy().astype(np.int64), place], 1)[frequent[place]], axis=0)
    batch = pa.RecordBatch.from_arrays([pa.array(hashes[targets[:, 1]])], schema=FREQUENT)
    with frequent_lines_exchange(work).sender(task.name, FREQUENT) as sender:
        sender.send(batch, targets[:, 0])
    return int(frequent.sum())


def write_lines(task: RangeTask) -> list[Output]:
    """Write the lines to cut from each shard of a range: dedup/lines/<shard>.parquet."""
    work = task.work
    rows = frequent_lines_exchange(work).receive_table(task.number, FREQUENT)
    frequent = rows.column("hash").to_numpy()
    outputs = []
    for shard in task.shards:
        if shard.earlier is not None:
            continue
        with ShardWriter(work.folder, LINE_CUTS.path(shard.name), CUTS, row_group_rows=1 << 17) as writer:
            for numbers, batch in _kept_documents(work, shard) if len(frequent) else ():
                owner, inside, hashes = line_hashes(batch, work.settings.line_scope)
                cut = np.isin(hashes, frequent)
                columns = [pa.array(numbers[owner[cut]]), pa.array(inside[cut].astype(np.int32))]
                writer.write(pa.RecordBatch.from_arrays(columns, schema=CUTS))
        outputs.append(writer.output)
    return outputs


def _kept_documents(work: Work, shard: Shard) -> Iterator[tuple[Int64s, Batch]]:
    """Yield the documents of a shard of this run that are not duplicates, with their rows."""
    if shard.earlier is not None:
        return
    dropped = read_drops(work.folder, shard.name).column("row").to_numpy()
    for rows, table in read_numbered(shard.folder, DOCUMENTS.path(shard.name), ["text", "url"]):
        is_kept = ~np.isin(rows, dropped)
        yield rows[is_kept], Batch(table).keep(is_kept)


@dataclass(frozen=True, slots=True)
class CutLines:
    """Stage that cuts the listed lines of a shard, and removes documents left without text.

    The batch needs a column `position`, the number of each document in its shard.

    Attributes:
        cuts: Lines to cut, with the columns CUTS.
    """

    cuts: pa.Table
    version: ClassVar[int] = 1

    def __call__(self, batch: Batch, /) -> Outcome:
        """Cut the listed lines; documents without other lines are removed with the reason `max_line_documents`."""
        rows = batch.column("position").to_numpy()
        listed, lines = self.cuts["row"].to_numpy(), self.cuts["line"].to_numpy()
        texts = batch.text.to_pylist()
        reasons: list[str | None] = [None] * len(texts)
        count = 0
        for place, row in enumerate(rows.tolist()):
            start, stop = np.searchsorted(listed, [row, row + 1]).tolist()
            if start == stop:
                continue
            cut = set(lines[start:stop].tolist())
            texts[place] = "\n".join(line for at, line in enumerate(texts[place].split("\n")) if at not in cut).strip()
            count += len(cut)
            reasons[place] = None if texts[place] else "max_line_documents"
        changed = batch.with_text(pa.array(texts, pa.string())) if count else batch
        return Outcome(changed, pa.array(reasons, pa.string()), counts={"lines_cut": count})
