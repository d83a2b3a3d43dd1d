from __future__ import annotations

import html.entities
from collections.abc import Callable

import numpy as np
import pytest
from growth import assert_linear

from curation.extraction.blocks import parse
from curation.extraction.blocks.parse import (
    ARIA_HIDDEN,
    AROUND,
    BOLD,
    CELL,
    CODE,
    CONTAINER,
    DISPLAY,
    ELEMENT,
    END,
    END_BLOCK,
    FIRST_BLOCK,
    FIRST_RUN,
    FIRST_TOKEN,
    FORM,
    HIDDEN,
    LINK,
    MATH,
    NAV,
    NOSCRIPT,
    PARENT,
    PRE,
    RUN_FLAGS,
    SHAPE,
    START,
    TAG,
    TEX,
    Page,
)
from curation.extraction.blocks.tags import NUMBERS


def page(source: str | bytes) -> Page:
    return parse.parse(np.frombuffer(source if isinstance(source, bytes) else source.encode(), np.uint8))


def runs(found: Page) -> list[list[tuple[str, int]]]:
    """The runs of each block, as text and flags."""
    text = found.text.tobytes()
    rows = [(text[row[START] : row[END]].decode(), int(row[RUN_FLAGS])) for row in found.runs]
    first = found.blocks[:, FIRST_RUN]
    return [rows[first[block] : first[block + 1]] for block in range(len(first) - 1)]


def lines(source: str | bytes) -> list[str]:
    """The text of the blocks."""
    return ["".join(text for text, _ in block) for block in runs(page(source))]


def flags(source: str, text: str) -> int:
    """The flags of the run that contains `text`."""
    return next(bits for block in runs(page(source)) for run, bits in block if text in run)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        ("text", ["text"]),
        (" \n<p> \n</p>", []),
        ("<p>one<p>two", ["one", "two"]),
        ("<div>one<div>two</div>three</div>four", ["one", "two", "three", "four"]),
        ("one<br>two<br/>three</br>four", ["one", "two", "three", "four"]),
        ("<p>one <b>two</b>, <i>three</i></p>", ["one two, three"]),
        ("a\n \t b&nbsp; &nbsp;c", ["a b c"]),
        ("<ul><li>a<li>b<ul><li>c</ul>d</ul>", ["a", "b", "c", "d"]),
        ("<table><tr><td>a<td>b<tr><th>c</table>d", ["a", "b", "c", "d"]),
        ("</html>text<html><p>more", ["text", "more"]),
        ("<body>a</body></html>b<p>c", ["ab", "c"]),
        ("a</div>b</span>c</p>d", ["abc", "d"]),
    ],
)
def test_blocks(source: str, expected: list[str]) -> None:
    """A block is the text between the beginnings and ends of block elements and line breaks."""
    assert lines(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a<b", ["a"]),
        ("a < b", ["a < b"]),
        ("a<3 <> b", ["a<3 <> b"]),
        ("a<", ["a<"]),
        ("a<!-- <p> -- > -->b", ["ab"]),
        ("a<!-->b<!--->c<!----!>d", ["abcd"]),
        ("a<!--!>b-->c", ["ac"]),
        ("a<!doctype html>b<?php x ?>c</ >d</>e", ["abcde"]),
        ("<a title='>'>a</a><a title=\">\">b", ["a b"]),
        ("<a title=a'>'b", ["'b"]),
        ("<p/class=x>a<p\nclass = 'x'\t>b", ["a", "b"]),
        ("<DIV>a<SpAn>b</sPaN></div>c", ["ab", "c"]),
        ("<p =>a", ["a"]),
        ("a<p", ["a"]),
        ("a<p title='never closed>b", ["a"]),
    ],
)
def test_tokens(source: str, expected: list[str]) -> None:
    """Tags, comments and declarations end where the HTML standard says."""
    assert lines(source) == expected


@pytest.mark.parametrize("name", ["script", "style", "title", "textarea", "iframe", "noembed", "noframes"])
def test_raw_text(name: str) -> None:
    """What raw text contains is no markup, ends at its own end tag, and is no text of the page."""
    assert "".join(lines(f"a<{name}><p>x</p></{name}x><!--</{name} x>b")) == "ab"


