"""The windows of texts: the stretches that recognizers see, and the form in which they see them.

Recognizers are a hundred times slower than this search, and nearly all of a web text cannot contain what they search
for. A window is wide enough for a recognizer to find the same as in the complete text: no match crosses its edges, and
it includes what lookarounds inspect.

Letters of scripts without spaces between a word and an adjacent number or Latin word (Han, kana, Hangul, Thai ...) are
shown as line ends. Otherwise an address would be lost in the sentence around it, or the sentence in the address.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s
from curation.pii.window_kernels import find_anchors, find_runs
from curation.text import views

DIGIT, NUMBER, EMAIL, AT, ADDRESS, DOT, COLON, LETTER = (1 << bit for bit in range(8))
"""Classes of characters: `\\d`; part of a written number; part of an e-mail; @ in any form; part of an IP address; full
stop; colon; a letter or digit of any script."""

NUMBER_PUNCTUATION = (
    "+＋()[]（）［］-xX\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d.\uff0e/\uff0f~\u2053\u223c\uff5e"
    " \u00a0\u00ad\u200b\u2060\u3000\u2007\u2009\u202f"
)
"""Characters between the digits of a number: libphonenumber's punctuation, and typographic spaces."""
EMAIL_PUNCTUATION = "!#$%&'*+-/=?^_`{|}~."
"""Characters that an address may have besides `\\w` and @ (RFC 5322)."""
AT_SIGNS = "@\uff20\ufe6b%"
"""@, its wide and small forms, and the beginning of %40."""
ADDRESS_PUNCTUATION = ".:/%"

MIN_PHONE_DIGITS = 7
"""Shorter numbers are short codes, or ambiguous without an area code."""
IBAN_REACH = 44
"""Length of the longest match of the IBAN expression, separators included, plus the character after it."""

_JOINED_SCRIPTS = (
    "Han", "Hiragana", "Katakana", "Hangul", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan",
)  # fmt: skip
_SPACES, HYPHENS = "\u00a0\u2007\u2009\u202f\u3000", "\u2010\u2011\u2012\u2013\u2212\uff0d"
_PLAIN = str.maketrans(_SPACES + HYPHENS, " " * len(_SPACES) + "-" * len(HYPHENS))
_NOT_PLAIN = re.compile(f"[{_SPACES}{HYPHENS}]")
_CAPITALS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ALL_CODES = 0x110000


Stretches = Int64s
"""Windows, shape (windows, 4): the row of the text of each, its first code point, the one after the last, and the
number of characters of the class that the search requires; in order."""


@cache
def joined_letters() -> re.Pattern[str]:
    """Matches a letter of a script that is written without spaces or joins particles to foreign words."""
    import regex

    scripts = "".join(f"\\p{{{script}}}" for script in _JOINED_SCRIPTS)
    compiled: re.Pattern[str] = regex.compile(f"(?V1)[[{scripts}]--\\d]")
    return compiled


def classes() -> UInt8s:
    """The classes of every code point, shape (0x110000,); `\\w` and `\\d` as in `regex`, which presidio uses."""
    return _tables()[0]


def are_joined() -> Bools:
    """Whether every code point is a letter or sign of `joined_letters`, shape (0x110000,)."""
    return _tables()[1]


def plain_codes() -> UInt8s:
    """The character of ASCII for every code point in `plain`: "A" for capitals, "a" for other letters and for digits,
    0 for other signs. Shape (0x110000,)."""
    return _tables()[2]


@cache
def capital_codes() -> UInt8s:
    """The character of ASCII for every code point in `capital`, 0 for all others. Shape (0x110000,)."""
    codes = np.zeros(_ALL_CODES, np.uint8)
    codes[:128] = range(128)
    for mapped in (_PLAIN, _CAPITALS):
        codes[list(mapped)] = list(mapped.values())
    return codes


