"""What counts as evidence: matches with a score, words that name a kind, and signs that a match is part of more.

presidio's scores say how much an expression and its checksum prove. On web text that is not enough: dates pass for
German phone numbers, version numbers for IP addresses, identifiers for American numbers. What is added here and in the
modules of the kinds is what a reader goes by: the words before a match, how a number is grouped, what it is a part of.
All scores are on presidio's scale of 0 to 1, and a match counts from the minimum of its kind on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from curation.pii.windows import shown

DOUBTFUL = 0.2
"""The score of what is more often something else; a context word makes up for it."""

_PART_BEFORE = re.compile(r"(?:[\w=#&@%$€£¥\\]|\d[.,:/+-]|\w[/-])\Z")
_PART_AFTER = re.compile(r"[\w=@%$€£¥\\]|[.,:+-]\d")


@dataclass(frozen=True, slots=True)
class Match:
    """Personal data of one kind at `text[start:end]`, offsets in code points.

    value: normalized, so that two ways to write one number are one value. kept: left as it is, because the value
    belongs to nobody (example.com, a private network, a number reserved for fiction), yet nothing else matches there.
    """

    kind: str
    start: int
    end: int
    score: float
    value: str
    kept: bool = False


def is_part(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` is part of something longer: an identifier, a path, a decimal, a series of numbers."""
    before, after = shown(text[max(0, start - 2) : start]), shown(text[end : end + 2])
    return _PART_BEFORE.search(before) is not None or _PART_AFTER.match(after) is not None
