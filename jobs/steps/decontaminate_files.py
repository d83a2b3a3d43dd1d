"""Decontamination of any corpus: Parquet, JSON Lines or text files into corpus/, removed/ and decontamination/.

One task per file. A finished file has a manifest, so that an interrupted command resumes, as a run does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import InputError, OutputError
from curation.filters.decontaminate import MATCHES, Decontaminate
from curation.jobs.steps.corpus import found_items
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.tasks import run_tasks
from curation.running.cluster import Cluster
from curation.running.performance import Meter
from curation.stages.batch import Batch
from curation.stages.parameters import identity
from curation.stages.stage import apply, signal_type
from curation.stages.tally import StageTally, add_stages
from curation.store import paths
from curation.store.folder import Folder
from curation.store.manifest import Manifest, fingerprint
from curation.store.shards import ShardWriter, shard_name
from curation.store.storage import input_errors
from curation.text.text_files import TEXTS, naming_damage, read_texts, text_files

STEP = "decontaminate"
REMOVED = paths.ShardFiles("removed/decontaminate")
ROWS = 1024


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file to decontaminate."""

    folder: Folder
    path: str
    settings: Decontaminate
    fingerprint: str

    @property
    def shard(self) -> str:
        """The name of its outputs."""
        return shard_name(self.path)


def decontaminate_files(
    sources: Sequence[str], out: str, settings: Decontaminate, cluster: Cluster, progress: Progress
) -> list[str]:
    """Decontaminate files that are not done yet; returns their shards.

    Args:
        sources: Files and folders of Parquet, JSON Lines or text.
        out: The output folder, which holds no run.
        settings: The matcher and the items.
        cluster: Where tasks run.
        progress: Where progress is reported.

    Raises:
        InputError: A file does not exist or has no texts. Nothing was written.
        OutputError: The folder cannot be written.
    """
    folder, files = Folder(out), text_files(sources)
    if folder.exists(paths.RUN):
        raise OutputError(f"{out} holds a run, which is decontaminated without naming a corpus; choose another folder")
    for source in (*sources, *files):
        if _is_in(out, source) or _is_in(source, f"{out}/{paths.CORPUS.folder}"):
            raise OutputError(f"{out}: a rerun would take its own output for the corpus; choose another folder")
    tasks = []
    for path in files:
        _columns(path)
        file_system, name = fsspec.core.url_to_fs(path)
        facts = file_system.info(name)
        version = [path, facts.get("size"), str(facts.get("ETag") or facts.get("mtime") or "")]
        tasks.append(CorpusFile(folder, path, settings, fingerprint(STEP, identity(settings), version)))
    if not any(True for task in tasks for _ in read_texts(task.path)):
        raise InputError(f"{', '.join(sources)}: no documents")
    folder.check_writable()
    folder.sweep()
    run_tasks(STEP, decontaminate_file, tasks, cluster, progress)
    return [task.shard for task in tasks]


def decontaminate_file(task: CorpusFile) -> dict[str, int]:
    """Make the outputs of one file, its manifest last; returns documents in and out."""
    meter = Meter()
    columns = _columns(task.path)
    stages = [(STEP, task.settings)]
    empty = Batch(_with_ids(pa.RecordBatch.from_pylist([], schema=columns), 0))
    signals = signal_type(stages, empty)
    removed_columns = pa.schema([*columns, ("stage", pa.string()), ("reason", pa.string()), ("signals", signals)])
    metadata = {"curation.fingerprint": task.fingerprint}
    tallies: dict[str, StageTally] = {}
    first = 0
    folder, shard = task.folder, task.shard
    with (
        ShardWriter(folder, paths.CORPUS.path(shard), columns, metadata) as corpus,
        ShardWriter(folder, REMOVED.path(shard), removed_columns, metadata) as removed,
        ShardWriter(folder, paths.CONTAMINATION.path(shard), MATCHES, metadata) as listed,
    ):
        for batch in _batches(task.path, columns):
            applied = apply(stages, Batch(_with_ids(batch, first)), signals)
            first += batch.num_rows
            corpus.write(applied.kept.table)
            for rows in applied.removed:
                removed.write(rows)
            listed.write(found_items(applied))
            tallies = add_stages(tallies, applied.tallies)
            meter.add(applied.nanoseconds)
    counts = {"stages": {name: tally.to_json() for name, tally in tallies.items()}}
    outputs = [corpus.output, removed.output, listed.output]
    Manifest(STEP, shard, task.fingerprint, [{"path": task.path}], outputs, counts).write(folder, meter.report())
    return {"documents_in": first, "documents_out": corpus.output.rows}


def _is_in(path: str, folder: str) -> bool:
    """Whether a path is a folder or in it."""
    return f"{Folder(path).url}/".startswith(f"{Folder(folder).url}/")


def _columns(path: str) -> pa.Schema:
    """The columns of the output: those of a Parquet file, else TEXTS; InputError if it has no texts."""
    if not path.endswith(".parquet"):
        return TEXTS
    errors = input_errors(f"{path}: cannot be read")
    with errors, naming_damage(path), fsspec.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
        columns = parquet.schema_arrow.remove_metadata()
    place = columns.get_field_index("text")
    if place < 0 or columns.field(place).type not in (pa.string(), pa.large_string()):
        raise InputError(f'{path}: no column "text" of strings; it has {", ".join(columns.names)}')
    return columns.set(place, pa.field("text", pa.string()))


def _batches(path: str, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
    if columns is TEXTS:
        yield from read_texts(path)
        return
    with naming_damage(path), fsspec.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(ROWS):
            yield batch.cast(columns)


def _with_ids(batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
    """The rows with the columns that stages and evidence need: `id`, by row number if there is none, and `url`."""
    names = batch.schema.names
    if "id" not in names:
        numbers = np.arange(first, first + batch.num_rows)
        batch = batch.append_column(pa.field("id", pa.string()), pa.array(numbers).cast(pa.string()))
    if "url" not in names:
        batch = batch.append_column(pa.field("url", pa.string()), pa.nulls(batch.num_rows, pa.string()))
    return batch
