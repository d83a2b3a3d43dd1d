"""A sample of the text that a page shows, whose language tells whether its main text is wanted."""

from __future__ import annotations

import numpy as np

from curation.arrays import UInt8s
from curation.extraction.blocks.parse import END, FIRST_RUN, HIDDEN, RUN_FLAGS, START, Page
from curation.running.compiled import kernel

SAMPLE_BYTES = 1000
"""Bytes of visible text to sample around one third and two thirds of a page, far from menus."""

ENOUGH_BYTES = 250
"""Bytes of a sample below which its language proves nothing: the main text may be in the page's JSON, or hidden."""


@kernel
def write_sample(page: Page) -> UInt8s:
    """Visible text around one third and two thirds of a page, a space before each block; all of it if it is short."""
    runs, blocks = page.runs, page.blocks
    total = 0
    for run in range(len(runs)):
        total += 0 if runs[run, RUN_FLAGS] & HIDDEN else runs[run, END] - runs[run, START]
    first, first_end, second, second_end = 0, total, total, total
    if total > 2 * SAMPLE_BYTES:
        first, second = total // 3 - SAMPLE_BYTES // 2, 2 * total // 3 - SAMPLE_BYTES // 2
        first_end, second_end = first + SAMPLE_BYTES, second + SAMPLE_BYTES
    sample = np.empty(2 * min(total, 2 * SAMPLE_BYTES), np.uint8)  # at most one space before each byte
    out = place = 0
    for block in range(len(blocks) - 1):
        begins = True
        for run in range(blocks[block, FIRST_RUN], blocks[block + 1, FIRST_RUN]):
            if runs[run, RUN_FLAGS] & HIDDEN:
                continue
            start, end = place, place + runs[run, END] - runs[run, START]
            for at in range(max(start, first), min(end, second_end)):
                if at < first_end or at >= second:
                    if begins or at == second:
                        sample[out] = 32
                        out += 1
                        begins = False
                    sample[out] = page.text[runs[run, START] + at - start]
                    out += 1
            place = end
    return sample[:out]
