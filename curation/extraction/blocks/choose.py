"""Which blocks of a page are its main text."""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Float64s
from curation.running.compiled import kernel, sorted_rows

RECALL_WEIGHTS = {"precision": 0.5, "balanced": 1.0, "recall": 2.0}
"""Weight of recall against precision by what is favored: beta squared of the F-measure."""

UNSEEN_WORDS = 30.0
"""Words by which a page's main text is taken to be longer than its blocks: no tiny choice looks perfect."""


@kernel
def choose(shares: Float64s, words: Float64s, weight: float) -> Bools:
    """The blocks with the highest expected F-measure of words.

    There is no threshold: blocks are taken from the highest share down to where the expected F-measure of all that are
    taken is the highest: `sum of share * words / (words taken + weight * expected words of main text)`, but for a
    constant.

    Args:
        shares: Expected share of main text in each block, 0 to 1.
        words: Words of each block.
        weight: Weight of recall against precision (`RECALL_WEIGHTS`).

    Returns:
        Whether each block is taken.
    """
    order = sorted_rows(-shares, np.arange(len(shares)))
    denominator = weight * UNSEEN_WORDS
    for block in range(len(shares)):
        denominator += weight * shares[block] * words[block]
    hits, best, count = 0.0, 0.0, 0
    for place in range(len(order)):
        block = order[place]
        hits += shares[block] * words[block]
        denominator += words[block]
        if hits > best * denominator:
            best, count = hits / denominator, place + 1
    taken = np.zeros(len(shares), np.bool_)
    for place in range(count):
        taken[order[place]] = True
    return taken
