"""URLs in one spelling: two URLs that browsers take to the same page get the same name here.

Hosts follow the URL standard (https://url.spec.whatwg.org): lower case, IDNA with UTS 46, numbers as IP addresses. What
rarely distinguishes pages is left out as well: scheme, user, the ports 80 and 443, `www.`, fragment and final slashes.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

import idna

from curation.text.hosts import in_ascii, in_unicode, is_public_suffix

MAX_HOST = 253
"""Characters of the longest host that the domain name system allows; a longer one is no host."""

MAX_RAW_HOST = 2_048
"""Characters of a host as it is written: escapes, and characters that are dropped, may make it longer than MAX_HOST."""

WWW = "www."

_AROUND = "".join(map(chr, range(0x21)))
_SCHEME = re.compile(r"https?:[/\\]*|(?:[a-z][a-z0-9+.-]{0,30}:)?[/\\]{2,}", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"(?!https?:)([a-z][a-z0-9+.-]*):(?![0-9])", re.IGNORECASE)
_END_OF_HOST = re.compile(r"[/\\?#]")
_PLAIN_HOST = re.compile(r"[a-z0-9_.-]*[a-z_-]")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_NOT_IN_HOSTS = re.compile(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|]")
_UNUSUAL = re.compile(r"[^A-Za-z0-9._~!$&()*+,;=:@/?-]|/\.")
_SAFE = "~!$&()*+,;=:@/?%"
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class PageUrl(NamedTuple):
    """A URL's normalized parts.

    Attributes:
        host: The host; "" if there is none, or none that can exist.
        page: The page: host without `www.`, port, path and query; "" without a host.
        text: What a person reads, without scheme and `www.`: in Unicode and lower case, escapes decoded.
    """

    host: str
    page: str
    text: str


def page_url(url: str) -> PageUrl:
    """Normalize a URL; never raises, and takes time linear in its length. Without a scheme, it begins with its host.

    >>> page_url("HTTP://user@WWW.Example.org.:80/a/../%7Eb/?q=%c3%a9#top")
    PageUrl(host='www.example.org', page='example.org/~b?q=%C3%A9', text='example.org/a/../~b/?q=é#top')
    """
    raw_host, port, rest = _split(url)
    host = normalize_host(raw_host)
    site = host.removeprefix(WWW) if host else raw_host.lower()
    text = f"{_in_unicode(site)}{unquote(rest) if '%' in rest else rest}"
    return PageUrl(host, f"{site}{port}{_normalize_rest(rest)}" if host else "", text.lower())


def normalize_host(host: str) -> str:
    """The host as browsers send it, without a final dot; "" if it cannot exist.

    >>> normalize_host("MÜNCHEN.de."), normalize_host("0x7f.1"), normalize_host("[0::1]"), normalize_host("a b")
    ('xn--mnchen-3ya.de', '127.0.0.1', '[::1]', '')
    """
    if len(host) > MAX_RAW_HOST:
        return ""
    if _PLAIN_HOST.fullmatch(host) and "0x" not in host:
        return host if len(host) <= MAX_HOST else ""
    return _normalize_unusual(host)


def domains_of(host: str) -> list[str]:
    """A normalized host and the domains above it; an IP address has none.

    >>> domains_of("a.b.uk"), domains_of("10.0.0.1")
    (['a.b.uk', 'b.uk', 'uk'], ['10.0.0.1'])
    """
    domains = [host]
    if host.endswith("]") or host.rpartition(".")[2].isdigit():
        return domains
    while host := host.partition(".")[2]:
        domains.append(host)
    return domains


def domain_entry(text: str) -> str:
    """The normalized form of an entry of a list of domains: a domain, host or IP address. A port is ignored.

    "www." is left out, unless what is left is a public suffix such as co.uk.

    Raises:
        ValueError: No host can match; the message says why, in words that follow "it".
    """
    _check_characters(text)
    if _is_network(text):
        raise ValueError("is a network; only single addresses match")
    if _END_OF_HOST.search(text):
        raise ValueError("is a URL, not a domain; URLs belong in a list of URLs")
    if "@" in text:
        raise ValueError("has an @")
    host = _checked_host(f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text)
    site = host.removeprefix(WWW)
    return host if "." not in site or is_public_suffix(site) else site


def _is_network(text: str) -> bool:
    """Whether a text is a range of addresses: 10.0.0.0/8, 2001:db8::/32."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def page_entry(text: str) -> str:
    """The normalized form of an entry of a list of URLs, with or without http:// or https://.

    Raises:
        ValueError: No URL can match; the message says why, in words that follow "it".
    """
    _check_characters(text)
    other = _OTHER_SCHEME.match(text)
    if other:
        raise ValueError(f"has the scheme {other[1]}; pages have http or https")
    if text.endswith("*"):
        raise ValueError("ends with a wildcard, but URLs are compared as a whole; a list of domains covers whole sites")
    raw_host, port, _ = _split(text)
    _checked_host(raw_host + port)
    return page_url(text).page


