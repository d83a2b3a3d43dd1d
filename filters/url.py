"""URL filter: block lists of domains and addresses, and banned words in addresses (RefinedWeb, section G.1).

The lists are those in the datatrove package (UT1 of the University of Toulouse, and three word lists). Verdicts and
reasons equal those of its URLFilter (datatrove 0.10, pipeline/filters/url_filter.py), except that a record without a
URL, which stops a run there, is removed here with the reason `no_url`.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa

from curation.arrays import Bools
from curation.errors import ParameterError
from curation.stages.batch import Batch
from curation.stages.parameters import Count, Outside, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.store.hash_list import HashList, cached_hash_list
from curation.text.hosts import split_host

ARCHIVE = "url_filterblacklistsv0_3_0.tar.gz"
WORDS, SUBWORDS, SOFT_WORDS = "banned_words.txt", "banned_subwords.txt", "soft_banned_words.txt"

FILE_MARK = "@"
"""An entry `@path` of a list parameter means the lines of that file."""

Entry = Annotated[str, Outside("a file", lambda entry: entry.startswith(FILE_MARK))]

_SEPARATORS = re.compile(r"[^a-zA-Z0-9]+")


@checked
@dataclass(frozen=True, slots=True)
class Url(Filter):
    """Removes pages by their address.

    The reasons, in the order in which they are checked:

    - `no_url`: the record has no address.
    - `domain`, `subdomain`, `url`: the registered domain, the full host name or the exact address is in the list.
    - `hard_word`: a banned word, delimited by other characters than letters and digits (case-sensitive).
    - `max_soft_words`: too many different soft words.
    - `subword`: a banned string anywhere in the letters and digits.

    In the `extra_` lists, an entry `@path` means the lines of that file, except those that begin with #.

    Attributes:
        builtin_lists: Use the lists of the datatrove package.
        max_soft_words: Remove an address with more different soft words than this; None disables the rule.
        extra_domains: Domains and host names to block as well.
        extra_urls: Addresses to block as well.
        extra_words: Further words for `hard_word`.
        extra_soft_words: Further words for `max_soft_words`.
        extra_subwords: Further strings for `subword`.
    """

    builtin_lists: bool = True
    max_soft_words: Count | None = 1
    extra_domains: tuple[Entry, ...] = ()
    extra_urls: tuple[Entry, ...] = ()
    extra_words: tuple[Entry, ...] = ()
    extra_soft_words: tuple[Entry, ...] = ()
    extra_subwords: tuple[Entry, ...] = ()

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("tldextract",)

    def __post_init__(self) -> None:
        for key, entries in self._extra().items():
            for entry in entries:
                if entry.startswith(FILE_MARK) and not Path(entry[1:]).is_file():
                    raise ParameterError(key, entry, "entries, or @ and the path of a file with entries")
                if not entry.startswith((FILE_MARK, "#")) and key.endswith("words") and not _normalize(entry):
                    raise ParameterError(key, entry, "words with a letter a-z or a digit")

    def _extra(self) -> dict[str, tuple[str, ...]]:
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name.startswith("extra_")}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        limit = self.max_soft_words
        return (
            Rule("no_url", ">", 0, "no_url"),
            Rule("domain", ">", 0, "domain"),
            Rule("subdomain", ">", 0, "subdomain"),
            Rule("url", ">", 0, "url"),
            Rule("hard_words", ">", 0, "hard_word"),
            *(() if limit is None else (Rule("soft_words", ">", limit, "max_soft_words"),)),
            Rule("subwords", ">", 0, "subword"),
        )

    def assets(self) -> dict[str, str]:
        """SHA-256 of each list used."""
        named = [entry for entries in self._extra().values() for entry in entries if entry.startswith(FILE_MARK)]
        hashes = {entry: _file_hash(Path(entry[1:])) for entry in named}
        if self.builtin_lists:
            hashes |= {name: _file_hash(_asset(name)) for name in (ARCHIVE, WORDS, SOFT_WORDS, SUBWORDS)}
        return hashes

    def measure(self, batch: Batch) -> pa.StructArray:
        """For each address: whether it is missing, listed or has a subword (0 or 1), and its hard and soft words."""
        urls = [url or "" for url in batch.column("url").to_pylist()]
        hosts = [split_host(url) for url in urls]
        hard = _words(WORDS, self.extra_words, self.builtin_lists)
        soft = _words(SOFT_WORDS, self.extra_soft_words, self.builtin_lists)
        subwords = _automaton(_words(SUBWORDS, self.extra_subwords, self.builtin_lists))
        words = [set(_SEPARATORS.split(url)) for url in urls]
        values: dict[str, Iterable[int]] = {
            "no_url": [not url for url in urls],
            "domain": self._listed("domains", [host.top_domain_under_public_suffix for host in hosts]),
            "subdomain": self._listed("domains", [host.fqdn for host in hosts]),
            "url": self._listed("urls", urls),
            "hard_words": [len(parts & hard) for parts in words],
            "soft_words": [len(parts & soft) for parts in words],
            "subwords": [
                subwords is not None and next(subwords.iter(_normalize(url)), None) is not None for url in urls
            ],
        }
        return struct(**{name: pa.array(np.asarray(column, dtype=np.int32)) for name, column in values.items()})

    def _listed(self, name: str, values: Sequence[str]) -> Bools:
        """Which values are in the list `name` or among its extra entries."""
        extra = _entries(self.extra_domains if name == "domains" else self.extra_urls)
        listed = np.fromiter((value in extra for value in values), np.bool_, len(values))
        return listed | _builtin_list(name).contains(values) if self.builtin_lists else listed


def _normalize(text: str) -> str:
    """ "Foo-Bar 1" → "foobar1"."""
    return _SEPARATORS.sub("", text).lower()


@cache
def _entries(given: tuple[str, ...]) -> frozenset[str]:
    """The given entries, with those that name a file replaced by the file's lines."""
    lines: list[str] = []
    for entry in given:
        lines += Path(entry[1:]).read_text(encoding="utf-8").splitlines() if entry.startswith(FILE_MARK) else [entry]
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


@cache
def _words(name: str, extra: tuple[str, ...], builtin: bool) -> frozenset[str]:
    entries = _entries((*((f"{FILE_MARK}{_asset(name)}",) if builtin else ()), *extra))
    return frozenset(_normalize(entry) for entry in entries)


@cache
def _automaton(words: frozenset[str]) -> Any | None:
    """Aho-Corasick automaton of the words; None if there are none."""
    import ahocorasick

    if not words:
        return None
    automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
    for number, word in enumerate(sorted(words)):
        automaton.add_word(word, number)
    automaton.make_automaton()
    return automaton


@cache
def _builtin_list(name: str) -> HashList:
    return cached_hash_list(f"datatrove-{name}-{_file_hash(_asset(ARCHIVE))[:16]}-v2", lambda: _archived_lines(name))


def _archived_lines(name: str) -> list[bytes]:
    with tarfile.open(_asset(ARCHIVE), "r:gz") as archive:
        member = archive.extractfile(name)
        if member is None:
            raise FileNotFoundError(f"{ARCHIVE}: no list {name}")
        return [line for line in member.read().splitlines() if line and not line.startswith(b"#")]


def _asset(name: str) -> Path:
    package = find_spec("datatrove")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(f"{name}: the package datatrove, which contains it, is not installed")
    return Path(package.submodule_search_locations[0]) / "assets" / name


@cache
def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
