"""Main text in the JSON of a page."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from block_pages import parsed
from growth import assert_linear

from curation.extraction.blocks.embedded import MAX_BYTES, embedded_text

SENTENCES = "The river rose for three days. On the fourth, the water reached the old mill. Nobody had expected that. "
ARTICLE = (SENTENCES * 3).strip()
OTHER = "Another article is about the price of bread, which has risen. Bakers say that flour is the cause of it. " * 3


def found(page: str) -> str:
    return embedded_text(page.encode(), parsed(page).scripts)


def script(value: Any, kind: str = "application/json") -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"<html><body><script type='{kind}'>{text}</script></body></html>"


@pytest.mark.parametrize(
    "document",
    [
        {"@context": "https://schema.org", "@type": "Article", "articleBody": ARTICLE},
        {
            "@context": "https://schema.org",
            "@graph": [{"@type": "WebSite"}, {"@type": "Article", "articleBody": ARTICLE}],
        },
        [{"@type": "BreadcrumbList"}, {"@type": "NewsArticle", "articleBody": ARTICLE}],
    ],
)
def test_article_body_of_linked_data_is_found(document: Any) -> None:
    """The text is found in an object, in a graph and in a list."""
    assert found(script(document, "application/ld+json")) == ARTICLE


def test_html_in_article_body_is_parsed() -> None:
    """Paragraphs of HTML in the text become lines, also if the HTML is escaped."""
    body = "<p>One &amp; two.</p><ul><li>three</li></ul>"
    for text in (body, html.escape(body)):
        page = script({"@type": "Article", "articleBody": text}, "application/ld+json")
        assert found(page) == "One & two.\n- three"


def test_prose_of_framework_data_is_found() -> None:
    """Long strings with sentences are found in the order of the document, whatever they are in."""
    props = {"article": {"blocks": [{"text": ARTICLE}, {"text": OTHER}], "slug": "x" * 300}, "id": 7}
    assert found(script({"props": {"pageProps": props}})) == f"{ARTICLE}\n{OTHER.strip()}"


def test_short_paragraphs_next_to_long_ones_are_found() -> None:
    """Paragraphs in a list are found if two of them are long; short ones elsewhere are not."""
    short = "A short paragraph of one sentence stands here."
    blocks = [{"text": text} for text in (ARTICLE, short, "Menu", OTHER)]
    document = {"blocks": blocks, "related": [{"text": "Another short paragraph of one sentence stands here."}]}
    assert found(script(document)) == f"{ARTICLE}\n{short}\n{OTHER.strip()}"


def test_prose_in_flat_data_is_found() -> None:
    """Strings of a list without names are found."""
    assert found(script([["Reactive", 1], "x", ARTICLE])) == ARTICLE


@pytest.mark.parametrize(
    "value",
    [
        {"body": "Too short to be an article. Really."},
        {"body": "a" * 500},
        {"body": "function(a){return b.c(d)};" * 20},
        {"cookieText": ARTICLE},
        {"token": ARTICLE},
        {"body": "word " * 100},
    ],
)
def test_other_strings_are_not_prose(value: Any) -> None:
    """Short strings, strings without sentences, notices, and strings under other names are left out."""
    assert found(script(value)) == ""


def test_summaries_next_to_an_article_are_left_out() -> None:
    """Descriptions, which may be of other articles, count only if nothing else is there."""
    assert found(script({"body": ARTICLE * 4, "related": [{"description": OTHER}]})) == ARTICLE * 4
    assert found(script({"related": [{"description": OTHER}]})) == OTHER.strip()


def test_repeated_text_is_given_once() -> None:
    """A text and its beginning under another name are given once."""
    body = f"<p>{ARTICLE}</p><p>{OTHER}</p>"
    assert found(script({"text": ARTICLE, "body": body, "content": body})) == f"{ARTICLE}\n{OTHER.strip()}"


def test_posts_of_discourse_are_found() -> None:
    """The posts of a topic are in JSON inside the JSON of an attribute."""
    topic = json.dumps({"post_stream": {"posts": [{"cooked": "<p>First post.</p>"}, {"cooked": "<p>Second.</p>"}]}})
    preloaded = html.escape(json.dumps({"site": "{}", "topic_12": topic}))
    assert found(f'<div id="data-preloaded" data-preloaded="{preloaded}"></div>') == "First post.\nSecond."


@pytest.mark.parametrize(
    "text",
    [
        '{"articleBody": "' + ARTICLE,
        "[" * 100_000,
        '{"body": ' * 1000 + json.dumps(ARTICLE) + "}" * 1000,
        json.dumps({"body": ARTICLE, "filler": "x" * MAX_BYTES}),
        "null",
        "",
        "7" * 5000,
    ],
)
def test_bad_json_has_no_text(text: str) -> None:
    """JSON that is invalid, too deep or too large gives no text and no error."""
    assert found(script(text)) == ""


def test_lone_surrogates_are_dropped() -> None:
    """An escape of half a character leaves valid text."""
    assert found(script('{"@type": "Article", "articleBody": "a \\ud800b"}', "application/ld+json")) == "a b"


@pytest.mark.parametrize("piece", ["<p ", "&lt;p", "<p>a. ", "Word is. ", "\n"])
def test_time_is_linear(piece: str) -> None:
    """Long strings take time in proportion to their length."""
    assert_linear(found, lambda count: script({"body": piece * count + ARTICLE}), 3000)
