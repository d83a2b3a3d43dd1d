"""The columnar index: which records are found, and what is read for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from commoncrawl import CRAWL, CrawlPage, crawl_server, pages, write_crawl_data
from row_files import damage_statistics

from curation.archives.commoncrawl.client import Client, RequestSettings
from curation.archives.commoncrawl.index import FOOTER, IndexFile, IndexQuery, UrlList, parse_urls
from curation.archives.commoncrawl.names import CrawlName
from curation.archives.inputs import Input, find_again
from curation.errors import InputError, UnreadableArchive

FAST = RequestSettings(rate=2000, parallel=4)
WHOLE = (CrawlName(CRAWL, "warc", f"crawl-data/{CRAWL}"),)
MORE = [
    CrawlPage("https://sub.deep.host0.de/x", "<p>a</p>"),
    CrawlPage("http://www2.host9.de/Page?b=1", "<p>b</p>"),
    CrawlPage("https://host0.de.evil.org/", "<p>c</p>"),
    CrawlPage("https://nothost0.de/", "<p>d</p>"),
]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[dict[str, Any]], list[Input], Any]]:
    """The rows of an index, its files, and the server."""
    folder = tmp_path_factory.mktemp("indexed")
    rows = write_crawl_data(folder, [*pages(120), *MORE], archives=6, filler=2500)
    with crawl_server(folder) as server:
        table = f"{server.url}/cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc"
        yield rows, find_again(f"{table}/part-{number:05d}.gz.parquet" for number in range(2)), server


def found(files: list[Input], query: IndexQuery) -> list[tuple[str, str, int]]:
    tables = [table for source in files for table in IndexFile(source, Client(FAST)).select(query)]
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted((row["url"], row["warc_filename"], row["warc_record_offset"]) for row in rows)


def expected(rows: list[dict[str, Any]], keep: Any) -> list[tuple[str, str, int]]:
    return sorted((row["url"], row["warc_filename"], row["warc_record_offset"]) for row in rows if keep(row))


def test_a_condition(crawl: Any) -> None:
    """A condition finds what it finds in the whole table; columns that are only in the path can be named too."""
    pytest.importorskip("duckdb")
    rows, files, _ = crawl
    where = f"content_languages = 'deu' and fetch_status = 200 and crawl = '{CRAWL}' and subset = 'warc'"
    assert found(files, IndexQuery(WHOLE, where)) == expected(rows, lambda row: row["content_languages"] == "deu")
    assert found(files, IndexQuery(WHOLE, "subset = 'robotstxt'")) == []


def test_row_groups_and_columns_that_are_not_needed_are_not_read(crawl: Any) -> None:
    """A condition on one host reads less than one on all; one that nothing matches reads footers only."""
    pytest.importorskip("duckdb")
    _, files, server = crawl
    read = {}
    for where in ("true", "url_surtkey >= 'de,host1)' and url_surtkey < 'de,host1*'", "url_host_tld = 'zz'"):
        server.seen.index_bytes = 0
        result = found(files, IndexQuery(WHOLE, where))
        read[where] = server.seen.index_bytes
        assert bool(result) == (where != "url_host_tld = 'zz'")
    whole, one, none = read.values()
    assert none == FOOTER * len(files)
    assert none < one < whole < sum(each.size for each in files) / 2


@pytest.mark.parametrize(
    ("lines", "keep"),
    [
        (["host0.de"], lambda row: row["url_host_registered_domain"] == "host0.de"),
        (["www.host0.de", "HOST2.org"], lambda row: row["url_host_registered_domain"] in ("host0.de", "host2.org")),
        (["deep.host0.de"], lambda row: row["url_host_name"].endswith("deep.host0.de")),
        (
            ["www.host1.de/page/5", "http://host2.org/page/10#top"],
            lambda row: row["url"].endswith(("/page/5", "/page/10")),
        ),
        (["www2.host9.de"], lambda row: "host9" in row["url"]),
        (["https://www2.host9.de/Page?b=1"], lambda row: "host9" in row["url"]),
        (["org"], lambda row: row["url_host_tld"] == "org"),
        (["https://www.host0.de/nosuch", "nosuch.example"], lambda row: False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_list_of_addresses_and_domains(crawl: Any, lines: list[str], keep: Any) -> None:
    """A domain means all hosts below it, an address the page in any of its spellings; similar names do not match."""
    rows, files, _ = crawl
    assert found(files, IndexQuery(WHOLE, urls=parse_urls(lines, "list"))) == expected(rows, keep)


def test_a_lookup_reads_few_row_groups(crawl: Any) -> None:
    """A lookup of one domain reads less than a third of what reading everything takes."""
    _, files, server = crawl
    sizes = []
    for lines in (["de", "org"], ["host1.de"]):
        server.seen.index_bytes = 0
        assert found(files, IndexQuery(WHOLE, urls=parse_urls(lines, "list")))
        sizes.append(server.seen.index_bytes)
    everything, one = (size - FOOTER * len(files) for size in sizes)
    assert one < everything / 3


def test_parts_of_a_crawl_and_samples(crawl: Any) -> None:
    """Only archives that the name means and the sample has are taken."""
    rows, files, _ = crawl
    urls = parse_urls(["de", "org"], "list")
    segment = (CrawlName(CRAWL, "warc", f"crawl-data/{CRAWL}/segments/171.0"),)
    assert found(files, IndexQuery(segment, urls=urls)) == expected(rows, lambda row: row["warc_segment"] == "171.0")
    sampled = found(files, IndexQuery(WHOLE, urls=urls, sample=0.5, seed=0))
    assert 0 < len({archive for _, archive, _ in sampled}) < 6
    assert set(sampled) < set(found(files, IndexQuery(WHOLE, urls=urls, sample=0.9, seed=0)))


def test_a_path_out_of_the_crawl_is_not_taken() -> None:
    """An archive with a path that leads elsewhere is in no query."""
    query = IndexQuery(WHOLE)
    assert query.has(f"crawl-data/{CRAWL}/segments/1/warc/a.warc.gz")
    for path in (f"crawl-data/{CRAWL}/../../../etc/passwd", "/etc/passwd", "https://evil.org/a", "", None):
        assert not query.has(path)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no Parquet" * 99])
def test_what_is_no_index(data: bytes, tmp_path: Path) -> None:
    """A file that is not Parquet is unreadable."""
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    with pytest.raises(UnreadableArchive, match=r"x\.parquet: not Parquet"):
        IndexFile(Input(str(path), len(data), ""), Client(FAST))


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """A file with the name of a column in no valid UTF-8 is unreadable."""
    path = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table({"zzzz": ["a"]}), path)
    data = path.read_bytes().replace(b"zzzz", b"\xbezzz")
    path.write_bytes(data)
    with pytest.raises(UnreadableArchive, match=r"x\.parquet: not Parquet"):
        IndexFile(Input(str(path), len(data), ""), Client(FAST))


def test_a_table_without_the_columns(tmp_path: Path) -> None:
    """Another table in Parquet is unreadable, and the message names a column that it lacks."""
    path = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table({"url": ["a"]}), path)
    with pytest.raises(UnreadableArchive, match="no column 'warc_filename'"):
        IndexFile(Input(str(path), path.stat().st_size, ""), Client(FAST))


def test_a_table_with_a_column_twice(tmp_path: Path) -> None:
    """A table in which a name has two columns is unreadable, and the message names it."""
    path = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table([["a"], ["b"]], names=["url", "url"]), path)
    with pytest.raises(UnreadableArchive, match="2 columns 'url'"):
        IndexFile(Input(str(path), path.stat().st_size, ""), Client(FAST))


@pytest.mark.parametrize("lines", [[], ["a b.de"], ["*.example.de"], ["ftp://example.de/x"], ["exa..mple"]])
def test_a_list_that_cannot_match(lines: list[str]) -> None:
    """An empty list, and an entry that no page can match, are errors that name the list."""
    with pytest.raises(InputError, match=r"^--urls list\.txt: "):
        parse_urls(lines, "list.txt")


def test_prefixes_of_keys() -> None:
    """The keys to look for are reversed hosts without www."""
    urls = parse_urls(["www.example.de", "https://a.example.org:8080/x", "10.0.0.1"], "list")
    assert isinstance(urls, UrlList)
    assert urls.prefixes == ["10.0.0.1", "de,example", "org,example,a"]


def test_columns_that_are_not_asked_for_are_not_looked_at(tmp_path: Path) -> None:
    """Also if looking at what the file says about them would end the process."""
    pytest.importorskip("duckdb")
    rows = write_crawl_data(tmp_path, pages(40), index_files=1)
    (path,) = tmp_path.glob("**/*.gz.parquet")
    damage_statistics(path, "content_mime_detected")
    files = [Input(str(path), path.stat().st_size, "")]
    german = expected(rows, lambda row: row["content_languages"] == "deu")
    assert found(files, IndexQuery(WHOLE, "content_languages = 'deu'")) == german
    assert found(files, IndexQuery(WHOLE, urls=parse_urls(["de"], "list"))) == german
