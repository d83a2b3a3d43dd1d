"""Hosts and registered domains of URLs, by the Public Suffix List bundled with tldextract; nothing is downloaded."""

from __future__ import annotations

from functools import cache, lru_cache
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

MAX_LABEL = 63
"""Characters of the longest label of a host. Decoding a longer one would take time quadratic in its length."""
_LOAD_LOCK = Lock()


def host_of(url: str) -> str:
    """The host of a URL, lower-cased and without "www."; "" if there is none.

    >>> host_of("https://www.Example.org/b")
    'example.org'
    """
    return _host(url).removeprefix("www.")


def top_level(host: str) -> str:
    """The top-level domain of a host; "(address)" for an IP address, "" if there is none.

    >>> top_level("a.co.uk"), top_level("127.0.0.1")
    ('uk', '(address)')
    """
    last = host.rpartition(".")[2]
    return "(address)" if ":" in host or last.isdigit() else last


def registered_domain(url: str) -> str:
    """The registered domain of a URL, private suffixes such as github.io included; its host if there is none.

    >>> registered_domain("https://a.b.co.uk/c")
    'b.co.uk'
    """
    return _registered(_host(url))


def is_public_suffix(host: str) -> bool:
    """Whether anyone can register a domain below this one, private suffixes included.

    >>> is_public_suffix("co.uk"), is_public_suffix("blogspot.com"), is_public_suffix("example.com")
    (True, True, False)
    """
    with _LOAD_LOCK:
        extract = _extractor()
    return not extract(host, include_psl_private_domains=True).domain


def split_host(url: str) -> Any:
    """tldextract's result for a URL or host: subdomain, domain and public suffix, without private suffixes."""
    with _LOAD_LOCK:
        extract = _extractor()
    return extract(url)


def has_public_suffix(host: str) -> bool:
    """Whether a host is below a suffix of the Public Suffix List, without private suffixes.

    >>> has_public_suffix("b.co.uk"), has_public_suffix("co.uk"), has_public_suffix("b.zzz")
    (True, False, False)
    >>> has_public_suffix("b.ck"), has_public_suffix("a.b.ck"), has_public_suffix("www.ck")
    (False, True, True)
    """
    host = host.lower()
    before, _, last = host.rpartition(".")
    if not before or last not in _top_levels():
        return False
    host = in_ascii(host)
    if host in suffixes():
        return False
    return f"*.{host.partition('.')[2]}" not in suffixes() or f"!{host}" in suffixes()


@cache
def suffixes() -> frozenset[str]:
    """The Public Suffix List without private suffixes; "*.ck" is a wildcard, "!www.ck" an exception to one.

    Those in other letters than those of ASCII are there in both forms, also with "xn--".
    """
    with _LOAD_LOCK:
        listed = frozenset(_extractor().tlds)
    return listed | set(map(in_ascii, listed))


def in_ascii(host: str) -> str:
    """The host with labels in other letters as they are in the domain name system.

    >>> in_ascii("почта.рф")
    'xn--80a1acny.xn--p1ai'
    """
    if host.isascii():
        return host
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in host.split(".")
    )


def in_unicode(label: str) -> str:
    """A label as it is read, if it is one of the domain name system with other letters than those of ASCII.

    >>> in_unicode("xn--p1ai"), in_unicode("com")
    ('рф', 'com')
    """
    if not label.startswith("xn--") or len(label) > MAX_LABEL:
        return label
    try:
        return label.removeprefix("xn--").encode().decode("punycode")
    except UnicodeError:
        return label


def _host(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""


@cache
def _extractor() -> Any:
    import tldextract

    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    extract("example.com")
    return extract


@cache
def _top_levels() -> frozenset[str]:
    """The top-level domains; those in other letters in both forms."""
    listed = {suffix.rpartition(".")[2] for suffix in suffixes()}
    return frozenset(listed | set(map(in_unicode, listed)))


@lru_cache(maxsize=1 << 16)
def _registered(host: str) -> str:
    parts = _extractor()(host, include_psl_private_domains=True)
    return f"{parts.domain}.{parts.suffix}" if parts.domain and parts.suffix else host
