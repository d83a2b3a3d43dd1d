"""The matcher: finds the fields of benchmark items in texts by exact n-grams of words.

N-grams are looked up by hash behind a bitmap that rules most of them out. A hit is a place in a field of an item; from
there, words that are equal on both sides are counted along the diagonal, so a replaced word costs only itself. All
words that count are compared letter by letter in the end, so no hash collision makes a match.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.arrays import Int64s, UInt8s
from curation.decontamination.words import find_words, mixed, same_word
from curation.running.compiled import doubled, inner, kernel

GRAM = 5
"""Words of an n-gram. With one word in ten replaced, 83 % of the words are in an n-gram that is left."""

MISSES = 2
"""Words in a row that may differ before the comparison along a diagonal ends."""

SHORT = 100
"""Words of a field in which words beside the diagonal are compared too: an edit costs it a large share of its words."""
SHIFT = 3
"""Words that may have been added or left out next to a shared n-gram."""

COLUMNS = 6
"""Of a match: text, field, coverage, words, first byte, byte after the last."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(pow(0x9E3779B97F4A7C15, GRAM, 1 << 64))
"""What the hash of the word before an n-gram has been multiplied by."""


@inner
def gram_hash(hashes: Any, first: int) -> Any:
    """The hash of the n-gram that starts at a word."""
    value = np.uint64(0)
    for word in hashes[first : first + GRAM]:
        value = value * _STEP + word
    return mixed(value)


@kernel
def fill_grams(hashes: Any, field_starts: Any, grams: Any, places: Any) -> int:
    """Fill hash and first word of every n-gram that lies within a field; returns their number."""
    count = 0
    for field in range(len(field_starts) - 1):
        for first in range(field_starts[field], field_starts[field + 1] - GRAM + 1):
            grams[count], places[count] = gram_hash(hashes, first), first
            count += 1
    return count


@kernel
def fill_slots(slots: Any, bitmap: Any, keys: Any) -> None:
    """Insert the numbers of distinct n-grams into the hash table, and their bits into the bitmap."""
    mask, bits = len(slots) - 1, np.uint64(8 * len(bitmap) - 1)
    for number in range(len(keys)):
        bit = keys[number] & bits
        bitmap[np.int64(bit >> np.uint64(3))] |= np.uint8(1) << np.uint8(bit & np.uint64(7))
        slot = np.int64(keys[number] >> np.uint64(20)) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = number


