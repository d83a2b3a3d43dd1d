"""fastText's classification (src/dictionary.cc, loss.cc), applied directly to the UTF-8 of an Arrow column.

The arithmetic is fastText's: single precision in the same order, so the scores are equal. Nothing is allocated per word
or n-gram, which is where the library spends its time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.arrays import Float32s, Int64s, UInt8s
from curation.running.compiled import inner, kernel

_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)
_OPEN, _CLOSE = ord("<"), ord(">")
_SPACES = np.isin(np.arange(256), [0, 9, 10, 11, 12, 13, 32])
"""Whether a byte separates words."""
_LABEL_PREFIX = b"__label__"
_END_OF_LINE = b"</s>"
_WORD_NGRAM_FACTOR = np.uint64(116049371)
TAIL = 8
"""Bytes at the end of a word that are compared at once, as a number."""
FOUND_AT_ONCE = 4096
"""Rows found before they are added; more than an n-gram may have characters or words."""
_SIGMOID_LIMIT, _SIGMOID_STEPS = np.float32(8), np.float32(512)


@inner
def hash_step(value: Any, byte: Any) -> Any:
    """One step of FNV-1a, the byte sign-extended as in fastText."""
    return np.uint32((value ^ np.uint32(np.int8(byte))) * _PRIME)


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


@inner
def begins_with(data: Any, start: int, end: int, prefix: Any) -> bool:
    """Whether `data[start:end]` begins with the bytes `prefix`."""
    equal = 0
    while equal < len(prefix) and start + equal < end and data[start + equal] == prefix[equal]:
        equal += 1
    return equal == len(prefix)


@kernel
def fill_tails(tails: Any, word_bytes: Any, word_starts: Any) -> None:
    """Fill the last eight bytes of each word, as a number."""
    for number in range(len(word_starts) - 1):
        for byte in word_bytes[word_starts[number] : word_starts[number + 1]]:
            tails[number] = tails[number] << np.uint64(8) | np.uint64(byte)


@inner
def find_word(dictionary: Any, data: Any, start: int, end: int, value: Any, tail: Any) -> int:
    """The number of the word or label `data[start:end]`, whose hash is `value`, in the dictionary, or -1.

    Words with the same tail, the last eight bytes, differ only before it: most words need no comparison of bytes.
    """
    mask = np.uint64(len(dictionary.table) - 1)
    slot = np.uint64(value) & mask
    while dictionary.table[slot] >= 0:
        number = np.uint64(dictionary.table[slot])
        if dictionary.tails[number] == tail:
            first = dictionary.word_starts[number]
            size = dictionary.word_starts[number + np.uint64(1)] - first
            if size == end - start:
                at = 0
                while at < size - TAIL and data[start + at] == dictionary.word_bytes[first + at]:
                    at += 1
                if at >= size - TAIL:
                    return int(number)
        slot = (slot + np.uint64(1)) & mask
    return -1


@inner
def add_rows(matrix: Any, found: Any, count: int, hidden: Any) -> None:
    """Add the rows `found[:count]` of a matrix to `hidden`, in this order.

    In a loop of its own, the processor fetches many rows at a time; most of them are in no cache. The two numbers of a
    row of a model with two labels are added in registers.
    """
    if len(hidden) == 2:
        left, right = hidden[0], hidden[1]
        for place in range(count):
            row = np.uint64(found[place])
            left += matrix[row, 0]
            right += matrix[row, 1]
        hidden[0], hidden[1] = left, right
        return
    for place in range(count):
        row = np.uint64(found[place])
        for column in range(len(hidden)):
            hidden[column] += matrix[row, column]


@inner
def ones(word: Any) -> Any:
    """The number of bits of a 64-bit word that are set."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@inner
def bucket_row(ngrams: Any, bucket: Any) -> int:
    """The row of an n-gram bucket, -1 if it was pruned. Rows are in the order of the buckets that are left."""
    if len(ngrams.kept) == 0:
        return int(ngrams.first_row + bucket)
    bits = ngrams.kept[bucket >> 6] >> np.uint64(bucket & 63)
    if not bits & np.uint64(1):
        return -1
    return int(ngrams.ends[bucket >> 6] - ones(bits))


