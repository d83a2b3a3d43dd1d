"""Batches of token rows for training: shuffled, sharded over ranks, mixed, and resumable at exactly the next row.

    loader = TokenLoader("out", batch_size=64, rank=rank, world_size=world_size, seed=1)
    for batch in loader:
        step(batch["input_ids"])             # (64 / world_size, sequence_length)
        save(loader.state_dict())

Which rows a step reads is a pure function of the seed and the number of rows that all ranks read before it (order.py).
There is no iterator state to lose: a state is one number and works with any number of ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.arrays import Bools, Int32s, Int64s
from curation.errors import InputError, require
from curation.running.compiled import kernel
from curation.store.manifest import fingerprint
from curation.tokenize.loading.order import Mix, Order
from curation.tokenize.loading.token_set import FileMaps, TokenSet

Batch = dict[str, npt.NDArray[Any]]

WINDOW = 32
"""Row groups shuffled together: by default 16,384 rows, or 34 million tokens."""

PADDING = -1
"""Segment id of padding."""


class TokenLoader:
    """Iterates over batches from one token set or a mix of several, endlessly or for a number of epochs.

    Each batch is a dict of NumPy arrays of shape (batch_size / world_size, sequence_length):

    - `input_ids`: the tokens.
    - `position_ids`: position of each token in its document, from 0; int32, only with `positions`.
    - `segment_ids`: number of each token's document in its row, -1 for padding; int32, only with `positions`.

    Args:
        sources: Folder of a run or of its tokens, local or any fsspec URL; a list of them; or a mapping of each to its
            weight, which is its share of the rows.
        batch_size: Rows per step of all ranks together, so that training does not change with the number of ranks. A
            multiple of `world_size`.
        split: "train" or "validation".
        seed: Random seed of the order of rows.
        shuffle: Whether to shuffle the rows; otherwise they are read in the order in which they were written.
        window: Number of row groups whose rows are shuffled together.
        rank: Which rank's part of each step to read, from 0.
        world_size: Number of ranks.
        epochs: How often one iteration reads the token set; None for no end. Must be None for a mix. An iteration in
            another order is chosen with `set_epoch`.
        drop_last: Whether to drop the last step of an iteration if it is not full. Otherwise ranks may get batches of
            different sizes in it.
        positions: Whether batches have `position_ids` and `segment_ids`.
        dtype: Type of `input_ids`; by default the type in which they are stored.
        prefetch: Number of batches that a thread reads at once while previous ones are used; 0 to read without a
            thread.
        cache: Local folder for the decoded rows of remote or compressed token sets.
        verify: "hash" to compare every file with the hash in the run's manifests first, which reads all of them.

    Attributes:
        read_since_load: Whether anything was read since a state was loaded.

    Raises:
        ParameterError: A value is invalid.
        InputError: A token set does not exist, is empty or smaller than one step, or differs from its manifests; or the
            sets of a mix differ in sequence length or tokenizer.
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
        verify: str | None = None,
    ) -> None:
        require(world_size >= 1, "world_size", world_size, "at least 1")
        require(0 <= rank < world_size, "rank", rank, f"0 to {world_size - 1}")
        require(
            batch_size >= 1 and batch_size % world_size == 0, "batch_size", batch_size, f"a multiple of {world_size}"
        )
        require(window >= 1, "window", window, "at least 1")
        require(prefetch >= 0, "prefetch", prefetch, "at least 0")
        require(epochs is None or epochs >= 1, "epochs", epochs, "at least 1, or None")
        require(verify in (None, "hash"), "verify", verify, '"hash" or None')
        weights = _weights(sources)
        require(epochs is None or len(weights) == 1, "epochs", epochs, "None for a mix, which has no end")
        maps = FileMaps()
        self.sets = [TokenSet(source, split, cache, kept=2 * window + 2, maps=maps) for source in weights]
        for tokens in self.sets if verify else ():
            tokens.check_hashes()
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self._positions, self._prefetch, self._drop_last = positions, prefetch, drop_last
        self._window = window if shuffle else None
        self._orders = [Order(tokens.blocks, seed + number, self._window) for number, tokens in enumerate(self.sets)]
        self._mix = Mix(list(weights.values()), seed) if len(weights) > 1 else None
        self._rows = epochs * len(self.sets[0]) if epochs is not None else None
        self._dtype = np.dtype(dtype) if dtype is not None else np.result_type(*(tokens.dtype for tokens in self.sets))
        self.sequence_length = self._common_length()
        identities = [tokens.identity for tokens in self.sets]
        self._order = fingerprint(identities, list(weights.values()), seed, self._window or 0)
        self._read, self._epoch = 0, 0
        self._part: tuple[int, int] | None = None
        self.read_since_load = True
        holds = self._dtype.kind in "iu" and np.iinfo(self._dtype).max >= self.vocabulary - 1
        require(holds, "dtype", dtype, f"a type of whole numbers up to {self.vocabulary - 1}")
        if self._rows is not None and not len(self):
            raise InputError(
                f"{self.sets[0].folder.url}: {self._rows} rows are less than one step of batch_size = {batch_size}; "
                "take a smaller batch_size, or drop_last=False for a step that is not full"
            )

    @property
    def vocabulary(self) -> int:
        """Number of tokens of the tokenizer, special ones included: the rows of a model's embedding."""
        return self.sets[0].vocabulary

    @property
    def end_id(self) -> int:
        """The id after each document."""
        return self.sets[0].end_id

    @property
    def pad_id(self) -> int:
        """The id that fills rows, which a loss ignores."""
        return self.sets[0].pad_id

    def _common_length(self) -> int:
        lengths = {tokens.sequence_length for tokens in self.sets}
        if len(lengths) > 1:
            raise InputError(f"token sets of different sequence lengths cannot be mixed: {sorted(lengths)}")
        if len({tokens.metadata.get("curation.tokenizer") for tokens in self.sets}) > 1:
            raise InputError("token sets of different tokenizers cannot be mixed")
        return lengths.pop()

    def __len__(self) -> int:
        """Number of steps of one iteration; TypeError for an endless loader."""
        if self._rows is None:
            raise TypeError("an endless loader has no length")
        return self._rows // self.batch_size if self._drop_last else -(-self._rows // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration, as for PyTorch's DistributedSampler; all ranks call it alike.

        Iteration n reads the epochs from n * `epochs`, each in its own order. The position is kept if it is in this
        iteration, so that training resumes in the middle. An endless loader has an order for each of its epochs anyway.

        Args:
            epoch: Number of the iteration, from 0.

        Raises:
            InputError: A state was loaded whose iteration is another one and has not been read to its end.
        """
        require(epoch >= 0, "epoch", epoch, "at least 0")
        if self._rows is None or epoch == self._epoch:
            return
        follows = epoch > self._epoch and next(self._starts_from(self._read), None) is None
        if self._read and not self.read_since_load and not follows:
            raise InputError(
                f"set_epoch({epoch}): the loaded state is in epoch {self._epoch}, after {self._read % self._rows} of "
                f"{self._rows} rows; begin with set_epoch({self._epoch})"
            )
        self._read, self._epoch, self.read_since_load = epoch * self._rows, epoch, True

    @property
    def is_at_start(self) -> bool:
        """Whether the position is the beginning of an iteration that ends."""
        return self._rows is not None and self._read == self._epoch * self._rows

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over batches from the current state, which advances with each batch.

        After the last one, the state is reset to the beginning of the iteration.
        """
        self.read_since_load = True
        for start, batch in self._prefetched() if self._prefetch else self._one_by_one():
            self._read = start + self._step(start)
            yield batch
        self._read = self._epoch * (self._rows or 0)

    def _one_by_one(self) -> Iterator[tuple[int, Batch]]:
        for start in self._starts_from(self._read):
            yield start, self.batch_at(start)

    def _prefetched(self) -> Iterator[tuple[int, Batch]]:
        """The same as `_one_by_one`, but a thread reads `prefetch` batches at once while previous ones are used."""
        starts = self._starts_from(self._read)
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            following = pool.submit(self._make, list(islice(starts, self._prefetch)))
            while batches := following.result():
                following = pool.submit(self._make, list(islice(starts, self._prefetch)))
                yield from batches

    def every(self, worker: int, workers: int) -> Iterator[Batch]:
        """Iterate over every `workers`th batch, for one of several processes that read a loader's batches together.

        The state is that of this process from now on: it can be loaded by the same one of as many processes.

        Args:
            worker: Number of this process, which has the batches `worker`, `worker + workers` and so on from the
                current position.
            workers: Number of processes.

        Raises:
            InputError: The loaded state is that of another process.
        """
        if self._part is None:
            self._read, self._part = self._read + worker * self.batch_size, (worker, workers)
        if self._part != (worker, workers):
            other = "worker {} of {}".format(*self._part)
            raise InputError(f"worker {worker} of {workers} cannot load the state of {other}")
        return self._every(workers)

    def _every(self, workers: int) -> Iterator[Batch]:
        for start in self._starts_from(self._read, workers):
            batch = self.batch_at(start)
            self._read = start + workers * self.batch_size
            yield batch

    def _starts_from(self, position: int, stride: int = 1) -> Iterator[int]:
        """Positions at which every `stride`th step begins, until the end of the iteration if there is one."""
        end = None if self._rows is None else (self._epoch + 1) * self._rows
        while end is None or position + (self.batch_size if self._drop_last else 1) <= end:
            yield position
            position += stride * self.batch_size

    def _step(self, position: int) -> int:
        """Number of rows of the step that begins at a position: fewer at the end of an iteration."""
        return self.batch_size if self._rows is None else min(self.batch_size, self._rows - position % self._rows)

    def batch_at(self, position: int) -> Batch:
        """This rank's part of the step that begins after `position` rows, as iteration would yield it."""
        return self._make([position])[0][1]

    def locate(self, position: int) -> list[tuple[TokenSet, int]]:
        """The token set, and the row in it, of each row of this rank's part of the step after `position` rows."""
        sets, rows = self._locate(position + np.arange(*self._share(self._step(position))))
        return [
            (self.sets[number], int(self._orders[number].rows(rows[at : at + 1])[0])) for at, number in enumerate(sets)
        ]

    def positions(self, rows: Int64s, epoch: int) -> Int64s:
        """The position at which each row of the token set is read in an epoch, int64[n]; not for a mix."""
        return self._orders[0].positions(rows, epoch)

    def _locate(self, positions: Int64s) -> tuple[Int64s, Int64s]:
        """The number of the token set that each position reads, and the position in that set's order."""
        return self._mix.locate(positions) if self._mix else (np.zeros_like(positions), positions)

    def _make(self, starts: Sequence[int]) -> list[tuple[int, Batch]]:
        """This rank's part of each step that begins at one of `starts`, with a single read for all of them."""
        steps = [start + np.arange(*self._share(self._step(start))) for start in starts]
        sets, positions = self._locate(np.concatenate([np.empty(0, np.int64), *steps]))
        wide = self._dtype if self._dtype.itemsize >= 4 else np.dtype(np.uint32)  # so that no id is cut to fit
        ids = np.empty((len(positions), self.sequence_length), wide)
        batches: Batch = {"input_ids": ids}
        if self._positions:
            batches["position_ids"] = np.empty(ids.shape, np.int32)
            batches["segment_ids"] = np.empty(ids.shape, np.int32)
        for number in np.unique(sets).tolist():
            self._fill(number, np.flatnonzero(sets == number), positions[sets == number], batches)
        self._check_ids(ids, sets, positions)
        batches["input_ids"] = ids.astype(self._dtype, copy=False)
        ends = np.cumsum([0, *map(len, steps)]).tolist()
        return [
            (start, {name: values[first:end] for name, values in batches.items()})
            for start, (first, end) in zip(starts, pairwise(ends), strict=True)
        ]

    def _check_ids(self, ids: npt.NDArray[Any], sets: Int64s, positions: Int64s) -> None:
        """Raise InputError for an id that no model with this vocabulary has: the file is damaged."""
        ids = ids.view(np.uint32) if ids.itemsize == 4 else ids  # one that does not fit into int32 is negative there
        if 0 <= self.vocabulary <= ids.max(initial=0):
            at, column = np.argwhere(ids >= self.vocabulary)[0].tolist()
            row = int(self._orders[sets[at]].rows(positions[at : at + 1])[0])
            raise self.sets[sets[at]].damaged(row, column, int(ids[at, column]))

    def _share(self, rows: int) -> tuple[int, int]:
        """The range (begin, end) of this rank's rows in a step of `rows` rows."""
        return rows * self.rank // self.world_size, rows * (self.rank + 1) // self.world_size

    def _fill(self, number: int, targets: Int64s, positions: Int64s, batch: Batch) -> None:
        """Read the rows at `positions` in the order of set `number` into the rows `targets` of the batch."""
        tokens, order = self.sets[number], self._orders[number]
        tokens.prepare(order.blocks(int(positions[0]), int(positions[-1])).tolist(), self._positions)
        rows = order.rows(positions)
        tokens.ids(rows, batch["input_ids"], targets)
        if self._positions:
            starts, offsets = tokens.starts(rows)
            ids, position_ids, segment_ids = (batch[name] for name in ("input_ids", "position_ids", "segment_ids"))
            _number_tokens(targets, starts, offsets, tokens.pad_id, ids, position_ids, segment_ids)

    def state_dict(self) -> dict[str, Any]:
        """The current state, for `load_state_dict`: rows read by all ranks so far, and the identity of their order."""
        state = self.state_at(self._read)
        if self._rows is not None:
            state["epoch"] = self._epoch
        if self._part is not None:
            state["worker"], state["workers"] = self._part
        return state

    def state_at(self, rows: int) -> dict[str, Any]:
        """The state after `rows` rows of all ranks, that is, steps times batch_size."""
        return {"rows": rows, "order": self._order}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume where `state` was saved, with any rank, world size and batch size.

        Raises:
            InputError: The state is for another order of rows: other token sets, weights, seed, shuffle or window.
        """
        if state["order"] != self._order:
            raise InputError(
                "this state is for another order of rows: the token sets, weights, seed, shuffle or window differ"
            )
        self._read, self.read_since_load = int(state["rows"]), False
        self._part = (int(state["worker"]), int(state["workers"])) if "worker" in state else None
        if self._rows is not None:
            ended = max(self._read - 1, 0) // self._rows  # a position between two iterations is the end of the first
            epoch = int(state.get("epoch", ended))
            within = "worker" in state or epoch * self._rows <= self._read <= (epoch + 1) * self._rows
            self._epoch = epoch if within else ended


def attention_mask(segment_ids: Int32s) -> Bools:
    """Attention mask in which tokens attend only to earlier tokens of their own document, and to themselves.

    Args:
        segment_ids: Segment ids of a batch, shape (rows, length).

    Returns:
        Shape (rows, length, length), true where query `i` attends to key `j`. Padding attends to itself only, so that
        no row of the mask is empty.
    """
    length = segment_ids.shape[1]
    same = segment_ids[:, :, None] == segment_ids[:, None, :]
    real = (segment_ids != PADDING)[:, :, None]
    mask: Bools = (same & real & np.tri(length, dtype=np.bool_)) | np.eye(length, dtype=np.bool_)
    return mask


def cumulative_lengths(segment_ids: Int32s) -> Int32s:
    """Starts of the documents in the flattened batch, and its end: `cu_seqlens` of variable-length attention.

    [[0 0 1] [0 -1 -1]] → [0 2 3 4 6]

    Args:
        segment_ids: Segment ids of a batch, shape (rows, length).
    """
    begins = np.ones(segment_ids.shape, np.bool_)
    begins[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return np.append(np.flatnonzero(begins), segment_ids.size).astype(np.int32)


@kernel
def _number_tokens(
    rows: Int64s, starts: Int32s, offsets: Int64s, pad: int, ids: npt.NDArray[Any], positions: Int32s, segments: Int32s
) -> None:
    """Fill rows of position and segment ids. The last piece of a row is padding if all its tokens are `pad`."""
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
    """The weight of each source; equal weights unless they are given."""
    if isinstance(sources, str):
        sources = [sources]
    weights = dict(sources) if isinstance(sources, Mapping) else dict.fromkeys(sources, 1.0)
    require(bool(weights), "sources", sources, "at least one token set")
    require(all(weight > 0 for weight in weights.values()), "sources", sources, "weights above 0")
    return weights


def __getattr__(name: str) -> Any:
    """Import `TokenDataset`, which needs PyTorch, on first use."""
    if name == "TokenDataset":
        from curation.tokenize.loading.torch_dataset import TokenDataset

        return TokenDataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
