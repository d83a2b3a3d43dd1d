"""Which of many tests the value of an attribute passes, computed for all tests at once and remembered.

The class of an element is tested by a dozen expressions, most of them regular expressions with many alternatives. One
pass of Aho-Corasick over the literals that each test requires leaves few tests to run, and for most values none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Test = Callable[[str], bool]
Literals = frozenset[str] | None
"""Lowercase strings of which any value that passes a test contains at least one; None if there are no such strings."""

MEMORY = 16_384
"""Number of values remembered before all are forgotten: a few MB."""

LONGEST = 200
"""Length in characters above which a value is not remembered."""


class AttributeTests(dict[str, int]):
    """Maps each value to the bits of the tests that it passes. `register` all tests before the first lookup."""

    def __init__(self) -> None:
        super().__init__()
        self.tests: list[Test] = []
        self.literals: list[Literals] = []
        self.filter: Callable[[str], int] | None = None

    def register(self, test: Test, literals: Literals) -> int:
        """Add a test of values, with the literals that it requires; returns its bit."""
        self.tests.append(test)
        self.literals.append(literals)
        self.filter = None
        self.clear()
        return 1 << (len(self.tests) - 1)

    def __missing__(self, value: str) -> int:
        if self.filter is None:
            self.filter = self._filter()
        candidates, passed = self.filter(value), 0
        while candidates:
            bit = candidates & -candidates
            if self.tests[bit.bit_length() - 1](value):
                passed |= bit
            candidates ^= bit
        if len(value) <= LONGEST:
            if len(self) >= MEMORY:
                self.clear()
            self[value] = passed
        return passed

    def _filter(self) -> Callable[[str], int]:
        """A function from a value to the bits of the tests it may pass."""
        import ahocorasick

        automaton, always, every, masks = ahocorasick.Automaton(), 0, (1 << len(self.tests)) - 1, dict[str, int]()
        for position, literals in enumerate(self.literals):
            if literals is None:
                always |= 1 << position
            for literal in literals or ():
                masks[literal] = masks.get(literal, 0) | 1 << position
        for literal, mask in masks.items():
            automaton.add_word(literal, mask)
        automaton.make_automaton()

        def candidates(value: str) -> int:
            if not value.isascii():  # ignoring case is then more than lowercasing
                return every
            bits = always
            for _, mask in automaton.iter(value.lower()):
                bits |= mask
            return bits

        return candidates if masks else lambda value: always


def literals_of(regex: str) -> Literals:
    """The literals that a match requires: "^(?:nav|side-?bar)" → {"nav", "side"}; None for "a?" and the like."""
    return _needed(re._parser.parse(regex))  # type: ignore[attr-defined]


def _needed(sequence: Iterable[tuple[Any, Any]]) -> Literals:
    """The longest literals among the parts of a sequence, all of which a match contains."""
    choices: list[frozenset[str]] = []
    run = ""
    for operation, argument in sequence:
        name = str(operation)
        if name == "LITERAL":
            run += chr(argument)
            continue
        choices, run = choices + _choice(run), ""
        inner = _inner(name, argument)
        if inner is not None:
            choices.append(inner)
    choices += _choice(run)
    return max(choices, key=lambda literals: min(map(len, literals)), default=None)


def _choice(run: str) -> list[frozenset[str]]:
    return [frozenset([run.lower()])] if run and run.isascii() else []


def _inner(name: str, argument: Any) -> Literals:
    if name == "SUBPATTERN":
        return _needed(argument[3])
    if name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] > 0:
        return _needed(argument[2])
    if name == "BRANCH":
        return _either([_needed(branch) for branch in argument[1]])
    return None


def _either(branches: Sequence[Literals]) -> Literals:
    return None if None in branches else frozenset().union(*(branch for branch in branches if branch is not None))
