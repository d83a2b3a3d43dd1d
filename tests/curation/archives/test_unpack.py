"""Unpacking of members."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from typing import Any

import pytest
from archives import response

from curation.archives import unpack
from curation.archives.records import read_records


def test_what_follows_a_small_member_is_not_handed_to_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each engine copies what it gets beyond the end of its member: with 64 KB each, that would be most of the time."""
    fed: list[int] = []

    class Engine:
        """An engine that notes how much it gets."""

        def __init__(self, window: int) -> None:
            self._engine = inner(window)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._engine, name)

        def decompress(self, packed: memoryview) -> bytes:
            """Unpack."""
            fed.append(len(packed))
            unpacked: bytes = self._engine.decompress(packed)
            return unpacked

    inner = unpack.isal_zlib.decompressobj
    monkeypatch.setattr(unpack.isal_zlib, "decompressobj", Engine)
    small = gzip.compress(response("https://a.org/", "text"))
    empty = gzip.compress(b"")
    large = gzip.compress(response("https://a.org/", "".join(map(chr, range(20000, 50000)))))
    data = small * 500 + empty * 500 + large + small * 500
    counts: Counter[str] = Counter()
    assert sum(1 for _ in read_records(io.BytesIO(data), counts, frozenset({"response"}), 1 << 20)) == 1001
    assert (counts["bytes.records"], counts["bytes.lost"]) == (len(data), 0)
    assert len(large) > unpack.SMALL
    assert sum(fed) < len(data) + 2 * unpack.FEED["gzip"]
