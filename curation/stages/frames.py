"""Tables of the kinds people have at hand (Arrow, pandas, polars, lists by name), read as batches of documents.

Rows are chosen and columns replaced in the table's own library, so that indexes, data types and columns which Arrow
cannot hold come out as they went in. pandas and polars are never imported here: whoever hands in such a frame has.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools, Int64s
from curation.errors import InputError
from curation.store import schema
from curation.text.buffers import cut_by_size
from curation.text.valid import valid_text

BATCH_ROWS = 1024
BATCH_BYTES = 8 << 20
"""Rows, and about the bytes of text, in a batch: memory stays bounded whatever the size of the table."""

ROW = "curation.row"
"""A column of the batches: the row's number in the table."""

RESERVED = (ROW, "stage", "reason", "signals")
"""Names that `apply` gives to columns of removed documents; stages do not see a table's own."""

TEXTS = ("url", "html")
"""Columns that stages see only if they hold text."""

KINDS = "a pyarrow Table or RecordBatch, a pandas or polars DataFrame, or a mapping from names to lists"

_HINTS = {
    "dask": "use frame.map_partitions(pipeline.keep)",
    "datasets": "use dataset.map(pipeline.keep, batched=True)",
    "str": 'wrap it, as in {"text": [text]}',
    "list": 'wrap it, as in {"text": texts}',
}


class Frame(ABC):
    """A table of one of the kinds. `names`: its columns, in order; `rows`: how many it has; `table`: itself."""

    names: list[Any]
    rows: int
    table: Any

    @abstractmethod
    def read(self, name: str, first: int, last: int) -> tuple[pa.Array | pa.ChunkedArray, bool]:
        """Rows `first` to `last` of a column as Arrow has them, and whether text in it had to be made valid."""

    @abstractmethod
    def where(self, mask: Bools) -> Frame:
        """The rows where `mask` (bool, one per row) is true."""

    @abstractmethod
    def replace(self, columns: Mapping[str, pa.ChunkedArray]) -> Frame:
        """The same rows with columns replaced or added at the end; text keeps its type if that can hold it."""

    @abstractmethod
    def drop(self, names: list[str]) -> Frame:
        """The same rows without the columns named."""

    def only(self, columns: Mapping[str, pa.ChunkedArray]) -> Frame:
        """The same rows with these columns and no others."""
        return self.drop(self.names).replace(columns)

    def column(self, name: str, first: int, last: int) -> tuple[pa.Array, bool]:
        """`read`, with text of every kind as large_string, and valid."""
        values, cleaned = self.read(name, first, last)
        kind = _plain(values.type)
        text = _is_text(kind)
        if text:
            values = values.cast(pa.large_string())
        elif pa.types.is_null(kind):
            values = values.cast(schema.RECORD.field(name).type if name in schema.RECORD.names else pa.string())
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        if text and not _is_valid(values):
            raw = values.cast(pa.large_binary()).to_pylist()
            values = pa.array([None if text is None else text.decode("utf-8", "replace") for text in raw], values.type)
            cleaned = True
        return values, cleaned


