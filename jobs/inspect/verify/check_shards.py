"""The part of `curate verify` that checks that the numbers of one shard add up.

It compares records, pages, kept and removed documents, drop list, signatures and signals. Columns are read one at a
time; ids are held in memory (about 50 bytes per document), texts are never read.
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
from curation.store.paths import CLUSTERED, CORPUS, DOCUMENTS, DROPS, REMOVED_BY_FILTER, SIGNALS
from curation.store.shards import read_numbered, read_shard, read_table


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to check.

    Attributes:
        shard: Name of the shard.
        source: Path of its archive.
        steps: Steps that are done with it.
        usable: Paths of its files that can be read.
    """

    shard: str
    source: str
    steps: frozenset[str]
    usable: frozenset[str]


@dataclass(frozen=True, slots=True)
class ShardCheck:
    """The result of checking a shard.

    Attributes:
        faults: What is wrong with it.
        tokens: Tokens that encoding counted, without end tokens.
    """

    faults: list[Fault]
    tokens: int


@dataclass(frozen=True, slots=True)
class CheckShard:
    """Checks that a shard's numbers add up; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, task: ShardTask) -> ShardCheck:
        """Check the shard."""
        encoded = manifest_of(self.folder, "encode", task.shard) if "encode" in task.steps else None
        counts = encoded.counts if encoded is not None else {"tokens": 0, "documents": 0}
        return ShardCheck(self._faults(task), _of_text(counts))

    def _faults(self, task: ShardTask) -> list[Fault]:
        faults: list[Fault] = []
        checks = [(_check_filter, {"filter"}), (_check_drops, {"filter", "dedup"})]
        checks += [(_check_corpus, {"filter", "dedup", "corpus"}), (_check_counts, {"corpus", "encode"})]
        for check, steps in checks:
            if steps <= task.steps:
                try:
                    faults += check(self.folder, task)
                except UNREADABLE as error:
                    message = f"cannot be checked ({type(error).__name__}: {str(error).splitlines()[0]})"
                    faults.append(Fault(task.shard, message))
        return faults


def _check_filter(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    """Records against pages, pages against kept and removed documents, and rows of one file against another."""
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
        message = f"{rows['documents']:,} documents kept and {rows['removed/filter']:,} removed"
        yield Fault(path, message, f"{pages:,} in total, the pages read")
    yield from _check_stages(path, stages)
    yield from _check_reasons(folder, task, REMOVED_BY_FILTER.path(task.shard), stages)
    for name in ("signatures", STORED):
        other = f"{name}/{task.shard}.parquet"
        if rows.get(name, rows["documents"]) != rows["documents"]:
            yield Fault(other, f"{rows[name]:,} rows", f"{rows['documents']:,}, one per row of documents/")
    yield from _check_signals(folder, task)
    for place in ("documents", "removed/filter"):
        yield from _check_origin(folder, task, f"{place}/{task.shard}.parquet")


def _sum(counts: Mapping[str, int], *prefixes: str) -> int:
    return sum(count for name, count in counts.items() if name.startswith(prefixes))


def _check_read(path: str, read: Mapping[str, int]) -> Iterator[Fault]:
    records, accounted = _sum(read, "records."), _sum(read, "pages.", "passed.", "skipped.")
    if records != accounted:
        yield Fault(path, f"{records:,} records read, but {accounted:,} pages, passed and skipped records", "equal")


def _check_stages(path: str, stages: Mapping[str, Any]) -> Iterator[Fault]:
    """Documents that leave a stage enter the next one; documents that do not leave it have a reason."""
    left = None
    for name, tally in stages.items():
        entered, out, reasons = tally["documents_in"], tally["documents_out"], sum(tally["reasons"].values())
        if left is not None and entered != left:
            yield Fault(path, f"{entered:,} documents entered {name}", f"{left:,}, those that left the stage before it")
        if entered - out != reasons:
            yield Fault(path, f"{reasons:,} documents have a reason of {name}", f"{entered - out:,}, those it removed")
        left = out


def _check_reasons(folder: Folder, task: ShardTask, path: str, stages: Mapping[str, Any]) -> Iterator[Fault]:
    """The reasons in a file of removed documents match the counts in its manifest."""
    if path not in task.usable:
        return
    counted = {f"{name}.{key}": n for name, tally in stages.items() for key, n in tally["reasons"].items() if n}
    actual: Counter[str] = Counter()
    for batch in read_shard(folder, path, ["stage", "reason"], 16_384):
        stage, reason = batch.column("stage").to_pylist(), batch.column("reason").to_pylist()
        actual.update(str(value) for value in reason)
        wrong = [n for n, (a, b) in enumerate(zip(stage, reason, strict=True)) if not str(b).startswith(f"{a}.")]
        yield from in_rows(path, wrong, "the reason is not one of its stage", "stage.rule")
    for name in sorted({*actual, *counted}):
        if actual[name] != counted.get(name, 0):
            yield Fault(path, f"{actual[name]:,} documents with reason {name}", f"{counted.get(name, 0):,} (manifest)")


def _check_signals(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    path, documents = SIGNALS.path(task.shard), DOCUMENTS.path(task.shard)
    if {path, documents} <= task.usable:
        mine, theirs = ids_of(folder, path), ids_of(folder, documents)
        yield from _first_difference(path, mine, theirs, "documents/")


def _check_origin(folder: Folder, task: ShardTask, path: str) -> Iterator[Fault]:
    """Every document has an id and is from the shard's archive."""
    if path not in task.usable:
        return
    for rows, batch in read_numbered(folder, path, ["id", "file_path"], 16_384):
        without_id = rows[batch.column("id").is_null().to_numpy(zero_copy_only=False)]
        yield from in_rows(path, without_id.tolist(), "no id", "the WARC-Record-ID")
        foreign = pc.not_equal(batch.column("file_path"), task.source).fill_null(True)
        wrong = rows[foreign.to_numpy(zero_copy_only=False)]
        yield from in_rows(path, wrong.tolist(), "file_path is that of another archive", task.source)


