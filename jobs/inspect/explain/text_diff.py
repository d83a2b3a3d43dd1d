"""The differences between two texts: by line first, and by word within rewritten lines.

A line is removed or added as a whole; a line that changed in part stays one line, in pieces. Both are readable without
color: `-` and `+` lines, and `[-removed-]{+added+}` within a line, as in wdiff.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

REMOVED, ADDED, SAME = "-", "+", " "

MAX_LINES = 5000
"""Texts with more lines are compared as sets of lines, because the time of a diff grows quadratically."""
MAX_WORDS = 400
"""A rewritten line with more words counts as removed and added."""
ALIKE = 0.3
"""Two lines that have a smaller share in common are different lines, not one rewritten line."""

_WORDS = re.compile(r"\s|\w[\w.@:/+-]*\w|\w|[^\w\s]")
"""Single white space, words with the characters that join them in addresses, other characters. Together they are the
whole line."""


@dataclass(frozen=True, slots=True)
class DiffPart:
    """A part of a line; its kind is REMOVED, ADDED or SAME."""

    kind: str
    text: str


Line = tuple[DiffPart, ...]
"""A changed line; a line that was removed or added as a whole has one piece."""


def changed_lines(before: str, after: str) -> list[Line]:
    r"""The lines that differ, in order.

    >>> changed_lines("a\nmail me at x@y.z now", "mail me at <email> now")[0]
    (DiffPart(kind='-', text='a'),)
    """
    old, new = before.split("\n"), after.split("\n")
    if len(old) + len(new) > MAX_LINES:
        return _by_sets(old, new)
    lines: list[Line] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            lines += _paired(old[i:j], new[k:m])
    return lines


def _by_sets(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    before, after = set(old), set(new)
    removed = [(DiffPart(REMOVED, line),) for line in old if line not in after]
    return [*removed, *((DiffPart(ADDED, line),) for line in new if line not in before)]


def _paired(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    """Pair each new line with the first old line that is similar. Between pairs, removed lines go before added ones."""
    at, added = 0, list[Line]()
    for line in new:
        match = next((i for i in range(at, len(old)) if (pieces := words(old[i], line)) and alike(pieces)), None)
        if match is None:
            added.append((DiffPart(ADDED, line),))
            continue
        yield from ((DiffPart(REMOVED, removed),) for removed in old[at:match])
        yield from added
        yield words(old[match], line)
        at, added = match + 1, []
    yield from ((DiffPart(REMOVED, removed),) for removed in old[at:])
    yield from added


def words(old: str, new: str) -> Line:
    """The pieces of a rewritten line; empty if either line is too long to compare.

    >>> [piece.text for piece in words("see [1] there", "see  there")]
    ['see ', '[1]', ' there']
    """
    left, right = _WORDS.findall(old), _WORDS.findall(new)
    if max(len(left), len(right)) > MAX_WORDS:
        return ()
    pieces: list[DiffPart] = []
    for tag, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(DiffPart(SAME, "".join(left[i:j])))
            continue
        pieces += [DiffPart(kind, "".join(part)) for kind, part in ((REMOVED, left[i:j]), (ADDED, right[k:m])) if part]
    return tuple(pieces)


def alike(line: Line) -> bool:
    """Whether the pieces have enough in common to be one rewritten line."""
    same = sum(len(piece.text) for piece in line if piece.kind == SAME)
    return same >= ALIKE * sum(len(piece.text) for piece in line)


def plain(line: Line) -> list[str]:
    """The line without color, as `- old` and `+ new`."""
    kinds = {piece.kind for piece in line}
    sides = [
        (kind, "".join(piece.text for piece in line if piece.kind in (kind, SAME)))
        for kind in (REMOVED, ADDED)
        if kind in kinds
    ]
    if SAME in kinds and len(sides) == 1:
        other = ADDED if sides[0][0] == REMOVED else REMOVED
        sides.append((other, "".join(piece.text for piece in line if piece.kind == SAME)))
        sides.sort(key=lambda side: side[0] == ADDED)
    return [f"{kind} {text}" for kind, text in sides]


def bracketed(line: Line) -> list[tuple[str, str]]:
    """The line for a terminal, as (kind, text): whole lines with their sign, words in the brackets of wdiff."""
    if len(line) == 1:
        return [(line[0].kind, f"{line[0].kind} {line[0].text}")]
    brackets = {REMOVED: "[-{}-]", ADDED: "{{+{}+}}", SAME: "{}"}
    return [(SAME, "~ "), *((piece.kind, brackets[piece.kind].format(piece.text)) for piece in line)]
