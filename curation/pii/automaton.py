"""An automaton that tells which of many expressions match a string of digits, in one pass over it.

The expressions of a numbering plan list thousands of prefixes, so matching one takes a microsecond, and there are many
regions to ask. The automaton takes 50 ns for a digit. It is built while it is used, state by state.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Set
from typing import Any

MAX_STATES = 1 << 15
"""States to keep. If there are more, all are forgotten and built again."""
_LOOK_AGAIN = 16
"""Digits after which to see whether anything can still match."""

_TOKEN = re.compile(r"\\d|\d|\[[\d-]+\]|\(\??:?|[)|?]|\{\d+(?:,\d+)?\}")
_DIGITS = "0123456789"
_ANY = (1 << 10) - 1
_PLACES = [[place for place in range(10) if digits >> place & 1] for digits in range(_ANY + 1)]
"""The digits of each class."""

_States = frozenset[int]
_State = dict[str, Any]
"""The state that follows each digit, the results under "=", and the set of states it stands for, as bytes, under "".
There are ten thousand, and bytes take a tenth of the memory of sets, which the garbage collector would search, too."""


class Automaton:
    """Tells which expressions match a string of ASCII digits.

    Args:
        expressions: Pairs of a result and an expression of digits, classes, groups, alternatives, `?` and `{n,m}`.
        combine: Makes something else of the results of a match. It is called once for the same results.

    Raises:
        ValueError: An expression has something else.

    >>> Automaton([("a", r"1[2-4]\\d{2}"), ("b", r"(?:12|99)\\d\\d?")]).match("1234")
    ('a', 'b')
    """

    def __init__(
        self, expressions: Iterable[tuple[Any, str]], combine: Callable[[tuple[Any, ...]], tuple[Any, ...]] = tuple
    ) -> None:
        self._combine = combine
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
        state = self._first
        try:
            for digit in digits[:_LOOK_AGAIN]:
                state = state[digit]
            if state[""]:  # something can still match
                for digit in digits[_LOOK_AGAIN:]:
                    state = state[digit]
        except KeyError:
            state = self._first
            for digit in digits:
                state = state.get(digit) or self._step(state, digit)
        found: tuple[Any, ...] | None = state.get("=")
        return self._results_of(state) if found is None else found

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
        self._built: dict[bytes, _State] = {}
        self._first = self._state(self._start)

    def _state(self, states: Set[int]) -> _State:
        key = array("i", sorted(states)).tobytes()
        state = self._built.get(key)
        if state is None:
            state = self._built[key] = {"": key}
        return state

    def _results_of(self, state: _State) -> tuple[Any, ...]:
        ends = tuple(number for number in array("i", state[""]) if number < 0)
        found = self._combined.get(ends)
        if found is None:
            results = [self._results[-end - 1] for end in reversed(ends)]
            found = self._combined[ends] = self._combine(tuple(results))
        state["="] = found
        return found

    def _step(self, state: _State, digit: str) -> _State:
        """The state that follows a digit. Those that follow the other digits are built too: most are the same."""
        if len(self._built) > MAX_STATES:
            self._forget()
        following: list[set[int]] = [set() for _ in _DIGITS]
        after_any: set[int] = set()
        for number in array("i", state[""]):
            if number >= 0:
                digits, then = self._moves[number]
                if digits == _ANY:
                    after_any |= then
                else:
                    for place in _PLACES[digits]:
                        following[place] |= then
        usual = self._state(after_any)
        for one, numbers in zip(_DIGITS, following, strict=True):
            state[one] = self._state(numbers | after_any) if numbers else usual
        following_state: _State = state[digit]
        return following_state


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
