"""Histograms for display: nothing is lost when bins are joined, and bars lie on one side of a threshold."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.report.histograms import FEWEST, Bar, add_histogram, add_histograms, bars, beyond, drawn, inside
from curation.stages.rules import Rule
from curation.stages.signals import histogram

VIOLATED = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "==": operator.eq}

edges = st.lists(st.integers(-5, 40), min_size=1, max_size=30, unique=True).map(sorted)
property_test = settings(max_examples=150, deadline=None, derandomize=True)


def made(limits: list[int], values: list[int]) -> dict[str, Any]:
    counts = [0] * (len(limits) + 1)
    for value in values:
        counts[sum(edge <= value for edge in limits)] += 1
    return {"edges": limits, "counts": counts, "nulls": 1}


@property_test
@given(edges, edges, st.lists(st.integers(-9, 50)), st.lists(st.integers(-9, 50)))
def test_sums_over_common_edges(left: list[int], right: list[int], a: list[int], b: list[int]) -> None:
    """The sum is the histogram of all values over the edges that both have."""
    total = add_histogram(made(left, a), made(right, b))
    assert total == {**made(sorted({*left} & {*right}), a + b), "nulls": 2}


def test_names_that_one_side_has_stay() -> None:
    """Adding by name keeps what only one side measured."""
    one = made([1, 2], [0, 1, 5])
    assert add_histograms({"a": one}, {"b": one}) == {"a": one, "b": one}
    assert add_histograms({"a": one}, {"a": one})["a"]["counts"] == [2, 2, 2]


@property_test
@given(edges, st.lists(st.integers(-9, 50), min_size=1), st.integers(1, 12), st.data())
def test_bars_hold_every_value_once(limits: list[int], values: list[int], most: int, data: st.DataObject) -> None:
    """Bars follow upon each other, end at the edges asked for, and their counts are those of the values within."""
    keep = data.draw(st.lists(st.sampled_from(limits), unique=True, max_size=3))
    whole = made(limits, values)
    found = bars(whole, keep, most)
    assert sum(bar.count for bar in found) == len(values)
    for before, after in pairwise(found):
        assert before.high == after.low
    for bar in found:
        assert bar.count == inside(whole, bar)
        assert bar.count == sum(
            (bar.low is None or bar.low <= value) and (bar.high is None or value < bar.high) for value in values
        )
    assert {*keep} <= {bar.low for bar in found} | {bar.high for bar in found}


def test_many_bins_make_few_bars() -> None:
    """However many bins there are, no more than are asked for are drawn, and a lonely one has empty ones beside it."""
    assert len(bars(made(list(range(1000)), list(range(1000))), most=40)) <= 40
    assert len(bars(made(list(range(1000)), [3]))) == FEWEST
    assert bars(made([1, 2], [])) == []


@property_test
@given(
    st.sampled_from(sorted(VIOLATED)),
    st.sampled_from([0.0, 0.1, 0.3, 0.65, 1.0]),
    st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.1000001, 0.3, 0.5, 0.65, 0.9, 1.0, 7.5]), min_size=1),
)
def test_no_bar_lies_across_a_threshold(comparison: str, threshold: float, values: list[float]) -> None:
    """The bars beyond a threshold hold exactly the values that violate the rule, those that equal it included."""
    rule = Rule("x", comparison, threshold, "r")
    found = histogram(pa.array(values), [threshold]).to_json()
    shown, (cut,) = drawn(found, [rule])
    assert cut is not None
    keep = [cut] if comparison != "==" else [edge for edge in shown["edges"] if edge >= cut][:2]
    hit = sum(bar.count for bar in bars(shown, keep) if beyond(bar, rule, cut))
    assert hit == sum(VIOLATED[comparison](value, threshold) for value in values)


@pytest.mark.parametrize("threshold", [50.0, 1000.0])
def test_a_rule_without_an_edge_draws_no_line(threshold: float) -> None:
    """A threshold that the histogram does not know has no cut, and no bar is beyond it."""
    rule = Rule("x", "<", threshold, "r")
    shown, cuts = drawn(made([1, 2, 3], [1, 2]), [rule])
    assert cuts == [None]
    assert not beyond(Bar(1, 2, 1), rule, None)
    assert shown["counts"] == made([1, 2, 3], [1, 2])["counts"]
