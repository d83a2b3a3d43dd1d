"""Context: words next to a match that name its kind, or another one.

presidio compares the lemmas of the five words before a match with its recognizers' lists, in English and as parts of
words ("cell" in "excellent"). Here only complete words count, in the languages whose numbers are found by default and a
few more; "number" and "security", which say little by themselves, do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Int64s
from curation.pii import windows
from curation.pii.context_kernels import MAX_BETWEEN, REACH, WORDS, mark_words, narrow_names
from curation.pii.numbering import shape
from curation.text import views

BONUS = 0.35
"""Added to the score in context, as in presidio; the sum is at least MIN_SCORE."""
MIN_SCORE = 0.4
_LABEL_REACH = 12
_FEW = 100
"""Characters of a text for each of its numbers that take as much time as what is around one."""
_OTHER_REACH = 40
_FEW_WORDS = 3
"""Words before a match that say what it is."""
_MAX_LISTED = 3
"""Number of equally written numbers before a match that may be between it and their name."""

NAMED = {"ip": 1, "phone": 2, "credit_card": 4, "us_ssn": 8}
OTHERWISE, IN_CONTEXT = 16, 32
"""Bits for words that name a kind of number, for words that name another one, and if the kind is named for certain."""
ANY_NAME, _BITS, _WORD_BITS = 31, 5, 16
LABEL_SIGNS = frozenset("#=")
"""Signs with which a number is part of something longer, unless a word that names it is before them."""

_IDENTIFIERS = frozenset(
    (
        "isbn", "issn", "ean", "upc", "gtin", "sku", "p/n", "pn", "mpn", "s/n", "asin", "doi", "pmid", "pmcid", "arxiv",
        "imei", "iccid", "nsn", "hs", "hts", "htsus", "hsn", "ncm", "taric", "part", "model", "serial", "patent",
        "barcode", "tariff", "heading", "subheading", "oid", "cas", "usd", "eur", "gbp", "chf", "jpy",
        "sn", "imsi", "meid", "esn", "vin", "isin", "cusip", "sedol", "wkn", "pzn", "oclc", "lccn", "ismn", "gln",
    )
)  # fmt: skip
"""Words that name an identifier on their own, or with "number" or "code" behind them."""
_NUMBERED = frozenset(
    (
        "art", "article", "artikel", "batch", "call", "case", "cat", "catalog", "catalogue", "claim", "cn", "commodity",
        "customs", "docket", "invoice", "item", "lot", "oem", "order", "parts", "permit", "policy", "product", "ref",
        "reference", "rev", "stock", "ticket", "tracking", "version",
    )
)  # fmt: skip
"""Words that name an identifier only with "number" or "code" behind them."""
_NUMBER_WORDS = frozenset(["no", "nos", "nr", "num", "number", "numbers", "code", "codes", "id", "ids"])
_DEPENDENT = _NUMBER_WORDS | {"and", "und", "or"}
"""Words that name something only with what is before them."""
_MAX_SIMPLE = 24
"""Characters of a longest word that names something on its own, with the space before it and more."""
_SYSTEMS = frozenset(("10", "13"))
"""As in ISBN-10 and ISBN-13."""
_SYSTEM = re.compile(r"1[03](?<![^\W_]..)(?![^\W_])")
"""One of them as a word."""
_WORDS = re.compile(r"[^\W_]++(?:/[^\W_]++)?")
_KEY = re.compile(r"(?<![\w-])[\w-]++\Z")
"""The name of a value before "="."""
_BETWEEN = " \t\n\r\u00a0.,;:#&/|()[]<>*\"'№=-–—"
"""Characters between a name, and the number or numbers that it names."""
_BETWEEN_CODES = np.array([ord(character) for character in _BETWEEN], np.uint32)
_TAG = re.compile("<(?:EMAIL|IP|PHONE|CREDIT_CARD|IBAN|US_SSN|SECRET|PERSON|LOCATION)>")
"""What replaced other matches, which names nothing."""
_ALPHANUMERIC, _LETTER = (
    np.array([is_one(chr(code)) for code in range(128)] + [False]) for is_one in (str.isalnum, str.isalpha)
)
"""Whether a character of ASCII is a letter or digit, or a letter; at the end, for any other."""
_KEPT = 1 << 12
"""Texts next to matches to remember, with zeros for digits."""


@dataclass(frozen=True, eq=False)
class _Clues:
    """Context words of a kind, as expressions for lower-case text.

    Attributes:
        before: A word before a match.
        after: A label after a match.
        parts: Substrings of which every word and label contains one, to rule out both quickly.
        has_phrases: Whether any word is several words with spaces between them.
    """

    before: re.Pattern[str]
    after: re.Pattern[str] | None
    parts: tuple[str, ...] = field(repr=False)
    has_phrases: bool

    @cached_property
    def _automaton(self) -> Any:
        return _automaton(dict.fromkeys(self.parts, 0))

    def may_be_in(self, text: str) -> bool:
        """Whether any of the substrings is in a text."""
        return next(self._automaton.iter(text), None) is not None


def _automaton(words: Mapping[str, int]) -> Any:
    """Finds words in a text in one pass: the place of the last character of each, and its number."""
    import ahocorasick

    automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
    for word, number in words.items():
        automaton.add_word(word, number)
    automaton.make_automaton()
    return automaton


def _clues(words: str, labels: str = "", joined: str = "", not_followed_by: str = "") -> _Clues:
    """Build clues from words given as "a|b|c".

    Args:
        words: Words before a match.
        labels: Words that a list may put after each number.
        joined: Words of scripts without spaces, which also count next to other letters.
        not_followed_by: A lookahead that a word must satisfy.
    """
    plain = [word for group in (words, labels, joined) for word in group.split("|") if word]
    parts = {word.split()[0] for word in plain}
    expressions = [rf"(?<![^\W_])(?:{words})(?![^\W\d_]){not_followed_by}", *filter(None, [joined])]
    return _Clues(
        re.compile("|".join(expressions)),
        re.compile(rf"[^\w\n]{{0,3}}(?:{labels})(?![^\W_]|@)") if labels else None,
        tuple(part for part in sorted(parts) if not any(other in part and other != part for other in parts)),
        any(" " in word for word in plain),
    )


_CLUES = {
    "ip": _clues("ip|ipv4|ipv6|ipaddress|ip-address|ip-adresse"),
    "phone": _clues(
        "phone|phones|telephone|telephones|cellphone|tel|ph|cell|mobile|mob|call|calls|calling|dial|fax|sms|whatsapp"
        "|hotline|helpline|telefon|telefono|teléfono|tél|téléphone|telefone|telefax|fon|handy|mobil|móvil|celular"
        "|rufnummer|телефон|телефоны|тел|факс|моб",
        labels="fax|tel|phone|mobile|mob|cell|landline|office|direct|hotline|whatsapp",
        joined="电话|電話|手机|手機|热线|传真|전화|휴대폰|โทร",
        # Stack traces ("most recent call last") are full of numbers; a "call number" is that of a book in a library.
        not_followed_by=r"(?! last)(?!(?<=call) (?:no|numbers?)(?!\w))",
    ),
    "credit_card": _clues("card|cards|credit|debit|visa|mastercard|amex|discover|jcb|diners|maestro|cc|pan"),
    "us_ssn": _clues("ssn|ssns|social security|soc sec|soc. sec"),
}


def reach_before(sizes: Int64s) -> Int64s:
    """Number of characters before matches of some sizes on which they may depend."""
    return np.maximum(REACH + 1, _OTHER_REACH + _MAX_LISTED * (sizes + 2 * MAX_BETWEEN + len(" and")))


def in_context(
    kind: str, text: str, start: int, end: int, score: float, named: int = ANY_NAME, form: str = ""
) -> float:
    """The score of a match, raised if a word next to it names the kind.

    Args:
        kind: The kind.
        text: The text.
        start: Where the match begins.
        end: Where it ends.
        score: Its score.
        named: What words may name it, as bits.
        form: The `word_shape` of the text, if it is known.
    """
    is_named = named & IN_CONTEXT or (named & NAMED[kind] and _has_context(kind, text, start, end, form))
    return min(1.0, max(score + BONUS, MIN_SCORE)) if is_named else score


def may_be_in_context(kind: str, text: str, start: int, end: int) -> bool:
    """Whether any match in `text[start:end]` can be next to a word that names the kind."""
    begin = max(0, start - REACH - 1)
    return _may_be_in(_CLUES[kind], _clue(kind, text[begin:end]), _clue(kind, text[end : end + _LABEL_REACH]))


@lru_cache(maxsize=_KEPT)
def _may_be_in(clues: _Clues, text: str, after: str) -> bool:
    around = (text + after).lower()
    if not clues.may_be_in(around):
        return False
    if clues.after is not None and clues.after.search(around):
        return True
    return _has_word(clues, text.split())


def has_label(kind: str, text: str, start: int, end: int, named: int = ANY_NAME) -> bool:
    """Whether a sign before a number belongs to a word that names its kind: "SSN#308-63-0237", "cell_phone=2127365000".

    The word is directly before "=", since the parameters of a URL follow each other.

    Args:
        kind: The kind.
        text: The text.
        start: Where the number begins.
        end: Where it ends.
        named: What words may name it, as bits.
    """
    sign = text[start - 1 : start]
    if sign == "=":
        key = _KEY.search(text, max(0, start - REACH), start - 1)
        return key is not None and _is_word(_CLUES[kind], key[0])
    return sign == "#" and in_context(kind, text, start, end, 0.0, named) > 0


@cache
def _all_words() -> Any:
    """Finds the words that name something. The number of each has its length and what it names."""
    named: dict[str, int] = {}
    for bit, words in (
        (OTHERWISE, _IDENTIFIERS | _NUMBERED),
        *((NAMED[kind], one.parts) for kind, one in _CLUES.items()),
    ):
        for word in words:
            named[word] = named.get(word, 0) | bit
    return _automaton({word: len(word) << _BITS | bits for word, bits in named.items()})


class SearchedTexts:
    """The texts to search.

    Args:
        column: A column of texts.

    Attributes:
        characters: Their characters.
        text: Returns the text of a row.
        marks: What each character is part of a name for, as bits, around the stretches that `may_be_named` was given.
    """

    def __init__(self, column: pa.StringArray) -> None:
        self.characters = views.characters(column)
        self.marks = np.zeros(len(self.characters.codepoints), np.uint8)
        self.text = cache(lambda row: str(column[row].as_py()))
        self._shapes: dict[int, str] = {}

    def shape(self, row: int, numbers: int) -> str:
        """The `word_shape` of a whole text, if that takes less time than the shapes of what is around its numbers.

        Args:
            row: The row of the text.
            numbers: How many numbers in it are judged.

        Returns:
            "" if it takes more time.
        """
        if row not in self._shapes:
            text = self.text(row)
            if not text.isascii() and len(text) >= _FEW * numbers:
                return ""
            self._shapes[row] = word_shape(text)
        return self._shapes[row]

    def narrowed(self, kind: str, numbers: Int64s, named: Int64s) -> Int64s:
        """Which of the words near numbers may name each of them, as bits; IN_CONTEXT if one does for certain.

        Args:
            kind: The kind of the numbers.
            numbers: Shape (numbers, 3): the row of each, where it begins, and where it ends.
            named: What words are near, as bits.
        """
        if not named.any():
            return named
        rows, narrowed, words = numbers[:, 0], named.copy(), np.empty((len(numbers), 2), np.int64)
        firsts, bit = self.characters.first[rows], NAMED[kind]
        starts, ends = (numbers[:, 1:] + firsts[:, None]).T
        clues = _CLUES[kind]
        label_reach = _LABEL_REACH if clues.after is not None else 0
        narrow_names(
            *(self.characters.codepoints, self.marks, windows.classes(), _BETWEEN_CODES, starts, ends, firsts),
            *(self.characters.last[rows], bit, OTHERWISE, label_reach, narrowed, words),
        )
        may_be = np.flatnonzero(words[:, 1])
        places = (words[may_be] - firsts[may_be, None]).T
        columns = (one.tolist() for one in (rows[may_be], *places))
        are_named = [_is_word(clues, self.text(row)[begin:end]) for row, begin, end in zip(*columns, strict=True)]
        chosen = may_be[np.array(are_named, np.bool_)]
        narrowed[chosen] = (narrowed[chosen] & ~bit) | IN_CONTEXT
        return narrowed


def may_be_named(texts: SearchedTexts, stretches: Int64s) -> Int64s:
    """What words may name anything in each of many stretches of text: bits of NAMED and OTHERWISE.

    Args:
        texts: The texts; the words are marked there.
        stretches: Shape (stretches, 3): the row of each, where it begins, and where it ends; in order.
    """
    text = texts.characters
    named = np.zeros(len(stretches), np.int64)
    if not len(stretches):
        return named
    rows, starts, ends = stretches.T
    offsets = text.first[rows]
    lows = np.maximum(starts - reach_before(ends - starts), 0) + offsets
    highs = np.minimum(ends + _LABEL_REACH + offsets, text.last[rows])
    # Stretches that overlap are searched once.
    reached = np.maximum.accumulate(highs)
    low_ends = np.minimum.accumulate(lows[::-1])[::-1]
    is_first = np.append(True, (low_ends[1:] >= reached[:-1]) | (rows[1:] != rows[:-1]))
    firsts = np.flatnonzero(is_first)
    lasts = np.append(firsts[1:], len(rows)) - 1
    automaton, found = _all_words(), []
    columns = (rows[firsts], low_ends[firsts], reached[lasts], offsets[firsts])
    for row, low, high, offset in zip(*(one.tolist() for one in columns), strict=True):
        around = texts.text(row)[low - offset : high - offset]
        lower = around.lower()
        if len(lower) > len(around):
            lower = around.replace("\u0130", "i").lower()  # the only letter whose small form has two characters
        found += [(low + end + 1) << _WORD_BITS | value for end, value in automaton.iter(lower)]
    if not found:
        return named
    stops, values = np.divmod(np.array(found), 1 << _WORD_BITS)
    begins = stops - (values >> _BITS)
    mark_words(begins, stops, values & ANY_NAME, texts.marks)
    others = np.flatnonzero(values & OTHERWISE)
    values[others[_are_parts(text, begins[others], stops[others])]] &= ~OTHERWISE
    for bit in (*NAMED.values(), OTHERWISE):
        is_wanted = values & bit != 0
        if is_wanted.any():
            # Of these words that end before a stretch does, the one that begins last.
            latest = np.append(-1, np.maximum.accumulate(begins[is_wanted]))
            named[latest[np.searchsorted(stops[is_wanted], highs, "right")] >= lows] |= bit
    return named


def _are_parts(text: views.Characters, begins: Int64s, ends: Int64s) -> Bools:
    """Which stretches are only a part of a word, and neither a whole one nor one without the "s" at its end.

    Digits may follow: the name of a list may be glued to its first number.

    Args:
        text: The characters of all texts.
        begins: First code point of each stretch.
        ends: Code point after each.
    """
    codes, row = text.codepoints, np.searchsorted(text.first, begins, "right") - 1
    first, last, size = text.first[row], text.last[row], len(text.codepoints)
    following = codes[ends % size]
    before = _ALPHANUMERIC[np.minimum(codes[begins - 1], 128)] & (begins > first)
    after = _LETTER[np.minimum(following, 128)] & (ends < last)
    behind = _LETTER[np.minimum(codes[(ends + 1) % size], 128)] & (ends + 1 < last)
    found: Bools = before | (after & ((following | 32 != ord("s")) | behind))
    return found


def is_named_otherwise(text: str, start: int, end: int, named: int = ANY_NAME, form: str = "") -> bool:
    """Whether the words directly before `text[start:end]` say that it is another kind of number: "part no. ", "ISBN ".

    Between the words and the number there may be other numbers that are written in the same way.

    Args:
        text: The text.
        start: Where the number begins.
        end: Where it ends.
        named: What words may name it, as bits.
        form: The `word_shape` of the text, if it is known.
    """
    if not named & OTHERWISE:
        return False
    place = _end_before(text, start)
    if place < start - MAX_BETWEEN or not text[max(0, place - 1) : place].isalnum():
        return False
    word = _simple_word_before(text, place)
    if word and word not in _DEPENDENT:
        return _is_identifier(word) or (word in _NUMBERED and "#" in text[max(0, start - MAX_BETWEEN) : start])
    begin = max(0, start - _OTHER_REACH - _MAX_LISTED * (end - start + 3 * MAX_BETWEEN))
    if form:
        return _names_other(form[begin:end], start - begin)
    return _names_other.__wrapped__(text[begin:end], start - begin)


@lru_cache(maxsize=_KEPT)
def _names_other(text: str, start: int) -> bool:
    """Whether words before the number with which a text ends say that it is another kind of number.

    Args:
        text: The text, of which all digits but those of `word_shape` may be zeros.
        start: Where the number begins.
    """
    number, size = shape(text[start:]), len(text) - start
    for _ in range(_MAX_LISTED):
        place = _end_before(text, start)
        if place < start - MAX_BETWEEN or not text[max(0, place - 1) : place].isalnum():
            return False
        if text[place - 3 : place] in ("and", "und") or text[place - 3 : place] == " or":
            place = _end_before(text, place - 3)
        if not text[max(0, place - 1) : place].isdecimal():
            break
        begin = place - size
        if shape(text[max(0, begin) : place]) != number or text[max(0, begin - 1) : max(0, begin)].isdecimal():
            break
        start = begin
    words = _last_words(text[max(0, start - _OTHER_REACH) : start].lower())
    word = next(words, "")
    if word in _SYSTEMS:
        word = next(words, "")
    is_number = word in _NUMBER_WORDS
    if is_number:
        word = next(words, "")
    is_marked = is_number or "#" in text[max(0, start - MAX_BETWEEN) : start]
    return _is_identifier(word) or (is_marked and word in _NUMBERED)


def _last_words(text: str) -> Iterator[str]:
    """The words of a text, the last one first."""
    for part in reversed(text.rsplit(None, _FEW_WORDS)):
        yield from reversed(_WORDS.findall(part))


def _is_identifier(word: str) -> bool:
    """Whether a word in small letters names an identifier on its own."""
    return word.removesuffix("s") in _IDENTIFIERS and word != "parts"


def _simple_word_before(text: str, place: int) -> str:
    """The word before a place, in small letters, if it only has letters of ASCII and white space before it, else ""."""
    words = text[max(0, place - _MAX_SIMPLE) : place].rsplit(None, 1)
    return words[1].lower() if len(words) > 1 and words[1].isascii() and words[1].isalpha() else ""


def word_shape(text: str) -> str:
    """The `shape` of a text, but with "10" and "13" where they are words, the only digits whose values matter here."""
    form, pieces, at = shape(text), [], 0
    for system in _SYSTEM.finditer(text):
        pieces += [form[at : system.start()], system[0]]
        at = system.end()
    return "".join([*pieces, form[at:]]) if pieces else form


def _end_before(text: str, start: int) -> int:
    """Where the text before a place ends, without punctuation and white space."""
    begin = max(0, start - MAX_BETWEEN - 1)
    return begin + len(text[begin:start].rstrip(_BETWEEN))


def _has_context(kind: str, text: str, start: int, end: int, form: str = "") -> bool:
    clues = _CLUES[kind]
    begin = max(0, start - REACH)
    before = (form or text)[begin:start]
    after = "" if clues.after is None else (form or text)[end : end + _LABEL_REACH]
    last = before.rsplit(None, 1)
    if len(last) > 1 and last[1].isalpha() and "<" not in before and _is_word(clues, last[1]):
        return True
    if not form:
        before, after = _clue(kind, before), _clue(kind, after)
    return _is_in(clues, before, after, begin > 0 and not text[begin - 1].isspace())


@lru_cache(maxsize=_KEPT)
def _is_word(clues: _Clues, word: str) -> bool:
    """Whether one word alone names a kind: most words that do are directly before the match."""
    return clues.before.search(word.lower()) is not None


def _clue(kind: str, text: str) -> str:
    """The text with all digits as zeros, if no word that names the kind has any: many texts differ in digits only."""
    return text if kind == "ip" else shape(text)


@lru_cache(maxsize=_KEPT)
def _is_in(clues: _Clues, before: str, after: str, is_cut: bool) -> bool:
    """Whether a word of a kind is before or behind a match.

    Args:
        clues: The words.
        before: The text before the match.
        after: The text behind it.
        is_cut: Whether the text before it begins with a part of a word, or with space.
    """
    if not clues.may_be_in(f"{before}\n{after}".lower()):
        return False
    if clues.after is not None and clues.after.match(after.lower()):
        return True
    words = (_TAG.sub("", before) if "<" in before else before).split()
    if is_cut and words and not before[0].isspace():
        del words[0]
    return _has_word(clues, words[-WORDS:])


def _has_word(clues: _Clues, words: Sequence[str]) -> bool:
    if not clues.has_phrases and not any(_is_word(clues, word) for word in words):
        return False
    return clues.before.search(" ".join(words).lower()) is not None
