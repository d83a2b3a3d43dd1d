"""An automaton that tells which of many expressions match a string of digits, in one pass over it.

The expressions of a numbering plan list thousands of prefixes, so matching one takes a microsecond, and there are many
regions to ask. The automaton takes 50 ns for a digit, and a few in a kernel, which reads its table. It is built while it
is used, state by state.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Set
from typing import Any

import numpy as np

from curation.arrays import Int32s, Int64s

MAX_STATES = 1 << 15
"""States to keep. If there are more, all are forgotten and built again."""

_TOKEN = re.compile(r"\\d|\d|\[[\d-]+\]|\(\??:?|[)|?]|\{\d+(?:,\d+)?\}")
_DIGITS = "0123456789"
_ANY = (1 << 10) - 1
_PLACES = [[place for place in range(10) if digits >> place & 1] for digits in range(_ANY + 1)]
"""The digits of each class."""

_VALUES = bytes.maketrans(_DIGITS.encode(), bytes(range(10)))

_States = frozenset[int]


class Automaton:
    """Tells which expressions match a string of ASCII digits.

    Args:
        expressions: Pairs of a result and an expression of digits, classes, groups, alternatives, `?` and `{n,m}`.
        combine: Makes something else of the results of a match. It is called once for the same results.
        bits: What of the combined results kernels need to know, as 63 bits.

    Attributes:
        table: For each state and digit, at the place of the state plus the digit, the place of the state that follows.
            0 if it is not known yet.
        accepts: For each state, at its place divided by 10, the bits of its combined results.
        results: At the same place, the combined results of each state.
        start: Place of the state before the first digit.
        dead: Place of the state from which nothing can match.

    Raises:
        ValueError: An expression has something else.

    >>> Automaton([("a", r"1[2-4]\\d{2}"), ("b", r"(?:12|99)\\d\\d?")]).match("1234")
    ('a', 'b')
    """

    def __init__(
        self,
        expressions: Iterable[tuple[Any, str]],
        combine: Callable[[tuple[Any, ...]], tuple[Any, ...]] = tuple,
        bits: Callable[[tuple[Any, ...]], int] = bool,
    ) -> None:
        self._combine, self._bits = combine, bits
        self._results: list[Any] = []
        numbers: dict[Any, int] = {}
        self._moves: list[tuple[int, _States]] = []
        self._known: dict[tuple[int, _States], int] = {}
        self._combined: dict[tuple[int, ...], tuple[Any, ...]] = {}
        start: set[int] = set()
        for result, expression in expressions:
            number = numbers.get(result)
            if number is None:
                self._results.append(result)
                number = numbers[result] = len(self._results)
            start |= self._add(_parsed(expression), frozenset((-number,)))
        self._start = frozenset(start)
        self._forget()

    def match(self, digits: str) -> tuple[Any, ...]:
        """The results of the expressions that match all of the digits, in their order; equal results are given once."""
        table, state = self._cells, self.start
        for digit in digits.encode().translate(_VALUES):
            following = table[state + digit]
            if not following:
                following = self.step(state, digit)
                table = self._cells
            state = following
            if state == self.dead:
                break
        return self.results[state // 10]

    def _add(self, node: Any, then: _States) -> _States:
        """Add the states of a part of an expression before the states `then`, and return the first of them."""
        kind, *rest = node
        if kind == "digit":
            key = (rest[0], then)
            if key not in self._known:
                self._known[key] = len(self._moves)
                self._moves.append(key)
            return frozenset((self._known[key],))
        if kind == "any of":
            return frozenset().union(*(self._add(part, then) for part in rest[0]))
        if kind == "sequence":
            for part in reversed(rest[0]):
                then = self._add(part, then)
            return then
        part, least, most = rest
        first = then
        for _ in range(most - least):
            first = self._add(part, first) | then
        for _ in range(least):
            first = self._add(part, first)
        return first

    def _forget(self) -> None:
        self._places: dict[bytes, int] = {}
        # The sets of states that the states stand for, as bytes: they take a tenth of the memory of sets, which the
        # garbage collector would search, too.
        self._keys: list[bytes] = [b""]
        self.results: list[tuple[Any, ...]] = [()]
        self._resize(1 << 6)
        self.dead, self.start = self._place(frozenset()), self._place(self._start)

    def _resize(self, states: int) -> None:
        table, accepts = np.zeros(10 * states, np.int32), np.zeros(states, np.int64)
        if len(self._keys) > 1:
            table[: len(self.table)], accepts[: len(self.accepts)] = self.table, self.accepts
        self.table: Int32s = table
        self.accepts: Int64s = accepts
        self._cells = memoryview(table)

    def _place(self, states: Set[int]) -> int:
        """The place of the state that stands for a set of states."""
        key = array("i", sorted(states)).tobytes()
        place = self._places.get(key)
        if place is None:
            number = len(self._keys)
            if number >= len(self.accepts):
                self._resize(2 * number)
            place = self._places[key] = 10 * number
            self._keys.append(key)
            self.results.append(self._results_of(tuple(one for one in array("i", key) if one < 0)))
            self.accepts[number] = self._bits(self.results[number])
        return place

    def _results_of(self, ends: tuple[int, ...]) -> tuple[Any, ...]:
        found = self._combined.get(ends)
        if found is None:
            results = [self._results[-end - 1] for end in reversed(ends)]
            found = self._combined[ends] = self._combine(tuple(results))
        return found

    def step(self, place: int, digit: int) -> int:
        """Build the states that follow a state, all ten since most are the same, and return the place of one of them.

        Args:
            place: Place of the state.
            digit: The digit before the state to return.
        """
        key = self._keys[place // 10]
        if len(self._keys) > MAX_STATES:
            self._forget()
            place = self._place(frozenset(array("i", key)))
        following: list[set[int]] = [set() for _ in _DIGITS]
        after_any: set[int] = set()
        for number in array("i", key):
            if number >= 0:
                digits, then = self._moves[number]
                if digits == _ANY:
                    after_any |= then
                else:
                    for value in _PLACES[digits]:
                        following[value] |= then
        usual = self._place(after_any)
        for value, numbers in enumerate(following):
            after = self._place(numbers | after_any) if numbers else usual
            self.table[place + value] = after
        return int(self.table[place + digit])


def is_supported(expression: str) -> bool:
    """Whether an automaton can be made of an expression."""
    try:
        _parsed(expression)
    except ValueError:
        return False
    return True


def _parsed(expression: str) -> Any:
    """The tree of an expression: ("digit", bits), ("sequence", parts), ("any of", parts), ("repeated", part, n, m)."""
    levels: list[list[list[Any]]] = [[[]]]
    place = 0
    while place < len(expression):
        token = _TOKEN.match(expression, place)
        if token is None:
            raise ValueError(f"unexpected {expression[place:]!r} in {expression!r}")
        place, written = token.end(), token[0]
        sequence = levels[-1][-1]
        if written.startswith("("):
            levels.append([[]])
        elif written == ")" and len(levels) > 1:
            parts = levels.pop()
            levels[-1][-1].append(("any of", [("sequence", part) for part in parts]))
        elif written == "|":
            levels[-1].append([])
        elif written == "?" and sequence:
            sequence.append(("repeated", sequence.pop(), 0, 1))
        elif written.startswith("{") and sequence:
            least, _, most = written[1:-1].partition(",")
            sequence.append(("repeated", sequence.pop(), int(least), int(most or least)))
        elif written == "\\d":
            sequence.append(("digit", _ANY))
        elif written.startswith("["):
            sequence.append(("digit", _bits(written[1:-1])))
        elif written.isdigit():
            sequence.append(("digit", 1 << int(written)))
        else:
            raise ValueError(f"unexpected {written!r} in {expression!r}")
    if len(levels) > 1:
        raise ValueError(f"unclosed group in {expression!r}")
    return ("any of", [("sequence", part) for part in levels[0]])


def _bits(ranges: str) -> int:
    """The digits of a class, as bits: "2-46" → 0b1011100."""
    bits = 0
    for first, last in re.findall(r"(\d)(?:-(\d))?", ranges):
        for digit in range(int(first), int(last or first) + 1):
            bits |= 1 << digit
    return bits
