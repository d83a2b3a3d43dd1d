"""Parts of mutated archives: together they give what the whole gives, or one of them says that it cannot be divided."""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
from archives import members, page, response
from fuzzing import fuzz

from curation.archives import divide as dividing
from curation.archives.divide import divide
from curation.archives.inputs import Input
from curation.archives.ledger import Loss
from curation.archives.read import read_input
from curation.archives.reader import ReadSettings
from curation.errors import NotDivisible, UnreadableArchive

RECORDS = [
    response("urn:info", "isPartOf: spring\r\n", kind="warcinfo", http=(), headers=()),
    *(response(f"https://a.org/{number}", page(f"{number}", f"Some text {number}. " * 9)) for number in range(9)),
]
OTHER = response("urn:info", "isPartOf: autumn\r\n", kind="warcinfo", http=(), headers=())
PLAIN = b"".join(RECORDS)
ARC = b"filedesc://x.arc 0.0.0.0 20240101000000 text/plain 20\n1 0 Maker\nURL IP Ar\n\n" + b"".join(
    b"http://a.org/%d b 1.2.3.4 20240102030405 text/html 39\nHTTP/1.1 200 OK\r\n\r\n<html>page %d</html>\n\n" % (n, n)
    for n in range(9)
)
SOUND = {
    "members": members(RECORDS),
    "uncompressed": PLAIN,
    "arc": ARC,
    "arc members": b"".join(gzip.compress(part + b"\n\n", mtime=0) for part in ARC.split(b"\n\n")[:-1]),
    "several records per member": members([b"".join(RECORDS[at : at + 3]) for at in range(0, len(RECORDS), 3)]),
}
"""Archives that can be divided."""

WHOLE = {
    "one member": gzip.compress(PLAIN, mtime=0),
    "records across members": members(PLAIN[start : start + 300] for start in range(0, len(PLAIN), 300)),
    "another crawl": members([*RECORDS, OTHER, *RECORDS[1:]]),
    "lengths beyond the member": members(
        each
        for record in RECORDS[1:] * 2
        for each in (record, response("https://b.org/", "x", length=99 << 20) + record)
    ),
    "an archive in a page": members([RECORDS[1]]) + response("https://a.org/warc", PLAIN),
    "empty": b"",
    "no archive": b"nothing of the kind, " * 99,
}
WORDS = [b"WARC/1.0\r\n", b"\r\n\r\n", b"Content-Length: 9\r\n", b"\x1f\x8b\x08\0\0\0\0\0\0\xff", *RECORDS[1:3], OTHER]

Pages = tuple[list[dict[str, object]], Counter[str], list[dict[str, object]]]


def read(parts: tuple[Input, ...]) -> Pages:
    """Documents, counts and losses of parts, in their order."""
    rows: list[dict[str, object]] = []
    counts: Counter[str] = Counter()
    losses: list[Loss] = []
    for part in parts:
        with part.open() as stream:
            own: list[Loss] = []
            for batch in read_input(stream, part, ReadSettings(), counts, losses=own):
                rows += batch.table.to_pylist()
            losses += own
    return rows, counts, [asdict(loss) for loss in losses]


def check(path: Path, data: bytes) -> int:
    """Compare parts with the whole; returns their number, 0 if they cannot be read by themselves."""
    path.write_bytes(data)
    whole = Input(str(path), len(data), "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dividing, "PART_BYTES", len(data) // 6 + 1)
        parts = divide(whole)
    try:
        expected = read((whole,))
    except UnreadableArchive:
        return 0
    try:
        joined = read(parts)
    except (NotDivisible, UnreadableArchive):
        return 0
    assert joined == expected
    return len(parts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where to put an archive."""
    return tmp_path / "a.warc.gz"


@pytest.mark.parametrize("kind", SOUND)
def test_sound_archives_are_divided(path: Path, kind: str) -> None:
    """The parts of a sound archive give the documents, counts and losses of the whole."""
    assert check(path, SOUND[kind]) > 1


@pytest.mark.parametrize("kind", WHOLE)
def test_other_archives_are_read_whole(path: Path, kind: str) -> None:
    """Where no record begins, or what begins is no record of the archive, nothing is divided or a part says so."""
    assert check(path, WHOLE[kind]) <= 1


def test_any_archive_is_divided_soundly(path: Path) -> None:
    """Whatever the damage, parts that can be read by themselves give what the whole gives."""
    fuzz(partial(check, path), [*SOUND.values(), *WHOLE.values()], WORDS)
