"""Archives as batches of pages: every record is a row or a named count."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import page, prose, response, write_archive
from row_files import damage_statistics

from curation.archives.pages import read_archives
from curation.errors import InputError, RecipeError, UnreadableArchive
from curation.store import schema

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "web.warc.gz"


def test_every_record_is_a_row_or_a_count() -> None:
    """Pages, records passed by and records skipped by cause sum up to the records there are."""
    counts: Counter[str] = Counter()
    pages = pa.Table.from_batches(read_archives(SAMPLES, counts=counts))
    assert pages.schema == schema.RECORD

    def total(*kinds: str) -> int:
        return sum(number for name, number in counts.items() if name.partition(".")[0] in kinds)

    assert total("pages") == len(pages) == 257
    assert total("pages", "passed", "skipped") == total("records") > 500
    assert counts["skipped.type.json"] == 1
    assert set(pages["file_path"].to_pylist()) == {str(SAMPLES)}


def test_inputs_are_those_of_the_command_line(tmp_path: Path) -> None:
    """A file, a folder, a glob, a URL and a list; each archive once, in order."""
    for name in ("b", "a"):
        write_archive(tmp_path / f"{name}.warc.gz", [response(f"https://{name}.org/", page(name, *prose(3)))])
    (tmp_path / "list.txt").write_text(f"{tmp_path}/b.warc.gz\n{tmp_path}/a.warc.gz\n")

    def urls(*inputs: str | Path) -> list[str]:
        return [url for batch in read_archives(*inputs) for url in batch.column("url").to_pylist()]

    both = ["https://a.org/", "https://b.org/"]
    assert urls(tmp_path) == urls(f"{tmp_path}/*.gz") == urls(f"file://{tmp_path}/") == both
    assert urls(tmp_path / "b.warc.gz", tmp_path / "a.warc.gz") == urls(f"@{tmp_path}/list.txt") == both[::-1]
    assert urls(tmp_path / "a.warc.gz", tmp_path) == both


def test_settings_are_those_of_the_table_read() -> None:
    """A dump of its own, and a limit under which most pages are skipped by name."""
    counts: Counter[str] = Counter()
    (batch,) = read_archives(SAMPLES, counts=counts, dump="mine", max_page_bytes=2000)
    assert set(batch.column("dump").to_pylist()) == {"mine"}
    assert counts["skipped.too_large"] == 257 - batch.num_rows > 50


def test_what_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """A word that stands for nothing and a wrong setting raise by the call, a file that is no archive at its turn."""
    with pytest.raises(InputError, match="no such file"):
        read_archives(tmp_path / "none.warc.gz")
    with pytest.raises(InputError, match="no input"):
        read_archives()
    with pytest.raises(RecipeError, match=r"read_archives\(\): unknown key 'records_'"):
        read_archives(SAMPLES, records_=["response"])
    (tmp_path / "text.warc").write_text("no archive\n" * 99)
    pages = read_archives(SAMPLES, tmp_path / "text.warc")
    assert next(pages).num_rows == 256
    assert next(pages).num_rows == 1
    with pytest.raises(UnreadableArchive):
        next(pages)


def test_a_file_that_ends_the_process_that_reads_it(tmp_path: Path) -> None:
    """Arrow ends another process than that of the program: the rows are counted, or the file is an error."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1", "2"], "text": ["One.", "Two."]}), path)
    damage_statistics(path, "text")
    counts: dict[str, int] = {}
    assert list(read_archives(path, counts=counts)) == []
    assert counts["skipped.crash"] == counts["records.row"] == 2
    damage_statistics(path, "id")
    with pytest.raises(UnreadableArchive, match=r"a\.parquet: reading it ends the process \(SIGABRT: what\(\)"):
        list(read_archives(path))


def test_batches_that_are_kept_need_no_open_files(tmp_path: Path) -> None:
    """A program may keep as many as fit into its memory."""
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "Line {number}."}}\n' for number in range(30_000)))
    pages = read_archives(tmp_path)
    kept = [next(pages)]
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    kept += pages
    assert len(kept) > 10
    assert len(os.listdir("/dev/fd")) <= before  # noqa: PTH208
