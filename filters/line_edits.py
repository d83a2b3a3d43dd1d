"""Cuts lines that are not prose, by RefinedWeb's line-wise corrections, and removes what they cut too much from.

Penedo et al. 2023 (arXiv 2306.01116), section G.2, whose patterns are not published. The rules are those of DCLM, from
`uppercase_ratio_line_modifier` to `word_removal_ratio_filter` in dclm_baseline_refinedweb.yaml (mlfoundations/dclm,
baselines/mappers/modifiers.py), or those of Dolma 3 (allenai/datamap-rs, src/map_fxn.rs), which differ in details.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s
from curation.stages.batch import Batch
from curation.stages.parameters import Count, Share, checked
from curation.stages.rules import Rule
from curation.stages.stage import Rewriter, RewrittenTexts, struct
from curation.stages.thresholds import fraction
from curation.text.views import Characters, characters, count_fasttext_words, flat, unicode_words

_COUNTER = re.compile(
    r"\W*\d[,.\d]*[kmb]?\s+(?:likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views"
    r"|followers)\W*"
)

_PHRASES = {
    "dclm": (
        (re.compile(r"\s?items in cart", re.IGNORECASE), ""),
        (re.compile(r"\s?read more.{3}\Z", re.IGNORECASE), ""),
        (re.compile(r"\Asign-in\s?", re.IGNORECASE), ""),
    ),
    "datamap": (
        (re.compile(r"\s?items in cart\s?"), " "),
        (re.compile(r"\s?Read more.{3}\Z"), ""),
        (re.compile(r"\ASign-in\s?"), ""),
    ),
}
"""What is cut out of lines. The dots of "Read more..." are wildcards in both sources, so any three characters do."""

CAUSES = ("max_uppercase", "digits", "counters", "min_words", "phrases")

_WORD = re.compile(r"[^\W_]")
"""A character that makes a word of the chunk that it is in."""


@checked
@dataclass(frozen=True, slots=True)
class LineEdits(Rewriter):
    """Cuts lines out of documents, then removes documents. None or false disables a rule.

    Attributes:
        variant: "dclm" counts words between white space and characters, and cuts phrases in any case; "datamap", for
            Dolma 3, counts Unicode's words and bytes of UTF-8, and cuts phrases as they are spelled here.
        max_uppercase: Cut lines of which a larger share is upper-case letters.
        digits: Cut lines that have only digits.
        counters: Cut lines that count something, such as "3 likes".
        min_words: Cut lines with fewer words. Empty lines stay.
        phrases: Cut "items in cart", "Read more..." at the end of a line and "Sign-in" at its beginning.
        max_phrase_words: Cut phrases only out of lines of at most so many words; None means out of any.
        max_removed_words: Remove documents of which a larger share of the words was cut.
    """

    variant: Literal["dclm", "datamap"] = "dclm"
    max_uppercase: Share | None = 0.5
    digits: bool = True
    counters: bool = True
    min_words: Count | None = 2
    phrases: bool = True
    max_phrase_words: Count | None = 10
    max_removed_words: Share | None = 0.05

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("regex",)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        limit = self.max_removed_words
        return () if limit is None else (Rule("removed_words", ">", limit, "max_removed_words"),)

    def rewrite(self, batch: Batch) -> RewrittenTexts:
        """Cut lines. Signals: the share of words that were cut. Counts: lines cut or changed, by rule."""
        counts = np.zeros((len(CAUSES), len(batch)), dtype=np.int64)
        edited = pa.array(
            [self._edit(text or "", counts[:, row]) for row, text in enumerate(batch.text.to_pylist())], pa.string()
        )
        before, after = self._words(batch.characters), self._words(characters(edited))
        signals = struct(removed_words=fraction(before - after, before))
        return RewrittenTexts(edited, signals, {f"lines.{cause}": counts[k] for k, cause in enumerate(CAUSES)})

    def _edit(self, text: str, counts: Int64s) -> str:
        """The text after all rules; adds to the number of lines that each cut or changed, in the order of CAUSES."""
        lines = text.split("\n")
        for cause, is_kept in self._line_rules():
            kept = list(filter(is_kept, lines))
            counts[CAUSES.index(cause)] += len(lines) - len(kept)
            lines = kept if cause == "min_words" else self._stripped(kept)
        for phrase, replacement in _PHRASES[self.variant] if self.phrases else ():
            lines = self._read(lines)
            changed = [self._without(phrase, replacement, line) for line in lines]
            counts[CAUSES.index("phrases")] += sum(map(operator.ne, lines, changed))
            lines = self._stripped([line for line in changed if line is not None])
        return "\n".join(lines)

    def _stripped(self, lines: list[str]) -> list[str]:
        """DCLM strips the text after most rules."""
        return "\n".join(lines).strip().split("\n") if self.variant == "dclm" else lines

    def _read(self, lines: list[str]) -> list[str]:
        """datamap reads lines again before each phrase, as of a file: without `\\r`, and a last empty one is none."""
        if self.variant == "dclm":
            return lines
        return [line.removesuffix("\r") for line in (lines if lines[-1:] != [""] else lines[:-1])]

    def _line_rules(self) -> Iterator[tuple[str, Callable[[str], bool]]]:
        """The rules that are on, each with what it keeps."""
        if self.max_uppercase is not None:
            yield "max_uppercase", self._is_lower
        if self.digits:
            yield "digits", self._is_text
        if self.counters:
            yield "counters", lambda line: _COUNTER.fullmatch(line.lower()) is None
        if self.min_words is not None:
            least = self.min_words
            yield "min_words", lambda line: not line or self._count_words(line, least) >= least

    def _is_lower(self, line: str) -> bool:
        size = len(line) if self.variant == "dclm" else len(line.encode())
        return not line or sum(map(str.isupper, line)) / size <= (self.max_uppercase or 0)

    def _is_text(self, line: str) -> bool:
        return not line.isdigit() or (self.variant == "datamap" and not line.isascii())

    def _without(self, phrase: re.Pattern[str], replacement: str, line: str) -> str | None:
        """The line without a phrase; None if nothing but white space is left, or was there."""
        if not line or not (line.isspace() or phrase.search(line)):
            return line
        limit = self.max_phrase_words
        if limit is not None and self._count_words(line, limit + 1) > limit:
            return line
        new = phrase.sub(replacement, line)
        return new if new.strip() else None

    def _count_words(self, line: str, enough: int) -> int:
        """The number of words of a line; if there are enough, maybe a smaller number that is enough too."""
        chunks = line.split()
        count = len(chunks)
        if self.variant == "datamap":
            count = sum(_WORD.search(chunk) is not None for chunk in chunks)
            if count < enough:
                return int(unicode_words(flat([line])).counts[0])
        return count

    def _words(self, text: Characters) -> Int64s:
        """The words that count for `max_removed_words`: in DCLM those that begin with a letter or digit."""
        return count_fasttext_words(text) if self.variant == "dclm" else unicode_words(text).counts
