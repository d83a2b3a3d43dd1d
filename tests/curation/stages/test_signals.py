"""Histograms of signals: exact on both sides of every threshold, and the same for any batches."""

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
    """The histogram counts as many violations as the rule itself, also for values equal or next to the threshold."""
    rule = Rule("value", comparison, threshold, "rule")
    signals = struct(value=pa.array([*values, threshold, np.nextafter(threshold, 9e9), None], pa.float64()))
    counted = histograms("stage", signals, [rule])["stage.value"]
    assert counted.violating(rule) == violations(signals, rule).sum()
    assert sum(counted.counts) + counted.nulls == len(values) + 3


@few
@given(st.lists(st.integers(-3, 10**9), max_size=40), comparisons, st.sampled_from([0, 1, 50, 2.5, 100_000]))
def test_whole_numbers_have_whole_edges(values: list[int], comparison: str, threshold: float) -> None:
    """Histograms of integers are exact on each side too, and their edges are integers."""
    rule = Rule("value", comparison, threshold, "rule")
    signals = struct(value=pa.array([*values, 2, 3], pa.int64()))
    counted = histograms("stage", signals, [rule])["stage.value"]
    assert counted.violating(rule) == violations(signals, rule).sum()
    assert all(isinstance(edge, int) for edge in counted.edges if edge != 2.5)


@few
@given(st.lists(st.one_of(st.none(), numbers), max_size=40), st.integers(1, 9))
def test_parts_add_up(values: list[float | None], size: int) -> None:
    """For any partition of the values, the histograms add up to that of all values."""
    total = histogram(pa.array([], pa.float64()), [0.3])
    for start in range(0, len(values), size):
        total += histogram(pa.array(values[start : start + size], pa.float64()), [0.3])
    assert total == histogram(pa.array(values, pa.float64()), [0.3])
    assert Histogram.from_json(json.loads(json.dumps(total.to_json()))) == total


def test_bins_include_their_lower_edge() -> None:
    """counts[i] counts edges[i-1] <= value < edges[i], with a bin below the first edge and one above the last."""
    limits = edges(pa.int64(), [50])
    counted = histogram(pa.array([-(10**6), 50, 49, 10**9]), [50])
    at = limits.index(50)
    assert (limits[at], limits[at + 1], len(counted.counts)) == (50, 51, len(limits) + 1)
    assert [counted.counts[i] for i in (0, at, at + 1, len(limits))] == [1, 1, 1, 1]


def test_histograms_of_different_edges_do_not_add_up() -> None:
    """A changed threshold changes the edges, and adding such histograms is an error."""
    with pytest.raises(ValueError, match="different edges"):
        histogram(pa.array([1.0]), [0.31]) + histogram(pa.array([1.0]), [0.32])


def test_only_numbers_have_a_histogram() -> None:
    """A text signal, such as the cause of a failure, has no histogram; a boolean counts as 1 or 0."""
    signals = struct(cause=pa.array(["a", None]), yes=pa.array([True, False]))
    counted = histograms("stage", signals, [])
    assert list(counted) == ["stage.yes"]
    assert (sum(counted["stage.yes"].counts), counted["stage.yes"].nulls) == (2, 0)


def test_the_recipe_sets_what_is_kept() -> None:
    """The table has defaults, can be set, and is part of the recipe's fingerprint."""
    assert load("fineweb").table("signals") == SignalSettings(stored=True, all=False)
    changed = load("fineweb", ["signals.all=true"])
    assert changed.table("signals").all
    assert changed.fingerprint() != load("fineweb").fingerprint()


def test_stored_signals_keep_their_types() -> None:
    """A fraction is stored as a double: rounded, it could be on the other side of a threshold."""
    kind = pa.struct([("a.words", pa.int64()), ("a.share", pa.float64())])
    assert stored_schema(kind).names == ["id", "warc_offset", "a.words", "a.share"]
    assert stored_schema(kind).field("a.share").type == pa.float64()
