"""spaCy's tokenizers for languages other than English, as a pure function of one chunk.

They have the algorithm of `curation.text.english` with other rules. Two things are different: every rule is tried as
spaCy does, without what is known of English, and exceptions may contain a space ("EE. UU." is a word in Spanish), so
that a word may reach into the next chunk. Chunks recur, so that this costs little (`curation.text.word_memo`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from curation.text.affixes import Affixes
from curation.text.english import Edge, EnglishTokenizer, Tokens
from curation.text.spacy_rules import rules_of

WINDOW = 64
"""Affixes are looked for in this many characters, and in the whole chunk if one may be longer than that."""

_MARGIN = 8
"""Characters that a rule may look beyond an affix."""

MEMOS = 24
"""Number of languages whose words are remembered at the same time."""

MAX_ENTRIES = 1 << 17
"""Number of chunks of a language at which its memo is cleared; with their words they take some 10 MB."""


class LanguageTokenizer(EnglishTokenizer):
    """spaCy's tokenizer of a language for chunks without white space. It has no state."""

    has_simple_chunks = False

    def __init__(self, defaults: Any) -> None:
        """Read the rules from the `Defaults` of a spaCy language."""
        self._token_match: Callable[[str], object] | None = defaults.token_match
        rules = rules_of(defaults)
        self._prefixes = Affixes(rules.prefixes, suffixes=False)
        self._suffixes = Affixes([f"{piece}$" for piece in rules.suffixes], suffixes=True)
        super().__init__(rules)
        self._spans_chunks = any(" " in key.strip() for key in self.specials)

    def _strip_affixes(
        self, chunk: str, known: Mapping[str, Tokens], prefixes: list[str], suffixes: list[str]
    ) -> tuple[int, int]:
        low, high, before = 0, len(chunk), -1
        while low < high and high - low != before:
            before = high - low
            short = before <= self.longest_special + WINDOW
            rest = chunk[low:high]
            if rest.isalpha() or (self._token_match and self._token_match(rest)) or (short and rest in known):
                break  # no rule applies to letters only
            prefix = self._prefix_length(chunk, low, high)
            if prefix and short and chunk[low + prefix : high] in known:
                prefixes.append(chunk[low : low + prefix])
                return low + prefix, high
            suffix = self._suffix_length(chunk, low + prefix, high)
            if suffix and short and chunk[low : high - suffix] in known:
                suffixes.append(chunk[high - suffix : high])
                return low, high - suffix
            if prefix:
                prefixes.append(chunk[low : low + prefix])
            if suffix:
                suffixes.append(chunk[high - suffix : high])
            low, high = low + prefix, high - suffix
        return low, high

    def _prefix_length(self, chunk: str, low: int, high: int) -> int:
        rules = self._prefixes.for_character(chunk[low])
        match = rules and rules.match(chunk[low : min(high, low + WINDOW)])
        if rules and match and match.end() > WINDOW - _MARGIN:
            match = rules.match(chunk[low:high])
        return match.end() if match else 0

    def _suffix_length(self, chunk: str, low: int, high: int) -> int:
        if low == high:
            return 0
        begin = max(low, high - WINDOW)
        rules = self._suffixes.for_character(chunk[high - 1])
        match = rules and rules.search(chunk[begin:high])
        if rules and match and begin > low and match.start() < _MARGIN:
            begin, match = low, rules.search(chunk[low:high])
        return high - begin - match.start() if match else 0

    def _is_whole(self, core: str) -> bool:
        if core.isalpha() or (self._token_match and self._token_match(core)):
            return True
        return "." in core and self._is_url(core)

    def _edge(self, tokens: Sequence[str]) -> int:
        edge = super()._edge(tokens)
        return edge | Edge.ALTERS if edge and self._spans_chunks else edge

    def _special(self, tokens: Sequence[str], owners: Sequence[int], start: int, end: int) -> Tokens | None:
        """The words of a matched exception, which may contain the spaces between its chunks."""
        text = tokens[start]
        for before in range(start, end - 1):
            text += " " * (owners[before + 1] - owners[before]) + tokens[before + 1]
        return self.specials.get(text)


@cache
def tokenizer(code: str) -> LanguageTokenizer:
    """The tokenizer with the rules of the installed spaCy for a language, given by spaCy's code."""
    from spacy.util import get_lang_class

    return LanguageTokenizer(get_lang_class(code).Defaults)
