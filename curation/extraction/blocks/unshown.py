"""Text in a block that is no part of the text around it: hidden, or on a button that copies code.

Few blocks have any, so this is no kernel: the rest of a page costs only the search for them.
"""

from __future__ import annotations

import re

import numpy as np

from curation.extraction.blocks.parse import BUTTON, END, FIRST_RUN, HIDDEN, MATH, PRE, RUN_FLAGS, START, TEX, Page

BUTTON_WORDS = 3
"""Words of a button in preformatted text up to which it copies the code and is no part of it."""

_BUTTON_IN_CODE = BUTTON | PRE
_WORD = re.compile(rb"[^ \n]+")


def without_unshown(page: Page) -> Page:
    """Leave out text that is hidden, or on a button that copies code, in a block that has other text.

    Pages hide formulas behind their picture: these stay.

    Args:
        page: The page.

    Returns:
        The page with other text, blocks and runs; the numbers of blocks and elements stay. Words that were apart still
        are.
    """
    flags = page.runs[:, RUN_FLAGS]
    if not (flags & (HIDDEN | BUTTON)).any():
        return page
    hidden = (flags & (HIDDEN | TEX | MATH)) == HIDDEN
    button = (flags & _BUTTON_IN_CODE) == _BUTTON_IN_CODE
    first = page.blocks[:, FIRST_RUN]
    hidden_in = np.add.reduceat(hidden, first[:-1], dtype=np.int64)
    is_mixed = (hidden_in > 0) & (hidden_in < np.diff(first))
    keep = np.ones(len(page.runs), np.bool_)
    text, runs = bytearray(page.text.tobytes()), page.runs.copy()
    for block in np.flatnonzero(is_mixed | np.logical_or.reduceat(button, first[:-1])).tolist():
        rows: list[list[int]] = runs[first[block] : first[block + 1]].tolist()
        shown = _find_shown(text, rows)
        if all(shown) or not any(shown):
            continue
        begin = len(text)
        text += _leave_out(text, rows, shown, begin)
        runs[first[block] : first[block + 1]] = rows
        keep[first[block] : first[block + 1]] = shown
    if keep.all():
        return page
    blocks = page.blocks.copy()
    blocks[:, FIRST_RUN] -= np.concatenate(([0], np.cumsum(~keep)))[first]
    return page._replace(text=np.frombuffer(text, np.uint8), blocks=blocks, runs=runs[keep])


def _find_shown(text: bytearray, rows: list[list[int]]) -> list[bool]:
    """Whether each run of a block is shown; none if the block has no text that is."""
    shown: list[bool] = []
    has_text = False
    while len(shown) < len(rows):
        run, stop = len(shown), len(shown) + 1
        flags = rows[run][RUN_FLAGS]
        is_button = flags & _BUTTON_IN_CODE == _BUTTON_IN_CODE
        while is_button and stop < len(rows) and rows[stop][RUN_FLAGS] & BUTTON:
            stop += 1
        words = len(_WORD.findall(text, rows[run][START], rows[stop - 1][END]))
        is_shown = flags & (HIDDEN | TEX | MATH) != HIDDEN and not (is_button and words <= BUTTON_WORDS)
        has_text |= is_shown and words > 0
        shown += [is_shown] * (stop - run)
    return shown if has_text else [False] * len(rows)


def _leave_out(text: bytearray, rows: list[list[int]], shown: list[bool], begin: int) -> bytearray:
    """The text of a block without the runs that are not shown; sets where the others are, if it is put at `begin`."""
    out = bytearray()
    is_apart = after_button = is_changed = False
    for row, is_shown in zip(rows, shown, strict=True):
        piece, preserved = text[row[START] : row[END]], row[RUN_FLAGS] & PRE
        row[START] = begin + len(out)
        if is_shown:
            if is_changed and not out:
                piece = piece.lstrip(b"\n" if preserved else b"\n ")
            if after_button and piece[:1] == b" ":
                del piece[0]
            if is_apart and out and piece and out[-1] not in b" \n" and piece[0] != 32:
                out += b" "
            if piece:
                is_apart = after_button = False
            out += piece
        else:
            is_changed = True
            is_apart = is_apart or (not preserved and piece[:1] == b" ")
            after_button = bool(preserved and row[RUN_FLAGS] & BUTTON)
        row[END] = begin + len(out)
    out = out.rstrip(b" \n")
    for row in rows:
        row[START], row[END] = min(row[START], begin + len(out)), min(row[END], begin + len(out))
    return out
