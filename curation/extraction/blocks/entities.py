"""Named character references of HTML, as a table for kernels.

The names are those of the HTML standard (13.5), from Python's `html.entities`. Names that may stand without a semicolon
are in the table with and without it.
"""

from __future__ import annotations

from html.entities import html5

import numpy as np

from curation.extraction.blocks.tags import hashed, table

_NAMES = sorted(html5)

KEYS, _which = table([hashed(name.encode()) for name in _NAMES], 13)
FIRST = np.array([ord(html5[_NAMES[number]][0]) for number in _which], np.uint32)
"""First code point of the name in each slot of KEYS."""
SECOND = np.array([ord((html5[_NAMES[number]] + "\0")[1]) for number in _which], np.uint32)
"""Second code point, or 0."""
LONGEST = max(map(len, _NAMES))

WINDOWS = np.array([ord(bytes([byte]).decode("cp1252", "replace")) for byte in range(128, 160)], np.uint32)
"""What the numbers 128 to 159 stand for, by the HTML standard (13.2.5.80)."""
WINDOWS[WINDOWS == 0xFFFD] = np.flatnonzero(WINDOWS == 0xFFFD) + 128
