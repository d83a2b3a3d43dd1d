"""From a token back to the page it came from: token shard, row and position → document, URL, archive and offset."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import FSSpecHandler, PyFileSystem

from curation.errors import InputError
from curation.store.folder import Folder
from curation.store.paths import TOKENIZER

CONTEXT = 20
"""Tokens shown on either side of the one asked for."""

_PLACE = re.compile(r"(?:tokens/)?([a-z]+-\d+)(?:\.parquet)?:(\d+):(\d+)")


@dataclass(frozen=True, slots=True)
class TokenOrigin:
    """A token and where it came from.

    before, text, after: the token's text amid that of its neighbours in the row. document: the corpus row it belongs to
    without its text, or None for padding; corpus: the folder whose corpus that is; document_position: the position in
    the row at which the document, or the rest of it, begins.
    """

    shard: str
    row: int
    position: int
    token: int
    before: str
    text: str
    after: str
    document_position: int
    document_id: str | None
    corpus: str | None
    document: dict[str, Any] | None


def trace(folder: Folder, place: str) -> TokenOrigin:
    """The origin of the token at `SHARD:ROW:POSITION`, such as `train-00003:17:250`, all counted from 0.

    InputError if the place is not written so, or does not exist.
    """
    parts = _PLACE.fullmatch(place)
    if parts is None:
        raise InputError(f"{place}: must be SHARD:ROW:POSITION, such as train-00000:12:345")
    shard, row, position = parts[1], int(parts[2]), int(parts[3])
    values, metadata = _read_row(folder, shard, row)
    ids = values["input_ids"]
    if position >= len(ids):
        raise InputError(f"{place}: a row has {len(ids)} tokens, counted from 0")
    piece = int(np.searchsorted(values["document_starts"], position, side="right")) - 1
    identity = values["document_ids"][piece]
    corpus, document = _find_document(folder, identity, metadata) if identity is not None else (None, None)
    begin, end = max(position - CONTEXT, 0), position + 1 + CONTEXT
    before, text, after = _decode(folder, [ids[begin:position], ids[position : position + 1], ids[position + 1 : end]])
    start = values["document_starts"][piece]
    return TokenOrigin(shard, row, position, ids[position], before, text, after, start, identity, corpus, document)


def _read_row(folder: Folder, shard: str, row: int) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    path = f"tokens/{shard}.parquet"
    if not folder.exists(path):
        raise InputError(f"{folder.url}: no {path}")
    with folder.open(path) as file, pq.ParquetFile(file) as parquet:
        if row >= parquet.metadata.num_rows:
            raise InputError(f"{path} has {parquet.metadata.num_rows} rows, counted from 0; there is no row {row}")
        first = 0
        for group in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            if row < first + rows:
                break
            first += rows
        found: dict[str, Any] = parquet.read_row_group(group).slice(row - first, 1).to_pylist()[0]
        return found, parquet.metadata.metadata or {}


def _find_document(
    folder: Folder, identity: str, metadata: dict[bytes, bytes]
) -> tuple[str | None, dict[str, Any] | None]:
    """The corpus row of this id, in the corpus of the run or of those that were mixed into it."""
    sources = json.loads(metadata.get(b"curation.sources", b"[]")) or [{"corpus": "."}]
    for source in sources:
        corpus = folder if source["corpus"] == "." else Folder(source["corpus"])
        paths = [corpus.path(path) for path in corpus.list("corpus", ".parquet")]
        if paths:
            rows = ds.dataset(paths, format="parquet", filesystem=PyFileSystem(FSSpecHandler(corpus.fs)))
            columns = [name for name in rows.schema.names if name != "text"]
            found = rows.scanner(columns=columns, filter=ds.field("id") == identity).head(1).to_pylist()
            if found:
                return corpus.url, found[0]
    return None, None


def _decode(folder: Folder, parts: list[list[int]]) -> list[str]:
    """The text of each run of ids; a token that is part of a character shows as U+FFFD."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_str(folder.read(TOKENIZER).decode())
    return [tokenizer.decode(part, skip_special_tokens=False) for part in parts]
