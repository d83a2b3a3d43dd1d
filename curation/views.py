"""Flat views of the text of a batch: code points, words, lines and paragraphs.

Every view is one flat array for the whole batch plus, for each document, where its part begins and ends.
Kernels loop over them without Python objects; taking rows indexes the two small arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Characters:
    """Code points (uint32) of all texts; document `i` is `codepoints[first[i]:last[i]]`."""

    codepoints: npt.NDArray[np.uint32]
    first: Offsets
    last: Offsets

    def take(self, rows: Offsets) -> Characters:
        """The view of the rows given, sharing the flat array."""
        return Characters(self.codepoints, self.first[rows], self.last[rows])


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans `[starts[k], ends[k])` of the code points; document `i` has those with `first[i] <= k < last[i]`."""

    starts: Offsets
    ends: Offsets
    first: Offsets
    last: Offsets

    def take(self, rows: Offsets) -> Spans:
        """The view of the rows given, sharing the flat arrays."""
        return Spans(self.starts, self.ends, self.first[rows], self.last[rows])
