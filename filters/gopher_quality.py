"""Gopher's quality filter: removes text that is too short, too long, or not made of words in sentences.

Rae et al. 2021 (arXiv 2112.11446), section A1.1. Verdicts equal those of datatrove 0.10's GopherQualityFilter
(pipeline/filters/gopher_quality_filter.py). If a text has no words or no lines, the ratios over them are null and their
rules do not apply; the reference divides by zero there once `min_words` is none.

The paper counts words between white space. The reference takes spaCy's tokens, where a comma is a word, too: of the
words in pages that pass, 0.86 have a letter (median), close to the threshold 0.8; between white space it is 0.98.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from curation.stages.batch import Batch, WordKind
from curation.stages.parameters import Count, Ratio, Share, Text, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.stages.thresholds import fraction, rules_of
from curation.text.kernels.characters import classes
from curation.text.kernels.quality import count_distinct, count_marks, measure_line_ends, measure_words
from curation.text.views import flat

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""From section A1.1: a document of English prose has at least two of them."""


@checked
@dataclass(frozen=True, slots=True)
class GopherQuality(Filter):
    """Removes documents outside the bounds. None disables a rule.

    Attributes:
        markdown: Whether the text is Markdown, of which the rules measure the prose: no fenced code and no marks.
        words: What a word is: "spacy" is a token of spaCy's English tokenizer, as in datatrove; "language" is a word
            of the tokenizer for the document's language, as in FineWeb-2; "space" is what stands between white space,
            as in the paper, DCLM and Dolma 3.
        min_words: Smallest number of words. Here and in the mean length, words of symbols only do not count.
        max_words: Largest number of words.
        min_mean_word_length: Smallest mean length of a word, in characters.
        max_mean_word_length: Largest mean length of a word, in characters.
        max_hash_ratio: Largest number of `#` per word.
        max_ellipsis_ratio: Largest number of ellipses per word.
        max_bullet_lines: Largest share of lines that begin with • or -.
        max_ellipsis_lines: Largest share of lines that end in an ellipsis.
        min_alpha_words: Smallest share of words with a letter.
        min_stop_words: Smallest number of different `stop_words` in the document.
        stop_words: The words that `min_stop_words` counts, case-sensitive.
    """

    markdown: bool = False
    words: WordKind = "spacy"
    min_words: Count | None = 50
    max_words: Count | None = 100_000
    min_mean_word_length: Ratio | None = 3.0
    max_mean_word_length: Ratio | None = 10.0
    max_hash_ratio: Ratio | None = 0.1
    max_ellipsis_ratio: Ratio | None = 0.1
    max_bullet_lines: Share | None = 0.9
    max_ellipsis_lines: Share | None = 0.3
    min_alpha_words: Share | None = 0.8
    min_stop_words: Count | None = 2
    stop_words: tuple[Text, ...] = STOP_WORDS

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("spacy", "datatrove")

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return rules_of(self)

    def measure(self, batch: Batch) -> pa.StructArray:
        """The number of words, and the ratios that the rules compare."""
        read = batch.read_as(markdown=self.markdown)
        text, words = read.characters, read.words_by(self.words)
        rows = len(batch)
        n_words, characters, alphabetic, stop_words, hashes, ellipses, lines, bullets, ellipsis_lines = np.empty(
            (9, rows), dtype=np.int64
        )
        spans = (words.starts, words.ends, words.first, words.last)
        measure_words(words.starts, words.ends, words.flags, words.first, words.last, n_words, characters, alphabetic)
        wanted = flat(sorted(set(self.stop_words)))
        count_distinct(text.codepoints, *spans, wanted.codepoints, np.append(0, wanted.last), stop_words)
        count_marks(text.codepoints, text.first, text.last, hashes, ellipses)
        measure_line_ends(text.codepoints, text.first, text.last, classes(), lines, bullets, ellipsis_lines)
        return struct(
            words=n_words,
            mean_word_length=fraction(characters, n_words),
            hash_ratio=fraction(hashes, words.counts),
            ellipsis_ratio=fraction(ellipses, words.counts),
            bullet_lines=fraction(bullets, lines),
            ellipsis_lines=fraction(ellipsis_lines, lines),
            alpha_words=fraction(alphabetic, words.counts),
            stop_words=stop_words,
        )
