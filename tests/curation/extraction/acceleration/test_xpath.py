"""Compiled XPath expressions select the same elements as the XPath."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from lxml.etree import XPath
from trafilatura import settings as trafilatura_settings
from trafilatura import xpaths
from trafilatura.utils import load_html
from web_pages import web_pages

from curation.extraction.acceleration.attribute_tests import AttributeTests
from curation.extraction.acceleration.xpath import Union, compiled

STRIDE = 4 if os.environ.get("CURATION_FULL_PARITY") else 80

REGEXP = {"re": "http://exslt.org/regular-expressions"}

USED = [expression for group in vars(xpaths).values() if isinstance(group, list) for expression in group]
USED += [expression for expression in vars(trafilatura_settings).values() if isinstance(expression, XPath)]

COVERED = [
    ".//p",
    ".//*[@id]",
    ".//*[self::div or self::p][@class='x']",
    ".//div[@class='a b' or @id='x'][1]",
    "(.//*[contains(@class, 'a')])[1]",
    "(.//p[starts-with(@id, 'x')])[1]|.//span[1]",
    ".//*[contains(translate(@class, 'AB', 'ab'), 'ab')]",
    ".//*[re:test(@id|@class, '^a')]",
    ".//*[re:test(@id|@class, '^a') or @class='x']",
    ".//*[contains(@class|@id, 'b')]|.//p",
    ".//*[re:test(@class, 'A|b c', 'i')]",
    ".//*[not(@class)]",
    ".//*[not(self::p) and @id]",
    ".//div[not(.//p) or @id='a']",
    ".//*[(@id or @class) and not(@id and @class)]",
    ".//*[re:test(@class, '^$')]",
    ".//*[contains(@class, '')]",
    ".//p|.//div|.//span[@id]",
    ".//div[.//span]",
]

LEFT_ALONE = [
    "//p",
    ".//div/p",
    ".//p[2]",
    ".//p[1][@id]",
    ".//*[@id|@class='a']",
    ".//*[string-length(@id) > 2]",
    ".//*[translate(@id, 'ab', 'b')='b']",
    ".//p[ancestor::div]",
    ".//*[rel='me']",
    "count(.//p)",
]


def selected(function: object, tree: html.HtmlElement) -> list[html.HtmlElement]:
    return list(function(tree))  # type: ignore[operator]


@pytest.mark.parametrize("path", COVERED)
def test_supported_expressions_are_compiled(path: str) -> None:
    """Every form of the grammar is compiled."""
    assert isinstance(compiled(XPath(path, namespaces=REGEXP), AttributeTests()), Union)


@pytest.mark.parametrize("path", LEFT_ALONE)
def test_unsupported_expressions_are_left_alone(path: str) -> None:
    """An expression outside the grammar is returned unchanged."""
    expression = XPath(path, namespaces=REGEXP)
    assert compiled(expression, AttributeTests()) is expression


values = st.one_of(
    st.sampled_from(["", "a", "b", "x", "a b", "A B c", "ab", "ſ", "\u212a"]), st.text("abx AB-", max_size=6)
)
attributes = st.lists(
    st.tuples(st.sampled_from(["id", "class", "style", "role"]), values), unique_by=lambda pair: pair[0]
)
trees = st.recursive(
    st.tuples(st.sampled_from(["div", "p", "span", "ul"]), attributes, st.just([])),
    lambda children: st.tuples(st.sampled_from(["div", "p", "span"]), attributes, st.lists(children, max_size=4)),
    max_leaves=12,
)


def build(node: tuple[str, list[tuple[str, str]], list[object]]) -> html.HtmlElement:
    tag, pairs, children = node
    element = html.Element(tag)
    for name, value in pairs:
        element.set(name, value)
    element.extend([build(child) for child in children])  # type: ignore[arg-type]
    return element


@given(trees, st.sampled_from(COVERED))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_selections_are_equal_on_generated_trees(
    node: tuple[str, list[tuple[str, str]], list[object]], path: str
) -> None:
    """For every form of the grammar, the same elements are selected in the same order."""
    tree, expression = build(node), XPath(path, namespaces=REGEXP)
    assert selected(compiled(expression, AttributeTests()), tree) == selected(expression, tree)


def test_selections_are_equal_on_real_pages(shared_data: Path) -> None:
    """Every expression of trafilatura selects the same elements of real pages, with one vocabulary for all."""
    vocabulary = AttributeTests()
    pairs = [(expression, compiled(expression, vocabulary)) for expression in USED if isinstance(expression, XPath)]
    faster = [(expression, function) for expression, function in pairs if function is not expression]
    assert len(faster) > 20
    found = 0
    for _, page in web_pages(shared_data)[::STRIDE]:
        tree = load_html(page)
        for expression, function in faster:
            wanted = selected(expression, tree)
            assert selected(function, tree) == wanted, expression.path
            found += len(wanted)
    assert found > 1000


def test_only_the_subtree_is_searched() -> None:
    """Called with an element inside a tree, only its descendants can be selected, not the element itself."""
    tree = html.fromstring("<div><p id=a><b id=b></b></p><p id=c></p></div>")
    ids = compiled(XPath(".//*[@id]"), AttributeTests())
    assert [element.get("id") for element in ids(tree[0])] == ["b"]
