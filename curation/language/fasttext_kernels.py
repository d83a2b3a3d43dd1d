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
_WORD_NGRAM_FACTOR = np.uint64(116049371)
_SIGMOID_LIMIT, _SIGMOID_STEPS = np.float32(8), np.float32(512)


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
def find_word(model: Any, data: Any, start: int, end: int, value: Any) -> int:
    """The number of the word or label `data[start:end]`, whose hash is `value`, in the dictionary, or -1."""
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
def add_row(matrix: Any, row: int, hidden: Any) -> None:
    """Add a row of a matrix to `hidden`."""
    for column in range(len(hidden)):
        hidden[column] += matrix[row, column]


@kernel
def bucket_row(model: Any, bucket: Any) -> int:
    """The row of an n-gram bucket, -1 if it was pruned.

    Callers add the row themselves: a kernel that finds and adds it makes classification ten times as slow.
    """
    if len(model.ngram_rows) == 0:
        return int(model.words + bucket)
    if not (model.ngram_kept[bucket >> 3] >> (bucket & 7)) & 1:
        return -1
    return int(model.ngram_rows[bucket])


@kernel
def add_ngrams(model: Any, word: Any, size: int, hidden: Any) -> int:
    """Add the vectors of the n-grams of `word[:size]`, which includes brackets, to `hidden`; returns their number."""
    added = 0
    buckets = np.uint32(model.buckets)
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
            row = bucket_row(model, np.int64(value % buckets))
            if row >= 0:
                add_row(model.rows, row, hidden)
                added += 1
    return added


@kernel
def add_word_ngrams(model: Any, hashes: Any, hidden: Any) -> int:
    """Add the vectors of the n-grams of words with these hashes to `hidden`; returns their number."""
    added = 0
    buckets = np.uint64(model.buckets)
    for first in range(len(hashes)):
        value = np.uint64(np.int64(hashes[first]))
        for last in range(first + 1, min(len(hashes), first + model.word_ngrams)):
            value = value * _WORD_NGRAM_FACTOR + np.uint64(np.int64(hashes[last]))
            row = bucket_row(model, np.int64(value % buckets))
            if row >= 0:
                add_row(model.rows, row, hidden)
                added += 1
    return added


@kernel
def embed(model: Any, data: Any, start: int, end: int, word: Any, hashes: Any, hidden: Any) -> int:
    """Compute the mean vector of the words and n-grams of a text.

    Args:
        model: The `Arrays` of a model.
        data: UTF-8 bytes.
        start: First byte of the text in `data`.
        end: Byte after the text.
        word: Scratch buffer, at least two bytes longer than the longest word.
        hashes: Scratch buffer int32, one longer than the text has words; empty if the model has no n-grams of words.
        hidden: Output, shape (dim,).

    Returns:
        The number of words and n-grams.
    """
    hidden[:] = 0
    added = 0
    place = start
    ended = False
    hashed = 0
    while place < end and not ended:
        byte = data[place]
        if byte == 32 or 9 <= byte <= 13 or byte == 0:
            place += 1
            continue
        first = place
        value = _BASIS
        while place < end and not (data[place] == 32 or 9 <= data[place] <= 13 or data[place] == 0):
            value = hash_step(value, data[place])
            place += 1
        number = find_word(model, data, first, place, value)
        if number >= model.words or (number < 0 and begins_with(data, first, place, _LABEL_PREFIX)):
            continue
        if number >= 0:
            add_row(model.rows, number, hidden)
            added += 1
        if model.word_ngrams > 1:
            hashes[hashed] = np.int32(value)
            hashed += 1
        ended = place - first == len(_END_OF_LINE) and begins_with(data, first, place, _END_OF_LINE)
        if model.longest > 0 and not ended:
            size = place - first + 2
            word[0], word[size - 1] = _OPEN, _CLOSE
            for offset in range(place - first):
                word[1 + offset] = data[first + offset]
            added += add_ngrams(model, word, size, hidden)
    if not ended:
        closing = np.frombuffer(_END_OF_LINE, np.uint8)
        value = _BASIS
        for byte in closing:
            value = hash_step(value, byte)
        number = find_word(model, closing, 0, len(_END_OF_LINE), value)
        if number >= 0:
            add_row(model.rows, number, hidden)
            added += 1
        if model.word_ngrams > 1:
            hashes[hashed] = np.int32(value)
            hashed += 1
    if model.word_ngrams > 1:
        added += add_word_ngrams(model, hashes[:hashed], hidden)
    if added:
        share = np.float32(1.0 / added)
        for column in range(len(hidden)):
            hidden[column] *= share
    return added