@pytest.mark.parametrize(
    "source",
    [
        "<script><!-- <script> </script> --></script>",
        "<script><!-- <script></script> </script>",
        "<script><!-- x --> </script>",
        "<script><!--> <script> </script>",
        "<script>'<script>'</script>",
    ],
)
def test_scripts_in_comments(source: str) -> None:
    """A script ends at its end tag, except in a script within a comment."""
    assert lines(source + "<p>text") == ["text"]


@pytest.mark.parametrize(
    "name",
    [
        "title",
        "textarea",
        "iframe",
        "noembed",
        "noframes",
        "xmp",
        "template",
        "select",
        "datalist",
        "svg",
        "noscript",
        "math",
    ],
)
def test_unclosed(name: str) -> None:
    """Of an element that hides what it holds, but is never closed, nothing is hidden."""
    assert lines(f"a<{name}><div>b</div>c<p>d") == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("&lt;p&gt; &amp;amp; &quot;", '<p> &amp; "'),
        ("&eacute;&EACUTE;&copy2020&notit;&notin;", "é&EACUTE;©2020¬it;∉"),
        ("&NotEqualTilde;&bne;", "\u2242\u0338=\u20e5"),
        ("&#65;&#x42;&#X43&#68 &#128;&#150;", "ABCD €–"),
        ("a & b &; &# &#x; &unknown; &&amp;", "a & b &; &# &#x; &unknown; &&"),
        ("&#0;&#xD800;&#x110000;&#99999999999999999999999;", "\ufffd\ufffd\ufffd\ufffd"),
        ("a&#1;b&#x7f;c&#x9d;d&shy;e&#xfeff;f\u00adg\ufeffh", "abcdefgh"),
        ("a\0b\x01c\x0bd\x7fe", "abcde"),
        ("a&nbsp;b&#32;c&#10;d\u00a0e&Tab;f", "a b c d e f"),
        ("« ，。！ \u0097 “ 𝄞", "« ，。！ \u0097 “ 𝄞"),
        ("&CounterClockwiseContourIntegral;", "∳"),
    ],
)
def test_characters(source: str, expected: str) -> None:
    """Character references are decoded; control characters, soft hyphens and byte order marks are left out."""
    assert lines(source) == [expected]


def test_every_reference() -> None:
    """Every named reference of the standard is decoded."""
    names = [name for name, value in html.entities.html5.items() if value.strip() and value not in "\u00ad<>"]
    text = "".join(f"<p>x&{name}" for name in names)
    kept = (html.entities.html5[name] for name in names)
    assert lines(text) == [f"x{value}" for value in kept]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<head><title>t</title><meta><link>text", ["text"]),
        ("<head><style>s</style></head>text", ["text"]),
        ("<head><template><div>a</div></template><title>b</title><p>c", ["c"]),
        ("<head><div>a</div><head>b", ["a", "b"]),
    ],
)
def test_head(source: str, expected: list[str]) -> None:
    """Text and elements that cannot be in a head end it."""
    assert lines(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<div>a<noscript>b<p>c</noscript>d</div>", ["a", "b", "c", "d"]),
        ("<head><noscript>b <i>c</i></noscript><title>t</title></head>d", ["b c", "d"]),
        ("<noscript><div>b</noscript>d", ["b", "d"]),
        ("<noscript></div><iframe></noscript>d</iframe>e", ["de"]),
        ("<noscript><!-- </noscript>d<!-- -->e", ["de"]),
        ("<noscript><img alt='</noscript>d'>e", ["d'>e"]),
        ("<noscript><noscript>b</noscript>d", ["b", "d"]),
    ],
)
def test_noscript(source: str, expected: list[str]) -> None:
    """What is in `<noscript>` counts, is marked, and changes nothing outside."""
    assert lines(source) == expected
    assert all((bits & NOSCRIPT > 0) == (text.strip() in "bc") for block in runs(page(source)) for text, bits in block)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<select><option>x<optgroup>y</select>a", ["a"]),
        ("<select><option>x<p>a", ["a"]),
        ("<select><option>x</select><select>y</select>a", ["a"]),
        ("<select><option>x<input>a</select>b", ["ab"]),
    ],
)
def test_select(source: str, expected: list[str]) -> None:
    """The options of a list are no text; what cannot be in a list ends it."""
    assert lines(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a<svg><title>x</title><text>y</text></svg>b", ["ab"]),
        ("a<svg/>b", ["ab"]),
        ("a<svg><style/>x<title/>y<script/>z</svg>b", ["ab"]),
        ("a<svg><g><p>b</svg>c", ["a", "bc"]),
        ("a<svg><foreignObject><p>x</p></foreignObject><desc><div>y</div></desc></svg>b", ["ab"]),
        ("<div>a<svg><path></div>b</svg>", ["a", "b"]),
        ("<a>a<svg><path></a>b</svg>", ["ab"]),
        ("a<svg><svg>x</svg>y</svg>b", ["ab"]),
        ("a<svg><![CDATA[<p>x]]></svg>b<![CDATA[c]]>", ["ab"]),
    ],
)
def test_svg(source: str, expected: list[str]) -> None:
    """What is in a picture is no text; HTML that cannot be in it ends it."""
    assert lines(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<template><p>x</p></template>a", ["a"]),
        ("<div><template shadowrootmode=open><p>a</p></template>b", ["a", "b"]),
        ("<template><div></template>a", ["a"]),
    ],
)
def test_template(source: str, expected: list[str]) -> None:
    """Templates are no text, unless they are what an element shows."""
    assert lines(source) == expected


