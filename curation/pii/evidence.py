"""Evidence for personal data: matches with scores, and signs that a match is part of something longer.

The scores, presidio's, say how much a form and its check digits prove. On web text that is not enough: dates look like
German phone numbers, version numbers like IP addresses, identifiers like American numbers. This module and those of the
kinds add what a reader goes by: the words before a match, how a number is grouped, and what it is part of. All scores
are on a scale of 0 to 1, and a match counts if it reaches the minimum of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from curation.pii.windows import shown

DOUBTFUL = 0.2
"""The score of a match that is more often something else; a context word compensates for it."""

_PART_BEFORE = re.compile(r"(?:[\w=#&@%$€£¥\\]|\d[.,:/+-]|\w[/-])\Z")
_PART_AFTER = re.compile(r"[\w=@%$€£¥\\]|[.,:+-]\d")
_EMPHASIS_BEFORE = re.compile(r"(?<!\w)_{1,3}\Z")
_EMPHASIS_AFTER = re.compile(r"_{1,3}(?!\w)")


class Match(NamedTuple):
    """Personal data at `text[start:end]`.

    Attributes:
        kind: Kind of personal data, as in `find.KINDS`.
        start: First code point.
        end: Code point after the last.
        score: Evidence, 0 to 1.
        value: Normalized value, equal for different spellings of the same number.
        kept: Whether the text is left unchanged because the value belongs to nobody (example.com, a private network, a
            number reserved for fiction). The match still prevents others at this place.
    """

    kind: str
    start: int
    end: int
    score: float
    value: str
    kept: bool = False


def is_part(text: str, start: int, end: int, form: Callable[[str], str] = shown) -> bool:
    """Whether `text[start:end]` is part of an identifier, a path, a decimal number or a series of numbers.

    Args:
        text: The text.
        start: First character.
        end: Character after the last.
        form: The form in which the text around it is seen.
    """
    before, after = form(text[max(0, start - 2) : start]), form(text[end : end + 2])
    is_part = _PART_BEFORE.search(before) is not None or _PART_AFTER.match(after) is not None
    return is_part and not is_emphasized(text, start, end)


def is_emphasized(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` stands between the underscores that mark emphasis in Markdown: "_212-736-5000_"."""
    return (
        text[start - 1 : start] == "_"
        and text[end : end + 1] == "_"
        and _EMPHASIS_BEFORE.search(shown(text[max(0, start - 4) : start])) is not None
        and _EMPHASIS_AFTER.match(shown(text[end : end + 4])) is not None
    )
