"""Learns the merges of a byte-level BPE from counts of pre-tokens: exactly those that tokenizers' BpeTrainer learns.

The most frequent pair of adjacent tokens is merged in every pre-token that contains it, until the vocabulary is full or
no pair is frequent enough. Of equally frequent pairs, the one with the smaller ids comes first. Pairs wait in a heap
with the count they had when they were pushed; a pair that comes up with an outdated count is pushed back with the
current one.

As in the trainer (tokenizers, models/bpe/trainer.rs), with a length limit a pair whose token would reach the limit is
not merged, except for pairs of two bytes, which always are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from curation.arrays import Int64s, UInt32s
from curation.errors import StepFailed
from curation.tokenize.training.alphabet import BYTES, ids_of_bytes
from curation.tokenize.training.memory import ShrinkableArray, release_memory
from curation.tokenize.training.merge_kernels import (
    TOKENS,
    USED,
    MergeLimits,
    advance,
    compact_words,
    count_cells,
    find_words,
    first_state,
    place_words,
)
from curation.tokenize.training.sorted_counts import Counts

MERGES_PER_CALL = 1000
"""Merges per kernel call, after which progress is reported."""

MAX_CELLS = 1 << 32
"""Cells that 32-bit positions can address: 16 GiB of words."""

COMPACT_BELOW = 0.6
"""Words are compacted, and the rest of the memory released, when they occupy less than this share of the held cells."""

_UNLIMITED = 1 << 40


@dataclass(frozen=True, slots=True)
class Merges:
    """The merges learned.

    Attributes:
        pairs: int64[n, 2]. Pairs of token ids in the order of merging.
        tokens: The bytes of every id: the 256 single bytes, then the token of each pair.
    """

    pairs: Int64s
    tokens: tuple[bytes, ...]


class WordCells:
    """Collects pre-tokens and their counts, chunk by chunk, as the cells that the merge kernels work on."""

    def __init__(self) -> None:
        self._parts: list[UInt32s] = []
        self._size = 0
        self._ids = ids_of_bytes()

    def add(self, counts: Counts) -> None:
        """Add pre-tokens; each must occur only once in all chunks.

        Raises:
            StepFailed: There are more pre-tokens than 32-bit positions can address.
        """
        size = count_cells(counts.offsets)
        self._size += size
        if self._size > MAX_CELLS:
            raise StepFailed("over 16 GiB of distinct pre-tokens: train on fewer documents (tokenizer.sample)")
        cells = np.empty(size, np.uint32)
        place_words(counts.data, counts.offsets, counts.counts, self._ids, cells)
        self._parts.append(cells)

    def take(self) -> ShrinkableArray:
        """Return all cells in one array and release the parts."""
        cells, used = ShrinkableArray(self._size), 0
        for part in self._parts:
            cells.array[used : used + len(part)] = part
            used += len(part)
        self._parts.clear()
        release_memory()
        return cells


def find_merges(
    chunks: Iterable[Counts],
    vocabulary: int,
    min_frequency: int,
    max_token_length: int | None = None,
    report: Callable[[int], None] = lambda size: None,
) -> Merges:
    """Merge until there are `vocabulary` tokens or no pair occurs `min_frequency` times.

    Args:
        chunks: Counts of pre-tokens; each pre-token must occur only once in all chunks.
        vocabulary: Number of tokens, the 256 bytes included.
        min_frequency: Minimum number of occurrences of a pair.
        max_token_length: Length in bytes that a merged token must stay below; tokens of two bytes are exempt.
        report: Called with the number of tokens so far.

    Raises:
        StepFailed: There are too many distinct pre-tokens.
    """
    words = WordCells()
    for chunk in chunks:
        words.add(chunk)
    longest = _UNLIMITED if max_token_length is None else max_token_length
    limits = MergeLimits(vocabulary, max(min_frequency, 1), longest)
    cells = words.take()
    starts, held = find_words(cells.array), len(cells.array)
    state, more = first_state(cells.array, limits), True
    while more:
        state, more = advance(state, limits, MERGES_PER_CALL)
        report(int(state.sizes[TOKENS]))
        if state.sizes[USED] < held * COMPACT_BELOW:
            compact_words(state, starts)
            held = int(state.sizes[USED])
            cells.keep(held)
    merges = state.merges[: int(state.sizes[TOKENS]) - len(BYTES)].astype(np.int64)
    del state, cells
    return _result(merges)


def _result(merges: Int64s) -> Merges:
    tokens = [bytes([byte]) for byte in BYTES]
    for first, second in merges.tolist():
        tokens.append(tokens[first] + tokens[second])
    return Merges(merges, tuple(tokens))
