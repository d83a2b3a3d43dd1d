from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.tokenize.encoding.parquet.column_pages import replace_column
from curation.tokenize.encoding.parquet.thrift import (
    BINARY,
    BYTE,
    DOUBLE,
    FALSE,
    I16,
    I32,
    I64,
    LIST,
    STRUCT,
    TRUE,
    read_struct,
    write_struct,
)

TABLE = pa.table(
    {
        "text": [f"text {number}" * 50 for number in range(1000)],
        "count": pa.nulls(1000, pa.int64()),
        "tags": [[str(number), None] for number in range(1000)],
        "score": np.arange(1000) / 7,
    }
).replace_schema_metadata({"made": "by a test"})

COUNTS = pa.array([number if number % 10 else None for number in range(1000)], pa.int64())


def written(table: pa.Table = TABLE, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def replaced(data: bytes, values: pa.Array) -> bytes:
    return b"".join(replace_column(data, "count", values))


@pytest.mark.parametrize(
    "options",
    [
        {"row_group_size": 100},
        {"row_group_size": 300, "compression": "zstd", "data_page_version": "2.0"},
        {"use_dictionary": False, "write_page_index": True, "store_schema": False},
        {"row_group_size": 50, "compression": "none", "write_statistics": False},
    ],
    ids=str,
)
def test_only_the_column_changes(options: dict[str, object]) -> None:
    """The new values are read back and everything else is equal, for any row groups, pages, indexes and compression."""
    data = replaced(written(**options), COUNTS)
    table = pq.read_table(io.BytesIO(data))
    expected = pq.read_table(io.BytesIO(written(**options))).set_column(1, "count", COUNTS)
    assert table.equals(expected)
    assert table.schema.equals(expected.schema)
    groups = pq.read_metadata(io.BytesIO(data))
    assert groups.num_rows == 1000
    for number in range(groups.num_row_groups):
        group = groups.row_group(number)
        assert group.total_byte_size == sum(group.column(n).total_uncompressed_size for n in range(group.num_columns))
    assert pq.read_table(io.BytesIO(data), filters=[("count", "==", 777)])["text"].to_pylist() == ["text 777" * 50]


def test_replacing_twice_is_replacing_once() -> None:
    """Replacing a column that was replaced before, with the same or other values, gives the same bytes."""
    data = written(row_group_size=128)
    once = replaced(data, COUNTS)
    assert replaced(once, COUNTS) == once
    assert replaced(replaced(data, pa.array(range(1000), pa.int64())), COUNTS) == once


def test_other_columns_are_copied_as_they_stand() -> None:
    """The bytes of the other columns are unchanged and in the same place."""
    data = written(row_group_size=128)
    once = replaced(data, COUNTS)
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(7).column(3)
    end = chunk.dictionary_page_offset + chunk.total_compressed_size
    assert once[:end] == data[:end]


def test_another_reader_reads_it(tmp_path: Path) -> None:
    """DuckDB, which shares no code with pyarrow, reads all columns."""
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "x.parquet"
    path.write_bytes(replaced(written(row_group_size=128), COUNTS))
    sums = duckdb.sql(f"select sum(count), count(count), sum(length(text)), sum(len(tags)) from '{path}'").fetchall()
    texts = sum(len(text) for text in TABLE["text"].to_pylist())
    assert sums == [(sum(n for n in range(1000) if n % 10), 900, texts, 2000)]


def test_an_empty_file() -> None:
    """A file without rows can be rewritten."""
    data = replaced(written(TABLE.slice(0, 0)), pa.array([], pa.int64()))
    assert pq.read_table(io.BytesIO(data)).equals(TABLE.slice(0, 0))


numbers = st.integers(-(2**63), 2**63 - 1)
scalars = st.one_of(
    st.tuples(st.sampled_from([I16, I32, I64]), numbers),
    st.tuples(st.just(BYTE), st.integers(0, 255)),
    st.tuples(st.just(DOUBLE), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just(BINARY), st.binary(max_size=200)),
    st.sampled_from([(TRUE, True), (FALSE, False)]),
)
lists = st.lists(numbers, max_size=20).map(lambda values: (LIST, (I64, values)))


def structs(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.dictionaries(st.integers(1, 300), inner, max_size=6)


deep = st.recursive(
    st.one_of(scalars, lists),
    lambda inner: st.one_of(
        structs(inner).map(lambda fields: (STRUCT, fields)),
        st.lists(structs(inner), max_size=17).map(lambda values: (LIST, (STRUCT, values))),
    ),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(structs(deep))
def test_thrift_round_trip(fields: dict[int, tuple[int, object]]) -> None:
    """Any struct is read back as it was written."""
    data = write_struct(fields)
    assert read_struct(b"xx" + data + b"yy", 2) == (fields, len(data) + 2)


def test_footer_of_pyarrow_is_written_back_byte_for_byte() -> None:
    """A footer written by pyarrow is unchanged after parsing and writing."""
    data = written(row_group_size=128, write_page_index=True)
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    assert write_struct(read_struct(footer)[0]) == footer
