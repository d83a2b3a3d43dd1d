"""A text cut down for the report: what decided is marked, personal data masked, and text from the web made harmless.

Harmless means: control characters, terminal escapes and the characters that turn the direction of writing are shown
by a sign, since they could hide or disguise what stands around them; HTML is the template's to escape.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Span = tuple[int, int]

LENGTH = 900
"""Characters shown of a text, without marks."""
AROUND = 160
"""Characters shown on each side of a mark in a longer text."""

_HARMLESS_CONTROL = "\n\t"
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class ExcerptPart:
    """A part of an excerpt. kind: "text", "mark", "mask" (the text is then what was masked), or "gap"."""

    text: str
    kind: str = "text"


def harmless(text: str) -> str:
    r"""Control, format and other characters without a shape of their own as "�", but for newline and tab.

    "a\x1b[31m\u202eb" → "a�[31m�b". The joiners that scripts and emoji need stay.
    """
    if text.isprintable():
        return text
    kept = _HARMLESS_CONTROL + _JOINERS
    return "".join(c if c.isprintable() or c in kept or unicodedata.category(c) == "Zs" else "�" for c in text)


def excerpt(
    text: str, marks: Sequence[Span] = (), masks: Sequence[tuple[int, int, str]] = (), length: int = LENGTH
) -> list[ExcerptPart]:
    """The text in pieces, `length` characters or a little more; a longer one from its beginning and around marks.

    marks: spans, ascending and apart. masks: spans with the kind of personal data, ascending and apart.
    """
    pieces: list[ExcerptPart] = []
    at = 0
    for start, end in _windows(len(text), marks, length):
        if start > at:
            pieces.append(ExcerptPart(f"{start - at:,}", "gap"))
        pieces += _pieces(text, start, end, marks, masks)
        at = end
    if at < len(text):
        pieces.append(ExcerptPart(f"{len(text) - at:,}", "gap"))
    return pieces


def _windows(size: int, marks: Sequence[Span], length: int) -> list[Span]:
    """What to show: all, or the beginning and as many marks with what is around them as fit."""
    if size <= length:
        return [(0, size)]
    if not marks:
        return [(0, length)]
    windows = [(0, min(AROUND * 2, length))]
    left = length - windows[0][1]
    for start, end in marks:
        low, high = max(0, start - AROUND), min(size, min(end, start + length) + AROUND)
        if low <= windows[-1][1]:
            low = windows[-1][1]
        if high <= low:
            continue
        high = min(high, low + max(left, 0))
        if high <= low:
            break
        left -= high - low
        if low == windows[-1][1]:
            windows[-1] = windows[-1][0], high
        else:
            windows.append((low, high))
    return windows


def _pieces(
    text: str, start: int, end: int, marks: Sequence[Span], masks: Sequence[tuple[int, int, str]]
) -> Iterable[ExcerptPart]:
    """`text[start:end]`; a mask that begins in it is shown once, and hides what lies under it, marks included."""
    cuts = sorted(
        {start, end, *(min(max(at, start), end) for span in marks for at in span)}
        | {min(max(at, start), end) for first, last, _ in masks for at in (first, last)}
    )
    found: list[ExcerptPart] = []
    for low, high in pairwise(cuts):
        mask = _covering(masks, low)
        if mask is not None:
            if max(mask[0], start) == low:
                found.append(ExcerptPart(mask[2], "mask"))
            continue
        kind = "mark" if _covering(marks, low) is not None else "text"
        found.append(ExcerptPart(harmless(text[low:high]), kind))
    return found


def _covering(spans: Sequence[Any], at: int) -> Any:
    number = bisect_right(spans, at, key=lambda span: span[0]) - 1
    return spans[number] if number >= 0 and at < spans[number][1] else None
