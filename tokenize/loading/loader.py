"""Batches of token rows for training: shuffled, sharded over ranks, mixed, and resumed at exactly the next row.

    loader = TokenLoader("out", batch_size=64, rank=rank, world_size=world_size, seed=1)
    for batch in loader:
        step(batch["input_ids"])             # (64 / world_size, sequence_length)
        save(loader.state_dict())

Which rows a step reads is a pure function of the seed and of the rows read before it, over all ranks (order.py), so
there is no iterator whose state can be lost: a state is one number, and fits any number of ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.arrays import Bools, Int32s, Int64s
from curation.errors import InputError
from curation.running.compiled import kernel
from curation.stages.parameters import require
from curation.store.manifest import fingerprint
from curation.tokenize.loading.order import Mix, Order
from curation.tokenize.loading.token_set import TokenSet

Batch = dict[str, npt.NDArray[Any]]

WINDOW = 32
"""Row groups shuffled together: 16,384 rows, or 34 million tokens, as written by default."""

PADDING = -1
"""The segment of padding."""


class TokenLoader:
    """An endless stream of batches, or one of so many epochs, from one token set or a mix of several.

    Each batch is a dict of arrays: `input_ids`, shape (batch_size / world_size, sequence_length).

    sources: a run's folder or token folder, local or any fsspec URL; several; or a mapping of each to its weight (its
    share of the rows). split: `train` or `validation`. batch_size: rows a step over all ranks together, a multiple of
    `world_size`, so that training does not change with the number of ranks. shuffle: else rows come as written.
    window: row groups whose rows are shuffled together. epochs: times one set is read; None for no end. drop_last:
    leave out the last step of all epochs if it is not full (else ranks may get batches of different sizes).
    positions: also give `position_ids` (from 0 in each document) and `segment_ids` (the number of the document in the
    row; -1 for padding). dtype: of input_ids; by default the one stored. prefetch: batches that a thread makes at once,
    while those before are used; 0 for none. cache: a local folder that keeps what was read from remote or compressed
    sets.

    Raises ParameterError for a value that cannot be, InputError for a set that is not there.
    """

    def __init__(
        self,
        sources: str | Sequence[str] | Mapping[str, float],
        batch_size: int,
        *,
        split: str = "train",
        seed: int = 0,
        shuffle: bool = True,
        window: int = WINDOW,
        rank: int = 0,
        world_size: int = 1,
        epochs: int | None = None,
        drop_last: bool = True,
        positions: bool = False,
        dtype: npt.DTypeLike | None = None,
        prefetch: int = 8,
        cache: str | None = None,
    ) -> None:
        require(world_size >= 1, "world_size", world_size, "at least 1")
        require(0 <= rank < world_size, "rank", rank, f"0 to {world_size - 1}")
        require(
            batch_size >= 1 and batch_size % world_size == 0, "batch_size", batch_size, f"a multiple of {world_size}"
        )
        require(window >= 1, "window", window, "at least 1")
        require(prefetch >= 0, "prefetch", prefetch, "at least 0")
        weights = _weights(sources)
        require(epochs is None or len(weights) == 1, "epochs", epochs, "None for a mix, which has no end")
        self.sets = [TokenSet(source, split, cache, kept=2 * window + 2) for source in weights]
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self._seed, self._positions, self._prefetch, self._drop_last = seed, positions, prefetch, drop_last
        self._window = window if shuffle else None
        self._orders = [Order(tokens.blocks, seed + number, self._window) for number, tokens in enumerate(self.sets)]
        self._mix = Mix(list(weights.values()), seed) if len(weights) > 1 else None
        self._end = epochs * len(self.sets[0]) if epochs is not None else None
        self._dtype = np.dtype(dtype) if dtype is not None else np.result_type(*(tokens.dtype for tokens in self.sets))
        self.sequence_length = self._common_length()
        self._weights = list(weights.values())
        self._read = 0

    def _common_length(self) -> int:
        lengths = {tokens.sequence_length for tokens in self.sets}
        if len(lengths) > 1:
            raise InputError(f"token sets of different sequence lengths cannot be mixed: {sorted(lengths)}")
        if len({tokens.metadata.get("curation.tokenizer") for tokens in self.sets}) > 1:
            raise InputError("token sets of different tokenizers cannot be mixed")
        return lengths.pop()

    def __len__(self) -> int:
        """Steps in all epochs. TypeError for an endless loader."""
        if self._end is None:
            raise TypeError("an endless loader has no length")
        return self._end // self.batch_size if self._drop_last else -(-self._end // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the present state on; the state goes on with each batch that is taken.

        At the end of the epochs, if there is one, the state is that of the beginning again.
        """
        for start, batch in self._ahead() if self._prefetch else self._one_by_one():
            self._read = start + self._step(start)
            yield batch
        self._read = 0

    def _one_by_one(self) -> Iterator[tuple[int, Batch]]:
        for start in self._starts_from(self._read):
            yield start, self.batch_at(start)

    def _ahead(self) -> Iterator[tuple[int, Batch]]:
        """The same, made by a thread: `prefetch` at once, while those before are used."""
        starts = self._starts_from(self._read)
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            following = pool.submit(self._make, list(islice(starts, self._prefetch)))
            while batches := following.result():
                following = pool.submit(self._make, list(islice(starts, self._prefetch)))
                yield from batches

    def every(self, worker: int, workers: int) -> Iterator[Batch]:
        """Every `workers`th batch from the present state on, beginning with number `worker`; the state stays."""
        for start in self._starts_from(self._read + worker * self.batch_size, workers):
            yield self.batch_at(start)

    def _starts_from(self, position: int, stride: int = 1) -> Iterator[int]:
        """Positions at which steps begin, every `stride`th, until the end if there is one."""
        while self._end is None or position + (self.batch_size if self._drop_last else 1) <= self._end:
            yield position
            position += stride * self.batch_size

    def _step(self, position: int) -> int:
        return self.batch_size if self._end is None else min(self.batch_size, self._end - position)

    def batch_at(self, position: int) -> Batch:
        """This rank's part of the step that begins at row `position`: what `for` gives, at any place."""
        return self._make([position])[0][1]

    def _make(self, starts: Sequence[int]) -> list[tuple[int, Batch]]:
        """This rank's part of each step that begins at one of `starts`, all of them read in one go."""
        steps = [start + np.arange(*self._part(self._step(start))) for start in starts]
        places = np.concatenate([np.empty(0, np.int64), *steps])
        sets, places = self._mix.places(places) if self._mix else (np.zeros_like(places), places)
        ids = np.empty((len(places), self.sequence_length), self._dtype)
        made: Batch = {"input_ids": ids}
        if self._positions:
            made["position_ids"] = np.empty(ids.shape, np.int32)
            made["segment_ids"] = np.empty(ids.shape, np.int32)
        for number in np.unique(sets).tolist():
            self._fill(number, np.flatnonzero(sets == number), places[sets == number], made)
        ends = np.cumsum([0, *map(len, steps)]).tolist()
        return [
            (start, {name: values[first:end] for name, values in made.items()})
            for start, (first, end) in zip(starts, pairwise(ends), strict=True)
        ]

    def _part(self, rows: int) -> tuple[int, int]:
        """The first and the end of this rank's rows in a step of so many."""
        return rows * self.rank // self.world_size, rows * (self.rank + 1) // self.world_size

    def _fill(self, number: int, here: Int64s, places: Int64s, batch: Batch) -> None:
        """Read the rows at `places` of one set into the rows `here` of the batch."""
        tokens, order = self.sets[number], self._orders[number]
        tokens.prepare(order.blocks(int(places[0]), int(places[-1])).tolist(), self._positions)
        rows = order.rows(places)
        tokens.ids(rows, batch["input_ids"], here)
        if self._positions:
            starts, offsets = tokens.starts(rows)
            ids, positions, segments = (batch[name] for name in ("input_ids", "position_ids", "segment_ids"))
            _mark(here, starts, offsets, tokens.pad_id, ids, positions, segments)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on after the last batch taken: the rows read over all ranks."""
        return self.state_at(self._read)

    def state_at(self, rows: int) -> dict[str, Any]:
        """The state after `rows` rows over all ranks, that is, steps times batch_size."""
        return {"rows": rows, "order": self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, with any rank, world size and batch size.

        Raises InputError if the state belongs to another order: other tokens, weights, seed or window.
        """
        if state["order"] != self._identity():
            raise InputError(
                "this state is of another order of rows: other token sets, weights, seed, shuffle or window"
            )
        self._read = int(state["rows"])

    def _identity(self) -> str:
        window = self._window or 0
        return fingerprint([tokens.identity for tokens in self.sets], self._weights, self._seed, window)


