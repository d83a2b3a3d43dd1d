"""Parquet as input: columns by name, bad rows by cause, damage at the cost of a row group, parts that add up."""

from __future__ import annotations

import datetime
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from row_files import read_rows

from curation.archives import kinds
from curation.archives.columns import ColumnNames
from curation.archives.inputs import find_inputs
from curation.archives.parquet_rows import ParquetRows
from curation.archives.read import read_input, read_row
from curation.archives.reader import ReadSettings
from curation.errors import UnreadableArchive


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


LAYOUTS: dict[str, dict[str, Any]] = {
    "fineweb": {
        "text": ["A."], "id": ["<1>"], "dump": ["CC-MAIN-2024-10"], "url": ["https://a.org/"], "date": ["2024-03-01"],
        "file_path": ["s3://x"], "language": ["en"], "language_score": [0.5], "token_count": [3],
    },
    "dclm": {
        "text": ["A."], "url": ["https://a.org/"],
        "metadata": [{"WARC-Record-ID": "<1>", "WARC-Date": "2024-03-01", "Content-Length": "5"}],
    },
    "c4": {"text": ["A."], "timestamp": [datetime.datetime(2024, 3, 1, 2, 3, 4)], "url": ["https://a.org/"]},
    "culturax": {"text": ["A."], "timestamp": ["2024/03/01 02:03:04"], "url": ["https://a.org/"], "source": ["mC4"]},
    "dolma": {
        "id": ["<1>"], "text": ["A."], "created": ["2024-03-01"], "source": ["web"],
        "metadata": [{"url": "https://a.org/"}],
    },
    "oscar": {
        "content": ["A."], "warc_headers": [{"warc-record-id": "<1>", "warc-target-uri": "https://a.org/"}],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_columns_of_known_corpora(name: str, tmp_path: Path) -> None:
    """Text, id, URL and date are found under the names that well-known corpora give them."""
    (row,), _, _ = read_rows(write(tmp_path / "a.parquet", LAYOUTS[name]))
    assert (row["text"], row["url"]) == ("A.", "https://a.org/")
    assert row["id"] == ("<1>" if name not in ("c4", "culturax") else f"{kinds_shard(tmp_path / 'a.parquet')}:0")
    time = "2024-03-01T02:03:04Z"
    assert row["date"] == {"c4": time, "culturax": time, "oscar": None}.get(name, "2024-03-01")
    assert (row["file_path"], row["row"], row["warc_offset"]) == (str(tmp_path / "a.parquet"), 0, None)
    assert row["token_count"] is None
    assert (row["dump"], row["language_score"]) == (("CC-MAIN-2024-10", 0.5) if name == "fineweb" else (None, None))


def kinds_shard(path: Path) -> str:
    (source,) = find_inputs([str(path)])
    return source.shard


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_types_of_text(kind: pa.DataType, tmp_path: Path) -> None:
    """Text is read from strings and bytes of every type; invalid UTF-8 is replaced and counted."""
    data = pa.array([b"\xc3\x84 text.", None, b"bad \xff"], pa.large_binary())
    if pa.types.is_dictionary(kind):
        column = data.slice(0, 2).cast(pa.string()).dictionary_encode()
    else:
        binary = data if "large" in str(kind) else data.cast(pa.binary())
        column = pa.Array.from_buffers(kind, 3, binary.buffers())
    rows, counts, _ = read_rows(write(tmp_path / "a.parquet", {"text": column}))
    assert [row["text"] for row in rows] == ["Ä text.", "bad �"][: len(column) - 1]
    assert counts["skipped.no_text"] == 1
    assert counts["repaired.invalid_utf8"] == len(column) - 2


def test_bad_rows_are_counted_and_named(tmp_path: Path) -> None:
    """A row without text is named with its number, adjacent ones together; blank and oversized texts are counted."""
    texts = ["One.", None, None, " \n", "x" * 101, "Two."]
    rows, counts, losses = read_rows(write(tmp_path / "a.parquet", {"text": texts}), ReadSettings(max_page_bytes=100))
    assert [(row["text"], row["row"]) for row in rows] == [("One.", 0), ("Two.", 5)]
    assert [(loss.cause, loss.row, loss.records) for loss in losses] == [("no_text", 1, 2)]
    assert counts["records.row"] == 6
    assert (counts["skipped.no_text"], counts["skipped.empty"], counts["skipped.too_large"]) == (2, 1, 1)
    assert counts["bytes.records"] == (tmp_path / "a.parquet").stat().st_size


def test_names_of_columns(tmp_path: Path) -> None:
    """A named column is used instead of the known ones, of a list the first that is there."""
    path = write(tmp_path / "a.parquet", {"text": ["no"], "body": ["yes"], "key": [7]})
    names = ColumnNames(text=("absent", "body"), id="key")
    (row,), _, _ = read_rows(path, ReadSettings(columns=names))
    assert (row["text"], row["id"]) == ("yes", "7")


def test_html_is_read_where_there_is_no_text(tmp_path: Path) -> None:
    """HTML goes to extraction where a row has no text, or where only its column is named; bytes are decoded."""
    page = '<meta charset="windows-1252"><p>\xe4</p>'
    path = write(tmp_path / "a.parquet", {"text": ["A.", None], "html": [page.encode("cp1252")] * 2})
    rows, counts, _ = read_rows(path)
    assert [(row["text"], row["html"]) for row in rows] == [("A.", None), (None, page)]
    assert (counts["pages.html"], counts["pages.text"]) == (1, 1)
    rows, _, _ = read_rows(path, ReadSettings(columns=ColumnNames(html="html")))
    assert [row["html"] for row in rows] == [page, page]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"words": ["A."]}, r"no column 'text' or .*; there are words: set read.columns.text"),
        ({"text": [1]}, "the column 'text' holds int64, not text"),
    ],
)
def test_files_without_text_are_refused(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    """A file that has no column of text is refused with the columns it has."""
    with pytest.raises(UnreadableArchive, match=message):
        read_rows(write(tmp_path / "a.parquet", columns))


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """A file with two columns of text of one name is refused with that name, since neither is the text for sure."""
    pq.write_table(pa.Table.from_arrays([pa.array(["A."])] * 2, ["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(UnreadableArchive, match="more than one column is named 'text'"):
        read_rows(tmp_path / "a.parquet")


@pytest.mark.parametrize("keep", [4, 100, -1, -9])
def test_a_cut_file_is_refused(keep: int, tmp_path: Path) -> None:
    """A file whose footer is gone is refused, not read as something else."""
    path = write(tmp_path / "a.parquet", {"text": ["A text."] * 9})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnreadableArchive, match="not a Parquet file, or damaged"):
        read_rows(path)


def test_a_damaged_row_group_costs_its_rows(tmp_path: Path) -> None:
    """Rows of other groups keep their numbers; the lost ones are named."""
    texts = [f"Text number {number}." for number in range(30)]
    path = write(tmp_path / "a.parquet", {"text": texts}, row_group_size=10, compression="zstd", use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    begin = column.data_page_offset
    data[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(bytes(data))
    rows, counts, losses = read_rows(path)
    assert [row["row"] for row in rows] == [*range(10), *range(20, 30)]
    assert [(loss.cause, loss.row, loss.records) for loss in losses] == [("damaged_parquet", 10, 10)]
    assert counts["bytes.lost"] == column.total_compressed_size


@pytest.mark.parametrize("part_bytes", [1, 500, 2000])
def test_parts_add_up(part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file read in parts, however many, gives each row once, in order, with the same counts."""
    path = write(tmp_path / "a.parquet", {"text": [f"Text {n}." for n in range(100)]}, row_group_size=7)
    whole, counts, _ = read_rows(path)
    monkeypatch.setattr(kinds, "PART_BYTES", max(part_bytes, path.stat().st_size // 50))
    assert len(find_inputs([str(path)])) > 1
    parts, counted, _ = read_rows(path)
    assert parts == whole
    assert counted == counts


def test_a_row_is_found_again(tmp_path: Path) -> None:
    """Any row can be read by its number; a row that is no document gives none."""
    path = write(tmp_path / "a.parquet", {"text": ["A.", None, "C.", "D."]}, row_group_size=2)
    (source,) = find_inputs([str(path)])
    with source.open() as stream:
        found = [read_row(stream, source, row, ReadSettings()) for row in range(5)]
    assert [batch and batch.text[0].as_py() for batch in found] == ["A.", None, "C.", "D.", None]


def test_a_row_of_a_damaged_row_group_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Arrow raises, also what is no ValueError."""

    def fail(*arguments: Any) -> None:
        raise pa.ArrowNotImplementedError("an encoding that nobody knows")

    monkeypatch.setattr(ParquetRows, "_values", fail)
    (source,) = find_inputs([str(write(tmp_path / "a.parquet", {"text": ["A."]}))])
    with (
        source.open() as stream,
        pytest.raises(UnreadableArchive, match=r"^the row group of row 0 cannot be read: "),
    ):
        read_row(stream, source, 0, ReadSettings())


@pytest.mark.parametrize("reads", [0, 1])
def test_failing_storage_is_no_damage(reads: int, tmp_path: Path) -> None:
    """An error of the storage is passed on, so that the file is tried again, and costs no row."""
    path = write(tmp_path / "a.parquet", {"text": ["A."] * 10})
    (source,) = find_inputs([str(path)])

    class Failing:
        def __init__(self, stream: Any) -> None:
            self.stream, self.reads = stream, 0

        def read(self, size: int = -1) -> bytes:
            self.reads += 1
            if self.reads > reads:
                raise OSError("storage is away")
            return bytes(self.stream.read(size))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

    with source.open() as stream, pytest.raises(OSError, match="storage is away"):
        list(read_input(Failing(stream), source, ReadSettings(), Counter()))  # type: ignore[arg-type]
