r"""Text that means the same in Markdown: a backslash before what would be a mark, code between backticks.

Input → output: `a*b` → `a\*b`, `1. a` → `1\. a`; code `x` → "`x`".
"""

from __future__ import annotations

import re

ESCAPED = re.compile(r"\\(?=[!-/:-@\[-`{-~]|$)|`|\*+|_+|<(?!\s|$)|&(?=#?\w+;)|\](?=[(:])")
_BEGINNING = re.compile(r"#{1,6}(?=\s|$)|[-+](?=\s|$)|>|~~~|=+\s*$|[-:|][-:|\s]*$|\d{1,9}(?=[.)](?:\s|$))")
_CLOSING = re.compile(r"(?:(?<=\s)|^)(?=#+$)")
_BACKTICKS = re.compile("`+")


def escape(text: str) -> str:
    """Text of a paragraph, heading or cell with its characters escaped where they would mean something."""
    return ESCAPED.sub(_escape_match, text)


def _escape_match(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] in "*_":
        start, end, text = match.start(), match.end(), match.string
        left, right = text[start - 1 : start], text[end : end + 1]
        if left == right == " " or (found[0] == "_" and left.isalnum() and right.isalnum()):
            return found
    return "".join(f"\\{character}" for character in found)


def find_beginning(line: str) -> int:
    """Where a backslash keeps a line from beginning a heading, list, quote, rule, table or fence; -1 if it does not."""
    match = _BEGINNING.match(line)
    if match is None:
        return -1
    return match.end() if match[0].isdecimal() else 0


def find_closing(line: str) -> int:
    """Where a backslash keeps number signs from closing a heading; -1 if there are none at the line's end."""
    match = _CLOSING.search(line) if line.endswith("#") else None
    return match.start() if match else -1


def in_one_line(text: str) -> str:
    """Text in one line: that of a text area or of `<pre>` in a heading may have several."""
    return " ".join(text.split()) if "\n" in text else text


def inline_code(text: str) -> str:
    """Code in a line of text."""
    longest = longest_backticks(text)
    if not longest:
        return f"`{text}`"
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}"


def fenced(lines: list[str], language: str) -> str:
    """Code between fences that are longer than any run of backticks in it, without blank lines around it."""
    lines = [line.rstrip() for line in lines]
    first, end = 0, len(lines)
    while first < end and not lines[first]:
        first += 1
    while end > first and not lines[end - 1]:
        end -= 1
    fence = "`" * max(3, longest_backticks("\n".join(lines)) + 1)
    return "\n".join([fence + language, *lines[first:end], fence])


def longest_backticks(text: str) -> int:
    """How many backticks are one after another at most."""
    return max(map(len, _BACKTICKS.findall(text)), default=0) if "`" in text else 0


def without_dollars(formula: str) -> str:
    """A formula without marks of its own around it."""
    for start, end in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if formula.startswith(start) and formula.endswith(end) and len(formula) > len(start) + len(end):
            return formula[len(start) : -len(end)].strip()
    return formula
