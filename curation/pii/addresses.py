"""Evidence for e-mail and IP addresses."""

from __future__ import annotations

import ipaddress
import re

from curation.pii.context import in_context
from curation.pii.evidence import DOUBTFUL, Match
from curation.pii.recognizers import Span, has_public_suffix
from curation.pii.windows import Window

MAX_LOCAL, MAX_DOMAIN = 64, 255
"""Maximum number of characters before and after the @ of an address (RFC 5321, 4.5.3.1)."""
SMALL_PART = 32
"""Version and section numbers have small parts; 1 in 250 random IPv4 addresses has three in a row below this."""
_BEFORE_REACH = 24

MIN_COLONS = 6
"""Colons of an IPv6 address that is not abbreviated; the last two groups may be written as an IPv4 address."""

_LOCAL_BREAK = re.compile(r".*[/=?&|{}*!#$^~`]", re.DOTALL)
"""Characters that RFC 5322 allows before an @, but that in practice end something else: "?mail=a@b.org"."""
_LOCAL_START = ".'-\u200b\u200c\u200d\ufeff"
_RESERVED_DOMAIN = re.compile(r"(?:.+\.)?(?:example(?:\.(?:com|net|org|edu))?|invalid|test|localhost)")
"""Domains without mailboxes (RFC 2606)."""
_NAMES_VERSION = re.compile(
    r"(?:\b(?:v|ver|version|release|build|firmware|rev|revision|section|chapter|table|figure|oid)\b[\s.:#=]{0,24}"
    r"|§\s{0,24}|\b[A-Za-z][\w.+-]{0,24}/)\Z",
    re.IGNORECASE,
)
_IPV4 = re.compile(r"\d\.\d{1,3}\.\d{1,3}\.\d")
_HARDWARE = re.compile(r"(?:[0-9A-Fa-f]{2}:){7}[0-9A-Fa-f]{2}")
"""A 64-bit hardware address."""
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All IPv6 addresses assigned by IANA; others, if abbreviated, are more often a scope in source code (`a::b`)."""


def judge_email(text: str, span: Span) -> Match | None:
    """Judge an e-mail address.

    Args:
        text: The text.
        span: Span found by the recognizer.

    Returns:
        The address without the part of a query or path before it, or None if it is too long or its domain has no
        public suffix.
    """
    address = text[span.start : span.end]
    at = address.rindex("@")
    broken = _LOCAL_BREAK.match(address, 0, at)
    local = address[broken.end() if broken else 0 : at].lstrip(_LOCAL_START)
    domain = address[at + 1 :]
    if not local or len(local) > MAX_LOCAL or len(domain) > MAX_DOMAIN or not has_public_suffix(address):
        return None
    kept = _RESERVED_DOMAIN.fullmatch(domain.lower()) is not None
    return Match("email", span.start + at - len(local), span.end, span.score, f"{local}@{domain}".lower(), kept)


def may_be_ip(text: str, window: Window, _: float) -> bool:
    """Whether a window of address characters can contain an IP address."""
    part = text[window.start : window.end]
    is_ipv6 = part.count(":") >= MIN_COLONS or ("::" in part and any(map(str.isdecimal, part)))
    return is_ipv6 or _IPV4.search(part) is not None


def judge_ip(text: str, span: Span) -> Match | None:
    """Judge an IP address.

    Args:
        text: The text.
        span: Span found by the recognizer.

    Returns:
        The address without prefix length or zone, or None if it is invalid or part of a longer series of numbers.
    """
    written = re.split(r"[/%]", text[span.start : span.end], maxsplit=1)[0]
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return None
    before, end, score = text[max(0, span.start - _BEFORE_REACH) : span.start], span.start + len(written), span.score
    if isinstance(address, ipaddress.IPv4Address):
        if re.search(r"\d\.\Z", before) or re.match(r"\.\d", text[end : end + 2]):
            return None
        parts = address.packed
        if max(parts[:3]) < SMALL_PART or max(parts[1:]) < SMALL_PART or _NAMES_VERSION.search(before):
            score = DOUBTFUL
        public = address.is_global and not address.is_multicast
    else:
        mapped = address.ipv4_mapped
        public = address.is_global if mapped is None else mapped.is_global
        public = public and not address.is_multicast
        if ("::" in written and mapped is None and address not in _GLOBAL_UNICAST) or _HARDWARE.fullmatch(written):
            return None
    return Match(
        "ip", span.start, end, in_context("ip", text, span.start, span.end, score), address.compressed, not public
    )
