"""Every archive of the shared cases, good and broken: which pages are read, and what is skipped for which cause."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from curation.archives.reader import ReadSettings, read_batches

EXAMPLE = "http://example.com/"
PAGES_50 = [f"https://test-site-{i % 5}.example.com/page/{i}" for i in range(50)]
TOKEMON = "http://tokemon.sb.statsbiblioteket.dk/"
ESCOPETE = "https://an.wikipedia.org/wiki/Escopete"

CASES: dict[str, tuple[list[str] | int, dict[str, int]]] = {
    "commoncrawl-whirlwind.warc.gz": ([ESCOPETE], {}),
    "commoncrawl-whirlwind.warc.wat.gz": ([], {}),
    "commoncrawl-whirlwind.warc.wet.gz": ([ESCOPETE], {}),
    "gowarc-corrupted-mid-record.warc.gz.open": (PAGES_50[:12], {"skipped.garbage": 1}),
    "gowarc-corrupted-trailing-bytes.warc.gz.open": (PAGES_50[:30], {"skipped.garbage": 1}),
    "gowarc-empty.warc.gz.open": ([], {}),
    "gowarc-good.warc.gz.open": (PAGES_50, {}),
    "gowarc-single-record.warc.gz.open": (PAGES_50[:1], {}),
    "gowarc-skip-non-open.warc.gz": (PAGES_50[:10], {}),
    "gowarc-test.warc.gz": ([], {"skipped.type.javascript": 1}),
    "ipwb-sample-1.warc.gz": (63, {"skipped.type.feed": 1, "skipped.status": 1, "skipped.not_http": 5}),
    "ukwa-transfer-brotli.warc": ([TOKEMON], {}),
    "ukwa-transfer-gzip.warc": ([TOKEMON], {}),
    "ukwa-transfer-none.warc": ([TOKEMON], {}),
    "warcio-bad.arc": ([], {"skipped.empty": 1, "skipped.damaged_header": 3}),
    "warcio-example-bad-non-chunked.warc.gz": ([EXAMPLE], {}),
    "warcio-example-bad.warc.gz.bad": (["http://example.com?example=1"], {"skipped.status": 1}),
    "warcio-example-digest.warc": ([], {}),
    "warcio-example-iana.org-chunked.warc": (["http://www.iana.org/"], {}),
    "warcio-example-resource.warc.gz": ([], {}),
    "warcio-example-space-in-target-uri.warc.gz": ([], {}),
    "warcio-example-space-in-url.arc": (
        ["http://example.com/index.cfm?FuseAction=Email&EmailTitle=Examples From The Live Web&IsPopUp=False"],
        {},
    ),
    "warcio-example-trunc.warc": ([EXAMPLE], {}),
    "warcio-example-wget-bad-target-uri.warc.gz": ([EXAMPLE], {}),
    "warcio-example-wrong-chunks.warc.gz": ([EXAMPLE], {}),
    "warcio-example.arc": ([EXAMPLE], {}),
    "warcio-example.arc.gz": ([EXAMPLE], {}),
    "warcio-example.warc": ([EXAMPLE], {}),
    "warcio-example.warc.gz": ([EXAMPLE], {}),
    "warcio-post-test.warc.gz": ([], {"skipped.type.json": 3}),
}
"""Archive → URLs of its pages (or their number), and the counts of skipped records by cause."""


@pytest.mark.parametrize("name", CASES)
def test_pages_and_skipped_records(shared_data: Path, name: str) -> None:
    """The pages of an archive are read in order, and each skipped record is counted under its cause."""
    expected, skipped = CASES[name]
    counts: Counter[str] = Counter()
    with (shared_data / "warc-cases" / name).open("rb") as stream:
        batches = list(read_batches(stream, name, ReadSettings(), counts))
    rows = [row for batch in batches for row in batch.table.to_pylist()]
    assert len(rows) == expected if isinstance(expected, int) else [row["url"] for row in rows] == expected
    assert {key: count for key, count in counts.items() if key.startswith("skipped.")} == skipped
    for row in rows:
        content = row["html"] if row["html"] is not None else row["text"]
        assert len(content) > 20
        assert "\ufffd" not in content[:20]
        assert row["id"]
        assert row["date"][:2] == "20"


def test_every_case_is_in_the_table(shared_data: Path) -> None:
    """Every archive of the shared cases is tested."""
    assert {path.name for path in (shared_data / "warc-cases").iterdir()} == set(CASES)
