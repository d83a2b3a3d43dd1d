"""JSON Lines and text files as input: packed or not, bad lines by cause, parts that add up."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
import zstandard
from row_files import read_rows

from curation.archives import kinds
from curation.archives.columns import ColumnNames
from curation.archives.inputs import find_inputs
from curation.archives.lines import count_lines, read_lines
from curation.archives.read import read_row
from curation.archives.reader import ReadSettings
from curation.errors import UnreadableArchive

PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.mark.parametrize("packing", PACK)
def test_lines_are_documents(packing: str, tmp_path: Path) -> None:
    """Every line is a document with the number of its line, packed or not, with or without a line end at the end."""
    path = tmp_path / f"a.jsonl{packing}"
    data = lines({"text": "A.", "id": 1, "url": "https://a.org/"}, {"text": "\ud800Ä", "metadata": {"url": "u"}})
    path.write_bytes(PACK[packing](b"\xef\xbb\xbf" + data + b"\r\n" + b'{"text": "C."}'))
    rows, counts, losses = read_rows(path)
    assert [(row["row"], row["text"], row["url"]) for row in rows] == [
        (0, "A.", "https://a.org/"),
        (1, "�Ä", "u"),
        (3, "C.", None),
    ]
    assert [row["id"] for row in rows] == [
        "1",
        f"{find_inputs([str(path)])[0].shard}:1",
        rows[0]["file_path"] and rows[2]["id"],
    ]
    assert counts["bytes.records"] == path.stat().st_size
    assert not losses


def test_bad_lines_are_counted_and_named(tmp_path: Path) -> None:
    """A line that is no JSON, no object, has no text or one that is not text costs itself, and is named."""
    path = tmp_path / "a.jsonl"
    good = lines({"text": "Good."})
    deep = b'{"text":' + b"[" * 100_000 + b"\n"
    path.write_bytes(good + b"{oops\n" + lines({"text": 3}, {"a": 1}, [], {"text": ""}) + deep + b'{"text":"\xff"}\n')
    rows, counts, losses = read_rows(path)
    assert [(row["row"], row["text"]) for row in rows] == [(0, "Good."), (7, "�")]
    assert [(loss.row, loss.cause) for loss in losses] == [
        (1, "invalid_json"), (2, "wrong_type"), (3, "no_text"), (4, "wrong_type"), (6, "invalid_json"),
    ]  # fmt: skip
    assert (losses[0].offset, losses[0].bytes) == (len(good), 6)
    assert (counts["skipped.empty"], counts["repaired.invalid_utf8"]) == (1, 1)
    assert counts["bytes.records"] + counts["bytes.lost"] == path.stat().st_size


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lines({"body": "A."}), "no line has a key 'text'.*: set read.columns.text"),
        (
            b"[\n  1\n]\n",
            r"no line is a JSON object with text \(invalid_json\): the file is a JSON array; write one object",
        ),
        (b'[{"text": "A."}]', r"text \(wrong_type\): the file is a JSON array; write one object per line$"),
        (b"7\n[1]\n", r"no line is a JSON object with text \(wrong_type\)$"),
    ],
)
def test_files_without_a_good_line_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    """A file of which no line is a document is refused with what to do."""
    (tmp_path / "a.jsonl").write_bytes(data)
    with pytest.raises(UnreadableArchive, match=message):
        read_rows(tmp_path / "a.jsonl")


def test_names_of_keys(tmp_path: Path) -> None:
    """The recipe names the key of the text, with dots for a key inside another."""
    (tmp_path / "a.jsonl").write_bytes(lines({"page": {"body": "A."}}))
    rows, _, _ = read_rows(tmp_path / "a.jsonl", ReadSettings(columns=ColumnNames(text="page.body")))
    assert rows[0]["text"] == "A."


def test_lines_differ_in_their_keys(tmp_path: Path) -> None:
    """Each line has its values under its own keys, and the first that is not null counts."""
    data = lines(
        {"text": "A.", "url": "a"},
        {"content": "B.", "metadata": {"url": "b"}},
        {"text": None, "url": None, "content": "C.", "uri": "c"},
        {"text": "D.", "metadata": {}},
        {"text": "E.", "metadata.url": "e"},
    )
    (tmp_path / "a.jsonl").write_bytes(data)
    rows, _, _ = read_rows(tmp_path / "a.jsonl")
    assert [(row["text"], row["url"]) for row in rows] == [
        ("A.", "a"), ("B.", "b"), ("C.", "c"), ("D.", None), ("E.", "e"),
    ]  # fmt: skip


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_cut_file_gives_what_comes_before(packing: str, tmp_path: Path) -> None:
    """Of a file that breaks off, the lines before are read, and the loss is named."""
    path = tmp_path / f"a.jsonl{packing}"
    random.seed(1)
    texts = [{"text": f"{random.random()} " * 500} for _ in range(400)]
    path.write_bytes(PACK[packing](lines(*texts))[:-2000])
    rows, _, losses = read_rows(path)
    assert 200 < len(rows) < 400
    assert [row["text"] for row in rows] == [text["text"] for text in texts[: len(rows)]]
    assert (losses[-1].cause, losses[-1].row) == ("truncated", len(rows))


@pytest.mark.parametrize("part_bytes", [1, 37, 100, 5000])
def test_parts_add_up(part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file read in parts, cut anywhere, gives each line once, with its number in the whole file."""
    path = tmp_path / "a.jsonl"
    texts = [{"text": f"Text {n}. " * (n % 7 + 1)} for n in range(60)]
    path.write_bytes(b"\n" + lines(*texts[:30]) + b"\n\n" + lines(*texts[30:]))
    whole, counts, _ = read_rows(path)
    monkeypatch.setattr(kinds, "PART_BYTES", part_bytes)
    parts, counted, _ = read_rows(path)
    assert parts == whole
    assert counted == counts