TEX_SOURCES = [
    "<math><semantics><mi>x</mi><annotation encoding='application/x-tex'>E=mc^2</annotation></semantics></math>",
    "<math alttext='E=mc^2'><mi>x</mi></math>",
    "<math alttext=' {\\displaystyle E=mc^2} '><mi>x</mi></math>",
    "<math><mi>x</mi><annotation encoding=application/x-tex>{\\displaystyle E=mc^2}</annotation></math>",
    "<script type='math/tex'>E=mc^2</script>",
    "<span class='MathJax_Preview'>x</span><script type='math/tex; mode=display'>E=mc^2</script>",
    "<math alttext='E=mc^2'><mi>x</mi></math><span aria-hidden=true class='x katex-html'>E<b>m</b></span>",
]


@pytest.mark.parametrize("source", TEX_SOURCES)
def test_formulas(source: str) -> None:
    """A formula is there once, in LaTeX, as a run of its own without the spaces around it."""
    for before, after in (("a ", " b"), ("(", ")"), ("", "")):
        (block,) = runs(page(f"<p>{before}{source}{after}"))
        assert "".join(text for text, _ in block) == f"{before}E=mc^2{after}"
        assert [text for text, bits in block if bits & TEX] == ["E=mc^2"]


def test_formulas_side_by_side() -> None:
    """The space between two formulas belongs to neither."""
    (block,) = runs(page("<math alttext=x></math> <math alttext=y></math>"))
    assert [(text, bits & TEX > 0) for text, bits in block] == [("x", True), (" ", False), ("y", True)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a <math><mi>x</mi><mo>+</mo> <mn>1</mn><annotation encoding=text>z</annotation></math> b", ["a x+ 1 b"]),
        ("<math><annotation-xml encoding='MathML-Content'><ci>z</ci></annotation-xml><mi>x</mi></math>", ["x"]),
        ("<math alttext='{\\displaystyle a}{b}'></math>", ["{\\displaystyle a}{b}"]),
        ("<math alttext='{\\displaystyle a\\}b}'></math>", ["a\\}b"]),
        ("<math><mi>x<math alttext=y></math>", ["xy"]),
        ("<math/>a", ["a"]),
        ("<math alttext=''><mi>x</mi><annotation encoding='application/x-tex'></annotation></math>", ["x"]),
        ("<math><mi>x<p>a</math>b", ["x", "ab"]),
    ],
)
def test_formulas_without_latex(source: str, expected: list[str]) -> None:
    """A formula that does not say what it is in LaTeX is its text."""
    assert lines(source) == expected


