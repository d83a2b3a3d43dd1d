"""Parquet shards: bytes independent of batches, no file after a failure, names that do not collide."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.errors import DamagedShard
from curation.store.folder import Folder
from curation.store.shards import (
    ROW_GROUP_ROWS,
    ShardWriter,
    read_numbered,
    read_shard,
    read_table,
    rows_at,
    shard_name,
)

SCHEMA = pa.schema([("text", pa.string()), ("n", pa.int64())])


def rows(count: int) -> pa.Table:
    return pa.table({"text": [f"row {i} " * (i % 7) for i in range(count)], "n": range(count)}, schema=SCHEMA)


def write(folder: Folder, path: str, table: pa.Table, batch_rows: int) -> bytes:
    with ShardWriter(folder, path, SCHEMA, {"a": "b"}) as writer:
        for batch in table.to_batches(max_chunksize=batch_rows):
            writer.write(batch)
    assert writer.output.rows == table.num_rows
    assert (writer.output.bytes, writer.output.hash) == folder.hash(path)
    return folder.read(path)


def test_bytes_do_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    """Batches of any size give the same file, in row groups of the configured size."""
    folder, table = Folder(str(tmp_path)), rows(2 * ROW_GROUP_ROWS + 5)
    files = {write(folder, f"{size}.parquet", table, size) for size in (97, 1000, ROW_GROUP_ROWS, 10**6)}
    assert len(files) == 1
    metadata = pq.ParquetFile(tmp_path / "97.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(3)] == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 5]
    assert read_table(folder, "97.parquet").equals(table)


def test_batches_are_numbered(tmp_path: Path) -> None:
    """Each batch comes with the numbers of its rows in the file, over all row groups."""
    folder, table = Folder(str(tmp_path)), rows(2 * ROW_GROUP_ROWS + 5)
    write(folder, "a.parquet", table, 1000)
    numbered = list(read_numbered(folder, "a.parquet", ["n"], 700))
    assert len(numbered) > 2
    assert all(numbers.tolist() == batch["n"].to_pylist() for numbers, batch in numbered)
    assert sum(batch.num_rows for _, batch in numbered) == table.num_rows


def test_rows_are_found_by_their_numbers(tmp_path: Path) -> None:
    """Row numbers of any row group give their rows in order; a number beyond the end is ignored."""
    folder, table = Folder(str(tmp_path)), rows(2 * ROW_GROUP_ROWS + 5)
    write(folder, "a.parquet", table, 1000)
    numbers = [0, 7, ROW_GROUP_ROWS - 1, 2 * ROW_GROUP_ROWS, 2 * ROW_GROUP_ROWS + 4, 2 * ROW_GROUP_ROWS + 5]
    assert rows_at(folder, "a.parquet", numbers).equals(table.take(numbers[:-1]))
    assert rows_at(folder, "a.parquet", numbers, ["n"])["n"].to_pylist() == numbers[:-1]
    assert rows_at(folder, "a.parquet", [], ["n"]).equals(table.select(["n"]).slice(0, 0))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """Wherever it is damaged: the error is not taken for one of storage, which may pass. A missing file is missing."""
    folder, table = Folder(str(tmp_path)), rows(5000)
    write(folder, "a.parquet", table, 1000)
    sound = (tmp_path / "a.parquet").read_bytes()
    no_text = sound.replace(b"\x04text", b"\x04\xbeext")
    (arrow_schema,) = re.findall(rb"/////[\w+/=]+", sound)
    wide = base64.b64encode(base64.b64decode(arrow_schema).replace(b"\x40\0\0\0", b"\x41\0\0\0"))
    no_type = sound.replace(arrow_schema, wide)
    middle = sound[:4] + b"\xff" * 400 + sound[404:]
    for damaged in (sound[:-9], middle, b"", b"PAR1" * 9, no_text, no_type):
        (tmp_path / "a.parquet").write_bytes(damaged)
        with pytest.raises(DamagedShard, match=r"a.parquet is damaged, see `curate verify`: "):
            list(read_shard(folder, "a.parquet"))
    with pytest.raises(FileNotFoundError):
        list(read_shard(folder, "b.parquet"))


def test_an_empty_shard_keeps_the_schema(tmp_path: Path) -> None:
    """A shard without rows is a valid file with all columns and the metadata."""
    folder = Folder(str(tmp_path))
    write(folder, "empty.parquet", rows(0), 10)
    assert list(read_shard(folder, "empty.parquet")) == []
    schema = pq.read_schema(tmp_path / "empty.parquet")
    assert schema.equals(SCHEMA)
    assert schema.metadata[b"a"] == b"b"


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    """A shard whose block raises leaves no file, not even a partial one."""

    def fail() -> None:
        with ShardWriter(Folder(str(tmp_path)), "x.parquet", SCHEMA) as writer:
            writer.write(rows(3000))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.rglob("*.parquet*")) == []


def test_a_wrong_column_is_refused(tmp_path: Path) -> None:
    """A batch that lacks a column of the schema raises; the schema is never taken from the data."""
    with pytest.raises(KeyError), ShardWriter(Folder(str(tmp_path)), "x.parquet", SCHEMA) as writer:
        writer.write(pa.record_batch({"text": ["a"]}))


def test_shard_names() -> None:
    """Equal base names in different folders get different names, without archive endings and odd characters."""
    names = [shard_name(path) for path in ("/a/x.warc.gz", "/b/x.warc.gz", "s3://c/x.warc.gz", "/a/x.warc.zst")]
    assert len(set(names)) == 4
    assert all(name.startswith("x-") for name in names)
    assert shard_name("/a/.hid den?.warc") == shard_name("/a/.hid den?.warc")
    assert set(shard_name("/a/.hid den?é.warc")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_only_values_that_repeat_have_a_dictionary(tmp_path: Path) -> None:
    """Texts, ids and URLs have no dictionary; all other columns, nested ones too, have one."""
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("language", pa.string()),
            ("signals", pa.struct([("words", pa.int64()), ("nested", pa.struct([("share", pa.float64())]))])),
            ("tags", pa.list_(pa.string())),
            ("pairs", pa.list_(pa.struct([("name", pa.string())]))),
            ("text", pa.string()),
            ("url", pa.string()),
        ]
    )
    signals = {"words": 5, "nested": {"share": 0.5}}
    row = {"id": "a", "language": "en", "signals": signals, "tags": ["x"], "pairs": [{"name": "y"}]}
    with ShardWriter(Folder(str(tmp_path)), "s.parquet", schema) as writer:
        writer.write(pa.Table.from_pylist([{**row, "text": "t", "url": "u"}] * 50, schema=schema))
    group = pq.read_metadata(tmp_path / "s.parquet").row_group(0)
    chunks = [group.column(number) for number in range(group.num_columns)]
    assert len(chunks) == 8
    plain = {chunk.path_in_schema for chunk in chunks if not chunk.has_dictionary_page}
    assert plain == {"id", "text", "url"}
    assert pq.read_table(tmp_path / "s.parquet").num_rows == 50
