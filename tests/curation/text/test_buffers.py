"""The buffers of a column of strings."""

from __future__ import annotations

import pyarrow as pa
import pytest

from curation.text.buffers import text_bytes


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_texts_are_found_in_the_bytes(kind: pa.DataType) -> None:
    """Every text of a slice is between its offsets, for each type of column; an empty column has one offset."""
    texts = ["before", "é", "", "日本", "after"]
    data, offsets = text_bytes(pa.array([text.encode() for text in texts], pa.binary()).cast(kind).slice(1, 3))
    bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    assert [data[begin:end].tobytes().decode() for begin, end in bounds] == texts[1:4]
    assert text_bytes(pa.array([], kind))[1].tolist() == [0]
