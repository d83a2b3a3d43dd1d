"""`AttributeTests` gives the same results for a value as the tests themselves."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.extraction.acceleration import attribute_tests
from curation.extraction.acceleration.attribute_tests import AttributeTests, literals_of

REGEXES = [
    "^(?:nav|side-?bar)",
    "foo.*bar|ba+z",
    "(?:ab){2,}c?",
    "a?",
    "[ab]c",
    "(^|\\s)link(\\s|$)",
    "x(?!y)",
    "é|nav",
    "",
]


def passed(tests: list[str], value: str) -> int:
    return sum(1 << place for place, regex in enumerate(tests) if re.search(regex, value))


@pytest.mark.parametrize(
    ("regex", "literals"),
    [
        ("^(?:nav|side-?bar)", {"nav", "side"}),
        ("foo.*longest", {"longest"}),
        ("(?:Ab)+", {"ab"}),
        ("a?b*", None),
        ("nav|a?", None),
        ("[xy]", None),
        ("été", None),
        ("", None),
    ],
)
def test_literals_of_a_regex(regex: str, literals: set[str] | None) -> None:
    """The literals that a match requires, in lowercase; None if there are none."""
    assert literals_of(regex) == (None if literals is None else frozenset(literals))


@given(st.lists(st.sampled_from(REGEXES), min_size=1, max_size=6), st.text("abcnvsidebr xyzliok-éſK", max_size=30))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_bits_are_the_results_of_the_tests(tests: list[str], value: str) -> None:
    """For any value, the bits are those of the tests that pass, at the first lookup and when remembered."""
    words = AttributeTests()
    for regex in tests:
        search = re.compile(regex).search
        words.register(lambda text, search=search: search(text) is not None, literals_of(regex))  # type: ignore[misc]
    assert words[value] == passed(tests, value) == words[value]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more values are remembered than the limit, long values are not, and results stay correct."""
    monkeypatch.setattr(attribute_tests, "MEMORY", 10)
    words = AttributeTests()
    words.register(lambda value: "nav" in value, frozenset(["nav"]))
    assert [words[f"nav{number}"] + words[f"x{number}"] for number in range(100)] == [1] * 100
    assert words["nav" * 1000] == 1
    assert len(words) <= 10
    assert all(len(value) < 200 for value in words)


def test_a_later_test_counts_too() -> None:
    """Registering a test after lookups clears what was remembered without it."""
    words = AttributeTests()
    words.register(lambda value: "a" in value, frozenset(["a"]))
    assert words["ab"] == 1
    words.register(lambda value: "b" in value, frozenset(["b"]))
    assert words["ab"] == 3
