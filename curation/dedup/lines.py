"""Line-level deduplication, an option: lines that stand in many documents of a domain or of the corpus are cut.

Menus, cookie notices and footers survive extraction here and there, and again on every page of their site. A line is
known by a hash of its text without surrounding white space; a document counts once for it, and documents that are
duplicates do not count. What stands in more documents than the limit is cut wherever it stands, and a document with
nothing left goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from curation.batch import Batch
from curation.compiled import kernel
from curation.dedup.hashing import PRIME_1, PRIME_3, Hashes, mix
from curation.dedup.layout import Numbers
from curation.stage import Outcome
from curation.views import Offsets

BLANK = np.uint64(0)
"""The hash of a line of nothing but white space, which is never cut."""

CUTS = pa.schema([("row", pa.int64()), ("line", pa.int32())])
"""Columns of dedup/lines/<shard>.parquet: lines to cut, by row of documents/<shard>.parquet and place in
`text.split("\\n")`, both ascending."""


@kernel
def _is_space(code: int) -> bool:
    return code <= 32 or code == 0x85 or code == 0xA0 or code == 0x3000 or 0x2000 <= code <= 0x200B


@kernel
def _hash_lines(
    codepoints: npt.NDArray[np.uint32], starts: Offsets, ends: Offsets, scopes: Hashes, out: Hashes
) -> None:
    for line in range(len(starts)):
        start, end = starts[line], ends[line]
        while start < end and _is_space(int(codepoints[start])):
            start += 1
        while end > start and _is_space(int(codepoints[end - 1])):
            end -= 1
        value = scopes[line] ^ PRIME_3
        for position in range(start, end):
            value = (value ^ np.uint64(codepoints[position])) * PRIME_1
            value ^= value >> np.uint64(32)
        out[line] = max(mix(value), np.uint64(1)) if end > start else BLANK


def line_hashes(batch: Batch, scope: str) -> tuple[Numbers, Numbers, Hashes]:
    """For every line of a batch: its document's place in the batch, its place in the document, its hash.

    scope: `corpus`, or `domain` for hashes that are equal only within one registered domain.
    """
    spans = batch.lines
    counts = spans.last - spans.first
    owner = np.repeat(np.arange(len(counts)), counts)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    flat = np.repeat(spans.first, counts) + inside
    scopes = np.zeros(len(counts), np.uint64)
    if scope == "domain":
        domains = (domain_of(url or "") for url in batch.column("url").to_pylist())
        scopes = np.array([xxhash.xxh3_64_intdigest(domain.encode()) for domain in domains], np.uint64)
    out = np.empty(len(owner), np.uint64)
    _hash_lines(batch.characters.codepoints, spans.starts[flat], spans.ends[flat], scopes[owner], out)
    return owner, inside, out


def document_counts(owner: Numbers, hashes: Hashes) -> tuple[Hashes, Numbers]:
    """How many documents each line stands in: distinct hashes ascending, and their counts. Blank lines are left out."""
    order = np.lexsort((owner, hashes))
    owner, hashes = owner[order], hashes[order]
    new = np.ones(len(hashes), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    found, counts = np.unique(hashes[new & (hashes != BLANK)], return_counts=True)
    return found, counts


def domain_of(url: str) -> str:
    """The registered domain of a URL, or its host where there is none: "https://a.b.co.uk/c" → "b.co.uk"."""
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        host = ""
    return _registered(host)


@cache
def _suffixes():  # type: ignore[no-untyped-def]
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


@cache
def _registered(host: str) -> str:
    parts = _suffixes()(host)
    return f"{parts.domain}.{parts.suffix}" if parts.domain and parts.suffix else host


@dataclass(frozen=True, slots=True)
class CutLines:
    """A shard's lines to cut (columns CUTS) as a stage; the batch has a column `row`. Blank documents go."""

    cuts: pa.Table
    version: ClassVar[int] = 1

    def __call__(self, batch: Batch, /) -> Outcome:
        """Cut the lines listed; a document without any other goes with reason `max_line_documents`."""
        rows = batch.column("row").to_numpy()
        listed, lines = self.cuts["row"].to_numpy(), self.cuts["line"].to_numpy()
        texts = batch.text.to_pylist()
        reasons: list[str | None] = [None] * len(texts)
        count = 0
        for place, row in enumerate(rows.tolist()):
            start, stop = np.searchsorted(listed, [row, row + 1]).tolist()
            if start == stop:
                continue
            gone = set(lines[start:stop].tolist())
            texts[place] = "\n".join(line for at, line in enumerate(texts[place].split("\n")) if at not in gone).strip()
            count += len(gone)
            reasons[place] = None if texts[place] else "max_line_documents"
        changed = batch.with_text(pa.array(texts, pa.string())) if count else batch
        return Outcome(changed, pa.array(reasons, pa.string()), counts={"lines_cut": count})
