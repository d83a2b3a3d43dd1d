"""The columnar index of a crawl: one row per record, in Parquet files that are sorted by reversed host and path.

Only what is needed is read: of each file its footer; of row groups whose statistics allow a match the columns of the
condition; and of row groups with a match where the records are.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.archives.commoncrawl.client import Client
from curation.archives.commoncrawl.names import CrawlName
from curation.archives.commoncrawl.where import bounds_of, columns_in, rows_where
from curation.archives.inputs import Input, in_sample
from curation.archives.parquet_rows import DAMAGE
from curation.errors import CredentialsFailed, InputError, UnreadableArchive
from curation.store.untrusted import is_inside
from curation.text.hosts import top_level
from curation.text.urls import WWW, domain_entry, domains_of, normalize_host, page_entry, page_url

RECORDS = pa.schema([
    ("url", pa.string()),
    ("warc_filename", pa.string()),
    ("warc_record_offset", pa.int64()),
    ("warc_record_length", pa.int64()),
    ("content_digest", pa.string()),
])  # fmt: skip
"""The columns that say where a record is."""

FOUND = RECORDS.append(pa.field("entry", pa.string()))
"""RECORDS, and the entry of the list of addresses that matched, null without a list."""

HOST, KEY = "url_host_name", "url_surtkey"

PARTITIONS = ("crawl", "subset")
"""Columns that are in the paths of the files only."""

FOOTER = 1 << 16
"""Bytes at the end of a file that are read first."""


LONGEST_SHOWN = 200
"""Characters of a bad line that an error shows."""


@dataclass(frozen=True)
class UrlList:
    """Addresses and domains to look up.

    Attributes:
        pages: Addresses as in `page_url`, and the entries that mean them.
        domains: Domains with all hosts below them, and the entries that mean them.
    """

    pages: dict[str, str]
    domains: dict[str, str]

    @cached_property
    def sites(self) -> frozenset[str]:
        """The hosts of the pages, without `www.`."""
        return frozenset(page_url(page).host.removeprefix(WWW) for page in self.pages)

    @cached_property
    def prefixes(self) -> list[str]:
        """What `url_surtkey` of every match begins with, sorted: "de,example" for example.de."""
        return sorted({_reversed(host) for host in (*self.domains, *self.sites)})

    def entry_of(self, address: str) -> str | None:
        """The entry that an address matches, or None."""
        page = page_url(address)
        if page.page in self.pages:
            return self.pages[page.page]
        return next((self.domains[domain] for domain in domains_of(page.host) if domain in self.domains), None)


def parse_urls(lines: list[str], where: str) -> UrlList:
    """The list in a file.

    Args:
        lines: Each an address, recognized by a slash, or a domain.
        where: The file, for errors.

    Raises:
        InputError: The list is empty, or no address can match a line.
    """
    pages, domains = {}, {}
    for line in lines:
        try:
            if "/" in line:
                pages[page_entry(line)] = line
            else:
                domains[domain_entry(line)] = line
        except ValueError as error:
            raise InputError(f"--urls {where}: {line[:LONGEST_SHOWN]!r} {error}") from error
    if not lines:
        raise InputError(f"--urls {where}: no address and no domain in it")
    return UrlList(pages, domains)


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """Which records of a crawl to take.

    Attributes:
        names: The crawl, or parts of it.
        where: A condition, as in `where`; empty for none.
        urls: Addresses and domains, one of which a record must match; None for any.
        sample: Share of the archives, as in `in_sample`.
        seed: Random seed of the sample.
    """

    names: tuple[CrawlName, ...]
    where: str = ""
    urls: UrlList | None = None
    sample: float = 1.0
    seed: int = 0

    def has(self, archive: str | None) -> bool:
        """Whether records of an archive, by its path from `crawl-data/` on, are taken."""
        if not archive or not is_inside(archive) or not in_sample(archive, self.sample, self.seed):
            return False
        return any(name.has(archive) for name in self.names)


class IndexFile:
    """One Parquet file of an index.

    Args:
        source: The file.
        client: Reads it.

    Raises:
        UnreadableArchive: It is not Parquet, has two columns of one name, or lacks one that says where records are.
    """

    def __init__(self, source: Input, client: Client) -> None:
        self._source = source
        try:
            self._parquet = pq.ParquetFile(pa.PythonFile(_RangeFile(client, source), mode="r"), pre_buffer=True)
        except CredentialsFailed:
            raise
        except DAMAGE as error:
            raise UnreadableArchive(f"{source.path}: not Parquet: {error}") from error
        names = self._parquet.schema_arrow.names
        for name, count in Counter(names).items():
            if count > 1:
                raise UnreadableArchive(f"{source.path}: {count} columns {name!r}, so it is not a CommonCrawl index")
        missing = [name for name in RECORDS.names if name not in names]
        if missing:
            raise UnreadableArchive(f"{source.path}: no column {missing[0]!r}, so it is not a CommonCrawl index")

    @cached_property
    def columns(self) -> pa.Schema:
        """The columns that a condition can name."""
        columns = self._parquet.schema_arrow.remove_metadata()
        for name in PARTITIONS:
            if name not in columns.names:
                columns = columns.append(pa.field(name, pa.string()))
        return columns

    def select(self, query: IndexQuery) -> Iterator[pa.Table]:
        """The records that match, by row group, with the columns FOUND.

        Args:
            query: What to look for.

        Raises:
            UsageError: The condition cannot be evaluated.
            UnreadableArchive: A row group cannot be read.
        """
        needed = columns_in(query.where, self.columns.names) if query.where else []
        if query.urls is not None:
            needed = list(dict.fromkeys((*needed, HOST)))
        bounds = bounds_of(query.where) if query.where else {}
        for group in range(self._parquet.num_row_groups):
            try:
                if not self._may_match(group, bounds, query.urls):
                    continue
                found = self._found(group, query, needed)
            except CredentialsFailed:
                raise
            except DAMAGE as error:
                raise UnreadableArchive(f"{self._source.path}: row group {group}: {error}") from error
            if found.num_rows:
                yield found

    def _found(self, group: int, query: IndexQuery, needed: list[str]) -> pa.Table:
        """The records of a row group that match.

        Args:
            group: The row group.
            query: What to look for.
            needed: The columns that say which rows match.
        """
        table = self._read(group, needed)
        rows = np.arange(table.num_rows)
        if query.where:
            rows = rows_where(query.where, table)
        if query.urls is not None:
            rows = rows[_on_hosts(table[HOST].take(pa.array(rows)), query.urls)]
        if not len(rows):
            return FOUND.empty_table()
        found = self._read(group, RECORDS.names).select(RECORDS.names).cast(RECORDS).take(pa.array(rows))
        archives = [name for name in pc.unique(found["warc_filename"]).to_pylist() if query.has(name)]
        found = found.filter(pc.is_in(found["warc_filename"], pa.array(archives, pa.string())))
        if query.urls is None:
            return found.append_column("entry", pa.nulls(found.num_rows, pa.string()))
        entries = pa.array([query.urls.entry_of(url or "") for url in found["url"].to_pylist()], pa.string())
        return found.append_column("entry", entries).filter(entries.is_valid())

    def _read(self, group: int, names: list[str]) -> pa.Table:
        """Columns of a row group; those that are only in the path get their values from it."""
        inside = [name for name in names if name in self._parquet.schema_arrow.names]
        table = self._parquet.read_row_group(group, columns=inside)
        rows = self._parquet.metadata.row_group(group).num_rows
        if not inside:
            table = pa.table({"": pa.nulls(rows)})
        for name in (name for name in names if name not in inside):
            match = re.search(rf"/{name}=([^/]*)/", self._source.path)
            table = table.append_column(name, pa.array([match[1] if match else None] * rows, pa.string()))
        return table

    def _may_match(self, group: int, bounds: dict[str, tuple[Any, Any]], urls: UrlList | None) -> bool:
        """Whether the smallest and largest values of a row group's columns allow a match."""
        metadata = self._parquet.metadata.row_group(group)
        for number in range(metadata.num_columns):
            name = self._parquet.schema.column(number).path.lower()
            is_key = urls is not None and name == KEY
            if not is_key and name not in bounds:
                continue  # a damaged description of a column ends the process when it is looked at
            statistics = metadata.column(number).statistics
            if statistics is None or not statistics.has_min_max:
                continue
            low, high = statistics.min, statistics.max
            if name in bounds and not _overlap(low, high, *bounds[name]):
                return False
            if urls is not None and is_key and isinstance(low, str) and not _begins(low, high, urls.prefixes):
                return False
        return True


