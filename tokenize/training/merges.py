"""The merges of a byte-level BPE from counts of pre-tokens, one by one those that tokenizers' BpeTrainer makes.

The most frequent pair of neighbouring tokens is merged in every pre-token that holds it, the smaller pair of ids first
where two are equally frequent, until the vocabulary is full or no pair is frequent enough. Pairs wait in a heap with
the count they had when they came; one that comes up with a count that no longer holds goes back with the right one.

As in the trainer (tokenizers, models/bpe/trainer.rs), with a limit of length a pair that would be as long as the limit
is not made, but pairs of two bytes always are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from curation.arrays import Int64s, UInt32s
from curation.errors import StepFailed
from curation.tokenize.training.alphabet import BYTES, ids_of_bytes
from curation.tokenize.training.memory import ShrinkableArray, give_back
from curation.tokenize.training.merge_kernels import (
    TOKENS,
    USED,
    MergeLimits,
    advance,
    count_cells,
    find_words,
    first_state,
    move_together,
    place_words,
)
from curation.tokenize.training.sorted_counts import Counts

MERGES_A_CALL = 1000
"""Merges made between two reports of progress."""

MOST_CELLS = 1 << 32
"""Cells that 32-bit places can name: 16 GiB of words."""

MOVE_BELOW = 0.6
"""Share of the cells held that words take, below which these move together and the rest is given back."""

_UNLIMITED = 1 << 40


@dataclass(frozen=True, slots=True)
class Merges:
    """Pairs of ids in order, int64[n, 2], and the bytes of every id: the 256 bytes, then what each pair makes."""

    pairs: Int64s
    tokens: tuple[bytes, ...]


class WordCells:
    """Pre-tokens and their counts, taken up chunk by chunk, as the cells that merges work on."""

    def __init__(self) -> None:
        self._parts: list[UInt32s] = []
        self._size = 0
        self._ids = ids_of_bytes()

    def add(self, counts: Counts) -> None:
        """Take up pre-tokens, each of which comes once in all chunks. StepFailed if they are too many."""
        size = count_cells(counts.offsets)
        self._size += size
        if self._size > MOST_CELLS:
            raise StepFailed("over 16 GiB of different pre-tokens: train on a part of the documents (tokenizer.sample)")
        cells = np.empty(size, np.uint32)
        place_words(counts.data, counts.offsets, counts.counts, self._ids, cells)
        self._parts.append(cells)

    def take(self) -> ShrinkableArray:
        """All of them together, which are given up."""
        cells, used = ShrinkableArray(self._size), 0
        for part in self._parts:
            cells.array[used : used + len(part)] = part
            used += len(part)
        self._parts.clear()
        give_back()
        return cells


def find_merges(
    chunks: Iterable[Counts],
    vocabulary: int,
    min_frequency: int,
    max_token_length: int | None = None,
    report: Callable[[int], None] = lambda size: None,
) -> Merges:
    """Merge until there are `vocabulary` tokens, bytes included, or no pair occurs `min_frequency` times.

    chunks: pre-tokens, each of which comes once in all of them. max_token_length: see above, in bytes. report: called
    with the number of tokens so far.
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
        state, more = advance(state, limits, MERGES_A_CALL)
        report(int(state.sizes[TOKENS]))
        if state.sizes[USED] < held * MOVE_BELOW:
            move_together(state, starts)
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
