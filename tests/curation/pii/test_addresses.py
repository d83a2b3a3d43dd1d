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
