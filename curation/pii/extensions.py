"""Extensions: how far a written number may go on behind its digits."""

from __future__ import annotations

import re

import numpy as np

from curation.arrays import Bools, Int64s
from curation.pii.extension_kernels import COLUMNS, END, MAX_EXTENSION, read_extensions
from curation.pii.number_characters import values_of_digits
from curation.pii.numbering import EXTENSION
from curation.text import views

_EXTENSION = re.compile(f"(?:{re.sub(r'[*+][+]', '{0,20}+', EXTENSION).replace('{1,', '{0,')})?", re.IGNORECASE)
"""The formats of extensions that libphonenumber accepts, also cut off."""
_NEVER_EXTENSION = frozenset(("", *map(chr, range(128)))) - frozenset("\t ,;-#~aAeEiIxX")
"""What ends a number at once: most of ASCII begins no extension."""
_SIGNS = frozenset("xX~\uff5e")
"""Labels of extensions that a window may end with."""


def end_of_context(text: str, end: int) -> int:
    """How far a number that ends before `end` may go on, or depend on what follows: extension, time, a character."""
    return min(len(text), max(end + len(":00"), end_of_extension(text, end) + 1))


def extensions_of(text: views.Characters, windows: Int64s) -> Int64s:
    """The extensions behind windows of numbers: see `extension_kernels.read_extensions`.

    Args:
        text: The texts.
        windows: The windows: row, start and end of each.
    """
    rows, starts, ends, *_ = windows.T
    offsets, found = text.first[rows], np.empty((len(windows), COLUMNS), np.int64)
    read_extensions(text.codepoints, values_of_digits(), starts + offsets, ends + offsets, text.last[rows], found)
    return found


def go_on(text: views.Characters, windows: Int64s) -> Bools:
    """Behind which windows of numbers an extension goes on, or may do so; arguments are as in `extensions_of`."""
    ends, stops = windows[:, 2] + text.first[windows[:, 0]], extensions_of(text, windows)[:, END]
    found: Bools = (stops > ends) | (stops < 0)
    return found


def end_of_extension(text: str, end: int) -> int:
    """Where the extension ends that follows a window of a number before `end`, perhaps cut off; `end` if none does."""
    if text[end : end + 1] in _NEVER_EXTENSION and text[end - 1 : end] not in _SIGNS:
        return end
    # Spaces before its label, or a label that is a sign, may be in the window.
    number = end
    while number > max(0, end - MAX_EXTENSION) and not text[number - 1].isdecimal():
        number -= 1
    extension = _EXTENSION.match(text, number, end + MAX_EXTENSION)
    return max(end, extension.end()) if extension else end
