"""The loader as a PyTorch dataset: `from curation.tokenize.loading.loader import TokenDataset`. Requires PyTorch.

Worker processes read ahead of training, and PyTorch tells neither them nor the dataset in the main process when an
iteration begins or how far training is. The position at which workers begin is therefore in memory that they share with
the main process, with a version that changes whenever the position is set. A worker that notices another version, or a
position from which it has read before, raises an error instead of repeating or skipping rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from curation.errors import InputError
from curation.tokenize.loading.loader import Batch, TokenLoader

MOST_WORKERS = 1024
"""Worker processes that a DataLoader may have."""

_VERSION, _ROWS, _EPOCH, _WORKERS = 0, 1, 2, 3
"""Places in the shared memory. From the last one on: the version from which each worker has read."""

Tensors = dict[str, torch.Tensor]


class TokenDataset(IterableDataset[Tensors]):  # type: ignore[misc, unused-ignore]
    """Batches of a `TokenLoader` as tensors, for `DataLoader(dataset, batch_size=None, num_workers=n)`.

    With n worker processes, each makes every nth batch and DataLoader puts them in order, so the batches do not depend
    on the number of workers. Each worker has a state, which torchdata's StatefulDataLoader saves and loads.

    Args:
        *arguments: As for `TokenLoader`.
        dtype: Type of `input_ids`; int64 by default.
        **options: As for `TokenLoader`.
    """

    def __init__(self, *arguments: Any, dtype: Any = np.int64, **options: Any) -> None:
        super().__init__()
        self._arguments, self._options = arguments, {**options, "dtype": dtype}
        self.loader = TokenLoader(*arguments, **self._options)
        self._share(torch.zeros(_WORKERS + MOST_WORKERS, dtype=torch.int64).share_memory_())
        self._of_worker: TokenLoader | None = None
        self._to_resume: Mapping[str, Any] | None = None
        self._publish()

    def __len__(self) -> int:
        """Number of steps of one iteration; TypeError for an endless loader."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Tensors]:
        """Iterate over batches from the current state; in a worker process, over its part of them.

        Raises:
            InputError: DataLoader combines several batches to one, or a worker cannot know where to begin.
        """
        worker = get_worker_info()
        if worker is None:
            _refuse_batching(sys._getframe(1))
            return self._read_alone()
        try:
            _refuse_batching(sys._getframe(1))
            return self._read_part(self._begin(worker.id), worker.id, worker.num_workers)
        except (
            InputError
        ) as error:  # a worker that runs already would end here, without a message: fail at the first batch
            return map(_raise, (error,))

    def _read_alone(self) -> Iterator[Tensors]:
        self._publish()
        for batch in self.loader:
            self._publish()
            yield _tensors(batch)
        self._publish()

    def _begin(self, worker: int) -> TokenLoader:
        """The loader of a worker process, at the position where its next iteration begins."""
        # A worker may be a fork, in which the threads of the parent's loader do not exist: it needs a separate loader.
        loader = TokenLoader(*self._arguments, **self._options) if self._of_worker is None else self._of_worker
        version, rows, epoch = self._shared[:_WORKERS].tolist()
        state = {**loader.state_at(rows), "epoch": epoch} if self._to_resume is None else self._to_resume
        loader.load_state_dict(state)
        again = int(self._shared[_WORKERS + worker]) == version and self._to_resume is None
        if again and not loader.is_at_start:
            raise InputError(
                "worker processes have read from this position before, and how far is not known here: before another "
                "iteration, call load_state_dict(state_at(steps * batch_size)) or set_epoch"
            )
        self._shared[_WORKERS + worker] = version
        self._of_worker, self._to_resume = loader, None
        return loader

    def _read_part(self, loader: TokenLoader, worker: int, workers: int) -> Iterator[Tensors]:
        """The batches of one worker. The position is taken now, not when the first batch is asked for."""
        version, batches = int(self._shared[_VERSION]), loader.every(worker, workers)

        def read() -> Iterator[Tensors]:
            for batch in batches:
                if int(self._shared[_VERSION]) != version:
                    raise InputError("the position was set while worker processes were reading: set it before iter()")
                yield _tensors(batch)

        return read()

    def state_dict(self) -> dict[str, Any]:
        """See `TokenLoader.state_dict`; in a worker process, the state of that worker.

        Raises:
            InputError: Worker processes are reading, so the main process does not know how far training is.
        """
        if get_worker_info() is not None:
            return (self.loader if self._of_worker is None else self._of_worker).state_dict()
        if self._workers_began():
            raise InputError(
                "with worker processes, the state is that of torchdata's StatefulDataLoader, or "
                "state_at(steps * batch_size) of the dataset"
            )
        return self.loader.state_dict()

    def state_at(self, rows: int) -> dict[str, Any]:
        """See `TokenLoader.state_at`."""
        return self.loader.state_at(rows)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `TokenLoader.load_state_dict`. Worker processes begin there too, also those that are running already."""
        if get_worker_info() is not None:
            self._to_resume = dict(state)
            return
        if "worker" in state:
            raise InputError("this is the state of one worker process, for the load_state_dict of StatefulDataLoader")
        self.loader.load_state_dict(state)
        self._publish()

    def set_epoch(self, epoch: int) -> None:
        """See `TokenLoader.set_epoch`. accelerate calls it before each iteration.

        Raises:
            InputError: accelerate would divide among the ranks what is the part of one rank already.
        """
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        if caller.startswith("accelerate.") and self.loader.world_size > 1:
            raise InputError(
                "accelerate divides batches among the ranks itself: leave out rank and world_size, or do not pass this "
                "DataLoader to prepare()"
            )
        before = self.loader.state_dict()
        self.loader.read_since_load |= self._workers_began()
        self.loader.set_epoch(epoch)
        if self.loader.state_dict() != before:
            self._publish()

    def _share(self, memory: torch.Tensor) -> None:
        self._memory, self._shared = memory, memory.numpy()

    def _workers_began(self) -> bool:
        """Whether worker processes have read from the position that was set last."""
        return bool((self._shared[_WORKERS:] == self._shared[_VERSION]).any())

    def _publish(self) -> None:
        """Let worker processes begin at the loader's position."""
        state = self.loader.state_dict()
        self._shared[_ROWS], self._shared[_EPOCH] = state["rows"], state.get("epoch", 0)
        self._shared[_VERSION] += 1

    def __getstate__(self) -> dict[str, Any]:
        state = self.loader.state_dict()
        return {"arguments": self._arguments, "options": self._options, "state": state, "memory": self._memory}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(*state["arguments"], **state["options"])  # type: ignore[misc]
        self.load_state_dict(state["state"])
        if state[
            "memory"
        ].is_shared():  # in a process that DataLoader started; a copy of the dataset has its own memory
            self._share(state["memory"])


def _raise(error: InputError) -> Tensors:
    raise error


def _refuse_batching(caller: FrameType | None) -> None:
    """Raise InputError if the fetcher of a DataLoader that iterates would make batches of batches."""
    if caller is not None and caller.f_globals.get("__name__") == "accelerate.data_loader":  # its IterableDatasetShard
        caller = caller.f_back
    if caller is not None and getattr(caller.f_locals.get("self"), "auto_collation", False):
        raise InputError("the dataset makes batches itself: pass batch_size=None to DataLoader")


def _tensors(batch: Batch) -> Tensors:
    return {name: torch.from_numpy(values) for name, values in batch.items()}
