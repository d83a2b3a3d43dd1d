"""Markdown: where the fenced code is, and the prose without code and marks.

Fenced code is what CommonMark defines (https://spec.commonmark.org/0.31.2/#fenced-code-blocks). Fences in list items
and quotes are found too; they end where the item or quote does. A tab counts as four spaces.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt32s
from curation.running.compiled import inner, kernel

_QUOTE = -1
_MAX_CONTAINERS = 32
_MAX_INDENT = 3
_MIN_FENCE = 3
_MAX_DIGITS = 9
_MAX_LEVEL = 6
_HASH, _GREATER, _BACKSLASH, _BACKTICK, _BAR = (np.uint32(ord(mark)) for mark in "#>\\`|")


@inner
def _indent(codepoints: UInt32s, at: int, end: int) -> tuple[int, int]:
    """Columns of white space at `at`, and the place after it."""
    columns = 0
    while at < end and (codepoints[at] == 32 or codepoints[at] == 9 or codepoints[at] == 13):
        columns += 4 if codepoints[at] == 9 else 1
        at += 1
    return columns, at


@inner
def _skip(codepoints: UInt32s, at: int, end: int, columns: int) -> int:
    """The place after at most `columns` columns of white space."""
    while at < end and columns > 0 and (codepoints[at] == 32 or codepoints[at] == 9):
        columns -= 4 if codepoints[at] == 9 else 1
        at += 1
    return at


@inner
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


@inner
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


@inner
def is_heading(codepoints: UInt32s, start: int, end: int) -> bool:
    """Whether the line `[start, end)`, without white space at its ends, is a heading: `#` to `######` and a space."""
    at = start
    while at < end and codepoints[at] == _HASH and at - start < _MAX_LEVEL:
        at += 1
    return bool(at > start and (at == end or codepoints[at] == 32 or codepoints[at] == 9))


@kernel
def find_prose(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    starts: Int64s,
    ends: Int64s,
    spans_first: Int64s,
    spans_last: Int64s,
    out: UInt32s,
    out_first: Int64s,
    out_last: Int64s,
) -> None:
    """Copy texts without their fenced code, blank lines and marks, so that rules measure what is written.

    Left out are the marks of headings, quotes and inline code, indentation, backslashes that escape, and the frames of
    tables: a row is "a | b". Marks of list items stay.

    Args:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        starts: First code point of each span of fenced code, ascending in each text.
        ends: Code point after each span.
        spans_first: First span of each text.
        spans_last: Span after the last of each text.
        out: Output: code points of the copies.
        out_first: Output: first code point of each copy.
        out_last: Output: code point after each copy.
    """
    to = 0
    for row in range(first.size):
        out_first[row] = to
        span, line = spans_first[row], first[row]
        while line < last[row]:
            if span < spans_last[row] and starts[span] <= line:
                line = ends[span] + 1
                span += 1
                continue
            end = line
            while end < last[row] and codepoints[end] != 10:
                end += 1
            begin = to
            if to > out_first[row]:
                out[to] = 10
                to += 1
            text = to
            to = _write_prose(codepoints, line, end, out, to)
            if to == text:
                to = begin
            line = end + 1
        out_last[row] = to


@inner
def _write_prose(codepoints: UInt32s, start: int, end: int, out: UInt32s, to: int) -> int:
    """Write a line to `out[to:]` without marks; returns where it ends."""
    at = _indent(codepoints, start, end)[1]
    while at < end and codepoints[at] == _GREATER:
        at = _indent(codepoints, at + 1, end)[1]
    while end > at and (codepoints[end - 1] == 32 or codepoints[end - 1] == 9 or codepoints[end - 1] == 13):
        end -= 1
    if is_heading(codepoints, at, end):
        while at < end and codepoints[at] == _HASH:
            at += 1
        at = _indent(codepoints, at, end)[1]
    elif at < end and codepoints[at] == _BAR and codepoints[end - 1] == _BAR:
        is_frame = True
        for i in range(at, end):
            code = codepoints[i]
            is_frame &= code == _BAR or code == 45 or code == 58 or code == 32
        if is_frame:
            return to
        at = _indent(codepoints, at + 1, end)[1]
        end -= 1
        while end > at and codepoints[end - 1] == 32:
            end -= 1
    while at < end:
        code = codepoints[at]
        at += 1
        if code == _BACKTICK:
            continue
        if code == _BACKSLASH and at < end and _is_ascii_punctuation(codepoints[at]):
            code = codepoints[at]
            at += 1
        out[to] = code
        to += 1
    return to


@inner
def _is_ascii_punctuation(code: int) -> bool:
    return bool(33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126)
