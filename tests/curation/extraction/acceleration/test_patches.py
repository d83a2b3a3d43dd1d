"""Accelerated trafilatura gives the same texts. CURATION_FULL_PARITY=1 compares all shared pages in all modes."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path

import pyarrow as pa
import pytest
import trafilatura
from lxml.etree import XPath
from lxml.html import HtmlElement
from trafilatura import xpaths
from web_pages import web_pages

from curation.extraction import isolation
from curation.extraction.acceleration import patches
from curation.extraction.isolation import Function, PageLimits

STRIDE = 1 if os.environ.get("CURATION_FULL_PARITY") else 45
LIMITS = PageLimits(seconds=60, megabytes=2048)

MODES = {
    "precision": {"favor_precision": True},
    "balanced": {},
    "recall": {"favor_recall": True},
    "fast precision": {"favor_precision": True, "fast": True},
    "fast balanced": {"fast": True},
}


def ours(pages: list[str], favor: str, fast: bool = False) -> list[str]:
    arguments = {
        "extractors": ["trafilatura"],
        "rule": "first",
        "min_characters": 1,
        "options": {"favor": favor, "fast": fast, "retry_below": None},
        "languages": [],
        "language_floor": None,
        "model": None,
    }
    answers = isolation.run(
        Function("curation.extraction.extractors:page_function", arguments), pa.array(pages), LIMITS
    )
    assert [answer.failure for answer in answers] == [None] * len(pages)
    return [answer.value[0] for answer in answers]


def plainly(page: str, mode: str) -> str:
    return trafilatura.extract(page, include_comments=False, deduplicate=False, **MODES[mode]) or ""


def difference(name: str, ours: str, plain: str) -> str:
    """Where two texts begin to differ: 20 characters before that and 40 after it."""
    at = next((at for at, (a, b) in enumerate(zip(ours, plain, strict=False)) if a != b), min(len(ours), len(plain)))
    shown = slice(max(0, at - 20), at + 40)
    return f"{name} from character {at}: {ours[shown]!r}, plain library {plain[shown]!r}"


def assert_equal_texts(names: list[str], pages: list[str], mode: str) -> None:
    texts = ours(pages, mode.rsplit(" ", 1)[-1], fast="fast" in mode)
    pairs = [(name, text, plainly(page, mode)) for name, page, text in zip(names, pages, texts, strict=True)]
    different = [difference(*pair) for pair in pairs if pair[1] != pair[2]]
    assert not different, "\n".join([f"{mode}: {len(different)} of {len(pages)} pages differ", *different])


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """trafilatura logs every page without text, and this process must run it unchanged."""
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    assert isinstance(xpaths.BODY_XPATH[0], XPath)


def test_the_installed_version_is_proven() -> None:
    """Otherwise trafilatura runs unchanged, and pages take twice the time."""
    assert trafilatura.__version__ in patches.PROVEN
    assert patches.why_not_accelerated() is None


@pytest.mark.parametrize("mode", MODES)
def test_real_pages_give_the_same_text(mode: str, shared_data: Path) -> None:
    """In every mode, for real pages in many languages, the text equals that of a plain call."""
    first = 0 if STRIDE == 1 else list(MODES).index(mode)
    urls, pages = zip(*web_pages(shared_data)[first::STRIDE], strict=True)
    assert len(pages) > 40
    assert_equal_texts([*urls], [*pages], mode)


PARAGRAPH = "<p>The harbour was quiet that morning, and the boats lay still while the men mended their nets.</p>"
MENU = "".join(f"<li><a href=/{n}>Entry number {n}</a></li>" for n in range(30))
HARD = [
    f"<div>{PARAGRAPH * 3}<xmp>{'&amp;' * 400}</xmp></div>",
    f"<div>{PARAGRAPH * 3}<iframe src=https://www.youtube.com/embed/x></iframe></div>",
    f"<div class=post>{PARAGRAPH}</div><div class=more>{PARAGRAPH.replace('boats', 'ships') * 4}</div>",
    f"<div>{PARAGRAPH * 2}</div><script>{'var text = 1;' * 300}</script><ul>{MENU}</ul>",
    f"<table><tr><td>{PARAGRAPH * 3}</td></tr></table>{PARAGRAPH}",
    f"<form><input name=a value=b><select><option>One<option>Two</select><textarea>{'text ' * 90}</textarea></form>",
    f"<article><ul class='Comment-list'><li>{PARAGRAPH}</ul>{PARAGRAPH * 4}</article>",
    f"<section class='mvp-post-add-box'>{PARAGRAPH * 2}</section>{PARAGRAPH * 3}<aside class=noprint>{MENU}</aside>",
    f"<div id=comments class=content>{PARAGRAPH * 3}</div><div class=content id=cookie>{PARAGRAPH * 2}</div>",
    f"{PARAGRAPH * 2}<pre>a &lt; b\n  c</pre><blockquote>{PARAGRAPH}</blockquote><math alttext='x^2'><mi>x</mi></math>",
    "<div>{'a': 1}</div>" + PARAGRAPH,
    "",
]


@pytest.mark.parametrize("mode", MODES)
def test_hard_pages_give_the_same_text(mode: str) -> None:
    """Edge cases of the patches give the same text in every mode."""
    pages = [f"<html><head><title>Harbour &amp; more</title></head><body>{body}</body></html>" for body in HARD]
    assert_equal_texts([f"hard page {number}" for number in range(len(pages))], pages, mode)


def test_order_does_not_matter(shared_data: Path) -> None:
    """The same pages in another order, and all of them again in the same child, give the same texts."""
    pages = [html for _, html in web_pages(shared_data)[::60]]
    first = ours(pages, "precision")
    order = list(range(len(pages)))
    random.Random(7).shuffle(order)
    shuffled = ours([pages[place] for place in order], "precision")
    assert [shuffled[order.index(place)] for place in range(len(pages))] == first
    isolation.close()
    assert ours(pages[::-1], "precision")[::-1] == first


def test_readability_is_skipped_only_if_it_cannot_win() -> None:
    """A page is skipped for a text of half its length, but not for a shorter one, nor with elements of raw text."""
    page = trafilatura.load_html(f"<html><body>{PARAGRAPH * 4}<script>{'x' * 999}</script></body></html>")
    assert isinstance(page, HtmlElement)
    length = len(trafilatura.load_html(f"<html><body>{PARAGRAPH * 4}<p></p></body></html>").text_content())
    assert patches._cannot_win(page, length)
    assert not patches._cannot_win(page, length - 1)
    assert not patches._cannot_win(page, 0)
    raw = trafilatura.load_html(f"<html><body>{PARAGRAPH * 4}<xmp>&amp;</xmp></body></html>")
    assert not patches._cannot_win(raw, 10 * length)
