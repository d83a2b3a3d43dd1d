"""An automaton that tells which of many expressions match a string of digits, in one pass over it.

The expressions of a numbering plan list thousands of prefixes, so matching one takes a microsecond, and there are many
regions to ask. The automaton takes 50 ns for a digit, and a few in a kernel, which reads its table. It is built while
it is used, state by state, which takes some microseconds for each.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate, chain
from threading import Lock
from typing import Any

import numpy as np

from curation.arrays import Int32s, Int64s
from curation.running.compiled import kernel

MAX_STATES = 1 << 15
"""States to keep. If there are more, all are forgotten and built again."""

_CAPACITY = 64
"""States to make room for at first."""

_TOKEN = re.compile(r"\\d|\d|\[[\d-]+\]|\(\??:?|[)|?]|\{\d+(?:,\d+)?\}")
_DIGITS = "0123456789"
_ANY = (1 << 10) - 1
_VALUES = bytes.maketrans(_DIGITS.encode(), bytes(range(10)))

_Positions = frozenset[int]


class Automaton:
    """Tells which expressions match a string of ASCII digits.

    Args:
        expressions: Pairs of a result and an expression of digits, classes, groups, alternatives, `?` and `{n,m}`.
        combine: Makes something else of the results of a match. It is called once for the same results.
        bits: What of the combined results kernels need to know, as 63 bits.

    Raises:
        ValueError: An expression has something else.

    >>> Automaton([("a", r"1[2-4]\\d{2}"), ("b", r"(?:12|99)\\d\\d?")]).match("1234")
    ('a', 'b')
    """

    def __init__(
        self,
        expressions: Iterable[tuple[Any, str]],
        combine: Callable[[tuple[Any, ...]], Any] = tuple,
        bits: Callable[[Any], int] = bool,
    ) -> None:
        self._combine, self._bits = combine, bits
        self._results: list[Any] = []
        numbers: dict[Any, int] = {}
        self._moves: list[tuple[int, _Positions]] = []
        self._known: dict[tuple[int, _Positions], int] = {}
        self._combined: dict[tuple[int, ...], Any] = {}
        start: set[int] = set()
        for result, expression in expressions:
            number = numbers.get(result)
            if number is None:
                self._results.append(result)
                number = numbers[result] = len(self._results)
            start |= self._add(_parsed(expression), frozenset((-number,)))
        self._start = array("i", sorted(start)).tobytes()
        digits, then = zip(*self._moves, strict=True) if self._moves else ((), ())
        self._table = (
            np.array(digits, np.int32),
            np.array([0, *accumulate(map(len, then))], np.int32),
            np.array([*chain.from_iterable(then)], np.int32),
        )
        self._states = self._no_states()

    def match(self, digits: str) -> Any:
        """The results of the expressions that match all of the digits, in their order, each once, and combined."""
        states = self.states()
        following, state = states.cells, states.start
        for digit in digits.encode().translate(_VALUES):
            after = following[state + digit]
            if not after:
                after = states.step(state, digit)
                following = states.cells
            state = after
            if state == states.dead:
                break
        return states.results[state // 10]

    def states(self) -> States:
        """The states that were built so far; none if there are too many."""
        if len(self._states) > MAX_STATES:
            self._states = self._no_states()
        return self._states

    def _no_states(self) -> States:
        return States(self._table, self._start, self._results_of, self._bits)

    def _results_of(self, ends: tuple[int, ...]) -> Any:
        """The combined results of places in `_results`, as negative numbers."""
        found = self._combined.get(ends)
        if found is None:
            results = [self._results[-end - 1] for end in reversed(ends)]
            found = self._combined[ends] = self._combine(tuple(results))
        return found

    def _add(self, node: Any, then: _Positions) -> _Positions:
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


class States:
    """The states of an automaton that were built so far. A state is named by its place in the table of what follows.

    Several threads may use it: nothing that is known changes.

    Args:
        moves: The digits, first and next positions of `_follow`.
        start: The positions that the automaton begins with.
        results_of: Returns the results of the expressions that have ended.
        bits_of: Returns the bits of results.

    Attributes:
        following: The state that follows a state after a digit, at the place of the state plus the digit; 0 if it is
            not known yet. Shape (10 times the capacity,).
        cells: The same, as Python reads it fastest.
        accepts: At the place of a state, divided by 10, the bits of its results.
        results: At the same place, its results.
        start: The state before the first digit.
        dead: The state from which nothing can match.
    """

    def __init__(
        self,
        moves: tuple[Int32s, Int32s, Int32s],
        start: bytes,
        results_of: Callable[[tuple[int, ...]], Any],
        bits_of: Callable[[Any], int],
    ) -> None:
        self._moves, self._results_of, self._bits_of, self._lock = moves, results_of, bits_of, Lock()
        self._places: dict[bytes, int] = {}
        # The sets of positions that the states stand for, as bytes: they take a tenth of the memory of sets, which the
        # garbage collector would search, too. No state has the place 0.
        self._keys: list[bytes] = [b""]
        self.results: list[Any] = [()]
        self.following: Int32s = np.zeros(10 * _CAPACITY, np.int32)
        self.accepts: Int64s = np.zeros(_CAPACITY, np.int64)
        self.cells = self.following.data
        self._found: Int32s = np.empty((11, _CAPACITY), np.int32)
        self.dead, self.start = self._place(b""), self._place(start)

    def __len__(self) -> int:
        return len(self._keys)

    def step(self, place: int, digit: int) -> int:
        """Build the states that follow a state, all ten since most are the same, and return one of them.

        Args:
            place: The state.
            digit: The digit before the state to return.
        """
        with self._lock:
            positions, sizes = np.frombuffer(self._keys[place // 10], np.int32), np.zeros(11, np.int64)
            while not _follow(positions, *self._moves, self._found, sizes):
                self._found = np.empty((11, 2 * self._found.shape[1]), np.int32)
            *counts, usual = sizes.tolist()
            after_any = self._place(self._found[-1, :usual].tobytes())
            for value, count in enumerate(counts):
                after = after_any if count == usual else self._place(self._found[value, :count].tobytes())
                self.cells[place + value] = after
            return self.cells[place + digit]

    def _place(self, key: bytes) -> int:
        """The state that stands for a set of positions in the expressions."""
        place = self._places.get(key)
        if place is None:
            number = len(self._keys)
            if number == len(self.accepts):
                self.following = np.append(self.following, np.zeros_like(self.following))
                self.accepts = np.append(self.accepts, np.zeros_like(self.accepts))
                self.cells = self.following.data
            place = self._places[key] = 10 * number
            self._keys.append(key)
            positions = array("i", key)
            self.results.append(self._results_of(tuple(positions[: bisect_left(positions, 0)])))
            self.accepts[number] = self._bits_of(self.results[number])
        return place


@kernel
def _follow(positions: Int32s, digits: Int32s, first: Int32s, then: Int32s, found: Int32s, sizes: Int64s) -> bool:
    """Find the positions that follow some positions in the expressions.

    Args:
        positions: The positions; the end of an expression is a negative number.
        digits: For each position, the digits that lead on, as bits.
        first: For each position, the place in `then` of the first position that follows; at last, the size of `then`.
        then: The positions that follow each position.
        found: Output, shape (11, most): for each digit the positions that follow, in ascending order; at last, those
            that follow any digit.
        sizes: Output: the number of them.

    Returns:
        Whether they fit.
    """
    for value in range(10, -1, -1):
        count = sizes[10] if value < 10 else 0
        for place in range(count):
            found[value, place] = found[10, place]
        for one in positions:
            if one < 0 or (digits[one] == _ANY) != (value == 10) or not digits[one] >> value % 10 & 1:
                continue
            for i in range(first[one], first[one + 1]):
                place = count
                while place > 0 and found[value, place - 1] > then[i]:
                    place -= 1
                if place > 0 and found[value, place - 1] == then[i]:
                    continue
                if count == found.shape[1]:
                    return False
                for other in range(count, place, -1):
                    found[value, other] = found[value, other - 1]
                found[value, place] = then[i]
                count += 1
        sizes[value] = count
    return True


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