@inner
def find_words(
    dictionary: Any, data: Any, start: int, end: int, spelled: Any, ends: Any, numbers: Any, hashes: Any
) -> int:
    """Find the words of a text, without labels and with the end of the line as the last.

    Args:
        dictionary: The `Dictionary` of a model.
        data: UTF-8 bytes.
        start: First byte of the text in `data`.
        end: Byte after the text.
        spelled: Output: the words, each between brackets; of the end of the line, nothing. Empty if not wanted.
        ends: Output: where each word ends in `spelled`.
        numbers: Output: the number of each word in the dictionary, -1 for none.
        hashes: Output: the hash of each word.

    Returns:
        The number of words.
    """
    count, size = 0, 0
    place = start
    ended = False
    while not ended:
        while place < end and _SPACES[data[np.uint64(place)]]:
            place += 1
        if place >= end:
            break
        value, tail = _BASIS, np.uint64(0)
        first = place
        byte = data[np.uint64(place)]
        while not _SPACES[byte]:
            value = hash_step(value, byte)
            tail = tail << np.uint64(8) | np.uint64(byte)
            place += 1
            if place >= end:
                break
            byte = data[np.uint64(place)]
        number = find_word(dictionary, data, first, place, value, tail)
        if number >= dictionary.words or (number < 0 and begins_with(data, first, place, _LABEL_PREFIX)):
            continue
        ended = place - first == len(_END_OF_LINE) and begins_with(data, first, place, _END_OF_LINE)
        if len(spelled) and not ended:
            spelled[size] = _OPEN
            for at in range(first, place):
                size += 1
                spelled[size] = data[at]
            spelled[size + 1] = _CLOSE
            size += 2
        ends[count], numbers[count], hashes[count] = size, number, np.int32(value)
        count += 1
    if not ended:
        closing = np.frombuffer(_END_OF_LINE, np.uint8)
        value, tail = _BASIS, np.uint64(0)
        for byte in closing:
            value = hash_step(value, byte)
            tail = tail << np.uint64(8) | np.uint64(byte)
        number = find_word(dictionary, closing, 0, len(closing), value, tail)
        ends[count], numbers[count], hashes[count] = size, number, np.int32(value)
        count += 1
    return count


@inner
def find_rows(ngrams: Any, words: int, spelled: Any, ends: Any, numbers: Any, word: int, at: int, found: Any) -> Any:
    """Find the rows of words and of their n-grams of characters, until there is no more room.

    Args:
        ngrams: The `Ngrams` of a model.
        words: Number of words.
        spelled: As from `find_words`, and the next two.
        ends: Where each word ends in `spelled`.
        numbers: The row of each word, -1 for none.
        word: Word to begin with.
        at: Byte of `spelled` to begin with.
        found: Output: rows, in the library's order.

    Returns:
        The number of rows found, and the word and byte to go on with; the word is `words` after the last.
    """
    buckets = np.uint32(ngrams.buckets)
    room = len(found) - ngrams.longest - 1
    count = 0
    while word < words:
        begin, end = ends[word - 1] if word else 0, ends[word]
        if at == begin:
            if count > room:
                return count, word, at
            found[count] = numbers[word]
            count += int(numbers[word] >= 0)
        while at < end:
            if count > room and at > begin:
                return count, word, at
            value = _BASIS
            next_at = at
            for length in range(1, ngrams.longest + 1):
                if next_at >= end:
                    break
                value = hash_step(value, spelled[next_at])
                next_at += 1
                while next_at < end and spelled[next_at] & 0xC0 == 0x80:
                    value = hash_step(value, spelled[next_at])
                    next_at += 1
                if length < ngrams.shortest or (length == 1 and (at == begin or next_at == end)):
                    continue
                row = bucket_row(ngrams, np.int64(value % buckets))
                if row >= 0:
                    found[count] = row
                    count += 1
            at += 1
            while at < end and spelled[at] & 0xC0 == 0x80:
                at += 1
        word += 1
    return count, word, at


@inner
def find_word_ngrams(ngrams: Any, words: int, hashes: Any, word: int, found: Any) -> Any:
    """Find the rows of n-grams of words, until there is no more room.

    Args:
        ngrams: The `Ngrams` of a model.
        words: Number of words.
        hashes: Hashes of the words.
        word: Word to begin with.
        found: Output: rows, in the library's order.

    Returns:
        The number of rows found, and the word to go on with; it is `words` after the last.
    """
    buckets = np.uint64(ngrams.buckets)
    count = 0
    while word < words and count <= len(found) - ngrams.words:
        value = np.uint64(np.int64(hashes[word]))
        for end in range(word + 1, min(words, word + ngrams.words)):
            value = value * _WORD_NGRAM_FACTOR + np.uint64(np.int64(hashes[end]))
            row = bucket_row(ngrams, np.int64(value % buckets))
            if row >= 0:
                found[count] = row
                count += 1
        word += 1
    return count, word


