"""Web archives for tests, made record by record so that each can be broken on purpose."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path


def response(
    url: str,
    body: bytes | str,
    *,
    kind: str = "response",
    http: Sequence[str] = ("HTTP/1.1 200 OK", "Content-Type: text/html; charset=utf-8"),
    headers: Sequence[str] = ("WARC-Identified-Payload-Type: text/html",),
    length: int | None = None,
) -> bytes:
    """One uncompressed WARC record. length: what Content-Length says instead of the truth."""
    payload = body.encode() if isinstance(body, str) else body
    block = ("\r\n".join(http) + "\r\n\r\n").encode() + payload if http else payload
    name = uuid.uuid5(uuid.NAMESPACE_URL, url)
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{name}>",
        f"WARC-Target-URI: {url}",
        "WARC-Date: 2024-05-18T01:58:10Z",
        *headers,
        f"Content-Length: {len(block) if length is None else length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + block + b"\r\n\r\n"


def warcinfo() -> bytes:
    """The record that an archive begins with."""
    return response("urn:info", "software: tests\r\n", kind="warcinfo", http=(), headers=())


def page(title: str, *paragraphs: str) -> str:
    """A small HTML page."""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body><article>{body}</article></body></html>"


def members(records: Iterable[bytes]) -> bytes:
    """Records as CommonCrawl packs them: a gzip member each."""
    return b"".join(gzip.compress(record, 6, mtime=0) for record in records)


def write_archive(path: Path, records: Iterable[bytes]) -> Path:
    """A .warc.gz file of these records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(members([warcinfo(), *records]))
    return path
