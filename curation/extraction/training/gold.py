"""Pages with their main text, from JSON Lines and archives."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curation.archives.reader import ReadSettings, read_batches
from curation.errors import InputError
from curation.text.hosts import registered_domain

TEXTS = ("main_content", "text")
WANTED, UNWANTED = ("with", "present"), ("without", "absent")


@dataclass(frozen=True, slots=True)
class GoldPage:
    """A page and what is known of its main text.

    Attributes:
        url: The address.
        html: The source.
        text: The main text; None if only snippets are known.
        kind: The type of page, for reports; "" if unknown.
        wanted: Snippets that are in the main text.
        unwanted: Snippets that are not.
    """

    url: str
    html: str
    text: str | None
    kind: str = ""
    wanted: list[str] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)

    @property
    def domain(self) -> str:
        """The registered domain."""
        return registered_domain(self.url)


def read_gold(paths: Iterable[Path]) -> tuple[list[GoldPage], int]:
    """Read annotated pages.

    Args:
        paths: JSON Lines (.jsonl, .jsonl.gz), one page a line, and archives (any other name) with the pages whose lines
            have no `html`. A line has `url` and `main_content` or `text`; or snippets: lists `with` or `present`, and
            `without` or `absent`. `html` and `page_type` are optional.

    Returns:
        The pages whose source was found, sorted by URL (the first annotation of a URL counts); and the number of
        annotated pages without source.

    Raises:
        InputError: A file cannot be read, a line is no annotation, or no page was found.
    """
    paths = list(paths)
    lines: dict[str, dict[str, Any]] = {}
    for path in paths:
        if path.name.endswith((".jsonl", ".jsonl.gz")):
            for line in _lines(path):
                lines.setdefault(line["url"], line)
    missing = {url for url, line in lines.items() if not isinstance(line.get("html"), str)}
    for path in paths:
        if not path.name.endswith((".jsonl", ".jsonl.gz")):
            for url, html in read_pages(path):
                if url in missing:
                    missing.remove(url)
                    lines[url]["html"] = html
    pages = [_page(line) for url, line in sorted(lines.items()) if url not in missing]
    if not pages:
        raise InputError(
            f"of {len(lines):,} annotated pages none has html: pass the archives with these URLs beside the JSON Lines"
        )
    return pages, len(missing)


def _page(line: dict[str, Any]) -> GoldPage:
    text = next((line[key] for key in TEXTS if isinstance(line.get(key), str)), None)
    snippets: list[list[str]] = [
        next((line[key] for key in keys if isinstance(line.get(key), list)), []) for keys in (WANTED, UNWANTED)
    ]
    return GoldPage(line["url"], line["html"], text, line.get("page_type") or "", *snippets)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    opened = gzip.open if path.name.endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    page = json.loads(line)
                except json.JSONDecodeError as error:
                    raise InputError(f"{path}, line {number}: no valid JSON: {error.msg}") from error
                if not (isinstance(page, dict) and isinstance(page.get("url"), str)):
                    raise InputError(f"{path}, line {number}: a line must be an object with a url")
                if not any(key in page for key in (*TEXTS, *WANTED, *UNWANTED)):
                    raise InputError(f"{path}, line {number}: neither {TEXTS[0]} nor snippets")
                yield page
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def read_pages(path: Path) -> Iterator[tuple[str, str]]:
    """URL and HTML of the pages in an archive; InputError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            for batch in read_batches(stream, str(path), ReadSettings(), Counter()):
                for url, html in zip(batch.column("url").to_pylist(), batch.column("html").to_pylist(), strict=True):
                    if html is not None:
                        yield url, html
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