@inner
def find_candidates(bitmap: Any, hashes: Any, count: int, firsts: Any, keys: Any) -> int:
    """Find the n-grams of a text that the bitmap does not rule out.

    The loop has no branches, so that the processor reads many places of the bitmap, which is in no near cache, at once.

    Args:
        bitmap: A bit for each n-gram of the items by its hash.
        hashes: Hashes of the words of the text.
        count: Their number.
        firsts: Output: first word of each n-gram found, as long as the text has words.
        keys: Output: hash of each n-gram found, of the same length.

    Returns:
        The number of n-grams found.
    """
    bits, value, found = np.uint64(8 * len(bitmap) - 1), np.uint64(0), 0
    for last in range(count):
        value = value * _STEP + hashes[last]
        if last < GRAM - 1:
            continue
        if last >= GRAM:
            value -= hashes[last - GRAM] * _FIRST
        key = mixed(value)
        bit = key & bits
        firsts[found], keys[found] = last - GRAM + 1, key
        found += int((bitmap[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1))
    return found


@inner
def find_gram(index: Any, key: Any) -> int:
    """The number of an n-gram, -1 if no item has it."""
    mask = len(index.slots) - 1
    slot = np.int64(key >> np.uint64(20)) & mask
    while index.slots[slot] >= 0:
        number = index.slots[slot]
        if index.keys[number] == key:
            return int(number)
        slot = (slot + 1) & mask
    return -1


@kernel
def match_texts(index: Any, data: UInt8s, starts: Int64s, least: Any) -> Any:
    """Find the fields of items in texts.

    Args:
        index: The `IndexArrays` of an index.
        data: UTF-8 bytes of all texts.
        starts: Text `i` is `data[starts[i]:starts[i + 1]]`, shape (texts + 1,).
        least: Minimum coverage of a field of each kind to be reported, shape (kinds,).

    Returns:
        Matches, float64[matches, COLUMNS], in the order of the texts; bytes count from the text's start.
    """
    longest = 1
    for text in range(len(starts) - 1):
        longest = max(longest, starts[text + 1] - starts[text])
    hashes = np.empty(longest, np.uint64)
    firsts, lasts = np.empty(longest, np.int64), np.empty(longest, np.int64)
    candidates, keys = np.empty(longest, np.int32), np.empty(longest, np.uint64)
    heads = np.full(len(index.field_starts) - 1, -1, np.int32)
    tails = np.empty(len(index.field_starts) - 1, np.int32)
    fields = np.empty(64, np.int32)
    seeds = np.empty((256, 3), np.int32)  # word of the text, word of the field, next seed of the field
    covered = np.zeros(index.longest, np.bool_)
    places = np.empty(index.longest, np.int32)
    found = np.empty((16, COLUMNS), np.float64)
    matches = 0
    for text in range(len(starts) - 1):
        count = find_words(data, starts[text], starts[text + 1], index.letters, hashes, firsts, lasts)
        touched = seeded = 0
        for candidate in range(find_candidates(index.bitmap, hashes, count, candidates, keys)):
            first = candidates[candidate]
            number = find_gram(index, keys[candidate])
            if number < 0:
                continue
            for posting in range(index.posting_starts[number], index.posting_starts[number + 1]):
                word = index.postings[posting]
                field = index.word_fields[word]
                if heads[field] < 0:
                    if touched == len(fields):
                        fields = np.append(fields, np.empty(touched, np.int32))
                    fields[touched] = field
                    touched += 1
                else:
                    before = seeds[tails[field]]
                    if first - before[0] == word - before[1] and first - before[0] < GRAM:
                        # the same diagonal: the seed before reaches it by comparing words
                        continue
                if seeded == len(seeds):
                    seeds = doubled(seeds)
                seeds[seeded, 0], seeds[seeded, 1], seeds[seeded, 2] = first, word, -1
                if heads[field] < 0:
                    heads[field] = seeded
                else:
                    seeds[tails[field], 2] = seeded
                tails[field] = seeded
                seeded += 1
        for field in fields[:touched]:
            seed = heads[field]
            heads[field] = -1
            begin, size = index.field_starts[field], index.field_starts[field + 1] - index.field_starts[field]
            while seed >= 0:
                opening = seeds[seed, 0]
                left, right = count, 0
                reach = opening
                while (
                    seed >= 0 and seeds[seed, 0] - reach <= size // 2 + 20 and seeds[seed, 0] - opening <= 2 * size + 50
                ):
                    reach = seeds[seed, 0]
                    low, high = cover(
                        hashes,
                        count,
                        index.hashes,
                        begin,
                        size,
                        seeds[seed, 0],
                        seeds[seed, 1] - begin,
                        covered,
                        places,
                    )
                    left, right = min(left, low), max(right, high)
                    if size <= SHORT:
                        low, high = cover_shifted(
                            hashes,
                            count,
                            index.hashes,
                            begin,
                            size,
                            seeds[seed, 0] - seeds[seed, 1] + begin,
                            covered,
                            places,
                        )
                        left, right = min(left, low), max(right, high)
                    seed = seeds[seed, 2]
                weight = total = 0.0
                words = heading = 0.0
                for place in range(size):
                    total += index.weights[begin + place]
                    if covered[place]:
                        covered[place] = False
                        word, other = places[place], begin + place
                        if same_word(
                            data, firsts[word], lasts[word], index.data, index.firsts[other], index.lasts[other],
                            index.letters,
                        ):  # fmt: skip
                            weight += index.weights[begin + place]
                            heading += place < index.field_heads[field]
                            words += 0.5 if index.hashes[begin + place] & np.uint64(1) else 1.0
                kind = index.field_kinds[field]
                if (
                    weight >= least[kind] * total
                    and words >= index.field_words[field]
                    and 2 * heading >= index.field_heads[field]
                ):
                    if matches == len(found):
                        found = doubled(found)
                    found[matches, 0], found[matches, 1], found[matches, 2] = text, field, weight / total
                    found[matches, 3] = words
                    found[matches, 4], found[matches, 5] = firsts[left] - starts[text], lasts[right] - starts[text]
                    matches += 1
    return found[:matches].copy()


@inner
def cover(
    hashes: Any, count: int, others: Any, begin: int, size: int, first: int, place: int, covered: Any, places: Any
) -> tuple[int, int]:
    """Mark the words of a field that equal those of the text along the diagonal through a shared n-gram.

    Args:
        hashes: Hashes of the words of the text.
        count: Their number.
        others: Hashes of the words of all fields.
        begin: The field's first word in `others`.
        size: The number of its words.
        first: First word of the n-gram in the text.
        place: The same in the field.
        covered: Set to true for equal words, shape (size,).
        places: The word of the text for each of them.

    Returns:
        The first and the last equal word of the text.
    """
    low, high = first, first
    for step in (1, -1):
        misses, at = 0, min(step, 0)
        while misses <= MISSES and 0 <= place + at < size and 0 <= first + at < count:
            if hashes[first + at] == others[begin + place + at]:
                if covered[place + at] and places[place + at] == first + at:
                    break  # seen from an n-gram before
                covered[place + at] = True
                places[place + at] = first + at
                low, high, misses = min(low, first + at), max(high, first + at), 0
            else:
                misses += 1
            at += step
    return low, high


@inner
def cover_shifted(
    hashes: Any, count: int, others: Any, begin: int, size: int, diagonal: int, covered: Any, places: Any
) -> tuple[int, int]:
    """Mark words of a field that equal those of the text, two in a row, near a diagonal.

    Args:
        hashes: Hashes of the words of the text.
        count: Their number.
        others: Hashes of the words of all fields.
        begin: The field's first word in `others`.
        size: The number of its words.
        diagonal: The place in the text minus that in the field.
        covered: Set to true for equal words, shape (size,).
        places: The word of the text for each of them.

    Returns:
        The first and the last word of the text that was marked; `count` and 0 if none was.
    """
    low, high = count, 0
    for shift in range(-SHIFT, SHIFT + 1):
        for place in range(max(0, -diagonal - shift), min(size, count - diagonal - shift) - 1):
            at = place + diagonal + shift
            if (covered[place] and covered[place + 1]) or hashes[at] != others[begin + place]:
                continue
            if hashes[at + 1] == others[begin + place + 1]:
                for step in range(2):
                    if not covered[place + step]:
                        covered[place + step] = True
                        places[place + step] = at + step
                low, high = min(low, at), max(high, at + 1)
    return low, high
