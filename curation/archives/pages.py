"""Web archives as batches of pages, for a program that wants the pages and no run.

They are read in a child process, as in a run, so that a file that makes a library end its process does not end the
program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, MutableMapping
from os import PathLike, fspath
from typing import Any

import pyarrow as pa

from curation.archives.inputs import Input, find_inputs
from curation.archives.reader import ReadSettings
from curation.archives.watched import read_watched
from curation.errors import InputError, UnreadableArchive
from curation.stages.parameters import build


def read_archives(
    *inputs: str | PathLike[str], counts: MutableMapping[str, int] | None = None, **settings: Any
) -> Iterator[pa.RecordBatch]:
    """The pages of web archives, a batch at a time.

    Args:
        *inputs: Files (WARC, ARC, WET, Parquet, JSON Lines, text; plain, gzip or zstd), folders, globs, fsspec URLs
            such as `s3://…`, names of crawls such as `cc:CC-MAIN-2025-08`, or `@list.txt`, one of these per line; as
            `curate run` takes them.
        counts: Gets what becomes of every record read: a page (`pages.html`), not wanted (`passed.request`), or skipped
            by cause (`skipped.type.pdf`). A damaged record costs itself alone. Filled at the end of each file: a
            `collections.Counter`, or any dict.
        **settings: Keys of the recipe's table [read]: `dump`, `records` (types of records), `max_page_bytes`,
            `max_seconds`, `status` (of pages, "2xx" by default), `types` (html, text, markdown).

    Yields:
        Batches of at most 256 pages: `id`, `url`, `date`, `html` (decoded) or `text` (of a WET file or a text page),
        `dump`, `file_path`, `warc_offset` (bytes), and the columns that stages and later steps fill, null so far.

    Raises:
        InputError: An input stands for no file. Raised by the call itself.
        TypeError: An input is neither a string nor a path. Raised by the call itself.
        RecipeError: There is no such setting, or it cannot have this value. Raised by the call itself.
        UnreadableArchive: Nothing in a file is an archive, or reading it ends the child process wherever it begins.
            Raised when its turn comes.
        StepFailed: The child process cannot be started. Raised when the first batch is asked for.

    Example:
        >>> from curation import read_archives
        >>> batches = read_archives("samples/web.warc.gz")
        >>> sum(batch.num_rows for batch in batches)
        257
    """
    words: tuple[Any, ...] = inputs
    for word in words:
        if not isinstance(word, (str, PathLike)):
            kind = type(word).__name__
            raise TypeError(f"read_archives() takes paths one by one, not a {kind}; for a list: read_archives(*paths)")
        if not fspath(word):
            raise InputError("read_archives(): an input is an empty string")
    chosen = build(ReadSettings, settings, "read_archives()")
    sources = find_inputs(map(fspath, words), chosen.sample, chosen.seed)
    return _read(sources, chosen, Counter() if counts is None else counts)


def _read(sources: list[Input], settings: ReadSettings, counts: MutableMapping[str, int]) -> Iterator[pa.RecordBatch]:
    found = counts if isinstance(counts, Counter) else Counter(counts)
    for source in sources:
        try:
            for batch in read_watched(source, settings, found, []):
                # A copy: a batch of the child process is a mapped file, of which a process can have only so many.
                yield pa.ipc.read_record_batch(batch.table.serialize(), batch.table.schema)
        except UnreadableArchive as error:
            raise UnreadableArchive(f"{source.path}: {error}") from error
        finally:
            _copy(found, counts)


def _copy(found: Counter[str], counts: MutableMapping[str, int]) -> None:
    if counts is not found:
        counts.update(found)
