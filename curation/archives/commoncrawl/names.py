"""Crawls by name: `cc:CC-MAIN-2025-08` means the archives that CommonCrawl lists for that crawl.

    cc:CC-MAIN-2025-08                         its WARC archives
    cc:CC-MAIN-2025-08/wet                     its WET archives
    cc:CC-MAIN-2025-08/segments/1738831951773.52     those of one segment; more of the path narrows it further
    cc:latest                                  the newest crawl

Only the list of paths is read: one request per crawl, however many archives it has.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from curation.archives.commoncrawl.addresses import data_address, index_address
from curation.archives.path_lists import read_list
from curation.archives.streams import open_stream
from curation.errors import InputError
from curation.store.storage import input_errors
from curation.store.untrusted import is_inside

SCHEME = "cc:"

LATEST = "latest"

ROOT = "crawl-data/"
"""What the path of every archive begins with, on any server that has them."""

INDEX_ROOT = "cc-index/"
"""What the path of every file of an index begins with."""

_NAME = re.compile(r"(latest|CC-MAIN-\d{4}(?:-\d{2}|-\d{4})?)(?:/(wet|warc)|/(segments(?:/[\w.-]+)*))?/?")

_FORMS = "cc:CC-MAIN-2025-08, cc:CC-MAIN-2025-08/wet, cc:CC-MAIN-2025-08/segments/…, cc:latest"


@dataclass(frozen=True, slots=True)
class CrawlName:
    """What a name means.

    Attributes:
        crawl: The crawl, such as CC-MAIN-2025-08.
        kind: "warc" or "wet".
        folder: Path that the archives are below, from `crawl-data/` on, without a slash at its end.
    """

    crawl: str
    kind: str
    folder: str

    def has(self, path: str) -> bool:
        """Whether an archive, by its path from `crawl-data/` on, is one of those that the name means."""
        return path == self.folder or path.startswith(f"{self.folder}/")


def is_crawl(argument: str) -> bool:
    """Whether an input is the name of a crawl."""
    return argument.startswith(SCHEME)


def crawl_hint(argument: str) -> str:
    """What to write instead of the name of a crawl without `cc:`, for an error; "" for any other text."""
    is_name = argument.startswith("CC-MAIN-") and _NAME.fullmatch(argument)
    return f"; the crawl of that name is {SCHEME}{argument}" if is_name else ""


def parse_name(argument: str) -> CrawlName:
    """The meaning of a name.

    Args:
        argument: The name, with `cc:`.

    Raises:
        InputError: It is no name of a crawl, or the newest crawl cannot be found out.
    """
    match = _NAME.fullmatch(argument.removeprefix(SCHEME))
    if match is None or ".." in argument:
        raise InputError(f"input {argument}: not a name of a crawl; there are {_FORMS}")
    crawl = latest_crawl() if match[1] == LATEST else match[1]
    kind = match[2] or ("wet" if "wet" in (match[3] or "").split("/") else "warc")
    return CrawlName(crawl, kind, "/".join(filter(None, (f"{ROOT}{crawl}", match[3]))))


def latest_crawl() -> str:
    """The newest crawl in the list that CommonCrawl keeps of them; InputError if that cannot be read."""
    url, what = f"{index_address()}/collinfo.json", f"input {SCHEME}{LATEST}"
    with input_errors(what, f"no list of crawls at {url}"), open_stream(url) as stream:
        crawls = json.loads(stream.read())
    try:
        return next(name for name in (str(entry["id"]) for entry in crawls) if _NAME.fullmatch(name))
    except (LookupError, TypeError, StopIteration) as error:
        raise InputError(f"{what}: {url} is not a list of crawls") from error


def archives_of(argument: str) -> list[str]:
    """The URLs of the archives that a name means, in the order of CommonCrawl's list.

    Raises:
        InputError: There is no such crawl or segment, or its list cannot be read.
    """
    name = parse_name(argument)
    paths = [path for path in _listed(argument, name.crawl, f"{name.kind}.paths.gz") if name.has(path)]
    if not paths:
        raise InputError(f"input {argument}: no archive of {name.crawl} is below {name.folder}")
    return [f"{data_address()}/{path}" for path in paths]


def index_files_of(argument: str, crawl: str) -> list[str]:
    """The URLs of the Parquet files of a crawl's index that describe its WARC archives.

    Args:
        argument: The input that named the crawl, for errors.
        crawl: The crawl, such as CC-MAIN-2025-08.

    Raises:
        InputError: There is no such crawl, or it has no columnar index.
    """
    paths = [path for path in _listed(argument, crawl, "cc-index-table.paths.gz") if "/subset=warc/" in path]
    if not paths:
        raise InputError(f"input {argument}: {crawl} has no columnar index")
    return [f"{data_address()}/{path}" for path in paths]


def _listed(argument: str, crawl: str, name: str) -> list[str]:
    url = f"{data_address()}/{ROOT}{crawl}/{name}"
    missing = f"no crawl {crawl} with {name} at {data_address()}; {index_address()}/collinfo.json lists the crawls"
    with input_errors(f"input {argument}", missing):
        paths = [path for path in read_list(url) if path.startswith((ROOT, INDEX_ROOT)) and is_inside(path)]
    if not paths:
        raise InputError(f"input {argument}: {url} is not a list of paths below {ROOT} or {INDEX_ROOT}")
    return paths
