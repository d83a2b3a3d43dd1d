"""The order in which a loader reads: pure functions from a position to a row, without any state to lose.

A position counts the rows read by all ranks since the beginning of training. Everything is computed from the position
and the seed with integer arithmetic that no library version changes. A run of weeks can therefore be stopped and resume
elsewhere, with another number of ranks, at exactly the next row.

A full shuffle of rows would read from gigabytes of files for each batch. Rows are shuffled in windows instead: row
groups are permuted over the whole set, taken `window` at a time, and the rows within a window are permuted. Documents
were shuffled over the whole corpus before they were packed, so a window is already a random sample of the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from curation.arrays import Int64s
from curation.store.hashing import mix_bits

CYCLE = 4096
"""Number of rows in which a mix keeps its weights, exactly to one row."""

_EPOCHS_KEPT, _WINDOWS_KEPT = 2, 4
_BLOCKS, _ROWS, _MIX = 1, 2, 3


def permutation(length: int, *key: int) -> Int64s:
    """A permutation of `range(length)` that depends on the key only, int64[length]."""
    salt = np.zeros(1, np.uint64)
    for part in key:
        salt = mix_bits(salt ^ np.array([part], np.uint64))
    return np.argsort(mix_bits(np.arange(length, dtype=np.uint64) ^ salt), kind="stable")


class Order:
    """The order of the rows of one token set over its epochs.

    Args:
        blocks: Number of rows in each row group.
        seed: Random seed.
        window: Number of row groups whose rows are shuffled together; None for the order in which rows were written.
    """

    def __init__(self, blocks: Sequence[int] | Int64s, seed: int, window: int | None) -> None:
        self._sizes = np.asarray(blocks, np.int64)
        self._first = np.concatenate(([0], np.cumsum(self._sizes)))
        self._seed, self._window = seed, window
        self.length = int(self._first[-1])
        self._epoch = lru_cache(_EPOCHS_KEPT)(self._order_epoch)
        self._rows = lru_cache(_WINDOWS_KEPT)(self._order_window)

    def rows(self, positions: Int64s) -> Int64s:
        """The row at each position, int64[n]; rows are counted from 0 through all files of the set."""
        rows = positions % self.length
        if self._window is None:
            return rows
        epochs = positions // self.length
        for epoch in np.unique(epochs).tolist():
            _, starts = self._epoch(epoch)
            in_epoch = np.flatnonzero(epochs == epoch)
            within = rows[in_epoch]
            windows = np.searchsorted(starts, within, side="right") - 1
            for window in np.unique(windows).tolist():
                in_window = windows == window
                rows[in_epoch[in_window]] = self._rows(epoch, window)[within[in_window] - starts[window]]
        return rows

    def positions(self, rows: Int64s, epoch: int) -> Int64s:
        """The position at which each row is read in an epoch, int64[n]: the inverse of `rows`."""
        if self._window is None:
            return rows + epoch * self.length
        order, starts = self._epoch(epoch)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        windows = place[np.searchsorted(self._first, rows, side="right") - 1] // self._window
        positions = np.empty_like(rows)
        for window in np.unique(windows).tolist():
            in_window, read = windows == window, self._rows(epoch, window)
            sorting = np.argsort(read)
            within = sorting[np.searchsorted(read, rows[in_window], sorter=sorting)]
            positions[in_window] = epoch * self.length + starts[window] + within
        return positions

    def blocks(self, first: int, last: int) -> Int64s:
        """The row groups of the windows at positions `first` to `last`, and of the next window in that epoch."""
        if self._window is None:
            block, end = np.searchsorted(self._first, [first % self.length, last % self.length], side="right") - 1
            turns = last // self.length - first // self.length
            return np.arange(block, end + turns * len(self._sizes) + 2) % len(self._sizes)
        parts, position = [], first
        while position <= last:
            blocks, position = self._window_at(position)
            parts.append(blocks)
        if position % self.length:
            parts.append(self._window_at(position)[0])
        return np.concatenate(parts)

    def _window_at(self, position: int) -> tuple[Int64s, int]:
        """The row groups of the window that contains `position`, and the position after its last row."""
        assert self._window is not None
        epoch, within = divmod(position, self.length)
        order, starts = self._epoch(epoch)
        window = int(np.searchsorted(starts, within, side="right"))
        end = starts[window] if window < len(starts) else self.length
        return order[(window - 1) * self._window : window * self._window], epoch * self.length + int(end)

    def _order_epoch(self, epoch: int) -> tuple[Int64s, Int64s]:
        """The order of the row groups, and the position within the epoch at which each window begins."""
        assert self._window is not None
        order = permutation(len(self._sizes), self._seed, _BLOCKS, epoch)
        ends = np.cumsum(self._sizes[order])
        return order, np.concatenate(([0], ends[self._window - 1 : -1 : self._window]))

    def _order_window(self, epoch: int, window: int) -> Int64s:
        assert self._window is not None
        order, _ = self._epoch(epoch)
        blocks = order[window * self._window : (window + 1) * self._window]
        rows = np.concatenate([np.arange(self._first[block], self._first[block + 1]) for block in blocks])
        return rows[permutation(len(rows), self._seed, _ROWS, epoch, window)]


class Mix:
    """Which of several token sets each position reads, and at which position of that set.

    Each cycle of `CYCLE` positions contains every set in proportion to its weight, to one row, in its own random order.

    Args:
        weights: Weight of each token set.
        seed: Random seed.
    """

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        self._counts = _apportion(weights, CYCLE)
        self._seed = seed
        self._cycle = lru_cache(_WINDOWS_KEPT)(self._order_cycle)

    def locate(self, positions: Int64s) -> tuple[Int64s, Int64s]:
        """The set of each position and the position in that set, int64[n] each."""
        cycles, within = positions // CYCLE, positions % CYCLE
        sets, set_positions = np.empty_like(positions), np.empty_like(positions)
        for cycle in np.unique(cycles).tolist():
            in_cycle = cycles == cycle
            label, number = self._cycle(cycle)
            sets[in_cycle] = label[within[in_cycle]]
            set_positions[in_cycle] = number[within[in_cycle]] + cycle * self._counts[sets[in_cycle]]
        return sets, set_positions

    def _order_cycle(self, cycle: int) -> tuple[Int64s, Int64s]:
        label = np.repeat(np.arange(len(self._counts)), self._counts)[permutation(CYCLE, self._seed, _MIX, cycle)]
        number = np.empty(CYCLE, np.int64)
        for index, count in enumerate(self._counts.tolist()):
            number[label == index] = np.arange(count)
        return label, number


def _apportion(weights: Sequence[float], seats: int) -> Int64s:
    """Divide `seats` by weight, at least one each, by the largest remainder method: ([1, 3], 8) → [2, 6]."""
    exact = np.maximum(np.asarray(weights, np.float64) / sum(weights) * seats, 1.0)
    exact *= seats / exact.sum()
    counts = np.maximum(np.floor(exact), 1).astype(np.int64)
    remainder = exact - counts
    while counts.sum() != seats:
        step = 1 if counts.sum() < seats else -1
        index = int(np.argmax(remainder * step))
        counts[index] += step
        remainder[index] -= step
    return counts
