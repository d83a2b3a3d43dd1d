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
from itertools import chain
from threading import Lock
from typing import Any

import numpy as np

from curation.arrays import Bools, Int32s, Int64s
from curation.running.compiled import kernel

MAX_BYTES = 1 << 28
"""Memory of the states to keep. If they take more, all are forgotten and built again."""
_BYTES = 256
"""Memory of a state besides its positions."""

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
        is_wanted: Whether kernels look for such combined results.
        more: Returns other expressions by a number from 0 to 999, which are added when they are needed.

    Raises:
        ValueError: An expression has something else.

    >>> Automaton([("a", r"1[2-4]\\d{2}"), ("b", r"(?:12|99)\\d\\d?")]).match("1234")
    ('a', 'b')
    """

    def __init__(
        self,
        expressions: Iterable[tuple[Any, str]],
        combine: Callable[[tuple[Any, ...]], Any] = tuple,
        is_wanted: Callable[[Any], bool] = bool,
        more: Callable[[int], Iterable[tuple[Any, str]]] = lambda _: (),
    ) -> None:
        self._combine, self.is_wanted, self._more = combine, is_wanted, more
        self._results: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._moves: list[tuple[int, _Positions]] = []
        self._known: dict[tuple[int, _Positions], int] = {}
        self._kinds: dict[tuple[int, ...], int] = {(): 0}
        self.combined: list[Any] = [combine(())]
        self._kind_of: dict[Any, int] = {self.combined[0]: 0}
        self._starts: dict[int, bytes] = {}
        self.table = (np.empty(0, np.int32), np.zeros(1, np.int32), np.empty(0, np.int32))
        self._start = self._added(expressions)
        self._states = States(self, self._start)

    def match(self, digits: str, more: int | None = None) -> Any:
        """The results of the expressions that match all of the digits, in their order, each once, and combined.

        Args:
            digits: The digits.
            more: The number of the expressions, if they are not the first ones.
        """
        states = self.states()
        state = states.start if more is None else states.origin(more)
        following = states.cells
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
        if self._states.size > MAX_BYTES:
            self._states = States(self, self._start)
        return self._states

    def kind_of(self, ends: tuple[int, ...]) -> int:
        """The place in `combined` of the results with some places in `_results`, which are given as negative numbers.

        There is nothing at place 0.
        """
        kind = self._kinds.get(ends)
        if kind is None:
            combined = self._combine(tuple(self._results[-end - 1] for end in reversed(ends)))
            kind = self._kind_of.setdefault(combined, len(self.combined))
            if kind == len(self.combined):
                self.combined.append(combined)
            self._kinds[ends] = kind
        return kind

    def start_of(self, more: int) -> bytes:
        """The positions with which the expressions of a number begin; they are added if they are not known yet."""
        if more not in self._starts:
            self._starts[more] = self._added(self._more(more))
        return self._starts[more]

    def _added(self, expressions: Iterable[tuple[Any, str]]) -> bytes:
        """Add expressions, and return the positions with which they begin."""
        start: set[int] = set()
        for result, expression in expressions:
            number = self._numbers.get(result)
            if number is None:
                self._results.append(result)
                number = self._numbers[result] = len(self._results)
            start |= self._add(_parsed(expression), frozenset((-number,)))
        digits, first, then = self.table
        added = self._moves[len(digits) :]
        sizes = np.array([len(following) for _, following in added], np.int32)
        self.table = (
            np.append(digits, np.array([one for one, _ in added], np.int32)),
            np.append(first, first[-1] + np.cumsum(sizes, dtype=np.int32)),
            np.append(then, np.array([*chain.from_iterable(following for _, following in added)], np.int32)),
        )
        return array("i", sorted(start)).tobytes()

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
        automaton: The automaton.
        start: The positions that it begins with.

    Attributes:
        following: The state that follows a state after a digit, at the place of the state plus the digit; 0 if it is
            not known yet. Shape (10 times the capacity,).
        cells: The same, as Python reads it fastest.
        kinds: At the place of a state, divided by 10, the place of its results in `Automaton.combined`.
        accepts: At the same place, whether they are wanted.
        results: At the same place, its results.
        start: The state before the first digit.
        size: Number of bytes that they take.
        origins: The states before the first digit of other expressions by their number; 0 if not known yet. Shape
            (1000,).
        dead: The state from which nothing can match.
    """

    def __init__(self, automaton: Automaton, start: bytes) -> None:
        self._automaton, self._lock = automaton, Lock()
        self._places: dict[bytes, int] = {}
        # The sets of positions that the states stand for, as bytes: they take a tenth of the memory of sets, which the
        # garbage collector would search, too. No state has the place 0.
        self._keys: list[bytes] = [b""]
        self.size = 0
        self.results: list[Any] = [automaton.combined[0]]
        self.following: Int32s = np.zeros(10 * _CAPACITY, np.int32)
        self.kinds: Int32s = np.zeros(_CAPACITY, np.int32)
        self.accepts: Bools = np.zeros(_CAPACITY, np.bool_)
        self.origins: Int32s = np.zeros(1000, np.int32)
        self.cells = self.following.data
        self._found: Int32s = np.empty((11, _CAPACITY), np.int32)
        self.dead, self.start = self._place(b""), self._place(start)

    def __len__(self) -> int:
        return len(self._keys)

    def origin(self, more: int) -> int:
        """The state before the first digit of the expressions of a number."""
        if not self.origins[more]:
            with self._lock:
                self.origins[more] = self._place(self._automaton.start_of(more))
        return int(self.origins[more])

    def step(self, place: int, digit: int) -> int:
        """Build the states that follow a state, all ten since most are the same, and return one of them.

        Args:
            place: The state.
            digit: The digit before the state to return.
        """
        with self._lock:
            positions, sizes = np.frombuffer(self._keys[place // 10], np.int32), np.zeros(11, np.int64)
            while not _follow(positions, *self._automaton.table, self._found, sizes):
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
                self.kinds = np.append(self.kinds, np.zeros_like(self.kinds))
                self.accepts = np.append(self.accepts, np.zeros_like(self.accepts))
                self.cells = self.following.data
            place = self._places[key] = 10 * number
            self._keys.append(key)
            self.size += len(key) + _BYTES
            positions = array("i", key)
            kind = self._automaton.kind_of(tuple(positions[: bisect_left(positions, 0)]))
            self.results.append(self._automaton.combined[kind])
            self.kinds[number], self.accepts[number] = kind, self._automaton.is_wanted(self.results[number])
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


def longest(expression: str) -> int:
    """The number of digits of the longest match of an expression."""
    return _longest(_parsed(expression))


def _longest(node: Any) -> int:
    kind, *rest = node
    if kind == "digit":
        return 1
    if kind == "repeated":
        return _longest(rest[0]) * int(rest[2])
    sizes = map(_longest, rest[0])
    return sum(sizes) if kind == "sequence" else max(sizes, default=0)


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
