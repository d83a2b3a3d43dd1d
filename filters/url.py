"""URL filter: block lists of domains and URLs, and banned words in URLs (RefinedWeb, section G.1).

The built-in lists are those in the datatrove package (UT1 of the University of Toulouse, and three word lists). By
default, verdicts and reasons equal those of its URLFilter (datatrove 0.10, pipeline/filters/url_filter.py), except that
a record without a URL, which stops a run there, is removed here with the reason `no_url`. That filter compares texts as
they are, so many entries never match; `matching = "fixed"` compares what they mean. Lists of your own always are.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import regex

from curation.errors import ParameterError
from curation.stages.batch import Batch
from curation.stages.parameters import Count, LocalPath, Outside, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.store.hash_list import HashList, cached_hash_list
from curation.text.hosts import split_host
from curation.text.urls import domain_entry, domains_of, is_plain_domain, page_entry, page_url

ARCHIVE = "url_filterblacklistsv0_3_0.tar.gz"
WORDS, SUBWORDS, SOFT_WORDS = "banned_words.txt", "banned_subwords.txt", "soft_banned_words.txt"
DOMAINS, URLS = "domains", "urls"

FILE_MARK = "@"
"""An entry `@path` of a list parameter means the lines of that file."""

Entry = Annotated[
    str, Outside("a file", lambda entry: entry.startswith(FILE_MARK)), LocalPath(f"{re.escape(FILE_MARK)}(.+)")
]

_SEPARATORS = re.compile(r"[^a-zA-Z0-9]+")
_UNICODE_SEPARATORS = regex.compile(r"[^\p{L}\p{M}\p{N}]+")


@checked
@dataclass(frozen=True, slots=True)
class Url(Filter):
    """Removes pages by their URL.

    The reasons, in the order in which they are checked:

    - `no_url`: the record has no URL. It does not apply to rows of files that are no archives.
    - `domain`: the registered domain is in the list, or the IP address, or a whole suffix such as `xxx`.
    - `subdomain`: the host, or a domain between it and the registered domain, is in the list.
    - `url`: exactly this URL is in the list.
    - `hard_word`: a banned word, delimited by other characters than letters and digits.
    - `max_soft_words`: too many different soft words.
    - `subword`: a banned string anywhere in the letters and digits.

    The signal `entry` is the entry of a list, or the words, that the reason is about.

    In the `extra_` lists, an entry `@path` means the lines of that file, except those that begin with #. An entry that
    no URL can match is an error. `docs/filters.md` says how entries and URLs are compared.

    Attributes:
        builtin_lists: Use the lists of the datatrove package.
        max_soft_words: Remove a URL with more different soft words than this; None disables the rule.
        extra_domains: Domains to block as well, with all below them; hosts and IP addresses.
        extra_urls: URLs to block as well.
        extra_words: Further words for `hard_word`.
        extra_soft_words: Further words for `max_soft_words`.
        extra_subwords: Further strings for `subword`.
        matching: How the built-in lists are compared: "reference" as in datatrove, where many entries never match, or
            "fixed" as the `extra_` lists always are.
    """

    builtin_lists: bool = True
    max_soft_words: Count | None = 1
    extra_domains: tuple[Entry, ...] = ()
    extra_urls: tuple[Entry, ...] = ()
    extra_words: tuple[Entry, ...] = ()
    extra_soft_words: tuple[Entry, ...] = ()
    extra_subwords: tuple[Entry, ...] = ()
    matching: Literal["reference", "fixed"] = "reference"

    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("idna", "tldextract")

    def __post_init__(self) -> None:
        self._own()

    def _own(self) -> _OwnLists:
        return _OwnLists(*(_own_entries(key, getattr(self, key)) for key in _FORMS))

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
        named = [entry for key in _FORMS for entry in getattr(self, key) if entry.startswith(FILE_MARK)]
        hashes = {entry: _file_hash(Path(entry[1:])) for entry in named}
        if self.builtin_lists:
            hashes |= {name: _file_hash(_asset(name)) for name in (ARCHIVE, WORDS, SOFT_WORDS, SUBWORDS)}
        return hashes

    def measure(self, batch: Batch) -> pa.StructArray:
        """For each URL: whether it is missing, listed or has a subword (0 or 1), its hard and soft words, the entry."""
        urls = [url or "" for url in batch.column("url").to_pylist()]
        own, fixed = self._own(), self.builtin_lists and self.matching == "fixed"
        found = [_NOTHING] * len(urls)
        if self.builtin_lists and not fixed:
            found = _match_texts(urls)
        if fixed or any(own):
            found = list(map(_merge, found, _match_pages(urls, own, builtin=fixed)))
        numbers: dict[str, Iterable[int]] = {
            "no_url": [not url and must for url, must in zip(urls, _must_have_url(batch), strict=True)],
            "domain": [match.domain is not None for match in found],
            "subdomain": [match.subdomain is not None for match in found],
            "url": [match.url is not None for match in found],
            "hard_words": [len(match.hard_words) for match in found],
            "soft_words": [len(match.soft_words) for match in found],
            "subwords": [match.subword is not None for match in found],
        }
        columns = {name: pa.array(np.asarray(column, dtype=np.int32)) for name, column in numbers.items()}
        return struct(**columns, entry=pa.array([self._entry(match) for match in found], pa.string()))

    def _entry(self, match: _Match) -> str | None:
        """The entry that the first violated rule is about."""
        if match is _NOTHING:
            return None
        limit = self.max_soft_words
        soft = match.soft_words if limit is not None and len(match.soft_words) > limit else ()
        words = ", ".join(sorted(match.hard_words or soft))
        return match.domain or match.subdomain or match.url or words or match.subword


def _must_have_url(batch: Batch) -> list[bool]:
    """Whether each document is a page of an archive, not a row of a table, which may come without a URL."""
    if "row" not in batch.table.schema.names:
        return [True] * len(batch)
    return list(batch.column("row").is_null().to_pylist())


class _Match(NamedTuple):
    """The entries of lists that match a URL, in the order of the rules."""

    domain: str | None
    subdomain: str | None
    url: str | None
    hard_words: Set[str]
    soft_words: Set[str]
    subword: str | None


_NO_WORDS: frozenset[str] = frozenset()
_NOTHING = _Match(None, None, None, _NO_WORDS, _NO_WORDS, None)


def _merge(match: _Match, other: _Match) -> _Match:
    if match is _NOTHING:
        return other
    return _Match(
        match.domain or other.domain,
        match.subdomain or other.subdomain,
        match.url or other.url,
        match.hard_words | other.hard_words,
        match.soft_words | other.soft_words,
        match.subword or other.subword,
    )


class _OwnLists(NamedTuple):
    """The `extra_` lists: the entries by the form in which they are compared."""

    domains: Mapping[str, str]
    urls: Mapping[str, str]
    words: Mapping[str, str]
    soft_words: Mapping[str, str]
    subwords: Mapping[str, str]


def _match_texts(urls: Sequence[str]) -> list[_Match]:
    """Match the built-in lists as datatrove does: by comparing texts as they are."""
    hosts = [split_host(url) for url in urls]
    is_domain = _builtin_list(DOMAINS).contains([host.top_domain_under_public_suffix for host in hosts])
    is_subdomain = _builtin_list(DOMAINS).contains([host.fqdn for host in hosts])
    is_url = _builtin_list(URLS).contains(urls)
    hard, soft, subwords = _words(WORDS), _words(SOFT_WORDS), _words(SUBWORDS)
    found = []
    for row, (url, host) in enumerate(zip(urls, hosts, strict=True)):
        words = _SEPARATORS.split(url)
        domain = host.top_domain_under_public_suffix if is_domain[row] else None
        subdomain = host.fqdn if is_subdomain[row] else None
        subword = _first_inside(_normalize(url), subwords)
        hard_words, soft_words = _among(words, hard, {}), _among(words, soft, {})
        found.append(_Match(domain, subdomain, url if is_url[row] else None, hard_words, soft_words, subword))
    return found


def _match_pages(urls: Sequence[str], own: _OwnLists, *, builtin: bool) -> list[_Match]:
    """Match the `extra_` lists, and the built-in ones if asked for, by what entries and URLs mean."""
    pages = [page_url(url) for url in urls]
    domains = _match_hosts({page.host for page in pages}, own.domains, builtin=builtin)
    listed = _listed({page.page for page in pages}, URLS, own.urls, builtin=builtin)
    hard, soft, subwords = map(_words, (WORDS, SOFT_WORDS, SUBWORDS)) if builtin else (_NO_WORDS,) * 3
    own_subwords = frozenset(own.subwords)
    found = []
    for page in pages:
        words = _text_words(page.text)
        glued = "".join(words)
        subword = _first_inside(glued, subwords) or own.subwords.get(_first_inside(glued, own_subwords) or "")
        domain, subdomain = domains.get(page.host, (None, None))
        hard_words, soft_words = _among(words, hard, own.words), _among(words, soft, own.soft_words)
        found.append(_Match(domain, subdomain, listed.get(page.page), hard_words, soft_words, subword))
    return found


def _match_hosts(hosts: Set[str], own: Mapping[str, str], *, builtin: bool) -> dict[str, tuple[str | None, str | None]]:
    """The entries that cover each host: one that is its registered domain or above it, and one below that."""
    domains = {host: domains_of(host) for host in hosts}
    listed = _listed({domain for above in domains.values() for domain in above}, DOMAINS, own, builtin=builtin)
    found: dict[str, tuple[str | None, str | None]] = {}
    for host, above in domains.items() if listed else ():
        matching = [domain for domain in above if domain in listed]
        if matching:
            registered = split_host(host).top_domain_under_public_suffix or host
            domain = next((listed[name] for name in matching if len(name) <= len(registered)), None)
            found[host] = domain, listed[matching[0]] if len(matching[0]) > len(registered) else None
    return found


def _listed(names: Set[str], list_name: str, own: Mapping[str, str], *, builtin: bool) -> dict[str, str]:
    """The names that are in a list, with their entries."""
    found = {name: own[name] for name in names if name in own}
    if builtin:
        wanted = [*names - {""}]
        is_listed = _builtin_list(list_name).contains(wanted) | _fixed_entries(list_name).contains(wanted)
        found |= {wanted[row]: wanted[row] for row in np.flatnonzero(is_listed)}
    return found


def _among(words: Sequence[str], builtin: frozenset[str], own: Mapping[str, str]) -> Set[str]:
    """The different words that are in either list."""
    if builtin.isdisjoint(words) and (not own or own.keys().isdisjoint(words)):
        return _NO_WORDS
    return {word for word in words if word in builtin or word in own}


def _normalize(text: str) -> str:
    """ "Foo-Bar 1" → "foobar1"."""
    return _SEPARATORS.sub("", text).lower()


def _text_words(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters, marks and digits of any script."""
    separators = _SEPARATORS if text.isascii() else _UNICODE_SEPARATORS
    return [word for word in separators.split(text) if word]


