"""What Gopher's quality rules and FineWeb's rules measure: words, symbols, and how lines begin and end."""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel
from curation.text.kernels.characters import NEWLINE, SPACE
from curation.text.kernels.chunks import ALL_SYMBOLS, HAS_ALPHA

_NEWLINE = np.uint32(0x0A)
_RETURN = np.uint32(0x0D)
_HASH = np.uint32(0x23)
_DOT = np.uint32(0x2E)
_HYPHEN = np.uint32(0x2D)
_BULLET = np.uint32(0x2022)
_ELLIPSIS = np.uint32(0x2026)


@kernel
def measure_words(
    starts: Int64s,
    ends: Int64s,
    flags: UInt8s,
    first: Int64s,
    last: Int64s,
    words: Int64s,
    characters: Int64s,
    alphabetic: Int64s,
) -> None:
    """By text: words that are not all symbols, their characters, and words (of all) that have a letter."""
    for row in range(first.size):
        n_words = n_characters = n_alphabetic = 0
        for k in range(first[row], last[row]):
            if not flags[k] & ALL_SYMBOLS:
                n_words += 1
                n_characters += ends[k] - starts[k]
            n_alphabetic += (flags[k] & HAS_ALPHA) != 0
        words[row], characters[row], alphabetic[row] = n_words, n_characters, n_alphabetic


@kernel
def count_distinct(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    wanted: UInt32s,
    wanted_offsets: Int64s,
    distinct: Int64s,
) -> None:
    """By text: how many of the wanted words, `wanted[wanted_offsets[j]:wanted_offsets[j + 1]]`, it has."""
    seen = np.empty(wanted_offsets.size - 1, dtype=np.bool_)
    for row in range(first.size):
        seen[:] = False
        found = 0
        for k in range(first[row], last[row]):
            if found == seen.size:
                break
            start = starts[k]
            length = ends[k] - start
            for j in range(seen.size):
                begin = wanted_offsets[j]
                if not seen[j] and wanted_offsets[j + 1] - begin == length:
                    i = 0
                    while i < length and codepoints[start + i] == wanted[begin + i]:
                        i += 1
                    if i == length:
                        seen[j] = True
                        found += 1
        distinct[row] = found


@kernel
def count_marks(codepoints: UInt32s, first: Int64s, last: Int64s, hashes: Int64s, ellipses: Int64s) -> None:
    """By text: `text.count("#")` and `text.count("...") + text.count("…")`."""
    for row in range(first.size):
        n_hashes = n_ellipses = run = 0
        for i in range(first[row], last[row]):
            code = codepoints[i]
            n_hashes += code == _HASH
            n_ellipses += code == _ELLIPSIS
            run = run + 1 if code == _DOT else 0
            if run == 3:
                n_ellipses += 1
                run = 0
        hashes[row], ellipses[row] = n_hashes, n_ellipses


@kernel
def line_end(codepoints: UInt32s, classes: UInt8s, start: int, end: int) -> tuple[int, int]:
    """Where the line from `start` ends for `str.splitlines`, and where the next one begins."""
    i = start
    while i < end and not classes[codepoints[i]] & NEWLINE:
        i += 1
    if i == end:
        return i, i
    pair = codepoints[i] == _RETURN and i + 1 < end and codepoints[i + 1] == _NEWLINE
    return i, i + (2 if pair else 1)


@kernel
def stripped(codepoints: UInt32s, classes: UInt8s, start: int, end: int) -> tuple[int, int]:
    """The span without the white space at its ends, as `str.strip`."""
    while start < end and classes[codepoints[start]] & SPACE:
        start += 1
    while start < end and classes[codepoints[end - 1]] & SPACE:
        end -= 1
    return start, end


@kernel
def ends_in_ellipsis(codepoints: UInt32s, start: int, end: int) -> bool:
    """Whether the span ends in three dots or in an ellipsis character."""
    if start < end and codepoints[end - 1] == _ELLIPSIS:
        return True
    return (
        end - start >= 3 and codepoints[end - 1] == _DOT and codepoints[end - 2] == _DOT and codepoints[end - 3] == _DOT
    )


@kernel
def measure_line_ends(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    classes: UInt8s,
    lines: Int64s,
    bullets: Int64s,
    ellipses: Int64s,
) -> None:
    """By text: lines of `str.splitlines`, those that begin with • or -, those that end in an ellipsis."""
    for row in range(first.size):
        lines[row] = bullets[row] = ellipses[row] = 0
        at = first[row]
        while at < last[row]:
            end, after = line_end(codepoints, classes, at, last[row])
            start, end = stripped(codepoints, classes, at, end)
            lines[row] += 1
            if start < end:
                bullets[row] += codepoints[start] == _BULLET or codepoints[start] == _HYPHEN
                ellipses[row] += ends_in_ellipsis(codepoints, start, end)
            at = after


@kernel
def measure_lines(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    classes: UInt8s,
    terminal: UInt8s,
    short: int,
    filled: Bools,
    lines: Int64s,
    terminal_lines: Int64s,
    short_lines: Int64s,
) -> None:
    """By text: lines that are not blank, those that end in a character of `terminal`, those up to `short` long.

    filled: by line, whether it is not blank.
    """
    for row in range(first.size):
        lines[row] = terminal_lines[row] = short_lines[row] = 0
        for k in range(first[row], last[row]):
            start, end = starts[k], ends[k]
            i = start
            while i < end and classes[codepoints[i]] & SPACE:
                i += 1
            filled[k] = i < end
            if filled[k]:
                lines[row] += 1
                terminal_lines[row] += terminal[codepoints[end - 1]]
                short_lines[row] += end - start <= short
