"""Deduplication of a table: the phases of a run, in a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic

import numpy as np
import pyarrow as pa

from curation.dedup.decisions import read_drops
from curation.dedup.documents import Shard
from curation.dedup.run import deduplicate as find_duplicates
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import signature_schema, signatures
from curation.dedup.survivor_rules import BEST, survivor_value
from curation.errors import InputError, ParameterError
from curation.running.cluster import Cluster
from curation.stages.batch import Batch
from curation.stages.frames import BATCH_ROWS, ROW, Frame, frame_of, frame_parts
from curation.stages.parameters import build
from curation.stages.pipeline import Table
from curation.store import schema
from curation.store.folder import Folder
from curation.store.paths import DOCUMENTS, SIGNATURES
from curation.store.shards import ShardWriter

SHARD_ROWS = 20 * BATCH_ROWS
"""Rows of a shard, which is one task of the phases."""

BEST_VALUE = "language_score"
"""The column of documents/ that holds the numbers to compare, whatever the column of the table is named."""

ELSEWHERE = ("against", "max_line_documents")
"""Settings that need the folders of runs, or a step after this one."""


@dataclass(frozen=True, slots=True, repr=False)
class DeduplicatedTable(Generic[Table]):
    """What deduplication made of a table.

    Attributes:
        kept: The rows kept.
        removed: The rows removed, with the columns `reason` (`exact_duplicate`, `near_duplicate`, `url_duplicate`),
            `similarity` (estimated Jaccard similarity to the survivor, 0 to 1; null for `url_duplicate`) and
            `survivor` (the number of the row that it lost to, in the table that was given, from 0).
        counts: Documents, candidate pairs, pairs, clusters and their sizes, documents removed by reason.
    """

    kept: Table
    removed: Table
    counts: Mapping[str, Any]

    def __repr__(self) -> str:
        gone = self.counts["removed"]
        return f"DeduplicatedTable(kept={self.counts['documents'] - sum(gone.values())}, removed={gone})"


def deduplicate(table: Table, *, text_column: str = "text", **settings: Any) -> DeduplicatedTable[Table]:
    """Remove duplicates and near-duplicates (MinHash, verified), with the verdicts of a run on the same documents.

    Args:
        table: A pyarrow Table or RecordBatch, a pandas or polars DataFrame, or a dict of lists. Its order decides
            which copy came first.
        text_column: The column that holds the texts.
        **settings: Keys of the recipe's table [dedup] (docs/deduplication.md): `threshold` (0.72), `ngram` (5 words),
            `exact`, `url` (needs the column `url`; the newest by `date` stays), `survivor` ("first", "longest",
            "newest", or "best:" and any column of numbers), … `against` and `max_line_documents` work on runs only.

    Returns:
        The rows kept, those removed with reason, similarity and survivor, and the counts.

    Raises:
        InputError: There is no text column, it holds no text, or a setting needs a column that is not there.
        RecipeError, ParameterError: There is no such setting, or it cannot have this value.
        TypeError: It is no table of a kind that is known.

    Example:
        >>> from curation import deduplicate
        >>> text = "The ferry leaves the harbour at nine and comes back when the last guest is on board."
        >>> found = deduplicate({"text": [text, "Something else.", text.upper()]})
        >>> found.kept["text"][1], found.removed["reason"], found.removed["survivor"]
        ('Something else.', ['exact_duplicate'], [0])
    """
    frame = frame_of(table)
    wanted = build(DedupSettings, settings, "deduplicate()")
    for key in ELSEWHERE:
        if getattr(wanted, key):
            raise ParameterError(key, getattr(wanted, key), "left out here: only a run (`curate dedup`) can do it")
    columns = _columns(wanted, frame)
    best = survivor_value(f"{BEST}{BEST_VALUE}" if BEST_VALUE in columns else wanted.survivor)
    with tempfile.TemporaryDirectory(prefix="curation-") as path:
        folder = Folder(path)
        shards = list(_sign(folder, frame, text_column, columns, wanted))
        cluster = Cluster(threads=min(len(shards), os.cpu_count() or 1))
        result = find_duplicates(folder, wanted, best, shards, cluster, "table")
        lists = [read_drops(folder, shard.name) for shard in shards]
    mask = np.ones(frame.rows, np.bool_)
    for number, dropped in enumerate(lists):
        mask[dropped["row"].to_numpy() + number * SHARD_ROWS] = False
    drops = pa.concat_tables(lists)
    verdict = {"reason": drops["reason"], "similarity": drops["similarity"]}
    verdict["survivor"] = drops["survivor_id"].cast(pa.int64())
    return DeduplicatedTable(frame.where(mask).table, frame.where(~mask).replace(verdict).table, result.counts)


def _columns(settings: DedupSettings, frame: Frame) -> dict[str, str]:
    """The columns of documents/, besides the text, that the settings ask for, and those of the table for them."""
    by_language = settings.scope == "language"
    asked_for = (("url", settings.url), ("date", settings.survivor == "newest"), ("language", by_language))
    needed = {name: name for name, asked in asked_for if asked}
    if settings.survivor.startswith(BEST):
        column = settings.survivor.removeprefix(BEST)
        needed["date" if column == "date" else BEST_VALUE] = column
    missing = [name for name in needed.values() if name not in frame.names]
    if missing:
        there = ", ".join(map(repr, frame.names))
        raise InputError(f"deduplicate() needs the column {missing[0]!r} for what is asked; there are: {there}")
    return needed | ({"date": "date"} if settings.url and "date" in frame.names else {})


def _sign(
    folder: Folder, frame: Frame, text_column: str, columns: dict[str, str], settings: DedupSettings
) -> Iterator[Shard]:
    """Write documents/ (without texts, which nothing reads again) and signatures/; a document's id is its row."""
    parts = frame_parts(frame, text_column, [*columns.values()])
    for number, group in groupby(parts, lambda part: part.first // SHARD_ROWS):
        name = f"{number:06d}"
        with (
            ShardWriter(folder, DOCUMENTS.path(name), schema.DOCUMENT) as documents,
            ShardWriter(folder, SIGNATURES.path(name), signature_schema(settings)) as signed,
        ):
            for part in group:
                documents.write(_document(part.batch, columns))
                signed.write(signatures(Batch(part.batch), settings))
        yield Shard(folder, name, 0, 0)


def _document(batch: pa.RecordBatch, columns: dict[str, str]) -> pa.RecordBatch:
    arrays = []
    for field in schema.DOCUMENT:
        source = ROW if field.name == "id" else columns.get(field.name)
        if source is None:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        try:
            values = batch.column(source)
            if field.name == BEST_VALUE and pa.types.is_string(values.type):
                raise InputError(f"the column {source!r} holds {values.type}, not numbers")
            arrays.append(values.cast(field.type))
        except (KeyError, pa.ArrowException) as error:
            raise InputError(f"the column {source!r} cannot be read as {field.type}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema.DOCUMENT)
