"""URL filter: block lists of domains and addresses, and words that give an address away (RefinedWeb, section G.1).

The lists are the ones that datatrove carries (UT1 of the University of Toulouse, and three word lists), read from its
package; verdict and reason equal those of its URLFilter (datatrove 0.10, pipeline/filters/url_filter.py). A record
without a URL, on which that one stops the run, goes with the reason `no_url`.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curation.batch import Batch
from curation.errors import ParameterError
from curation.hashlist import HashList, cached_hash_list
from curation.rules import Rule
from curation.stage import Filter, struct

ARCHIVE = "url_filterblacklistsv0_3_0.tar.gz"
WORDS, SUBWORDS, SOFT_WORDS = "banned_words.txt", "banned_subwords.txt", "soft_banned_words.txt"

_SEPARATORS = re.compile(r"[^a-zA-Z0-9]+")


@dataclass(frozen=True, slots=True)
class Url(Filter):
    """Removes pages by their address, in this order.

    domain: registered domain in the list; subdomain: full host name in the list; url: exact address in the list;
    hard_word: a banned word is a part of the address between other characters than letters and digits (case counts);
    max_soft_words: more than so many different soft words; subword: a banned string anywhere in the letters and digits.

    builtin_lists: use the lists that come with the package. extra_domains, extra_urls, extra_words, extra_soft_words,
    extra_subwords: entries of one's own.
    """

    builtin_lists: bool = True
    max_soft_words: int | None = 1
    extra_domains: tuple[str, ...] = ()
    extra_urls: tuple[str, ...] = ()
    extra_words: tuple[str, ...] = ()
    extra_soft_words: tuple[str, ...] = ()
    extra_subwords: tuple[str, ...] = ()

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("tldextract",)

    def __post_init__(self) -> None:
        if self.max_soft_words is not None and self.max_soft_words < 0:
            raise ParameterError("max_soft_words", self.max_soft_words, "at least 0, or none")
        for key in ("extra_words", "extra_soft_words", "extra_subwords"):
            for word in getattr(self, key):
                if not _normalize(word):
                    raise ParameterError(key, word, "words with a letter a-z or a digit")

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
        return (
            {name: _asset_hash(name) for name in (ARCHIVE, WORDS, SOFT_WORDS, SUBWORDS)} if self.builtin_lists else {}
        )

    def measure(self, batch: Batch) -> pa.StructArray:
        """Per address: whether it is absent or listed (0 or 1), hard and soft words, and whether a subword is in it."""
        judge = _Judge(self)
        rows = [judge(url) for url in batch.column("url").to_pylist()]
        names = ("no_url", "domain", "subdomain", "url", "hard_words", "soft_words", "subwords")
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        return struct(**{name: pa.array(values, pa.int32()) for name, values in zip(names, columns, strict=True)})


class _Judge:
    """The lists of a filter, ready for look-ups."""

    def __init__(self, parameters: Url) -> None:
        lists = parameters.builtin_lists
        self._domains = _lists(parameters.extra_domains, "domains" if lists else None)
        self._urls = _lists(parameters.extra_urls, "urls" if lists else None)
        self._words = _words(WORDS, parameters.extra_words, lists)
        self._soft_words = _words(SOFT_WORDS, parameters.extra_soft_words, lists)
        self._subwords = _automaton(_words(SUBWORDS, parameters.extra_subwords, lists))
        self._split = _suffixes()

    def __call__(self, url: str | None) -> tuple[int, int, int, int, int, int, int]:
        if not url:
            return 1, 0, 0, 0, 0, 0, 0
        parts = self._split(url)
        words = set(_SEPARATORS.split(url))
        return (
            0,
            int(_in(parts.top_domain_under_public_suffix, self._domains)),
            int(_in(parts.fqdn, self._domains)),
            int(_in(url, self._urls)),
            len(words & self._words),
            len(words & self._soft_words),
            int(self._subwords is not None and next(self._subwords.iter(_normalize(url)), None) is not None),
        )


def _lists(extra: tuple[str, ...], builtin: str | None) -> list[Container[str]]:
    return [frozenset(extra)] if builtin is None else [frozenset(extra), _builtin_list(builtin)]


def _in(value: str, lists: list[Container[str]]) -> bool:
    return any(value in entries for entries in lists)


def _normalize(text: str) -> str:
    """ "Foo-Bar 1" → "foobar1"."""
    return _SEPARATORS.sub("", text).lower()


@cache
def _words(name: str, extra: tuple[str, ...], builtin: bool) -> frozenset[str]:
    lines = _asset(name).read_text(encoding="utf-8").splitlines() if builtin else []
    return frozenset(_normalize(line) for line in [*lines, *extra] if not line.startswith("#"))


@cache
def _automaton(words: frozenset[str]) -> Any | None:
    """Aho-Corasick automaton of the words, or None without words."""
    import ahocorasick

    if not words:
        return None
    automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
    for number, word in enumerate(sorted(words)):
        automaton.add_word(word, number)
    automaton.make_automaton()
    return automaton


@cache
def _suffixes() -> Any:
    """Splits host names by the public suffix list that comes with tldextract: no network, no cache on disk."""
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


@cache
def _builtin_list(name: str) -> HashList:
    return cached_hash_list(f"datatrove-{name}-{_asset_hash(ARCHIVE)[:16]}", lambda: _archived_lines(name))


def _archived_lines(name: str) -> Iterator[bytes]:
    with tarfile.open(_asset(ARCHIVE), "r:gz") as archive:
        member = archive.extractfile(name)
        if member is None:
            raise FileNotFoundError(f"{ARCHIVE}: no list {name}")
        for line in member:
            if not line.startswith(b"#"):
                yield line.strip()


def _asset(name: str) -> Path:
    package = find_spec("datatrove")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(f"{name}: the package datatrove, which carries it, is not installed")
    return Path(package.submodule_search_locations[0]) / "assets" / name


@cache
def _asset_hash(name: str) -> str:
    return hashlib.sha256(_asset(name).read_bytes()).hexdigest()