@pytest.mark.parametrize(
    ("source", "flag"),
    [
        ("<div hidden>x", HIDDEN),
        ("<div style='color:red; DISPLAY : none'><p>x", HIDDEN),
        ("<p style=visibility:hidden>x", HIDDEN),
        ("<p aria-hidden=true>x", ARIA_HIDDEN),
        ("<nav><b>x", NAV),
        ("<div role='navigation x'>x", NAV),
        ("<a href=y>x", LINK),
        ("<p><b>x</b>", BOLD),
        ("<pre>x", PRE),
        ("<code>x", CODE),
        ("<form>x", FORM),
        ("<table><td>x", CELL),
        ("<math>x", MATH),
        ("<math display=block alttext=x></math>", DISPLAY),
        ("<script type='math/tex; mode=display'>x</script>", DISPLAY),
        ("<p style='display:block'><a>x</a>", 0),
        ("<p aria-hidden=false hiddenx>x", 0),
        ("<b>y</b>x", 0),
        ("<p><b>y<div>y</b>x", 0),
        ("<form><div>y</form>x", 0),
        ("<a href=y><a>x", 0),
    ],
)
def test_flags(source: str, flag: int) -> None:
    """Text is marked by the elements around it and their attributes, up to their end tags."""
    marks = HIDDEN | ARIA_HIDDEN | NAV | LINK | BOLD | PRE | CODE | FORM | CELL | MATH | DISPLAY
    assert flags(source, "x") & (flag or marks) == flag


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<a>one</a><a>two</a>", "one two"),
        ("<span>one</span><a>two</a>", "one two"),
        ("<a>one</a><span>two</span>", "one two"),
        ("one<img>two", "one two"),
        ("<label>one</label><input>two", "one two"),
        ("<a>cat</a>s", "cats"),
        ("un<a>seen</a>.", "unseen."),
        ("(<a>one</a><span>)</span>", "(one)"),
        ("<a>x</a><sup>2</sup>", "x2"),
        ("<a>日本</a><span>語</span>", "日本語"),
        ("<pre><a>one</a><a>two</a>", "onetwo"),
    ],
)
def test_separated_words(source: str, expected: str) -> None:
    """Adjacent links are separate words, but a link inside a word does not split it."""
    assert lines(source) == [expected]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<pre>\na\n  b\r\nc\td\n\n</pre>", ["a\n  b\nc\td"]),
        ("<pre>\n\n  a\n b</pre>", ["  a\n b"]),
        ("<pre>a<br>b<div>c</div></pre>d", ["a\nb\nc", "d"]),
        ("<pre> \n </pre>a", ["a"]),
        ("<pre>&nbsp;&#10;<b> </b></pre>a", ["a"]),
        ("<pre>a<b>b</b> <i>\n</i></pre>", ["ab"]),
        ("<pre>a<pre>b</pre>", ["a", "b"]),
        ("<xmp><b>a</xmp>b", ["<b>a", "b"]),
        ("a<plaintext><b></plaintext>", ["a", "<b></plaintext>"]),
    ],
)
def test_preformatted(source: str, expected: list[str]) -> None:
    """Preformatted text keeps its white space, except around it."""
    assert lines(source) == expected


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("<p>x<div>y", ["p", "div"]),
        ("<p><button>x<p>y", ["p/button", "p/button/p"]),
        ("<ul><li>x<li>y", ["ul/li", "ul/li"]),
        ("<ul><li>x<ul></li><li>y", ["ul/li", "ul/li/ul/li"]),
        ("<li><div><p><li>y", ["li"]),
        ("<dl><dt>x<dd>y<dt>z", ["dl/dt", "dl/dd", "dl/dt"]),
        ("<h1>x<h2>y</h1>z", ["h1", "h2", ""]),
        ("<table><caption>x<tr><td>y<tbody><td>z", ["table/caption", "table/tr/td", "table/tbody/td"]),
        ("<table><tr><td><table><td>x</table>y<tr>", ["table/tr/td/table/td", "table/tr/td"]),
        ("<table><td>x<thead><tr><th>y<td>z", ["table/td", "table/thead/tr/th", "table/thead/tr/td"]),
        ("<div><p>x</div>y", ["div/p", ""]),
        ("<div><table><td>x</div>y", ["div/table/td"]),
        ("<ruby>x<rt>r<rb>y<rp>r</ruby>z", ["ruby"]),
        ("<button>x<button>y", ["button", "button"]),
        ("<a>x<p>y</a>z", ["a", "a/p"]),
        ("<x-y>x<p>y</p></x-y>z", ["", "/p", ""]),
        ("<object><p>x</object>y", ["object/p", ""]),
    ],
)
def test_tree(source: str, paths: list[str]) -> None:
    """Elements close the ones that the standard says they close."""
    found = page(source)
    names = [*NUMBERS]
    seen = []
    for block in range(len(found.blocks) - 1):
        element, path = found.runs[found.blocks[block, FIRST_RUN], ELEMENT], []
        while element:
            path.insert(0, names[found.elements[element, TAG]])
            element = found.elements[element, PARENT]
        seen.append("/".join(path))
    assert seen[: len(paths)] == paths


