"""Parquet shards: written atomically with a fixed schema, in row groups of a fixed number of rows, zstd-compressed.

Row groups are split by row number, never by incoming batches, so the bytes of a shard do not depend on the batch size.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.arrays import Int64s
from curation.errors import CurationError, DamagedShard
from curation.store.folder import Folder, HashingFile

ROW_GROUP_ROWS = 2048
"""Documents per row group: about 8 MB of text, which a reader holds in memory."""

COMPRESSION_LEVEL = 3
"""zstd's default: within 5 % of level 6's size on web text at over twice its speed."""

UNIQUE = frozenset({"text", "id", "url"})
"""Columns whose values hardly repeat: a dictionary takes a quarter of the time of writing a shard and a third of the
time of reading its texts, and does not make it smaller."""

_SUFFIXES = frozenset(("warc", "arc", "wet", "wat", "gz", "zst", "open", "parquet", "jsonl", "ndjson", "json", "txt"))

NAMES_CACHED = 1 << 20
"""Shard names in memory, some 200 bytes each: every step of a run asks for the name of every input."""


@lru_cache(NAMES_CACHED)
def shard_name(path: str, start: int | None = None) -> str:
    """The name of the shard made from an input: its base name and 40 bits of the hash of its full path.

    Inputs with the same base name do not collide, and the name does not depend on the other inputs.

    Args:
        path: Path of the file.
        start: First byte of a part of the file, with which its name ends; None for a whole file.

    >>> shard_name("/dump/CC-MAIN-00001.warc.gz")
    'CC-MAIN-00001-b0e29c2a5c'
    >>> shard_name("/data/train-00000.parquet", 268435456)
    'train-00000-cf35d91aab-268435456'
    """
    parts = posixpath.basename(path).split(".")
    while len(parts) > 1 and parts[-1].lower() in _SUFFIXES:
        parts.pop()
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", ".".join(parts)).lstrip(".")[:100] or "shard"
    name = f"{stem}-{hashlib.blake2b(path.encode('utf-8', 'surrogatepass'), digest_size=5).hexdigest()}"
    return name if start is None else f"{name}-{start}"


def shard_of(entry: Mapping[str, Any]) -> str:
    """The shard of an entry of a list of inputs in run.json, which has a path, and a `start` if it is a part."""
    return shard_name(entry["path"], entry.get("start"))


@dataclass(frozen=True, slots=True)
class Output:
    """A finished file.

    Attributes:
        path: Path in the output folder.
        bytes: Size in bytes.
        hash: Hexadecimal xxh3-128.
        rows: Number of rows.
    """

    path: str
    bytes: int
    hash: str
    rows: int


class ShardWriter:
    """Writes batches to a Parquet file in a `with` block, which leaves no file if it raises.

    Attributes:
        output: Description of the file, available after the block.
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
        """Append rows, which must have the columns of the schema, in any order."""
        table = pa.table(batch) if isinstance(batch, pa.RecordBatch) else batch
        table = table.select(self._schema.names).cast(self._schema)
        for part in table.to_batches():
            self._pending.append(part)
            self._pending_rows += part.num_rows
        while self._pending_rows >= self._rows:
            self._flush(self._rows)

    def finish(self) -> None:
        """Write the last row group; no rows may follow. The end of the block does it otherwise."""
        if self._pending_rows:
            self._flush(self._pending_rows)

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
            if kind is None:
                self.finish()
            self._writer.close()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            self.output = Output(self._path, self._file.size, self._file.hash, self._written)


def _leaves(field: pa.Field, parent: str = "") -> Iterator[str]:
    """The Parquet column paths of a field: "signals.c4_lines", "tags.list.element"."""
    path = f"{parent}{field.name}"
    if pa.types.is_struct(field.type):
        for child in field.type:
            yield from _leaves(child, f"{path}.")
    elif pa.types.is_list(field.type):
        yield from _leaves(field.type.value_field.with_name("element"), f"{path}.list.")
    else:
        yield path


@contextmanager
def writing_zstd(folder: Folder, path: str) -> Iterator[tuple[Any, HashingFile]]:
    """Write a file compressed with zstd, atomically: yields where to write, and the file with its size and hash."""
    import zstandard  # not among the packages of the loader, which reads shards

    with (
        folder.writing(path) as file,
        zstandard.ZstdCompressor(COMPRESSION_LEVEL).stream_writer(cast("IO[bytes]", file), closefd=False) as packed,
    ):
        yield packed, file


def open_arrow(folder: Folder, path: str) -> Any:
    """Open a file to be read by Arrow, in a `with` block.

    Arrow opens a local file itself. Its threads may drop the last reference to a file shortly after the reading ended;
    if that is a Python object and Python is about to exit, Arrow aborts the process (exit code 134).
    """
    return pa.OSFile(folder.readable(path)) if folder.is_local else folder.open(path)


@contextmanager
def open_parquet(folder: Folder, path: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file for reading.

    Raises:
        DamagedShard: It is damaged, which may be found only as it is read.
    """
    with naming_damage(folder, path), open_arrow(folder, path) as file, pq.ParquetFile(file) as parquet:
        yield parquet


@contextmanager
def naming_damage(folder: Folder, path: str) -> Iterator[None]:
    """Turn what Arrow raises for a damaged Parquet file into DamagedShard, which names the file."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, OSError) as error:
        is_of_system = isinstance(error, OSError) and (error.errno is not None or not folder.is_local)
        if is_of_system or isinstance(error, CurationError):
            raise
        raise DamagedShard(
            f"{folder.url}/{path} is damaged, see `curate verify`: {str(error).splitlines()[0]}"
        ) from error


def read_shard(
    folder: Folder, path: str, columns: list[str] | None = None, rows: int = 1024
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a shard in batches of at most `rows`, with all columns or the named ones."""
    with open_parquet(folder, path) as parquet:
        yield from parquet.iter_batches(batch_size=rows, columns=columns)


def read_numbered(
    folder: Folder, path: str, columns: list[str] | None = None, rows: int = 1024
) -> Iterator[tuple[Int64s, pa.RecordBatch]]:
    """Like `read_shard`, with the row numbers of each batch, int64[rows]."""
    first = 0
    for batch in read_shard(folder, path, columns, rows):
        yield np.arange(first, first + batch.num_rows, dtype=np.int64), batch
        first += batch.num_rows


def count_rows(folder: Folder, path: str) -> int:
    """Number of rows of a Parquet file, from its footer."""
    with open_parquet(folder, path) as parquet:
        return int(parquet.metadata.num_rows)


def read_table(folder: Folder, path: str, columns: list[str] | None = None) -> pa.Table:
    """Read a shard as a table, with all columns or the named ones."""
    with open_parquet(folder, path) as parquet:
        table = parquet.read(columns)
    return table if columns is None else table.select(columns)


def rows_at(folder: Folder, path: str, numbers: Iterable[int], columns: list[str] | None = None) -> pa.Table:
    """Read single rows of a shard; row groups without any of them are not read.

    Args:
        folder: Folder of the shard.
        path: Path of the shard in the folder.
        numbers: Row numbers, ascending, from 0; numbers beyond the end are ignored.
        columns: Columns to read; all by default.
    """
    wanted = np.fromiter(numbers, np.int64)
    with open_parquet(folder, path) as parquet:
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
