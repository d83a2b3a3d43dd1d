"""Histograms for display: no value is lost when bins are joined, and no bar crosses a threshold."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.report.histograms import (
    MIN_BARS,
    Bar,
    add_histogram,
    add_histograms,
    bars,
    beyond,
    cut_at_thresholds,
    inside,
)
from curation.stages.rules import Rule
from curation.stages.signals import histogram

VIOLATED = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "==": operator.eq}

edges = st.lists(st.integers(-5, 40), min_size=1, max_size=30, unique=True).map(sorted)
property_test = settings(max_examples=150, deadline=None, derandomize=True)


def histogram_of(limits: list[int], values: list[int]) -> dict[str, Any]:
    counts = [0] * (len(limits) + 1)
    for value in values:
        counts[sum(edge <= value for edge in limits)] += 1
    return {"edges": limits, "counts": counts, "nulls": 1}


@property_test
@given(edges, edges, st.lists(st.integers(-9, 50)), st.lists(st.integers(-9, 50)))
def test_sums_over_common_edges(left: list[int], right: list[int], a: list[int], b: list[int]) -> None:
    """The sum is the histogram of all values over the common edges."""
    total = add_histogram(histogram_of(left, a), histogram_of(right, b))
    assert total == {**histogram_of(sorted({*left} & {*right}), a + b), "nulls": 2}


def test_names_of_one_side_are_kept() -> None:
    """Adding by name keeps histograms that only one side has."""
    one = histogram_of([1, 2], [0, 1, 5])
    assert add_histograms({"a": one}, {"b": one}) == {"a": one, "b": one}
    assert add_histograms({"a": one}, {"a": one})["a"]["counts"] == [2, 2, 2]


@property_test
@given(edges, st.lists(st.integers(-9, 50), min_size=1), st.integers(1, 12), st.data())
def test_bars_hold_every_value_once(limits: list[int], values: list[int], most: int, data: st.DataObject) -> None:
    """Bars are contiguous, end at the edges to keep, and count the values within them."""
    keep = data.draw(st.lists(st.sampled_from(limits), unique=True, max_size=3))
    source = histogram_of(limits, values)
    found = bars(source, keep, most)
    assert sum(bar.count for bar in found) == len(values)
    for before, after in pairwise(found):
        assert before.high == after.low
    for bar in found:
        assert bar.count == inside(source, bar)
        assert bar.count == sum(
            (bar.low is None or bar.low <= value) and (bar.high is None or value < bar.high) for value in values
        )
    assert {*keep} <= {bar.low for bar in found} | {bar.high for bar in found}


def test_many_bins_make_few_bars() -> None:
    """The number of bars is limited, and a single filled bin has empty ones next to it."""
    assert len(bars(histogram_of(list(range(1000)), list(range(1000))), most=40)) <= 40
    assert len(bars(histogram_of(list(range(1000)), [3]))) == MIN_BARS
    assert bars(histogram_of([1, 2], [])) == []


@property_test
@given(
    st.sampled_from(sorted(VIOLATED)),
    st.sampled_from([0.0, 0.1, 0.3, 0.65, 1.0]),
    st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.1000001, 0.3, 0.5, 0.65, 0.9, 1.0, 7.5]), min_size=1),
)
def test_no_bar_crosses_a_threshold(comparison: str, threshold: float, values: list[float]) -> None:
    """The bars beyond a threshold hold exactly the values that violate the rule, also if values equal the threshold."""
    rule = Rule("x", comparison, threshold, "r")
    found = histogram(pa.array(values), [threshold]).to_json()
    shown, (cut,) = cut_at_thresholds(found, [rule])
    assert cut is not None
    keep = [cut] if comparison != "==" else [edge for edge in shown["edges"] if edge >= cut][:2]
    hit = sum(bar.count for bar in bars(shown, keep) if beyond(bar, rule, cut))
    assert hit == sum(VIOLATED[comparison](value, threshold) for value in values)


@pytest.mark.parametrize("threshold", [50.0, 1000.0])
def test_a_rule_without_an_edge_draws_no_line(threshold: float) -> None:
    """A threshold that is not an edge of the histogram has no cut, and no bar is beyond it."""
    rule = Rule("x", "<", threshold, "r")
    shown, cuts = cut_at_thresholds(histogram_of([1, 2, 3], [1, 2]), [rule])
    assert cuts == [None]
    assert not beyond(Bar(1, 2, 1), rule, None)
    assert shown["counts"] == histogram_of([1, 2, 3], [1, 2])["counts"]
