"""Evidence for addresses: IPv6 addresses are read as the standard library reads them."""

from __future__ import annotations

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii.addresses import judge_ip
from curation.pii.recognizers import IP_SCORE, Span

GROUPS = st.sampled_from(
    [
        *("2a02", "2001", "2606", "2002", "3FFF", "0", "00", "1", "1ff", "200", "0db8", "ffff", "a1b2", "", ""),
        *("12345", "8.8.44.8"),
    ]
)
ADDRESSES = st.lists(GROUPS, min_size=2, max_size=9).map(":".join).filter(lambda text: ":" in text)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(ADDRESSES)
def test_ipv6_as_in_the_standard_library(text: str) -> None:
    """A match has the address in the standard library's shortest form, and what the library refuses is no match."""
    match = judge_ip(text, Span(0, len(text), IP_SCORE))
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        assert match is None
        return
    if int(address) >> 125 == 1:
        assert match is not None
    if match is not None:
        assert match.value == address.compressed
        public = address.ipv4_mapped or address
        assert match.kept == (not public.is_global or public.is_multicast)


def test_public_addresses_are_those_of_the_standard_library() -> None:
    """Of every IPv4 network of 16 bits, and of those of 24 for documentation and protocols, some addresses."""
    networks = [f"{first}.{second}.0" for first in range(256) for second in range(256)]
    networks += [f"{network}.{third}" for network in ("192.0", "198.51", "203.0") for third in range(256)]
    for network in networks:
        for last in (1, 8, 9, 10, 170, 171, 172, 255) if network in ("192.0.0", "192.0.1") else (77,):
            text = f"{network}.{last}"
            address = ipaddress.IPv4Address(text)
            match = judge_ip(text, Span(0, len(text), IP_SCORE))
            assert match is not None
            assert match.kept == (not address.is_global or address.is_multicast), text


def test_the_fakes_are_reserved() -> None:
    match = judge_ip("2001:db8::8a2e", Span(0, 14, IP_SCORE))
    assert match is not None
    assert match.kept
