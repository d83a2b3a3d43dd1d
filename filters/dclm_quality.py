"""Gopher's quality rules as DCLM and Dolma 3 apply them.

DCLM: the filters from `page_length_filter` to `stop_word_filter` of dclm_baseline_refinedweb.yaml (mlfoundations/dclm,
baselines/mappers/filters/content_filters.py). Dolma 3: those of all_dressed_config.yaml (allenai/datamap-rs,
src/map_fxn.rs). They differ from `gopher_quality`, datatrove's, in what they count: words between white space, `. . .`
as an ellipsis, ● and * as bullets, hashes and ellipses together, and stop words as often as they occur, in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Int64s
from curation.filters.gopher_quality import STOP_WORDS
from curation.stages.batch import Batch
from curation.stages.parameters import Count, Ratio, Share, Text, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.stages.thresholds import fraction, rules_of
from curation.text.kernels.chunks import HAS_ALPHA
from curation.text.views import bytes_before, count_fasttext_words, unicode_words

SYMBOLS = ("#", "...", ". . .", "…")

_BLANK = r"[\p{Z}\t\x0b\x0c\r\x1c-\x1f\x85]"
"""What `str.strip` strips, without the newline. These expressions are RE2's, which takes linear time for any text."""
_LINES = {
    "dclm": rf"(?m)^{_BLANK}*[^\n\p{{Z}}\t\x0b\x0c\r\x1c-\x1f\x85][^\n]*",
    "datamap": r"(?m)^(\r[^\n]|[^\r\n])[^\n]*",
}
"""Lines that are not empty. Each match takes the whole line, because Arrow sees what follows it as a new text."""
_BULLETS = {"dclm": rf"(?m)^{_BLANK}*[●•*\-][^\n]*", "datamap": r"(?m)^[●•*\-][^\n]*"}
_ELLIPSES = {"dclm": rf"(?m)(\.\.\.|\. \. \.|…){_BLANK}*$", "datamap": r"(?m)(\.\.\.|\. \. \.|…)\r?$"}


@checked
@dataclass(frozen=True, slots=True)
class DclmQuality(Filter):
    """Removes documents outside the bounds. None disables a rule.

    Words are what stands between white space.

    Attributes:
        variant: "dclm" counts words between ASCII white space that begin with a letter or digit for `min_words`,
            characters, and lines that are not blank; "datamap", for Dolma 3, counts Unicode's words (runs of letters
            and digits if the text is ASCII), bytes of UTF-8, and bullets among all lines.
        min_characters: Smallest number of characters.
        min_words: Smallest number of words without punctuation.
        max_words: Largest number of words without punctuation.
        min_mean_word_length: Smallest mean length of a word.
        max_mean_word_length: Largest mean length of a word.
        max_symbol_ratio: Largest number of `#` and ellipses (`...`, `. . .`, `…`) per word.
        max_bullet_lines: Largest share of lines that begin with ●, •, * or -.
        max_ellipsis_lines: Largest share of lines that end in an ellipsis.
        min_alpha_words: Smallest share of words with a letter.
        min_stop_words: Smallest number of words that are stop words, each counted as often as it occurs.
        stop_words: The words that `min_stop_words` counts, in any case.
    """

    variant: Literal["dclm", "datamap"] = "dclm"
    min_characters: Count | None = None
    min_words: Count | None = 50
    max_words: Count | None = 100_000
    min_mean_word_length: Ratio | None = 3.0
    max_mean_word_length: Ratio | None = 10.0
    max_symbol_ratio: Ratio | None = 0.1
    max_bullet_lines: Share | None = 0.9
    max_ellipsis_lines: Share | None = 0.3
    min_alpha_words: Share | None = 0.8
    min_stop_words: Count | None = 2
    stop_words: tuple[Text, ...] = STOP_WORDS

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("regex",)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return (Rule("space_words", "==", 0, "empty"), *rules_of(self))

    def measure(self, batch: Batch) -> pa.StructArray:
        """The numbers of words, and the ratios that the rules compare."""
        texts, text, words = batch.text.fill_null(""), batch.characters, batch.space_words
        symbols = sum((_count(texts, symbol) for symbol in SYMBOLS), np.zeros(len(batch), dtype=np.int64))
        lines = _count(texts, _LINES[self.variant], regex=True)
        sizes, all_words, all_lines = words.ends - words.starts, words.counts, lines
        if self.variant == "datamap":
            before = bytes_before(text)
            sizes = before[words.ends] - before[words.starts]
            all_words = all_words - 2 * _count(texts, ". . .")
            all_lines = _count(texts, "\n") + 1
        return struct(
            space_words=words.counts,
            characters=text.counts,
            words=self._words(batch, texts),
            mean_word_length=fraction(words.sums(sizes), words.counts),
            symbol_ratio=fraction(symbols, all_words),
            bullet_lines=fraction(_count(texts, _BULLETS[self.variant], regex=True), all_lines),
            ellipsis_lines=fraction(_count(texts, _ELLIPSES[self.variant], regex=True), lines),
            alpha_words=fraction(words.sums(words.flags & HAS_ALPHA != 0), words.counts),
            stop_words=_count_listed(texts, self.stop_words),
        )

    def _words(self, batch: Batch, texts: pa.StringArray) -> Int64s:
        """The words that `min_words` counts."""
        if self.variant == "dclm":
            return count_fasttext_words(batch.characters)
        is_ascii = np.asarray(pc.string_is_ascii(texts).to_numpy(zero_copy_only=False), np.bool_)
        return np.where(is_ascii, _count(texts, "[0-9A-Za-z]+", regex=True), unicode_words(batch.characters).counts)


def _count(texts: pa.StringArray, pattern: str, *, regex: bool = False) -> Int64s:
    """Occurrences of a text or an expression in each text."""
    count = pc.count_substring_regex if regex else pc.count_substring
    return np.asarray(count(texts, pattern).to_numpy(zero_copy_only=False), np.int64)


def _count_listed(texts: pa.StringArray, listed: tuple[str, ...]) -> Int64s:
    """How many words between white space are among those listed, in any case."""
    words = pc.utf8_split_whitespace(texts)
    wanted = pa.array(sorted({word.lower() for word in listed}), pa.string())
    is_listed = pc.is_in(pc.utf8_lower(words.flatten()), wanted).to_numpy(zero_copy_only=False)
    sums = np.concatenate([[0], np.cumsum(is_listed, dtype=np.int64)])
    offsets = words.offsets.to_numpy() - words.offsets[0].as_py()
    return np.asarray(sums[offsets[1:]] - sums[offsets[:-1]], np.int64)
