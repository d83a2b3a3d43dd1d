"""Read Parquet files: columns are found by name, row groups are read one after the other in batches.

Only the columns that are wanted are read. Values are never looked at one by one, except where a file is at fault. A
row group that cannot be read costs its rows; a file whose footer cannot be read, or that has no text, is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.archives.columns import VALUES
from curation.archives.inputs import Input
from curation.archives.ledger import Loss
from curation.archives.reader import ReadSettings
from curation.archives.tables import BYTES, ROWS, RowLosses, documents, pieces
from curation.archives.watch import Watch
from curation.errors import UnreadableArchive
from curation.stages.batch import Batch

DAMAGED = "damaged_parquet"

READ_BYTES = 1 << 20
"""Bytes of a column chunk to read at a time, so that memory does not depend on the size of row groups."""

SHOWN = 20
"""Columns named in an error."""

DAMAGE = (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError)

_TEXTS = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_null,
    pa.types.is_fixed_size_binary,
)  # fmt: skip


class _Source:
    """A file for Arrow that remembers whether its storage failed, to tell that from damage."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except BaseException as error:
            self.error = error
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Leave it open: whoever opened the stream closes it."""


class ParquetRows:
    """The rows of a Parquet file, or of a part of one.

    Args:
        stream: The file.
        source: Its description; only row groups that begin in the part are read.
        settings: Table [read] of the recipe.

    Raises:
        UnreadableArchive: It is no Parquet file, or has no column of text.
    """

    def __init__(self, stream: IO[bytes], source: Input, settings: ReadSettings) -> None:
        self._file, self._source, self._settings = _Source(stream), source, settings
        try:
            self._parquet = pq.ParquetFile(pa.PythonFile(self._file, "r"), buffer_size=READ_BYTES, pre_buffer=False)
            self._fields = _find_fields(self._parquet.schema_arrow, settings)
        except DAMAGE as error:
            self._raise_failure()
            raise UnreadableArchive(f"not a Parquet file, or damaged: {_line(error)}") from error
        self._columns = list(dict.fromkeys(".".join(path) for path in self._fields.values()))
        leaves = enumerate(self._parquet.schema.column(each).path for each in range(len(self._parquet.schema.names)))
        self._leaves = [each for each, path in leaves if path.startswith(tuple(self._columns))]

    def batches(
        self, counts: Counter[str], losses: list[Loss], watch: Watch, max_rows: int = ROWS, max_bytes: int = BYTES
    ) -> Iterator[Batch]:
        """Yield the documents; see `read_batches` for the arguments.

        Raises:
            UnreadableArchive: There are row groups, and none could be read.
        """
        named = RowLosses(self._source, counts, losses)
        groups = list(self._groups())
        failed = 0
        for group, first, begin, size in groups:
            rows = self._parquet.metadata.row_group(group).num_rows
            if (cause := watch.splitting() or watch.decoding()) is not None:
                named.lose(first, cause, rows, begin, size)
                continue
            done = 0
            try:
                for values in self._values(group, watch, max_rows):
                    count = len(next(iter(values.values())))
                    numbers = np.arange(first + done, first + done + count, dtype=np.int64)
                    for part in pieces(_lengths(values), max_rows, max_bytes):
                        chosen = {name: each.slice(part.start, part.stop - part.start) for name, each in values.items()}
                        yield from documents(chosen, numbers[part], self._source, self._settings, counts, named)
                    done += count
            except DAMAGE as error:
                self._raise_failure()
                failed += not done
                cause_of = _line(error)
                named.lose(first + done, DAMAGED, max(0, rows - done), begin, size)
        if failed and failed == len(groups):
            raise UnreadableArchive(f"no row group can be read: {cause_of}")
        if not self._parquet.metadata.num_rows and not self._source.start:
            counts["file.empty"] += 1
        named.finish()

    def row(self, number: int, watch: Watch) -> Iterator[Batch]:
        """The document of one row of the file, if it is one.

        Raises:
            UnreadableArchive: Its row group is damaged.
        """
        try:
            yield from self._row(number, watch)
        except DAMAGE as error:
            self._raise_failure()
            raise UnreadableArchive(f"the row group of row {number:,} cannot be read: {_line(error)}") from error

    def _row(self, number: int, watch: Watch) -> Iterator[Batch]:
        first = 0
        for group in range(self._parquet.num_row_groups):
            rows = self._parquet.metadata.row_group(group).num_rows
            if first <= number < first + rows:
                for values in self._values(group, watch, ROWS):
                    count = len(next(iter(values.values())))
                    if number < first + count:
                        one = {name: each.slice(number - first, 1) for name, each in values.items()}
                        named = RowLosses(self._source, Counter(), [])
                        numbers = np.array([number], np.int64)
                        yield from documents(one, numbers, self._source, self._settings, Counter(), named)
                        return
                    first += count
            first += rows

    def _groups(self) -> Iterator[tuple[int, int, int, int]]:
        """Number, first row, first byte and size in bytes of every row group that begins in the part."""
        described = [self._parquet.metadata.row_group(group) for group in range(self._parquet.num_row_groups)]
        begins = [min(max(0, _begin(group)), max(0, self._source.size - 1)) for group in described]
        ends = [*begins[1:], self._source.size - self._parquet.metadata.serialized_size]
        first = 0
        for number, (group, begin, end) in enumerate(zip(described, begins, ends, strict=True)):
            if self._source.start <= begin < self._source.end:
                yield number, first, begin, max(0, end - begin)
            first += group.num_rows

    def _values(self, group: int, watch: Watch, max_rows: int) -> Iterator[dict[str, pa.Array]]:
        """The wanted values of a row group, in batches of rows."""
        described = self._parquet.metadata.row_group(group)
        wanted = [described.column(each) for each in self._leaves]
        unpacked = sum(max(0, column.total_uncompressed_size) for column in wanted)
        rows = max(1, min(max_rows, 4 * BYTES * max(1, described.num_rows) // max(1, unpacked)))
        batches = self._parquet.iter_batches(rows, row_groups=[group], columns=self._columns, use_threads=False)
        for batch in batches:
            watch.advancing()
            yield {name: _convert(name, _field(batch, path)) for name, path in self._fields.items()}

    def _raise_failure(self) -> None:
        """Raise what the storage raised, if it did: then the file itself need not be damaged."""
        if self._file.error is not None:
            raise self._file.error


def _begin(group: Any) -> int:
    """File offset of the first byte of a row group."""
    if not group.num_columns:
        return 0
    column = group.column(0)
    return int(min(column.dictionary_page_offset or column.data_page_offset, column.data_page_offset))


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _find_fields(schema: pa.Schema, settings: ReadSettings) -> dict[str, tuple[str, ...]]:
    """The path of the column that has each value, as far as there is one.

    Raises:
        UnreadableArchive: There is neither text nor HTML, or what is there is of another type.
    """
    fields = {}
    for name in VALUES:
        for candidate in settings.columns.candidates(name):
            path = _path(schema, candidate)
            if path is not None and (name in ("text", "html") or _fits(name, _type(schema, path))):
                fields[name] = path
                break
    if not {"text", "html"} & fields.keys():
        for candidate in settings.columns.candidates("text"):
            if schema.names.count(candidate) > 1:
                raise UnreadableArchive(f"more than one column is named {candidate!r}")
        names = ", ".join(schema.names[:SHOWN]) + (", …" if len(schema.names) > SHOWN else "")
        wanted = " or ".join(repr(each) for kind in ("text", "html") for each in settings.columns.candidates(kind))
        raise UnreadableArchive(f"no column {wanted}; there are {names or 'none'}: set read.columns.text")
    for name in {"text", "html"} & fields.keys():
        kind = _type(schema, fields[name])
        if not _is_text(kind):
            raise UnreadableArchive(f"the column {'.'.join(fields[name])!r} holds {kind}, not text")
    return fields


def _path(schema: pa.Schema, name: str) -> tuple[str, ...] | None:
    """The names of a column and of the fields inside it that a name with dots means."""
    if schema.get_field_index(name) >= 0:
        return (name,)
    head, *inner = name.split(".")
    if not inner or schema.get_field_index(head) < 0:
        return None
    kind = schema.field(head).type
    for part in inner:
        if not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
            return None
        kind = kind.field(part).type
    return (head, *inner)


def _type(schema: pa.Schema, path: tuple[str, ...]) -> pa.DataType:
    kind = schema.field(path[0]).type
    for part in path[1:]:
        kind = kind.field(part).type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return str(kind).endswith("_view") or any(check(kind) for check in _TEXTS)


def _fits(name: str, kind: pa.DataType) -> bool:
    """Whether a column of this type can hold a value."""
    if name == "language_score":
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
    is_time = name == "date" and (pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    return _is_text(kind) or bool(is_time) or (name == "id" and bool(pa.types.is_integer(kind)))


def _field(batch: pa.RecordBatch, path: tuple[str, ...]) -> pa.Array:
    column = batch.column(path[0])
    for part in path[1:]:
        column = pc.struct_field(column, part)
    return column


def _convert(name: str, column: pa.Array) -> pa.Array:
    """A column in the type that `documents` takes: strings, bytes of HTML, or a double."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if name == "language_score":
        return column.cast(pa.float64())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        seconds = column.cast(pa.timestamp("s", kind.tz if pa.types.is_timestamp(kind) else None), safe=False)
        text = seconds.cast(pa.timestamp("s"), safe=False).cast(pa.string())
        return pc.binary_join_element_wise(pc.replace_substring(text, " ", "T"), "Z", "")
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if name == "html" and "binary" in str(kind):
        return column.cast(pa.binary())
    if name in ("text", "html"):
        return column.cast(pa.large_binary()) if str(kind).endswith("_view") else column
    return _strings(column)


def _strings(column: pa.Array) -> pa.StringArray:
    """The column as UTF-8, null where it is none."""
    try:
        strings = column.cast(pa.string())
        strings.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.binary()).to_pylist()
        strings = pa.array([value and value.decode(errors="replace") for value in values], pa.string())
    return strings


def _lengths(values: Mapping[str, pa.Array]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Bytes of text and HTML of every row, int64[rows]."""
    found = [
        pc.fill_null(pc.binary_length(values[name]), 0).cast(pa.int64()) for name in ("text", "html") if name in values
    ]
    return np.asarray(sum(lengths.to_numpy() for lengths in found), np.int64)
