"""The part of `curate verify` that adds up one shard: records, pages, kept and removed, drop list, signatures, signals.

A shard's columns are read one at a time, ids whole (some 50 bytes a document), texts never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Int64s
from curation.jobs.inspect.verify.check_files import UNREADABLE
from curation.jobs.inspect.verify.completion import manifest_of
from curation.jobs.inspect.verify.faults import Fault, in_rows
from curation.stages.signals import STORED
from curation.store.folder import Folder
from curation.store.manifest import manifest_path
from curation.store.shards import read_shard, read_table


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard, the archive it was made from, the steps it is done with, and the files of it that can be read."""

    shard: str
    source: str
    steps: frozenset[str]
    usable: frozenset[str]


@dataclass(frozen=True, slots=True)
class ShardCheck:
    """What was seen of a shard. tokens: those that encoding counted, without ends of documents."""

    faults: list[Fault]
    tokens: int


@dataclass(frozen=True, slots=True)
class CheckShard:
    """Whether a shard's documents add up; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, task: ShardTask) -> ShardCheck:
        """Everything in the shard that does not add up."""
        encoded = manifest_of(self.folder, "encode", task.shard) if "encode" in task.steps else None
        counts = encoded.counts if encoded is not None else {"tokens": 0, "documents": 0}
        return ShardCheck(self._faults(task), counts["tokens"] - counts["documents"])

    def _faults(self, task: ShardTask) -> list[Fault]:
        faults: list[Fault] = []
        checks = [(_check_filter, {"filter"}), (_check_drops, {"filter", "dedup"})]
        checks += [(_check_corpus, {"filter", "dedup", "corpus"}), (_check_counts, {"corpus", "encode"})]
        for check, steps in checks:
            if steps <= task.steps:
                try:
                    faults += check(self.folder, task)
                except UNREADABLE as error:
                    told = f"cannot be looked into ({type(error).__name__}: {str(error).splitlines()[0]})"
                    faults.append(Fault(task.shard, told))
        return faults


def _check_filter(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    """Records to pages, pages to documents and removed ones, rows beside rows."""
    manifest = manifest_of(folder, "filter", task.shard)
    if manifest is None:
        return
    path = manifest_path("filter", task.shard)
    rows = {output.path.rpartition("/")[0]: output.rows for output in manifest.outputs}
    stages = manifest.counts["stages"]
    pages = _sum(manifest.counts["read"], "pages.")
    yield from _check_read(path, manifest.counts["read"])
    entered = next(iter(stages.values()))["documents_in"] if stages else 0
    if entered != pages:
        yield Fault(path, f"{entered:,} documents entered the first stage", f"{pages:,}, the pages read")
    if rows["documents"] + rows["removed/filter"] != pages:
        told = f"{rows['documents']:,} documents kept and {rows['removed/filter']:,} removed"
        yield Fault(path, told, f"{pages:,} in all, the pages read")
    yield from _check_stages(path, stages)
    yield from _check_reasons(folder, task, f"removed/filter/{task.shard}.parquet", stages)
    for name in ("signatures", STORED):
        beside = f"{name}/{task.shard}.parquet"
        if rows.get(name, rows["documents"]) != rows["documents"]:
            yield Fault(beside, f"{rows[name]:,} rows", f"{rows['documents']:,}, a row for each of documents/")
    yield from _check_signals(folder, task)
    for place in ("documents", "removed/filter"):
        yield from _check_origin(folder, task, f"{place}/{task.shard}.parquet")


def _sum(counts: Mapping[str, int], *prefixes: str) -> int:
    return sum(count for name, count in counts.items() if name.startswith(prefixes))


def _check_read(path: str, read: Mapping[str, int]) -> Iterator[Fault]:
    records, told = _sum(read, "records."), _sum(read, "pages.", "passed.", "skipped.")
    if records != told:
        yield Fault(path, f"{records:,} records read, {told:,} of them a page, passed by or skipped", "all of them")


def _check_stages(path: str, stages: Mapping[str, Any]) -> Iterator[Fault]:
    """What leaves a stage enters the next; what does not leave has a reason."""
    left = None
    for name, tally in stages.items():
        entered, out, reasons = tally["documents_in"], tally["documents_out"], sum(tally["reasons"].values())
        if left is not None and entered != left:
            yield Fault(path, f"{entered:,} documents entered {name}", f"{left:,}, which left the stage before it")
        if entered - out != reasons:
            yield Fault(path, f"{reasons:,} documents have a reason of {name}", f"{entered - out:,}, which it removed")
        left = out


def _check_reasons(folder: Folder, task: ShardTask, path: str, stages: Mapping[str, Any]) -> Iterator[Fault]:
    """The reasons in a file of removed documents are those that its manifest counts."""
    if path not in task.usable:
        return
    counted = {f"{name}.{key}": n for name, tally in stages.items() for key, n in tally["reasons"].items() if n}
    found: Counter[str] = Counter()
    for batch in read_shard(folder, path, ["stage", "reason"], 16_384):
        stage, reason = batch.column("stage").to_pylist(), batch.column("reason").to_pylist()
        found.update(str(value) for value in reason)
        strange = [n for n, (a, b) in enumerate(zip(stage, reason, strict=True)) if not str(b).startswith(f"{a}.")]
        yield from in_rows(path, strange, "the reason is not of the stage named beside it", "stage.rule")
    for name in sorted({*found, *counted}):
        if found[name] != counted.get(name, 0):
            yield Fault(path, f"{found[name]:,} documents of reason {name}", f"{counted.get(name, 0):,} (manifest)")


def _check_signals(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    path, documents = f"{STORED}/{task.shard}.parquet", f"documents/{task.shard}.parquet"
    if {path, documents} <= task.usable:
        mine, theirs = ids_of(folder, path), ids_of(folder, documents)
        yield from _first_difference(path, mine, theirs, "documents/")


def _check_origin(folder: Folder, task: ShardTask, path: str) -> Iterator[Fault]:
    """Every document has an id and comes from the shard's archive."""
    if path not in task.usable:
        return
    first = 0
    for batch in read_shard(folder, path, ["id", "file_path"], 16_384):
        nameless = np.flatnonzero(batch.column("id").is_null().to_numpy(zero_copy_only=False))
        yield from in_rows(path, (nameless + first).tolist(), "no id", "the WARC-Record-ID")
        foreign = pc.not_equal(batch.column("file_path"), task.source).fill_null(True)
        strange = np.flatnonzero(foreign.to_numpy(zero_copy_only=False))
        yield from in_rows(path, (strange + first).tolist(), "file_path is another archive's", task.source)
        first += batch.num_rows


