"""Reads texts from what a user names: a run folder, Parquet, JSON Lines or plain text, for models and matchers.

Rows have the columns `text`, `id`, `url` and `language`; what a file lacks is null, and an `id` that is missing is the
file and the row. In JSON Lines and Parquet the field `text` is needed; in plain text each line is a document.
"""

from __future__ import annotations

import glob
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import InputError
from curation.store.paths import CORPUS, DOCUMENTS, RUN
from curation.store.storage import explain, input_errors, is_of_storage
from curation.text.valid import valid_text

TEXTS = pa.schema([("text", pa.string()), ("id", pa.string()), ("url", pa.string()), ("language", pa.string())])
"""Columns of a batch of texts."""

ROWS = 1024
_PACKINGS = (".gz", ".zst")
_KINDS = (".parquet", ".jsonl", ".json", ".ndjson", ".txt")


def text_files(sources: Iterable[str]) -> list[str]:
    """The files of run folders, folders, globs and files, in order; InputError if there is none.

    Of a run folder they are those of corpus/, or of documents/ before deduplication.
    """
    files: list[str] = []
    for source in sources:
        try:
            file_system, path = fsspec.core.url_to_fs(source)
            if file_system.isfile(path):
                found = [source]
            elif file_system.isdir(path):
                found = _in_folder(file_system, path.rstrip("/"))
            elif glob.has_magic(path):
                found = _named(file_system, file_system.glob(path))
            else:
                raise InputError(f"{source}: no such file or folder")
        except InputError:
            raise
        except (OSError, ValueError, ImportError) as error:
            raise InputError(f"{source}: {explain(error) if is_of_storage(error) else error}") from error
        if not found:
            raise InputError(f"{source}: no Parquet, JSON Lines or text file")
        files += found
    return list(dict.fromkeys(files))


def _in_folder(file_system: Any, path: str) -> list[str]:
    if file_system.exists(f"{path}/{RUN}"):
        for part in (CORPUS.folder, DOCUMENTS.folder):
            if file_system.isdir(f"{path}/{part}"):
                path = f"{path}/{part}"
                break
    return _named(file_system, file_system.find(path))


def _named(file_system: Any, paths: Iterable[str]) -> list[str]:
    """Those of the paths that are of a known kind, as they can be opened."""
    names = sorted(name for name in paths if _kind(name))
    return [file_system.unstrip_protocol(name) if file_system.protocol != ("file", "local") else name for name in names]


def _kind(path: str) -> str:
    for packing in _PACKINGS:
        path = path.removesuffix(packing)
    return next((kind for kind in _KINDS if path.endswith(kind)), "")


def read_rows(path: str) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet or JSON Lines file as mappings; those of plain text have the key "text".

    Raises:
        InputError: The file cannot be read, or a line is not a JSON object.
    """
    kind = _kind(path)
    with input_errors(f"{path}: cannot be read"), naming_damage(path):
        if kind == ".parquet":
            with fsspec.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(ROWS):
                    yield from batch.to_pylist()
            return
        with _unpacked(path) as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                if kind == ".txt":
                    yield {"text": line.decode("utf-8", "replace").rstrip("\r\n")}
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{path}: line {number} is not JSON: {error}") from error
                if not isinstance(row, dict):
                    raise InputError(f"{path}: line {number} is not a JSON object")
                yield row


@contextmanager
def naming_damage(path: str) -> Iterator[None]:
    """Turn what a damaged file raises into InputError, which names it. Errors of its storage stay as they are."""
    try:
        yield
    except (OSError, EOFError, ValueError, OverflowError, pa.ArrowException) as error:
        is_of_system = isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None)
        if is_of_system or is_of_storage(error):
            raise
        raise InputError(f"{path}: cannot be read: {error}") from error


@contextmanager
def _unpacked(path: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, gzip and zstd undone; OSError or EOFError, while they are read, if it is cut off."""
    with fsspec.open(path, "rb", compression="gzip" if path.endswith(".gz") else None) as file:
        if not path.endswith(".zst"):
            yield file
            return
        # fsspec's reader of zstd has no lines, ends after one frame, and takes the end of half a frame for a whole one.
        with pa.CompressedInputStream(file, "zstd") as unpacked, io.BufferedReader(unpacked) as lines:
            yield cast("IO[bytes]", lines)


def read_texts(path: str) -> Iterator[pa.RecordBatch]:
    """The documents of one file in batches of at most `ROWS`, columns TEXTS.

    Raises:
        InputError: The file cannot be read, or a row has no text.
    """
    pending: list[dict[str, str | None]] = []
    for number, row in enumerate(read_rows(path)):
        text = row.get("text")
        if text is None and "text" not in row:
            raise InputError(f'{path}: row {number} has no field "text"; it has {", ".join(sorted(map(str, row)))}')
        key = row.get("id")
        pending.append(
            {
                "text": valid_text(text) if isinstance(text, str) else "",
                "id": f"{path}#{number}" if key is None else valid_text(str(key)),
                "url": valid_text(row["url"]) if isinstance(row.get("url"), str) else None,
                "language": valid_text(row["language"]) if isinstance(row.get("language"), str) else None,
            }
        )
        if len(pending) == ROWS:
            yield pa.RecordBatch.from_pylist(pending, schema=TEXTS)
            pending = []
    if pending:
        yield pa.RecordBatch.from_pylist(pending, schema=TEXTS)
