"""Gopher's repetition filter: removes text that repeats itself.

Rae et al. 2021 (arXiv 2112.11446), table A1. Verdicts equal those of datatrove 0.10's GopherRepetitionFilter
(pipeline/filters/gopher_repetition_filter.py), where the denominator of all character fractions is the whole text,
whitespace included. An empty text, on which the reference divides by zero, is removed as `empty`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Int64s
from curation.stages.batch import Batch, WordKind
from curation.stages.parameters import Ratio, Share, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.stages.thresholds import fraction, rules_of
from curation.text.kernels.duplicates import count_duplicates
from curation.text.kernels.ngrams import measure_ngrams
from curation.text.views import Characters, Spans

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


@checked
@dataclass(frozen=True, slots=True)
class GopherRepetition(Filter):
    """Removes documents that repeat more than these shares of themselves. None disables a rule.

    Paragraphs are separated by two or more newlines, lines by one or more; n-grams are of words.

    Attributes:
        markdown: Whether the text is Markdown, of which the rules measure the prose: no fenced code and no marks.
        words: What a word is: "spacy" is a token of spaCy's English tokenizer, as in datatrove; "language" is a word
            of the tokenizer for the document's language, as in FineWeb-2; "space" is what stands between white space.
        max_dup_paragraph_fraction: Share of paragraphs that occurred before in the document.
        max_dup_paragraph_characters: Share of characters in such paragraphs.
        max_dup_line_fraction: Share of lines that occurred before in the document.
        max_dup_line_characters: Share of characters in such lines.
        max_top_2_gram: Share of characters in the most frequent 2-gram, above 1 if its occurrences overlap.
        max_top_3_gram: Share of characters in the most frequent 3-gram.
        max_top_4_gram: Share of characters in the most frequent 4-gram.
        max_dup_5_gram: Share of characters in 5-grams that occurred before in the document.
        max_dup_6_gram: The same for 6-grams.
        max_dup_7_gram: The same for 7-grams.
        max_dup_8_gram: The same for 8-grams.
        max_dup_9_gram: The same for 9-grams.
        max_dup_10_gram: The same for 10-grams.
    """

    markdown: bool = False
    words: WordKind = "spacy"
    max_dup_paragraph_fraction: Share | None = 0.3
    max_dup_paragraph_characters: Share | None = 0.2
    max_dup_line_fraction: Share | None = 0.3
    max_dup_line_characters: Share | None = 0.2
    max_top_2_gram: Ratio | None = 0.2
    max_top_3_gram: Ratio | None = 0.18
    max_top_4_gram: Ratio | None = 0.16
    max_dup_5_gram: Share | None = 0.15
    max_dup_6_gram: Share | None = 0.14
    max_dup_7_gram: Share | None = 0.13
    max_dup_8_gram: Share | None = 0.12
    max_dup_9_gram: Share | None = 0.11
    max_dup_10_gram: Share | None = 0.1

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("spacy",)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return (Rule("characters", "==", 0, "empty"), *rules_of(self))

    def measure(self, batch: Batch) -> pa.StructArray:
        """The number of characters, and the share of each kind of repetition."""
        rows, read = len(batch), batch.read_as(markdown=self.markdown)
        text, paragraphs, lines = read.characters, read.paragraphs, read.lines
        words = read.words_by(self.words)
        total = text.counts
        paragraph = _duplicates(text, paragraphs, np.ones(len(paragraphs.starts), dtype=np.bool_))
        line = _duplicates(text, lines, _between_newline_runs(lines))
        top = np.empty((rows, len(TOP_SIZES)), dtype=np.int64)
        duplicate = np.empty((rows, len(DUPLICATE_SIZES)), dtype=np.int64)
        measure_ngrams(
            text.codepoints,
            words.starts,
            words.ends,
            words.first,
            words.last,
            np.array(TOP_SIZES),
            np.array(DUPLICATE_SIZES),
            top,
            duplicate,
        )
        return struct(
            characters=batch.characters.counts,
            dup_paragraph_fraction=fraction(paragraph[1], paragraph[0]),
            dup_paragraph_characters=fraction(paragraph[2], total),
            dup_line_fraction=fraction(line[1], line[0]),
            dup_line_characters=fraction(line[2], total),
            **{f"top_{n}_gram": fraction(top[:, j], total) for j, n in enumerate(TOP_SIZES)},
            **{f"dup_{n}_gram": fraction(duplicate[:, j], total) for j, n in enumerate(DUPLICATE_SIZES)},
        )


def _duplicates(text: Characters, spans: Spans, selected: Bools) -> Int64s:
    """For each row: spans, spans that occurred before, and characters in those. Shape (3, rows)."""
    counts = np.empty((3, len(spans.first)), dtype=np.int64)
    count_duplicates(text.codepoints, spans.starts, spans.ends, spans.first, spans.last, selected, *counts)
    return counts


def _between_newline_runs(lines: Spans) -> Bools:
    r"""Selects the lines that `re.split("\n+", text)` gives: empty lines only at the two ends of the text."""
    selected = lines.ends > lines.starts
    selected[lines.first] = True
    selected[lines.last - 1] = True
    return selected