def _overlap(low: Any, high: Any, wanted_low: Any, wanted_high: Any) -> bool:
    """Whether values from low to high can be within the wanted bounds; True if they cannot be compared."""
    try:
        return not (wanted_low is not None and high < wanted_low) and not (
            wanted_high is not None and low > wanted_high
        )
    except TypeError:
        return True


def _begins(low: str, high: str, prefixes: list[str]) -> bool:
    """Whether a text between two others can begin with one of the prefixes, which are sorted.

    >>> _begins("de,b)/", "de,d)/x", ["de,a", "de,c"]), _begins("de,b)/", "de,d)/x", ["de,a", "de,e"])
    (True, False)
    """
    after = bisect_left(prefixes, low)
    if after < len(prefixes) and prefixes[after] <= high:
        return True
    starts = [low[:length] for length in range(1, len(low) + 1)]
    return any(prefixes[place : place + 1] == [start] for start in starts for place in [bisect_left(prefixes, start)])


def _reversed(host: str) -> str:
    """The beginning of `url_surtkey` on a host and all below it.

    >>> _reversed("www2.example.de"), _reversed("127.0.0.1")
    ('de,example', '127.0.0.1')
    """
    if top_level(host) == "(address)":
        return host
    return ",".join(reversed(re.sub(r"^www\d*\.", "", host).split(".")))


def _on_hosts(hosts: pa.ChunkedArray, urls: UrlList) -> Any:
    """Whether each host has a wanted page or is below a wanted domain, bool[hosts]."""
    names = pc.unique(hosts).to_pylist()
    normal = {name: normalize_host(name) for name in names if name}
    matching = [
        name
        for name, host in normal.items()
        if host.removeprefix(WWW) in urls.sites or any(domain in urls.domains for domain in domains_of(host))
    ]
    return pc.is_in(hosts, pa.array(matching, pa.string())).to_numpy(zero_copy_only=False).astype(np.bool_)


class _RangeFile(io.RawIOBase):
    """A file that Arrow reads through a client, whose end is kept: a footer is read twice."""

    def __init__(self, client: Client, source: Input) -> None:
        self._client, self._source, self._at = client, source, 0
        self._tail_start, self._tail = source.size, b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The current position."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position and return it."""
        self._at = offset + (0, self._at, self._source.size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        start = self._at
        stop = self._source.size if size is None or size < 0 else min(start + size, self._source.size)
        if stop <= start:
            return b""
        if stop == self._source.size and start < self._tail_start:
            self._tail_start = min(start, max(0, stop - FOOTER))
            self._tail = self._client.read(self._source.path, self._tail_start, stop)
        if start >= self._tail_start:
            data = self._tail[start - self._tail_start : stop - self._tail_start]
        else:
            data = self._client.read(self._source.path, start, stop)
        self._at = stop
        return data
