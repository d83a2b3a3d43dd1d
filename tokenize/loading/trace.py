"""Traces a token back to its page: token shard, row and position → document, URL, archive and offset."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from curation.errors import InputError, NotTrusted
from curation.store.folder import Folder
from curation.store.paths import TOKENIZER, TOKENS
from curation.store.shards import open_parquet, read_numbered, rows_at
from curation.store.untrusted import is_plain

CONTEXT = 20
"""Tokens of context before and after the traced token."""

_LOCATION = re.compile(r"(?:tokens/)?([a-z]+-[0-9]+)(?:\.parquet)?:([0-9]{1,18}):([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class TokenOrigin:
    """A token and the document it comes from.

    Attributes:
        shard: Name of the token shard.
        row: Row in the shard.
        position: Position in the row.
        token: The token's id.
        before: Text of the tokens before it in the row.
        text: Text of the token.
        after: Text of the tokens after it in the row.
        document_position: Position in the row at which the document, or the rest of it, begins.
        document_id: Id of the document; None for padding.
        corpus: Folder of the run whose corpus has the document; None for padding.
        document: The document's corpus row without its text; None for padding.
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


def trace(folder: Folder, location: str, *, trust_code: bool = False) -> TokenOrigin:
    """Find the document that a token comes from.

    Args:
        folder: Output folder of the run.
        location: `SHARD:ROW:POSITION`, for example `train-00003:17:250`; rows and positions are counted from 0.
        trust_code: Also look in corpora on special file systems that the token shard names.

    Raises:
        NotTrusted: The token shard names such a corpus, and is not trusted.
        InputError: The location has another format or does not exist.
    """
    parts = _LOCATION.fullmatch(location)
    if parts is None:
        raise InputError(f"{location}: must be SHARD:ROW:POSITION, for example train-00000:12:345")
    shard, row, position = parts[1], int(parts[2]), int(parts[3])
    values, metadata = _read_row(folder, shard, row)
    ids = values["input_ids"]
    if position >= len(ids):
        raise InputError(f"{location}: a row has {len(ids)} tokens, counted from 0")
    piece = int(np.searchsorted(values["document_starts"], position, side="right")) - 1
    document_id = values["document_ids"][piece]
    corpus, document = None, None
    if document_id is not None:
        corpus, document = _find_document(
            document_id, corpora(folder, metadata.get(b"curation.sources", b"[]"), trust_code)
        )
    begin, end = max(position - CONTEXT, 0), position + 1 + CONTEXT
    before, text, after = _decode(folder, [ids[begin:position], ids[position : position + 1], ids[position + 1 : end]])
    start = values["document_starts"][piece]
    return TokenOrigin(shard, row, position, ids[position], before, text, after, start, document_id, corpus, document)


def _read_row(folder: Folder, shard: str, row: int) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    path = TOKENS.path(shard)
    if not folder.exists(path):
        raise InputError(f"{folder.url}: no {path}")
    with open_parquet(folder, path) as parquet:
        metadata = parquet.metadata
    if row >= metadata.num_rows:
        raise InputError(f"{path} has {metadata.num_rows} rows, counted from 0; there is no row {row}")
    values: dict[str, Any] = rows_at(folder, path, [row]).to_pylist()[0]
    return values, metadata.metadata or {}


def corpora(folder: Folder, sources: bytes | str, trust_code: bool) -> list[Folder]:
    """The corpora that a token shard was made from: the run's own and those that were mixed in.

    Args:
        folder: Output folder of the run.
        sources: `curation.sources` of the shard's metadata.
        trust_code: Whether these may be on special file systems.

    Raises:
        NotTrusted: One is, and that is not trusted.
    """
    names = [source["corpus"] for source in json.loads(sources)] or ["."]
    for name in names:
        if not trust_code and not is_plain(name):
            raise NotTrusted(folder.url, f"its tokens name the corpus {name!r} on a special file system")
    return [folder if name == "." else Folder(name) for name in names]


def _find_document(document_id: str, places: list[Folder]) -> tuple[str | None, dict[str, Any] | None]:
    """Find the row with this id in one of the corpora."""
    for corpus in places:
        for path in corpus.list("corpus", ".parquet"):
            for numbers, batch in read_numbered(corpus, path, ["id"]):
                found = numbers[pc.equal(batch["id"], document_id).fill_null(False).to_numpy(zero_copy_only=False)]
                if len(found):
                    row = rows_at(corpus, path, found[:1]).to_pylist()[0]
                    return corpus.url, {name: value for name, value in row.items() if name != "text"}
    return None, None


def _decode(folder: Folder, parts: list[list[int]]) -> list[str]:
    """The text of each list of ids. A token that is only part of a character decodes to U+FFFD."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_str(folder.read(TOKENIZER).decode())
    return [tokenizer.decode(part, skip_special_tokens=False) for part in parts]
