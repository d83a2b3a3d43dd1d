"""Gopher's repetition rules as DCLM and Dolma 3 apply them: every copy counts, and white space does not.

DCLM: `massive_web_repetition_filters` (mlfoundations/dclm, baselines/mappers/filters/content_filters.py). Dolma 3:
`massive_web_repetition_filter` (allenai/datamap-rs, src/map_fxn.rs). Where `gopher_repetition` counts what occurred
before, they count all occurrences, so a text of which half is said twice is repeated as a whole; and they compare with
the characters of lines, paragraphs and words instead of the whole text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s
from curation.stages.batch import Batch
from curation.stages.parameters import Share, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.stages.thresholds import fraction, rules_of
from curation.text.kernels.characters import classes
from curation.text.kernels.repeats import find_parts, measure_repeats
from curation.text.kernels.unicode_words import is_alphanumeric
from curation.text.views import Characters, Spans, bytes_before, unicode_words

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


@checked
@dataclass(frozen=True, slots=True)
class DclmRepetition(Filter):
    """Removes documents that repeat more than these shares of themselves. None disables a rule.

    Lines end at a newline, paragraphs at two; n-grams are of Unicode's words (UAX #29).

    Attributes:
        variant: "dclm" strips lines and paragraphs, counts characters, and leaves out words that begin with a symbol;
            "datamap", for Dolma 3, counts bytes of UTF-8.
        max_dup_line_fraction: Share of lines that occur more than once in the document.
        max_dup_paragraph_fraction: Share of paragraphs that occur more than once.
        max_dup_line_characters: Share of the characters of all lines in such lines.
        max_dup_paragraph_characters: Share of the characters of all paragraphs in such paragraphs.
        max_top_2_gram: Share of the characters of all words in the most frequent 2-gram.
        max_top_3_gram: The same for the most frequent 3-gram.
        max_top_4_gram: The same for the most frequent 4-gram.
        max_dup_5_gram: Share of the characters of all words in 5-grams that occur more than once.
        max_dup_6_gram: The same for 6-grams.
        max_dup_7_gram: The same for 7-grams.
        max_dup_8_gram: The same for 8-grams.
        max_dup_9_gram: The same for 9-grams.
        max_dup_10_gram: The same for 10-grams.
    """

    variant: Literal["dclm", "datamap"] = "dclm"
    max_dup_line_fraction: Share | None = 0.3
    max_dup_paragraph_fraction: Share | None = 0.3
    max_dup_line_characters: Share | None = 0.2
    max_dup_paragraph_characters: Share | None = 0.2
    max_top_2_gram: Share | None = 0.2
    max_top_3_gram: Share | None = 0.18
    max_top_4_gram: Share | None = 0.16
    max_dup_5_gram: Share | None = 0.15
    max_dup_6_gram: Share | None = 0.14
    max_dup_7_gram: Share | None = 0.13
    max_dup_8_gram: Share | None = 0.12
    max_dup_9_gram: Share | None = 0.11
    max_dup_10_gram: Share | None = 0.1

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("regex",)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return (Rule("lines", "==", 0, "empty"), *rules_of(self))

    def measure(self, batch: Batch) -> pa.StructArray:
        """The number of lines that are not empty, and the share of each kind of repetition."""
        text, is_dclm = batch.characters, self.variant == "dclm"
        words = unicode_words(text)
        if is_dclm:
            words = words.where(is_alphanumeric(text.codepoints[words.starts]))
        before = None if is_dclm else bytes_before(text)
        lines, paragraphs = (_parts(text, newlines, is_stripped=is_dclm) for newlines in (1, 2))
        line, paragraph = (_repeats(text, parts, (1,), before) for parts in (lines, paragraphs))
        grams = _repeats(text, words, (*TOP_SIZES, *DUPLICATE_SIZES), before, overlaps=is_dclm)
        return struct(
            lines=lines.counts,
            dup_line_fraction=fraction(line.spans[:, 0], lines.counts),
            dup_paragraph_fraction=fraction(paragraph.spans[:, 0], paragraphs.counts),
            dup_line_characters=fraction(line.repeated[:, 0], line.total),
            dup_paragraph_characters=fraction(paragraph.repeated[:, 0], paragraph.total),
            **{f"top_{n}_gram": fraction(grams.repeated[:, j], grams.total) for j, n in enumerate(TOP_SIZES)},
            **{
                f"dup_{n}_gram": fraction(grams.repeated[:, j], grams.total)
                for j, n in enumerate(DUPLICATE_SIZES, start=len(TOP_SIZES))
            },
        )


@dataclass(frozen=True, slots=True)
class _Repeats:
    """What spans of each text repeat.

    Attributes:
        spans: Number of spans that are repeated, shape (texts, sizes).
        repeated: Their characters or bytes, shape (texts, sizes).
        total: Characters or bytes of all spans, shape (texts,).
    """

    spans: Int64s
    repeated: Int64s
    total: Int64s


def _parts(text: Characters, newlines: int, *, is_stripped: bool) -> Spans:
    """Lines, if one newline ends a part, or paragraphs, if two do; without empty ones."""
    size = int(np.count_nonzero(text.codepoints == ord("\n"))) + len(text.first)
    starts, ends = np.empty((2, size), dtype=np.int64)
    first, last = np.empty((2, len(text.first)), dtype=np.int64)
    count = find_parts(
        text.codepoints, text.first, text.last, classes(), newlines, is_stripped, starts, ends, first, last
    )
    return Spans(starts[:count], ends[:count], first, last)


def _repeats(
    text: Characters, spans: Spans, sizes: tuple[int, ...], before: Int64s | None, *, overlaps: bool = False
) -> _Repeats:
    """Measure n-grams of spans.

    Args:
        text: The texts.
        spans: Their spans.
        sizes: Spans per n-gram.
        before: UTF-8 bytes before each code point, to count bytes; None counts characters.
        overlaps: See `measure_repeats`.
    """
    weights = spans.ends - spans.starts
    if before is not None:
        weights = before[spans.ends] - before[spans.starts]
    counted, repeated = np.empty((2, len(spans.first), len(sizes)), dtype=np.int64)
    places = (spans.starts, spans.ends, spans.first, spans.last)
    measure_repeats(text.codepoints, *places, weights, np.array(sizes), overlaps, counted, repeated)
    return _Repeats(counted, repeated, spans.sums(weights))