class ArrowFrame(Frame):
    """A pyarrow Table, or a RecordBatch, which comes out as one."""

    def __init__(self, table: pa.Table | pa.RecordBatch, one_batch: bool = False) -> None:
        self._one_batch = one_batch or isinstance(table, pa.RecordBatch)
        self._table = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        self.names, self.rows = self._table.schema.names, self._table.num_rows

    @property
    def table(self) -> pa.Table | pa.RecordBatch:
        """The table, in one batch if it came so."""
        if not self._one_batch:
            return self._table
        parts = self._table.combine_chunks().to_batches()
        return parts[0] if parts else pa.RecordBatch.from_pylist([], schema=self._table.schema)

    def read(self, name: str, first: int, last: int) -> tuple[pa.ChunkedArray, bool]:
        """A slice of the column, not copied."""
        return self._table.column(name).slice(first, last - first), False

    def where(self, mask: Bools) -> ArrowFrame:
        """Arrow cannot filter views of strings yet (version 26): they go by another type."""
        types = self._table.schema.types
        views = {at: wide for at, kind in enumerate(types) if (wide := _without_view(kind)) is not None}
        table = _cast(self._table, views).filter(pa.array(mask))
        return self._like(_cast(table, {at: types[at] for at in views}))

    def replace(self, columns: Mapping[str, pa.ChunkedArray]) -> ArrowFrame:
        """Text keeps its type, a dictionary too unless its indices are too small for the new texts."""
        table = self._table
        for name, values in columns.items():
            at = table.schema.get_field_index(name)
            if at < 0:
                table = table.append_column(name, values)
            else:
                values = _like(values, table.schema.field(at).type)
                table = table.set_column(at, table.schema.field(at).with_type(values.type), values)
        return self._like(table)

    def drop(self, names: list[str]) -> ArrowFrame:
        """The table without some columns."""
        return self._like(self._table.select([at for at, name in enumerate(self.names) if name not in names]))

    def _like(self, table: pa.Table) -> ArrowFrame:
        return ArrowFrame(table, self._one_batch)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _like(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Text in the type that its column had; all else as it is."""
    if not (_is_text(values.type) and _is_text(_plain(kind))):
        return values
    values = values.cast(_plain(kind))
    try:
        return values.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else values
    except pa.ArrowInvalid:
        return values.dictionary_encode()


def _without_view(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else None


def _cast(table: pa.Table, types: Mapping[int, pa.DataType]) -> pa.Table:
    for at, kind in types.items():
        field = table.schema.field(at).with_type(kind)
        table = table.set_column(at, field, table.column(at).cast(kind))
    return table


class PandasFrame(Frame):
    """A pandas DataFrame; its index stays with the rows."""

    def __init__(self, table: Any) -> None:
        self.table, self.names, self.rows = table, list(table.columns), len(table)

    def read(self, name: str, first: int, last: int) -> tuple[pa.Array, bool]:
        """A part of a series; NaN is null."""
        return _to_arrow(self.table[name].iloc[first:last], from_pandas=True)

    def where(self, mask: Bools) -> PandasFrame:
        """Rows by a mask, whatever the index."""
        return PandasFrame(self.table.loc[mask])

    def replace(self, columns: Mapping[str, pa.ChunkedArray]) -> PandasFrame:
        """Text keeps its dtype; categories are those of the new texts."""
        found = {}
        is_text = sys.modules["pandas"].api.types.is_string_dtype
        for name, values in columns.items():
            series = values.to_pandas()
            series.index = self.table.index
            kind = self.table[name].dtype if name in self.names else None
            if kind is not None and _is_text(values.type) and (kind == "category" or is_text(kind)):
                series = series.astype("category" if kind == "category" else kind)
            found[name] = series
        return PandasFrame(self.table.assign(**found))

    def drop(self, names: list[str]) -> PandasFrame:
        """The frame without some columns."""
        return PandasFrame(self.table.drop(columns=names))


class PolarsFrame(Frame):
    """A polars DataFrame."""

    def __init__(self, table: Any) -> None:
        self.table, self.names, self.rows = table, list(table.columns), table.height

    def read(self, name: str, first: int, last: int) -> tuple[pa.Array, bool]:
        """A slice of a series."""
        return self.table.get_column(name).slice(first, last - first).to_arrow(), False

    def where(self, mask: Bools) -> PolarsFrame:
        """Rows by a mask."""
        return PolarsFrame(self.table.filter(mask))

    def replace(self, columns: Mapping[str, pa.ChunkedArray]) -> PolarsFrame:
        """Categorical text stays so; an Enum becomes String, since it can hold no other texts."""
        polars, found = sys.modules["polars"], []
        for name, values in columns.items():
            series = polars.Series(name, polars.from_arrow(values))
            found.append(series.cast(polars.Categorical) if self._is_categorical(name, values) else series)
        return PolarsFrame(self.table.with_columns(found) if self.names else polars.DataFrame(found))

    def _is_categorical(self, name: str, values: pa.ChunkedArray) -> bool:
        kind = self.table.schema.get(name)
        return _is_text(values.type) and isinstance(kind, sys.modules["polars"].Categorical)

    def drop(self, names: list[str]) -> PolarsFrame:
        """The frame without some columns."""
        return PolarsFrame(self.table.drop(names))


class ListFrame(Frame):
    """Lists or NumPy arrays by name, which is what `datasets` hands to a function of batches."""

    def __init__(self, table: Mapping[str, Any], rows: int | None = None) -> None:
        self.table = {name: table[name] for name in table}
        for name, values in self.table.items():
            if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__getitem__"):
                raise TypeError(
                    f"the column {name!r} is a {type(values).__name__}, not a list of values: give lists, as in "
                    '{"text": [text]}; with datasets, use dataset.map(pipeline.keep, batched=True)'
                )
        lengths = {name: len(values) for name, values in self.table.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"the columns differ in length: {lengths}")
        self.names, self.rows = list(self.table), next(iter(lengths.values()), rows or 0)

    def read(self, name: str, first: int, last: int) -> tuple[pa.Array, bool]:
        """A part of a list."""
        return _to_arrow(self.table[name][first:last])

    def where(self, mask: Bools) -> ListFrame:
        """Rows by a mask."""
        chosen = {
            name: values[mask] if isinstance(values, np.ndarray) else list(compress(values, mask))
            for name, values in self.table.items()
        }
        return ListFrame(chosen, int(mask.sum()))

    def replace(self, columns: Mapping[str, pa.ChunkedArray]) -> ListFrame:
        """Lists of Python values."""
        return ListFrame(self.table | {name: values.to_pylist() for name, values in columns.items()}, self.rows)

    def drop(self, names: list[str]) -> ListFrame:
        """The lists without some of them."""
        return ListFrame({name: self.table[name] for name in self.names if name not in names}, self.rows)


def frame_of(table: Any) -> Frame:
    """The table as a Frame. TypeError for what is none, with what to do instead."""
    if isinstance(table, (pa.Table, pa.RecordBatch)):
        return ArrowFrame(table)
    if _is_a(table, "pandas", "DataFrame"):
        return PandasFrame(table)
    if _is_a(table, "polars", "DataFrame"):
        return PolarsFrame(table)
    if isinstance(table, Mapping):
        return ListFrame(table)
    kind = type(table)
    hint = "call .collect() first" if _is_a(table, "polars", "LazyFrame") else None
    hint = hint or _HINTS.get(kind.__module__.partition(".")[0]) or _HINTS.get(kind.__qualname__)
    raise TypeError(f"a {kind.__qualname__} is no table{f'; {hint}' if hint else ''}. A table is {KINDS}")


def _is_a(table: Any, module: str, name: str) -> bool:
    """Whether it is an instance of a class of a module that may not even be installed."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(table, kind)


def _to_arrow(values: Any, from_pandas: bool = False) -> tuple[pa.Array | pa.ChunkedArray, bool]:
    try:
        return pa.array(values, from_pandas=from_pandas), False
    except UnicodeEncodeError:
        valid = [valid_text(value) if isinstance(value, str) else value for value in values]
        return pa.array(valid, from_pandas=from_pandas), True


def _is_valid(texts: pa.Array) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


@dataclass(frozen=True, slots=True)
class FramePart:
    """Rows of a table from `first` on, as a batch for stages. cleaned: columns in which text was made valid."""

    first: int
    batch: pa.RecordBatch
    cleaned: frozenset[str]


def frame_parts(frame: Frame, text_column: str, columns: list[str] | None = None) -> Iterator[FramePart]:
    """A table in batches of at most BATCH_ROWS rows and about BATCH_BYTES of text, in order; an empty one has one.

    Strings of every kind are `string`, the text column is `text`, `id` is a string, and ROW counts the rows. columns:
    those to read (all but RESERVED that Arrow can hold). Without a text column the texts are null if there is `html`.
    Raises InputError if there is no text column, or what is in it is no text.
    """
    wanted = [name for name in (frame.names if columns is None else columns) if _is_visible(name, frame, text_column)]
    for first in range(0, max(frame.rows, 1), BATCH_ROWS):
        last = min(first + BATCH_ROWS, frame.rows)
        found: dict[str, pa.Array] = {}
        cleaned = set()
        found["text"], changed = _texts(frame, text_column, first, last)
        cleaned |= {"text"} if changed else set()
        for name in wanted:
            try:
                found[name], changed = frame.column(name, first, last)
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                continue  # no stage can read it; it stays in the table
            cleaned |= {name} if changed else set()
            if name in TEXTS and not _is_text(found[name].type):
                nothing = pa.nulls(last - first, pa.large_string())
                found |= {name: nothing} if found.pop(name).null_count == last - first else {}
        rows = pa.array(np.arange(first, last), pa.int64())
        found[ROW] = rows
        found["id"] = _ids(found.get("id"), rows)
        yield from _cut(found, first, frozenset(cleaned))


def _is_visible(name: Any, frame: Frame, text_column: str) -> bool:
    hidden = (text_column, "text", *RESERVED)
    return isinstance(name, str) and frame.names.count(name) == 1 and name not in hidden


def _texts(frame: Frame, name: str, first: int, last: int) -> tuple[pa.Array, bool]:
    if frame.names.count(name) > 1:
        raise InputError(f"the table has {frame.names.count(name)} columns {name!r}")
    if name not in frame.names:
        if "html" in frame.names:
            return pa.nulls(last - first, pa.large_string()), False
        there = ", ".join(map(repr, frame.names)) or "none"
        raise InputError(f"the table has no column {name!r}; its columns: {there}. Choose another by text_column=")
    try:
        texts, cleaned = frame.column(name, first, last)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"the column {name!r} holds other values than text: {error}") from error
    if texts.null_count == len(texts):
        texts = pa.nulls(len(texts), pa.large_string())
    if not pa.types.is_large_string(texts.type):
        raise InputError(f"the column {name!r} holds {texts.type}, not text")
    return texts, cleaned