def _check_drops(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    """Drop list and survivors: rows of documents/, ascending, none in both."""
    documents = f"documents/{task.shard}.parquet"
    if documents not in task.usable:
        return
    rows = len(ids_of(folder, documents))
    lists: dict[str, Int64s] = {}
    for name in ("drop", "kept"):
        path = f"dedup/{name}/{task.shard}.parquet"
        if path not in task.usable:
            return
        lists[name] = read_rows(folder, path)
        yield from in_rows(path, _outside(lists[name], rows), "names a row that documents/ has not", f"0 to {rows - 1}")
        falling = np.flatnonzero(np.diff(lists[name]) <= 0) + 1
        yield from in_rows(path, falling.tolist(), "rows do not ascend", "each row of documents/ once, ascending")
    both = np.flatnonzero(np.isin(lists["kept"], lists["drop"]))
    path = f"dedup/kept/{task.shard}.parquet"
    yield from in_rows(path, both.tolist(), "this document is also in the drop list", "a document in one of them")


def _outside(rows: Int64s, length: int) -> list[int]:
    return [int(row) for row in np.flatnonzero((rows < 0) | (rows >= length))]


def _check_corpus(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    """corpus/ is documents/ less the drop list and less what a later stage removed, in that order."""
    manifest = manifest_of(folder, "corpus", task.shard)
    corpus, removed, documents = (f"{place}/{task.shard}.parquet" for place in ("corpus", "removed/dedup", "documents"))
    if manifest is None:
        return
    yield from _check_stages(manifest_path("corpus", task.shard), manifest.counts["stages"])
    yield from _check_reasons(folder, task, removed, manifest.counts["stages"])
    drops = f"dedup/drop/{task.shard}.parquet"
    if not {corpus, removed, documents, drops} <= task.usable:
        return
    ids = ids_of(folder, documents)
    gone = np.zeros(len(ids), np.bool_)
    rows = read_rows(folder, drops)
    gone[rows[(rows >= 0) & (rows < len(ids))]] = True
    table = read_table(folder, removed, ["id", "stage"])
    dropped = pc.equal(table["stage"], "dedup")
    listed = table["id"].filter(dropped).combine_chunks()
    yield from _first_difference(removed, listed, ids.filter(pa.array(gone)), "the drop list")
    later = table["id"].filter(pc.invert(dropped)).combine_chunks()
    kept = ids.filter(pa.array(~gone))
    if len(later):
        kept = kept.filter(pc.invert(pc.is_in(kept, value_set=later)))
    yield from _first_difference(corpus, ids_of(folder, corpus), kept, "documents/ less the drop list")
    yield from _check_values(folder, corpus)


def _check_values(folder: Folder, path: str) -> Iterator[Fault]:
    """Columns of the corpus that are never null, or bounded."""
    first = 0
    for batch in read_shard(folder, path, ["minhash_cluster_size", "language_score", "token_count"], 16_384):
        for name, low in (("minhash_cluster_size", 1), ("token_count", 0)):
            bad = pc.less(batch.column(name), low).fill_null(name == "minhash_cluster_size")
            strange = np.flatnonzero(bad.to_numpy(zero_copy_only=False)) + first
            yield from in_rows(path, strange.tolist(), f"{name} is out of range", f"at least {low}")
        first += batch.num_rows


def _first_difference(path: str, found: pa.Array, wanted: pa.Array, what: str) -> Iterator[Fault]:
    """Where one list of ids leaves the other."""
    if found.equals(wanted):
        return
    shared = min(len(found), len(wanted))
    differs = np.flatnonzero(
        pc.not_equal(found.slice(0, shared), wanted.slice(0, shared)).fill_null(True).to_numpy(zero_copy_only=False)
    )
    row = int(differs[0]) if len(differs) else shared
    mine = f"id {found[row]}" if row < len(found) else f"the file ends after {len(found):,} documents"
    theirs = f"id {wanted[row]}" if row < len(wanted) else f"the end after {len(wanted):,} documents"
    yield Fault(path, mine, f"{theirs}, as {what} has it", row)


def _check_counts(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    """token_count is filled and sums up to the tokens that encoding counted."""
    manifest, path = manifest_of(folder, "encode", task.shard), f"corpus/{task.shard}.parquet"
    if manifest is None or path not in task.usable:
        return
    counts = read_table(folder, path, ["token_count"])["token_count"]
    if counts.null_count:
        yield Fault(path, f"{counts.null_count:,} documents without a token_count", "one for each")
    made = manifest.counts["tokens"] - manifest.counts["documents"]
    total = pc.sum(counts).as_py() or 0
    if total != made:
        yield Fault(path, f"token_count sums up to {total:,}", f"{made:,}, the tokens made of it")


def ids_of(folder: Folder, path: str) -> pa.StringArray:
    """The column `id` of a shard."""
    column = read_table(folder, path, ["id"])["id"].combine_chunks()
    return column if not isinstance(column, pa.ChunkedArray) else pa.concat_arrays(column.chunks)


def read_rows(folder: Folder, path: str) -> Int64s:
    """The column `row` of a list of deduplication, shape (rows,)."""
    return np.asarray(read_table(folder, path, ["row"])["row"].to_numpy(), np.int64)
