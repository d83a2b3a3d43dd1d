"""Read any input into batches of documents: archives, Parquet, JSON Lines and text, each by its own reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa

from curation.archives.charset import to_utf8
from curation.archives.inputs import Input
from curation.archives.json_lines import read_json_lines, read_text_lines
from curation.archives.kinds import Kind, kind_by_content, kind_of
from curation.archives.ledger import Loss
from curation.archives.lines import Damaged, read_unpacked
from curation.archives.parquet_rows import ParquetRows
from curation.archives.reader import ReadSettings, read_batches
from curation.archives.tables import RowLosses, documents
from curation.archives.watch import Watch
from curation.errors import UnreadableArchive
from curation.stages.batch import Batch

HEAD = 64
"""Bytes that tell the kind of a file whose name does not."""


def read_input(
    stream: IO[bytes],
    source: Input,
    settings: ReadSettings,
    counts: Counter[str],
    *,
    losses: list[Loss] | None = None,
    watch: Watch | None = None,
) -> Iterator[Batch]:
    """Read the documents of an input in batches with the columns of `schema.RECORD`.

    Args:
        stream: The file, at its start.
        source: Its description; only what begins in the part that it describes is read.
        settings: Table [read] of the recipe.
        counts: Updated as by `read_batches`; rows are `records.row`.
        losses: What could not be read is appended to it.
        watch: Told about every record or row, or group of rows, before it is worked on.

    Raises:
        UnreadableArchive: Nothing in the file can be read.
    """
    losses, watch = [] if losses is None else losses, watch or Watch()
    kind = _kind(stream, source)
    if kind == "archive":
        stream.seek(source.start)
        part = source if source.is_part else None
        try:
            yield from read_batches(stream, source.path, settings, counts, losses=losses, watch=watch, part=part)
        except UnreadableArchive as error:
            if kind_of(source.path) is not None:
                raise
            raise UnreadableArchive(f"not Parquet, JSON Lines or a .txt file, and {error}") from error
    elif not source.size and kind != "text":
        counts["file.empty"] += 1
    elif kind == "parquet":
        yield from ParquetRows(stream, source, settings).batches(counts, losses, watch)
    elif kind == "jsonl":
        yield from read_json_lines(stream, source, settings, counts, losses, watch)
    elif settings.text_files == "lines":
        yield from read_text_lines(stream, source, settings, counts, losses, watch)
    else:
        yield from _read_whole(stream, source, settings, counts, losses, watch)


def read_row(
    stream: IO[bytes], source: Input, row: int, settings: ReadSettings, watch: Watch | None = None
) -> Batch | None:
    """The document at a row of a file that is no archive, or None.

    Args:
        stream: The file, at its start.
        source: Its description.
        row: The number of the row, as in the column `row`.
        settings: Table [read] of the recipe.
        watch: Told about the progress.

    Raises:
        UnreadableArchive: Nothing in the file can be read.
    """
    whole = Input(source.path, source.size, source.version)
    if _kind(stream, whole) == "parquet":
        return next(ParquetRows(stream, whole, settings).row(row, watch or Watch()), None)
    for batch in read_input(stream, whole, settings, Counter(), watch=watch):
        numbers = batch.column("row").to_numpy(zero_copy_only=False)
        if (found := np.flatnonzero(numbers == row)).size:
            return Batch(batch.table.slice(int(found[0]), 1))
        if numbers[-1] > row:
            return None
    return None


def _kind(stream: IO[bytes], source: Input) -> Kind:
    kind = kind_of(source.path)
    if kind is None:
        kind = kind_by_content(stream.read(HEAD))
        stream.seek(0)
    return kind


def _read_whole(
    stream: IO[bytes], source: Input, settings: ReadSettings, counts: Counter[str], losses: list[Loss], watch: Watch
) -> Iterator[Batch]:
    """A text file as one document, in whatever charset it is."""
    named = RowLosses(source, counts, losses)
    if (cause := watch.decoding()) is not None:
        named.lose(0, cause, 1, 0, source.size)
        return
    parts: list[bytes] = []
    size = 0
    try:
        for block in read_unpacked(stream):
            parts.append(block)
            size += len(block)
            if size > settings.max_page_bytes:
                raise UnreadableArchive(
                    f"a document of more than {settings.max_page_bytes:,} bytes (read.max_page_bytes); "
                    "set read.text_files=lines if each line is a document"
                )
    except Damaged as damage:
        named.lose(0, damage.cause, 0, damage.offset, source.size - damage.offset)
        if not size:
            raise UnreadableArchive(f"nothing can be unpacked ({damage.cause})") from damage
    if not size:
        counts["file.empty"] += 1
        return
    content, choice = to_utf8(b"".join(parts), "", is_html=False)
    counts[f"charset.{choice}"] += 1
    text = pa.array([bytes(content)], pa.binary()).cast(pa.string())
    yield from documents({"text": text}, np.zeros(1, np.int64), source, settings, counts, named)
    named.finish()
