"""The kernel for addresses finds and judges the same as the recognizer and what judges its spans."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii.addresses import judge_addresses, judge_ip
from curation.pii.context import ANY_NAME, SearchedTexts, may_be_named
from curation.pii.evidence import DOUBTFUL, Match
from curation.pii.find import without_overlaps
from curation.pii.recognizers import Span, ips
from curation.pii.windows import address_windows, shown
from curation.text import views

PARTS = st.sampled_from(
    [
        *(
            ".",
            ":",
            "::",
            "/",
            "%",
            "_",
            " ",
            "\n",
            "x",
            "v",
            "é",
            "邮",
            "٣",
            "ж",
            "ω",
            "×",
            "ʹ",
            "é",
            "²",
            "0",
            "1",
            "9",
            "12",
            "31",
            "32",
            "99",
        ),
        *("100", "192", "255", "256", "007", "1234", "12345", "a", "ff", "2001", "2a02", "ffff", "FFFF", "db8", "g"),
        *("8.8.44.8", "::ffff:8.8.44.8", "0:0:0:0:0:ffff:10.0.0.1", "2001:4860:4860::8888", "1.2.3.4", "85.17.62.50"),
        *("2a02:1:2:3:4:5:6:7", "4f5e:abcd:1234:cafe:5678:beef:90ab:1", "2001:2002:2003:2004:2005:2006:2007:2008"),
        *("IP ", "version ", "HS code ", "part no. ", "by ", "://", ":80", "/24", "2001:2::/48", "1::", "::1", "..."),
    ]
)


def by_kernel(text: str, named: int) -> list[Match]:
    """The matches that the kernel gives, and those of the recognizer in windows that it leaves to that."""
    texts = SearchedTexts(pa.array([text], pa.string()))
    windows = np.array([[*window, named] for window in address_windows(texts.characters).tolist()], np.int64)
    if not len(windows):
        return []
    may_be_named(texts, windows[:, :3])
    matches, others = judge_addresses(texts, windows, 0.01, ())
    return without_overlaps([*(match for _, match in matches), *by_recognizer(text, others.tolist(), named)])


def by_recognizer(text: str, windows: list[list[int]], named: int) -> list[Match]:
    """The matches that the recognizer gives in some windows."""
    return [
        match
        for _, start, end, *_ in windows
        for span in ips(shown(text[start:end]))
        if (match := judge_ip(text, Span(start + span.start, start + span.end, span.score), named)) is not None
    ]


def check(text: str, named: int) -> int:
    """Compare both, and return the number of matches."""
    windows = address_windows(views.characters(pa.array([text], pa.string()))).tolist()
    expected = without_overlaps(by_recognizer(text, windows, named))
    assert by_kernel(text, named) == expected
    return len(expected)


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.lists(PARTS, max_size=16).map("".join), st.sampled_from((0, ANY_NAME)))
def test_the_kernel_agrees_with_the_recognizer(text: str, named: int) -> None:
    check(text, named)


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.text("0129af:.", max_size=50), st.sampled_from((0, ANY_NAME)))
def test_the_kernel_agrees_on_digits_and_punctuation(text: str, named: int) -> None:
    check(text, named)


def test_the_kernel_reads_ipv6_addresses_as_the_system_does() -> None:
    """Groups left out anywhere, of any length, with an IPv4 address at the end, and one too many or too few."""
    chance, found = random.Random(3), 0
    for _ in range(4000):
        groups = [f"{chance.randrange(1 << chance.choice((1, 4, 8, 16))):x}" for _ in range(chance.randint(5, 9))]
        groups[0] = chance.choice(("2001", "2a02", "3ffe", "0"))
        if chance.random() < 0.3:
            groups[-1] = ".".join(str(chance.randint(0, 260)) for _ in range(4))
        if chance.random() < 0.6:
            first = chance.randrange(len(groups))
            groups[first : chance.randint(first, len(groups))] = [""] if 0 < first < len(groups) - 1 else ["", ""]
        found += check(":".join(groups), 0)
    assert found > 1000


def test_forms_that_are_rare_in_random_text() -> None:
    """Groups that are missing in addresses outside of 2000::/3, what follows an IPv4 part, letters that touch one."""
    for text, count in (
        ("4f5e:abcd:1234:cafe:5678:beef:90ab:7cde", 1),
        ("4f5e:abcd:1234:cafe:5678:beef::90ab", 0),
        ("4f5e:abcd:1234:cafe:5678:beef:90ab::", 0),
        ("::4f5e:abcd:1234:cafe:5678:beef:90ab", 0),
        ("2001::1.2.3.4", 1),
        ("2001::1.2.3.4_", 1),
        ("版:2a02::1 2a02::1:版", 0),
        ("a:2a02::1", 0),
        ("é 2a02::1", 1),
    ):
        assert check(text, 0) == count, text


def test_every_piece_of_a_long_window_is_looked_at() -> None:
    """As many addresses as a window can have fit."""
    assert check("/".join(["8.8.44.8", "2001:4860::8888", "::ffff:9.9.9.9"] * 50), 0) == 150
    assert check("1.1.1.1/" * 100, 0) == 100


def test_an_address_that_is_written_as_another_one() -> None:
    """An IPv4 address in an IPv6 address is no match of its own, unless another match takes the place of that."""
    assert [match.value for match in by_kernel("::ffff:8.8.44.8:80", 0)] == ["::ffff:808:2c08"]
    assert check("100.24.218.0::FFFF:127.10.198.224", 0) == 2
    assert check("::ffff:8.8.44.8/0:0:0:0:0:ffff:9.9.9.9/1.2.3.4/7.7.77.77", 0) == 4


def test_a_word_further_away_in_the_line_counts() -> None:
    """A word for versions or tariffs makes an address doubtful up to 24 characters before it in the same line."""
    for text, is_doubtful in (
        ("HS 12,34,56,78,90,12 5.17.162.150", True),
        ("HS 12,34,56,78,90,12\n5.17.162.150", False),
        ("HS 12,34,56,78,90,12,34,56 5.17.162.150", False),
        ("§ 5.17.162.150", True),
    ):
        check(text, 0)
        assert (by_kernel(text, 0)[0].score == DOUBTFUL) == is_doubtful
