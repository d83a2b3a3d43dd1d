"""A small CommonCrawl on a port of this machine, with archives, path lists and an index, that misbehaves on request.

The archives are made from pages; the index has the columns of CommonCrawl's, with the digests that the records state.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from archives import page, prose, response, warcinfo
from object_storage import Quiet, serving

CRAWL = "CC-MAIN-2025-08"

INDEX = pa.schema([
    ("url_surtkey", pa.string()), ("url", pa.string()), ("url_host_name", pa.string()), ("url_host_tld", pa.string()),
    ("url_host_registered_domain", pa.string()), ("fetch_status", pa.int16()), ("content_digest", pa.string()),
    ("content_mime_detected", pa.string()), ("content_languages", pa.string()), ("warc_filename", pa.string()),
    ("warc_record_offset", pa.int32()), ("warc_record_length", pa.int32()), ("warc_segment", pa.string()),
])  # fmt: skip


@dataclass(frozen=True)
class CrawlPage:
    """One page of the crawl."""

    url: str
    html: str
    languages: str = "eng"
    mime: str = "text/html"


def pages(count: int, hosts: int = 7) -> list[CrawlPage]:
    """Pages on a few hosts below .de and .org, five on one and then five on the next; those on .de are German."""
    made = []
    for number in range(count):
        is_german = number // 5 % hosts < hosts // 3
        host = f"host{number // 5 % hosts}.{'de' if is_german else 'org'}"
        html = page(f"page {number}", *prose(number, 24))
        made.append(CrawlPage(f"https://www.{host}/page/{number}", html, "deu" if is_german else "eng"))
    return made


def digest_of(body: bytes) -> str:
    """The digest that CommonCrawl states for a payload."""
    return base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()


def surt(url: str) -> str:
    """The key by which the index is sorted, for the simple URLs of these tests."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    return ",".join(reversed(host.split("."))) + ")" + parts.path.lower()


