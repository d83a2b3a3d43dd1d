"""Fenced code in Markdown, as CommonMark defines it (https://spec.commonmark.org/0.31.2/#fenced-code-blocks).

Fences in list items and quotes are found too; they end where the item or quote does. A tab counts as four spaces.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt32s
from curation.running.compiled import kernel

_QUOTE = -1
_MAX_CONTAINERS = 32
_MAX_INDENT = 3
_MIN_FENCE = 3
_MAX_DIGITS = 9


@kernel
def _indent(codepoints: UInt32s, at: int, end: int) -> tuple[int, int]:
    """Columns of white space at `at`, and the place after it."""
    columns = 0
    while at < end and (codepoints[at] == 32 or codepoints[at] == 9 or codepoints[at] == 13):
        columns += 4 if codepoints[at] == 9 else 1
        at += 1
    return columns, at


@kernel
def _skip(codepoints: UInt32s, at: int, end: int, columns: int) -> int:
    """The place after at most `columns` columns of white space."""
    while at < end and columns > 0 and (codepoints[at] == 32 or codepoints[at] == 9):
        columns -= 4 if codepoints[at] == 9 else 1
        at += 1
    return at


@kernel
def _marker(codepoints: UInt32s, at: int, end: int) -> int:
    """Length of the marker of a list item at `at`, or 0."""
    if at < end and (codepoints[at] == 45 or codepoints[at] == 43 or codepoints[at] == 42):
        length = 1
    else:
        length = 0
        while at + length < end and 48 <= codepoints[at + length] <= 57 and length <= _MAX_DIGITS:
            length += 1
        if length == 0 or length > _MAX_DIGITS or at + length == end:
            return 0
        if codepoints[at + length] != 46 and codepoints[at + length] != 41:
            return 0
        length += 1
    if at + length < end and codepoints[at + length] != 32 and codepoints[at + length] != 9:
        return 0
    return length


@kernel
def _fence(codepoints: UInt32s, at: int, end: int) -> int:
    """Length of the run of backticks or tildes at `at`."""
    length = 0
    if at < end and (codepoints[at] == 96 or codepoints[at] == 126):
        while at + length < end and codepoints[at + length] == codepoints[at]:
            length += 1
    return length


@kernel
def find_fences(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    starts: Int64s,
    ends: Int64s,
    spans_first: Int64s,
    spans_last: Int64s,
) -> int:
    """Find the fenced code of each text, from the line with the opening fence to the end of the last line.

    Args:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        starts: Output: first code point of each span of fenced code.
        ends: Output: code point after each span.
        spans_first: Output: first span of each text.
        spans_last: Output: span after the last of each text.

    Returns:
        The number of spans.
    """
    containers = np.empty(
        _MAX_CONTAINERS, np.int64
    )  # _QUOTE, or the columns by which the lines of an item are indented
    found = 0
    for row in range(first.size):
        spans_first[row] = found
        depth, length, mark = 0, 0, 0  # `length` of the open fence; 0 outside
        in_paragraph = False  # if in doubt
        is_empty = False  # the last line began an item without text
        line = first[row]
        while line < last[row]:
            end = line
            while end < last[row] and codepoints[end] != 10:
                end += 1
            at, matched = line, 0
            columns, text = _indent(codepoints, at, end)
            while matched < depth:
                if containers[matched] == _QUOTE:
                    if text == end or columns > _MAX_INDENT or codepoints[text] != 62:
                        break
                    at = _skip(codepoints, text + 1, end, 1)
                elif text < end:
                    if columns < containers[matched]:
                        break
                    at = _skip(codepoints, at, end, containers[matched])
                matched += 1
                columns, text = _indent(codepoints, at, end)
            if length and matched == depth:
                ends[found - 1] = end
                closing = _fence(codepoints, text, end)
                is_closing = columns <= _MAX_INDENT and closing >= length and codepoints[text] == mark
                if is_closing and _indent(codepoints, text + closing, end)[1] == end:
                    length = 0
                in_paragraph = False
                line = end + 1
                continue
            continued = depth if in_paragraph and length == 0 else -1  # containers of a paragraph that may go on here
            in_paragraph &= length == 0 and matched == depth
            if is_empty and matched == depth and text == end:
                matched -= 1
            is_empty = False
            length, depth, outer = 0, matched, matched
            while text < end and columns <= _MAX_INDENT and depth < _MAX_CONTAINERS:
                if codepoints[text] == 62:
                    containers[depth] = _QUOTE
                    at = _skip(codepoints, text + 1, end, 1)
                else:
                    marker = _marker(codepoints, text, end)
                    if marker == 0:
                        break
                    space, inner = _indent(codepoints, text + marker, end)
                    is_first = marker == 1 or (marker == 2 and codepoints[text] == 49)
                    if in_paragraph and (inner == end or not is_first):
                        break
                    space = 1 if space > _MAX_INDENT + 1 or inner == end else space
                    is_empty = inner == end
                    containers[depth] = columns + marker + space
                    at = _skip(codepoints, text + marker, end, space)
                depth += 1
                in_paragraph = False
                columns, text = _indent(codepoints, at, end)
            opening = _fence(codepoints, text, end) if columns <= _MAX_INDENT else 0
            if opening >= _MIN_FENCE:
                mark = codepoints[text]
                is_open = True
                for i in range(text + opening, end):
                    if mark == 96 and codepoints[i] == 96:
                        is_open = False
                if is_open:
                    length = opening
                    starts[found], ends[found] = line, end
                    found += 1
            continued = -1 if depth > outer else continued
            in_paragraph = text < end and length == 0 and (columns <= _MAX_INDENT or continued >= 0)
            if in_paragraph and codepoints[text] != 35:
                depth = max(depth, continued)
            line = end + 1
        spans_last[row] = found
    return found


@kernel
def cut_spans(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    starts: Int64s,
    ends: Int64s,
    spans_first: Int64s,
    spans_last: Int64s,
    words_starts: Int64s,
    words_ends: Int64s,
    words_first: Int64s,
    words_last: Int64s,
    out: UInt32s,
    out_first: Int64s,
    out_last: Int64s,
    out_starts: Int64s,
    out_ends: Int64s,
    kept: Int64s,
    kept_first: Int64s,
    kept_last: Int64s,
) -> int:
    """Copy texts without some spans, and move the words outside of them along.

    Args:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        starts: First code point of each span, ascending in each text.
        ends: Code point after each span.
        spans_first: First span of each text.
        spans_last: Span after the last of each text.
        words_starts: First code point of each word.
        words_ends: Code point after each word.
        words_first: First word of each text.
        words_last: Word after the last of each text.
        out: Output: code points of the copies.
        out_first: Output: first code point of each copy.
        out_last: Output: code point after each copy.
        out_starts: Output: first code point of each word in the copies.
        out_ends: Output: code point after each of those words.
        kept: Output: which word each of those was.
        kept_first: Output: first word of each copy.
        kept_last: Output: word after the last of each copy.

    Returns:
        The number of words in the copies.
    """
    at = words = 0
    for row in range(first.size):
        out_first[row], kept_first[row] = at, words
        span, k, source = spans_first[row], words_first[row], first[row]
        while source < last[row]:
            stop = starts[span] if span < spans_last[row] else last[row]
            while k < words_last[row] and words_starts[k] < stop:
                if words_starts[k] >= source:
                    out_starts[words], out_ends[words] = words_starts[k] - source + at, words_ends[k] - source + at
                    kept[words] = k
                    words += 1
                k += 1
            for i in range(source, stop):
                out[at] = codepoints[i]
                at += 1
            source = ends[span] if span < spans_last[row] else last[row]
            span += 1
        out_last[row], kept_last[row] = at, words
    return words
