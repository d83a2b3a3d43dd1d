"""Rows of a table as batches of documents, and the rows that are none: counted by cause, and named by row.

Everything here works on whole columns, so that a row costs no Python of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.archives.charset import to_utf8
from curation.archives.inputs import Input
from curation.archives.ledger import LOST, MAX_LOSSES, RECORDS, Loss
from curation.archives.reader import ReadSettings, dump_of
from curation.arrays import Bools, Int64s
from curation.stages.batch import Batch
from curation.store import schema
from curation.store.shards import shard_name

ROWS, BYTES = 2048, 4 << 20
"""Most rows and bytes of text per batch. Text alone takes several times its size in the views that filters share, so
this is half of what a batch of pages may hold."""

_TIME = r"^([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})$"
"""A time as CulturaX and others write it, which becomes ISO 8601 like a column of times."""

NO_TEXT, WRONG_TYPE, INVALID_JSON = "no_text", "wrong_type", "invalid_json"
"""Causes for which a row is no document, besides damage."""


class RowLosses:
    """Counts the rows of a file that are not read, and names them.

    Args:
        source: The file.
        counts: Updated with `records.row`, `skipped.<cause>` and `bytes.*`.
        losses: What could not be read is appended to it: rows in a row for one cause are one loss.
    """

    def __init__(self, source: Input, counts: Counter[str], losses: list[Loss]) -> None:
        self._counts, self._losses, self._left = counts, losses, source.bytes
        self.bad = 0

    def lose(self, row: int, cause: str, rows: int = 1, offset: int = 0, size: int = 0) -> None:
        """Count rows that could not be read.

        Args:
            row: The first of them.
            cause: Why.
            rows: Their number; 0 if it is unknown.
            offset: Where they begin in the file, in bytes, as far as that is known.
            size: Bytes of the file that were lost with them.
        """
        self.bad += 1
        self._counts["records.row"] += rows
        self._counts[f"skipped.{cause}"] += rows
        self._counts[LOST] += min(size, self._left)
        self._left -= min(size, self._left)
        last = self._losses[-1] if self._losses else None
        if last is not None and last.row is not None and last.cause == cause and last.row + last.records == row:
            self._losses[-1] = replace(last, bytes=last.bytes + size, records=last.records + rows)
        elif len(self._losses) < MAX_LOSSES:
            self._losses.append(Loss(offset, size, cause, rows, row))

    def finish(self) -> None:
        """Count the bytes that were read."""
        self._counts[RECORDS] += self._left
        self._left = 0


def documents(
    values: Mapping[str, pa.Array],
    rows: Int64s,
    source: Input,
    settings: ReadSettings,
    counts: Counter[str],
    losses: RowLosses,
) -> Iterator[Batch]:
    """Yield the documents of some rows of a file as batches with the columns of `schema.RECORD`.

    Args:
        values: What `VALUES` names, as far as it is there: strings, or bytes for HTML whose charset is not known; a
            double for `language_score`. One value per row.
        rows: The number of each row in its file, int64[rows], ascending.
        source: The file.
        settings: Table [read] of the recipe.
        counts: Updated with what became of every row.
        losses: Told about the rows that have neither text nor HTML.
    """
    values = {**values, **_page(values, len(rows), settings, counts)}
    text, html = values["text"], values["html"]
    content = pc.coalesce(text, html)
    is_missing = _mask(content.is_null())
    for row in rows[is_missing].tolist():
        losses.lose(row, NO_TEXT)
    is_blank = _mask(pc.invert(pc.match_substring_regex(content, r"\S")).fill_null(False))
    is_large = _mask(pc.greater(pc.binary_length(content), settings.max_page_bytes).fill_null(False)) & ~is_blank
    keep = ~(is_missing | is_blank | is_large)
    pages = int((keep & _mask(html.is_valid())).sum())
    found = {
        "skipped.empty": int(is_blank.sum()),
        "skipped.too_large": int(is_large.sum()),
        "pages.html": pages,
        "pages.text": int(keep.sum()) - pages,
        "records.row": len(rows) - int(is_missing.sum()),
    }
    counts.update({name: count for name, count in found.items() if count})
    if not keep.all():
        chosen = pa.array(keep)
        values, rows = {name: each.filter(chosen) for name, each in values.items()}, rows[keep]
    if len(rows):
        yield Batch(_records(values, rows, source, settings))


def _mask(booleans: pa.BooleanArray) -> Bools:
    return np.asarray(booleans.to_numpy(zero_copy_only=False), np.bool_)


def _page(
    values: Mapping[str, pa.Array], rows: int, settings: ReadSettings, counts: Counter[str]
) -> dict[str, pa.StringArray]:
    """Text and HTML of every row, never both; text is preferred unless the recipe names the column of HTML."""
    nulls = pa.nulls(rows, pa.string())
    text, html = valid_strings(values.get("text", nulls), counts), values.get("html", nulls)
    html = _decoded(html, counts) if pa.types.is_binary(html.type) else valid_strings(html, counts)
    if settings.columns.html is not None:
        return {"html": html, "text": pc.if_else(html.is_valid(), pa.scalar(None, pa.string()), text)}
    return {"text": text, "html": pc.if_else(text.is_valid(), pa.scalar(None, pa.string()), html)}


def _decoded(html: pa.BinaryArray, counts: Counter[str]) -> pa.StringArray:
    """Bytes of pages as UTF-8, each by the charset that it declares."""
    decoded = []
    for value in html:
        content, choice = to_utf8(value.as_py(), "", is_html=True) if value.is_valid else (None, "")
        if choice:
            counts[f"charset.{choice}"] += 1
        decoded.append(None if content is None else bytes(content))
    return pa.array(decoded, pa.binary()).cast(pa.string())


def valid_strings(column: pa.Array, counts: Counter[str]) -> pa.StringArray:
    """The column as UTF-8, with U+FFFD for what is none (counted as `repaired.invalid_utf8`): files are not checked."""
    try:
        strings = column.cast(pa.string())
        strings.validate(full=True)
    except pa.ArrowInvalid:
        found = [None if value is None else value for value in column.cast(pa.binary()).to_pylist()]
        counts["repaired.invalid_utf8"] += sum(value is not None and not _is_utf8(value) for value in found)
        strings = pa.array([None if value is None else value.decode(errors="replace") for value in found], pa.string())
    return strings


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _records(values: Mapping[str, pa.Array], rows: Int64s, source: Input, settings: ReadSettings) -> pa.RecordBatch:
    """The columns of `schema.RECORD`; a document without an id gets one made from file and row."""
    count = len(rows)
    numbers = pa.array(rows)
    made = pc.binary_join_element_wise(shard_name(source.path), numbers.cast(pa.string()), ":")
    given = values.get("id", pa.nulls(count, pa.string()))
    dump = pa.scalar(settings.dump or dump_of(source.path), pa.string())
    arrays: dict[str, pa.Array] = {
        **values,
        **({"date": pc.replace_substring_regex(values["date"], _TIME, r"\1-\2-\3T\4Z")} if "date" in values else {}),
        "id": pc.coalesce(pc.if_else(pc.equal(given, ""), pa.scalar(None, pa.string()), given), made),
        "dump": pc.coalesce(values["dump"], dump) if "dump" in values and not settings.dump else _repeat(dump, count),
        "row": numbers,
        "file_path": pa.repeat(source.path, count),
    }
    columns = [arrays.get(part.name, pa.nulls(count, part.type)).cast(part.type) for part in schema.RECORD]
    return pa.RecordBatch.from_arrays(columns, schema=schema.RECORD)


def _repeat(value: pa.Scalar, count: int) -> pa.Array:
    return pa.repeat(value, count) if value.is_valid else pa.nulls(count, value.type)


def pieces(lengths: Int64s, max_rows: int = ROWS, max_bytes: int = BYTES) -> Iterator[slice]:
    """Slices of rows that each hold at most `max_rows` rows and about `max_bytes` bytes.

    Args:
        lengths: Bytes of every row, int64[rows].
        max_rows: Most rows of a slice.
        max_bytes: Bytes after which a slice ends.
    """
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        before = ends[first - 1] if first else 0
        last = int(np.searchsorted(ends, before + max_bytes, side="left")) + 1
        last = min(last, first + max_rows, len(lengths))
        yield slice(first, last)
        first = last
