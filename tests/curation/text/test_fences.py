"""Fenced code in Markdown."""

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
