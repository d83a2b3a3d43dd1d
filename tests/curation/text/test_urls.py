"""URLs in one spelling: as browsers read them."""

from __future__ import annotations

import pytest

from curation.text.urls import domain_entry, domains_of, is_plain_domain, normalize_host, page_url


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("EXAMPLE.org.", "example.org"),
        ("%65xample.org", "example.org"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("BU\u0308CHER\uff0ede", "xn--bcher-kva.de"),
        ("straße.de", "xn--strae-oqa.de"),
        ("💩.la", "xn--ls8h.la"),
        ("a_b.org", "a_b.org"),
        ("0x7f.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("4294967295", "255.255.255.255"),
        ("1.2.3.4.", "1.2.3.4"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("[2001:DB8::A]", "[2001:db8::a]"),
        ("4294967296", ""),
        ("1.2.3.256", ""),
        ("1.2.3.4.5", ""),
        ("a.09", ""),
        ("[::1", ""),
        ("[fe80::1%eth0]", ""),
        ("a b", ""),
        ("a%00b", ""),
        ("℀.org", ""),  # maps to a/c
        ("\ud800.org", ""),
        ("a" * 254, ""),
        ("é" * 250, ""),
        ("9" * 5000, ""),
        ("", ""),
    ],
)
def test_hosts(written: str, host: str) -> None:
    """A host is lower case and in ASCII, an IP address in its usual form; what cannot be a host is empty."""
    assert normalize_host(written) == host


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("HTTPS://User:pw@WWW.Example.org:443/A/./b/../c/#x", "example.org/A/c"),
        ("http://example.org", "example.org"),
        ("example.org:080//a//", "example.org//a"),
        ("http://example.org:8080/", "example.org:8080"),
        ("http://example.org?", "example.org"),
        ("http://example.org/?a/../b/", "example.org?a/../b/"),
        ("http:/\\example.org\\a", "example.org/a"),
        (" ht\ntp://exam\tple.org/a\r\n", "example.org/a"),
        ("http://example.org/%7e%41%2f%c3%A9é %zz", "example.org/~A%2F%C3%A9%C3%A9%20%zz"),
        ("http://example.org/..%2F%2e%2E/../x", "example.org/x"),
        ("http://[::1]:80/", "[::1]"),
        ("http://a@b@c/", "c"),
        ("http://[::1", ""),
        ("http:///", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_pages(url: str, page: str) -> None:
    """What distinguishes pages is kept, in one spelling, and nothing else."""
    assert page_url(url).page == page


def test_text_is_what_people_read() -> None:
    """The text is in Unicode and lower case, with neither scheme nor www., and has what follows an invalid host."""
    assert page_url("https://WWW.xn--bcher-kva.DE/%C3%84/Sex#top").text == "bücher.de/ä/sex#top"
    assert page_url("http://a b/Words").text == "a b/words"
    assert page_url("http://xn--\ud800-.de/").text.endswith(".de/")


def test_domains() -> None:
    """A host has all domains above it; an IP address has none."""
    assert domains_of("a.b.co.uk") == ["a.b.co.uk", "b.co.uk", "co.uk", "uk"]
    assert [domains_of(host) for host in ("10.0.0.1", "[::1]", "localhost")] == [["10.0.0.1"], ["[::1]"], ["localhost"]]


@pytest.mark.parametrize(
    "text", ["a.org", "A.org", "www.a.org", "1.2.3.4", "a..b", ".a", "0x.org", "a.0x", "é.org", "a.org."]
)
def test_plain_domains_are_unchanged(text: str) -> None:
    """The quick look says yes only to what stays as it is."""
    assert not is_plain_domain(text) or domain_entry(text) == text
    assert is_plain_domain("a.org")
