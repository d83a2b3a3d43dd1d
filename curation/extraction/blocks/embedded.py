"""Main text that a page only has as JSON in its scripts: for pages that show their text with JavaScript.

The first of these that has any: `articleBody` in JSON-LD; the posts of Discourse, in `data-preloaded`; strings of prose
in the JSON of frameworks (`__NEXT_DATA__`, `__NUXT_DATA__` and the like). Strings that are HTML are parsed.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from curation.arrays import Int64s
from curation.extraction.blocks.parse import parse
from curation.extraction.blocks.write import write_text

MAX_BYTES = 5_000_000
"""Bytes of JSON that are read; a page has more if it is an application, not an article."""
MAX_DEPTH = 200
"""Lists and objects inside one another in JSON that is read."""
SAME = 80
"""Characters by which two lines are taken for the same."""
MIN_CHARACTERS = 200
"""Characters of a string of prose."""
MIN_PARAGRAPH = 40
"""Characters of a string of prose in a list with longer ones."""
LONG = 1000
"""Characters of a string next to which descriptions and summaries, maybe of other articles, are left out."""
SUMMARIES = ("description", "summary")
PROSE_KEYS = {
    *SUMMARIES, "article", "body", "content", "cooked", "html", "markdown", "message", "paragraph", "paragraphs",
    "post", "rendered", "story", "text", "value",
}  # fmt: skip
"""Words that names of prose end in: `body`, `postContent`, `content_html`."""
NO_PROSE_KEYS = {"consent", "cookie", "cookies", "copyright", "disclaimer", "legal", "privacy", "seo", "terms"}

_PRELOADED = re.compile(rb"""data-preloaded\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_TAG = re.compile(
    r"</?(?:p|br|div|h[1-6]|ul|ol|li|a|b|i|em|strong|span|blockquote|pre|code|img|figure|section)\b[^<>]{0,1000}>"
)
_SENTENCE = re.compile(r"[^\W\d_]{2}[\"')\]»”’]*[.!?…](?=\s|[\"')\]»”’]|$)|[。！？।؟]")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_HARMFUL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")


def embedded_text(source: bytes, scripts: Int64s) -> str:
    """The main text in a page's JSON.

    Args:
        source: The page's HTML in UTF-8.
        scripts: Beginning and end in `source` of each script of a JSON type, one after another (`Page.scripts`).

    Returns:
        The text, a line for each block; "" if there is none, or if the JSON is invalid, too large or too deep.
    """
    documents, size = [], 0
    for start, end in scripts.reshape(-1, 2).tolist():
        size += end - start
        if size > MAX_BYTES:
            break
        documents.append(_loaded(source[start:end].decode(errors="replace")))
    bodies = [body for document in documents for body in _article_bodies(document)]
    if bodies:
        return _joined(list(map(_plain, bodies)))
    posts = list(_discourse_posts(source))
    if posts:
        return _joined(list(map(_plain, posts)))
    prose = [found for document in documents if not _is_linked_data(document) for found in _prose(document)]
    has_article = any(len(text) >= LONG and not is_summary for text, is_summary in prose)
    return _joined([text for text, is_summary in prose if not (has_article and is_summary)])


def _loaded(text: str) -> Any:
    """The value of JSON; None if it is not valid or too deep."""
    text = text.strip()
    if text.startswith("<!--"):
        text = text.removeprefix("<!--").removesuffix("-->").strip()
    text = text.removeprefix("//<![CDATA[").removesuffix("//]]>").removeprefix("<![CDATA[").removesuffix("]]>")
    if not text or len(text) > MAX_BYTES or _is_deep(text):
        return None
    try:
        return json.loads(text, strict=False, parse_int=str, parse_float=str)
    except ValueError:
        return None


_BRACKETS_AND_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z|\\\Z)|[\[{]|[\]}]', re.DOTALL)


