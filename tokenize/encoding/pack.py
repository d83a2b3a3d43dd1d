"""Packs documents, each followed by its end token, into rows of one length.

`concat` puts them end to end and cuts wherever a row ends: only the last row of the whole set is padded, and about one
document per row is cut. `best_fit` is best-fit decreasing bin packing ("Fewer Truncations Improve Language Modeling",
Ding et al., 2024): only documents longer than a row are cut, at the price of a little padding at the ends of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.arrays import Int64s, UInt64s, UnsignedInts
from curation.running.compiled import inner, kernel
from curation.store.hashing import mix_bits
from curation.tokenize.encoding.encoder import EncodedTexts
from curation.tokenize.encoding.token_shards import PackedRows, TokensSettings


@dataclass(frozen=True, slots=True)
class Range:
    """The part of the documents that one token shard holds.

    Attributes:
        first: First slot.
        last: Last slot, exclusive.
        skip: Tokens to skip at the start of the first slot.
        tokens: Tokens in the shard.
    """

    first: int
    last: int
    skip: int
    tokens: int


def plan(slots: Int64s, settings: TokensSettings) -> tuple[list[Range], int]:
    """Divide the documents of a split among token shards.

    With `concat` every shard but the last has exactly `shard_rows` rows. With `best_fit` it has about as many and ends
    where a slot ends, because the number of rows that documents fill is known only after packing.

    Args:
        slots: int64[slots]. Tokens in each slot.
        settings: Recipe table [tokens].

    Returns:
        The range of each token shard, and the number of tokens dropped by `tail = "drop"`.
    """
    before = np.concatenate(([0], np.cumsum(slots)))
    total = int(before[-1])
    shard = settings.shard_rows * settings.sequence_length
    if settings.packing == "best_fit":
        count = max(1, -(-total // shard))
        cuts = np.searchsorted(before, [number * total / count for number in range(count + 1)])
        pairs = list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
        return [Range(a, b, 0, int(before[b] - before[a])) for a, b in pairs if before[b] > before[a]], 0
    kept = total if settings.tail == "pad" else total // settings.sequence_length * settings.sequence_length
    ranges = []
    for start in range(0, kept, shard):
        end = min(start + shard, kept)
        first = int(np.searchsorted(before, start, side="right")) - 1
        ranges.append(Range(first, int(np.searchsorted(before, end)), int(start - before[first]), end - start))
    return ranges, total - kept


def concat(documents: EncodedTexts, length: int, skip: int, tokens: int, pad: int) -> PackedRows:
    """Pack documents end to end.

    Args:
        documents: The documents, end tokens included.
        length: Tokens per row.
        skip: Tokens to skip at the start of the first document.
        tokens: Tokens to pack.
        pad: Token that fills the last row if `tokens` is not a multiple of `length`.
    """
    rows = -(-tokens // length)
    padding = rows * length - tokens
    ids = documents.ids[skip : skip + tokens]
    if padding:
        ids = np.concatenate((ids, np.full(padding, pad, ids.dtype)))
    begins = documents.offsets[:-1] - skip
    begins = begins[(begins > 0) & (begins < tokens)]
    starts = np.union1d(begins, np.arange(rows, dtype=np.int64) * length)
    pieces = np.searchsorted(documents.offsets, starts + skip, side="right") - 1
    if padding:
        starts, pieces = np.append(starts, tokens), np.append(pieces, -1)
    return _rows(ids.reshape(rows, length), starts, pieces, padding)


def _rows(ids: UnsignedInts, starts: Int64s, pieces: Int64s, padding: int) -> PackedRows:
    count, length = ids.shape
    offsets = np.searchsorted(starts, np.arange(count + 1, dtype=np.int64) * length)
    return PackedRows(
        ids, (starts % length).astype(np.int32), pieces.astype(np.int64), offsets.astype(np.int64), padding
    )


def best_fit(documents: EncodedTexts, length: int, pad: int, seed: int = 0) -> PackedRows:
    """Pack documents by best-fit decreasing.

    A document longer than a row is cut into full rows and one piece with the rest. Within a row, pieces keep the order
    of the documents.

    Args:
        documents: The documents, end tokens included.
        length: Tokens per row.
        pad: Token that fills the ends of rows.
        seed: Random seed of the order of rows.
    """
    document, start, size = _cut(documents, length)
    bins, count = _best_fit(np.argsort(-size, kind="stable"), size, length)
    salt = mix_bits(np.array([seed], np.uint64))
    shuffled = np.argsort(mix_bits(np.arange(count, dtype=np.uint64) ^ salt), kind="stable")
    row_of = np.empty(count, np.int64)
    row_of[shuffled] = np.arange(count)
    row = row_of[bins]
    order = np.argsort(row, kind="stable")
    ids = np.full((count, length), pad, documents.ids.dtype)
    filled, where = _put(documents.ids, documents.offsets[document[order]] + start[order], size[order], row[order], ids)
    short = np.flatnonzero(filled < length)
    starts = np.concatenate((row[order] * length + where, short * length + filled[short]))
    pieces = np.concatenate((document[order], np.full(len(short), -1, np.int64)))
    sort = np.argsort(starts, kind="stable")
    return _rows(ids, starts[sort], pieces[sort], int((length - filled).sum()))


def _cut(documents: EncodedTexts, length: int) -> tuple[Int64s, Int64s, Int64s]:
    """Cut documents into pieces of at most `length` tokens; returns the document, start and size of each piece."""
    counts = -(-documents.lengths // length)
    document = np.repeat(np.arange(len(documents)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = number * length
    return document, start, np.minimum(documents.lengths[document] - start, length)


@kernel
def _best_fit(order: Int64s, sizes: Int64s, length: int) -> tuple[Int64s, int]:
    """Put each piece, longest first, into the fullest bin with enough room; returns each piece's bin and their number.

    Bins with equal room form a stack with the last used on top. A bitmap of the existing room sizes finds the smallest
    one that is large enough.
    """
    bins = np.empty(len(sizes), np.int64)
    below = np.empty(len(sizes), np.int64)
    top = np.full(length + 1, -1, np.int64)
    words = np.zeros(length // 64 + 2, np.uint64)
    count = 0
    for piece in order:
        room = _first_room(words, sizes[piece], length)
        if room > length:
            chosen, room = count, length
            count += 1
        else:
            chosen = top[room]
            top[room] = below[chosen]
            if top[room] < 0:
                words[room >> 6] &= ~(np.uint64(1) << np.uint64(room & 63))
        bins[piece] = chosen
        room -= sizes[piece]
        if room > 0:
            below[chosen] = top[room]
            top[room] = chosen
            words[room >> 6] |= np.uint64(1) << np.uint64(room & 63)
    return bins, count


@inner
def _first_room(words: UInt64s, size: int, length: int) -> int:
    """The smallest room of at least `size` in any bin, or `length + 1`."""
    word = size >> 6
    bits = words[word] >> np.uint64(size & 63) << np.uint64(size & 63)
    while bits == 0:
        word += 1
        if word >= len(words):
            return length + 1
        bits = words[word]
    room = word << 6
    while bits & np.uint64(1) == 0:
        bits >>= np.uint64(1)
        room += 1
    return room


@kernel
def _put(source: UnsignedInts, begins: Int64s, sizes: Int64s, rows: Int64s, ids: UnsignedInts) -> tuple[Int64s, Int64s]:
    """Append each piece to its row; returns how far each row is filled and where each piece starts in its row."""
    filled = np.zeros(len(ids), np.int64)
    where = np.empty(len(sizes), np.int64)
    for piece in range(len(sizes)):
        row = rows[piece]
        where[piece] = filled[row]
        part = source[begins[piece] : begins[piece] + sizes[piece]]
        space = ids[row, filled[row] : filled[row] + sizes[piece]]
        for position in range(sizes[piece]):
            space[position] = part[position]
        filled[row] += sizes[piece]
    return filled, where