@inner
def embed(model: Any, words: int, spelled: Any, ends: Any, numbers: Any, hashes: Any, found: Any, hidden: Any) -> int:
    """Compute the mean vector of the words and n-grams of a text.

    Args:
        model: The `Arrays` of a model.
        words: Number of words, as from `find_words`, and the next four.
        spelled: The words between brackets.
        ends: Where each word ends in `spelled`.
        numbers: The row of each word, -1 for none.
        hashes: Hashes of the words.
        found: Scratch buffer for rows, `FOUND_AT_ONCE`.
        hidden: Output, shape (dim,).

    Returns:
        The number of words and n-grams.
    """
    hidden[:] = 0
    added = 0
    word, at = 0, 0
    while word < words:
        count, word, at = find_rows(model.ngrams, words, spelled, ends, numbers, word, at, found)
        add_rows(model.rows, found, count, hidden)
        added += count
    word = 0 if model.ngrams.words > 1 else words
    while word < words:
        count, word = find_word_ngrams(model.ngrams, words, hashes, word, found)
        add_rows(model.rows, found, count, hidden)
        added += count
    if added:
        share = np.float32(1.0 / added)
        for column in range(len(hidden)):
            hidden[column] *= share
    return added


@inner
def dot(model: Any, row: int, hidden: Any) -> Any:
    """Dot product of an output row and the vector, summed from left to right."""
    total = np.float32(0)
    for column in range(len(hidden)):
        total += model.output[row, column] * hidden[column]
    return total * model.output_norms[row]


@inner
def safe_log(probability: Any) -> Any:
    """fastText's logarithm, which adds 1e-5 to the probability."""
    return np.float32(np.log(np.float64(probability) + 1e-5))


@inner
def right_probability(model: Any, row: int, hidden: Any) -> Any:
    """The probability of the right branch at a node of the tree."""
    return np.float32(1.0 / np.float64(np.float32(1) + np.exp(-dot(model, row, hidden))))


@inner
def best_leaf(model: Any, hidden: Any) -> Any:
    """The most probable label of the tree and its log probability; of equal ones, the leftmost.

    The likelier branch is followed first, so that few others are left to look at.
    """
    leaves = (len(model.tree.left) + 1) // 2
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
            if best < 0 or score > best_score or model.tree.places[node] < model.tree.places[best]:
                best, best_score = node, score
            continue
        right = right_probability(model, node - leaves, hidden)
        first = depth + (right > 0.5)
        second = 2 * depth + 1 - first
        nodes[first], scores[first] = model.tree.right[node], score + safe_log(right)
        nodes[second], scores[second] = model.tree.left[node], score + safe_log(np.float32(1.0 - np.float64(right)))
        depth += 2
    return best, best_score


@inner
def leaf_score(model: Any, label: int, hidden: Any) -> Any:
    """The log probability of a label in the tree."""
    score = np.float32(0)
    for step in range(model.tree.path_starts[label], model.tree.path_starts[label + 1]):
        right = right_probability(model, model.tree.paths[step], hidden)
        score += safe_log(right if model.tree.turns[step] else np.float32(1.0 - np.float64(right)))
    return score


@inner
def sigmoid(value: Any) -> Any:
    """fastText's sigmoid, by a table of 513 values from -8 to 8."""
    if value < -_SIGMOID_LIMIT:
        return np.float32(0)
    if value > _SIGMOID_LIMIT:
        return np.float32(1)
    step = np.int64((value + _SIGMOID_LIMIT) * _SIGMOID_STEPS / _SIGMOID_LIMIT / np.float32(2))
    place = np.float32(step * 2 * 8) / _SIGMOID_STEPS - _SIGMOID_LIMIT
    return np.float32(1.0 / (1.0 + np.float64(np.exp(-place))))


@inner
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
    most = longest // 2 + 2
    spelled = np.empty(longest + 2 * most if model.ngrams.longest else 0, np.uint8)
    ends, numbers, hashes = np.empty(most, np.int64), np.empty(most, np.int32), np.empty(most, np.int32)
    found = np.empty(FOUND_AT_ONCE, np.int32)
    hidden = np.empty(model.rows.shape[1], np.float32)
    outputs = np.empty(0 if len(model.tree.left) else model.output.shape[0], np.float32)
    for text in range(len(labels)):
        labels[text], scores[text] = -1, 0
        wanted_scores[text] = 0
        words = find_words(model.dictionary, data, starts[text], starts[text + 1], spelled, ends, numbers, hashes)
        if not embed(model, words, spelled, ends, numbers, hashes, found, hidden):
            continue
        if len(model.tree.left):
            label, score = best_leaf(model, hidden)
            labels[text], scores[text] = label, np.exp(score)
            for number in range(len(wanted)):
                wanted_scores[text, number] = np.exp(leaf_score(model, wanted[number], hidden))
        else:
            label = fill_outputs(model, hidden, outputs)
            labels[text], scores[text] = label, np.exp(safe_log(outputs[label]))
            for number in range(len(wanted)):
                wanted_scores[text, number] = np.exp(safe_log(outputs[wanted[number]]))