def write_crawl_data(
    folder: Path,
    made: Sequence[CrawlPage],
    archives: int = 3,
    index_files: int = 2,
    crawl: str = CRAWL,
    filler: int = 0,
) -> list[dict[str, Any]]:
    """Write a crawl below a folder as CommonCrawl lays it out; returns the rows of its index.

    Args:
        folder: The folder.
        made: Its pages.
        archives: Number of WARC archives.
        index_files: Number of Parquet files of its index.
        crawl: Its name.
        filler: Bytes per row of a column that nobody needs.
    """
    root = f"crawl-data/{crawl}"
    rows: list[dict[str, Any]] = []
    paths = []
    for number in range(archives):
        segment = f"17{number % 2}.0"
        path = f"{root}/segments/{segment}/warc/CC-MAIN-20250206114225-20250206144225-{number:05d}.warc.gz"
        data = bytearray(gzip.compress(warcinfo(), 6, mtime=0))
        for each in made[number::archives]:
            request = response(each.url, "GET / HTTP/1.1\r\n\r\n", kind="request", http=(), headers=())
            data += gzip.compress(request, 6, mtime=0)
            body = each.html.encode()
            record = response(
                each.url,
                body,
                headers=(
                    f"WARC-Identified-Payload-Type: {each.mime}",
                    f"WARC-Payload-Digest: sha1:{digest_of(body)}",
                ),
            )
            member = gzip.compress(record, 6, mtime=0)
            host = urlsplit(each.url).hostname or ""
            rows.append({
                "url_surtkey": surt(each.url), "url": each.url, "url_host_name": host,
                "url_host_tld": host.rpartition(".")[2], "url_host_registered_domain": ".".join(host.split(".")[-2:]),
                "fetch_status": 200, "content_digest": digest_of(body), "content_mime_detected": each.mime,
                "content_languages": each.languages, "warc_filename": path, "warc_record_offset": len(data),
                "warc_record_length": len(member), "warc_segment": segment,
            })  # fmt: skip
            data += member
        _put(folder / path, bytes(data))
        _put(folder / path.replace("/warc/", "/wet/").replace(".warc.gz", ".warc.wet.gz"), bytes(data))
        paths.append(path)
    rows.sort(key=lambda row: row["url_surtkey"])
    tables = []
    for part in range(index_files):
        table = f"cc-index/table/cc-main/warc/crawl={crawl}/subset=warc/part-{part:05d}.gz.parquet"
        size = -(-len(rows) // index_files)
        chosen = pa.Table.from_pylist(rows[part * size : (part + 1) * size], schema=INDEX)
        if filler:  # a large column that nobody asks for, in front
            noise = [random.Random(number).randbytes(filler).hex() for number in range(chosen.num_rows)]
            chosen = chosen.add_column(0, "filler", pa.array(noise))
        (folder / table).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(chosen, folder / table, row_group_size=8, compression="gzip")
        tables.append(table)
    other = tables[0].replace("subset=warc", "subset=robotstxt")
    wet = [path.replace("/warc/", "/wet/").replace(".warc.gz", ".warc.wet.gz") for path in paths]
    for name, listed in (("warc", paths), ("wet", wet), ("cc-index-table", [other, *tables])):
        text = "".join(f"{path}\n" for path in listed)
        _put(folder / root / f"{name}.paths.gz", gzip.compress(text.encode(), mtime=0))
    collections = [{"id": crawl, "name": "newest"}, {"id": "CC-MAIN-2024-51", "name": "older"}]
    _put(folder / "collinfo.json", json.dumps(collections).encode())
    return rows


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@dataclass(frozen=True)
class Misbehavior:
    """What becomes of a request.

    Attributes:
        status: Answer with this status instead.
        retry_after: The header Retry-After of that answer.
        keep: Break off after this share of the body.
        most: Break off after this many bytes.
        stall: Seconds to wait in the middle of the body.
        shift: Serve bytes this far from those that were asked for, and say so.
        forged: Serve other bytes of the right length.
        redirect: Redirect to the same path below this prefix first.
        whole: Ignore the range.
    """

    status: int = 0
    retry_after: str = ""
    keep: float = 1.0
    most: int = sys.maxsize
    stall: float = 0.0
    shift: int = 0
    forged: bool = False
    redirect: str = ""
    whole: bool = False


@dataclass
class Served:
    """What the server saw.

    Attributes:
        requests: Number of requests by method.
        ranges: How often each part of an archive was sent completely: (path, start, stop).
        sent: Bytes of archives that were sent.
        index_bytes: Bytes of the columnar index that were sent.
        agents: User agents.
        times: When each request came, on a monotonic clock.
        most_at_once: Largest number of requests in progress.
    """

    requests: Counter[str] = field(default_factory=Counter)
    ranges: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    sent: int = 0
    index_bytes: int = 0
    agents: set[str] = field(default_factory=set)
    times: list[float] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0


class CrawlServer(Quiet, BaseHTTPRequestHandler):
    """Files of a folder and parts of them; `server.choose` says what goes wrong with a request."""

    def __init__(self, *arguments: Any, directory: Path, **more: Any) -> None:
        self.directory = directory
        super().__init__(*arguments, **more)

    def handle_one(self) -> None:
        """One request."""
        server: Any = self.server
        seen: Served = server.seen
        with server.lock:
            seen.requests[self.command] += 1
            seen.agents.add(self.headers.get("User-Agent", ""))
            seen.times.append(time.monotonic())
            seen.at_once += 1
            seen.most_at_once = max(seen.most_at_once, seen.at_once)
            wrong = server.choose(self.command, self.path, self.headers.get("Range", "")) or Misbehavior()
        try:
            self._answer(server, seen, wrong)
        finally:
            with server.lock:
                seen.at_once -= 1

    def _answer(self, server: Any, seen: Served, wrong: Misbehavior) -> None:
        if server.delay:
            time.sleep(server.delay)
        if wrong.status:
            extra = {"Retry-After": wrong.retry_after} if wrong.retry_after else {}
            self._send(wrong.status, b"slow down", extra)
            return
        if wrong.redirect:
            self._send(302, b"", {"Location": f"{wrong.redirect}{self.path}"})
            return
        name = self.path.removeprefix("/elsewhere").lstrip("/")
        path = self.directory / name
        if not path.is_file():
            self._send(404, b"")
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None or wrong.whole:
            self._send(200, data, {"ETag": hashlib.md5(data, usedforsecurity=False).hexdigest()})
            return
        start, stop = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
        if start >= len(data):
            self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        first, last = start + wrong.shift, stop + wrong.shift
        body = bytes(reversed(data[start:stop])) if wrong.forged else data[first:last]
        self.send_response(206)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Range", f"bytes {first}-{first + len(body) - 1}/{len(data)}")
        self.end_headers()
        kept = body[: min(int(len(body) * wrong.keep), wrong.most)]
        self.wfile.write(kept[: len(kept) // 2])
        if wrong.stall:
            self.wfile.flush()
            time.sleep(wrong.stall)
        with server.lock:  # before the last byte, after which the client may look
            if "/warc/CC-MAIN" in name:
                seen.sent += len(kept)
                if len(kept) == len(body) and not wrong.shift:
                    seen.ranges[name, start, stop] += 1
            elif name.endswith(".parquet"):
                seen.index_bytes += len(kept)
        self.wfile.write(kept[len(kept) // 2 :])
        if len(kept) < len(body):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = handle_one  # noqa: N815


Choose = Callable[[str, str, str], Misbehavior | None]
"""From method, path and Range to what goes wrong, None for nothing."""


@contextmanager
def crawl_server(folder: Path, choose: Choose = lambda method, path, wanted: None) -> Iterator[Any]:
    """A server of the files of a folder, with `url` and `seen`; `choose` and `delay` may be set at any time."""
    with serving(partial(CrawlServer, directory=folder)) as server:
        server.choose, server.seen, server.delay, server.lock = choose, Served(), 0.0, Lock()
        yield server
