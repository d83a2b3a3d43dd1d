"""Recognizers: where in a window personal data may be written, by its form and its check digits, in linear time.

For IBANs and phone numbers they give the matches of presidio's recognizers, which needs up to 190 s for a megabyte of
figures, and some more. So do `account_kernels` for cards and social security numbers. Addresses are found as they are
written on web pages: with text glued to them, percent-encoded, in URLs. What surrounds a match is judged elsewhere.

Every expression takes linear time: repetitions without an upper bound are possessive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from operator import itemgetter
from typing import NamedTuple

from curation.pii import phone_matcher
from curation.pii.address_kernels import MAX_IPV6
from curation.pii.email_kernels import MAX_DOMAIN, MAX_LOCAL
from curation.pii.numbering import Number
from curation.text.hosts import has_public_suffix

AT = r"(?:[@\uff20\ufe6b]|%(?:25){0,2}40)"
"""@, its wide and small forms, and how URLs encode it."""

_AT_DOMAIN = re.compile(rf"({AT})([^\W_]++(?:-++[^\W_]++)*+(?:\.[^\W_]++(?:-++[^\W_]++)*+)++)?+")
"""An @ with the domain behind it, if there is one."""
GLUED_WORD = re.compile(r"(?:tel|fax|phone|mobile|cell|www|http|e-?mail|web)", re.IGNORECASE)
"""Words that follow an address or number without a space where the line ends between them were lost."""
_GLUED_LETTERS = frozenset("tfpmcwheTFPMCWHE")
"""Their first letters."""
_GLUED = re.compile(r"tel|fax|pho|mob|cel|www|htt|e-?m|web", re.IGNORECASE)
"""How they begin."""

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![^\W_])(?:{_OCTET}\.){{3}}{_OCTET}(?![^\W_])")
_COLONS = re.compile(r"[0-9A-Fa-f]{0,4}+(?::[0-9A-Fa-f]{0,4}+){2,}+")
_IPV4_END = re.compile(r"(?:\.[0-9]{1,3}){3}(?![\w.])")
_IBAN = re.compile(
    r"(?<![A-Z0-9])([A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,6})((?:[ -]?[A-Z0-9]{4})?)((?:[ -]?[A-Z0-9]{1,3})?)"
    r"(?![A-Z0-9])"
)
_IBAN_NUMBERS = {ord(letter): str(value) for value, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10)}
IBAN_FORMATS = {
    "AD": "8n12c", "AE": "19n", "AL": "8n16c", "AT": "16n", "AZ": "4c20n", "BA": "16n", "BE": "12n", "BG": "4a6n8c",
    "BH": "4a14c", "BR": "23n1a1c", "BY": "4c4n16c", "CH": "5n12c", "CR": "18n", "CY": "8n16c", "CZ": "20n",
    "DE": "18n", "DK": "14n", "DO": "4a20n", "EE": "16n", "EG": "25n", "ES": "20n", "FI": "14n", "FO": "14n",
    "FR": "10n11c2n", "GB": "4a14n", "GE": "2c16n", "GI": "4a15c", "GL": "14n", "GR": "7n16c", "GT": "24c",
    "HR": "17n", "HU": "24n", "IE": "4c14n", "IL": "19n", "IQ": "4a15n", "IS": "22n", "IT": "1a10n12c", "JO": "4a22n",
    "KW": "4a22c", "KZ": "3n13c", "LB": "4n20c", "LC": "4a24c", "LI": "5n12c", "LT": "16n", "LU": "3n13c",
    "LV": "4a13c", "LY": "21n", "MC": "10n11c2n", "MD": "20c", "ME": "18n", "MK": "3n10c2n", "MR": "23n",
    "MT": "4a5n18c", "MU": "4a19n3a", "NL": "4a10n", "NO": "11n", "PK": "4c16n", "PL": "24n", "PS": "4c21n",
    "PT": "21n", "QA": "4a21c", "RO": "4a16c", "RS": "18n", "SA": "2n18c", "SC": "4a20n3a", "SE": "20n", "SI": "15n",
    "SK": "20n", "SM": "1a10n12c", "TL": "19n", "TN": "20n", "TR": "5n17c", "UA": "6n19c", "VA": "18n", "VG": "4c16n",
    "XK": "16n",
}  # fmt: skip
"""What follows the check digits in each country (SWIFT's IBAN registry): n digits, a letters, c either."""

PHONE_SCORE, GROUPED_SSN_SCORE, SSN_SCORE, IP_SCORE = 0.4, 0.5, 0.05, 0.6
"""presidio's scores: a number valid in one of the regions, a number in groups 3-2-4, nine digits, an address."""


class Span(NamedTuple):
    """A recognizer's result: `[start, end)` in the text it was given, and its score.

    Attributes:
        start: First character.
        end: Character after the last.
        score: Evidence, 0 to 1.
        numbers: For a phone number, what it means in each region, if that is known.
    """

    start: int
    end: int
    score: float
    numbers: Mapping[str, Number] | None = None


def emails(text: str, *_: object) -> Iterator[Span]:
    """E-mail addresses in a run of their characters: what precedes an @, and a domain that may have a mailbox."""
    last = 0
    for match in _AT_DOMAIN.finditer(text):
        at, domain = match.start(), match[2]
        start, last = max(last, at - 2 * MAX_LOCAL), match.end(1)
        if domain and start < at and (host := mail_domain(domain) if len(domain) > MAX_DOMAIN else mail_host(domain)):
            last += len(host)
            yield Span(start, last, 1.0)


def mail_domain(text: str) -> str:
    """The domain with which the text behind an @ begins, "" if it has no mailbox."""
    match = _AT_DOMAIN.match(f"@{text[: MAX_DOMAIN + 1]}")
    return mail_host(match[2]) if match and match[2] else ""


def mail_host(domain: str) -> str:
    """The longest beginning of a domain that has a public suffix: "b.org.Thank" → "b.org", "b.orgTel" → "b.org".

    Returns:
        "" if there is none.
    """
    if domain.islower() and has_public_suffix(domain):
        return domain
    labels = domain.split(".")
    size = len(domain)
    for count in range(len(labels), 1, -1):
        label = labels[count - 1]
        host, before = domain[:size], size - len(label)
        size = before - 1
        follows_sentence = count > 2 and label.istitle() and domain[:size].islower()
        if has_public_suffix(host) and not (follows_sentence and has_public_suffix(domain[:size])):
            return host
        for end in _glued(label):
            if has_public_suffix(domain[: before + end]):
                return domain[: before + end]
    return ""


def _glued(label: str) -> Iterator[int]:
    """Where the top level may end in a label with text behind it: before capitals, digits, other letters, words."""
    for place in range(len(label) - 1, 1, -1):
        before, here, after = label[place - 1], label[place], label[place + 1 : place + 2]
        if (
            (here.isupper() and (before.islower() or after.islower()))
            or (here.isdigit() and before.isalpha())
            or (before.isascii() and not here.isascii())
            or (here in _GLUED_LETTERS and GLUED_WORD.match(label, place))
        ):
            yield place


def ips(text: str, *_: object) -> Iterator[Span]:
    """IP addresses, without prefix length and zone."""
    for match in _IPV4.finditer(text) if "." in text else ():
        yield Span(match.start(), match.end(), IP_SCORE)
    for match in _COLONS.finditer(text) if text.count(":") > 1 else ():
        start, end = match.span()
        if end - start <= MAX_IPV6 and (tail := _IPV4_END.match(text, end)):
            end = tail.end()
        elif text[end : end + 1].isalnum():
            end = text.rfind(":", start, end)  # the last part belongs to what follows: "2a02::a1b:edited"
        elif text[end : end + 1] == "." and text[end + 1 : end + 2].isdigit():
            continue
        if text[start] == ":" and text[start + 1] != ":":
            start += 1  # "ip:2a02::a1b"
        elif start and text[start - 1].isalnum():
            continue
        if text[end - 1] == ":" and text[end - 2] != ":":
            end -= 1
        if 2 < end - start <= MAX_IPV6 and text.count(":", start, end) > 1:
            yield Span(start, end, IP_SCORE)


def ibans(text: str, *_: object) -> Iterator[Span]:
    """Account numbers with correct country, length and check digits; the longest where several are possible."""
    for match in _IBAN.finditer(text):
        for group in (3, 2, 1):
            if is_iban(text[match.start() : match.end(group)].replace(" ", "").replace("-", "")):
                yield Span(match.start(), match.end(group), 1.0)
                break


def is_iban(number: str) -> bool:
    """Whether a number without spaces and in capitals is an IBAN."""
    form = _iban_forms().get(number[:2])
    if form is None or not form.fullmatch(number, 4):
        return False
    return 98 - int((number[4:] + number[:2] + "00").translate(_IBAN_NUMBERS)) % 97 == int(number[2:4])


@cache
def _iban_forms() -> dict[str, re.Pattern[str]]:
    classes = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}
    return {
        country: re.compile("".join(f"{classes[kind]}{{{size}}}" for size, kind in re.findall(r"(\d+)(\w)", form)))
        for country, form in IBAN_FORMATS.items()
    }


def without_glued_word(text: str, limit: int) -> str:
    """The text up to a place if a word that is glued to a number begins there, else all of it."""
    return text[:limit] if text[limit : limit + 1].isalpha() and _GLUED.match(text, limit) else text


def phones(text: str, regions: tuple[str, ...], limit: int | None = None) -> list[Span]:
    """Phone numbers that are valid in one of the regions and begin before a place."""
    if limit is not None:
        text = without_glued_word(text, limit)
    found = phone_matcher.find_numbers(text, regions, limit)
    spans = [Span(start, end, PHONE_SCORE, numbers) for (start, end), numbers in found.items()]
    return sorted(spans, key=itemgetter(0, 1)) if len(spans) > 1 else spans
