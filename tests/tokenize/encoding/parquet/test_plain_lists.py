from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.store.folder import Folder
from curation.tokenize.encoding.token_shards import TokensSettings, token_schema, write_token_shard


def token_table(rows: int, length: int, dtype: str, seed: int = 0) -> pa.Table:
    """Rows of random ids over the whole range of the type, with one to three documents per row."""
    random = np.random.default_rng(seed)
    schema = token_schema(np.dtype(dtype), length)
    ids = random.integers(0, np.iinfo(dtype).max, rows * length, np.dtype(dtype), endpoint=True)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(ids), type=schema.field("input_ids").type)
    pieces = [random.integers(1, 4) for _ in range(rows)]
    starts = pa.array([list(range(count)) for count in pieces], schema.field("document_starts").type)
    names = [[None, "<urn:a>", "<urn:b>"][:count] for count in pieces]
    return pa.Table.from_arrays([lists, starts, pa.array(names, schema.field("document_ids").type)], schema=schema)


def written(folder: Path, table: pa.Table, rows: int) -> Path:
    settings = TokensSettings(sequence_length=table.schema.field(0).type.list_size, row_group_rows=rows)
    output = write_token_shard(Folder(str(folder)), "tokens.parquet", table, {"a": "b"}, settings)
    assert (output.bytes, output.rows) == ((folder / "tokens.parquet").stat().st_size, table.num_rows)
    return folder / "tokens.parquet"


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    rows=st.integers(0, 40),
    length=st.sampled_from([2, 3, 8, 9, 64, 129, 1000]),
    group=st.integers(1, 41),
    dtype=st.sampled_from(["uint8", "uint16", "uint32"]),
)
def test_what_is_written_is_read_back(tmp_path_factory, rows: int, length: int, group: int, dtype: str) -> None:
    """Rows of any number and length are read back unchanged, with schema, metadata and row groups."""
    table = token_table(rows, length, dtype)
    path = written(tmp_path_factory.mktemp("plain"), table, group)
    result = pq.read_table(path)
    assert result.replace_schema_metadata(None).equals(table)
    assert result.schema.metadata == {b"a": b"b"}
    footer = pq.read_metadata(path)
    groups = [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]
    assert groups == [min(group, rows - first) for first in range(0, rows, group)]


def test_the_same_pages_as_pyarrow_writes(tmp_path: Path) -> None:
    """The column has the type and values of the one pyarrow writes; only its levels are encoded differently."""
    table = token_table(30, 33, "uint16")
    path, other = written(tmp_path, table, 7), tmp_path / "other.parquet"
    pq.write_table(table, other, row_group_size=7, compression="none", use_dictionary=False, write_statistics=False)
    mine, theirs = pq.ParquetFile(path), pq.ParquetFile(other)
    assert mine.schema.equals(theirs.schema)
    for number in range(theirs.metadata.num_row_groups):
        ours, peer = (file.metadata.row_group(number).column(0).to_dict() for file in (mine, theirs))
        places = ("data_page_offset", "total_compressed_size", "total_uncompressed_size")
        assert {k: v for k, v in ours.items() if k not in places} == {k: v for k, v in peer.items() if k not in places}
        for chunk, file in ((ours, path), (peer, other)):
            stop = chunk["data_page_offset"] + chunk["total_compressed_size"]
            values = file.read_bytes()[stop - chunk["num_values"] * 4 : stop]
            expected = table.slice(number * 7, 7).column(0).combine_chunks().flatten().to_numpy()
            assert np.array_equal(np.frombuffer(values, "<u4"), expected)


def test_a_row_group_is_contiguous(tmp_path: Path) -> None:
    """The columns of a row group are contiguous, so that a remote reader gets them with a single request."""
    footer = pq.read_metadata(written(tmp_path, token_table(30, 33, "uint32"), 7))
    expected_begin = 4
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for column in range(group.num_columns):
            chunk = group.column(column)
            begin = chunk.dictionary_page_offset or chunk.data_page_offset
            assert begin == expected_begin
            expected_begin += chunk.total_compressed_size
        sizes = [group.column(column).total_uncompressed_size for column in range(group.num_columns)]
        assert group.total_byte_size == sum(sizes)


def test_parts_of_rows_are_read(tmp_path: Path) -> None:
    """Reading some columns or some row groups gives the right rows."""
    table = token_table(50, 16, "uint16")
    path = written(tmp_path, table, 8)
    result = ds.dataset(path).to_table(columns=["document_starts", "input_ids"])
    assert result.column("input_ids").equals(table.column("input_ids"))
    assert pq.ParquetFile(path).read_row_groups([5, 2]).column("input_ids").to_pylist() == [
        *table.column("input_ids").slice(40, 8).to_pylist(),
        *table.column("input_ids").slice(16, 8).to_pylist(),
    ]
