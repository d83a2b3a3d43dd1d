"""Guess the charset of bytes that declare none.

chardetng, the detector of Firefox, tells the scripts and the East Asian charsets apart. Within the Latin, the Greek and
the Cyrillic script it knows fewer charsets than there are, so there the answer is the charset with which the letters
are distributed as in one of the script's languages. What a charset decodes to ½ within a word, or to a capital letter
after a small one, is hardly ever right, which separates charsets that share most letters.

UTF-16 is found by its NULs and ISO-2022-JP by its escape sequences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from curation.archives.decoding import UTF_16, codec_of, decode
from curation.archives.letters import CYRILLIC, GREEK, LATIN

_SAMPLE_BLOCKS = 4096
"""How many blocks of text with bytes outside ASCII decide at most: more than enough, and soon scanned."""

_BLOCK = 64

_SCRIPTS = (
    (
        LATIN,
        {
            "cp1252": 0.0,
            "cp1250": 1.5,
            "cp1254": 1.0,
            "cp1257": 1.5,
            "iso8859-2": 2.0,
            "iso8859-13": 2.5,
            "iso8859-15": 3.0,
            "iso8859-4": 3.0,
            "iso8859-16": 4.0,
            "mac-roman": 4.0,
        },
        0.5,
    ),
    (GREEK, {"cp1253": 0.0, "iso8859-7": 0.5}, 0.02),
    (CYRILLIC, {"cp1251": 0.0, "mac-cyrillic": 4.0}, 0.02),
)
"""The languages and charsets of each script, and the share of symbols among the characters outside ASCII. A charset
that is rare on the web needs more evidence: its number is how much likelier (as a logarithm) it must make the text."""

_SYMBOLS = {
    **dict.fromkeys("’", 40),
    **dict.fromkeys("“”\xa0–", 20),
    **dict.fromkeys("„»«…—©", 10),
    **dict.fromkeys("®°€·•‘²£§", 2),
    **dict.fromkeys("™´¡¿ºª×", 1),
    "¤": 0.3,  # browsers read a page as windows-1252 rather than iso-8859-15, so its author saw this for the euro sign
}
"""Shares of characters that are no letters, in two hundredths; others have 0.02."""

_CLOSING = frozenset("’”»")

_AFTER_LETTERS = frozenset("…–—®™©\xa0·“°²")
"""Symbols that often follow a letter directly; before others is a space."""

_NO_LETTERS = frozenset("ªºµƒˆ")

_CAPITAL, _CAPITAL_WITHIN_WORD, _CLOSING_BEFORE_WORD, _SYMBOL_WITHIN_WORD, _FOREIGN = 0.1, 0.001, 0.3, 0.01, 0.03
"""Shares: capitals of letters, those after a small letter, closing quotes of all not after one, other symbols after
one, letters of other languages."""

_SMALL_LETTERS = np.zeros(256, np.uint8)
_SMALL_LETTERS[97:123] = _SMALL_LETTERS[0xDF:] = 1  # in ASCII, and in most charsets

_NO_TEXT = re.compile(rb"<[^>]*+>?+|&[#a-z0-9]++;?+|\xef\xbf\xbd|\xef\xbb\xbf", re.IGNORECASE)
"""Tags, character references, and U+FFFD and U+FEFF in UTF-8, which get into pages of any charset."""

_WIDE_TAGS = {
    "utf-16-le": re.compile(rb"<\0(?:[/!]\0)?[a-zA-Z]\0"),
    "utf-16-be": re.compile(rb"\0<(?:\0[/!])?\0[a-zA-Z]"),
}
"""Tags in UTF-16, which also pages in East Asian languages have, in which few bytes are NULs."""

_TAG = re.compile(rb"<(?:!doctype|html|head|title|meta|body|div|p|br|a)[\s>/]", re.IGNORECASE)
"""Common tags: two bytes of a tag occur in UTF-16 by chance."""

_ESCAPE = re.compile(rb"\x1b\$([@B]|\)C)")


def detect(text: bytes, is_cut: bool) -> str:
    """The codec with which bytes most likely are text; they are taken not to be UTF-8, UTF-16 or ASCII.

    Args:
        text: The text of a result of `sample`.
        is_cut: The other part of that result.
    """
    from chardetng_py import EncodingDetector

    detector = EncodingDetector()
    detector.feed(text, last=not is_cut)
    guess = detector.guess(tld=None, allow_utf8=False)
    codec = codec_of("windows-874" if guess == "cp874" else guess) or "cp1252"  # one name is Python's, others WHATWG's
    for number, (_, charsets, _) in enumerate(_SCRIPTS):
        if codec in charsets:
            return _likeliest(text, _models()[number])
    return codec


def detect_seven_bit(data: bytes | memoryview) -> str | None:
    """The codec whose escape sequences are in ASCII bytes: that of ISO-2022-JP or ISO-2022-KR; or None."""
    escape = _ESCAPE.search(data)
    return None if escape is None else "iso2022_kr" if escape[1] == b")C" else "iso2022_jp_ext"


def detect_utf_16(data: bytes | memoryview, declared: str | None) -> str | None:
    """The byte order of a page in UTF-16, or None for any other page.

    Args:
        data: The page without a byte order mark.
        declared: The codec that the HTTP header declares, or None.
    """
    start = bytes(data[:4096])
    for codec, tag in _WIDE_TAGS.items():
        if any(found.start() % 2 == 0 for found in tag.finditer(start)):
            return codec
    head = np.frombuffer(start, np.uint8, len(start) // 2 * 2).reshape(-1, 2)
    first, second = (int(count) for count in (head == 0).sum(axis=0))
    few, many = sorted((first, second))
    enough = len(head) / 16 if declared in UTF_16 else max(len(head) / 4, 8)
    if many > 16 * few and many >= enough:
        return "utf-16-be" if first > second else "utf-16-le"
    if declared not in UTF_16 or len(data) % 2 or _looks_like_markup(start):
        return None
    variety = [len(np.unique(column)) for column in head.T]  # the high bytes of a text's characters vary less
    return declared if variety[0] == variety[1] else "utf-16-be" if variety[0] < variety[1] else "utf-16-le"


def _looks_like_markup(head: bytes) -> bool:
    return _TAG.search(head) is not None or head.isascii()


def sample(data: bytes) -> tuple[bytes, bool]:
    """The parts of a page around bytes outside ASCII, and whether there are more than are given.

    Between two parts is at least a block of ASCII, so that no character is cut.
    """
    blocks = np.frombuffer(data.ljust(-(-len(data) // _BLOCK) * _BLOCK), np.uint8).reshape(-1, _BLOCK)
    near = blocks.max(axis=1, initial=0) >= 128
    near[1:] |= near[:-1].copy()
    near[:-1] |= near[1:].copy()
    chosen = np.flatnonzero(near)
    return blocks[chosen[:_SAMPLE_BLOCKS]].tobytes(), len(chosen) > _SAMPLE_BLOCKS


@dataclass(frozen=True, slots=True)
class _Model:
    """Logarithms of probabilities. A row is a charset with a language."""

    codecs: tuple[str, ...]
    bytes: np.ndarray
    """Of each byte outside ASCII, then of each after a small letter: 256 columns."""
    letters: np.ndarray
    """Of each ASCII letter: 26 columns."""
    costs: np.ndarray


def _likeliest(text: bytes, model: _Model) -> str:
    text = _NO_TEXT.sub(b" ", text)
    values = np.frombuffer(text, np.uint8)
    places = np.flatnonzero(values >= 128)
    after_small = _SMALL_LETTERS[values[np.maximum(places - 1, 0)]]
    counts = np.bincount(after_small * 128 + (values[places] & 127), minlength=256)
    letters = np.bincount(values | 32, minlength=256)[97:123]
    total = letters.sum()
    # A text's ASCII letters tell its language, but they count no more than some of the others.
    scores = model.bytes @ counts + model.letters @ letters / max(total, 1) * min(total / 4, 40) - model.costs
    return model.codecs[int(scores.argmax())]


@lru_cache
def _models() -> tuple[_Model, ...]:
    return tuple(_model(*script) for script in _SCRIPTS)


def _model(languages: dict[str, tuple[str, str]], charsets: dict[str, float], symbols: float) -> _Model:
    shares = {language: _shares(letters) for language, (_, letters) in languages.items()}
    everywhere: dict[str, float] = {}
    for own in shares.values():
        for letter, share in own.items():
            everywhere[letter] = everywhere.get(letter, 0.0) + share / len(shares)
    rows = []
    for codec, cost in charsets.items():
        table = decode(bytes(range(128, 256)), codec)[0]
        known = {_small(character) for character in table}
        for language, (ascii_letters, _) in languages.items():
            own = shares[language]
            if sum(share for letter, share in own.items() if letter in known) < 0.9:
                continue
            letter_shares = [1 + int(digit, 36) * 10 for digit in ascii_letters] or [1] * 26
            columns = np.array([_probabilities(character, own, everywhere, symbols) for character in table]).T
            rows.append((codec, np.log(columns.ravel()), np.log(np.array(letter_shares) / sum(letter_shares)), cost))
    codecs, columns_of, letters_of, costs = zip(*rows, strict=True)
    return _Model(codecs, np.array(columns_of), np.array(letters_of), np.array(costs))


def _shares(letters: str) -> dict[str, float]:
    """ "ä3 ö1" → {"ä": 0.75, "ö": 0.25}."""
    counts = {part[0]: int(part[1:]) for part in letters.split()}
    total = sum(counts.values())
    return {letter: count / total for letter, count in counts.items()}


def _probabilities(
    character: str, own: dict[str, float], everywhere: dict[str, float], symbols: float
) -> tuple[float, float]:
    """The probability of a character where no small letter is before it, and after one."""
    if "\x80" <= character < "\xa0":
        return 1e-6, 1e-6
    if character.isalpha() and character not in _NO_LETTERS:
        small = _small(character)
        share = (1 - _FOREIGN) * own.get(small, 0.0) + _FOREIGN * everywhere.get(small, 0.0) + 1e-6
        share *= 1 - symbols
        is_capital = small != character and character not in own
        return (share * _CAPITAL, share * _CAPITAL_WITHIN_WORD) if is_capital else (share, share)
    share = symbols * _SYMBOLS.get(character, 0.02) / 200
    if character in _CLOSING:
        return share * _CLOSING_BEFORE_WORD, share
    return share, share if character in _AFTER_LETTERS else share * _SYMBOL_WITHIN_WORD


def _small(character: str) -> str:
    small = character.lower()
    return small if len(small) == 1 else character
