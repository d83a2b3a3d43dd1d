"""The text of chosen blocks."""

from __future__ import annotations

import pytest
from block_pages import as_text


def test_a_block_is_a_line() -> None:
    """Each block is a line, and a paragraph that `<br>` breaks is a line for each part."""
    assert as_text("<h1>Title</h1><p>one<br>two</p><p>three</p>") == "Title\none\ntwo\nthree"


def test_blocks_that_are_not_taken_are_left_out() -> None:
    """Only taken blocks are written."""
    assert as_text("<p>one</p><p>advert</p><p>two</p>", "advert") == "one\ntwo"


def test_list_items_begin_with_a_hyphen() -> None:
    """The first block of each item, nested or not, begins with a hyphen; further blocks do not."""
    html = "<ul><li><p>a</p><p>more</p><ul><li>b</ul>after<li>c</ul>"
    assert as_text(html) == "- a\nmore\n- b\nafter\n- c"


def test_a_heading_in_a_list_item_is_no_item() -> None:
    """Lists that arrange articles give headings without hyphens."""
    assert as_text("<ul><li><h2>Title</h2><p>text</p></ul>") == "Title\ntext"


def test_cells_of_a_row_share_a_line() -> None:
    """The cells of a row of a table of data are joined by bars, the lines in a cell by spaces."""
    assert as_text("<table><tr><th>a<th>b<tr><td>c<br>d<td>e</table>") == "a | b\nc d | e"


def test_cells_with_much_text_are_lines() -> None:
    """A table that arranges the page gives a line for each block."""
    long = "word " * 120
    html = f"<table><tr><td>{long}<td>menu<tr><td>a<td>b</table>"
    assert as_text(html) == f"{long.strip()}\nmenu\na\nb"


def test_a_table_around_a_table_is_layout() -> None:
    """Of nested tables, only the innermost is data."""
    inner = "<table><tr><td>1<td>2<tr><td>3<td>4</table>"
    assert as_text(f"<table><tr><td>a<td>b<tr><td>{inner}<td>c</table>") == "a\nb\n1 | 2\n3 | 4\nc"


def test_a_table_of_one_row_is_layout() -> None:
    """A single row of cells gives a line for each."""
    assert as_text("<table><tr><td>a<td>b</table>") == "a\nb"


def test_formulas_are_between_dollars() -> None:
    """LaTeX is written between dollars, the space before it outside."""
    html = 'where <math><annotation encoding="application/x-tex">x^2</annotation></math> is'
    assert as_text(f"<p>{html}</p>") == "where $x^2$ is"


def test_lines_of_code_are_kept() -> None:
    """White space in preformatted text stays."""
    assert as_text("<p>a</p><pre>def f():\n    return 1\n</pre><p>b</p>") == "a\ndef f():\n    return 1\nb"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>The price is {}5 euros</p>", "The price is 5 euros"),
        ("<p>a {} {} b{}c</p>", "a bc"),
        ("<p>{} a {}</p><p>b</p>", "a\nb"),
        ("<pre>{}\n  a\n{}  b\n{}</pre>", "  a\n  b"),
    ],
)
def test_hidden_text_in_a_line_is_left_out(html: str, expected: str) -> None:
    """Hidden text is not written, and the words around it are neither glued nor further apart."""
    assert as_text(html.replace("{}", '<span style="display:none">secret</span>')) == expected


def test_hidden_blocks_are_written_if_they_are_taken() -> None:
    """What is hidden as a whole stays: which blocks are text has been chosen before."""
    assert as_text("<p hidden>a <b hidden>b</b></p><pre><b hidden>c</b>\n</pre>") == "a b\nc"


def test_hidden_formulas_are_written() -> None:
    """A formula that is hidden behind its picture is text."""
    formula = '<math><annotation encoding="application/x-tex">x^2</annotation></math>'
    assert as_text(f'<p>where <span style="display:none">{formula}</span><img src=x> is</p>') == "where $x^2$ is"


def test_buttons_that_copy_code_are_left_out() -> None:
    """A button of a few words in code is no part of it; one with more text is, and one with nothing around it."""
    assert as_text("<pre><button><b>Copy</b> code</button> x = 1\n  y</pre>") == "x = 1\n  y"
    assert as_text("<pre><button>one two three four</button></pre>") == "one two three four"
    assert as_text("<pre><button>one two three four</button>\nx</pre>").split() == ["one", "two", "three", "four", "x"]
    assert as_text("<pre><button>ls</button></pre><p><button>Go</button>") == "ls\nGo"
