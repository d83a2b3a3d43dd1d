"""Replacements for personal data: a pure function of the kind and the normalized value, the same everywhere.

A fake is a value that is reserved and belongs to nobody: example domains, documentation networks, numbers for fiction,
test cards. There are few of each, so many originals share a fake and it reveals next to nothing about them, while the
text still looks natural. With a secret it reveals nothing, even to someone who tries out all possible addresses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from curation.pii.accounts import EXAMPLE_IBANS, TEST_CARDS
from curation.pii.evidence import Match
from curation.pii.secrets import FAKE_SECRET

TAG, FAKE = "tag", "fake"

MAILBOXES = (
    "alex", "anna", "ben", "carla", "chris", "contact", "dana", "david", "emma", "felix", "hello", "helen", "info",
    "jamie", "jordan", "kim", "laura", "lee", "lisa", "mail", "maria", "mark", "nina", "noah", "office", "oliver",
    "paul", "robin", "sales", "sam", "support", "tom",
)  # fmt: skip
MAIL_DOMAINS = ("example.com", "example.net", "example.org")
"""Reserved by RFC 2606."""
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
"""Reserved for documentation by RFC 5737."""
AREAS = ("202", "206", "212", "214", "303", "305", "312", "404", "415", "503", "512", "602", "612", "617", "702", "713")
"""Area codes in which, as in all others, 555-0100 to 555-0199 are reserved for fiction."""
ADVERTISED_SSNS = 10
"""987-65-4320 to 987-65-4329 are reserved for advertisements (SSA)."""
FIRST_NAMES = ("Alex", "Chris", "Dana", "Jamie", "Jordan", "Kim", "Lee", "Robin", "Sam", "Taylor")
LAST_NAMES = ("Bloggs", "Doe", "Poe", "Public", "Roe")
PLACES = ("Anytown", "Exampleton", "Fairhaven", "Middleville", "Newbridge", "Nowhereton", "Oakdale", "Sampleford")


def _spaced(number: str) -> str:
    """Group digits by four, or 4-6-5 as American Express does: "378282246310005" → "3782 822463 10005"."""
    if len(number) == 15 and number.isdigit():
        return f"{number[:4]} {number[4:10]} {number[10:]}"
    return " ".join(re.findall(".{1,4}", number))


def _email(number: int, _: str) -> str:
    return f"{MAILBOXES[number % len(MAILBOXES)]}@{MAIL_DOMAINS[number // len(MAILBOXES) % len(MAIL_DOMAINS)]}"


def _ip(number: int, value: str) -> str:
    if ":" in value:
        return f"2001:db8::{number % 0xFFFF + 1:x}"
    return f"{NETWORKS[number % len(NETWORKS)]}.{number // len(NETWORKS) % 254 + 1}"


def _phone(number: int, _: str) -> str:
    return f"{AREAS[number % len(AREAS)]}-555-01{number // len(AREAS) % 100:02}"


def _person(number: int, _: str) -> str:
    return f"{FIRST_NAMES[number % len(FIRST_NAMES)]} {LAST_NAMES[number // len(FIRST_NAMES) % len(LAST_NAMES)]}"


_FAKES: dict[str, Callable[[int, str], str]] = {
    "email": _email,
    "ip": _ip,
    "phone": _phone,
    "credit_card": lambda number, _: _spaced(TEST_CARDS[number % len(TEST_CARDS)]),
    "iban": lambda number, _: _spaced(EXAMPLE_IBANS[number % len(EXAMPLE_IBANS)]),
    "us_ssn": lambda number, _: f"987-65-{4320 + number % ADVERTISED_SSNS}",
    "secret": lambda _, __: FAKE_SECRET,
    "person": _person,
    "location": lambda number, _: PLACES[number % len(PLACES)],
}


@lru_cache(maxsize=1 << 12)
def replacement(kind: str, value: str, mode: str, secret: bytes = b"") -> str:
    """The replacement for a value: ("email", "a@b.org", "tag") → "<EMAIL>", "fake" → "lisa@example.net".

    Args:
        kind: Kind of personal data.
        value: Normalized value.
        mode: TAG or FAKE.
        secret: At most 64 bytes on which the choice of a fake depends.
    """
    if mode == TAG:
        return f"<{kind.upper()}>"
    digest = hashlib.blake2b(f"{kind}\0{value}".encode(), digest_size=8, key=secret).digest()
    return _FAKES[kind](int.from_bytes(digest, "big"), value)


def is_fake_name(kind: str, name: str) -> bool:
    """Whether a name is one that `replacement` uses for persons or places."""
    if kind == "location":
        return name in PLACES
    first, _, last = name.partition(" ")
    return (first in FIRST_NAMES and (not last or last in LAST_NAMES)) or name in LAST_NAMES


def replace(text: str, matches: Iterable[Match], mode: str, secret: bytes = b"") -> str:
    """Replace the matches in a text, except kept ones. They must be in order and without overlaps."""
    return replaced(text, matches, mode, secret)[0]


def replaced(text: str, matches: Iterable[Match], mode: str, secret: bytes = b"") -> tuple[str, list[tuple[int, int]]]:
    """The text of `replace`, and the start and end of each replacement in it, in code points."""
    pieces: list[str] = []
    places: list[tuple[int, int]] = []
    at, size = 0, 0
    for match in matches:
        if not match.kept:
            substitute = replacement(match.kind, match.value, mode, secret)
            start = size + match.start - at
            size = start + len(substitute)
            places.append((start, size))
            pieces += (text[at : match.start], substitute)
            at = match.end
    return "".join([*pieces, text[at:]]), places
