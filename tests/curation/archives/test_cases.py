"""Archives that other readers fail on: which pages are read, what is counted, and that every byte is accounted for."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from archives import members, page, response

from curation.archives.ledger import Loss
from curation.archives.reader import ReadSettings, UnreadableArchive, read_batches
from tests.conftest import find_shared_data

CASES: dict[str, tuple[list[str], dict[str, int]]] = {
    "length_too_long_by_10.warc": (["http://e0.com/", "http://e2.com/", "http://e3.com/"], {}),
    "first_line_damaged.warc": (["http://e0.com/", "http://e2.com/"], {"damaged_header": 1}),
    "crlf_became_lf.warc": ([f"http://e{number}.com/" for number in (1, 3, 5, 7, 9)], {}),
    "castorini_anserini__2_segment1.warc.gz": (["http://www.testcaseurl.com/ccnewsen"], {}),
    "arc_length_too_long_by_8.arc": (["http://e0.com/", "http://e1.com/", "http://e2.com/"], {}),
    "hang_digits_line.warc": ([], {"garbage": 1}),
    "gz_delete_across_members.warc.gz": ([], {"damaged_gzip": 1}),
    "netarchivesuite_jwat__valid-warcfile-fields-warcinfo.warc": ([], {}),
    "15-two-zstd-dictionaries.warc.zst": ([f"http://a.example/{number}" for number in range(6)], {}),
}
"""Archive -> URLs of its pages, and records lost by cause."""


def read(data: bytes) -> tuple[list[dict[str, object]], Counter[str], list[Loss]]:
    counts: Counter[str] = Counter()
    losses: list[Loss] = []
    batches = list(read_batches(io.BytesIO(data), "x", ReadSettings(), counts, losses=losses))
    assert sum(counts[f"bytes.{kind}"] for kind in ("records", "padding", "lost")) == len(data)
    return [row for batch in batches for row in batch.table.to_pylist()], counts, losses


@pytest.mark.parametrize("name", CASES)
def test_pages_and_losses(shared_data: Path, name: str) -> None:
    """All pages whose bytes are there are read, and each lost record is counted under its cause and named."""
    expected, lost = CASES[name]
    rows, counts, losses = read((shared_data / "cases" / name).read_bytes())
    assert [row["url"] for row in rows] == expected
    assert {key[8:]: n for key, n in counts.items() if key.startswith("skipped.") and "type" not in key} == lost
    assert sum(loss.records for loss in losses) == sum(lost.values())


def archives() -> list[Path]:
    shared = find_shared_data()
    folders = [shared / name for name in ("cases", "warc-cases")] if shared is not None else []
    return [path for folder in folders for path in sorted(folder.iterdir()) if "arc" in path.name]


@pytest.mark.parametrize("path", archives(), ids=lambda path: path.name)
def test_every_byte_is_accounted_for(path: Path) -> None:
    """Bytes of records, padding and losses add up to the size of the file."""
    read(path.read_bytes())


PAGES = members([response(f"https://a.org/{number}", page("x", "Text. " * 50)) for number in range(3)])


def test_stored_archives_in_a_zip_file_are_read() -> None:
    """The pages of a WACZ, a zip file that stores archives unpacked, are read."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("archive/data.warc.gz", PAGES)
        file.writestr("datapackage.json", "{}")
    rows, _, _ = read(packed.getvalue())
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bzip2", bz2.compress(PAGES)),
        ("xz", lzma.compress(PAGES)),
        ("lz4", b"\x04\x22\x4d\x18" + b"x" * 500),
        ("zip", b"PK\x03\x04" + b"x" * 500),
        ("Parquet", b"PAR1" + b"x" * 500),
    ],
)
def test_other_formats_are_named(name: str, data: bytes) -> None:
    """The error of a file in another packing says which."""
    with pytest.raises(UnreadableArchive, match=f"in {name} format"):
        read(data)
