"""The kernel that joins the chunks of a chunked body (RFC 9112, section 7.1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.running.compiled import inner, kernel

Bytes = npt.NDArray[np.uint8]

MAX_LINE = 1024
"""Longest line with the size of a chunk."""

MAX_DIGITS = 15
"""Most digits of a size."""


@inner
def copy(data: Bytes, out: Bytes) -> None:
    """Copy `data` to the beginning of `out`. Compiling the assignment of a slice takes two seconds."""
    for place in range(len(data)):
        out[place] = data[place]


@kernel
def join_chunks(data: Bytes, out: Bytes) -> tuple[int, bool]:
    """Copy the contents of all chunks, up to where the body is cut or is no longer chunked, and the rest as it is.

    Args:
        data: The body.
        out: At least as long as `data`.

    Returns:
        The number of bytes written to `out`, -1 if the body does not begin with a chunk; and whether the body is
        chunked without any doubt: up to the last chunk, with every line break, and nothing after it.
    """
    at, written, exact = 0, 0, True
    while at < len(data):
        start, stop = at, min(len(data), at + MAX_LINE)
        size, digits = 0, 0
        while at < stop and data[at] in (9, 11, 12, 13, 32):
            at += 1
        while at < stop and digits <= MAX_DIGITS:
            letter = data[at] | 32
            if 48 <= data[at] <= 57:
                value = data[at] - 48
            elif 97 <= letter <= 102:
                value = letter - 87
            else:
                break
            size = size * 16 + int(value)
            digits += 1
            at += 1
        while at < stop and data[at] in (9, 11, 12, 13, 32):
            at += 1
        if at < stop and data[at] == 59:
            while at < stop and data[at] != 10:
                at += 1
        if not (0 < digits <= MAX_DIGITS and at < stop and data[at] == 10):
            if start == 0:
                return -1, False
            copy(data[start:], out[written:])
            return written + len(data) - start, False
        strict = data[at - 1] == 13
        at += 1
        left = len(data) - at
        if size == 0:
            ends = left == 0 or (left >= 2 and data[at] == 13 and data[at + 1] == 10)
            if start == 0 and not (strict and ends):
                return -1, False
            return written, exact and strict and ends and left <= 2
        if start == 0 and ((size > left and not strict) or (size < left and data[at + size] not in (10, 13))):
            return -1, False
        size = min(size, left)
        copy(data[at : at + size], out[written:])
        written += size
        at += size
        if at + 1 < len(data) and data[at] == 13 and data[at + 1] == 10:
            at += 2
            exact = exact and strict
        else:
            exact = False
            if at < len(data) and data[at] == 10:
                at += 1
    return written, False
