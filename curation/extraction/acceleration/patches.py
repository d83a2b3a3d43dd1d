"""Patches for trafilatura that give the same results in less than half the time.

By profile, half of its time goes to XPath, a sixth to lxml's Python-level choice of an element's class. The patches:

- elements get their class by lxml's C-level lookup (form fields lose methods that no extraction uses);
- the XPath expressions are compiled by `curation.extraction.acceleration.xpath`;
- the text of an element comes from lxml's serializer, twice as fast as its XPath `string()`;
- the stop list of justext, 154,000 words, is hashed once, not once per page;
- readability is skipped if its result cannot be chosen, see `_cannot_win`.

They change modules for the whole process, so they are only for the child of `curation.extraction.isolation`. Versions
not in `PROVEN` run unchanged, with a warning. `make trafilatura` checks whether a new release can be added.
"""

from __future__ import annotations

import sys
import warnings
from functools import cache
from importlib.metadata import version
from typing import Any

from curation.extraction.acceleration.attribute_tests import AttributeTests
from curation.extraction.acceleration.xpath import compiled

PROVEN = ("2.3.1",)
"""Versions of trafilatura for which the results were equal on all pages, the newest last."""


class NotAccelerated(RuntimeWarning):
    """trafilatura runs unchanged, because its version is not one of `PROVEN`."""


def why_not_accelerated() -> str | None:
    """A warning in one line if the installed version is not one of `PROVEN`; None if it is."""
    installed = version("trafilatura")
    if installed in PROVEN:
        return None
    return (
        f"trafilatura {installed} runs without acceleration, which is proven for {', '.join(PROVEN)} only: extraction "
        f"takes about twice the time per page. For full speed: pip install trafilatura=={PROVEN[-1]}"
    )


@cache
def warn_if_not_accelerated() -> None:
    """Issue the warning `NotAccelerated`, once per process, if the installed version is not one of `PROVEN`."""
    message = why_not_accelerated()
    if message is not None:
        warnings.warn(message, NotAccelerated, stacklevel=3)


@cache
def install() -> None:
    """Speed up trafilatura in this process if its version is one of `PROVEN`; otherwise only warn."""
    if why_not_accelerated() is not None:
        warn_if_not_accelerated()
        return
    _choose_classes_in_c()
    _compile_expressions()
    _serialize_text()
    _hash_stop_list_once()
    _skip_readability()


def _choose_classes_in_c() -> None:
    from lxml import etree, html
    from trafilatura import utils

    lookup = etree.ElementDefaultClassLookup(
        element=html.HtmlElement, comment=html.HtmlComment, pi=html.HtmlProcessingInstruction, entity=html.HtmlEntity
    )
    for parser in (utils.HTML_PARSER, html.html_parser):
        parser.set_element_class_lookup(lookup)


def _compile_expressions() -> None:
    from lxml.etree import XPath

    vocabulary = AttributeTests()
    for name, module in list(sys.modules.items()):
        if module is None or not name.startswith("trafilatura."):
            continue
        for attribute, value in list(vars(module).items()):
            if isinstance(value, XPath):
                setattr(module, attribute, compiled(value, vocabulary))
            elif isinstance(value, list) and any(isinstance(part, XPath) for part in value):
                value[:] = [compiled(part, vocabulary) if isinstance(part, XPath) else part for part in value]


def _serialize_text() -> None:
    from lxml import html
    from lxml.etree import tostring

    def text_content(self: Any) -> str:
        return tostring(self, method="text", encoding="unicode", with_tail=False)  # type: ignore[no-any-return]

    html.HtmlMixin.text_content = text_content


class _IdentityHash(tuple[str, ...]):
    """A tuple hashed by its address, which is safe for a tuple that exists only once."""

    def __hash__(self) -> int:
        return id(self)


def _hash_stop_list_once() -> None:
    from trafilatura import external

    vars(external)["JT_STOPLIST"] = _IdentityHash(external.jt_stoplist_init())


def _skip_readability() -> None:
    """Pass an empty page to readability, for which it returns nothing at once, if its result cannot be chosen."""
    from lxml.html import HtmlElement
    from trafilatura import core, external

    compare, try_readability = external.compare_extraction, external.try_readability
    longest = [0]

    def compare_extraction(cleaned_tree: Any, raw_tree: Any, body: Any, text: str, options: Any) -> Any:
        longest[0] = _longest_losing(body, text, options)
        skipped = _cannot_win(raw_tree, longest[0])
        return compare(cleaned_tree, HtmlElement() if skipped else raw_tree, body, text, options)

    def try_readability_if_it_can_win(htmlinput: Any) -> Any:  # the page has been pruned by now
        return HtmlElement() if _cannot_win(htmlinput, longest[0]) else try_readability(htmlinput)

    vars(core)["compare_extraction"] = compare_extraction
    vars(external)["try_readability"] = try_readability_if_it_can_win


def _longest_losing(body: Any, text: str, options: Any) -> int:
    """The length up to which readability's text is certainly not preferred; 0 if the length does not decide.

    From trafilatura's `_prefer_readability`: if the mode is not recall, and trafilatura's own result has text in
    paragraphs and no more tables than paragraphs, readability is preferred only if its text is more than twice as long.
    """
    if options.focus == "recall" or not text or not body.xpath(".//p//text()"):
        return 0
    return 2 * len(text) if len(body.findall(".//table")) <= len(body.findall(".//p")) else 0


_RAW_TEXT = ("noembed", "noframes", "plaintext", "xmp")
"""Elements whose text gets longer when it is written as XML and read as HTML, as readability's result is."""


def _cannot_win(page: Any, longest: int) -> bool:
    """Whether all text that readability could find on a page is no longer than `longest`, whitespace trimmed.

    Readability drops scripts and styles, keeps at most the rest, and puts VIDEO for the text of some iframes.
    """
    if not longest or next(page.iter(*_RAW_TEXT), None) is not None:
        return False
    length = _trimmed(page.text_content()) + sum(len("VIDEO") for _ in page.iter("iframe"))
    if length > longest:
        length -= sum(_trimmed(element.text or "") for element in page.iter("script", "style"))
    return length <= longest


def _trimmed(text: str) -> int:
    return len(" ".join(text.split()))
