"""The Markdown of chosen blocks."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from block_pages import as_markdown, parsed
from growth import assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from curation.extraction.blocks.markdown import write_markdown
from curation.extraction.blocks.markdown_tables import MAX_COLUMNS
from curation.extraction.blocks.unshown import without_unshown
from curation.extraction.training.gold import read_pages
from curation.extraction.training.labels import block_texts

PARSER = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table")
WORD = re.compile(r"[^\W_]+")
TEXT = st.text(st.sampled_from("ab1 *_`#>-+.)(~=|<&;![]:\\\"'{}$/@é中\n"), min_size=1, max_size=30)


def rendered(markdown: str) -> list[tuple[str, str]]:
    """Each text that a CommonMark parser finds, with the element it is in."""
    found, names = [], [""]
    for token in PARSER.parse(markdown):
        if token.type in ("fence", "code_block", "html_block"):
            found.append((token.type if token.type != "fence" else f"fence {token.info}".strip(), token.content))
        elif token.type == "inline":
            parts = []
            for child in token.children or ():
                known = {"text": child.content, "code_inline": child.content, "softbreak": "\n", "hardbreak": "\n"}
                parts.append(known.get(child.type, f"[{child.type}]"))
            found.append((names[-1], "".join(parts)))
        elif token.nesting == 1:
            names.append(token.tag)
        elif token.nesting == -1:
            names.pop()
    return found


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def collapsed(text: str) -> str:
    return " ".join(text.split())


@settings(deadline=None)
@given(TEXT)
def test_text_round_trips(text: str) -> None:
    """A CommonMark parser reads any text of a paragraph, heading, cell or list item back as it was."""
    text = collapsed(text)
    if not text:
        return
    html = escaped(text)
    assert rendered(as_markdown(f"<p>{html}</p>")) == [("p", text)]
    assert rendered(as_markdown(f"<h3>{html}</h3>")) == [("h3", text)]
    assert rendered(as_markdown(f"<ul><li>{html}<li>b</ul>")) == [("p", text), ("p", "b")]
    cells = [("th", text), ("th", "b"), ("td", "c"), ("td", text)]
    assert rendered(as_markdown(f"<table><tr><th>{html}<th>b<tr><td>c<td>{html}</table>")) == cells


@settings(deadline=None)
@given(TEXT, TEXT, TEXT)
def test_lines_and_inline_code_round_trip(first: str, code: str, last: str) -> None:
    """Text before and after a line break and around inline code is read back as it was."""
    first, code, last = collapsed(first), collapsed(code), collapsed(last)
    if not (first and code and last):
        return
    html = f"<p>{escaped(first)}<br>{escaped(last)} <code>{escaped(code)}</code>{escaped(last)}<br>{escaped(first)}</p>"
    assert rendered(as_markdown(html)) == [("p", f"{first}\n{last} {code}{last}\n{first}")]


@settings(deadline=None)
@given(st.text(st.sampled_from("ab `~\t#>-|\n"), min_size=1, max_size=40))
def test_code_round_trips(code: str) -> None:
    """Code in a fence is read back with its white space, whatever it contains; blank lines around it are dropped."""
    lines = [line.rstrip() for line in code.split("\n")]
    while lines and not lines[0]:
        del lines[0]
    while lines and not lines[-1]:
        del lines[-1]
    expected = [("fence", "\n".join(lines) + "\n")] if lines else []
    assert rendered(as_markdown(f"<pre>\n{escaped(code)}</pre>")) == expected


def test_headings_have_their_level() -> None:
    """A heading is one line with its level in number signs, whatever breaks it."""
    assert as_markdown("<h1>One<br>line</h1><p>text</p><h4>Four</h4>") == "# One line\n\ntext\n\n#### Four"


def test_role_heading_is_a_heading() -> None:
    """An element whose role is heading becomes a heading of the second level."""
    assert as_markdown('<div role="heading">Title</div><p>text</p>') == "## Title\n\ntext"


def test_only_taken_blocks_are_written() -> None:
    """Text comes from taken blocks, and what is left of a list stays a list."""
    html = "<p>a</p><p>advert</p><ul><li>advert</li><li>b</li></ul><ol><li>advert<li>c</ol>"
    assert as_markdown(html, "advert") == "a\n\n- b\n\n2. c"


def test_an_item_without_text_of_its_own_is_not_written() -> None:
    """A list whose outer item has no taken text is written from the inner item on."""
    assert as_markdown("<ul><li><p>advert</p><ul><li>a<li>b</ul></ul>", "advert") == "- a\n- b"


def test_lists_are_nested() -> None:
    """Nested lists are indented under their items, one line between items."""
    html = "<ul><li>a<ol><li>b<li>c<ul><li>d</ul></ol><li>e</ul>"
    assert as_markdown(html) == "- a\n  1. b\n  2. c\n     - d\n- e"


def test_numbers_begin_where_the_page_says() -> None:
    """The attributes `start` and `value` number the items."""
    assert as_markdown('<ol start="9"><li>a<li>b<li value="20">c</ol>') == "9. a\n10. b\n20. c"


def test_a_nested_list_that_does_not_begin_with_one_is_set_apart() -> None:
    """A blank line stands before it, because it could not interrupt a paragraph."""
    assert as_markdown('<ul><li>a<ol start="3"><li>b</ol></ul>') == "- a\n\n  3. b"


def test_adjacent_lists_stay_apart() -> None:
    """The items of the second of two lists have another marker, else it would continue the first."""
    assert as_markdown("<ul><li>a</ul><ul><li>b<li>c</ul>") == "- a\n\n* b\n* c"
    assert as_markdown("<ul><li>a</ul><ul><li>b</ul><ol><li>c</ol><ol><li>d</ol>") == "- a\n\n* b\n\n1. c\n\n1) d"


def test_an_item_of_several_paragraphs_keeps_them() -> None:
    """Further paragraphs of an item are indented, a blank line before them."""
    assert as_markdown("<ul><li><p>a</p><p>b</p><li>c</ul><p>d</p>") == "- a\n\n  b\n- c\n\nd"


def test_a_list_of_articles_is_no_list() -> None:
    """Items with headings only arrange the page."""
    assert as_markdown("<ul><li><h2>A</h2><p>text</p></ul>") == "## A\n\ntext"


def test_quotes_are_nested() -> None:
    """Quotes have a mark on each line, two for a quote in a quote."""
    html = "<blockquote><p>a</p><blockquote>b<br>c</blockquote></blockquote><blockquote>d</blockquote><p>e</p>"
    assert as_markdown(html) == "> a\n>\n> > b  \n> > c\n\n> d\n\ne"


def test_a_line_break_stays_one() -> None:
    """One `<br>` is a line break, two are a new paragraph."""
    assert as_markdown("<p>a<br>b<br><br>c</p>") == "a  \nb\n\nc"


def test_links_and_emphasis_are_their_text() -> None:
    """Links, bold and italics leave no marks."""
    assert as_markdown("<p>A <b>bold</b> <em>word</em></p><p><a href='/'>link</a></p>") == "A bold word\n\nlink"


def test_tables_of_data_are_pipe_tables() -> None:
    """Cells are in their columns, also after wide and high cells, and the caption stands before the table."""
    html = (
        "<table><caption>Title</caption><tr><th>a<th>b|c<th>d"
        "<tr><td rowspan=2>1<td colspan=2>2<tr><td>3<td>4<br>5</table>"
    )
    assert as_markdown(html) == "Title\n\n| a | b\\|c | d |\n| --- | --- | --- |\n| 1 | 2 |  |\n|  | 3 | 4 5 |"


def test_cells_beyond_the_widest_table_are_kept() -> None:
    """The cells of a row that is too wide are in its last column, and take time in proportion to their number."""
    row = as_markdown(f"<table><tr>{'<td>a' * 70}<tr><td>b</table>").split("\n")[0]
    cell = f"<td>{'a' * 400}"
    assert row == f"| {'a | ' * (MAX_COLUMNS - 1)}{' '.join('a' * (71 - MAX_COLUMNS))} |"
    assert_linear(as_markdown, lambda count: f"<table><tr>{cell * count}<tr><td>b</table>", 500)


def test_layout_tables_are_paragraphs() -> None:
    """Tables with long or many texts in a cell are no tables."""
    long = "word " * 120
    html = f"<table><tr><td>{long}<td>menu<tr><td>a<td>b</table>"
    assert as_markdown(html) == f"{long.strip()}\n\nmenu\n\na\n\nb"


def test_the_fence_is_longer_than_backticks_inside() -> None:
    """Code with fences in it gets a longer fence."""
    assert as_markdown("<pre>```\nx\n```</pre>") == "````\n```\nx\n```\n````"


def test_inline_code_is_between_backticks() -> None:
    """Inline code is marked, with more backticks if it contains some."""
    assert as_markdown("<p>Use <code>a*b</code> or <code>`c`</code> now.</p>") == "Use `a*b` or `` `c` `` now."


@pytest.mark.parametrize(
    "html",
    [
        '<pre><code class="language-python">x</code></pre>',
        '<pre class="lang-python prettyprint">x</pre>',
        '<pre class="brush: python; gutter: false">x</pre>',
        '<div class="highlight highlight-source-python"><pre>x</pre></div>',
        '<div class="sourceCode"><pre class="sourceCode python"><code>x</code></pre></div>',
        '<div class="highlight-python notranslate"><div class="highlight"><pre>x</pre></div></div>',
        '<div class="language-python highlighter-rouge"><div class="highlight"><pre>x</pre></div></div>',
        '<figure class="highlight python"><pre>x</pre></figure>',
        '<pre><code class="hljs python">x</code></pre>',
        '<pre><code data-lang="python">x</code></pre>',
        '<div data-language="Python"><pre>x</pre></div>',
        '<div class="mw-highlight mw-highlight-lang-python"><pre>x</pre></div>',
    ],
)
def test_the_language_of_code_is_named(html: str) -> None:
    """The language follows the fence, by each of the usual conventions."""
    assert as_markdown(html) == "```python\nx\n```"


@pytest.mark.parametrize(
    "name", ["language-none", "highlight", "nohighlight", "language-plaintext", "lang-`x`", "entry"]
)
def test_other_classes_are_no_language(name: str) -> None:
    """Code without a language gets none."""
    assert as_markdown(f'<body class="lang-en"><pre class="{name}">x</pre>') == "```\nx\n```"


@pytest.mark.parametrize(
    "html",
    [
        "<table><tr><td class=gutter><pre>1\n2</pre><td class=code><pre>if x:\n    y</pre></table>",
        "<table><tr><td><pre>1</pre><td><pre>if x:</pre><tr><td><pre>2</pre><td><pre>    y</pre></table>",
        "<pre><span class=lineno>1</span>if x:\n<span class=lineno>2</span>    y</pre>",
        "<table><tr><td class=blob-num><td class=blob-code>if x:"
        "<tr><td class=blob-num><td class=blob-code>    y</table>",
        "<table><tr><td>1<td><code>if x:</code><tr><td>2<td><code>&nbsp; &nbsp; y</code></table>",
        "<table class=syntaxhighlighter><tr><td class=gutter><div class=line>1</div><div class=line>2</div>"
        "<td class=code><div class=line><code>if</code> <code>x:</code></div>"
        "<div class=line><code>&nbsp;&nbsp;&nbsp;&nbsp;</code><code>y</code></div></table>",
        "<p><code>if x:<br>&nbsp;&nbsp;&nbsp;&nbsp;y</code></p>",
        "<pre><code><span class=line>if x:</span><span class=line>    y</span></code></pre>",
        "<div><div class=code-line>if x:</div><div class=code-line>    y</div></div>",
    ],
)
def test_listings_of_lines_are_one_fence(html: str) -> None:
    """Lines that are elements of their own are lines of one fence, with their white space, without line numbers."""
    assert as_markdown(html) == "```\nif x:\n    y\n```"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<code>#<br></pre>abc<br>def</code>", "#\nabc\ndef"),
        ("<code>ab<br>cd</pre>ef<br>gh</code>", "ab\ncdef\ngh"),
        ("<code>ab<br></pre>\u00e9f<br>gh</code>", "ab\n\u00e9f\ngh"),
        ("<div class=code-line>ab</div><div class=code-line>c</pre>def</div>", "ab\ncdef"),
    ],
)
def test_a_stray_end_tag_in_a_listing_takes_no_letters(html: str, expected: str) -> None:
    """Lines of code have all of their letters where a stray `</pre>` is between them."""
    assert as_markdown(html) == f"```\n{expected}\n```"


def test_code_that_begins_in_the_line_before_is_written_once() -> None:
    """Code that begins in a line of text and goes on as a listing has each word once."""
    html = "<p>Run <code>first<br><br>second<br>third</code></p>"
    assert as_markdown(html) == "Run `first`\n\n```\nsecond\nthird\n```"


def test_preformatted_text_in_a_heading_stays_in_its_line() -> None:
    """Lines of `<pre>` in a heading or cell are joined by spaces, and open no fence."""
    assert as_markdown("<h1>t<pre>a\n~~~\n<code>b\nc</code></pre></h1><p>x") == "# t a ~~~ `b c`\n\nx"


def test_numbers_that_number_no_code_are_kept() -> None:
    """Numbers in a column or a gutter without code are text."""
    assert as_markdown("<div class=gutter>1</div><p>text</p>") == "1\n\ntext"


def test_buttons_in_code_are_dropped() -> None:
    """A button to copy the code is no part of it."""
    assert as_markdown("<pre><button>Copy</button><code>x = 1</code></pre>") == "```\nx = 1\n```"
    assert as_markdown("<pre><button>Copy</button> x = 1\n  y</pre>") == "```\nx = 1\n  y\n```"


def test_hidden_text_in_a_line_is_left_out() -> None:
    """Text that a page hides within a paragraph, heading, cell or listing is not written."""
    hidden = '<b style="display:none">secret</b>'
    assert (
        as_markdown(f"<h2>{hidden} A {hidden}title</h2><p>is <code>a</code> {hidden}5</p>") == "## A title\n\nis `a` 5"
    )
    html = f"<table><tr><td>{hidden} a<td>b {hidden}<tr><td>c<td>d</table>"
    assert as_markdown(html) == "| a | b |\n| --- | --- |\n| c | d |"
    assert as_markdown(f"<code>if x:<br>&nbsp; {hidden}y<br>z</code>") == "```\nif x:\n  y\nz\n```"


def test_hidden_blocks_are_written_if_they_are_taken() -> None:
    """What is hidden as a whole stays: which blocks are text has been chosen before."""
    assert (
        as_markdown("<div hidden><p>a <b hidden>b</b></p><code>c<br>&nbsp; d</code></div>") == "a b\n\n```\nc\n  d\n```"
    )


def test_links_in_code_add_no_spaces() -> None:
    """Linked names in code, as documentation has them, stay next to their brackets."""
    assert as_markdown("<pre>f(<a href=x>name</a>)</pre>") == "```\nf(name)\n```"


def test_preformatted_prose_is_paragraphs() -> None:
    """Sentences in `<pre>` without any sign of code are paragraphs."""
    html = "<pre>This is a letter. It was\nwritten long ago.\n\nIt ends here.</pre>"
    assert as_markdown(html) == "This is a letter. It was\nwritten long ago.\n\nIt ends here."
    assert as_markdown("<pre>Let us be pen pals!</pre>") == "Let us be pen pals!"
    assert as_markdown("<pre>git push origin main</pre>") == "```\ngit push origin main\n```"


def test_formulas_are_latex() -> None:
    """A formula is written once: in the line between dollars, on its own between double dollars."""
    tex = '<annotation encoding="application/x-tex">x_1</annotation>'
    html = f"<p>where <math><mi>x</mi>{tex}</math> is</p><p><math display=block>{tex}</math></p>"
    assert as_markdown(html) == "where $x_1$ is\n\n$$x_1$$"


def test_raw_formulas_of_pages_with_mathjax_are_not_escaped() -> None:
    r"""`\(…\)` and `\[…\]` become dollars if the page loads MathJax, and are text if not."""
    html = r"<p>Let \(a_i * b\) be \[c\]</p>"
    assert as_markdown(f"<script src=MathJax.js></script>{html}") == "Let $a_i * b$ be $$c$$"
    assert as_markdown(html) == r"Let \\(a_i * b\\) be \\[c\\]"


def test_a_tutorial_has_its_code_and_formulas(shared_data: Path) -> None:
    """Code of a real tutorial is fenced with its language, and both formulas are there once."""
    html = dict(read_pages(shared_data / "cases" / "structure.warc.gz"))["https://howto.example/reverse"]
    text = as_markdown(html)
    assert "```python\ndef reverse(head):\n    previous = None\n" in text
    assert 'CONFIG = {\n    "size": 10,\n}\n```' in text
    assert text.count(r"T(n) = c \cdot n + O(1)") == text.count(r"$T(n) = c \cdot n + O(1)$") == 1
    assert text.count("x^2 + y^2 = z^2") == text.count("$x^2 + y^2 = z^2$") == 1
    assert "| nodes | seconds |\n| --- | --- |\n| 1000 | 0.01 |" in text
    assert re.search(r"\n1\. Keep a pointer .*\n2\. Turn .*\n3\. Go on", text)


def test_no_word_of_real_pages_is_lost_or_doubled(shared_data: Path) -> None:
    """A CommonMark parser finds each word of the taken blocks as often as they show it; pages with formulas aside."""
    for url, html in read_pages(shared_data / "gold" / "readability.warc.gz"):
        if "x-tex" in html or "alttext" in html:
            continue
        page = parsed(html)
        texts = block_texts(without_unshown(page))
        for taken in (np.ones(len(texts), np.bool_), np.arange(len(texts)) % 7 < 4):
            words = Counter(
                word for text, is_taken in zip(texts, taken, strict=True) if is_taken for word in WORD.findall(text)
            )
            found = rendered(write_markdown(page, html.encode(), taken))
            assert Counter(word for _, text in found for word in WORD.findall(text)) == words, url


@pytest.mark.parametrize(
    "piece",
    [
        "<ul><li>a", "<blockquote>b", "<table><tr><td>c<td>d<tr><td>e", "<div>", "<p>f<br>", "<code>g<br>",
        "<td class=gutter>1", "<pre>\n\n\n", "<b hidden>i</b> j<p>", "<ol><li>h</ol>", "\\(", "<b><code>x</b>",
    ],
)  # fmt: skip
def test_time_is_linear(piece: str) -> None:
    """Repeated and deeply nested elements take time in proportion to the page."""
    assert_linear(as_markdown, lambda count: "<p>MathJax $</p>" + piece * count, 200)