def test_elements() -> None:
    """Elements know their parents, containers, and first and last blocks."""
    found = page("<body><p>a</p><div><b>b</b><br>c</div></body>")
    names = [*NUMBERS]
    rows = [
        (names[row[TAG]], row[PARENT], row[CONTAINER], row[FIRST_BLOCK], row[END_BLOCK]) for row in found.elements[:-1]
    ]
    assert rows == [
        ("", -1, 0, 0, 3),
        ("body", 0, 1, 0, 3),
        ("p", 1, 2, 0, 1),
        ("div", 1, 3, 1, 3),
        ("b", 3, 3, 1, 2),
        ("br", 3, 3, 2, 2),
    ]
    assert found.blocks[:-1, AROUND].tolist() == [2, 3, 3]


def test_tokens_of_attributes() -> None:
    """Classes and ids of any case have the same tokens, and the parts of their names are tokens too."""
    first, second, third = (
        page(f"<p>{source}").tokens.tolist()
        for source in ("<b class='Main-Text'>", "<b id=main-text>", "<b class=main>")
    )
    assert first == second
    assert len(first) == 3
    assert set(third) - set(first)
    assert page("<b class='x'><b class='x'>").elements[:, FIRST_TOKEN].tolist() == [0, 0, 1, 2]
    assert page("<body class='x'><body class='y'><b class='x'>").elements[:, FIRST_TOKEN].tolist() == [0, 0, 1, 2]
    assert len(page(f"<b class='{'a-b cd ' * 100}'>").tokens) == parse.MAX_TOKENS


def test_shapes() -> None:
    """Elements whose classes differ in numbers alone have the same shape."""
    shapes = page("<p class=item-1><p class=item-22><p class=other><div class=item-1>").elements[1:5, SHAPE]
    assert shapes[0] == shapes[1]
    assert len({*shapes.tolist()}) == 3


def test_title_scripts_and_meta() -> None:
    """The places of the title and of scripts with data are kept, and what `<meta>` says."""
    source = (
        "<title> T </title><svg><title>x</title></svg><script type=application/ld+json>{}</script><script>x</script>"
    )
    found = page(source)
    assert source[slice(*found.title.tolist())] == " T "
    assert source[slice(*found.scripts.tolist())] == "{}"
    meta = [
        page(f"<meta {given}>").meta.tolist()
        for given in ("name=a content='b c'", "property=A content=B", "name=a", "")
    ]
    assert meta[0] == meta[1] != []
    assert meta[2:] == [[], []]
    assert len(page("<meta name=a content=b>" * 100).meta) == parse.MAX_METAS


@pytest.mark.parametrize(
    "cut",
    [
        b"\xc2",
        b"\xef",
        b"\xef\xbb",
        b"\xef\xbc",
        b"\xe3\x81",
        b"\xff\xfe",
        b"&",
        b"&#",
        b"&am",
        b"<",
        b"</",
        b"<!",
        b"<!--",
    ],
)
def test_cut_off(cut: bytes) -> None:
    """A page that ends within a character or a tag keeps its text."""
    assert lines_of_bytes(b"<p>text" + cut)[0].startswith(b"text")
    assert lines_of_bytes(b"<p>text" + cut + b"</p><p>more")[-1] in (b"more", b"text", b"text" + cut)


def lines_of_bytes(source: bytes) -> list[bytes]:
    found = page(source)
    first = found.runs[found.blocks[:-1, FIRST_RUN], START].tolist()
    return [found.text.tobytes()[start:end] for start, end in zip(first, [*first[1:], len(found.text)], strict=True)]


def test_depth() -> None:
    """Depth is not limited."""
    assert lines("<div><span>" * 100_000 + "text") == ["text"]
    assert lines("<div>" * 100_000 + "a" + "</div>" * 100_000 + "b") == ["a", "b"]


