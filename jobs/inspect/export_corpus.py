"""`curate export-corpus`: the documents of a run as Parquet or JSON Lines, by shard or by language.

One task per shard of the corpus. Folders by language follow Hive: `language=en/…`, with the names encoded as in a URL.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import InputError, OutputError, ParameterError
from curation.running.cluster import Cluster
from curation.store.folder import Folder
from curation.store.paths import CORPUS
from curation.store.shards import Output, ShardWriter, read_table, writing_zstd

CORPUS_FORMATS = ("parquet", "jsonl")

LAYOUTS = ("shard", "language")

BATCH_ROWS = 1024
"""Documents that are Python objects at once."""

NO_LANGUAGE = "__HIVE_DEFAULT_PARTITION__"
"""Hive's name for rows without a value."""


@dataclass(frozen=True, slots=True)
class CorpusExportTask:
    """A shard of the corpus to export.

    Attributes:
        run: Output folder of the run.
        target: Folder to write to.
        shard: Name of the shard.
        form: One of CORPUS_FORMATS.
        by: One of LAYOUTS.
    """

    run: Folder
    target: Folder
    shard: str
    form: str
    by: str


def export_corpus(source: str, target: str, form: str, by: str, cluster: Cluster) -> list[Output]:
    """Export the documents of a run.

    Args:
        source: Output folder of the run.
        target: Folder to write to, which must be empty.
        form: "parquet" or "jsonl", which is compressed with zstd.
        by: "shard" for a file per shard, or "language" for a folder per language with a file per shard.
        cluster: Where to run.

    Returns:
        The files written, by name; their `rows` are documents.

    Raises:
        ParameterError: The format or layout is unknown.
        InputError: There is no corpus.
        OutputError: The target has files already.
    """
    if form not in CORPUS_FORMATS:
        raise ParameterError("format", form, f"one of {', '.join(CORPUS_FORMATS)}")
    if by not in LAYOUTS:
        raise ParameterError("by", by, f"one of {', '.join(LAYOUTS)}")
    run, folder = Folder(source), Folder(target)
    shards = CORPUS.shards(run)
    if not shards:
        raise InputError(f"{source}: contains no corpus/*.parquet")
    if existing := folder.list():
        raise OutputError(f"{target}: has files already, such as {existing[0]}; choose a new folder")
    folder.check_writable()
    tasks = [CorpusExportTask(run, folder, shard, form, by) for shard in shards]
    outputs = [output for written in cluster.each(export_shard, tasks) for output in written]
    return sorted(outputs, key=lambda output: output.path)


def export_shard(task: CorpusExportTask) -> list[Output]:
    """Export one shard. Runs in a worker."""
    table = read_table(task.run, CORPUS.path(task.shard)).replace_schema_metadata(None)
    if task.by == "shard":
        return [_write(task, task.shard, table)]
    outputs = []
    for language in table["language"].unique().to_pylist():
        chosen = table.filter(pc.is_null(table["language"]) if language is None else pc.field("language") == language)
        if task.form == "parquet":  # the folder has the value, and readers refuse or ignore a column of its name
            chosen = chosen.drop_columns("language")
        name = NO_LANGUAGE if language is None else quote(language, safe="")
        outputs.append(_write(task, f"language={name}/{task.shard}", chosen))
    return outputs


def _write(task: CorpusExportTask, stem: str, table: pa.Table) -> Output:
    if task.form == "parquet":
        with ShardWriter(task.target, f"{stem}.parquet", table.schema) as writer:
            writer.write(table)
        return writer.output
    with writing_zstd(task.target, f"{stem}.jsonl.zst") as (packed, file):
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            packed.write("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in batch.to_pylist()).encode())
    return Output(f"{stem}.jsonl.zst", file.size, file.hash, table.num_rows)
