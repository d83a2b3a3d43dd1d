"""Markdown: where its fenced code is, and its prose."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from curation.text import views

PARSER = MarkdownIt("commonmark")
LINES = [
    "```", "````", "~~~", "~~~~", "``` py", "~~~ py", "```x`", "~~~x`", "text", "", " ", "> ```", "> text", ">",
    "> - ~~~", "- ```", "- text", "  ```", "  text", "    ```", "      ```", "1. ```", "   ~~~", "   text", "- > ```",
    "  > text", "``` \r", "``", "+  ```", "-     ```", "-", "1) text", ">> ```", "> > text",
]  # fmt: skip


def fences(text: str) -> list[str]:
    spans = views.fences(views.flat([text]))
    return [text[start:end] for start, end in zip(spans.starts, spans.ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n```py\nb\n```\nc", ["```py\nb\n```"]),
        ("~~~\n```\n~~~~\nc", ["~~~\n```\n~~~~"]),
        ("````\n```\n````", ["````\n```\n````"]),
        ("```\nnever closed\n\nend", ["```\nnever closed\n\nend"]),
        ("``` a`b\nc\n```", ["```"]),
        ("    ```\nindented\n", []),
        ("```\na\n    ```\n``` x\n  ```  \nb", ["```\na\n    ```\n``` x\n  ```  "]),
        ("- a\n\n  ```\n  b\n  ```\n- c", ["  ```\n  b\n  ```"]),
        ("- ```\n  b\nc", ["- ```\n  b"]),
        ("> ```\n> b\nc", ["> ```\n> b"]),
        ("1. a\n   - ```\n     b\n     ```\n   - c", ["   - ```\n     b\n     ```"]),
        ("a ``` b\n``\nc", []),
    ],
)
def test_fences_are_found(text: str, expected: list[str]) -> None:
    """Code is found from its opening to its closing fence, or to the end of what it is in."""
    assert fences(text) == expected


@settings(deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=8).map("\n".join))
@example("- a\n  > ```\n  > b\n  c")
def test_fences_are_those_of_commonmark(text: str) -> None:
    """A CommonMark parser finds the same lines in fences."""
    expected: set[int] = set()
    lines = text.split("\n")
    for token in PARSER.parse(text):
        if token.type == "fence" and token.map:
            expected.update(line for line in range(*token.map) if lines[line].strip(" >\r"))
    spans = views.fences(views.flat([text]))
    found: set[int] = set()
    for start, end in zip(spans.starts, spans.ends, strict=True):
        inside = range(text.count("\n", 0, start), text.count("\n", 0, end) + 1)
        found.update(line for line in inside if lines[line].strip(" >\r"))
    assert found == expected


def prose(*texts: str) -> list[str]:
    text = views.flat(texts)
    return list(views.strings(views.prose(text, views.fences(text))).to_pylist())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# One two\n\nThree.\n###### Four\n####### five\n#six", "One two\nThree.\nFour\n####### five\n#six"),
        ("a\n\n```py\nb\n```\n\nc", "a\nc"),
        ("> a\n> > b\n>\n> c", "a\nb\nc"),
        ("- a\n  - b\n\n  c\n1. d", "- a\n- b\nc\n1. d"),
        ("| a | b |\n| --- | :-: |\n| c \\| d |  |", "a | b\nc | d |"),
        ("use `x_y` and ``a`b`` \\*here\\* C:\\dir \\", "use x_y and ab *here* C:\\dir \\"),
        ("a  \r\nb\t", "a\nb"),
        ("#", ""),
        ("", ""),
        ("```\nonly code\n```", ""),
    ],
)
def test_prose_has_no_code_and_no_marks(text: str, expected: str) -> None:
    """Fenced code, blank lines, and the marks of headings, quotes, tables and inline code are left out."""
    assert prose(text) == [expected]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([*LINES, "# a", "| a | b |", "|-|", "\\", "\\a"]), max_size=6), max_size=4))
def test_prose_of_each_text_is_its_own(texts: list[list[str]]) -> None:
    """The prose of a text does not depend on its neighbors, has no blank lines, and is no longer than the text."""
    joined = ["\n".join(lines) for lines in texts]
    found = prose(*joined)
    assert found == [prose(text)[0] for text in joined]
    for text, shorter in zip(joined, found, strict=True):
        assert len(shorter) <= len(text)
        assert not shorter or all(line.strip() for line in shorter.split("\n"))
