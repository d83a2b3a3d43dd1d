"""Removes documents with too many questionable sentences, by rules 2 and 5 of MADLAD-400.

Kudugunta et al. 2023 (arXiv 2309.04662), section 2.3, as Dolma 3 applies them (`madlad400_sentence_annotator` and
`madlad400_rule_filter` of allenai/datamap-rs, src/map_fxn.rs): a sentence ends at `.`, `!` or `?` before white space.
MADLAD's list of phrases is not part of this package.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools
from curation.errors import ParameterError
from curation.stages.batch import Batch
from curation.stages.parameters import Count, LocalPath, Outside, Share, Text, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.stages.thresholds import fraction
from curation.text.views import Spans, characters, unicode_words

_END = re.compile(r"(?<![.!?])[.!?]++\s+")


@checked
@dataclass(frozen=True, slots=True)
class Sentences(Filter):
    """Removes documents with few sentences, or with many questionable ones. None disables a rule.

    Attributes:
        min_count: Smallest number of sentences.
        max_questionable: Share of questionable sentences that a document must not reach.
        max_capitals: A sentence is questionable if a larger share of its words begins with a capital, as in lists of
            names and titles.
        min_list_words: Words from which `max_capitals` applies to a sentence.
        phrases: Path of a file with a phrase per line; a sentence with one of them is questionable.
        expressions: Regular expressions (RE2); a sentence with a match is questionable.
    """

    min_count: Count | None = 5
    max_questionable: Share | None = 0.2
    max_capitals: Share | None = 0.5
    min_list_words: Count = 12
    phrases: Annotated[str, Outside("a file"), LocalPath()] | None = None
    expressions: tuple[Text, ...] = ()

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("regex",)

    def __post_init__(self) -> None:
        for value in self.expressions:
            _check_expression("expressions", value, value)
        _check_expression("phrases", str(self.phrases), self._expression())

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        bounds = (
            ("sentences", "<", self.min_count, "min_count"),
            ("questionable", ">=", self.max_questionable, "max_questionable"),
        )
        return tuple(Rule(signal, sign, limit, key) for signal, sign, limit, key in bounds if limit is not None)

    def assets(self) -> dict[str, str]:
        """Hash of the phrases."""
        phrases = "\n".join(self._phrases())
        return {"phrases": hashlib.sha256(phrases.encode()).hexdigest()} if phrases else {}

    def measure(self, batch: Batch) -> pa.StructArray:
        """The number of sentences, and the share of questionable ones."""
        split = [[part for part in _END.split(text or "") if part.strip()] for text in batch.text.to_pylist()]
        counts = np.array([len(parts) for parts in split], dtype=np.int64)
        last = np.cumsum(counts)
        sentences = pa.array([part for parts in split for part in parts], pa.string())
        is_questionable = self._is_list(sentences)
        if expression := self._expression():
            is_questionable |= _matching(sentences, expression)
        spans = Spans(last, last, last - counts, last)
        return struct(sentences=counts, questionable=fraction(spans.sums(is_questionable), counts))

    def _is_list(self, sentences: pa.StringArray) -> Bools:
        """Which sentences have many words that begin with a capital."""
        text = characters(sentences)
        words = unicode_words(text)
        initials, places = np.unique(text.codepoints[words.starts], return_inverse=True)
        is_capital = np.array([chr(code).isupper() for code in initials.tolist()], np.bool_)[places]
        if self.max_capitals is None:
            return np.zeros(len(sentences), np.bool_)
        return (words.counts >= self.min_list_words) & (words.sums(is_capital) > words.counts * self.max_capitals)

    def _expression(self) -> str:
        """One expression for all phrases and expressions."""
        return "|".join([*map(re.escape, self._phrases()), *self.expressions])

    def _phrases(self) -> tuple[str, ...]:
        return () if self.phrases is None else _read_phrases(self.phrases)


@cache
def _read_phrases(path: str) -> tuple[str, ...]:
    """The lines of a file that are not empty."""
    try:
        return tuple(filter(None, Path(path).read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError) as error:
        raise ParameterError("phrases", path, f"the path of a file with a phrase per line ({error})") from error


def _check_expression(key: str, value: str, expression: str) -> None:
    """Raise ParameterError if RE2 does not accept an expression, or finds it too large."""
    try:
        _matching(pa.array([""]), expression)
    except pa.ArrowInvalid as error:
        raise ParameterError(key, value, f"what RE2 can search for ({error})") from error


def _matching(sentences: pa.StringArray, expression: str) -> Bools:
    """Which sentences have a match of an expression, by RE2, which takes linear time for any of them."""
    return np.asarray(pc.match_substring_regex(sentences, expression).to_numpy(zero_copy_only=False), np.bool_)
