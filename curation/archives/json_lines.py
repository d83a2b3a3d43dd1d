"""Read JSON Lines: each line is an object that has the text under one of its keys, or a line to count and name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO, Any

import numpy as np
import pyarrow as pa

from curation.archives.columns import VALUES
from curation.archives.inputs import Input
from curation.archives.ledger import Loss
from curation.archives.lines import Damaged, Line, read_lines
from curation.archives.reader import ReadSettings
from curation.archives.tables import BYTES, INVALID_JSON, NO_TEXT, ROWS, WRONG_TYPE, RowLosses, documents
from curation.archives.watch import Watch
from curation.errors import UnreadableArchive
from curation.stages.batch import Batch
from curation.text.valid import valid_text

ESCAPED = 6
"""Bytes of JSON that one byte of text may take, as in \\u0001."""

KEYS_CACHED = 64
"""Sets of keys to remember: nearly all lines of a file have the same."""

_TYPES = {name: pa.float64() if name == "language_score" else pa.string() for name in VALUES}


def read_json_lines(
    stream: IO[bytes],
    source: Input,
    settings: ReadSettings,
    counts: Counter[str],
    losses: list[Loss],
    watch: Watch,
    max_rows: int = ROWS,
    max_bytes: int = BYTES,
) -> Iterator[Batch]:
    """Yield the documents of a file of JSON Lines, or of a part of one; see `read_batches` for the arguments.

    Raises:
        UnreadableArchive: There are lines, and none is a JSON object with text.
    """
    yield from _LineRows(source, settings, counts, losses, watch).batches(
        stream, _fields(settings), max_rows, max_bytes
    )


def read_text_lines(
    stream: IO[bytes],
    source: Input,
    settings: ReadSettings,
    counts: Counter[str],
    losses: list[Loss],
    watch: Watch,
    max_rows: int = ROWS,
    max_bytes: int = BYTES,
) -> Iterator[Batch]:
    """Yield the lines of a text file as documents; see `read_batches` for the arguments."""
    yield from _LineRows(source, settings, counts, losses, watch).batches(stream, _text, max_rows, max_bytes)


class BadRow(Exception):
    """A row that is no document, for a cause."""


Candidate = tuple[str, str, list[str]]
"""A name that may have a value: the whole, its part before the first dot, and the parts after it."""

Parse = Callable[[str], dict[str, Any]]
"""From a line to its values by name; raises BadRow."""


def _text(line: str) -> dict[str, Any]:
    return {"text": line}


def _fields(settings: ReadSettings) -> Parse:
    """The function that finds the values of a JSON object, by the names that the recipe gives or that are known."""
    paths = {name: [(each, *_parts(each)) for each in settings.columns.candidates(name)] for name in VALUES}
    wanted = {key for candidates in paths.values() for whole, head, _ in candidates for key in (whole, head)}

    @lru_cache(KEYS_CACHED)
    def to_try(keys: frozenset[str]) -> dict[str, list[Candidate]]:
        """The candidates that an object can have if it has these of the wanted keys."""
        found = {name: [each for each in paths[name] if {each[0], each[1]} & keys] for name in VALUES}
        return {name: candidates for name, candidates in found.items() if candidates}

    def parse(line: str) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadRow(INVALID_JSON) from error
        if not isinstance(found, dict):
            raise BadRow(WRONG_TYPE)
        values = {
            name: _first(found, candidates) for name, candidates in to_try(frozenset(found.keys() & wanted)).items()
        }
        content = [value for name in ("text", "html") if (value := values.get(name)) is not None]
        if not content:
            raise BadRow(NO_TEXT)
        if not all(isinstance(value, str) for value in content):
            raise BadRow(WRONG_TYPE)
        return {name: _plain(name, value) for name, value in values.items() if value is not None}

    return parse


def _parts(name: str) -> tuple[str, list[str]]:
    """ "metadata.url" → ("metadata", ["url"])"""
    head, *inner = name.split(".")
    return head, inner


def _first(found: dict[str, Any], paths: list[Candidate]) -> Any:
    """The first value that is there and not null."""
    for name, head, inner in paths:
        value = found.get(name)
        if value is None and inner and head in found:
            value = found[head]
            for part in inner:
                value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _plain(name: str, value: Any) -> str | float | None:
    """A value in the type of its column; None if it is of another."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "language_score":
        return float(value) if is_number and abs(value) < 1e300 else None
    if name in ("id", "date") and is_number:
        return str(value)
    return value if isinstance(value, str) else None


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Values as a column. Text is made valid only if some is not: to check each takes half as long as to parse JSON."""
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([None if value is None else valid_text(value) for value in values], kind)


class _LineRows:
    """The rows of a file of lines."""

    def __init__(
        self, source: Input, settings: ReadSettings, counts: Counter[str], losses: list[Loss], watch: Watch
    ) -> None:
        self._source, self._settings, self._counts, self._watch = source, settings, counts, watch
        self._losses = RowLosses(source, counts, losses)
        self._rows: list[int] = []
        self._values: list[dict[str, Any]] = []
        self._size = 0

    def batches(self, stream: IO[bytes], parse: Parse, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """See `read_json_lines`."""
        cause, is_array = "", False
        seen = read = 0
        line = None
        try:
            for line in read_lines(stream, self._source, ESCAPED * self._settings.max_page_bytes):
                if line.data is not None and not line.data.strip(b" \t\r\n\0"):
                    continue
                seen += 1
                is_array |= seen == 1 and line.data is not None and line.data.lstrip().startswith(b"[")
                try:
                    self._add(line, parse)
                except BadRow as bad:
                    cause = cause or str(bad)
                    self._losses.lose(line.row, str(bad), 1, line.offset, line.size)
                    continue
                read += 1
                if len(self._rows) >= max_rows or self._size >= max_bytes:
                    yield from self._flush()
        except Damaged as damage:
            row = 0 if line is None else line.row + 1
            self._losses.lose(row, damage.cause, 0, damage.offset, self._source.size - damage.offset)
            cause, seen = cause or damage.cause, seen + 1
        yield from self._flush()
        if seen and not read:
            raise UnreadableArchive(_why(cause, is_array, self._settings))
        if not seen and not self._source.size:
            self._counts["file.empty"] += 1
        self._losses.finish()

    def _add(self, line: Line, parse: Parse) -> None:
        if (cause := self._watch.decoding()) is not None:
            raise BadRow(cause)
        if line.data is None:
            self._counts.update({"records.row": 1, "skipped.too_large": 1})
            return
        try:
            text = line.data.decode()
        except UnicodeDecodeError:
            text = line.data.decode(errors="replace")
            self._counts["repaired.invalid_utf8"] += 1
        values = parse(text)
        self._rows.append(line.row)
        self._values.append(values)
        self._size += len(line.data)

    def _flush(self) -> Iterator[Batch]:
        if self._rows:
            values = {name: _array([each.get(name) for each in self._values], kind) for name, kind in _TYPES.items()}
            rows = np.array(self._rows, np.int64)
            self._rows, self._values, self._size = [], [], 0
            yield from documents(values, rows, self._source, self._settings, self._counts, self._losses)


def _why(cause: str, is_array: bool, settings: ReadSettings) -> str:
    if cause == NO_TEXT:
        names = " or ".join(repr(each) for kind in ("text", "html") for each in settings.columns.candidates(kind))
        return f"no line has a key {names}: set read.columns.text"
    more = ": the file is a JSON array; write one object per line" if is_array else ""
    return f"no line is a JSON object with text ({cause}){more}"