@cache
def _tables() -> tuple[UInt8s, Bools, UInt8s]:
    import regex

    everything = "".join(map(chr, range(_ALL_CODES)))
    table, joined = np.zeros(_ALL_CODES, dtype=np.uint8), np.zeros(_ALL_CODES, np.bool_)
    for pattern, bits in ((r"\w+", EMAIL | ADDRESS), (r"\d+", DIGIT | NUMBER)):
        for match in regex.finditer(pattern, everything):
            table[match.start() : match.end()] |= bits
    for match in joined_letters().finditer(everything):
        joined[match.start()] = True
    table[joined] = 0
    for characters, bits in (
        *((NUMBER_PUNCTUATION, NUMBER), (EMAIL_PUNCTUATION, EMAIL), (ADDRESS_PUNCTUATION, ADDRESS)),
        *((AT_SIGNS, AT | EMAIL), (".", DOT), (":", COLON)),
    ):
        table[[ord(character) for character in characters]] |= bits
    plain = np.zeros(_ALL_CODES, dtype=np.uint8)
    for match in re.finditer(r"[^\W_]+", everything):
        plain[match.start() : match.end()] = ord("a")
        table[match.start() : match.end()] |= LETTER
    capitals = filter(_is_capital, map(chr, np.flatnonzero(plain).tolist()))
    plain[[ord(character) for character in capitals]] = ord("A")
    plain[joined] = ord("\n")
    plain[:128] = range(128)
    plain[list(_PLAIN)] = list(_PLAIN.values())
    return table, joined, plain


def _is_capital(character: str) -> bool:
    return character.isupper() or character.lower() != character


def shown(text: str) -> str:
    """The text in the form that recognizers see, character by character: "邮箱a@b.cn" → "\\n\\na@b.cn"."""
    return text if text.isascii() else joined_letters().sub("\n", text)


def plain(text: str) -> str:
    """`shown` with ASCII spaces and hyphens, which the expressions for numbers other than phones require."""
    return text if text.isascii() else shown(text).translate(_PLAIN)


def spelled(text: str) -> str:
    """`plain`, for text without letters of scripts that are shown as line ends."""
    return text if text.isascii() or not _NOT_PLAIN.search(text) else text.translate(_PLAIN)


def capital(text: str) -> str:
    """`plain` with ASCII letters in upper case, which the IBAN expression requires."""
    return plain(text).translate(_CAPITALS)


def whole_texts(text: views.Characters) -> Stretches:
    """Every text that is not empty."""
    rows = np.flatnonzero(text.counts)
    return np.stack([rows, np.zeros_like(rows), text.counts[rows], np.zeros_like(rows)], axis=1)


def email_windows(text: views.Characters) -> Stretches:
    """Runs of e-mail characters that contain an @."""
    return _find_runs(text, EMAIL, AT, 1)


def address_windows(text: views.Characters) -> Stretches:
    """Runs of IP address characters that contain three full stops or two colons."""
    windows = np.concatenate([_find_runs(text, ADDRESS, DOT, 3), _find_runs(text, ADDRESS, COLON, 2)])
    # A run that has both is found twice.
    _, places = np.unique(windows[:, :2] @ (1 << 40, 1), return_index=True)
    return windows[places]


def number_windows(text: views.Characters) -> Stretches:
    """Runs of digits and the characters between them, with at least as many digits as a phone number."""
    return _find_runs(text, NUMBER, DIGIT, MIN_PHONE_DIGITS)


def iban_windows(text: views.Characters) -> Stretches:
    """The characters from two letters and two digits that begin a word."""
    return _collect(lambda *out: find_anchors(text.codepoints, text.first, text.last, IBAN_REACH, *out[:3]), text)


def _find_runs(text: views.Characters, member: int, wanted: int, minimum: int) -> Stretches:
    table = classes()
    return _collect(
        lambda *out: find_runs(text.codepoints, text.first, text.last, table, member, wanted, minimum, *out), text
    )


def _collect(search: Callable[[Any, Any, Any, Any], int], text: views.Characters) -> Stretches:
    """Collect the windows that a kernel writes into arrays; if they do not fit, it is called again with larger ones."""
    capacity = 16 * len(text.first) + 64
    while True:
        rows, begins, ends, counts = (np.zeros(capacity, dtype=np.int64) for _ in range(4))
        size = search(rows, begins, ends, counts)
        if size <= capacity:
            break
        capacity = size
    offsets = text.first[rows[:size]]
    return np.stack([rows[:size], begins[:size] - offsets, ends[:size] - offsets, counts[:size]], axis=1)
