"""Lines of Markdown that are not as in the page: with escapes, inline code or formulas. Kernels copy all others."""

from __future__ import annotations

import re

import numpy as np

from curation.arrays import UInt8s
from curation.extraction.blocks.attributes import AttributeReader
from curation.extraction.blocks.draft import AFTER, BEGIN, END_MARK, FIRST, LOOK, MARKED, SPECIAL, STOP, Draft
from curation.extraction.blocks.markdown_escapes import (
    escape,
    find_beginning,
    find_closing,
    in_one_line,
    inline_code,
    without_dollars,
)
from curation.extraction.blocks.parse import CODE, DISPLAY, ELEMENT, END, PARENT, RUN_FLAGS, START, TEX

_RAW_FORMULA = re.compile(
    r"\\\(((?:(?!\\[()]).){1,500})\\\)|\\\[((?:(?!\\[\[\]]).){1,1000})\\\]"
    r"|\$\$([^$]{1,1000})\$\$|\$(?! )([^$]{1,300})(?<! )\$(?!\d)"
)
_COLUMNS = [FIRST, AFTER, LOOK, BEGIN, STOP]
_FORMULA_SIGNS = set("\\^_{=")
_ENGINES = (b"MathJax", b"mathjax", b"katex", b"KaTeX")
"""What the source of a page contains that shows formulas in its text as such."""


class LineWriter:
    """Writes lines of one page."""

    def __init__(self, draft: Draft, source: bytes, attributes: AttributeReader) -> None:
        self.draft, self.source, self.attributes = draft, source, attributes
        self.shows_formulas: bool | None = None

    def write(self) -> UInt8s:
        """Write the special lines of the draft, and set where they are; returns the text with these lines after it."""
        places = self.draft.places
        special = np.flatnonzero(places[:, LOOK] & SPECIAL)
        if not len(special):
            return self.draft.text
        text = self.draft.text.tobytes()
        parts, rows, begin = [text], [], len(text)
        for first, after, look, start, stop in places[special][:, _COLUMNS].tolist():
            line = (
                self.marked_line(text, self.draft.runs[first:after].tolist())
                if look & MARKED
                else in_one_line(self.escape(text[start:stop].decode(errors="replace").strip()))
            )
            part = line.encode()
            marks = [
                mark if mark < 0 else begin + len(line[:mark].encode())
                for mark in (find_beginning(line), find_closing(line))
            ]
            rows.append([begin, begin + len(part), *marks])
            parts.append(part)
            begin += len(part)
        places[special, BEGIN : END_MARK + 1] = rows
        return np.frombuffer(bytearray().join(parts), np.uint8)

    def marked_line(self, text: bytes, runs: list[list[int]]) -> str:
        """The text of a block in one line, escaped, its code and formulas marked.

        Args:
            text: The page's text.
            runs: The block's runs.
        """
        kinds = [TEX if run[RUN_FLAGS] & TEX else run[RUN_FLAGS] & CODE for run in runs]
        parts: list[str] = []
        first = 0
        while first < len(runs):
            kind, after = kinds[first], first + 1
            while kind != TEX and after < len(runs) and kinds[after] == kind:
                after += 1
            piece = text[runs[first][START] : runs[after - 1][END]].decode(errors="replace")
            inner = piece.strip()
            if not kind or not inner:
                parts.append(self.escape(piece))
            else:
                mark = "$$" if kind == TEX and self.is_display(runs[first]) else "$"
                written = inline_code(inner) if kind == CODE else f"{mark}{without_dollars(inner)}{mark}"
                parts += [piece[: len(piece) - len(piece.lstrip())], written, piece[len(piece.rstrip()) :]]
            first = after
        return in_one_line("".join(parts).strip())

    def is_display(self, run: list[int]) -> bool:
        """Whether the formula of a run is set on a line of its own."""
        element = run[ELEMENT]
        if run[RUN_FLAGS] & DISPLAY or self.attributes.read(element).get("display") == "block":
            return True
        for _ in range(5):
            element = int(self.draft.elements[element, PARENT])
            if element <= 0:
                break
            if "display" in self.attributes.classes(element):
                return True
        return False

    def escape(self, text: str) -> str:
        """Text with a backslash before what would mean something in Markdown; formulas that the page shows stay."""
        if ("$" in text or "\\" in text) and _RAW_FORMULA.search(text):
            if self.shows_formulas is None:
                self.shows_formulas = any(name in self.source for name in _ENGINES)
            if self.shows_formulas:
                parts, end = [], 0
                for match in _RAW_FORMULA.finditer(text):
                    inline, display, dollars, dollar = match.groups()
                    if dollar and not set(dollar) & _FORMULA_SIGNS:
                        continue
                    mark = "$$" if display or dollars else "$"
                    formula = inline or display or dollars or dollar
                    parts += [escape(text[end : match.start()]), f"{mark}{formula.strip()}{mark}"]
                    end = match.end()
                return "".join([*parts, escape(text[end:])])
        return escape(text)

    def paragraphs(self, text: str) -> str:
        """The lines of preformatted paragraphs, escaped, with one empty line between paragraphs."""
        lines: list[str] = []
        for line in text.split("\n"):
            escaped = self.escape(line.strip())
            mark = find_beginning(escaped)
            if escaped or (lines and lines[-1]):
                lines.append(escaped if mark < 0 else f"{escaped[:mark]}\\{escaped[mark:]}")
        return "\n".join(lines).rstrip("\n")