def _check_drops(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    """Drop list and survivors name rows of documents/, in ascending order, and no row is in both."""
    documents = DOCUMENTS.path(task.shard)
    if documents not in task.usable:
        return
    rows = len(ids_of(folder, documents))
    lists: dict[str, Int64s] = {}
    for name, files in (("drop", DROPS), ("kept", CLUSTERED)):
        path = files.path(task.shard)
        if path not in task.usable:
            return
        lists[name] = read_rows(folder, path)
        yield from in_rows(path, _outside(lists[name], rows), "the row is not in documents/", f"0 to {rows - 1}")
        falling = np.flatnonzero(np.diff(lists[name]) <= 0) + 1
        yield from in_rows(path, falling.tolist(), "rows are not ascending", "each row of documents/ once, ascending")
    both = np.flatnonzero(np.isin(lists["kept"], lists["drop"]))
    path = CLUSTERED.path(task.shard)
    yield from in_rows(path, both.tolist(), "the document is also in the drop list", "in one of them only")


def _outside(rows: Int64s, length: int) -> list[int]:
    return [int(row) for row in np.flatnonzero((rows < 0) | (rows >= length))]


def _check_corpus(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    """corpus/ is documents/ without the drop list and without what later stages removed, in the same order."""
    manifest = manifest_of(folder, "corpus", task.shard)
    corpus, removed, documents = (f"{place}/{task.shard}.parquet" for place in ("corpus", "removed/dedup", "documents"))
    if manifest is None:
        return
    yield from _check_stages(manifest_path("corpus", task.shard), manifest.counts["stages"])
    yield from _check_reasons(folder, task, removed, manifest.counts["stages"])
    drops = DROPS.path(task.shard)
    if not {corpus, removed, documents, drops} <= task.usable:
        return
    ids = ids_of(folder, documents)
    in_drop_list = np.zeros(len(ids), np.bool_)
    rows = read_rows(folder, drops)
    in_drop_list[rows[(rows >= 0) & (rows < len(ids))]] = True
    table = read_table(folder, removed, ["id", "stage"])
    dropped = pc.equal(table["stage"], "dedup")
    listed = table["id"].filter(dropped).combine_chunks()
    yield from _first_difference(removed, listed, ids.filter(pa.array(in_drop_list)), "the drop list")
    later = table["id"].filter(pc.invert(dropped)).combine_chunks()
    kept = ids.filter(pa.array(~in_drop_list))
    if len(later):
        kept = kept.filter(pc.invert(pc.is_in(kept, value_set=later)))
    yield from _first_difference(corpus, ids_of(folder, corpus), kept, "documents/ without the drop list")
    yield from _check_values(folder, corpus)


def _check_values(folder: Folder, path: str) -> Iterator[Fault]:
    """Values of the corpus that are null or out of bounds."""
    for rows, batch in read_numbered(folder, path, ["minhash_cluster_size", "language_score", "token_count"], 16_384):
        for name, low in (("minhash_cluster_size", 1), ("token_count", 0)):
            bad = pc.less(batch.column(name), low).fill_null(name == "minhash_cluster_size")
            wrong = rows[bad.to_numpy(zero_copy_only=False)]
            yield from in_rows(path, wrong.tolist(), f"{name} is out of range", f"at least {low}")


def _first_difference(path: str, actual: pa.Array, wanted: pa.Array, what: str) -> Iterator[Fault]:
    """The first difference between the ids of a file and those wanted, which come from `what`."""
    if actual.equals(wanted):
        return
    shared = min(len(actual), len(wanted))
    differs = pc.not_equal(actual.slice(0, shared), wanted.slice(0, shared)).fill_null(True)
    place = pc.index(differs, True).as_py()
    row = shared if place < 0 else place
    mine = f"id {actual[row]}" if row < len(actual) else f"the file ends after {len(actual):,} documents"
    theirs = f"id {wanted[row]}" if row < len(wanted) else f"the end after {len(wanted):,} documents"
    yield Fault(path, mine, f"{theirs}, as in {what}", row)


def _of_text(counts: Mapping[str, int]) -> int:
    """The tokens of a shard without those that end and begin its documents."""
    return counts["tokens"] - counts["documents"] - counts.get("begin_tokens", 0)


def _check_counts(folder: Folder, task: ShardTask) -> Iterator[Fault]:
    """token_count is filled, and its sum is the number of tokens that encoding counted."""
    manifest, path = manifest_of(folder, "encode", task.shard), CORPUS.path(task.shard)
    if manifest is None or path not in task.usable:
        return
    counts = read_table(folder, path, ["token_count"])["token_count"]
    if counts.null_count:
        yield Fault(path, f"{counts.null_count:,} documents without a token_count", "none")
    encoded = _of_text(manifest.counts)
    total = pc.sum(counts).as_py() or 0
    if total != encoded:
        yield Fault(path, f"the sum of token_count is {total:,}", f"{encoded:,}, the number of encoded tokens")


def ids_of(folder: Folder, path: str) -> pa.StringArray:
    """The column `id` of a shard."""
    return read_table(folder, path, ["id"])["id"].combine_chunks()


def read_rows(folder: Folder, path: str) -> Int64s:
    """The column `row` of a file of deduplication, int64[rows]."""
    return np.asarray(read_table(folder, path, ["row"])["row"].to_numpy(), np.int64)
