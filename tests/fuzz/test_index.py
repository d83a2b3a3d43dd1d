"""Fuzzes what a fetch reads: rows of an index, and lists of addresses."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
from commoncrawl import CRAWL, INDEX
from fuzzing import fuzz

from curation.archives.commoncrawl.client import Client
from curation.archives.commoncrawl.index import FOUND, IndexFile, IndexQuery, UrlList, parse_urls
from curation.archives.commoncrawl.names import CrawlName
from curation.archives.commoncrawl.records import MAX_RECORD
from curation.archives.inputs import Input
from curation.errors import InputError
from curation.jobs.steps.fetch.select import _usable

WHOLE = (CrawlName(CRAWL, "warc", f"crawl-data/{CRAWL}"),)
ARCHIVE = f"crawl-data/{CRAWL}/segments/1.0/warc/a-00000.warc.gz"
ROWS = f"""
https://www.host0.de/page/1 host0.de {ARCHIVE} 500 900
http://host1.org/a?b=c#d host1.org {ARCHIVE} 0 0
https://user@sub.host2.com:8080/ sub.host2.com crawl-data/other/x.warc.gz -1 99999999
https://bücher.de/é xn--bcher-kva.de {ARCHIVE} 7 8
""".encode()
SEEDS = [
    each + b"\0" + ROWS
    for each in (b"host0.de\nhttps://host1.org/a?b=c\n", b"host2.com\nhttp://host3.org:80/\n", "bücher.de\n".encode())
]
WORDS = [
    *(
        b"crawl-data/",
        b"http://",
        b"://",
        b"..",
        b"//",
        b"\n",
        b"/",
        b" ",
        b"  ",
        b"www.",
        b"de",
        b".",
        b"*",
        b":",
        b"@",
    ),
    *(
        b"[::1]",
        b"1.2.3.4",
        b"%",
        b"%2F",
        b"xn--",
        b"xn--a",
        b"\xff",
        "é".encode(),
        "ß".encode(),
        "。".encode(),
        b"#",
        b"?",
    ),
    *(b"-", b"0", b"9" * 18, b"a" * 300, b"A", b"\t", b"\r", b"\0", b"!", b"com.au", b"co.uk"),
]


class FromMemory:
    """Reads parts of one file as a client does."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, url: str, start: int, stop: int) -> bytes:
        """The bytes from a place to another."""
        return self._data[start:stop]


def index_of(text: str) -> bytes:
    """A file of an index with a row for each line: address, host, archive, offset and length, if there are as many."""
    rows = []
    for line in text.split("\n"):
        fields = [*line.split(" "), *[""] * 5]
        numbers = [int(each) if re.fullmatch(r"-?\d{1,9}", each) else None for each in fields[3:5]]
        names = ("url_surtkey", "url", "url_host_name", "warc_filename", "warc_record_offset", "warc_record_length")
        values = (",".join(reversed(fields[1].split("."))) + ")/", *(each or None for each in fields[:3]), *numbers)
        rows.append(dict(zip(names, values, strict=True)))
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), file, row_group_size=3 + len(rows) // 4)
    return file.getvalue()


def listed_or_refuse(text: str) -> UrlList | InputError:
    try:
        return parse_urls([line for line in text.split("\n") if line], "list.txt")
    except InputError as error:
        return error


def check(data: bytes) -> None:
    """A list, and the rows of an index behind the first zero byte, are read or refused."""
    listed, _, rows = data.decode("utf-8", "replace").partition("\0")
    urls = listed_or_refuse(listed)
    if isinstance(urls, InputError):
        assert "\n" not in str(urls)
        return
    index = index_of(rows)
    for query in (IndexQuery(WHOLE), IndexQuery(WHOLE, urls=urls)):
        file = IndexFile(Input("index.parquet", len(index), ""), cast(Client, FromMemory(index)))
        for table in file.select(query):
            assert table.schema == FOUND
            assert all(name.startswith(WHOLE[0].folder) for name in table["warc_filename"].to_pylist())
            entries = [urls.entry_of(url or "") if query.urls else None for url in table["url"].to_pylist()]
            assert table["entry"].to_pylist() == entries
            assert query.urls is None or None not in entries
            removed: Counter[str] = Counter()
            usable = _usable(table, removed)
            assert usable.num_rows + removed["index.no_place"] == table.num_rows
            assert all(0 < size <= MAX_RECORD for size in usable["warc_record_length"].to_pylist())


def test_any_rows_are_found_or_counted() -> None:
    """Whatever is in the rows of an index and in a list, rows match an entry, and have a place or are counted."""
    fuzz(check, SEEDS, WORDS, max_bytes=1 << 13, seconds=1.5)
