"""The documents of a token set one after the other, without padding, as exports need them.

The parts of a document that `concat` cut at the end of a row are joined again. The parts of a document that `best_fit`
cut because it was longer than a row become separate documents, because other documents may be between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.arrays import Int64s
from curation.errors import InputError
from curation.tokenize.loading.token_set import TokenSet


@dataclass(frozen=True, slots=True)
class StreamPart:
    """The tokens of a row group.

    Attributes:
        packed: Tokens as they are packed, with padding, shape (rows, sequence_length).
        ids: Tokens without padding, shape (tokens,).
        begins: int64[documents]. Where documents begin in `ids`; what is before the first belongs to an earlier part.
        names: Id of each of these documents.
    """

    packed: npt.NDArray[Any]
    ids: npt.NDArray[Any]
    begins: Int64s
    names: pa.StringArray


def stream_parts(tokens: TokenSet) -> Iterator[StreamPart]:
    """The documents of a token set in their order, one row group after the other.

    Raises:
        InputError: The metadata names no end token, or an id is not in the vocabulary.
    """
    if "curation.end_id" not in tokens.metadata:
        raise InputError(f"{tokens.folder.url}: the metadata does not say which token ends a document")
    end, join = tokens.end_id, tokens.metadata.get("curation.packing") == "concat"
    previous = end
    for block in range(len(tokens.blocks)):
        part = _without_padding(tokens, block)
        if join and len(part.ids):
            before = np.where(part.begins > 0, part.ids[np.maximum(part.begins - 1, 0)], previous)
            begin, previous = before == end, part.ids[-1]
            part = replace(part, begins=part.begins[begin], names=part.names.filter(pa.array(begin)))
        yield part


def whole_documents(tokens: TokenSet) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Id and tokens of each document."""
    name, pieces = "", list[npt.NDArray[Any]]()
    for part in stream_parts(tokens):
        bounds = [*part.begins.tolist(), len(part.ids)]
        pieces.append(part.ids[: bounds[0]])
        for number, following in enumerate(part.names.to_pylist()):
            if any(map(len, pieces)):
                yield name, np.concatenate(pieces)
            name, pieces = following, [part.ids[bounds[number] : bounds[number + 1]]]
    if pieces:
        yield name, np.concatenate(pieces)


def _without_padding(tokens: TokenSet, block: int) -> StreamPart:
    """The ids of a row group and where its pieces begin, without the pieces that have no document id."""
    table = tokens.table(block)
    ids = table.column("input_ids").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    tokens.check_ids(ids, block)
    starts = table.column("document_starts").combine_chunks()
    rows = np.repeat(np.arange(table.num_rows), np.diff(starts.offsets.to_numpy()))
    begins = rows * tokens.sequence_length + starts.flatten().to_numpy(zero_copy_only=False)
    names = table.column("document_ids").combine_chunks().flatten()
    real = names.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.diff(np.append(begins, len(ids)))
    packed = ids.reshape(-1, tokens.sequence_length)
    if not real.all():
        ids = ids[np.repeat(real, lengths)]
    return StreamPart(packed, ids, np.cumsum(lengths[real]) - lengths[real], names.drop_null())
