"""Shuffles the documents of the whole corpus in two passes, neither of which holds the corpus in memory.

Every copy of a document gets a 64-bit key made from the seed and its id, and documents are ordered by key. The first
pass, one task per corpus shard, writes the shard's documents sorted by key and cut into slots: key ranges that all
shards share. The second pass, one task per token shard, reads its range of slots from every file and merges them. Keys
are uniform, so a range of slots is the same small share of every file. Only keys decide the order, so it does not
depend on the number of corpus shards or workers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Float64s, Int64s, UInt64s
from curation.store.exchange import mapped
from curation.store.folder import Folder
from curation.store.hashing import GOLDEN, hash_strings, mix_bits
from curation.tokenize.encoding.encoder import EncodedTexts, take

MAX_SLOT_BITS = 16
SLOTS_PER_SHARD = 16
"""Slots per token shard: a task reads at most one extra slot at either end of its range, and the size of a `best_fit`
shard, which is cut between slots, is off by about a sixteenth. Beyond 2^16 slots (about 60 billion tokens in shards of
the default size) slots grow instead of their number; larger shards move that limit up."""

TYPICAL_TOKENS = 1000
"""Approximate number of tokens per document of web text; used only to estimate the number of slots."""

READ_BYTES = 1 << 18
"""Bytes read at once from a file that is not local."""

MERGE_TOKENS = 1 << 23
"""Tokens held in memory at once while files are merged, besides those of one slot."""

_SPLIT, _PART = 0x73706C6974, 0x70617274
"""Seeds of the two hashes that do not depend on the user's seed: the split, and the documents in a partial epoch."""


def document_keys(ids: pa.StringArray, copies: Int64s, seed: int, source: int = 0) -> UInt64s:
    """The sort key of each copy, uint64[n].

    Args:
        ids: Id of each copy's document.
        copies: int64[n]. Number of each copy among the copies of its document.
        seed: Random seed of the shuffle.
        source: Position of the corpus in the mix.
    """
    with np.errstate(over="ignore"):
        salt = (np.uint64(source) << np.uint64(32)) + copies.astype(np.uint64)
        return mix_bits(hash_strings(ids, seed) + salt * GOLDEN)


def split_hashes(clusters: pa.StringArray) -> UInt64s:
    """The hashes of near-duplicate cluster ids that decide the split. They do not depend on the seed."""
    return hash_strings(clusters, _SPLIT)


def is_validation(hashes: UInt64s, fraction: float, least: int | None = None) -> Bools:
    """Which documents are for validation: those whose hash is in the lowest `fraction`, or at most `least`."""
    bound = min(int(fraction * 2**64), 2**64 - 1)
    validation = hashes < np.uint64(bound)
    return validation if least is None else validation | (hashes <= np.uint64(least))


def repeats(ids: pa.StringArray, times: Float64s) -> Int64s:
    """How often each document is used: `times` rounded up or down by a hash of the id, so that 2.5 is 2 or 3."""
    if (times == np.floor(times)).all():
        return times.astype(np.int64)
    part = hash_strings(ids, _PART).astype(np.float64) / 2**64
    return np.floor(times + part * (1 - 2**-52)).astype(np.int64)


def slot_count(documents: int, shard_tokens: int) -> int:
    """The number of slots: a power of two, about `SLOTS_PER_SHARD` per token shard, at most 2^16.

    Args:
        documents: Number of documents, copies included.
        shard_tokens: Tokens per token shard.
    """
    target = SLOTS_PER_SHARD * documents * TYPICAL_TOKENS / shard_tokens
    return 1 << min(max(int(np.ceil(np.log2(max(target, 1)))), 0), MAX_SLOT_BITS)


@dataclass(frozen=True, slots=True)
class Documents:
    """Encoded documents in the order of their keys.

    Attributes:
        encoded: Their tokens.
        ids: Their ids.
        keys: uint64[documents], ascending.
    """

    encoded: EncodedTexts
    ids: pa.StringArray
    keys: UInt64s

    def __len__(self) -> int:
        return len(self.ids)


