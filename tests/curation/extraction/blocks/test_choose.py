"""Blocks are chosen by their expected F-measure."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.extraction.blocks.choose import RECALL_WEIGHTS, UNSEEN_WORDS, choose

BLOCKS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 200)), max_size=8)


@settings(deadline=None)
@given(BLOCKS, st.sampled_from(sorted(RECALL_WEIGHTS.values())))
def test_no_other_number_of_blocks_is_better(blocks: list[tuple[float, int]], weight: float) -> None:
    """What is taken has the highest expected F-measure of all choices of the blocks with the highest shares."""
    shares = np.array([share for share, _ in blocks], np.float64)
    words = np.array([count for _, count in blocks], np.float64)
    expected = weight * (UNSEEN_WORDS + (shares * words).sum())

    def measure(taken: np.ndarray) -> float:
        return float((shares * words)[taken].sum() / (expected + words[taken].sum()))

    order = np.argsort(-shares)
    best = max((measure(order[:count]) for count in range(len(blocks) + 1)), default=0.0)
    assert np.isclose(measure(np.flatnonzero(choose(shares, words, weight))), best)


def test_precision_takes_less_than_recall() -> None:
    """A block that is as likely main text as not is taken with balance, and left out for precision."""
    shares, words = np.array([0.9, 0.55]), np.array([300.0, 100.0])
    assert choose(shares, words, RECALL_WEIGHTS["precision"]).tolist() == [True, False]
    assert choose(shares, words, RECALL_WEIGHTS["balanced"]).tolist() == [True, True]
