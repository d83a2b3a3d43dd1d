"""An S3 endpoint (moto's server), and a proxy in front of a server that counts requests and lets some of them fail."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1"}

HOP = {"connection", "transfer-encoding", "content-length", "host", "date", "server"}
"""Headers that belong to one connection."""


@dataclass(frozen=True)
class Fault:
    """What becomes of a request: an answer, or half of the true answer, or a dropped connection if it has no status."""

    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    half: bool = False


Choose = Callable[[str, str], Fault | None]
"""From method and path to what goes wrong, None for nothing."""


class Quiet:
    """Makes a handler of HTTP requests keep connections open and log nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


class Proxy(Quiet, BaseHTTPRequestHandler):
    """Passes requests on to a port of this machine."""

    def handle_one(self) -> None:
        """One request."""
        server: Any = self.server
        body = self._body()
        fault = server.choose(self.command, self.path)
        server.requests.append((self.command, self.path))
        server.faults += fault is not None
        if fault is not None and not fault.half:
            if not fault.status:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._answer(fault.status, fault.body, fault.headers)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", server.target, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        headers["Host"] = self.headers["Host"]
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        data = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
        length = answer.getheader("Content-Length", str(len(data)))
        upstream.close()
        self._answer(answer.status, data, {**kept, "Content-Length": length}, half=fault is not None)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body: bytes, headers: dict[str, str], half: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[Any]:
    """An HTTP server on a free port of this machine, in threads of this process, with its `url`."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def proxy(target: int, choose: Choose = lambda method, path: None) -> Iterator[Any]:
    """A proxy to a port of this machine, with `url`, `requests` and `faults`; `choose` may be set at any time."""
    with serving(Proxy) as server:
        server.target, server.choose, server.requests, server.faults = target, choose, [], 0
        yield server


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process listens on the port."""
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)


@contextmanager
def moto() -> Iterator[int]:
    """An S3 endpoint in a process of its own; the value is its port."""
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()


def environment(url: str, **more: str | None) -> dict[str, str]:
    """The environment of a process that uses the endpoint; a variable that is None is left out."""
    ours = {"AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
    values = {**os.environ, **ours, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, **KEYS, **more}
    return {name: value for name, value in values.items() if value is not None}