def _check_characters(text: str) -> None:
    if not text:
        raise ValueError("is empty")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("has a space or an invisible character")


def _checked_host(place: str) -> str:
    """The normalized host of an entry, `place` being its host and port; ValueError if it cannot exist."""
    raw_host, _, _ = _split(place)
    if "*" in raw_host:
        raise ValueError("has a wildcard; a domain covers its subdomains without one")
    host = normalize_host(raw_host)
    if not raw_host:
        raise ValueError("has no host")
    if "" in host.split(".") and (host or not raw_host.strip(".")):
        raise ValueError("has an empty label: a dot at the beginning, or two in a row")
    if not host and _ends_in_number(raw_host.lower()):
        raise ValueError("ends in a number but is no IPv4 address")
    if not host:
        raise ValueError("is not a valid host name")
    return host


def _split(url: str) -> tuple[str, str, str]:
    """Divide a URL as browsers do: host as written; ":" and port, "" if it is usual; path, query and fragment."""
    url = url.strip(_AROUND)
    if not url.isprintable():
        url = url.replace("\t", "").replace("\n", "").replace("\r", "")
    scheme = _SCHEME.match(url)
    start = scheme.end() if scheme else 0
    end = _END_OF_HOST.search(url, start)
    stop = end.start() if end else len(url)
    place = url[max(start, url.rfind("@", start, stop) + 1) : stop]
    host, colon, port = place.rpartition(":")
    if not colon or not host or (port and not (port.isascii() and port.isdigit())):
        return place, "", url[stop:]
    port = port.lstrip("0")
    return host, "" if port in ("", "80", "443") else f":{port}", url[stop:]


@lru_cache(maxsize=1 << 12)
def _normalize_unusual(host: str) -> str:
    if host.startswith("["):
        return _ipv6(host)
    try:
        host = idna.uts46_remap(unquote(host), std3_rules=False).removesuffix(".")
        if len(host) > MAX_HOST:
            return ""
        host = in_ascii(host)
    except UnicodeError:  # which IDNAError is
        return ""
    if len(host) > MAX_HOST or _NOT_IN_HOSTS.search(host):
        return ""
    return _ipv4(host) if _ends_in_number(host) else host


def _ends_in_number(host: str) -> bool:
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _ipv4(host: str) -> str:
    """Four decimal numbers from one to four that may be octal or hexadecimal, the last filling what is left; or ""."""
    parts = host.split(".")
    try:
        values = [int(part, 16 if part[:2] == "0x" else 8 if part[0] == "0" else 10) for part in map(_digits, parts)]
        number = sum(value << 8 * (3 - place) for place, value in enumerate(values[:-1])) + values[-1]
    except ValueError:
        return ""
    if len(values) > 4 or any(value > 255 for value in values[:-1]) or values[-1] >= 1 << 8 * (5 - len(values)):
        return ""
    return str(ipaddress.IPv4Address(number))


def _digits(part: str) -> str:
    """A number that `int` reads: "0x" alone is 0."""
    if not _NUMBER.fullmatch(part):
        raise ValueError(part)
    return "0" if part == "0x" else part


def _ipv6(host: str) -> str:
    try:
        return "" if "%" in host or host[-1:] != "]" else f"[{ipaddress.IPv6Address(host[1:-1])}]"
    except ValueError:
        return ""


def _normalize_rest(rest: str) -> str:
    """Path and query: dot segments resolved, escapes where they are needed and only there, no final slashes."""
    path, _, query = rest.partition("#")[0].partition("?")
    if _UNUSUAL.search(path):
        path = _without_dots(_with_escapes(path.replace("\\", "/")))
    if _UNUSUAL.search(query):
        query = _with_escapes(query)
    path = path.rstrip("/")
    return f"{path}?{query}" if query else path


def _with_escapes(text: str) -> str:
    return _ESCAPE.sub(_normalize_escape, quote(text, _SAFE, errors="replace"))


def _normalize_escape(found: re.Match[str]) -> str:
    character = chr(int(found[0][1:], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _without_dots(path: str) -> str:
    """The path without the segments "." and ".."."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept)


def _in_unicode(host: str) -> str:
    if "xn--" not in host:
        return host
    return ".".join(map(in_unicode, host.split(".")))


def is_plain_domain(text: str) -> bool:
    """Whether `domain_entry` returns this text unchanged, for a quick look at long lists; False if it is not sure."""
    return (
        _PLAIN_HOST.fullmatch(text) is not None
        and len(text) <= MAX_HOST
        and not text.startswith((WWW, "."))
        and ".." not in text
        and "0x" not in text
    )
