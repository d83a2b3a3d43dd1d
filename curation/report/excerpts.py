"""Excerpts of texts for the report: decisive parts are highlighted, personal data is masked, web text is made harmless.

Harmless means that control characters, terminal escapes and characters that change the direction of writing are
replaced by a sign, because they could hide or disguise the text around them. The template escapes HTML.
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
"""Length of an excerpt in characters."""
AROUND = 160
"""Characters of context on each side of a highlight in a longer text."""

_HARMLESS_CONTROL = "\n\t"
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class ExcerptPart:
    """A part of an excerpt.

    Attributes:
        text: The text; for a mask the kind of personal data, for a gap the number of characters left out.
        kind: "text", "mark" (a highlight), "mask" or "gap".
    """

    text: str
    kind: str = "text"


def harmless(text: str) -> str:
    r"""Replace control, format and other unprintable characters by "�", except newline and tab.

    "a\x1b[31m\u202eb" → "a�[31m�b". The joiners that scripts and emoji need are kept.
    """
    if text.isprintable():
        return text
    kept = _HARMLESS_CONTROL + _JOINERS
    return "".join(c if c.isprintable() or c in kept or unicodedata.category(c) == "Zs" else "�" for c in text)


def excerpt(
    text: str, marks: Sequence[Span] = (), masks: Sequence[tuple[int, int, str]] = (), length: int = LENGTH
) -> list[ExcerptPart]:
    """Cut a text into the parts of an excerpt. A long text is shown from its start and around its highlights.

    Args:
        text: The text.
        marks: Spans to highlight, ascending and disjoint, in code points.
        masks: Spans of personal data with their kind, ascending and disjoint.
        length: Approximate length of the excerpt in characters.
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
    """The spans to show: all, or the beginning and as many highlights with context as fit."""
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
    """Parts of `text[start:end]`. A mask in it is shown once, and hides the text it covers, highlights included."""
    cuts = sorted(
        {start, end, *(min(max(at, start), end) for span in marks for at in span)}
        | {min(max(at, start), end) for first, last, _ in masks for at in (first, last)}
    )
    for low, high in pairwise(cuts):
        mask = _covering(masks, low)
        if mask is not None:
            if max(mask[0], start) == low:
                yield ExcerptPart(mask[2], "mask")
            continue
        kind = "mark" if _covering(marks, low) is not None else "text"
        yield ExcerptPart(harmless(text[low:high]), kind)


def _covering(spans: Sequence[Any], at: int) -> Any:
    number = bisect_right(spans, at, key=lambda span: span[0]) - 1
    return spans[number] if number >= 0 and at < spans[number][1] else None
