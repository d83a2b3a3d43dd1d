"""C4's filter: cuts lines that are not prose, and removes documents that have too little left.

Raffel et al. 2020 (JMLR 21:140), section 2.2. Texts and verdicts equal those of datatrove 0.10's C4QualityFilter
(pipeline/filters/c4_filters.py) in line mode. As in FineWeb, terminal punctuation is not required by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.stages.batch import Batch
from curation.stages.parameters import Count, checked
from curation.stages.rules import Rule, decide
from curation.stages.stage import Outcome, struct
from curation.text import views
from curation.text.kernels import c4_lines
from curation.text.kernels.characters import ascii_lower, classes

POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
"""Phrases (lowercase ASCII) that mark a line as a notice instead of text."""

_CAUSES = {
    "max_word_length": c4_lines.LONG_WORD,
    "require_terminal_punctuation": c4_lines.NO_TERMINAL,
    "min_words_per_line": c4_lines.FEW_WORDS,
    "javascript": c4_lines.JAVASCRIPT,
    "policy": c4_lines.POLICY,
}


@checked
@dataclass(frozen=True, slots=True)
class C4:
    """Cuts lines out of documents, then removes documents. None or false disables a rule.

    Attributes:
        require_terminal_punctuation: Cut lines that do not end a sentence (. ? ! " ' but not ...).
        words: Where sentences end: "spacy" is at tokens of spaCy's English tokenizer, as in datatrove; "space" is after
            what stands between white space and ends in a stop, closing quotes and brackets aside, or with a line.
        max_word_length: Cut lines with a word of more characters than this.
        min_words_per_line: Cut lines with fewer words.
        min_sentences: Remove documents whose remaining lines have fewer sentences.
        javascript: Cut lines with the word "javascript".
        policy: Cut lines with a phrase of cookie and privacy notices, see `POLICY`.
        lorem_ipsum: Remove documents that have "lorem ipsum" in a remaining line.
        curly_bracket: Remove documents that have a `{` in a remaining line. If both this and `lorem_ipsum` apply, the
            one that comes first in the text is the reason.
        remove_citations: Cut `[1]`, `[]`, `[edit]` and `[citation needed]` out of lines.
        markdown: Whether the text is Markdown: fenced code is kept as it is, no rule looks at it, and it has no
            sentences; headings may have fewer words; a blank line between lines that are kept stays, and so does
            indentation.
    """

    words: Literal["spacy", "space"] = "spacy"
    require_terminal_punctuation: bool = False
    max_word_length: Count | None = 1000
    min_words_per_line: Count | None = 3
    min_sentences: Count | None = 5
    javascript: bool = True
    policy: bool = True
    lorem_ipsum: bool = True
    curly_bracket: bool = True
    remove_citations: bool = True
    markdown: bool = False

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("spacy",)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        rules = []
        if self.lorem_ipsum:
            rules.append(Rule("lorem_ipsum", ">", 0, "lorem_ipsum"))
        if self.curly_bracket:
            rules.append(Rule("curly_bracket", ">", 0, "curly_bracket"))
        if self.min_sentences is not None:
            rules.append(Rule("sentences", "<", self.min_sentences, "min_sentences"))
        return tuple(rules)

    def __call__(self, batch: Batch, /) -> Outcome:
        """Cut lines, measure, decide. Only the text of kept documents is rewritten.

        Signals: lines, lines cut, characters and sentences left, and whether "lorem ipsum" or a `{` came first (0 or
        1). Counts: lines cut out of kept documents, by rule.
        """
        cleaned = self._clean(batch)
        text = views.Characters(cleaned.codepoints, cleaned.first, cleaned.last)
        known: dict[str, Any] = {"characters": text}
        sentences = np.empty(len(batch), dtype=np.int64)
        if self.words == "space":
            c4_lines.count_plain_sentences(cleaned, classes(), sentences)
        else:
            words = known["words"] = _words(batch, cleaned)
            c4_lines.count_sentences(
                text.codepoints, words.starts, words.ends, words.flags, words.first, words.last, cleaned, sentences
            )
        lines = cleaned.causes.sum(axis=1)
        signals = struct(
            lines=lines,
            lines_removed=lines - cleaned.causes[:, c4_lines.KEPT],
            characters=text.counts,
            sentences=sentences,
            lorem_ipsum=(cleaned.condemned == c4_lines.LOREM_IPSUM).astype(np.int64),
            curly_bracket=(cleaned.condemned == c4_lines.CURLY_BRACKET).astype(np.int64),
        )
        reasons = decide(signals, self.rules)
        kept = reasons.is_null().to_numpy(zero_copy_only=False)
        removed = cleaned.causes[kept].sum(axis=0)
        counts = {f"lines_removed.{rule}": int(removed[cause]) for rule, cause in _CAUSES.items() if removed[cause]}
        rewritten = pc.if_else(pa.array(kept), views.strings(text), batch.text)
        return Outcome(batch.with_text(rewritten, kept, **known), reasons, signals, counts)

    def _clean(self, batch: Batch) -> c4_lines.CleanTexts:
        text, rows = batch.characters, len(batch)
        size = c4_lines.count_lines(text.codepoints, text.first, text.last, classes())
        first, last, lines_first, lines_last, condemned = np.empty((5, rows), dtype=np.int64)
        starts, ends, sources = np.empty((3, size), dtype=np.int64)
        codepoints = np.empty(int(text.counts.sum()) + size, dtype=np.uint32)
        fenced = np.zeros(size, dtype=np.bool_)
        causes = np.empty((rows, c4_lines.CAUSES), dtype=np.int64)
        cleaned = c4_lines.CleanTexts(
            codepoints, first, last, starts, ends, sources, fenced, lines_first, lines_last, causes, condemned
        )
        rules = c4_lines.LineRules(
            -1 if self.max_word_length is None else self.max_word_length,
            -1 if self.min_words_per_line is None else self.min_words_per_line,
            self.require_terminal_punctuation,
            self.remove_citations,
            self.javascript,
            self.policy,
            self.lorem_ipsum,
            self.curly_bracket,
            self.markdown,
        )
        none = np.zeros(rows, dtype=np.int64)
        fences = c4_lines.Fences(none, none, none, none)
        if self.markdown:
            code = batch.fences
            fences = c4_lines.Fences(code.starts, code.ends, code.first, code.last)
        used = c4_lines.clean_lines(
            text.codepoints, text.first, text.last, classes(), ascii_lower(), rules, _phrases(), fences, cleaned
        )
        return cleaned._replace(codepoints=codepoints[:used])


@cache
def _phrases() -> c4_lines.Phrases:
    phrases = views.flat(("javascript", "lorem ipsum", *POLICY))
    beginning = np.zeros(128, dtype=np.uint8)
    for number, first in enumerate(phrases.first.tolist()):
        beginning[phrases.codepoints[first]] |= np.uint8(1 << number)
    return c4_lines.Phrases(phrases.codepoints, np.append(0, phrases.last), beginning)


def _words(batch: Batch, cleaned: c4_lines.CleanTexts) -> views.Words:
    """Words of the cleaned texts; only lines that something was cut out of are tokenized again."""
    lines = int(cleaned.lines_last[-1]) if len(batch) else 0
    cut = np.flatnonzero(cleaned.sources[:lines] < 0)
    retokenized = views.words(views.Characters(cleaned.codepoints, cleaned.starts[cut], cleaned.ends[cut]))
    capacity = int(batch.words.counts.sum()) + len(retokenized.starts)
    starts, ends = np.empty((2, capacity), dtype=np.int64)
    first, last = np.empty((2, len(batch)), dtype=np.int64)
    flags = np.empty(capacity, dtype=np.uint8)
    total = c4_lines.gather_words(
        cleaned, _arrays(batch.words), _arrays(retokenized), c4_lines.WordArrays(starts, ends, first, last, flags)
    )
    return views.Words(starts[:total], ends[:total], first, last, flags[:total])


def _arrays(words: views.Words) -> c4_lines.WordArrays:
    return c4_lines.WordArrays(words.starts, words.ends, words.first, words.last, words.flags)