@kernel
def dot(model: Any, row: int, hidden: Any) -> Any:
    """Dot product of an output row and the vector, summed from left to right."""
    total = np.float32(0)
    for column in range(len(hidden)):
        total += model.output[row, column] * hidden[column]
    return total * model.output_norms[row]


@kernel
def safe_log(probability: Any) -> Any:
    """fastText's logarithm, which adds 1e-5 to the probability."""
    return np.float32(np.log(np.float64(probability) + 1e-5))


@kernel
def right_probability(model: Any, row: int, hidden: Any) -> Any:
    """The probability of the right branch at a node of the tree."""
    return np.float32(1.0 / np.float64(np.float32(1) + np.exp(-dot(model, row, hidden))))


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
def sigmoid(value: Any) -> Any:
    """fastText's sigmoid, by a table of 513 values from -8 to 8."""
    if value < -_SIGMOID_LIMIT:
        return np.float32(0)
    if value > _SIGMOID_LIMIT:
        return np.float32(1)
    step = np.int64((value + _SIGMOID_LIMIT) * _SIGMOID_STEPS / _SIGMOID_LIMIT / np.float32(2))
    place = np.float32(step * 2 * 8) / _SIGMOID_STEPS - _SIGMOID_LIMIT
    return np.float32(1.0 / (1.0 + np.float64(np.exp(-place))))


@kernel
def fill_outputs(model: Any, hidden: Any, outputs: Any) -> int:
    """Fill the probability of every label of a model without a tree; returns the most probable label."""
    highest = np.float32(-np.inf)
    for label in range(len(outputs)):
        outputs[label] = dot(model, label, hidden)
        highest = max(highest, outputs[label])
    if model.independent:
        for label in range(len(outputs)):
            outputs[label] = sigmoid(outputs[label])
    else:
        total = np.float32(0)
        for label in range(len(outputs)):
            outputs[label] = np.exp(np.float64(outputs[label] - highest))  # rounded once, as by the library
            total += outputs[label]
        for label in range(len(outputs)):
            outputs[label] /= total
    best = 0
    for label in range(len(outputs)):
        if outputs[label] > outputs[best]:
            best = label
    top = safe_log(outputs[best])
    for label in range(len(outputs)):  # the last of equal ones, as the library's heap gives
        if outputs[label] > 0.999 * outputs[best] and safe_log(outputs[label]) == top:
            best = label
    return best


@kernel
def classify(
    model: Any, data: UInt8s, starts: Int64s, wanted: Int64s, labels: Int64s, scores: Float32s, wanted_scores: Any
) -> None:
    """Classify texts.

    Args:
        model: The `Arrays` of a model.
        data: UTF-8 bytes of all texts.
        starts: Text `i` is `data[starts[i]:starts[i + 1]]`, shape (texts + 1,).
        wanted: Numbers of the labels for `wanted_scores`.
        labels: Output, shape (texts,): the most probable label, -1 if the text has no words.
        scores: Output, shape (texts,): the score of that label.
        wanted_scores: Output, shape (texts, wanted): the score of each label in `wanted`, 0 if the text has no words.
    """
    longest = 0
    for text in range(len(labels)):
        longest = max(longest, starts[text + 1] - starts[text])
    word = np.empty(longest + 2, np.uint8)
    hashes = np.empty(longest // 2 + 2 if model.word_ngrams > 1 else 0, np.int32)
    hidden = np.empty(model.rows.shape[1], np.float32)
    outputs = np.empty(0 if len(model.left) else model.output.shape[0], np.float32)
    for text in range(len(labels)):
        labels[text], scores[text] = -1, 0
        wanted_scores[text] = 0
        if not embed(model, data, starts[text], starts[text + 1], word, hashes, hidden):
            continue
        if len(model.left):
            label, score = best_leaf(model, hidden)
            labels[text], scores[text] = label, np.exp(score)
            for number in range(len(wanted)):
                wanted_scores[text, number] = np.exp(leaf_score(model, wanted[number], hidden))
        else:
            label = fill_outputs(model, hidden, outputs)
            labels[text], scores[text] = label, np.exp(safe_log(outputs[label]))
            for number in range(len(wanted)):
                wanted_scores[text, number] = np.exp(safe_log(outputs[wanted[number]]))