def in_key_order(
    encoded: EncodedTexts,
    ids: pa.StringArray,
    keys: UInt64s,
    rows: Int64s,
    dtype: np.dtype[Any],
    end: int | None = None,
    begin: int | None = None,
) -> Documents:
    """Sort copies of documents by key; the sort is stable.

    Args:
        encoded: The documents.
        ids: Id of each document.
        keys: uint64[copies]. Key of each copy.
        rows: int64[copies]. Which document each copy is of.
        dtype: Type of the resulting token ids.
        end: Token to append to each copy, if any.
        begin: Token to put before each copy, if any.
    """
    order = np.argsort(keys, kind="stable")
    rows = rows[order]
    return Documents(take(encoded, rows, dtype, end, begin), ids.take(pa.array(rows)), keys[order])


def write_slots(folder: Folder, path: str, documents: Documents, slots: int) -> None:
    """Write sorted documents as an Arrow file with one record batch per non-empty slot."""
    filled, bounds = _slot_bounds(documents, slots)
    tokens = np.diff(documents.encoded.offsets[bounds])
    _write_batches(folder, path, filled, tokens, documents.encoded.ids.dtype, [documents], slots)


def _write_batches(
    folder: Folder,
    path: str,
    filled: Int64s,
    tokens: Int64s,
    dtype: np.dtype[Any],
    parts: Iterable[Documents],
    slots: int,
) -> None:
    """Write one file from parts that do not share a slot; `filled` and `tokens` are its slots and their tokens."""
    metadata = {"slots": _pack(filled.astype(np.int64)), "tokens": _pack(tokens.astype(np.int64))}
    kind = pa.list_(pa.from_numpy_dtype(dtype))
    schema = pa.schema([("key", pa.uint64()), ("id", pa.string()), ("tokens", kind)], metadata=metadata)
    with folder.writing(path, sync=False) as file, pa.ipc.new_file(pa.PythonFile(file, mode="w"), schema) as writer:
        for documents in parts:
            for start, stop in pairwise(_slot_bounds(documents, slots)[1].tolist()):
                writer.write_batch(_slot_batch(documents, start, stop, schema))


def _slot_bounds(documents: Documents, slots: int) -> tuple[Int64s, Int64s]:
    """The non-empty slots, int64[filled], and where each begins and the last one ends, int64[filled + 1]."""
    filled, first = np.unique(_slots_of(documents.keys, slots), return_index=True)
    return filled, np.append(first, len(documents)).astype(np.int64)


def _slot_batch(documents: Documents, start: int, stop: int, schema: pa.Schema) -> pa.RecordBatch:
    offsets = documents.encoded.offsets[start : stop + 1]
    ids = documents.encoded.ids[offsets[0] : offsets[-1]]
    lists = pa.ListArray.from_arrays(pa.array((offsets - offsets[0]).astype(np.int32)), pa.array(ids))
    names = pa.concat_arrays([documents.ids.slice(start, stop - start)])
    return pa.record_batch([pa.array(documents.keys[start:stop]), names, lists], schema=schema)


def slot_tokens(folder: Folder, path: str) -> tuple[Int64s, Int64s]:
    """The non-empty slots of a file that `write_slots` wrote, and the tokens in each, int64[filled] both."""
    with mapped(folder, path, block_size=READ_BYTES) as file, pa.ipc.open_file(file) as reader:
        return _unpack(reader.schema, "slots"), _unpack(reader.schema, "tokens")


