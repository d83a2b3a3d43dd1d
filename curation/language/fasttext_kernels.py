"""fastText's classification (src/dictionary.cc, loss.cc), applied directly to the UTF-8 of an Arrow column.

The arithmetic is fastText's: single precision in the same order, so the scores are equal. Nothing is allocated per word
or n-gram, which is where the library spends its time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.arrays import Float32s, Int64s, UInt8s
from curation.running.compiled import kernel

_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)
_OPEN, _CLOSE = ord("<"), ord(">")
_LABEL_PREFIX = b"__label__"
_END_OF_LINE = b"</s>"


@kernel
def hash_step(value: Any, byte: Any) -> Any:
    """One step of FNV-1a, the byte sign-extended as in fastText."""
    wide = np.uint32(byte) if byte < 128 else np.uint32(byte) | np.uint32(0xFFFFFF00)
    return np.uint32((value ^ wide) * _PRIME)


@kernel
def fill_table(table: Any, word_bytes: Any, word_starts: Any) -> None:
    """Insert the numbers of all words into the hash table."""
    mask = len(table) - 1
    for number in range(len(word_starts) - 1):
        value = _BASIS
        for place in range(word_starts[number], word_starts[number + 1]):
            value = hash_step(value, word_bytes[place])
        slot = np.int64(value) & mask
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = number


@kernel
def begins_with(data: Any, start: int, end: int, prefix: Any) -> bool:
    """Whether `data[start:end]` begins with the bytes `prefix`."""
    equal = 0
    while equal < len(prefix) and start + equal < end and data[start + equal] == prefix[equal]:
        equal += 1
    return equal == len(prefix)


@kernel
def find_word(model: Any, data: Any, start: int, end: int) -> int:
    """The number of the word or label `data[start:end]` in the dictionary, or -1."""
    value = _BASIS
    for place in range(start, end):
        value = hash_step(value, data[place])
    mask = len(model.table) - 1
    slot = np.int64(value) & mask
    while model.table[slot] >= 0:
        number = model.table[slot]
        first = model.word_starts[number]
        size = model.word_starts[number + 1] - first
        if size == end - start and begins_with(data, start, end, model.word_bytes[first : first + size]):
            return int(number)
        slot = (slot + 1) & mask
    return -1


@kernel
def add_ngrams(model: Any, word: Any, size: int, hidden: Any) -> int:
    """Add the vectors of the n-grams of `word[:size]`, which includes brackets, to `hidden`; returns their number."""
    added = 0
    buckets, pruned = np.uint32(model.buckets), len(model.ngram_rows) > 0
    for start in range(size):
        if word[start] & 0xC0 == 0x80:
            continue
        value = _BASIS
        end = start
        for length in range(1, model.longest + 1):
            if end >= size:
                break
            value = hash_step(value, word[end])
            end += 1
            while end < size and word[end] & 0xC0 == 0x80:
                value = hash_step(value, word[end])
                end += 1
            if length < model.shortest or (length == 1 and (start == 0 or end == size)):
                continue
            bucket = np.int64(value % buckets)
            if pruned and not (model.ngram_kept[bucket >> 3] >> (bucket & 7)) & 1:
                continue
            row = np.int64(model.ngram_rows[bucket]) if pruned else model.words + bucket
            if row >= 0:
                for column in range(len(hidden)):
                    hidden[column] += model.rows[row, column]
                added += 1
    return added


@kernel
def embed(model: Any, data: Any, start: int, end: int, word: Any, hidden: Any) -> int:
    """Compute the mean vector of the words and n-grams of a text.

    Args:
        model: The `Arrays` of a model.
        data: UTF-8 bytes.
        start: First byte of the text in `data`.
        end: Byte after the text.
        word: Scratch buffer, at least two bytes longer than the longest word.
        hidden: Output, shape (dim,).

    Returns:
        The number of words and n-grams.
    """
    hidden[:] = 0
    added = 0
    place = start
    ended = False
    while place < end and not ended:
        byte = data[place]
        if byte == 32 or 9 <= byte <= 13 or byte == 0:
            place += 1
            continue
        first = place
        while place < end and not (data[place] == 32 or 9 <= data[place] <= 13 or data[place] == 0):
            place += 1
        number = find_word(model, data, first, place)
        if number >= model.words or (number < 0 and begins_with(data, first, place, _LABEL_PREFIX)):
            continue
        if number >= 0:
            for column in range(len(hidden)):
                hidden[column] += model.rows[number, column]
            added += 1
        ended = place - first == len(_END_OF_LINE) and begins_with(data, first, place, _END_OF_LINE)
        if model.longest > 0 and not ended:
            size = place - first + 2
            word[0], word[size - 1] = _OPEN, _CLOSE
            for offset in range(place - first):
                word[1 + offset] = data[first + offset]
            added += add_ngrams(model, word, size, hidden)
    if not ended:
        number = find_word(model, np.frombuffer(_END_OF_LINE, np.uint8), 0, len(_END_OF_LINE))
        if number >= 0:
            for column in range(len(hidden)):
                hidden[column] += model.rows[number, column]
            added += 1
    if added:
        share = np.float32(1.0 / added)
        for column in range(len(hidden)):
            hidden[column] *= share
    return added


@kernel
def dot(matrix: Any, row: int, hidden: Any) -> Any:
    """Dot product of a row and the vector, summed from left to right."""
    total = np.float32(0)
    for column in range(len(hidden)):
        total += matrix[row, column] * hidden[column]
    return total


@kernel
def safe_log(probability: Any) -> Any:
    """fastText's logarithm, which adds 1e-5 to the probability."""
    return np.float32(np.log(np.float64(probability) + 1e-5))