def _word_entry(text: str) -> str:
    words = _text_words(unicodedata.normalize("NFC", text).lower())
    if len(words) > 1:
        raise ValueError("is more than one word; extra_subwords finds words in a row")
    return "".join(words) or _no_word()


def _subword_entry(text: str) -> str:
    return "".join(_text_words(unicodedata.normalize("NFC", text).lower())) or _no_word()


def _no_word() -> str:
    raise ValueError("has no letter or digit")


_FORMS: dict[str, tuple[Callable[[str], str], str]] = {
    "extra_domains": (domain_entry, "domains, hosts or IP addresses"),
    "extra_urls": (page_entry, "URLs of pages"),
    "extra_words": (_word_entry, "words"),
    "extra_soft_words": (_word_entry, "words"),
    "extra_subwords": (_subword_entry, "words or parts of words"),
}
"""For each list: how an entry is normalized (ValueError if no URL can match it), and what entries are."""


@cache
def _own_entries(key: str, given: tuple[str, ...]) -> dict[str, str]:
    """The entries of an `extra_` list by their normalized form.

    Raises:
        ParameterError: No URL can match an entry, or a file cannot be read.
    """
    normalize, form = _FORMS[key]
    entries: dict[str, str] = {}
    for entry, place in _lines(key, given):
        try:
            entries.setdefault(normalize(entry), entry)
        except ValueError as error:
            raise ParameterError(key, entry, f"{form}; {place}it {error}") from error
    return entries