def attention_mask(segment_ids: Int32s) -> Bools:
    """Which positions each position may look at: earlier ones of its own document, itself included.

    segment_ids: (rows, length). Returns (rows, length, length), true where query `i` sees key `j`; padding sees itself
    alone, so that no row of the mask is empty.
    """
    length = segment_ids.shape[1]
    same = segment_ids[:, :, None] == segment_ids[:, None, :]
    real = (segment_ids != PADDING)[:, :, None]
    mask: Bools = (same & real & np.tri(length, dtype=np.bool_)) | np.eye(length, dtype=np.bool_)
    return mask


def cumulative_lengths(segment_ids: Int32s) -> Int32s:
    """Where documents begin in the batch laid end to end, and its end: `cu_seqlens` of variable-length attention.

    [[0 0 1] [0 -1 -1]] → [0 2 3 4 6]
    """
    begins = np.ones(segment_ids.shape, np.bool_)
    begins[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return np.append(np.flatnonzero(begins), segment_ids.size).astype(np.int32)


@kernel
def _mark(
    rows: Int64s,
    starts: Int32s,
    offsets: Int64s,
    pad: int,
    ids: npt.NDArray[Any],
    positions: Int32s,
    segments: Int32s,
) -> None:
    """Fill the rows of position and segment ids. The last piece of a row is padding if it is `pad` to the end."""
    for number, row in enumerate(rows):
        for piece in range(offsets[number], offsets[number + 1]):
            last = piece + 1 == offsets[number + 1]
            end = ids.shape[1] if last else starts[piece + 1]
            segment = piece - offsets[number]
            if last and segment > 0:
                filler = True
                for position in range(starts[piece], end):
                    filler = filler and ids[row, position] == pad
                if filler:
                    segment = -1
            for position in range(starts[piece], end):
                positions[row, position] = position - starts[piece]
                segments[row, position] = segment


def _weights(sources: str | Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """Each source with its weight."""
    if isinstance(sources, str):
        sources = [sources]
    weights = dict(sources) if isinstance(sources, Mapping) else dict.fromkeys(sources, 1.0)
    require(bool(weights), "sources", sources, "at least one token set")
    require(all(weight > 0 for weight in weights.values()), "sources", sources, "weights above 0")
    return weights


def __getattr__(name: str) -> Any:
    """`TokenDataset`, which needs PyTorch, is imported only when it is asked for."""
    if name == "TokenDataset":
        from curation.tokenize.loading.torch_dataset import TokenDataset

        return TokenDataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
