"""Which of many tests an attribute's value passes: asked once for each distinct value, answered for all tests at once.

The class of an element is looked at by a dozen expressions, most of them regular expressions of many alternatives. One
pass of Aho-Corasick over the words that each test cannot do without leaves few tests to run, and for most values none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Test = Callable[[str], bool]
Literals = frozenset[str] | None
"""Lower-case strings of which any value that passes a test holds at least one, or None if that cannot be told."""

MEMORY = 16_384
"""Values remembered before the vocabulary starts anew: a few MB."""

LONGEST = 200
"""Characters of the longest value remembered."""


class AttributeTests(dict[str, int]):
    """Value → bits of the tests that it passes, remembered. `register` all tests before the first look-up."""

    def __init__(self) -> None:
        super().__init__()
        self.tests: list[Test] = []
        self.literals: list[Literals] = []
        self.filter: Callable[[str], int] | None = None

    def register(self, test: Test, literals: Literals) -> int:
        """The bit for a test of values, given the literals that it needs."""
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
            if not value.isascii():  # where ignoring case is more than lower-casing
                return every
            found = always
            for _, mask in automaton.iter(value.lower()):
                found |= mask
            return found

        return candidates if masks else lambda value: always


def literals_of(regex: str) -> Literals:
    """The literals that a match needs: "^(?:nav|side-?bar)" → {"nav", "side"}; None for "a?" and the like."""
    return _needed(re._parser.parse(regex))  # type: ignore[attr-defined]


def _needed(sequence: Iterable[tuple[Any, Any]]) -> Literals:
    """The best choice among the parts of a sequence, all of which a match holds."""
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
