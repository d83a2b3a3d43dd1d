"""Rules for affixes as regular expressions, of which only those are tried that the character at the end allows.

spaCy's rules are some 100 alternatives, of which most begin and end with one character that never changes. To try them
all at each position of a chunk takes most of the time of a language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any


class Affixes:
    """The alternatives of a regular expression for prefixes or suffixes, chosen by the outermost character."""

    def __init__(self, pieces: Sequence[str], *, suffixes: bool) -> None:
        """Remember the rules; they are compiled as characters need them.

        Args:
            pieces: The alternatives, in order; those of suffixes end with `$`.
            suffixes: Whether the outermost character is the last one of a match, not the first.
        """
        self._pieces = pieces
        self._suffixes = suffixes
        self._fixed: dict[str, list[int]] = {}
        self._open: list[int] = []
        for number, piece in enumerate(pieces):
            only = _only_character(piece, suffixes)
            (self._open if only is None else self._fixed.setdefault(only, [])).append(number)
        self._by_character: dict[str, re.Pattern[str] | None] = {}
        self._compiled: dict[tuple[str, ...], re.Pattern[str]] = {}

    def for_character(self, character: str) -> re.Pattern[str] | None:
        """The alternatives that can match with this outermost character; None if there are none."""
        if character not in self._by_character:
            more = [each for each in self._open if may_match(self._pieces[each], character, self._suffixes)]
            pieces = tuple(self._pieces[each] for each in sorted([*more, *self._fixed.get(character, ())]))
            if pieces and pieces not in self._compiled:
                self._compiled[pieces] = re.compile("|".join(pieces))
            self._by_character[character] = self._compiled[pieces] if pieces else None
        return self._by_character[character]


def may_match(piece: str, character: str, suffix: bool) -> bool:
    r"""Whether a rule may match with this outermost character; True where that is not clear.

    >>> may_match(r"\)$", ")", True), may_match("(?<=[0-9])(?:km|g)$", "k", True), may_match(r"\+(?![0-9])", "+", False)
    (True, False, True)
    """
    sequence, is_plain = _parsed(piece)
    if not is_plain or (suffix and sequence[-1][0].name != "AT"):
        return True
    return _may_be(sequence, ord(character), suffix) is not False


@cache
def _only_character(piece: str, suffix: bool) -> str | None:
    """The outermost character of a rule, if every match has the same one."""
    sequence, is_plain = _parsed(piece)
    if suffix:
        sequence = sequence[-2::-1] if sequence[-1][0].name == "AT" else []
    is_fixed = is_plain and sequence and sequence[0][0].name == "LITERAL"
    return chr(sequence[0][1]) if is_fixed else None


@cache
def _parsed(piece: str) -> tuple[list[tuple[Any, Any]], bool]:
    """The operations of a regular expression, and whether it distinguishes case."""
    parsed: Any = re._parser.parse(piece)  # type: ignore[attr-defined]
    return list(parsed), not parsed.state.flags & re.IGNORECASE


def _may_be(sequence: Sequence[tuple[Any, Any]], code: int, last: bool) -> bool | None:
    """Whether the outermost character of a match may be this one; None if the match may be empty."""
    for operation, argument in reversed(sequence) if last else sequence:
        found = _may_begin_or_end(operation.name, argument, code, last)
        if found is not None:
            return found
    return None


def _may_begin_or_end(name: str, argument: Any, code: int, last: bool) -> bool | None:
    if name in ("AT", "ASSERT", "ASSERT_NOT"):
        return None
    if name == "LITERAL":
        return bool(argument == code)
    if name == "IN":
        return _is_in(argument, code)
    if name == "BRANCH":
        found = [_may_be(branch, code, last) for branch in argument[1]]
        return True if True in found else None if None in found else False
    if name == "SUBPATTERN" and not argument[1]:
        return _may_be(argument[3], code, last)
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        at_least, _, repeated = argument
        return _may_be(repeated, code, last) or (False if at_least and _may_be(repeated, code, last) is False else None)
    return True


def _is_in(items: Sequence[tuple[Any, Any]], code: int) -> bool:
    """Whether a character is in a class such as [^a-z]; True for one with a category such as \\d."""
    wanted = True
    for operation, argument in items:
        name = operation.name
        if name == "NEGATE":
            wanted = False
        elif name == "CATEGORY":
            return True
        elif argument == code if name == "LITERAL" else argument[0] <= code <= argument[1]:
            return wanted
    return not wanted
