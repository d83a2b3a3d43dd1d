"""spaCy's English tokenizer as a pure function of one chunk, a piece of text without white space.

The rules (regular expressions, exceptions) are those of the installed spaCy. The algorithm that applies them is
implemented here, because spaCy's tokenizer only takes whole texts, spends 5 to 20 µs per chunk on regular expressions
that one character rules out, takes quadratic time on a long run of punctuation (42 s for 16,000 `=`, linear here), and
keeps state. Equality with spaCy is tested chunk by chunk and text by text.

spaCy's last pass matches its exceptions (":)", "8a.m.") on the tokens of the whole text, so a match may reach across a
space: "foo:)" gives foo :) but "foo:) )" gives foo : ) ), since ": ) )" is the longer match. `Edge` says which chunks
can take part in such a match, and `tokenize_together` tokenizes neighbors as spaCy does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from curation.text.spacy_rules import SpacyRules, english_rules

Tokens = tuple[str, ...]

_SUFFIX_REACH = 8
"""No suffix in spaCy's English is longer, except a run of dots (the longest units have 5 characters)."""
_LONG = 256
"""From this length on, the URL expression, which is quadratic in the number of colons, is matched in linear time."""


class Edge:
    """Flags for how a chunk can match an exception together with its neighbors across a single space."""

    OPENS = 1
    """Its last tokens can begin an exception that the next chunk continues."""
    CLOSES = 2
    """Its first tokens can end an exception that the previous chunk began."""
    INSIDE = 4
    """All of its tokens can be the middle of an exception."""
    ALTERS = 8
    """It contains an exception that changes its tokens, so that losing it to a longer match has an effect."""


@dataclass(frozen=True, slots=True)
class _Exceptions:
    """The exceptions that spaCy matches on tokens, as sequences of two or more tokens.

    Attributes:
        altering: For each exception, whether it changes the tokens it matches.
        longest: Number of tokens of the longest exception.
        longest_from: Number of tokens of the longest exception by first token.
        beginnings: Proper beginnings of exceptions.
        beginning_lasts: The last tokens of `beginnings`.
        endings: Proper endings of exceptions.
        ending_firsts: The first tokens of `endings`.
        middles: Parts of exceptions that include neither the first nor the last token.
    """

    altering: Mapping[Tokens, bool]
    longest: int
    longest_from: Mapping[str, int]
    beginnings: frozenset[Tokens]
    beginning_lasts: frozenset[str]
    endings: frozenset[Tokens]
    ending_firsts: frozenset[str]
    middles: frozenset[Tokens]


