"""Measurements for Gopher's quality rules and FineWeb's rules: words, symbols, and how lines begin and end."""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel
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
    """Measure the words of each text.

    Args:
        starts: First code point of each word.
        ends: Code point after each word.
        flags: Flags of each word (`chunks.HAS_ALPHA`, ...).
        first: First word of each text.
        last: Word after the last of each text.
        words: Output: number of words that are not all symbols.
        characters: Output: number of characters in those words.
        alphabetic: Output: number of words, of all words, that contain a letter.
    """
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
    """Count how many of the wanted words, `wanted[wanted_offsets[j]:wanted_offsets[j + 1]]`, occur in each text."""
    seen = np.empty(wanted_offsets.size - 1, dtype=np.bool_)
    for row in range(first.size):
        seen[:] = False
        n_found = 0
        for k in range(first[row], last[row]):
            if n_found == seen.size:
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
                        n_found += 1
        distinct[row] = n_found


@kernel
def count_marks(codepoints: UInt32s, first: Int64s, last: Int64s, hashes: Int64s, ellipses: Int64s) -> None:
    """`text.count("#")` and `text.count("...") + text.count("…")` of each text."""
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


@inner
def line_end(codepoints: UInt32s, classes: UInt8s, start: int, end: int) -> tuple[int, int]:
    """End of the line that begins at `start`, as for `str.splitlines`, and start of the next line."""
    i = start
    while i < end and not classes[codepoints[i]] & NEWLINE:
        i += 1
    if i == end:
        return i, i
    pair = codepoints[i] == _RETURN and i + 1 < end and codepoints[i + 1] == _NEWLINE
    return i, i + (2 if pair else 1)


@inner
def stripped(codepoints: UInt32s, classes: UInt8s, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends, as by `str.strip`."""
    while start < end and classes[codepoints[start]] & SPACE:
        start += 1
    while start < end and classes[codepoints[end - 1]] & SPACE:
        end -= 1
    return start, end


@inner
def ends_in_ellipsis(codepoints: UInt32s, start: int, end: int) -> bool:
    """Whether the span ends in three dots or in an ellipsis character."""
    if start < end and codepoints[end - 1] == _ELLIPSIS:
        return True
    return (
        end - start >= 3 and codepoints[end - 1] == _DOT and codepoints[end - 2] == _DOT and codepoints[end - 3] == _DOT
    )


@kernel
def measure_line_ends(
    codepoints: UInt32s, first: Int64s, last: Int64s, classes: UInt8s, lines: Int64s, bullets: Int64s, ellipses: Int64s
) -> None:
    """Count the lines of each text (`str.splitlines`), those that begin with • or -, and those that end in ellipses."""
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
    """Measure the lines of each text.

    Args:
        codepoints: Code points of all texts.
        starts: First code point of each line.
        ends: Code point after each line.
        first: First line of each text.
        last: Line after the last of each text.
        classes: Classes of code points (`characters.classes`).
        terminal: 1 for each code point that ends a sentence, shape (0x110000,).
        short: Longest short line, in characters.
        filled: Output, shape (lines,): whether a line is not blank.
        lines: Output: number of lines that are not blank.
        terminal_lines: Output: how many of those end in a terminal character.
        short_lines: Output: how many of those are short.
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
