"""The windows of a batch of texts: stretches that each recognizer is shown, and how it is to see them.

The recognizers are a thousand times slower than this search (presidio's phone recognizer takes a second for 10 KB of
figures), and nearly all of a web text can hold nothing that they would find. A window is wide enough for a recognizer
to answer as on the whole text: no match reaches over its edges, and it holds whatever look-arounds look at.

Letters of scripts that put no space between a word and the number or Latin word beside it (Han, kana, Hangul, Thai ...)
are shown as line ends. Otherwise an address would be lost in the sentence around it, or the sentence in the address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from curation.arrays import UInt8s
from curation.pii.window_kernels import find_anchors, find_runs
from curation.text import views

DIGIT, NUMBER, EMAIL, AT, ADDRESS, DOT, COLON = (1 << bit for bit in range(7))
"""Classes of characters: `\\d`; inside a number as written; inside an e-mail; @; inside an IP address; full stop; :"""

NUMBER_MARKS = (
    "+＋()[]（）［］-xX\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d.\uff0e/\uff0f~\u2053\u223c\uff5e"
    " \u00a0\u00ad\u200b\u2060\u3000\u2007\u2009\u202f"
)
"""What may stand between the digits of a number: libphonenumber's punctuation, and the spaces of typesetters."""
EMAIL_MARKS = "!#$%&'*+-/=?^_`{|}~."
"""What presidio's expression allows in an address besides `\\w` and @."""
ADDRESS_MARKS = ".:/%"

MIN_PHONE_DIGITS = 7
"""Shorter numbers are short codes, or mean nothing without the area they are dialled in."""
IBAN_REACH = 44
"""The longest match of presidio's expression for account numbers, separators included, and the character after it."""
LOCAL_REACH, DOMAIN_REACH = 130, 260
"""Characters looked at before and after an @: more than the 64 and 255 that an address can have (RFC 5321, 4.5.3.1)."""

_JOINED_SCRIPTS = (
    "Han", "Hiragana", "Katakana", "Hangul", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan",
)  # fmt: skip
_SPACES, _HYPHENS = "\u00a0\u2007\u2009\u202f\u3000", "\u2010\u2011\u2012\u2013\u2212\uff0d"
_PLAIN = str.maketrans(_SPACES + _HYPHENS, " " * len(_SPACES) + "-" * len(_HYPHENS))
_CAPITALS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ALL_CODES = 0x110000


class Window(NamedTuple):
    """A stretch `[start, end)` of the text in row `row`, in code points, with `wanted` characters of a class in it."""

    row: int
    start: int
    end: int
    wanted: int = 0


@cache
def joined_letters() -> re.Pattern[str]:
    """A letter of a script that is written without spaces, or that joins particles to foreign words."""
    import regex

    scripts = "".join(f"\\p{{{script}}}" for script in _JOINED_SCRIPTS)
    compiled: re.Pattern[str] = regex.compile(f"(?V1)[[{scripts}]--\\d]")
    return compiled


@cache
def classes() -> UInt8s:
    """The classes of every code point, uint8[0x110000]; `\\w` and `\\d` as in the package that presidio uses."""
    import regex

    everything = "".join(map(chr, range(_ALL_CODES)))
    table = np.zeros(_ALL_CODES, dtype=np.uint8)
    for pattern, bits in ((r"\w+", EMAIL | ADDRESS), (r"\d+", DIGIT | NUMBER)):
        for match in regex.finditer(pattern, everything):
            table[match.start() : match.end()] |= bits
    for match in joined_letters().finditer(everything):
        table[match.start() : match.end()] = 0
    for marks, bits in (
        *((NUMBER_MARKS, NUMBER), (EMAIL_MARKS, EMAIL), (ADDRESS_MARKS, ADDRESS)),
        *(("@", AT | EMAIL), (".", DOT), (":", COLON)),
    ):
        table[[ord(mark) for mark in marks]] |= bits
    return table


def shown(text: str) -> str:
    """The text as recognizers are shown it, character for character: "邮箱a@b.cn" → "\\n\\na@b.cn"."""
    return text if text.isascii() else joined_letters().sub("\n", text)


def plain(text: str) -> str:
    """`shown` with ASCII spaces and hyphens, as the expressions for numbers other than phones' want them."""
    return text if text.isascii() else shown(text).translate(_PLAIN)


def capital(text: str) -> str:
    """`plain` in ASCII capitals, character for character, as the expression for account numbers wants it."""
    return plain(text).translate(_CAPITALS)


def digits_before_words(number: str) -> int:
    """Digits of a number as written, not of its extension: "212-555-1234 ext. 5" → 10."""
    table = classes()
    return sum(map(str.isdigit, takewhile(lambda character: table[ord(character)] & NUMBER, number)))


def email_windows(text: views.Characters) -> list[Window]:
    """Runs of characters that addresses are made of, with an @ in them."""
    found: list[Window] = []
    for window in _find_runs(text, EMAIL, AT, 1):
        if window.end - window.start <= LOCAL_REACH + DOMAIN_REACH:
            found.append(window)
            continue
        base = int(text.first[window.row])
        codes = text.codepoints[base + window.start : base + window.end]
        for at in (np.flatnonzero(codes == ord("@")) + window.start).tolist():
            part = Window(window.row, max(window.start, at - LOCAL_REACH), min(window.end, at + DOMAIN_REACH))
            found.append(part)
    return list(_merged(found))


def address_windows(text: views.Characters) -> list[Window]:
    """Runs of characters that IP addresses are made of, with three full stops or two colons in them."""
    found = [*_find_runs(text, ADDRESS, DOT, 3), *_find_runs(text, ADDRESS, COLON, 2)]
    return sorted({window[:3]: window for window in found}.values())


def number_windows(text: views.Characters) -> list[Window]:
    """Runs of digits and what may stand between them, with at least as many digits as a phone number."""
    return _find_runs(text, NUMBER, DIGIT, MIN_PHONE_DIGITS)


def iban_windows(text: views.Characters) -> list[Window]:
    """What follows two letters and two digits at the beginning of a word."""
    return _collect(
        lambda *out: find_anchors(text.codepoints, text.first, text.last, IBAN_REACH, *out[:3]),
        text,
    )


def _merged(windows: Iterable[Window]) -> Iterator[Window]:
    """Windows in order, overlapping and touching ones made one."""
    open_window: Window | None = None
    for window in windows:
        if open_window is None:
            open_window = window
        elif window.row == open_window.row and window.start <= open_window.end:
            open_window = open_window._replace(end=max(open_window.end, window.end))
        else:
            yield open_window
            open_window = window
    if open_window is not None:
        yield open_window


def _find_runs(text: views.Characters, member: int, wanted: int, minimum: int) -> list[Window]:
    table = classes()
    return _collect(
        lambda *out: find_runs(text.codepoints, text.first, text.last, table, member, wanted, minimum, *out),
        text,
    )


def _collect(search: Callable[[Any, Any, Any, Any], int], text: views.Characters) -> list[Window]:
    """The windows that a kernel writes into arrays, called again with larger ones where they do not fit."""
    room = 16 * len(text.first) + 64
    while True:
        rows, begins, ends, counts = (np.zeros(room, dtype=np.int64) for _ in range(4))
        found = search(rows, begins, ends, counts)
        if found <= room:
            break
        room = found
    offsets = text.first[rows[:found]]
    columns = (rows[:found], begins[:found] - offsets, ends[:found] - offsets, counts[:found])
    return [Window(*window) for window in zip(*(column.tolist() for column in columns), strict=True)]
