"""Words that name a number, looked for near many stretches of text at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import context
from curation.text import views

PIECES = st.sampled_from(["tel ", "Part no. ", "DO\u0130 ", "ISBN", "x" * 30, "1" * 20, "\u00e9", " ", "call"])
TEXTS = st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=1, max_size=4)


@settings(deadline=None, derandomize=True)
@given(TEXTS, st.data())
def test_words_near_stretches(texts: list[str], data: st.DataObject) -> None:
    """A stretch may be named if a word that names any number is within its reach, whatever is near other stretches."""
    characters = views.characters(pa.array(texts, pa.string()))
    stretches = [
        [row, *sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))]
        for row, text in enumerate(texts)
        for _ in range(3)
    ]
    stretches.sort()
    expected = []
    for row, start, end in stretches:
        reach = int(context.reach_before(np.array([end - start]))[0])
        around = texts[row][max(0, start - reach) : end + 12].replace("\u0130", "i").lower()
        expected.append(next(context._all_words().iter(around), None) is not None)
    found = context.may_be_named(characters, texts.__getitem__, np.array(stretches, np.int64))
    assert found.tolist() == expected
