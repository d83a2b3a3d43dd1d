"""Evidence for e-mail and IP addresses."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import cache, lru_cache
from urllib.parse import unquote

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.pii import email_kernels
from curation.pii.address_kernels import (
    ASSIGNED,
    ASSIGNED_SHIFT,
    COLUMNS,
    END,
    FOLLOWS_LETTER,
    GROUPS,
    IPV6,
    IS_DOUBTFUL,
    IS_LONG,
    LINE_BEFORE,
    LONG_GROUP,
    MAPPED,
    MAPPED_SHIFT,
    SIGNS,
    SMALL_PART,
    START,
    SURE_GROUPS,
    WINDOW,
    find_addresses,
)
from curation.pii.context import ANY_NAME, SearchedTexts, in_context, is_named_otherwise
from curation.pii.email_kernels import LINE_REACH, MAX_DOMAIN, MAX_LOCAL, URL_REACH
from curation.pii.evidence import DOUBTFUL, Match, is_emphasized
from curation.pii.numbering import shape
from curation.pii.recognizers import AT, IP_SCORE, Span
from curation.pii.windows import classes, plain_codes
from curation.text.hosts import suffixes

_LAST_AT = re.compile(rf"\A(?s:.*)({AT})")
_LOCAL_BREAK = re.compile(
    r"\A(?s:.*)(?:[/=?&|{}*!#$^~`]|%(?:25)*+(?:[01][0-9A-F]|2[0-9AC]|2F|3[A-F]|5[B-E]|60|7[B-D]))", re.I
)
"""What RFC 5322 allows before an @, but ends something else in practice: "?mail=a@b.org", "%20a@b.org"."""
_OTHER_SCRIPT = re.compile(r"\A(?s:.*)[\u0370-\u1dff](?=[A-Za-z])")
"""Letters of another script with Latin ones directly behind them: the word before an address."""
_LOCAL_START = ".'-+%\u200b\u200c\u200d\ufeff"
_RESERVED = ("invalid", "test", "localhost")
_RESERVED_DOMAIN = re.compile(rf"\A(?:.+\.)?(?:example(?:\.(?:com|net|org|edu))?|{'|'.join(_RESERVED)})")
"""Domains without mailboxes (RFC 2606)."""
_USER_INFO = re.compile(r"(?<!mailto)://[^\s/?#<>\"]{0,150}\Z")
"""The start of a URL up to the user in it: "ssh://git@", "postgres://user:password@"."""
_REMOTE_PATH = re.compile(r":(?:[~/]|\.{1,2}/|[\w.+-]{1,100}/|[\w.+-]{1,100}\.git(?!\w))")
"""The path of a remote file or repository behind a host: ":user/repo.git", ":~/notes"."""
_PORT = re.compile(r":\d{2,5}(?:[/?]|(?![\w:]))")
_REMOTE_USERS = ("git", "hg", "svn")
_LOGIN_COMMAND = re.compile(r"(?<![\w./-])(?:ssh|sftp|scp|rsync|sshfs|mosh|ssh-copy-id) ")
"""Commands that are followed by options, a user and a host."""
_LOGIN_WORDS = ("ssh", "sftp", "scp", "rsync", "mosh")
"""Of which each command contains one."""
_OPTIONS = re.compile(r" {0,3}+(?:-[^\s|;&]{1,40}+ {1,3}+(?:[^\s|;&-][^\s|;&]{0,60}+ {1,3}+)?+){0,8}+")
_FILES, _PATH = re.compile(r"[^\n|;&<>]*+"), re.compile(r":[\w~/.]")
"""What may be between such a command and the user, and before a user with a path on the host."""
_ESCAPE = re.compile(r"(?:[bfnrt]|u00[0-9A-Fa-f]{2})(?=\w)")
"""What may follow a backslash in a text in quotes: the "n" of "\\njane@firma.de"."""
_VERSION = re.compile(r"v?\d{1,9}\.\d")
"""Where a domain begins that is a version: "package@1.2.3.dev"."""
_SERIES_BEFORE, _SERIES_AFTER = re.compile(r"\d\.\Z"), re.compile(r"\.\d")
_BEGINS_MESSAGE_ID, _BEFORE_ID = frozenset("mirc MIRC\t>"), frozenset(":<>")
_MESSAGE_ID = re.compile(
    r"[ \t>]{0,8}(?:message-id|in-reply-to|references|content-id)[ \t]{0,3}:(?:\s*+<[^<>\s]*+>)*+\s*+<?", re.IGNORECASE
)
"""A line up to the identifier of a message, in the form of an address; it ends with space or one of _BEFORE_ID."""

_NAMES_VERSION = re.compile(
    r"(?:\b(?:v|ver|version|release|build|firmware|rev|revision|section|chapter|table|figure|oid)\b[\s.:#=]{0,8}"
    r"|§\s{0,4}|\b[A-Za-z][\w.+-]{0,23}/)\Z",
    re.IGNORECASE,
)
_NAMES_TARIFF = re.compile(
    r"(?<![^\W_])(?:hs|hts|htsus|hsn|ncm|taric|tariffs?|customs|subheadings?|headings?|commodity|nomenclature|code|codes)(?![^\W_])",
    re.IGNORECASE,
)
"""Words before the numbers of goods in customs tariffs, "85.17.62.50"."""
_LETTER = re.compile(r"[^\W\d_]|§")
_PAIRS = len("85.17.62.50")
"""Size of four times two digits: 1 in 70 random addresses, and most numbers of goods."""
_SERVED = re.compile(r"(?:[/@\[=]|\bby |\bfrom |\bhost )\Z")
_SERVES = re.compile(r":\d{2,5}|/\d|\]")
_PRIVATE_OCTETS, _SPECIAL_OCTETS = frozenset({0, 10, 127, *range(224, 256)}), frozenset({100, 169, 172, 192, 198, 203})
"""First parts of the IPv4 networks of which none or not all are public (IANA's registry of special addresses)."""
_MIXED_NETWORKS = frozenset({192 << 8, 198 << 8 | 51, 203 << 8})
"""Their parts of 16 bits of which some addresses are public and some are not."""
_SPECIAL_SHIFT, _SPECIAL_NETWORKS, _DOCUMENTATION = 96, frozenset({0x2002, 0x3FFF}), 0x2001_0DB8
"""The same of IPv6 networks, apart from parts of 2001::/16: see `_is_public_ipv6`; the network for documentation."""


def judge_emails(texts: SearchedTexts, windows: Int64s, *_: object) -> tuple[list[tuple[int, Match]], Int64s]:
    """The e-mail addresses in windows, and the windows left to the recognizer. Arguments are as in `Kind.judge_all`."""
    if not len(windows):
        return [], windows  # many texts have none, and need no public suffixes
    characters = texts.characters
    offsets = characters.first[windows[:, 0]]
    found = np.empty((int(windows[:, 3].sum()), email_kernels.COLUMNS), np.int64)
    done = np.zeros(len(windows), np.bool_)
    begins, ends, last = windows[:, 1] + offsets, windows[:, 2] + offsets, characters.last[windows[:, 0]]
    suffix_table = _suffix_table()
    count = email_kernels.find_emails(
        *(characters.codepoints, begins, ends, offsets, last, plain_codes(), classes(), *suffix_table, found, done)
    )
    found = found[:count]
    of_address = found[:, email_kernels.WINDOW]
    places = found[:, email_kernels.START : email_kernels.END + 1] - offsets[of_address, None]
    is_reserved = found[:, email_kernels.SIGNS] & email_kernels.IS_RESERVED != 0
    is_encoded = found[:, email_kernels.SIGNS] & email_kernels.IS_ENCODED != 0
    columns = (windows[of_address, 0], *places.T, is_reserved, is_encoded)
    matches = []
    for row, start, at, domain, end, kept, encoded in zip(*(one.tolist() for one in columns), strict=True):
        text = texts.text(row)
        address = f"{unquote(text[start:at])}@{text[domain:end]}" if encoded else text[start:end]
        matches.append((row, Match("email", start, end, 1.0, address.lower(), kept)))
    return matches, windows[~done]


@cache
def _suffix_table() -> tuple[UInt32s, Int64s, UInt8s]:
    """Public suffixes and top-level domains: their code points, where each begins, and what it is."""
    kinds: dict[str, int] = {}
    for suffix in suffixes():
        name = suffix.removeprefix("*.").removeprefix("!")
        wildcard = email_kernels.PARENT if suffix[0] == "*" else email_kernels.EXCEPTION
        kind = email_kernels.SUFFIX if name == suffix else wildcard
        for one, bit in ((name, kind), (name.rpartition(".")[2], email_kernels.TOP_LEVEL)):
            kinds[one] = kinds.get(one, 0) | bit
    words = sorted(kinds)
    characters = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
    edges = np.append(0, np.cumsum([len(one) for one in words]))
    return characters, edges, np.array([kinds[one] for one in words], np.uint8)


@lru_cache(maxsize=1 << 12)
def _is_reserved(domain: str) -> bool | None:
    """Whether a domain is reserved, so that it has no mailboxes; None if it is too long, or a version."""
    if len(domain) > MAX_DOMAIN or _VERSION.match(domain):
        return None
    domain = domain.lower()
    return ("example" in domain or domain.endswith(_RESERVED)) and _RESERVED_DOMAIN.fullmatch(domain) is not None


def judge_email(text: str, span: Span) -> Match | None:
    """Judge an e-mail address.

    Args:
        text: The text.
        span: Span found by the recognizer.

    Returns:
        The address without the part of a query or path before it. None if it is too long, or if its form says that it
        is none: the user in a URL or of a remote host, a handle such as "@user@host", the identifier of a message.
    """
    address = text[span.start : span.end]
    local, at, domain = address.rpartition("@")
    if not at:
        place = _LAST_AT.match(address)
        if place is None:
            return None
        local, domain = address[: place.start(1)], address[place.end(1) :]
    start = span.start
    if not local.isascii() or not local.isalnum():
        end_of_local = start + len(local)
        for before in (_LOCAL_BREAK, _OTHER_SCRIPT):
            broken = before.match(local)
            local = local[broken.end() if broken else 0 :].lstrip(_LOCAL_START)
        start = end_of_local - len(local)
        while local.startswith("_") and is_emphasized(text, start + len(local) - len(local.lstrip("_")), span.end):
            start, local = start + 1, local[1:]
    if text[start - 1 : start] == "\\" and (escape := _ESCAPE.match(local)):
        start, local = start + escape.end(), local[escape.end() :]
    is_reserved = _is_reserved(domain)
    if is_reserved is None or len(local) > MAX_LOCAL or local.endswith("."):
        return None
    if not local.isalnum() and not any(map(str.isalnum, local)):
        return None
    if _is_login(text, start, span.end, local):
        return None
    name = unquote(local) if "%" in local else local
    return Match("email", start, span.end, span.score, f"{name}@{domain}".lower(), is_reserved)


def _is_login(text: str, start: int, end: int, local: str) -> bool:
    """Whether what has the form of an address is a user of a host, a handle or the identifier of a message."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before in ("@", "\uff20") and not text[max(0, start - 2) : start - 1].isalnum():
        return True  # @user@host
    if after == ":" and (
        _REMOTE_PATH.match(text, end) or local in _REMOTE_USERS or (before == ":" and _PORT.match(text, end))
    ):
        return True
    around = text[start - URL_REACH if start > URL_REACH else 0 : start]
    if "://" in around and _USER_INFO.search(around):
        return True
    if before == " " and _follows_login(around, after == ":" and _PATH.match(text, end) is not None):
        return True
    if before not in _BEFORE_ID and not before.isspace():
        return False
    line = text.rfind("\n", start - LINE_REACH if start > LINE_REACH else 0, start)
    if text[line + 1 : line + 2] not in _BEGINS_MESSAGE_ID:
        return False
    return (line >= 0 or start <= LINE_REACH) and _MESSAGE_ID.fullmatch(text, line + 1, start) is not None


def _follows_login(before: str, has_path: bool) -> bool:
    """Whether a text ends with a command for a remote host and its options, or files if a path follows the host."""
    commands = list(_LOGIN_COMMAND.finditer(before)) if any(map(before.__contains__, _LOGIN_WORDS)) else ()
    if not commands:
        return False
    place = commands[-1].end()
    return bool(_OPTIONS.fullmatch(before, place) or (has_path and _FILES.fullmatch(before, place)))


def judge_addresses(
    texts: SearchedTexts, windows: Int64s, minimum: float, *_: object
) -> tuple[list[tuple[int, Match]], Int64s]:
    """The addresses in windows of common letters, and the other windows. Arguments are as in `Kind.judge_all`."""
    characters = texts.characters
    offsets = characters.first[windows[:, 0]]
    begins, ends = windows[:, 1] + offsets, windows[:, 2] + offsets
    room = int(((ends - begins) // 2 + 1).sum())
    found, values = np.empty((room, COLUMNS), np.int64), np.empty((room, 2), np.uint64)
    done = np.zeros(len(windows), np.bool_)
    count = find_addresses(
        characters.codepoints, begins, ends, offsets, characters.last[windows[:, 0]], found, values, done
    )
    found, values = found[:count], values[:count]
    of_address = windows[found[:, WINDOW]]
    starts, stops = (found[:, [START, END]] - offsets[found[:, WINDOW], None]).T
    named = texts.narrowed("ip", np.column_stack([of_address[:, 0], starts, stops]), of_address[:, 4])
    columns = (of_address[:, 0], named, starts, stops, found[:, SIGNS], *values.T)
    matches = []
    for row, named, start, end, signs, upper, lower in zip(*(one.tolist() for one in columns), strict=True):
        score = DOUBTFUL if signs & IS_DOUBTFUL else IP_SCORE
        if score < minimum and not named:
            continue
        text = texts.text(row)
        if signs & IPV6:
            match = _ipv6(text, start, end, upper << 64 | lower, score, named)
        else:
            if signs & (FOLLOWS_LETTER | IS_LONG) and _is_version(text, start, end, bool(signs & IS_LONG)):
                score = DOUBTFUL
            match = _ipv4(text, start, end, lower, score, named)
        matches.append((row, match))
    return matches, windows[~done]


def judge_ip(text: str, span: Span, named: int = ANY_NAME) -> Match | None:
    """Judge an IP address.

    Args:
        text: The text.
        span: Span found by the recognizer.
        named: What words may name it, as bits.

    Returns:
        The address. None if it is invalid, part of a longer series of numbers, or an IPv6 address that is not assigned
        and does not look random.
    """
    written = text[span.start : span.end]
    if ":" in written:
        return _judge_ipv6(text, span, written, named)
    start, end, score, _ = span
    if text[start - 1 : start] == "." and _SERIES_BEFORE.search(text, max(0, start - 2), start):
        return None
    if text[end : end + 1] == "." and _SERIES_AFTER.match(text, end):
        return None
    first, second, third, last = parts = tuple(map(int, written.split(".")))
    is_small = second < SMALL_PART and third < SMALL_PART and (first < SMALL_PART or last < SMALL_PART)
    if is_small or _is_version(text, start, end, min(parts) > 9):
        score = DOUBTFUL
    return _ipv4(text, start, end, int.from_bytes(parts), score, named)


def _ipv4(text: str, start: int, end: int, packed: int, score: float, named: int) -> Match:
    """The match of an IPv4 address.

    Args:
        text: The text.
        start: Where it starts.
        end: Where it ends.
        packed: The address as a number.
        score: Its score without the words around it.
        named: What words may name it, as bits.
    """
    if named:
        score = DOUBTFUL if is_named_otherwise(text, start, end, named) else score
        score = in_context("ip", text, start, end, score, named)
    return Match("ip", start, end, score, text[start:end], not _is_public_ipv4(packed))


def _is_version(text: str, start: int, end: int, are_long: bool) -> bool:
    """Whether an IPv4 address follows a word for versions or tariffs, or is four pairs of digits that are no host.

    Args:
        text: The text.
        start: Where the address starts.
        end: Where it ends.
        are_long: Whether all parts have at least two digits.
    """
    line = text[max(0, start - LINE_BEFORE) : start].rpartition("\n")[2]
    if _names_version(shape(line)):
        return True
    return are_long and end - start == _PAIRS and not _SERVED.search(line) and not _SERVES.match(text, end)


@lru_cache(maxsize=1 << 12)
def _names_version(line: str) -> bool:
    """Whether the part of a line before an address, or its shape, names a version or a tariff."""
    has_letter = line.lower() != line.upper() if line.isascii() else _LETTER.search(line) is not None
    return has_letter and (_NAMES_VERSION.search(line) or _NAMES_TARIFF.search(line)) is not None


def _judge_ipv6(text: str, span: Span, written: str, named: int) -> Match | None:
    try:
        # `ipaddress` takes ten times as long.
        packed = int.from_bytes(socket.inet_pton(socket.AF_INET6, written))
    except OSError:
        return None
    is_assigned = packed >> ASSIGNED_SHIFT == ASSIGNED
    score = span.score
    if packed >> MAPPED_SHIFT != MAPPED:
        if not (is_assigned or _is_random(written)) or not _is_sure(text, span, written):
            return None
        if written.replace(":", "").isdecimal() and _is_series(written):
            score = DOUBTFUL
    return _ipv6(text, span.start, span.end, packed, score, named)


def _ipv6(text: str, start: int, end: int, packed: int, score: float, named: int) -> Match:
    """The match of an IPv6 address. Arguments are as in `_ipv4`."""
    if named:
        score = in_context("ip", text, start, end, score, named)
    if packed >> MAPPED_SHIFT == MAPPED:
        value = f"::ffff:{packed >> 16 & 0xFFFF:x}:{packed & 0xFFFF:x}"
        return Match("ip", start, end, score, value, not _is_public_ipv4(packed & 0xFFFFFFFF))
    if packed >> ASSIGNED_SHIFT == ASSIGNED:
        value = socket.inet_ntop(socket.AF_INET6, packed.to_bytes(16))
        return Match("ip", start, end, score, value, not _is_public_ipv6(packed))
    address = ipaddress.IPv6Address(packed)
    return Match("ip", start, end, score, address.compressed, not _is_public(address))


def _is_public_ipv6(packed: int) -> bool:
    """Whether an address of 2000::/3 is public. Of 2001::/16, IANA's special networks begin with 2001:0 to 2001:1ff,
    and 2001:db8."""
    groups = packed >> _SPECIAL_SHIFT
    is_special = 0x2001_0000 <= groups < 0x2001_0200 or groups >> 16 in _SPECIAL_NETWORKS
    return groups != _DOCUMENTATION and (not is_special or _is_public_one(packed))


def _is_public_ipv4(packed: int) -> bool:
    first, network = packed >> 24, packed >> 16
    of_network = packed if network in _MIXED_NETWORKS else network << 16
    return first not in _PRIVATE_OCTETS and (first not in _SPECIAL_OCTETS or _is_public_one(of_network))


@lru_cache(maxsize=1 << 12)
def _is_public_one(packed: int) -> bool:
    """Whether an address is public. The number of an IPv6 address is larger than those of all IPv4 addresses."""
    return _is_public(ipaddress.ip_address(packed))


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not address.is_multicast


def _is_sure(text: str, span: Span, written: str) -> bool:
    """Whether an IPv6 address does not touch a word, or is long enough to be one nevertheless."""
    touches = text[max(0, span.start - 2) : span.start - 1].isalnum() and text[span.start - 1] == ":"
    touches = touches or (text[span.end : span.end + 1] == ":" and text[span.end + 1 : span.end + 2].isalnum())
    return not touches or len(written.replace("::", ":").split(":")) >= SURE_GROUPS


def _is_random(written: str) -> bool:
    """Whether an IPv6 address is complete, and its groups are as long and have as many letters as random ones."""
    groups = written.split(":")
    is_complete = len(groups) == GROUPS and "" not in groups
    return (
        is_complete
        and not written.replace(":", "").isdecimal()
        and sum(len(group) >= LONG_GROUP for group in groups) > GROUPS // 2
    )


def _is_series(written: str) -> bool:
    """Whether an IPv6 address of decimal digits may be a series of numbers: "2001:2002:…", or a slice "[2000::2]"."""
    groups = len(written.replace("::", ":").split(":"))
    return groups == GROUPS or groups < SURE_GROUPS
