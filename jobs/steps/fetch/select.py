"""The select step: chooses records in one file of a crawl's index, and applies the recipe's URL filter to them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from curation.archives.commoncrawl.client import Client, RequestSettings
from curation.archives.commoncrawl.index import FOUND as COLUMNS
from curation.archives.commoncrawl.index import IndexFile, IndexQuery
from curation.archives.commoncrawl.records import MAX_ARCHIVE, MAX_RECORD
from curation.archives.inputs import Input
from curation.errors import UnreadableArchive
from curation.filters.url import Url
from curation.jobs.steps.fetch.files import FOUND
from curation.running.performance import Meter
from curation.stages.batch import Batch
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.store.shards import ShardWriter

STEP = "select"

VERSION = 1

ROWS = 1 << 14
"""Addresses given to the URL filter at once."""


@dataclass(frozen=True, slots=True)
class SelectTask:
    """One file of an index to search.

    Attributes:
        folder: The output folder.
        source: The file.
        query: What to look for.
        filters: The URL filters of the recipe, with their names.
        request_settings: How to ask for parts of the file.
        fingerprint: Of its manifest.
    """

    folder: Folder
    source: Input
    query: IndexQuery
    filters: tuple[tuple[str, Url], ...]
    request_settings: RequestSettings
    fingerprint: str

    @property
    def shard(self) -> str:
        """Its name in manifests/select/."""
        return self.source.shard


def select_records(task: SelectTask) -> dict[str, int]:
    """Search one file, its manifest last; returns the number of records that match and that are kept.

    A file that is not one of an index, or is damaged, is done too: its manifest says so.

    Raises:
        UsageError: The condition cannot be evaluated.
        StepFailed: The server failed for too long.
    """
    meter, client = Meter(), Client(task.request_settings)
    removed: Counter[str] = Counter()
    matches, unreadable, outputs = 0, "", []
    metadata = {"curation.fingerprint": task.fingerprint}
    try:
        with ShardWriter(task.folder, FOUND.path(task.shard), COLUMNS, metadata) as writer:
            for table in meter.each("index", IndexFile(task.source, client).select(task.query)):
                matches += table.num_rows
                with meter.timed("url"):
                    for batch in _usable(table, removed).to_batches(max_chunksize=ROWS):
                        writer.write(_kept(batch, task.filters, removed))
        outputs = [writer.output]
    except UnreadableArchive as error:
        matches, unreadable = 0, str(error)
        removed.clear()
    counts = {"matches": matches, "removed": dict(sorted(removed.items())), "unreadable": unreadable}
    times = {**meter.report(), **client.report()}
    Manifest(STEP, task.shard, task.fingerprint, [task.source.identity], outputs, counts).write(task.folder, times)
    return {"documents_in": matches, "documents_out": sum(output.rows for output in outputs)}


def _usable(table: pa.Table, removed: Counter[str]) -> pa.Table:
    """The rows that say where a record is; the others are counted."""
    offset, length = table["warc_record_offset"], table["warc_record_length"]
    is_usable = pc.and_(
        pc.and_(pc.greater_equal(offset, 0), pc.less(offset, MAX_ARCHIVE)),
        pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_RECORD)),
    ).fill_null(False)
    usable = table.filter(is_usable)
    if usable.num_rows < table.num_rows:
        removed["index.no_place"] += table.num_rows - usable.num_rows
    return usable


def _kept(batch: pa.RecordBatch, filters: tuple[tuple[str, Url], ...], removed: Counter[str]) -> pa.RecordBatch:
    """The rows whose address no filter removes; the others are counted by reason, `url.domain`."""
    for name, url_filter in filters:
        reasons = url_filter(Batch(batch)).reasons
        if reasons is not None:
            removed.update(f"{name}.{reason}" for reason in reasons.drop_null().to_pylist())
            batch = batch.filter(reasons.is_null())
    return batch