@kernel
def right_probability(model: Any, row: int, hidden: Any) -> Any:
    """The probability of the right branch at a node of the tree."""
    return np.float32(1.0 / np.float64(np.float32(1) + np.exp(-dot(model.output, row, hidden))))


@kernel
def best_leaf(model: Any, hidden: Any) -> Any:
    """The most probable label of the tree and its log probability."""
    leaves = (len(model.left) + 1) // 2
    nodes = np.empty(leaves + 1, np.int64)
    scores = np.empty(leaves + 1, np.float32)
    nodes[0], scores[0] = 2 * leaves - 2, 0
    depth = 1
    best, best_score = -1, np.float32(-np.inf)
    while depth:
        depth -= 1
        node, score = nodes[depth], scores[depth]
        if score < best_score:
            continue
        if node < leaves:
            if best < 0 or score > best_score:
                best, best_score = node, score
            continue
        right = right_probability(model, node - leaves, hidden)
        nodes[depth], scores[depth] = model.right[node], score + safe_log(right)
        nodes[depth + 1], scores[depth + 1] = model.left[node], score + safe_log(np.float32(1.0 - np.float64(right)))
        depth += 2
    return best, best_score


@kernel
def leaf_score(model: Any, label: int, hidden: Any) -> Any:
    """The log probability of a label in the tree."""
    score = np.float32(0)
    for step in range(model.path_starts[label], model.path_starts[label + 1]):
        right = right_probability(model, model.paths[step], hidden)
        score += safe_log(right if model.turns[step] else np.float32(1.0 - np.float64(right)))
    return score


@kernel
def classify(
    model: Any, data: UInt8s, starts: Int64s, wanted: Int64s, labels: Int64s, scores: Float32s, wanted_scores: Float32s
) -> None:
    """Classify texts.

    Args:
        model: The `Arrays` of a model.
        data: UTF-8 bytes of all texts.
        starts: Text `i` is `data[starts[i]:starts[i + 1]]`, shape (texts + 1,).
        wanted: Numbers of the labels for `wanted_scores`.
        labels: Output, shape (texts,): the most probable label, -1 if the text has no words.
        scores: Output, shape (texts,): the score of that label.
        wanted_scores: Output, shape (texts,): the highest score among the labels `wanted`, 0 if there are none.
    """
    longest = 0
    for text in range(len(labels)):
        longest = max(longest, starts[text + 1] - starts[text])
    word = np.empty(longest + 2, np.uint8)
    hidden = np.empty(model.rows.shape[1], np.float32)
    for text in range(len(labels)):
        labels[text], scores[text], wanted_scores[text] = -1, 0, 0
        if not embed(model, data, starts[text], starts[text + 1], word, hidden):
            continue
        if len(model.left):
            label, score = best_leaf(model, hidden)
            labels[text], scores[text] = label, np.exp(score)
            for wanted_label in wanted:
                wanted_scores[text] = max(wanted_scores[text], np.exp(leaf_score(model, wanted_label, hidden)))
        else:
            labels[text] = softmax(model, hidden, wanted, scores[text : text + 1], wanted_scores[text : text + 1])


@kernel
def softmax(model: Any, hidden: Any, wanted: Any, score: Any, wanted_score: Any) -> int:
    """The most probable label of a plain softmax; fills its score and the highest score of the wanted labels."""
    count = model.output.shape[0]
    values = np.empty(count, np.float32)
    best = 0
    for label in range(count):
        values[label] = dot(model.output, label, hidden)
        if values[label] > values[best]:
            best = label
    highest = values[best]
    total = np.float32(0)
    for label in range(count):
        values[label] = np.exp(values[label] - highest)
        total += values[label]
    score[0] = np.exp(safe_log(values[best] / total))
    for label in wanted:
        wanted_score[0] = max(wanted_score[0], np.exp(safe_log(values[label] / total)))
    return best
