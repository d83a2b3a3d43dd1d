"""Recognizers: what has the form of personal data, and its check digits."""

from __future__ import annotations

import random
import string

import pytest
from presidio_analyzer.predefined_recognizers import IbanRecognizer

from curation.pii.recognizers import (
    IBAN_FORMATS,
    MAX_DOMAIN,
    emails,
    ibans,
    ips,
    is_iban,
    mail_domain,
    mail_host,
)

CHARACTERS = {"n": string.digits, "a": string.ascii_uppercase, "c": string.digits + string.ascii_uppercase}


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("b.org", "b.org"),
        ("B.ORG", "B.ORG"),
        ("a.b.co.uk", "a.b.co.uk"),
        ("b.orgTel", "b.org"),
        ("b.ORGTel", "b.ORG"),
        ("b.comPHONE", "b.com"),
        ("b.com2", "b.com"),
        ("b.orgfax", "b.org"),
        ("b.org.Tel", "b.org"),
        ("b.org.thanks", "b.org"),
        ("b.Tel", "b.Tel"),
        ("почта.рф", "почта.рф"),
        ("b.xn--p1ai", "b.xn--p1ai"),
        ("co.uk", ""),
        ("b.zzz", ""),
        ("2x.png", ""),
        ("1.2.3", ""),
    ],
)
def test_mail_host(domain: str, host: str) -> None:
    """A host ends with a public suffix; a sentence or word behind it is left out."""
    assert mail_host(domain) == host


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@b.org", ["a@b.org"]),
        ("a%40b.org", ["a%40b.org"]),
        ("a@b.org@c.org", ["a@b.org"]),
        ("@b.org", []),
        ("a@b", []),
        ("a@-b.org", []),
    ],
)
def test_emails(text: str, found: list[str]) -> None:
    """An address has something before an @ or %40, and a host behind it."""
    assert [text[span.start : span.end] for span in emails(text)] == found


def test_long_domains() -> None:
    """Of a domain, no more characters are read than the longest may have, and one more."""
    assert [span.end for span in emails("a@" + "b." * 127 + "com")] == [len("a@") + MAX_DOMAIN + 1]
    assert mail_domain("b." * 126 + "com.x.org") == "b." * 126 + "com"
    assert [mail_domain(text) for text in ("b.org", "b.orgTel:1", "b.zzz", "b", "-b.org", "")] == [
        "b.org",
        "b.org",
        *[""] * 4,
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1.2.3.4", ["1.2.3.4"]),
        ("1.2.3.4_", ["1.2.3.4"]),
        ("1.2.3.256", []),
        ("01.2.3.4", []),
        ("x1.2.3.4", []),
        ("ip:2a00::1", ["2a00::1"]),
        ("2a00::1:", ["2a00::1"]),
        ("2a00::1:x", ["2a00::1"]),
        ("2a00::1:edited", ["2a00::1"]),
        ("::ffff:1.2.3.4", ["1.2.3.4", "::ffff:1.2.3.4"]),
        ("x2a00::1", []),
        ("a:b", []),
        ("::", []),
        ("1:2g", []),
    ],
)
def test_ips(text: str, found: list[str]) -> None:
    """Addresses are found next to colons, not inside words."""
    assert [text[span.start : span.end] for span in ips(text)] == found


@pytest.mark.parametrize("country", sorted(IBAN_FORMATS))
def test_ibans_of_every_country(country: str) -> None:
    """An IBAN that follows a country's format is valid, as in presidio, and none with another length or digit is."""
    chance, presidio = random.Random(country), IbanRecognizer(exact_match=True)
    form = IBAN_FORMATS[country]
    for _ in range(20):
        body, rest = "", form
        while rest:
            size, kind, rest = rest.partition(next(one for one in rest if one.isalpha()))
            letters = {"n": "0123456789", "a": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}.get(
                kind, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
            )
            body += "".join(chance.choices(letters, k=int(size)))
        if country == "CR":
            body = f"0{body[1:]}"  # the first digit of Costa Rica's numbers
        valid = [f"{country}{check:02}{body}" for check in range(100) if is_iban(f"{country}{check:02}{body}")]
        assert len(valid) == 1
        # presidio has other lengths for these countries than the registry.
        assert presidio.validate_result(valid[0]) or country in ("MU", "PS", "PT", "QA")
        assert [(span.start, span.end) for span in ibans(f"x {valid[0]}.")] == [(2, 2 + len(valid[0]))]
        assert not is_iban(valid[0] + "0")
        assert not is_iban(valid[0][:-1])
