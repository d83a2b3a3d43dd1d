"""What changed between two texts: by line first, by word within lines that were rewritten.

Whole lines go or come as such; a line of which a part changed stays one line, in pieces. Both can be read without
colour: `-` and `+` lines, and `[-gone-]{+come+}` within a line, as wdiff writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

GONE, COME, SAME = "-", "+", " "

MOST_LINES = 5000
"""Texts of more lines are compared by sets of lines, since the time taken grows with the square."""
MOST_WORDS = 400
"""A line of more words that was rewritten counts as gone and come."""
ALIKE = 0.3
"""Two lines that have less in common are different lines, not one that was rewritten."""

_WORDS = re.compile(r"\s|\w[\w.@:/+-]*\w|\w|[^\w\s]")
"""Single white space, words with what joins them in an address, other characters: concatenated, they are the line."""


@dataclass(frozen=True, slots=True)
class DiffPart:
    """A part of a line: GONE, COME or SAME."""

    kind: str
    text: str


Line = tuple[DiffPart, ...]
"""A changed line; one that went or came whole has one piece."""


def changed_lines(before: str, after: str) -> list[Line]:
    r"""The lines that differ, in order.

    >>> changed_lines("a\nmail me at x@y.z now", "mail me at <email> now")[0]
    (DiffPart(kind='-', text='a'),)
    """
    old, new = before.split("\n"), after.split("\n")
    if len(old) + len(new) > MOST_LINES:
        return _by_sets(old, new)
    found: list[Line] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            found += _paired(old[i:j], new[k:m])
    return found


def _by_sets(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    before, after = set(old), set(new)
    gone = [(DiffPart(GONE, line),) for line in old if line not in after]
    return [*gone, *((DiffPart(COME, line),) for line in new if line not in before)]


def _paired(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    """Each new line beside the first old one that it is like; the others go or come whole."""
    at = 0
    for line in new:
        match = next((i for i in range(at, len(old)) if (pieces := words(old[i], line)) and alike(pieces)), None)
        if match is None:
            yield (DiffPart(COME, line),)
            continue
        yield from ((DiffPart(GONE, gone),) for gone in old[at:match])
        yield words(old[match], line)
        at = match + 1
    yield from ((DiffPart(GONE, gone),) for gone in old[at:])


def words(old: str, new: str) -> Line:
    """A rewritten line in pieces; empty if either is too long to compare.

    >>> [piece.text for piece in words("see [1] there", "see  there")]
    ['see ', '[1]', ' there']
    """
    left, right = _WORDS.findall(old), _WORDS.findall(new)
    if max(len(left), len(right)) > MOST_WORDS:
        return ()
    pieces: list[DiffPart] = []
    for tag, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(DiffPart(SAME, "".join(left[i:j])))
            continue
        pieces += [DiffPart(kind, "".join(part)) for kind, part in ((GONE, left[i:j]), (COME, right[k:m])) if part]
    return tuple(pieces)


def alike(line: Line) -> bool:
    """Whether the pieces are of one line that was rewritten."""
    same = sum(len(piece.text) for piece in line if piece.kind == SAME)
    return same >= ALIKE * sum(len(piece.text) for piece in line)


def plain(line: Line) -> list[str]:
    """The line without colour, as `- old` and `+ new`."""
    kinds = {piece.kind for piece in line}
    sides = [
        (kind, "".join(piece.text for piece in line if piece.kind in (kind, SAME)))
        for kind in (GONE, COME)
        if kind in kinds
    ]
    if SAME in kinds and len(sides) == 1:
        other = COME if sides[0][0] == GONE else GONE
        sides.append((other, "".join(piece.text for piece in line if piece.kind == SAME)))
        sides.sort(key=lambda side: side[0] == COME)
    return [f"{kind} {text}" for kind, text in sides]


def marked(line: Line) -> list[tuple[str, str]]:
    """The line for a terminal, as (kind, text): whole lines with their sign, words in brackets of wdiff."""
    if len(line) == 1:
        return [(line[0].kind, f"{line[0].kind} {line[0].text}")]
    brackets = {GONE: "[-{}-]", COME: "{{+{}+}}", SAME: "{}"}
    return [(SAME, "~ "), *((piece.kind, brackets[piece.kind].format(piece.text)) for piece in line)]
