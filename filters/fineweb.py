"""FineWeb's own filter: removes lists, menus and other text whose lines are not sentences.

Penedo et al. 2024 (arXiv 2406.17557), section 3.6. Verdicts equal those of datatrove 0.10's FineWebQualityFilter
(pipeline/filters/fineweb_quality_filter.py), which ignores blank lines and accepts 159 characters from all scripts as
sentence ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import MaxLen, MinLen

from curation.arrays import UInt8s
from curation.stages.batch import Batch, WordKind
from curation.stages.parameters import Ratio, Share, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.stages.thresholds import fraction, rules_of
from curation.text.kernels.characters import classes
from curation.text.kernels.duplicates import count_duplicates
from curation.text.kernels.quality import measure_lines

Character = Annotated[str, MinLen(1), MaxLen(1), "a single character"]


@checked
@dataclass(frozen=True, slots=True)
class FineWeb(Filter):
    """Removes documents whose lines are outside the bounds. None disables a rule; blank lines do not count as lines.

    Attributes:
        markdown: Whether the text is Markdown, of which the rules measure the prose: no fenced code and no marks.
        words: What a word is: "spacy" is a token of spaCy's English tokenizer, as in datatrove; "language" is a word
            of the tokenizer for the document's language, as in FineWeb-2; "space" is what stands between white space.
        min_terminal_lines: Smallest share of lines that end in one of `terminal_characters`.
        max_short_lines: Largest share of lines with at most `short_line_length` characters.
        max_dup_characters: Largest share of characters, newlines excluded, in lines that occurred before in the
            document.
        max_newlines_per_word: Largest number of newlines per word.
        short_line_length: Characters up to which a line is short.
        terminal_characters: Characters that end a sentence; empty means the sentence ends of all scripts.
    """

    markdown: bool = False
    words: WordKind = "spacy"
    min_terminal_lines: Share | None = 0.12
    max_short_lines: Share | None = 0.67
    max_dup_characters: Share | None = 0.01
    max_newlines_per_word: Ratio | None = 0.3
    short_line_length: int = 30
    terminal_characters: tuple[Character, ...] = ()

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("spacy", "datatrove")

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return (Rule("lines", "==", 0, "empty"), *rules_of(self))

    def measure(self, batch: Batch) -> pa.StructArray:
        """The number of lines that are not blank, and the ratios that the rules compare."""
        read = batch.read_as(markdown=self.markdown)
        text, lines = read.characters, read.lines
        n_lines, terminal, short = np.empty((3, len(batch)), dtype=np.int64)
        filled = np.empty(len(lines.starts), dtype=np.bool_)
        spans = (lines.starts, lines.ends, lines.first, lines.last)
        ends = _terminal(self.terminal_characters)
        measure_lines(
            text.codepoints, *spans, classes(), ends, self.short_line_length, filled, n_lines, terminal, short
        )
        _, _, duplicate = duplicates = np.empty((3, len(batch)), dtype=np.int64)
        count_duplicates(text.codepoints, *spans, filled, *duplicates)
        newlines = lines.counts - 1
        return struct(
            lines=n_lines,
            terminal_lines=fraction(terminal, n_lines),
            short_lines=fraction(short, n_lines),
            dup_characters=fraction(duplicate, text.counts - newlines),
            newlines_per_word=fraction(newlines, read.words_by(self.words).counts),
        )


@lru_cache(maxsize=8)
def _terminal(characters: tuple[str, ...]) -> UInt8s:
    """A table over all code points: 1 for the given characters, else 0."""
    wanted: Iterable[str] = characters
    if not characters:
        from datatrove.utils.text import TERMINAL_PUNCTUATION

        wanted = TERMINAL_PUNCTUATION
    table = np.zeros(0x110000, dtype=np.uint8)
    table[[ord(character) for character in wanted]] = 1
    return table
