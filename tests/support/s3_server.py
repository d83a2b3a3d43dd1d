"""A local S3 endpoint in memory, with as much of the protocol as s3fs needs to list and read objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from object_storage import Quiet

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


def listing(objects: dict[str, bytes], bucket: str, query: dict[str, list[str]]) -> bytes:
    """The answer of ListObjectsV2 for all keys that begin with the prefix."""
    prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
    contents, folders = "", set()
    for key in sorted(path.removeprefix(f"{bucket}/") for path in objects if path.startswith(f"{bucket}/{prefix}")):
        rest = key.removeprefix(prefix)
        if delimiter and delimiter in rest:
            folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
        else:
            size = len(objects[f"{bucket}/{key}"])
            contents += f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>x</ETag>"
            contents += "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
    common = "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders))
    body = f"<Name>{bucket}</Name><IsTruncated>false</IsTruncated>{contents}{common}"
    return f'<?xml version="1.0"?><ListBucketResult>{body}</ListBucketResult>'.encode()


class Handler(Quiet, BaseHTTPRequestHandler):
    """Handles one request for the server's objects."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a complete response."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Last-Modified": DATE, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        """An object, a part of one, or a listing."""
        url = urlsplit(self.path)
        key, objects = unquote(url.path).strip("/"), self.server.objects  # type: ignore[attr-defined]
        if "list-type" in parse_qs(url.query):
            self.answer(200, listing(objects, key, parse_qs(url.query)), Content_Type="application/xml")
        elif key not in objects:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self.give(objects[key])

    def do_HEAD(self) -> None:
        """The same as GET without the body."""
        self.do_GET()

    def give(self, data: bytes) -> None:
        """Send the object, or the requested range of it."""
        tag = hashlib.sha256(data).hexdigest()
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        self.server.ranges.append(wanted)  # type: ignore[attr-defined]
        if not wanted:
            self.answer(200, data, ETag=f'"{tag}"')
            return
        first, _, last = wanted.partition("-")
        begin = int(first) if first else len(data) - int(last)
        end = min(int(last) + 1, len(data)) if first and last else len(data)
        self.answer(206, data[begin:end], ETag=f'"{tag}"', Content_Range=f"bytes {begin}-{end - 1}/{len(data)}")


class Server(ThreadingHTTPServer):
    """Objects by `bucket/key`, and the ranges that were requested."""

    daemon_threads = True
    objects: dict[str, bytes]
    ranges: list[str]


@contextmanager
def s3_server(objects: dict[str, bytes]) -> Iterator[Server]:
    """Serve the objects while the context is open, on the port `server_port`."""
    server = Server(("127.0.0.1", 0), Handler)
    server.objects, server.ranges = objects, []
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
