"""Cuts web addresses and runs of newlines out of texts, as RefinedWeb, DCLM and Dolma 3 do before their filters.

Penedo et al. 2023 (arXiv 2306.01116), section 3.1: at most two newlines in a row, and no URLs. In DCLM and datamap-rs,
this is `newline_removal_modifier`. The expression for addresses is our own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from curation.stages.batch import Batch
from curation.stages.parameters import checked
from curation.stages.stage import Rewriter, RewrittenTexts, struct

_ADDRESS = re.compile(r"[ \t]?(?:(?:https?|ftp)://|\bwww\.)\S+", re.IGNORECASE)


@checked
@dataclass(frozen=True, slots=True)
class Formatting(Rewriter):
    """Cuts web addresses and runs of newlines out of texts; removes no document.

    Attributes:
        addresses: Cut what begins with http://, https://, ftp:// or www., up to white space.
        max_newlines: Most newlines in a row; None means any number.
    """

    addresses: bool = False
    max_newlines: Annotated[int, Ge(0), Le(1000)] | None = 2

    version: ClassVar[int] = 1

    def rewrite(self, batch: Batch) -> RewrittenTexts:
        """Rewrite the texts. Signals: addresses cut. Counts: their sum."""
        cut = np.zeros(len(batch), dtype=np.int64)
        texts = []
        for row, text in enumerate(batch.text.to_pylist()):
            new = text or ""
            if self.addresses:
                new, cut[row] = _ADDRESS.subn("", new)
            if self.max_newlines is not None:
                new = re.sub(rf"\n{{{self.max_newlines + 1},}}", "\n" * self.max_newlines, new)
            texts.append(new)
        return RewrittenTexts(pa.array(texts, batch.text.type), struct(addresses=cut), {"addresses": cut})
