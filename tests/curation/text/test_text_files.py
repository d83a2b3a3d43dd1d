"""Texts and rows from the files that a user names."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from curation.errors import InputError
from curation.text.text_files import read_rows, text_files

LINES = [json.dumps({"text": f"text {number}"}) + "\n" for number in range(3000)]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_packed_rows(tmp_path: Path, ending: str, pack: type[bytes]) -> None:
    """Rows packed in several members or frames are all read; a file that is cut off is an error, not a shorter file."""
    data = pack("".join(LINES[:1000]).encode()) + pack("".join(LINES[1000:]).encode())
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(data)
    assert [row["text"] for row in read_rows(str(path))] == [f"text {number}" for number in range(3000)]
    path.write_bytes(data[:-20])
    with pytest.raises(InputError, match=r"cannot be read: .+"):
        list(read_rows(str(path)))


def test_damaged_rows(tmp_path: Path) -> None:
    """Parquet that Arrow cannot read, or Python cannot hold, is an error that names the file."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"], "date": pa.array([1 << 60], pa.timestamp("ms"))}), path)
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read: .+"):
        list(read_rows(str(path)))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read: .+"):
        list(read_rows(str(path)))


def test_globs(tmp_path: Path) -> None:
    """A glob names files of known kinds in order; a file whose name looks like a glob is that file."""
    for name in ("b.jsonl", "a.jsonl.zst", "c.md", "[d].txt"):
        (tmp_path / name).write_text("")
    assert [Path(file).name for file in text_files([f"{tmp_path}/*"])] == ["[d].txt", "a.jsonl.zst", "b.jsonl"]
    assert text_files([f"{tmp_path}/[d].txt"]) == [f"{tmp_path}/[d].txt"]
    with pytest.raises(InputError, match="no Parquet, JSON Lines or text file"):
        text_files([f"{tmp_path}/*.md"])
