"""Evidence for personal data: matches with scores, and signs that a match is part of something longer.

presidio's scores say how much an expression and its checksum prove. On web text that is not enough: dates look like
German phone numbers, version numbers like IP addresses, identifiers like American numbers. This module and those of the
kinds add what a reader goes by: the words before a match, how a number is grouped, and what it is part of. All scores
are on presidio's scale of 0 to 1, and a match counts if it reaches the minimum of its kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from curation.pii.windows import shown

DOUBTFUL = 0.2
"""The score of a match that is more often something else; a context word compensates for it."""

_PART_BEFORE = re.compile(r"(?:[\w=#&@%$€£¥\\]|\d[.,:/+-]|\w[/-])\Z")
_PART_AFTER = re.compile(r"[\w=@%$€£¥\\]|[.,:+-]\d")


@dataclass(frozen=True, slots=True)
class Match:
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


def is_part(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` is part of an identifier, a path, a decimal number or a series of numbers."""
    before, after = shown(text[max(0, start - 2) : start]), shown(text[end : end + 2])
    return _PART_BEFORE.search(before) is not None or _PART_AFTER.match(after) is not None