def _lines(key: str, given: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The given entries, with those that name a file replaced by the file's lines; and where a line is, for errors."""
    for entry in given:
        if not entry.startswith(FILE_MARK):
            yield entry.strip(), ""
            continue
        try:
            text = Path(entry[1:]).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            allowed = f"entries, or @ and the path of a file with entries ({error})"
            raise ParameterError(key, entry, allowed) from error
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip() and not line.startswith("#"):
                yield line.strip(), f"in line {number} of {entry[1:]}, "


@cache
def _words(name: str) -> frozenset[str]:
    """The words of a built-in list."""
    lines = _asset(name).read_text(encoding="utf-8").splitlines()
    return frozenset(_normalize(line) for line in lines if line.strip() and not line.startswith("#"))


def _first_inside(text: str, words: frozenset[str]) -> str | None:
    """The word that ends first in a text; None if it has none of them."""
    found = next(_automaton(words).iter(text), None) if words else None
    return None if found is None else str(found[1])


@cache
def _automaton(words: frozenset[str]) -> Any:
    """Aho-Corasick automaton of the words, of which there must be any."""
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for word in words:
        automaton.add_word(word, word)
    automaton.make_automaton()
    return automaton


@cache
def _builtin_list(name: str) -> HashList:
    """The entries of a built-in list, as they are."""
    return cached_hash_list(f"datatrove-{name}-{_file_hash(_asset(ARCHIVE))[:16]}-v2", lambda: _archived_lines(name))


@cache
def _fixed_entries(name: str) -> HashList:
    """The normalized entries of a built-in list that are not in it as they are."""
    return cached_hash_list(f"datatrove-{name}-{_file_hash(_asset(ARCHIVE))[:16]}-fixed-v1", lambda: _fixed_lines(name))


def _fixed_lines(name: str) -> Iterator[bytes]:
    for line in _archived_lines(name):
        entry = line.decode("utf-8", "replace")
        if name == DOMAINS and is_plain_domain(entry):
            continue
        try:
            fixed = domain_entry(entry) if name == DOMAINS else page_entry(entry)
        except ValueError:
            continue  # no URL can match it
        if fixed != entry:
            yield fixed.encode()


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
