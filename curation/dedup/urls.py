"""URL duplicates, an option that runs first: of the documents with the same normalized URL only the newest is kept.

Documents of earlier runs cannot be removed, so they take precedence over all others. A document removed here takes no
part in the other phases.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import numpy as np
import pyarrow as pa
import xxhash

from curation.arrays import Int64s
from curation.dedup.decisions import URL, VERDICTS
from curation.dedup.documents import PartitionTask, RangeTask, Work
from curation.dedup.survivor_rules import as_numbers
from curation.store.exchange import Exchange, partition_of
from curation.store.paths import DOCUMENTS
from curation.store.shards import read_numbered

TRACKING = ("utm_", "fbclid", "gclid", "dclid", "msclkid", "mc_eid", "igshid")
"""Prefixes of query keys that say where a visitor came from, not what the page shows."""

URLS = pa.schema(
    [
        ("hash", pa.uint64()),
        ("document", pa.int64()),
        ("row", pa.int64()),
        ("date", pa.float64()),
        ("id", pa.string()),
        ("shard", pa.string()),
        ("run", pa.string()),
    ]
)


def normalize_url(url: str) -> str:
    """The part of a URL that identifies the page: no scheme, user, default port, fragment, tracking or final slash.

    >>> normalize_url("HTTP://Example.org:80/a%7Eb/?b=1&utm_source=x#top")
    'example.org/a~b?b=1'
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return url.strip()
    host = (parts.hostname or "").rstrip(".")
    place = f"{host}:{port}" if port is not None and port not in (80, 443) else host
    path = quote(unquote(parts.path), safe="/:@!$&'()*+,;=~-._").rstrip("/")
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not pair[0].startswith(TRACKING)]
    return f"{place}{path}{'?' + urlencode(query) if query else ''}"


def urls_exchange(work: Work) -> Exchange:
    """Exchange of URLS rows by hash; they are four times as large as usual rows."""
    return work.by_key("urls", 4 * work.documents)


def url_verdicts_exchange(work: Work) -> Exchange:
    """Exchange of VERDICTS rows, for documents removed by URL, by range."""
    return work.by_range("url-verdicts")


def removed_by_url(work: Work, number: int) -> Int64s:
    """The documents of a range that are removed by URL."""
    if not work.settings.url:
        return np.empty(0, np.int64)
    parts = [batch.column("document").to_numpy() for batch in url_verdicts_exchange(work).receive(number)]
    return np.concatenate([np.empty(0, np.int64), *parts])


def send_urls(task: RangeTask) -> int:
    """Send the documents of a range that have a URL to the partition of the URL. Returns their number."""
    exchange, by_language = urls_exchange(task.work), task.work.settings.scope == "language"
    with exchange.sender(task.name, URLS) as sender:
        for shard in task.shards:
            columns = ["url", "date", "id", *(["language"] if by_language else [])]
            for rows, batch in read_numbered(shard.folder, DOCUMENTS.path(shard.name), columns, 16_384):
                urls = batch.column("url").to_pylist()
                pages = [normalize_url(url) if url else "" for url in urls]
                if by_language:
                    languages = batch.column("language").to_pylist()
                    pages = [f"{page} {language}" for page, language in zip(pages, languages, strict=True)]
                hashes = [xxhash.xxh3_64_intdigest(page.encode()) for page in pages]
                arrays = [
                    pa.array(hashes, pa.uint64()),
                    pa.array(rows + shard.first),
                    pa.array(rows),
                    pa.array(as_numbers(pa.chunked_array([batch.column("date")]))),
                    batch.column("id"),
                    pa.array([shard.name] * len(rows), pa.string()),
                    pa.array([shard.earlier] * len(rows), pa.string()),
                ]
                rows_with_url = pa.RecordBatch.from_arrays(arrays, schema=URLS)
                rows_with_url = rows_with_url.filter(pa.array([bool(url) for url in urls]))
                sender.send(rows_with_url, partition_of(rows_with_url.column("hash").to_numpy(), exchange.partitions))
    return sender.rows


def choose_urls(task: PartitionTask) -> int:
    """Find the newest document of each URL, send verdicts on the others to their ranges. Returns the number removed."""
    work = task.work
    rows = task.exchange.receive_table(task.number, URLS).sort_by("document")
    hashes, documents = rows.column("hash").to_numpy(), rows.column("document").to_numpy()
    age = np.nan_to_num(-rows.column("date").to_numpy(), nan=np.inf)
    order = np.lexsort((documents, age, documents >= work.earlier_documents, hashes))
    ordered = hashes[order]
    new = np.r_[True, ordered[1:] != ordered[:-1]] if len(order) else np.empty(0, np.bool_)
    starts = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    counts = np.bincount(group)
    removed = ~new & (documents[order] >= work.earlier_documents)
    first = np.minimum.reduceat(order, starts) if len(order) else order
    duplicates, survivors = pa.array(order[removed]), pa.array(order[starts][group[removed]])
    ids = rows.column("id")
    columns = [
        rows.column("document").take(duplicates),
        pa.array([URL] * len(duplicates), pa.string()),
        pa.nulls(len(duplicates), pa.float64()),
        ids.take(pa.array(first[group[removed]])),
        pa.array(counts[group[removed]]),
        *(rows.column(name).take(survivors) for name in ("id", "shard", "row", "run")),
    ]
    table = pa.Table.from_arrays(columns, schema=VERDICTS)
    with url_verdicts_exchange(work).sender(task.name, VERDICTS) as sender:
        for batch in table.to_batches():
            sender.send(batch, work.range_of(batch.column("document").to_numpy()))
    return sender.rows
