"""Parquet shards: written atomically with one fixed schema, in row groups of a fixed number of rows, zstd-compressed.

Row groups are cut by row number, never by the batches that arrive, so that the bytes of a shard do not depend on the
batch size.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.store.folder import Folder, HashingFile

ROW_GROUP_ROWS = 2048
"""Documents a row group: about 8 MB of text, which a reader holds at once."""

COMPRESSION_LEVEL = 3
"""zstd's own default: within 5 % of level 6's size on web text at over twice its speed."""

UNIQUE = frozenset({"text", "id", "url"})
"""Columns whose values hardly repeat: a dictionary costs a quarter of the time of writing a shard, a third of that of
reading its texts, and makes it no smaller."""

_ARCHIVE_SUFFIXES = re.compile(r"(\.(warc|arc|wet|wat|gz|zst|open))+$", re.IGNORECASE)


def shard_name(path: str) -> str:
    """The name of the shard made from an input: its base name and 40 bits of its whole path's hash.

    Two inputs of one base name never collide, and the name does not depend on what other inputs there are.

    >>> shard_name("/dump/CC-MAIN-00001.warc.gz")
    'CC-MAIN-00001-b0e29c2a5c'
    """
    stem = _ARCHIVE_SUFFIXES.sub("", posixpath.basename(path)) or "shard"
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).lstrip(".")[:100] or "shard"
    return f"{stem}-{hashlib.blake2b(path.encode('utf-8', 'surrogatepass'), digest_size=5).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Output:
    """A finished file: path in the output folder, bytes, xxh3-128 hash, rows."""

    path: str
    bytes: int
    hash: str
    rows: int


class ShardWriter:
    """Writes batches to one Parquet file; after the `with` block ended well, `output` describes it.

    If the block raises, no file is left.
    """

    output: Output

    def __init__(
        self,
        folder: Folder,
        path: str,
        schema: pa.Schema,
        metadata: Mapping[str, str] | None = None,
        row_group_rows: int = ROW_GROUP_ROWS,
    ) -> None:
        self._folder, self._path, self._rows = folder, path, row_group_rows
        self._schema = schema.with_metadata(dict(metadata)) if metadata else schema
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._written = 0

    def __enter__(self) -> ShardWriter:
        self._stack = ExitStack()
        self._file: HashingFile = self._stack.enter_context(self._folder.writing(self._path))
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            self._schema,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=[leaf for field in self._schema if field.name not in UNIQUE for leaf in _leaves(field)],
        )
        return self

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows; the columns must be those of the schema, in any order."""
        table = pa.table(batch) if isinstance(batch, pa.RecordBatch) else batch
        table = table.select(self._schema.names).cast(self._schema)
        for part in table.to_batches():
            self._pending.append(part)
            self._pending_rows += part.num_rows
        while self._pending_rows >= self._rows:
            self._flush(self._rows)

    def _flush(self, rows: int) -> None:
        table = pa.Table.from_batches(self._pending, schema=self._schema)
        group, rest = table.slice(0, rows).combine_chunks(), table.slice(rows)
        self._writer.write_table(group, row_group_size=self._rows)
        self._written += group.num_rows
        self._pending, self._pending_rows = rest.to_batches(), rest.num_rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._pending_rows:
                self._flush(self._pending_rows)
            self._writer.close()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            self.output = Output(self._path, self._file.size, self._file.hash, self._written)


def _leaves(field: pa.Field, parent: str = "") -> Iterator[str]:
    """The paths of a field's values as Parquet has them: "signals.c4_lines", "tags.list.element"."""
    path = f"{parent}{field.name}"
    if pa.types.is_struct(field.type):
        for child in field.type:
            yield from _leaves(child, f"{path}.")
    elif pa.types.is_list(field.type):
        yield from _leaves(field.type.value_field.with_name("element"), f"{path}.list.")
    else:
        yield path


def read_shard(
    folder: Folder, path: str, columns: list[str] | None = None, rows: int = 1024
) -> Iterator[pa.RecordBatch]:
    """The rows of a shard in batches of at most `rows`, all columns or those named."""
    with folder.open(path) as file, pq.ParquetFile(file) as parquet:
        yield from parquet.iter_batches(batch_size=rows, columns=columns)


def count_rows(folder: Folder, path: str) -> int:
    """Rows of a Parquet file, by its footer."""
    with folder.open(path) as file:
        return int(pq.read_metadata(file).num_rows)


def read_table(folder: Folder, path: str, columns: list[str] | None = None) -> pa.Table:
    """A whole shard as a table, all columns or those named."""
    with folder.open(path) as file:
        return pq.read_table(file, columns=columns)


def rows_at(folder: Folder, path: str, numbers: Iterable[int], columns: list[str] | None = None) -> pa.Table:
    """The rows of a shard at `numbers` (ascending, from 0) that are there; row groups without any are not read."""
    wanted = np.fromiter(numbers, np.int64)
    with folder.open(path) as file, pq.ParquetFile(file) as parquet:
        schema = parquet.schema_arrow
        parts = [(schema if columns is None else pa.schema([schema.field(name) for name in columns])).empty_table()]
        first = 0
        for group in range(parquet.num_row_groups):
            size = parquet.metadata.row_group(group).num_rows
            inside = wanted[(wanted >= first) & (wanted < first + size)] - first
            if len(inside):
                parts.append(parquet.read_row_group(group, columns=columns).take(pa.array(inside)))
            first += size
    return pa.concat_tables(parts)
