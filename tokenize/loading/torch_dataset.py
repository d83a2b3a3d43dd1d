"""The loader as a PyTorch dataset: `from curation.tokenize.loading.loader import TokenDataset`. Requires PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from curation.tokenize.loading.loader import TokenLoader


class TokenDataset(IterableDataset[dict[str, torch.Tensor]]):  # type: ignore[misc, unused-ignore]
    """Batches of a `TokenLoader` as tensors, for `DataLoader(dataset, batch_size=None, num_workers=n)`.

    With n worker processes, each makes every nth batch and DataLoader puts them in order, so the batches do not depend
    on the number of workers. The state in the main process does not advance then: save `state_at(steps * batch_size)`.

    Args:
        *arguments: As for `TokenLoader`.
        dtype: Type of `input_ids`; int64 by default.
        **options: As for `TokenLoader`.
    """

    def __init__(self, *arguments: Any, dtype: Any = np.int64, **options: Any) -> None:
        super().__init__()
        self._arguments, self._options = arguments, {**options, "dtype": dtype}
        self.loader = TokenLoader(*arguments, **self._options)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        # A worker may be a fork, in which the threads of the parent's loader do not exist: it needs a separate loader.
        loader = self.loader if worker is None else self._copy()
        for batch in iter(loader) if worker is None else loader.every(worker.id, worker.num_workers):
            yield {name: torch.from_numpy(values) for name, values in batch.items()}

    def _copy(self) -> TokenLoader:
        loader = TokenLoader(*self._arguments, **self._options)
        loader.load_state_dict(self.state_dict())
        return loader

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "options": self._options, "state": self.state_dict()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(*state["arguments"], **state["options"])  # type: ignore[misc]
        self.load_state_dict(state["state"])

    def state_dict(self) -> dict[str, Any]:
        """See `TokenLoader.state_dict`."""
        return self.loader.state_dict()

    def state_at(self, rows: int) -> dict[str, Any]:
        """See `TokenLoader.state_at`."""
        return self.loader.state_at(rows)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `TokenLoader.load_state_dict`."""
        self.loader.load_state_dict(state)
