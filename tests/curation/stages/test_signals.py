"""Histograms of signals: exact on both sides of every threshold, and the same however the documents are cut."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.recipes.recipe import load
from curation.stages.rules import Rule, violations
from curation.stages.signals import Histogram, SignalSettings, edges, histogram, histograms, stored_schema
from curation.stages.stage import struct

numbers = st.one_of(
    st.floats(allow_nan=True), st.floats(0, 1), st.integers(-5, 200).map(float), st.sampled_from([0.3, 50.0, 0.1 + 0.2])
)
comparisons = st.sampled_from(["<", ">", "<=", ">=", "==", "!="])
few = settings(deadline=None, derandomize=True, max_examples=150)


@few
@given(st.lists(numbers, max_size=40), comparisons, st.sampled_from([0.3, 50.0, 0.0, 1.0, 0.12, 10_000_000.0]))
def test_both_sides_of_a_threshold_are_exact(values: list[float], comparison: str, threshold: float) -> None:
    """The histogram counts as many violations of a rule as the rule finds, equality and its neighbours included."""
    rule = Rule("value", comparison, threshold, "rule")
    signals = struct(value=pa.array([*values, threshold, np.nextafter(threshold, 9e9), None], pa.float64()))
    found = histograms("stage", signals, [rule])["stage.value"]
    assert found.violating(rule) == violations(signals, rule).sum()
    assert sum(found.counts) + found.nulls == len(values) + 3


@few
@given(st.lists(st.integers(-3, 10**9), max_size=40), comparisons, st.sampled_from([0, 1, 50, 2.5, 100_000]))
def test_whole_numbers_have_whole_edges(values: list[int], comparison: str, threshold: float) -> None:
    """Counts too are exact on each side, and their edges are written without a fraction."""
    rule = Rule("value", comparison, threshold, "rule")
    signals = struct(value=pa.array([*values, 2, 3], pa.int64()))
    found = histograms("stage", signals, [rule])["stage.value"]
    assert found.violating(rule) == violations(signals, rule).sum()
    assert all(isinstance(edge, int) for edge in found.edges if edge != 2.5)


@few
@given(st.lists(st.one_of(st.none(), numbers), max_size=40), st.integers(1, 9))
def test_parts_add_up(values: list[float | None], size: int) -> None:
    """The histograms of any cut of the values add up to that of the whole."""
    total = histogram(pa.array([], pa.float64()), [0.3])
    for start in range(0, len(values), size):
        total += histogram(pa.array(values[start : start + size], pa.float64()), [0.3])
    assert total == histogram(pa.array(values, pa.float64()), [0.3])
    assert Histogram.from_json(json.loads(json.dumps(total.to_json()))) == total


def test_a_value_lies_from_its_lower_edge_up_to_the_next() -> None:
    """counts[i] are those with edges[i-1] <= value < edges[i]; below the first and from the last on are there too."""
    limits = edges(pa.int64(), [50])
    found = histogram(pa.array([-(10**6), 50, 49, 10**9]), [50])
    at = limits.index(50)
    assert (limits[at], limits[at + 1], len(found.counts)) == (50, 51, len(limits) + 1)
    assert [found.counts[i] for i in (0, at, at + 1, len(limits))] == [1, 1, 1, 1]


def test_histograms_of_different_edges_do_not_add_up() -> None:
    """A changed threshold changes the edges; adding such histograms would be wrong."""
    with pytest.raises(ValueError, match="different edges"):
        histogram(pa.array([1.0]), [0.31]) + histogram(pa.array([1.0]), [0.32])


def test_only_numbers_have_a_histogram() -> None:
    """A signal that is a text, such as the cause of a failure, has none; a yes or no counts as 1 or 0."""
    signals = struct(cause=pa.array(["a", None]), yes=pa.array([True, False]))
    found = histograms("stage", signals, [])
    assert list(found) == ["stage.yes"]
    assert (sum(found["stage.yes"].counts), found["stage.yes"].nulls) == (2, 0)


def test_the_recipe_sets_what_is_kept() -> None:
    """The table has defaults, can be set, and is a part of what the recipe's answers depend on."""
    assert load("fineweb").table("signals") == SignalSettings(stored=True, all=False)
    changed = load("fineweb", ["signals.all=true"])
    assert changed.table("signals").all
    assert changed.fingerprint() != load("fineweb").fingerprint()


def test_stored_signals_have_the_types_measured() -> None:
    """A fraction is stored as the double it is: a rounded one could fall on the other side of a threshold."""
    kind = pa.struct([("a.words", pa.int64()), ("a.share", pa.float64())])
    assert stored_schema(kind).names == ["id", "warc_offset", "a.words", "a.share"]
    assert stored_schema(kind).field("a.share").type == pa.float64()
