"""Removes lines of symbols that tables leave in extracted text, such as rows of `|`.

As datatrove 0.10's SymbolLinesFormatter (pipeline/formatters/symbol_lines_remover.py) with FineWeb-2's settings: lines
are those of `str.splitlines`, and each run of lines of symbols becomes an empty paragraph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import MaxLen, MinLen

from curation.stages.batch import Batch
from curation.stages.parameters import checked
from curation.stages.stage import Rewriter, RewrittenTexts, struct

Symbols = Annotated[str, MinLen(1), "characters"]


@checked
@dataclass(frozen=True, slots=True)
class TableSymbols(Rewriter):
    """Removes lines that have nothing but symbols and spaces.

    Attributes:
        symbols: The symbols, one after another.
        replacement: What a run of such lines becomes, as a line.
    """

    symbols: Symbols = "|"
    replacement: Annotated[str, MaxLen(100)] = "\n"

    version: ClassVar[int] = 1

    def rewrite(self, batch: Batch) -> RewrittenTexts:
        """Remove the lines. Signals: their number. Counts: their sum."""
        removed = np.zeros(len(batch), dtype=np.int64)
        texts = []
        for row, text in enumerate(batch.text.to_pylist()):
            new, removed[row] = self._edit(text or "")
            texts.append(new)
        return RewrittenTexts(pa.array(texts, batch.text.type), struct(lines=removed), {"lines_removed": removed})

    def _edit(self, text: str) -> tuple[str, int]:
        """The new text, and the number of lines removed."""
        allowed = f"{self.symbols} "
        lines: list[str] = []
        removed, is_inside = 0, False
        for line in text.splitlines():
            is_symbols = bool(line.strip()) and not line.strip(allowed)
            if not is_symbols:
                lines.append(line)
            elif not is_inside and self.replacement:
                lines.append(self.replacement)
            removed += is_symbols
            is_inside = is_symbols
        return "\n".join(lines), removed
