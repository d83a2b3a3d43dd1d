"""Table [dedup] of the recipe: values it refuses, and the bands and rows it chooses."""

from __future__ import annotations

from typing import Any

import pytest

from curation.dedup.settings import PERMUTATIONS, DedupSettings
from curation.errors import ParameterError


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("variant", "other"),
        ("ngram", 0),
        ("threshold", 0.0),
        ("threshold", 1.5),
        ("bands", 8),
        ("rows", 8),
        ("seed", -1),
        ("survivor", "best:"),
        ("survivor", "shortest"),
        ("mode", "neither"),
        ("max_cluster_size", 1),
        ("max_line_documents", 0),
        ("line_scope", "page"),
    ],
)
def test_bad_values_are_named(key: str, value: Any) -> None:
    """An invalid value, also bands without rows, is refused with its key."""
    with pytest.raises(ParameterError) as caught:
        DedupSettings(**{key: value})
    assert caught.value.key in (key, {"bands": "rows", "rows": "bands"}.get(key))


def test_bands_and_rows() -> None:
    """Given bands and rows are used; else they follow from the threshold, FineWeb's own at its nominal 0.72."""
    assert DedupSettings(bands=20, rows=5, threshold=0.9).banding == (20, 5)
    assert DedupSettings(threshold=0.72).banding == (14, 8)
    for threshold in (0.01, 0.3, 0.5, 0.8, 0.9, 0.99, 1.0):
        chosen = DedupSettings(threshold=threshold)
        assert chosen.permutations <= PERMUTATIONS
        assert chosen.probability(min(1.0, threshold + 0.1)) > 0.9
        assert chosen.probability(max(0.0, threshold - 0.3)) < 0.5


def test_the_curve() -> None:
    """The probability is 1 − (1 − s⁸)¹⁴ as published: 0.56 at 0.70, 0.77 at 0.75, 0.92 at 0.80."""
    curve = DedupSettings(bands=14, rows=8).probability
    assert [round(curve(value), 2) for value in (0.0, 0.7, 0.75, 0.8, 1.0)] == [0.0, 0.56, 0.77, 0.92, 1.0]