class SlotReader:
    """Reads slots from several files that `write_slots` or `merge` wrote, each opened once. A context manager.

    Args:
        folder: Their folder.
        paths: The files. If two documents have the same key, the one in the earlier file comes first.
        dtype: Type of the token ids.
    """

    def __init__(self, folder: Folder, paths: Sequence[str], dtype: np.dtype[Any]) -> None:
        self._folder, self._paths, self._dtype = folder, paths, dtype
        self._files: list[tuple[Int64s, Int64s, Any]] = []
        self._open = ExitStack()

    def __enter__(self) -> SlotReader:
        with ExitStack() as stack:
            for path in self._paths:
                file = stack.enter_context(mapped(self._folder, path, block_size=READ_BYTES))
                reader = stack.enter_context(pa.ipc.open_file(file))
                self._files.append((_unpack(reader.schema, "slots"), _unpack(reader.schema, "tokens"), reader))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._files.clear()
        self._open.close()

    def read(self, first: int, last: int) -> Documents:
        """Read the documents of slots `first` to `last` (exclusive) from all files, in key order."""
        batches: list[pa.RecordBatch] = []
        for slots, _, reader in self._files:
            begin, end = np.searchsorted(slots, [first, last])
            batches += [reader.get_batch(number) for number in range(begin, end)]
        encoded = _concatenate([batch.column("tokens") for batch in batches], self._dtype)
        ids = pa.concat_arrays([batch.column("id") for batch in batches]) if batches else pa.array([], pa.string())
        keys = [batch.column("key").to_numpy() for batch in batches]
        rows = np.arange(len(ids))
        return in_key_order(encoded, ids, np.concatenate([np.empty(0, np.uint64), *keys]), rows, self._dtype)

    def merge(self, path: str, first: int, last: int, slots: int) -> None:
        """Write the documents of slots `first` to `last` (exclusive) as one file, about `MERGE_TOKENS` at a time.

        Args:
            path: Path of the new file.
            first: First slot.
            last: Last slot, exclusive.
            slots: Number of slots of the whole set.
        """
        spans = [(numbers, np.searchsorted(numbers, [first, last]), tokens) for numbers, tokens, _ in self._files]
        there = np.concatenate([np.empty(0, np.int64), *(numbers[a:b] for numbers, (a, b), _ in spans)])
        counts = np.concatenate([np.empty(0, np.int64), *(tokens[a:b] for _, (a, b), tokens in spans)])
        filled, which = np.unique(there, return_inverse=True)
        tokens = np.zeros(len(filled), np.int64)
        np.add.at(tokens, which, counts)
        part = np.cumsum(tokens) // MERGE_TOKENS
        cuts = np.flatnonzero(np.diff(part, prepend=-1, append=-1)) if len(filled) else np.zeros(1, np.int64)
        ranges = [(int(filled[a]), int(filled[b - 1]) + 1) for a, b in pairwise(cuts.tolist())]
        parts = (self.read(*each) for each in ranges)
        _write_batches(self._folder, path, filled, tokens, self._dtype, parts, slots)


def read_slots(folder: Folder, paths: Sequence[str], first: int, last: int, dtype: np.dtype[Any]) -> Documents:
    """Read the documents of slots `first` to `last` (exclusive) from all files, in key order."""
    with SlotReader(folder, paths, dtype) as reader:
        return reader.read(first, last)


def _concatenate(lists: Sequence[pa.ListArray], dtype: np.dtype[Any]) -> EncodedTexts:
    values = [part.flatten().to_numpy() for part in lists]
    lengths = [np.diff(part.offsets.to_numpy()) for part in lists]
    ends = np.cumsum(np.concatenate([np.empty(0, np.int64), *lengths]), dtype=np.int64)
    return EncodedTexts(np.concatenate([np.empty(0, dtype), *values]), np.concatenate(([0], ends)))


def _slots_of(keys: UInt64s, slots: int) -> Int64s:
    bits = slots.bit_length() - 1
    return (keys >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(keys), np.int64)


def _pack(numbers: Int64s) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def _unpack(schema: pa.Schema, name: str) -> Int64s:
    return np.frombuffer(base64.b64decode(schema.metadata[name.encode()]), np.int64)
