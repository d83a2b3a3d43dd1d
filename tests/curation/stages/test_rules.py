"""Rules: the first violated rule is the reason."""

from __future__ import annotations

import pytest

from curation.stages.rules import Rule, decide, violations
from curation.stages.stage import struct

SIGNALS = struct(a=[1.0, 5.0, None, float("nan")], b=[1, 9, 9, 1])
RULES = (Rule("a", ">", 2, "max_a"), Rule("b", ">", 5, "max_b"))


def test_the_first_violated_rule_is_the_reason() -> None:
    """Order decides between two violated rules; a null or NaN value violates nothing."""
    assert decide(SIGNALS, RULES).to_pylist() == [None, "max_a", "max_b", None]


def test_violations_do_not_depend_on_order() -> None:
    """Violations of a rule are counted whether or not another rule comes first."""
    assert violations(SIGNALS, RULES[1]).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("<", [True, False, False]),
        ("<=", [True, True, False]),
        (">", [False, False, True]),
        (">=", [False, True, True]),
    ],
)
def test_comparisons(comparison: str, expected: list[bool]) -> None:
    """Each comparison includes or excludes the threshold itself as its operator says."""
    assert violations(struct(x=[1, 2, 3]), Rule("x", comparison, 2, "x")).tolist() == expected


def test_an_unknown_comparison_is_refused() -> None:
    """A rule that cannot be evaluated cannot be created."""
    with pytest.raises(ValueError, match="comparison '=>'"):
        Rule("a", "=>", 1, "a")


def test_no_rules_remove_nothing() -> None:
    """An empty table of rules keeps every row."""
    assert decide(SIGNALS, ()).null_count == 4