def _is_deep(text: str) -> bool:
    """Whether brackets are nested deeper than MAX_DEPTH outside of strings."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _BRACKETS_AND_STRINGS.finditer(text):
        mark = match[0]
        if mark[0] != '"':
            depth += 1 if mark in "[{" else -1
            if depth > MAX_DEPTH:
                return True
    return False


def _walk(value: Any) -> Iterator[tuple[str, int, Any]]:
    """The values in `value`, in order, each with its key and the number of the list around it.

    Items of lists have their list's key.
    """
    stack: list[tuple[str, int, Any]] = [("", 0, value)]
    lists = 0
    while stack:
        key, number, inner = stack.pop()
        yield key, number, inner
        if isinstance(inner, dict):
            stack += [(name, number, item) for name, item in reversed(inner.items())]
        elif isinstance(inner, list):
            lists += 1
            stack += [(key, lists, item) for item in reversed(inner)]


def _is_linked_data(document: Any) -> bool:
    """Whether a document is JSON-LD."""
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and ("@context" in first or "@graph" in first or "@type" in first)


def _article_bodies(document: Any) -> Iterator[str]:
    """The values of `articleBody` in JSON-LD."""
    for key, _, value in _walk(document) if _is_linked_data(document) else ():
        if key == "articleBody" and isinstance(value, str) and value.strip():
            yield value


def _discourse_posts(source: bytes) -> Iterator[str]:
    """The posts of the topic in the `data-preloaded` of Discourse, whose values are JSON in strings."""
    match = _PRELOADED.search(source) if b"data-preloaded" in source else None
    if match is None or len(match[0]) > MAX_BYTES:
        return
    outer = _loaded(html.unescape((match[1] or match[2] or b"").decode(errors="replace")))
    for name, value in outer.items() if isinstance(outer, dict) else ():
        inner = _loaded(value) if name.startswith("topic_") and isinstance(value, str) else None
        for key, _, text in _walk(inner):
            if key == "cooked" and isinstance(text, str):
                yield text


def _prose(document: Any) -> Iterator[tuple[str, bool]]:
    """Strings of sentences under the keys that hold prose, and whether the key is one of summaries.

    Strings are long, or stand next to two or more long ones: paragraphs in a list.
    """
    found: list[tuple[str, str, int]] = []
    long: Counter[tuple[str, int]] = Counter()
    for key, number, value in _walk(document):
        if isinstance(value, str) and len(value) >= MIN_PARAGRAPH:
            words = [word.lower() for word in _WORD.findall(key)]
            if (not words or PROSE_KEYS & set(words[-2:])) and not NO_PROSE_KEYS & set(words):
                found.append((value, key, number))
                text = _plain(value) if len(value) >= MIN_CHARACTERS else ""
                long[key, number] += len(text) >= MIN_CHARACTERS and _is_prose(text, 2)
    for value, key, number in found:
        text = _plain(value) if long[key, number] else ""
        fewest, sentences = (MIN_CHARACTERS, 2) if long[key, number] < 2 or not key else (MIN_PARAGRAPH, 1)
        if len(text) >= fewest and _is_prose(text, sentences):
            yield text, key.lower().endswith(SUMMARIES)


def _is_prose(text: str, sentences: int) -> bool:
    """Whether a text has that many sentences, and no more signs than sentences need."""
    ends = len(_SENTENCE.findall(text))
    letters = sum(map(str.isalpha, text))
    spaces = text.count(" ") + text.count("\n")
    wide = sum(character > "\u2e80" for character in text[:2000])
    is_spaced = spaces > 0.08 * len(text) or wide > 0.3 * min(len(text), 2000)
    return ends >= sentences and letters > 0.6 * len(text) and is_spaced


def _plain(text: str) -> str:
    """A string as text: HTML parsed, lines kept otherwise."""
    text = _HARMFUL.sub("", text)
    if "&lt;" in text and "<" not in text:
        text = html.unescape(text)
    if _TAG.search(text):
        page = parse(np.frombuffer(text.encode(), np.uint8))
        shown = np.ones(len(page.blocks) - 1, np.bool_)
        return write_text(page, shown).tobytes().decode(errors="replace")
    lines = (" ".join(line.split()) for line in html.unescape(text).split("\n"))
    return "\n".join(line for line in lines if line)


def _joined(texts: list[str]) -> str:
    """The texts one after another, without those whose lines all begin like lines of longer ones."""
    seen: set[str] = set()
    kept: set[str] = set()
    for text in sorted(dict.fromkeys(texts), key=len, reverse=True):
        beginnings = {line[:SAME] for line in text.split("\n")}
        if text and not beginnings <= seen:
            seen |= beginnings
            kept.add(text)
    return "\n".join(text for text in dict.fromkeys(texts) if text in kept)
