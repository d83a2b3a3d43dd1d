"""The features of the linear quality model: words and pairs of words, hashed, straight from UTF-8.

A word is a run of ASCII letters and digits and of characters beyond ASCII; letters are compared in lower case and all
digits are alike. Line breaks, Markdown and punctuation are no features, so reformatting a text hardly changes its
score.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.arrays import Float32s, Float64s, Int32s, Int64s, UInt8s
from curation.running.compiled import kernel

_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)
_MIX = np.uint32(2654435769)


def _classes() -> UInt8s:
    """What each byte counts as: 0 separates words, digits are alike, letters are lower case."""
    table = np.zeros(256, np.uint8)
    for byte in range(256):
        if byte >= 0x80 or chr(byte).isalpha():
            table[byte] = ord(chr(byte).lower()) if byte < 0x80 else byte
        elif chr(byte).isdigit():
            table[byte] = ord("0")
    return table


CLASSES = _classes()


@kernel
def fill_features(data: Any, start: int, end: int, classes: Any, shift: Any, features: Any) -> int:
    """Fill the features of a text; returns their number, which is below twice the number of words.

    Args:
        data: UTF-8 bytes.
        start: First byte of the text.
        end: Byte after the text.
        classes: `CLASSES`.
        shift: 32 minus the base-2 logarithm of the number of weights, uint32.
        features: Output, int32, at least as long as the text has bytes, plus one.
    """
    count = 0
    before = np.uint32(0)
    place = start
    while place < end:
        value = _BASIS
        first = place
        while place < end and classes[data[place]] != 0:
            value = np.uint32((value ^ np.uint32(classes[data[place]])) * _PRIME)
            place += 1
        if place == first:
            place += 1
            continue
        value = np.uint32((value ^ (value >> np.uint32(15))) * _MIX)
        features[count] = np.int32(value >> shift)
        count += 1
        if before != 0:
            pair = np.uint32((before * np.uint32(31) + value) * _MIX)
            pair = np.uint32((pair ^ (pair >> np.uint32(15))) * _MIX)
            features[count] = np.int32(pair >> shift)
            count += 1
        before = value | np.uint32(1)
    return count


@kernel
def score_texts(
    weights: Float32s, bias: float, classes: UInt8s, shift: Any, data: UInt8s, starts: Int64s, scores: Float64s
) -> None:
    """The probability of high quality of every text: the logistic function of the mean weight of its features.

    Args:
        weights: float32, a power of two.
        bias: Added to the mean.
        classes: `CLASSES`.
        shift: As in `fill_features`.
        data: UTF-8 bytes of all texts.
        starts: Text `i` is `data[starts[i]:starts[i + 1]]`, shape (texts + 1,).
        scores: Output, shape (texts,).
    """
    longest = 0
    for text in range(len(scores)):
        longest = max(longest, starts[text + 1] - starts[text])
    features = np.empty(longest + 1, np.int32)
    for text in range(len(scores)):
        count = fill_features(data, starts[text], starts[text + 1], classes, shift, features)
        total = 0.0
        for feature in features[:count]:
            total += weights[feature]
        scores[text] = 1.0 / (1.0 + np.exp(-(bias + total / max(count, 1))))


@kernel
def descend(
    weights: Float64s,
    squares: Float64s,
    bias: Float64s,
    features: Int32s,
    starts: Int64s,
    targets: Float64s,
    costs: Float64s,
    order: Int64s,
    rate: float,
    decay: float,
) -> None:
    """One pass of AdaGrad over texts for logistic regression on the mean of weights.

    Args:
        weights: Weights, changed.
        squares: Sums of squared gradients, changed.
        bias: The bias and its sum of squared gradients, shape (2,), changed.
        features: Features of all texts, one text after another.
        starts: Where each text's features start, shape (texts + 1,).
        targets: 1 for a good text, 0 for another, shape (texts,).
        costs: Weight of each text, shape (texts,).
        order: The texts in the order of the pass.
        rate: Learning rate.
        decay: Share of a weight that is taken off for each use of it, times the rate (L2).
    """  # fmt: skip
    for text in order:
        first, last = starts[text], starts[text + 1]
        count = max(1, last - first)
        total = 0.0
        for place in range(first, last):
            total += weights[features[place]]
        slope = (1.0 / (1.0 + np.exp(-(bias[0] + total / count))) - targets[text]) * costs[text]
        bias[1] += slope * slope
        bias[0] -= 0.1 * rate * slope / np.sqrt(bias[1] + 1e-12)
        step = slope / count
        for place in range(first, last):
            feature = features[place]
            gradient = step + decay * weights[feature] / count
            squares[feature] += gradient * gradient
            weights[feature] -= rate * gradient / np.sqrt(squares[feature] + 1e-12)
