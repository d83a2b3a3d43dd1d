"""Samples of the text that pages show."""

from __future__ import annotations

import pytest
from block_pages import parsed

from curation.extraction.blocks.sample import SAMPLE_BYTES, write_sample


def sample(html: str) -> bytes:
    return write_sample(parsed(html)).tobytes()


def test_a_short_page_is_sampled_whole() -> None:
    """All visible text, with a space before each block but none between the runs of one."""
    assert sample("<h1>Title</h1><p>o<b>n</b>e<br>two</p>") == b" Title one two"
    assert sample("") == b""


@pytest.mark.parametrize("attribute", ["hidden", "style='display: none'"])
def test_hidden_text_is_no_part(attribute: str) -> None:
    """Text that the page hides is not sampled."""
    assert sample(f"<p>one<p {attribute}>two<p>three <span {attribute}>four</span>") == b" one three"


@pytest.mark.parametrize("mark", ["p", "b"])
def test_a_long_page_is_sampled_around_its_thirds(mark: str) -> None:
    """As many bytes around one third as around two thirds, from one block or many; neither beginning nor end."""
    numbers = "".join(f"<{mark}>{number:04}</{mark}>" for number in range(3000))
    text = sample(numbers).replace(b" ", b"")
    first, second = (b"".join(b"%04d" % number for number in range(at - 125, at + 125)) for at in (1000, 2000))
    assert len(first) == SAMPLE_BYTES
    assert text == first + second


def test_parts_that_overlap_are_taken_once() -> None:
    """Just over the limit, the sample is one stretch from the beginning of one part to the end of the other."""
    letters = sample("<p>" + "x" * 2001).count(b"x")
    assert letters == (1334 + SAMPLE_BYTES // 2) - (667 - SAMPLE_BYTES // 2)
