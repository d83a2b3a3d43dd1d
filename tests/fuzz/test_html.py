"""Fuzzes the parser of HTML pages, compiled with checks of every index."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest
from fuzzing import fuzz

from curation.archives.reader import ReadSettings, read_batches
from curation.extraction.blocks import parse
from curation.extraction.blocks.tags import NAMES
from curation.running import compiled

SEEDS = [
    b"<html><head><title>T</title><meta name=a content=b><noscript>x</noscript></head>"
    b"<body class='Main-text x1'><p>a<b>b</b> c",
    b"<ul class=nav><li><a href=x>one</a><li><a href=y>two</a></ul><table><tr><td>a<td>b<tr><th>c</table><dl>"
    b"<dt>a<dd>b",
    b"<pre>\n  a\r\n <b>b</b>\n</pre><xmp><i></xmp><textarea>x</textarea><select><option>a<optgroup>b</select>",
    b"<math alttext='{\\displaystyle x}'><mi>x</mi><annotation encoding=application/x-tex>x</annotation>"
    b"</math> <math>y</math>",
    b"<script type='math/tex; mode=display'>x</script><script><!-- <script> --></script><style>a</style>"
    b"<!-- c --><![CDATA[x]]>",
    b"<svg><title>a</title><foreignObject><p>b</p></foreignObject><![CDATA[x]]></svg><noscript><iframe></noscript>",
    b"<form><div hidden style='display:none'></form><button aria-hidden=true>x<p>y</button>"
    b"<template shadowrootmode=open>z",
    b"&amp;&#65;&#x42;&#0;&#150;&notit;&NotEqualTilde;&nbsp;&shy;"
    b" \xc2\xa0\xc2\xad\xef\xbb\xbf\xef\xbc\x8c\xe2\x80\x9c\xf0\x9d\x84\x9e\0\x7f",
]

WORDS = [
    *(f"<{name}>".encode() for name in NAMES[1:]),
    *(f"</{name}>".encode() for name in NAMES[1:]),
    *(
        b"<",
        b"</",
        b">",
        b"/>",
        b"<!--",
        b"-->",
        b"--!>",
        b"<!",
        b"<?",
        b"<![CDATA[",
        b"]]>",
        b"<x-y>",
        b"</x-y>",
        b"<svg/>",
    ),
    *(b"&", b"&#", b"&#x", b";", b"&lt;", b"&nbsp;", b"&nGt;", b"&CounterClockwiseContourIntegral;", b"&notin", b"&#1"),
    *(
        b"\xc2",
        b"\xc2\xa0",
        b"\xc2\xad",
        b"\xef",
        b"\xef\xbb",
        b"\xef\xbb\xbf",
        b"\xe3\x81\x82",
        b"\xf0\x9d\x84\x9e",
        b"\xff",
    ),
    *(b" ", b"\n", b"\r\n", b"\t", b"\0", b"'", b'"', b"=", b" class='aB cD ", b" id=a-b", b" hidden", b" role=main "),
    *(
        b" style='display:none'",
        b" type='math/tex'",
        b" type=a/json",
        b" alttext='{\\displaystyle ",
        b"}'>",
        b" href=x>",
    ),
    *(b"<template shadowrootmode=open>", b"<annotation encoding=application/x-tex>", b"<span class=katex-html>"),
]


@pytest.fixture(scope="module")
def checked() -> ModuleType:
    """A copy of the parser that is compiled with checks of every index."""
    name = "checked_parse"
    spec = importlib.util.spec_from_file_location(name, str(parse.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "kernel", numba.njit(boundscheck=True))
        patch.setattr(compiled, "leaf", numba.njit(boundscheck=True))
        patch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    return module


def checker(module: ModuleType) -> Callable[[bytes], None]:
    """A check that what a page is parsed into is consistent."""

    def check(data: bytes) -> None:
        page = module.parse(np.frombuffer(data, np.uint8))
        tags, size = data.count(b"<"), len(data)
        elements, blocks, runs = page.elements, page.blocks, page.runs
        count, lines = len(elements) - 1, len(blocks) - 1
        # What fits into the arrays that were made for it was written into them.
        assert count <= tags + 1
        assert len(page.tokens) <= size
        assert len(page.text) <= 2 * size
        assert lines <= len(runs) <= 3 * tags + 3
        assert len(page.scripts) <= 2 * tags
        numbers = np.arange(count)
        parents, containers = elements[:-1, parse.PARENT], elements[:-1, parse.CONTAINER]
        assert (parents < numbers).all()
        assert (parents[1:] >= 0).all()
        assert (containers <= numbers).all()
        assert (containers >= 0).all()
        assert (elements[:-1, parse.TAG] >= 0).all()
        assert elements[:-1, parse.TAG].max() < len(NAMES)
        first, end = elements[:-1, parse.FIRST_BLOCK], elements[:-1, parse.END_BLOCK]
        assert (first >= 0).all()
        assert (first <= end).all()
        assert end.max() <= lines
        tokens = elements[:, parse.FIRST_TOKEN]
        assert tokens[0] == 0
        assert tokens[-1] == len(page.tokens)
        assert (tokens[:-1] <= tokens[1:]).all()
        first = blocks[:, parse.FIRST_RUN]
        assert first[0] == 0
        assert first[-1] == len(runs)
        assert (first[:-1] < first[1:]).all()
        assert (page.title >= 0).all()
        assert page.title[0] <= page.title[1] <= size
        assert (page.scripts <= size).all()
        text = page.text.tobytes()
        if lines:
            around, inside = blocks[:-1, parse.AROUND], runs[:, parse.ELEMENT]
            assert around.min() >= 0
            assert around.max() < count
            assert inside.min() >= 0
            assert inside.max() < count
            start, end = runs[:, parse.START], runs[:, parse.END]
            assert start[0] == 0
            assert end[-1] <= len(text)
            assert (start <= end).all()
            assert (end[:-1] <= start[1:]).all()
            bounds = start[first[:-1]].tolist()
            assert all(text[a:b].strip() for a, b in zip(bounds, [*bounds[1:], len(text)], strict=True))
        try:
            data.decode()
        except UnicodeDecodeError:
            return
        text.decode()

    return check


def test_fragments(checked: ModuleType) -> None:
    """Any bytes are parsed into consistent arrays, and valid UTF-8 into valid UTF-8."""
    fuzz(checker(checked), SEEDS, WORDS, max_bytes=2048)


def test_pages(checked: ModuleType, shared_data: Path) -> None:
    """Real pages with damage are parsed into consistent arrays."""
    path = min((shared_data / "web").glob("*.warc.gz"))
    with path.open("rb") as source:
        batch = next(iter(read_batches(source, str(path), ReadSettings(), Counter(), max_documents=16)))
    pages = [page.encode() for page in batch.column("html").to_pylist() if page]
    fuzz(checker(checked), pages, WORDS, max_bytes=1 << 17)