def _ids(given: pa.Array | None, rows: pa.Array) -> pa.Array:
    """The documents' ids as strings, else the numbers of the rows."""
    try:
        return (rows if given is None else given).cast(pa.string())
    except pa.ArrowException:
        return rows.cast(pa.string())


def _cut(columns: Mapping[str, pa.Array], first: int, cleaned: frozenset[str]) -> Iterator[FramePart]:
    for start, stop in [*cut_by_size(_sizes(columns), BATCH_BYTES)] or [(0, 0)]:
        yield FramePart(first + start, _batch(columns, start, stop, first), cleaned)


def _sizes(columns: Mapping[str, pa.Array]) -> Int64s:
    """Bytes of text in each row."""
    sizes = np.zeros(len(columns[ROW]), np.int64)
    for values in columns.values():
        if pa.types.is_large_string(values.type):
            sizes += pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False)
    return sizes


def _batch(columns: Mapping[str, pa.Array], start: int, stop: int, first: int) -> pa.RecordBatch:
    arrays = [values.slice(start, stop - start) for values in columns.values()]
    try:
        arrays = [array.cast(pa.string()) if pa.types.is_large_string(array.type) else array for array in arrays]
    except pa.ArrowInvalid as error:
        raise InputError(f"row {first + start}: more text than the 2 GiB that a document may have") from error
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