HOSTILE = {
    "unclosed": "<div>", "nested": "<div><span><b>", "links": "<a><div>", "links and ends": "<a><div></a>",
    "noscript": "<noscript>", "title": "<title>", "titles in noscript": "<noscript><title>", "comment": "<!--",
    "comments": "<!-- -", "ampersands": "&", "long references": "&CounterClockwiseContourIntegra", "attribute": "<a ",
    "svg": "<svg>", "math": "<math>", "annotations": "<math><annotation>", "script": "<script><!--", "items": "<b><li>",
    "escaped": "<script><!--<script></script>", "tables": "<table><td>", "ends": "</p>", "end": "</",
    "form": "<form><div></form>",
    "select": "<select><option>", "template": "<template>", "quotes": "<a b='", "raw": "<xmp><textarea><iframe>",
    "pre": "<pre> \n", "spaces": " \t", "brackets": "<![CDATA[", "headings": "<h1><b>", "head": "<head><noscript>x",
    "unknown": "<x></y>", "breaks": "<br>", "paragraphs": "<p><b><p></b>",
    "formula": "<math alttext='{\\displaystyle {'></math>",
    "names in pre": "<pre>a<div>b</div>",
}  # fmt: skip


def assert_parsed_in_linear_time(make: Callable[[int], str], size: int = 1 << 15) -> None:
    """Assert that the time to parse pages of about `size` to 64 times `size` bytes grows no faster than they do."""
    assert_linear(parse.parse, lambda n: np.frombuffer(make(n).encode(), np.uint8), size, factor=64)


@pytest.mark.parametrize("part", HOSTILE.values(), ids=HOSTILE.keys())
def test_linear_time(part: str) -> None:
    """Time is linear in the length of the page, whatever is repeated in it."""
    page("")
    assert_parsed_in_linear_time(lambda n: part * (n // len(part) + 1))


@pytest.mark.parametrize("part", ["<!--", "<a", "--", "</a", "<script"])
def test_names_without_an_end_in_scripts_take_linear_time(part: str) -> None:
    """In a commented script, a `<` whose name has no end is not searched for one again and again."""
    page("")
    assert_parsed_in_linear_time(lambda n: f"<script><!--{part * (n // len(part))}")


@pytest.mark.parametrize("part", ["<a", "<m", "<annotation ", "<annotation encoding='x-te'>", "<annotation"])
def test_what_is_in_a_formula_takes_linear_time(part: str) -> None:
    """Time is linear in the length of a formula, whatever is repeated in it."""
    page("")
    assert_parsed_in_linear_time(lambda n: f"<math>{part * (n // len(part))}</math>", 1 << 14)


@pytest.mark.parametrize("inside", ["<title>", "<noscript><title>", "<!-- ", "<iframe>", "<a b='", "<b><i>"])
def test_linear_time_inside_noscript(inside: str) -> None:
    """Time is linear in what an element holds that is never closed in it."""
    source = "<noscript>{}</noscript></title></iframe>"
    assert_parsed_in_linear_time(lambda n: source.format(inside * (n // len(inside))))


def test_attributes_by_the_million() -> None:
    """Time is linear in the number of attributes of a tag."""
    assert_parsed_in_linear_time(lambda n: f"<a{' class=a-b' * (n // 10)}>")
    found = page("<p class='" + "abCd " * 100_000 + "'>x")
    assert len(found.tokens) == parse.MAX_TOKENS


def test_blocks_in_pre_are_lines() -> None:
    """A block in `<pre>` begins and ends a line."""
    assert lines("<pre>a<div>c</div>d</pre>") == ["a\nc\nd"]
    assert lines("<pre>a<p>c</p>d</pre><pre><div>a</div><div>b</div></pre>") == ["a\nc\nd", "a\nb"]
    assert lines("<pre>a<ul><li>b</li></ul>c</pre>") == ["a\nb\nc"]


def test_a_formula_whose_script_swallows_the_page_is_none() -> None:
    """A script with a formula that never ends, ends by another tag, or is as long as a page adds no text."""
    script = "<p>a<script type='math/tex'>"
    assert lines(f"{script}x</scrip><p>b</p><script></script><p>c") == ["a", "c"]
    assert lines(f"{script}x + y") == ["a"]
    assert lines(f"{script}{'x' * 20_000}</script> b") == ["a b"]
    assert lines(f"{script}x < y</script>") == ["ax < y"]