def test_first_rows_are_counted(tmp_path: Path) -> None:
    """A part whose first row is known does not count the lines before it."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\nb\nccc\nd\n")
    (source,) = find_inputs([str(path)])
    for start in range(1, 10):
        part = type(source)(source.path, source.size, source.version, start, None)
        with source.open() as stream:
            found = list(read_lines(stream, part, 100))
            known = type(source)(source.path, 10, "", start, None, count_lines(stream, 0, start))
            assert list(read_lines(stream, known, 100)) == found
        assert [(line.row, line.data) for line in found] == [
            (row, data) for row, data, at in ((0, b"a", 0), (1, b"b", 2), (2, b"ccc", 4), (3, b"d", 8)) if at >= start
        ]


def test_long_lines_are_not_held(tmp_path: Path) -> None:
    """A line that is longer than any document may be is counted, and the next one is read."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * (3 << 20) + b"\n" + lines({"text": "B."}))
    rows, counts, _ = read_rows(path, ReadSettings(max_page_bytes=1000))
    assert [(row["row"], row["text"]) for row in rows] == [(1, "B.")]
    assert counts["skipped.too_large"] == 1


def test_text_files(tmp_path: Path) -> None:
    """A text file is one document in its charset, or one for each line."""
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("Erste Zeile.\n\nDritte, mit ä.\n".encode("cp1252")))
    (row,), _, _ = read_rows(path)
    assert (row["text"], row["row"]) == ("Erste Zeile.\n\nDritte, mit ä.\n", 0)
    path.write_bytes(b"One.\n\nThree.")
    rows, _, _ = read_rows(path, ReadSettings(text_files="lines"))
    assert [(row["row"], row["text"]) for row in rows] == [(0, "One."), (2, "Three.")]
    with pytest.raises(UnreadableArchive, match="text_files=lines"):
        read_rows(path, ReadSettings(max_page_bytes=5))


def test_a_row_is_found_again(tmp_path: Path) -> None:
    """Any line can be read by its number, and a bad one gives none."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines({"text": "A."}, 3, {"text": "C."}))
    (source,) = find_inputs([str(path)])
    for row, text in enumerate(("A.", None, "C.", None)):
        with source.open() as stream:
            batch = read_row(stream, source, row, ReadSettings())
        assert (batch and batch.text[0].as_py()) == text


@pytest.mark.parametrize(("name", "data"), [("a.data", lines({"text": "A."})), ("b", b'\n {"text": "A."}')])
def test_other_names(name: str, data: bytes, tmp_path: Path) -> None:
    """The content decides what a file with any other ending is."""
    (tmp_path / name).write_bytes(data)
    rows, _, _ = read_rows(tmp_path / name)
    assert rows[0]["text"] == "A."


def test_files_of_no_known_kind(tmp_path: Path) -> None:
    """The error about a file that is of no kind that is read names these kinds."""
    (tmp_path / "a.csv").write_bytes(b"text\nA.\n")
    with pytest.raises(UnreadableArchive, match=r"not Parquet, JSON Lines or a .txt file, and no WARC or ARC record"):
        read_rows(tmp_path / "a.csv")
