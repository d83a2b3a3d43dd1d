"""Repetition as DCLM and Dolma 3 measure it: all copies count, the first one too, and white space does not.

Lines, paragraphs and n-grams of words are spans; n-grams are equal if their words are.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int32s, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel
from curation.text.kernels.duplicates import table_size
from curation.text.kernels.ngrams import number_ngrams, number_words
from curation.text.kernels.quality import stripped

_NEWLINE = np.uint32(10)
_LONGEST_TOP = 4
"""Of n-grams of 2 to this many words only the most frequent one counts, of longer ones each that occurs twice."""


@kernel
def find_parts(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    classes: UInt8s,
    newlines: int,
    is_stripped: bool,
    starts: Int64s,
    ends: Int64s,
    parts_first: Int64s,
    parts_last: Int64s,
) -> int:
    """Find the parts of texts that are not empty.

    Args:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        classes: Classes of code points (`characters.classes`).
        newlines: Newlines that separate parts, counted from the left: 1 for lines, 2 for paragraphs.
        is_stripped: Whether parts are taken without white space at their ends.
        starts: Output: first code point of each part.
        ends: Output: code point after each part.
        parts_first: Output: first part of each text.
        parts_last: Output: part after the last of each text.

    Returns:
        The number of parts.
    """
    at = 0
    for row in range(first.size):
        parts_first[row] = at
        begin = place = first[row]
        run = 0
        while place <= last[row]:
            run = run + 1 if place < last[row] and codepoints[place] == _NEWLINE else 0
            place += 1
            if run == newlines or place > last[row]:
                end = place - newlines if run == newlines else last[row]
                start = begin
                if is_stripped:
                    start, end = stripped(codepoints, classes, start, end)
                if start < end:
                    starts[at], ends[at] = start, end
                    at += 1
                begin, run = place, 0
        parts_last[row] = at
    return at


@kernel
def measure_repeats(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    weights: Int64s,
    sizes: Int64s,
    overlaps: bool,
    spans: Int64s,
    repeated: Int64s,
) -> None:
    """Measure what occurs more than once in each text.

    Args:
        codepoints: Code points of all texts.
        starts: First code point of each span.
        ends: Code point after each span.
        first: First span of each text.
        last: Span after the last of each text.
        weights: Length of each span, in characters or bytes.
        sizes: Spans per n-gram, ascending: 1 for the spans themselves.
        overlaps: Whether what several copies of the most frequent n-gram share counts for each of them.
        spans: Output, shape (texts, sizes): spans in n-grams that occur more than once.
        repeated: Output, shape (texts, sizes): the weight of those spans.
    """
    most = 0
    for row in range(first.size):
        most = max(most, last[row] - first[row])
    slots = np.empty(table_size(most), dtype=np.int32)
    ids, grams = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    counts, places = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    keys = np.empty(most, dtype=np.uint64)
    inside = np.empty(most, dtype=np.bool_)
    for row in range(first.size):
        begin, count = first[row], last[row] - first[row]
        table = slots[: table_size(count)]
        number_words(codepoints, starts, ends, begin, count, table, ids, places)
        for k in range(count):
            grams[k] = ids[k]
        n = 1
        for j in range(sizes.size):
            while n < sizes[j]:
                n += 1
                number_ngrams(ids, grams, n, count, table, keys, counts, places)
            if sizes[j] == 1:
                _count_single(ids, count, counts)
            wanted = -1
            if 2 <= n <= _LONGEST_TOP:
                wanted = _most_frequent(weights, begin, n, count, grams, counts, places)
                if wanted < 0:
                    spans[row, j] = repeated[row, j] = 0
                    continue
            _mark(grams, n, count, counts, wanted, inside)
            spans[row, j], repeated[row, j] = _total(inside, weights, begin, count)
            if wanted >= 0 and overlaps:
                repeated[row, j] = _length(weights, begin + places[wanted], n) * counts[wanted]


@inner
def _count_single(ids: Int32s, count: int, counts: Int32s) -> None:
    counts[:count] = 0
    for k in range(count):
        counts[ids[k]] += 1


@inner
def _length(weights: Int64s, span: int, n: int) -> int:
    total = 0
    for k in range(span, span + n):
        total += weights[k]
    return total


@inner
def _most_frequent(
    weights: Int64s, begin: int, n: int, count: int, grams: Int32s, counts: Int32s, places: Int32s
) -> int:
    """The most frequent n-gram, of equally frequent ones the longest; -1 if none occurs twice."""
    best, most, longest, known = -1, 1, 0, 0
    for k in range(count - n + 1):
        if grams[k] != known:
            continue
        length = _length(weights, begin + places[known], n)
        if counts[known] > most or (best >= 0 and counts[known] == most and length > longest):
            best, most, longest = known, counts[known], length
        known += 1
    return best


@inner
def _mark(grams: Int32s, n: int, count: int, counts: Int32s, wanted: int, inside: Bools) -> None:
    """Mark the spans in n-grams that occur more than once, or in the one wanted."""
    inside[:count] = False
    until = 0
    for k in range(count - n + 1):
        if grams[k] == wanted if wanted >= 0 else counts[grams[k]] > 1:
            for span in range(max(until, k), k + n):
                inside[span] = True
            until = k + n


@inner
def _total(inside: Bools, weights: Int64s, begin: int, count: int) -> tuple[int, int]:
    spans = total = 0
    for k in range(count):
        if inside[k]:
            spans += 1
            total += weights[begin + k]
    return spans, total
