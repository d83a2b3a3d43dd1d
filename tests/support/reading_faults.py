"""The child process of reading with faults: what a page contains decides what goes wrong while it is decoded."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curation.archives import reader, watched_child
from curation.archives.records import Record

_decoded = reader.to_utf8
_read_records = reader.read_records


def _faulty(data: bytes | memoryview, content_type: str, **options: Any) -> Any:
    content = bytes(data)
    if b"FAULT loop" in content:
        while True:
            pass
    if b"FAULT segmentation" in content:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"FAULT once " in content:
        marker = Path(content.partition(b"FAULT once ")[2].partition(b" ")[0].decode())
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if b"FAULT wait" in content:
        time.sleep(1.5)
    return _decoded(data, content_type, **options)


def _faulty_records(*arguments: Any, **options: Any) -> Iterator[Record]:
    """Hangs in the search for the record after one that says so."""
    found = _read_records(*arguments, **options)
    watch = arguments[-1]
    for record in found:
        yield record
        if b"FAULT split" in record.content and watch.splitting() is None:
            while True:
                pass


def main() -> None:
    """Serve requests as the real child does."""
    reader.to_utf8 = _faulty  # type: ignore[assignment]
    reader.read_records = _faulty_records  # type: ignore[assignment]
    watched_child.main()
