"""An HTTP server of the files in a folder, which answers 503 when a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

from object_storage import Quiet, serving


class FileHandler(Quiet, SimpleHTTPRequestHandler):
    """Gives files and parts of them, unless the server's `refuses` says no to a request, given its header Range."""

    def do_HEAD(self) -> None:
        """The size of a file."""
        self.do_GET()

    def do_GET(self) -> None:
        """A file, or the part of it in the header Range."""
        server: Any = self.server
        wanted = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if server.refuses(wanted):
            self.answer(503, b"")
        elif not path.is_file():
            self.answer(404, b"")
        elif wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            data = path.read_bytes()
            body = data[int(first) : int(last) + 1]
            self.answer(206, body, **{"Content-Range": f"bytes {first}-{int(first) + len(body) - 1}/{len(data)}"})
        else:
            self.answer(200, path.read_bytes())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Send a complete response."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving_files(folder: Path, refuses: Callable[[str | None], bool] = lambda wanted: False) -> Iterator[Any]:
    """Serve the files; yields the server, with `urls` of them in order."""
    with serving(partial(FileHandler, directory=str(folder))) as server:
        server.refuses = refuses
        server.urls = [f"http://127.0.0.1:{server.server_port}/{path.name}" for path in sorted(folder.iterdir())]
        yield server
