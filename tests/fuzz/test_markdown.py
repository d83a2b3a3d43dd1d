"""Fuzzes the Markdown and the text of pages."""

from __future__ import annotations

import re

import numpy as np
from fuzzing import fuzz

from curation.extraction.blocks.markdown import write_markdown
from curation.extraction.blocks.parse import BUTTON, HIDDEN, PRE, RUN_FLAGS, parse
from curation.extraction.blocks.write import write_text
from curation.extraction.training.labels import block_texts

SEEDS = [
    b"<h1>A</h1><p>b <code>c</code><br>d</p><ul><li>f<ol start=3><li>g<li>h</ol></ul><blockquote>i</blockquote>",
    b"<table><caption>a</caption><tr><th>b<th>c<tr><td rowspan=2>d<td colspan=2>e<tr><td>f</table><p><a href=x>g</a>",
    b"<table><tr><td class=gutter><pre>1\n2</pre><td class=code><pre class=x>a\n b</pre></table>",
    b"<div class=line><code>a</code></div><div class=line><code>&nbsp;b</code></div><pre>c</pre>",
    b"MathJax <p>\\(a\\) $b_1$<math display=block><annotation encoding=application/x-tex>c</annotation></math> $$",
]
WORDS = [
    b"<li>", b"<ul>", b"<ol>", b"</li>", b"<td>", b"<tr>", b"<table>", b"</table>", b"<pre>", b"</pre>", b"<code>",
    b"<br>", b"<blockquote>", b"<h2>", b"<td class=blob-code>", b"<div class=line>", b"class=lineno", b"<listing>",
    b"<p>", b"<textarea>", b"<button>", b" 1 2 ", b"</code>", b"colspan=99", b"start=999999999", b"</div>", b"<b>",
    b"</b>", b"<b hidden>",
]  # fmt: skip
WORD = re.compile(r"[a-zA-Z]+")


def test_pages_are_written_in_time() -> None:
    """Any page is written in linear time, any choice of its blocks, and no letter that is shown is lost in the text."""
    fuzz(_check, SEEDS, WORDS, max_bytes=1 << 14)


def _check(data: bytes) -> None:
    source = data.decode(errors="replace").encode()
    page = parse(np.frombuffer(source, np.uint8))
    texts = block_texts(page)
    flags = page.runs[:, RUN_FLAGS]
    is_shown = not np.any((flags & HIDDEN > 0) | ((flags & BUTTON > 0) & (flags & PRE > 0)))
    for taken in (np.ones(len(texts), np.bool_), np.arange(len(texts)) % 3 > 0):
        write_markdown(page, source, taken)
        text = write_text(page, taken).tobytes().decode()
        words = (word for block, keep in zip(texts, taken, strict=True) if keep for word in WORD.findall(block))
        letters, written = "".join(words), "".join(WORD.findall(text))
        rest = iter(letters)
        assert written == letters if is_shown else all(letter in rest for letter in written)