class EnglishTokenizer:
    """spaCy's English tokenizer for chunks without white space. Its only state is a memo of single characters."""

    has_simple_chunks = True
    """Whether `curation.text.kernels.simple_chunks` finds the words of chunks of its form."""

    def __init__(self, rules: SpacyRules) -> None:
        """Compile the rules."""
        self.specials: dict[str, Tokens] = {text: tuple(tokens) for text, tokens in rules.exceptions.items()}
        self.longest_special = max(map(len, self.specials))
        self._prefix = re.compile("|".join(rules.prefixes))
        self._suffix = re.compile("|".join(f"{piece}$" for piece in rules.suffixes))
        self._infix = re.compile("|".join(rules.infixes))
        self._url_match: Callable[[str], object] = re.compile(rules.url).match
        self._url_parts = _split_url(rules.url)
        self._long_prefix_firsts = {_unescaped(piece)[0] for piece in rules.prefixes if len(_unescaped(piece)) > 1}
        pieces = [piece for piece in rules.suffixes if piece[-1] not in ")]" and len(_unescaped(piece)) > 1]
        self._long_suffix_lasts = {ending[-1] for ending in [*rules.units, *pieces]}
        self._begins_alone: dict[str, int] = {}
        self._ends_alone: dict[str, int] = {}
        self._exceptions = self._exceptions_on_tokens()

    def __call__(self, chunk: str) -> tuple[Sequence[str], int]:
        """The words of a chunk, and the `Edge` flags for matches with its neighbors."""
        tokens = self.split(chunk)
        edge = self._edge(tokens)
        return (self.tokenize_together([tokens])[0] if edge & Edge.ALTERS else tokens), edge

    def split(self, chunk: str, specials: bool = True) -> Sequence[str]:
        """Split a chunk by prefixes, suffixes, exceptions, URLs and infixes; exceptions on tokens come later."""
        known = self.specials if specials else {}
        if chunk in known:
            return known[chunk]
        prefixes: list[str] = []
        suffixes: list[str] = []
        low, high = self._strip_affixes(chunk, known, prefixes, suffixes)
        core = chunk[low:high]
        if core in known:
            prefixes.extend(known[core])
        elif core:
            self._split_core(core, prefixes)
        prefixes.extend(reversed(suffixes))
        return prefixes

    def _strip_affixes(
        self, chunk: str, known: Mapping[str, Tokens], prefixes: list[str], suffixes: list[str]
    ) -> tuple[int, int]:
        low, high, before = 0, len(chunk), -1
        while low < high and high - low != before:
            before = high - low
            short = before <= self.longest_special + _SUFFIX_REACH
            if short and chunk[low:high] in known:
                break
            prefix = self._prefix_length(chunk, low, high)
            if prefix and short and chunk[low + prefix : high] in known:
                prefixes.append(chunk[low : low + prefix])
                low += prefix
                break
            suffix = self._suffix_length(chunk, low + prefix, high)
            if suffix and short and chunk[low : high - suffix] in known:
                suffixes.append(chunk[high - suffix : high])
                high -= suffix
                break
            times = 1 if before < _LONG else self._repeats(chunk, low, high, prefix, suffix)
            if prefix:
                prefixes.extend([chunk[low : low + prefix]] * times)
                low += prefix * times
            if suffix:
                suffixes.extend([chunk[high - suffix : high]] * times)
                high -= suffix * times
        return low, high

    def _repeats(self, chunk: str, low: int, high: int, prefix: int, suffix: int) -> int:
        """How often at least the same one-character affixes can be removed from the ends of a long chunk."""
        times = min(_LONG, (high - low - _LONG) // 2)
        if prefix:
            alone = prefix == 1 and chunk[low] not in self._long_prefix_firsts
            times = min(times, _run(chunk[low : low + _LONG])) if alone else 1
        if suffix:
            alone = suffix == 1 and chunk[high - 1] not in self._long_suffix_lasts
            times = min(times, _run(chunk[max(low, high - _LONG) : high][::-1])) if alone else 1
        return max(times, 1)

    def _prefix_length(self, chunk: str, low: int, high: int) -> int:
        first = chunk[low]
        if first not in self._long_prefix_firsts:
            alone = self._begins_alone.get(first)
            if alone is None:
                alone = self._begins_alone[first] = int(self._prefix.match(first) is not None)
            return alone
        match = self._prefix.match(chunk, low, high)
        return match.end() - low if match else 0

    def _suffix_length(self, chunk: str, low: int, high: int) -> int:
        if low == high:
            return 0
        last = chunk[high - 1]
        if last not in self._long_suffix_lasts:
            alone = self._ends_alone.get(last)
            if alone is None:
                alone = self._ends_alone[last] = int(self._suffix.search(last) is not None)
            return alone
        tail = chunk[max(low, high - 2 * _SUFFIX_REACH) : high]
        if last == "." and tail[-_SUFFIX_REACH:].strip(".") == "":
            dots = 1
            while high - dots > low and chunk[high - dots - 1] == ".":
                dots += 1
            if dots > 1:
                return dots
        match = self._suffix.search(tail, max(0, len(tail) - _SUFFIX_REACH))
        return len(tail) - match.start() if match else 0

    def _is_whole(self, core: str) -> bool:
        """Whether what is left between the affixes is one token, whatever infixes are in it."""
        return (core.isascii() and core.isalnum()) or ("." in core and self._is_url(core))

    def _split_core(self, core: str, tokens: list[str]) -> None:
        if self._is_whole(core):
            tokens.append(core)
            return
        start = 0
        for match in self._infix.finditer(core):
            if match.start() == 0:
                continue
            if match.start() != start:
                tokens.append(core[start : match.start()])
            if match.group():  # infixes of some languages match nothing
                tokens.append(match.group())
            start = match.end()
        if start < len(core):
            tokens.append(core[start:])

    def _is_url(self, core: str) -> bool:
        if len(core) < _LONG or self._url_parts is None:
            return bool(self._url_match(core))
        scheme, rest = self._url_parts
        begins = [0, *(match.end() for match in re.finditer("(?<=.)@", core, re.DOTALL))]
        named = scheme.match(core)
        if named:
            begins.append(named.end())
        return any(rest.match(core, begin) for begin in begins)

    def tokenize_together(self, chunks: Sequence[Sequence[str]]) -> list[list[str]]:
        """Words of neighbors separated by single spaces, given the tokens of each from `split`.

        If an exception contains spaces, the first of its chunks gets it and the rest of its last chunk.
        """
        tokens = [token for chunk in chunks for token in chunk]
        owners = [owner for owner, chunk in enumerate(chunks) for _ in chunk]
        homes = owners
        words: list[list[str]] = [[] for _ in chunks]
        position = 0
        for start, end in [*self._select(tokens), (len(tokens), len(tokens))]:
            for index in range(position, start):
                words[homes[index]].append(tokens[index])
            special = self._special(tokens, owners, start, end) if start < end else None
            if special is not None:
                words[homes[start]].extend(special)
                if owners[start] != owners[end - 1]:
                    last, home = owners[end - 1], homes[start]
                    homes = [home if owner == last else other for other, owner in zip(homes, owners, strict=True)]
            else:
                for index in range(start, end):
                    words[homes[index]].append(tokens[index])
            position = end
        return words

    def _special(self, tokens: Sequence[str], owners: Sequence[int], start: int, end: int) -> Tokens | None:
        """The words of a matched exception, if its tokens are in one chunk."""
        return self.specials["".join(tokens[start:end])] if owners[start] == owners[end - 1] else None

    def _matches(self, tokens: Sequence[str]) -> list[tuple[int, int]]:
        matches: list[tuple[int, int]] = []
        if self._exceptions.longest_from.keys().isdisjoint(tokens):
            return matches
        for start, token in enumerate(tokens):
            longest = self._exceptions.longest_from.get(token)
            if longest:
                for end in range(start + 2, min(start + longest, len(tokens)) + 1):
                    if tuple(tokens[start:end]) in self._exceptions.altering:
                        matches.append((start, end))
        return matches

    def _select(self, tokens: Sequence[str]) -> list[tuple[int, int]]:
        """Select matches, longest first, then leftmost. As in spaCy, a rejected match still blocks shorter ones."""
        seen: set[int] = set()
        chosen = []
        for start, end in sorted(self._matches(tokens), key=lambda span: (span[0] - span[1], span[0])):
            if start not in seen and end - 1 not in seen:
                chosen.append((start, end))
            seen.update(range(start, end))
        return sorted(chosen)

    def _edge(self, tokens: Sequence[str]) -> int:
        known, edge, count = self._exceptions, 0, len(tokens)
        sizes = range(1, min(count, known.longest) + 1)
        if tokens[-1] in known.beginning_lasts and any(tuple(tokens[count - n :]) in known.beginnings for n in sizes):
            edge |= Edge.OPENS
        if tokens[0] in known.ending_firsts and any(tuple(tokens[:n]) in known.endings for n in sizes):
            edge |= Edge.CLOSES
        if count <= known.longest and tuple(tokens) in known.middles:
            edge |= Edge.INSIDE
        if count > 1 and any(known.altering[tuple(tokens[start:end])] for start, end in self._matches(tokens)):
            edge |= Edge.ALTERS
        return edge

    def reserved(self) -> list[str]:
        """The chunks of letters only that are not one word or that can match an exception with a neighbor.

        Rules apply to a letter (`str.isalpha`) only next to a digit, an apostrophe or a currency sign.
        """
        known = self._exceptions
        parts = {part[0] for part in known.beginnings | known.endings | known.middles if len(part) == 1}
        return sorted(chunk for chunk in parts | self.specials.keys() if chunk.isalpha())

    def hot_runs(self) -> list[str]:
        """Runs of letters and ASCII digits in the exceptions; a chunk with none of them cannot contain an exception."""
        return sorted({run for key in self.specials for run in re.findall(r"[^\W\d_]+|[0-9]+", key)})

    def edge_alone(self, token: str) -> int:
        """`Edge` flags that the token gives to a chunk that begins or ends with it."""
        known = self._exceptions
        return Edge.OPENS * ((token,) in known.beginnings) | Edge.CLOSES * ((token,) in known.endings)

    def _exceptions_on_tokens(self) -> _Exceptions:
        altering: dict[Tokens, bool] = {}
        for key, parts in self.specials.items():
            affixed = self._prefix_length(key, 0, len(key)) or self._suffix_length(key, 0, len(key))
            if affixed or self._infix.search(key) or " " in key:
                tokens = tuple(token for part in key.split() for token in self.split(part, specials=False))
                if len(tokens) > 1:
                    altering[tokens] = tokens != parts
        longest: dict[str, int] = {}
        for tokens in altering:
            longest[tokens[0]] = max(longest.get(tokens[0], 0), len(tokens))
        beginnings = frozenset(tokens[:size] for tokens in altering for size in range(1, len(tokens)))
        endings = frozenset(tokens[-size:] for tokens in altering for size in range(1, len(tokens)))
        middles = frozenset(
            tokens[start:end]
            for tokens in altering
            for start in range(1, len(tokens))
            for end in range(start + 1, len(tokens))
        )
        return _Exceptions(
            altering,
            max(longest.values(), default=0),
            longest,
            beginnings,
            frozenset(part[-1] for part in beginnings),
            endings,
            frozenset(part[0] for part in endings),
            middles,
        )


def _unescaped(piece: str) -> str:
    return piece.removeprefix("\\")


def _run(text: str) -> int:
    """Number of equal characters at the start: "aab" → 2."""
    return len(text) - len(text.lstrip(text[0]))


def can_interact(left: int, right: int) -> bool:
    """Whether an exception can reach across the single space between chunks with these `Edge` flags."""
    return bool(left & (Edge.OPENS | Edge.INSIDE) and right & (Edge.CLOSES | Edge.INSIDE))


def _split_url(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str]] | None:
    """Split spaCy's URL expression into the scheme and the part after the user; None if it has another shape."""
    user = r"(?:\S+(?::\S*)?@)?"
    scheme, separator, rest = pattern.removeprefix("(?u)").partition(user)
    if not separator or not scheme.endswith("://)?"):
        return None
    return re.compile(scheme), re.compile(rest)


@cache
def tokenizer() -> EnglishTokenizer:
    """The tokenizer with the rules of the installed spaCy."""
    return EnglishTokenizer(english_rules())


def lower_letters(letters: Iterable[str]) -> list[str]:
    """The `letters` in spaCy's class of lower-case and uncased letters."""
    from spacy.lang.char_classes import ALPHA_LOWER

    return re.findall(f"[{ALPHA_LOWER}]", "".join(letters))


@cache
def sentence_ends() -> frozenset[str]:
    """The characters that end a sentence for spaCy's sentencizer if they are a token by themselves."""
    from spacy.pipeline.sentencizer import Sentencizer

    return frozenset(Sentencizer.default_punct_chars)
