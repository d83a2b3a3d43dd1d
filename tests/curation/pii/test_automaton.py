"""The automaton for digits: the same answers as regular expressions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import automaton
from curation.pii.automaton import Automaton, is_supported

EXPRESSIONS = ("1(?:2|34)\\d{2,4}", "[2-46]\\d?5|9", "(?:1[0-9]){2}(3|)", "12345", "\\d{3}", "1\\d{14,19}")
DIGITS = st.text("0123456789", max_size=8) | st.text("0123456789", min_size=14, max_size=22).map("1".__add__)


@settings(deadline=None, derandomize=True)
@given(st.lists(DIGITS, max_size=20))
def test_the_same_as_expressions(texts: list[str]) -> None:
    """A string of digits gives the results of all expressions that match it completely, in their order."""
    made = Automaton(enumerate(EXPRESSIONS))
    for text in texts:
        assert list(made.match(text)) == [place for place, one in enumerate(EXPRESSIONS) if re.fullmatch(one, text)]


def test_equal_results_are_given_once() -> None:
    """Of expressions with the same result, one that matches is enough, and two give it once."""
    made = Automaton([("a", "12?"), ("b", "1"), ("a", "1|34")])
    assert [made.match(digits) for digits in ("1", "12", "34", "2")] == [("a", "b"), ("a",), ("a",), ()]


def test_states_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """If there are more states than allowed, they are built again, and the answers are the same."""
    monkeypatch.setattr(automaton, "MAX_BYTES", 1000)
    made = Automaton(enumerate(EXPRESSIONS))
    for number in range(1000, 1400):
        text = str(number)
        assert list(made.match(text)) == [place for place, one in enumerate(EXPRESSIONS) if re.fullmatch(one, text)]
    assert len(made.states()) <= 8


def test_more_states_than_expected() -> None:
    """The tables grow with the states, and keep what they had."""
    made = Automaton([(True, "(?:1\\d|2[3-9]|5)(?:7[0-4]|\\d8|99){40}(?:00|11)")])
    digits = "25" + "71" * 40 + "11"
    assert made.match(digits) == made.match(digits) == (True,)
    states = made.states()
    assert len(states) > automaton._CAPACITY
    assert len(states.accepts) == len(states.following) // 10 >= len(states)
    assert sum(states.accepts.tolist()) == 1


@pytest.mark.parametrize("expression", ["1+", "(?=1)2", "1$", "(12", "1)", "a", "{2}", "\\1"])
def test_other_expressions(expression: str) -> None:
    """What is no expression of digits, classes, groups, alternatives and bounded repetitions is refused."""
    assert not is_supported(expression)
    with pytest.raises(ValueError, match=r"unexpected|unclosed"):
        Automaton([(True, expression)])


def test_more_expressions_are_added_when_they_are_needed() -> None:
    """Expressions of a number have states of their own, and are asked for once."""
    asked: list[int] = []

    def more(number: int) -> list[tuple[str, str]]:
        asked.append(number)
        return [(f"{number} {name}", expression) for name, expression in (("a", f"{number}\\d"), ("b", "5\\d?"))]

    made = Automaton([("first", "12\\d")], more=more)
    for _ in range(2):
        assert [made.match("123"), made.match("123", 7), made.match("72", 7)] == [("first",), (), ("7 a",)]
        assert [made.match("72", 8), made.match("82", 8), made.match("5", 8)] == [(), ("8 a",), ("8 b",)]
    assert asked == [7, 8]


def test_more_states_than_room_for_them() -> None:
    """Expressions that need more room than there is are found at once."""
    made = Automaton([], more=lambda number: [(number, "".join(str((number + place) % 10) for place in range(200)))])
    for number in range(3):
        assert made.match("".join(str((number + place) % 10) for place in range(200)), number) == (number,)


def test_equal_results_have_one_kind() -> None:
    """Results that are equal once they are combined are one kind to kernels, whatever expressions made them."""
    made = Automaton([(1, "1\\d"), (2, "12"), (3, "13")], lambda results: len(results) > 1, lambda found: found)
    assert [made.match(digits) for digits in ("11", "12", "13", "3")] == [False, True, True, False]
    assert made.combined == [False, True]
    states = made.states()
    assert {int(kind) for kind in states.kinds} == {0, 1}
    assert [bool(made.combined[kind]) for kind in states.kinds] == states.accepts.tolist()


@pytest.mark.parametrize(
    ("expression", "size"), [("", 0), ("00", 2), ("0(?:0|1[2-9])", 3), ("00(?:1[245]|2)?|119", 4), ("\\d{2,5}7?", 6)]
)
def test_longest(expression: str, size: int) -> None:
    """The longest match of an expression has as many digits."""
    assert automaton.longest(expression) == size
