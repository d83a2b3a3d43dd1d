"""The chosen blocks of a page as Markdown: CommonMark, with the pipe tables of GitHub's and `$` around formulas.

The structure comes from the page's elements, the text only from blocks that are taken. Text is escaped where it would
mean something in Markdown, so that a CommonMark parser gives back the same headings, list items, code and words.
Attributes (the language of code, the first number of a list) are read from the source where they matter.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from curation.arrays import Bools
from curation.extraction.blocks.parse import (
    AROUND,
    CLOSED,
    CODE,
    DISPLAY,
    ELEMENT,
    END,
    END_BLOCK,
    FIRST_BLOCK,
    FIRST_RUN,
    HEADLINE,
    OPENED,
    PARENT,
    PRE,
    RUN_FLAGS,
    START,
    TABLE,
    TAG,
    TEX,
    Page,
    parse,
)  # fmt: skip
from curation.extraction.blocks.tags import NAMES, NUMBERS
from curation.extraction.blocks.write import find_data_tables, without_unshown

MAX_DEPTH = 40
"""Elements around a block that its structure is made of; those further inside are ignored."""
MAX_CONTAINERS = 8
"""Lists and quotes inside one another; parsers of Markdown limit this, too."""
MAX_COLUMNS = 60
"""Columns of a table."""
MAX_NUMBER = 999_999_999
"""Largest number of a list item in CommonMark."""
TAG_BYTES = 2000
"""Bytes of a start tag in which attributes are looked for."""

LI, QUOTE, PRE_TAG, CODE_TAG, TABLE_TAG, TR, TD, TH, OL, BR = (
    NUMBERS[name] for name in ("li", "blockquote", "pre", "code", "table", "tr", "td", "th", "ol", "br")
)
_LEVELS = {NUMBERS[f"h{level}"]: level for level in range(1, 7)}
_LISTS = {NUMBERS[name] for name in ("ul", "ol", "menu", "dir")}
_LINES = {NUMBERS["div"], TD}
_KINDS = {*_LEVELS, *_LISTS, LI, QUOTE, PRE_TAG, NUMBERS["listing"], CODE_TAG, TABLE_TAG, TR, TD, TH}
_STRUCTURE = [number in _KINDS for number in range(len(NAMES))]

_ATTRIBUTE = re.compile(rb"""([^\s"'<>/=]+)\s*(?:=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+)))?|(>)""")
_ESCAPED = re.compile(r"\\(?=[!-/:-@\[-`{-~]|$)|`|\*+|_+|<(?!\s|$)|&(?=#?\w+;)|\](?=[(:])")
_BEGINNING = re.compile(r"#{1,6}(?=\s|$)|[-+](?=\s|$)|>|~~~|=+\s*$|[-:|][-:|\s]*$|\d{1,9}(?=[.)](?:\s|$))")
_CLOSING = re.compile(r"(?:(?<=\s)|^)(?=#+$)")
_BACKTICKS = re.compile("`+")
_RAW_FORMULA = re.compile(
    r"\\\(((?:(?!\\[()]).){1,500})\\\)|\\\[((?:(?!\\[\[\]]).){1,1000})\\\]"
    r"|\$\$([^$]{1,1000})\$\$|\$(?! )([^$]{1,300})(?<! )\$(?!\d)"
)
_FORMULA_SIGNS = set("\\^_{=")

_LINE_CLASS = re.compile(r"(?:^|\s)(?:blob-code\S*|crayon-line|code-?line|cm-line|view-line)(?:\s|$)")
_PLAIN_LINE_CLASS = re.compile(r"(?:^|[\s_-])(?:line|code)(?:$|[\s_-])")
_NUMBER_CLASS = re.compile(
    r"(?:^|\s)(?:[\w-]*(?:gutter|line-?num(?:ber)?s?|lineno(?:s|div)?|ln-numbers|blob-num|crayon-nums?)|lnt?)(?=\s|$)"
)
_NUMBERS = re.compile(r"[0-9]{1,6}(?:\s+[0-9]{1,6})*")
_CLASS_LANGUAGE = re.compile(
    r"(?:^|\s)(?:language-|lang[-:]|brush:\s*|highlight-source-|mw-highlight-lang-|highlight-text-|highlight-)([\w+#.-]+)"
)
_LANGUAGE = re.compile(r"[a-z0-9][\w+#.-]{0,19}")
_NO_LANGUAGE = {"none", "text", "plain", "plaintext", "nohighlight", "txt", "default", "auto", "unknown", "highlighter"}
_LANGUAGE_NAMES = """
    abap actionscript ada applescript arduino asm assembly awk bash basic batch bat c cc clojure cmake cobol
    coffeescript console cpp c++ cs csharp c# css csv cuda cython d dart delphi diff docker dockerfile elisp elixir
    elm erlang f# fortran fsharp gcode gherkin go golang gradle graphql groovy haml handlebars haskell hcl html http
    ini java javascript jinja js json jsx julia kotlin latex less lisp lua make makefile markdown mathematica matlab
    mysql nginx nim nix objc objective-c objectivec ocaml octave pascal perl pgsql php plsql postgresql powershell
    prolog properties protobuf ps1 puppet py python python3 pycon r ruby rb rust rs sas sass scala scheme scss sh
    shell shell-session solidity sparql sql stata svelte swift tcl terraform tex toml tsql ts tsx typescript vb vba
    vbnet verilog vhdl vim vue wasm xml xslt yaml yml zig zsh
"""
LANGUAGES = set(_LANGUAGE_NAMES.split())
"""Names of languages that may stand alone in a class: `class="python"`, `class="sourceCode haskell"`."""


class _Unit(NamedTuple):
    """A piece of the output: a paragraph, heading, table or code block.

    Attributes:
        containers: The list items and quotes around it, from the outermost in.
        lines: Its lines, without what the containers put before them.
        tight: Whether a list may begin on the next line.
    """

    containers: tuple[int, ...]
    lines: list[str]
    tight: bool


def write_markdown(page: Page, source: bytes, taken: Bools) -> str:
    """The text of the blocks that are taken, in Markdown.

    Args:
        page: The page, as `parse` returns it for `source`.
        source: The page's HTML in UTF-8.
        taken: Whether each block is taken, shape (blocks,).

    Returns:
        Headings, paragraphs, lists, quotes, tables, code in fences, formulas in LaTeX. A blank line separates blocks,
        except list items and rows. Hidden text in a block with other text is left out.
    """
    blocks = np.flatnonzero(taken)
    if not len(blocks):
        return ""
    return _Writer(without_unshown(page), source, taken, blocks).write()


class _Writer:
    """Writes one page. Columns of the page are fetched once, as lists; places in lists of blocks count taken blocks."""

    def __init__(self, page: Page, source: bytes, taken: Bools, blocks: np.ndarray) -> None:
        self.page, self.source = page, source
        self.blocks: list[int] = blocks.tolist()
        self.around: list[int] = page.blocks[blocks, AROUND].tolist()
        first_runs, end_runs = page.blocks[blocks, FIRST_RUN], page.blocks[blocks + 1, FIRST_RUN]
        self.base = int(first_runs[0])
        runs = page.runs[self.base : int(end_runs[-1])]
        self.first_run: list[int] = (first_runs - self.base).tolist()
        self.end_run: list[int] = (end_runs - self.base).tolist()
        self.start: list[int] = runs[:, START].tolist()
        self.end: list[int] = runs[:, END].tolist()
        self.element: list[int] = runs[:, ELEMENT].tolist()
        self.flags: list[int] = runs[:, RUN_FLAGS].tolist()
        self.tags: list[int] = page.elements[:, TAG].tolist()
        self.parents: list[int] = page.elements[:, PARENT].tolist()
        self.headlines = [0, *accumulate((self.flags[run] & HEADLINE) > 0 for run in self.first_run)]
        text_start = self.start[0]
        self.text = page.text[text_start : self.end[-1]].tobytes()
        self.shift = text_start
        breaks = page.elements[np.flatnonzero(page.elements[:-1, TAG] == BR), FIRST_BLOCK]
        self.breaks: list[int] = np.bincount(breaks, minlength=len(taken) + 1)[blocks].tolist()
        self.chains: dict[int, tuple[int, ...]] = {-1: (), 0: ()}
        self.known_attributes: dict[int, dict[str, str]] = {}
        self.known_items: dict[int, bool] = {}
        self.known_rows: dict[int, bool] = {}
        self.numbers_end = 0
        self.known_tables: dict[int, bool] = {}
        self.numbers: dict[int, int] = {}
        in_table = any(self.flags[run] & TABLE for run in self.first_run)
        self.data_tables = find_data_tables(page, taken) if in_table else None
        self.raw_formulas: bool | None = None

    def write(self) -> str:
        """The Markdown of the page."""
        units: list[_Unit] = []
        place = 0
        while place < len(self.blocks):
            place = self.add(place, units)
        return self.render(units)

    # Structure.

    def chain(self, element: int) -> tuple[int, ...]:
        """The elements that matter at and around `element`, from the outermost in."""
        path = []
        while element not in self.chains:
            path.append(element)
            element = self.parents[element]
        chain = self.chains[element]
        for element in reversed(path):
            if _STRUCTURE[self.tags[element]] and len(chain) < MAX_DEPTH:
                chain = (*chain, element)
            self.chains[element] = chain
        return chain

    def attributes(self, element: int) -> dict[str, str]:
        """The attributes of an element, by name in lower case."""
        known = self.known_attributes.get(element)
        if known is None:
            known = self.known_attributes[element] = {}
            start = int(self.page.elements[element, OPENED])
            if element > 0:
                for match in _ATTRIBUTE.finditer(self.source, start, start + TAG_BYTES):
                    name, *values, closing = match.groups()
                    if closing:
                        break
                    value = next((value for value in values if value is not None), b"")
                    known.setdefault(name.decode(errors="replace").lower(), value.decode(errors="replace"))
        return known

    def classes(self, element: int) -> str:
        """The beginning of an element's class, in lower case."""
        return self.attributes(element).get("class", "")[:300].lower()

    def places(self, element: int) -> tuple[int, int]:
        """The first taken block in `element`, and the one after its last."""
        row = self.page.elements[element]
        return bisect_left(self.blocks, int(row[FIRST_BLOCK])), bisect_left(self.blocks, int(row[END_BLOCK]))

    def is_item(self, element: int) -> bool:
        """Whether an `<li>` is written as a list item: it begins with its own text, and has no headings."""
        known = self.known_items.get(element)
        if known is None:
            first, end = self.places(element)
            if first == end:
                return False
            own = [inner for inner in self.chain(self.element[self.first_run[first]]) if self.tags[inner] == LI]
            known = element in own[-1:] and self.headlines[first] == self.headlines[end]
            self.known_items[element] = known
        return known

    def is_table(self, element: int) -> bool:
        """Whether a table is written as a table: it holds data, not lines of code."""
        known = self.known_tables.get(element)
        if known is None:
            known = self.data_tables is not None and bool(self.data_tables[element])
            known = known and not self.is_listing(element)
            self.known_tables[element] = known
        return known

    def is_listing(self, table: int) -> bool:
        """Whether the rows of a table are lines of code, after their numbers."""
        first, end = self.places(table)
        numbered = 0
        for place in range(first, end):
            if self.is_line(place):
                return True
            if self.is_number(place):
                numbered += 1
            elif not self.is_code(place):
                return False
        return numbered > 1 and 2 * numbered >= end - first

    def containers(self, chain: tuple[int, ...]) -> tuple[int, ...]:
        """The list items and quotes of a chain, up to the table or code that it leads into."""
        found: list[int] = []
        for element in chain:
            tag = self.tags[element]
            if tag == PRE_TAG or (tag == TABLE_TAG and self.is_table(element)):
                break
            if (tag == QUOTE or (tag == LI and self.is_item(element))) and len(found) < MAX_CONTAINERS:
                found.append(element)
        return tuple(found)

    def number(self, item: int) -> int:
        """The number of an item of a numbered list."""
        if not self.numbers:
            following: dict[int, int] = {}
            for element in np.flatnonzero(self.page.elements[:-1, TAG] == LI).tolist():
                parent = self.parents[element]
                if self.tags[parent] == OL:
                    number = following.get(parent)
                    if number is None:
                        number = _integer(self.attributes(parent).get("start"), 1)
                    number = min(_integer(self.attributes(element).get("value"), number), MAX_NUMBER)
                    self.numbers[element] = number
                    following[parent] = number + 1
        return self.numbers[item]

    # Text.

    def read(self, start: int, end: int) -> str:
        return self.text[start - self.shift : end - self.shift].decode(errors="replace")

    def plain(self, place: int) -> str:
        """The text of a block as it is."""
        return self.read(self.start[self.first_run[place]], self.end[self.end_run[place] - 1])

    def inline(self, place: int) -> str:
        """The text of a block in one line, escaped, with code and formulas marked."""
        first, end = self.first_run[place], self.end_run[place]
        special = 0
        for run in range(first, end):
            special |= self.flags[run]
        if not special & (CODE | TEX):
            return _joined(self.escape(self.read(self.start[first], self.end[end - 1]).strip()))
        parts: list[str] = []
        run = first
        while run < end:
            start, kind = run, self.flags[run] & (CODE | TEX)
            kind = TEX if kind & TEX else kind
            while run < end and (self.flags[run] & TEX or self.flags[run] & CODE) == kind:
                run += 1
                if kind == TEX:
                    break
            text = self.read(self.start[start], self.end[run - 1])
            inner = text.strip()
            if not kind or not inner:
                parts.append(self.escape(text))
                continue
            parts.append(text[: len(text) - len(text.lstrip())])
            if kind == CODE:
                parts.append(_code(inner))
            else:
                mark = "$$" if self.is_display(start) else "$"
                parts.append(f"{mark}{_without_dollars(inner)}{mark}")
            parts.append(text[len(text.rstrip()) :])
        return _joined("".join(parts).strip())

    def is_display(self, run: int) -> bool:
        """Whether the formula of a run is set on a line of its own."""
        if self.flags[run] & DISPLAY:
            return True
        element = self.element[run]
        if self.attributes(element).get("display") == "block":
            return True
        for _ in range(5):
            element = self.parents[element]
            if element <= 0:
                break
            if "display" in self.classes(element):
                return True
        return False

    def escape(self, text: str) -> str:
        """Text with a backslash before the characters that would mean something else in Markdown."""
        if ("$" in text or "\\" in text) and _RAW_FORMULA.search(text):
            if self.raw_formulas is None:
                self.raw_formulas = any(name in self.source for name in (b"MathJax", b"mathjax", b"katex", b"KaTeX"))
            if self.raw_formulas:
                parts, end = [], 0
                for match in _RAW_FORMULA.finditer(text):
                    inline, display, dollars, dollar = match.groups()
                    if dollar and not set(dollar) & _FORMULA_SIGNS:
                        continue
                    mark = "$$" if display or dollars else "$"
                    formula = inline or display or dollars or dollar
                    parts += [_escaped(text[end : match.start()]), f"{mark}{formula.strip()}{mark}"]
                    end = match.end()
                return "".join([*parts, _escaped(text[end:])])
        return _escaped(text)

    # Pieces.

    def add(self, place: int, units: list[_Unit]) -> int:
        """Append the unit that begins with a block; returns the place after it."""
        flags = self.flags[self.first_run[place]]
        chain = self.chain(self.element[self.first_run[place]])
        for element in chain if flags & TABLE else ():
            if self.tags[element] == TABLE_TAG and self.is_table(element):
                return self.add_table(element, place, chain, units)
        if flags & PRE:
            return self.add_preformatted(place, chain, units)
        containers = self.containers(chain)
        if flags & HEADLINE:
            return self.add_heading(place, chain, containers, units)
        start = self.start[self.first_run[place]] - self.shift
        if self.text[start : start + 1] < b":":  # may begin with a digit
            end = self.gutter_end(place)
            if end > place:
                return end
        end = self.listing_end(place)
        if end > place:
            return self.add_listing(place, end, containers, units)
        end = place + 1
        while self.continues(end):
            end += 1
        lines = [_escaped_beginning(self.inline(line)) for line in range(place, end)]
        lines = [line for line in lines if line]
        if lines:
            units.append(_Unit(containers, [*(f"{line}  " for line in lines[:-1]), lines[-1]], True))
        return end

    def continues(self, place: int) -> bool:
        """Whether the block is the next line of the paragraph before it: nothing but one `<br>` is between them."""
        return (
            place < len(self.blocks)
            and self.breaks[place] == 1
            and self.blocks[place] == self.blocks[place - 1] + 1
            and self.around[place] == self.around[place - 1]
            and not self.flags[self.first_run[place]] & (PRE | HEADLINE)
        )

    def add_heading(self, place: int, chain: tuple[int, ...], containers: tuple[int, ...], units: list[_Unit]) -> int:
        """Append a heading, all of its lines in one."""
        heading = next((element for element in reversed(chain) if self.tags[element] in _LEVELS), -1)
        end = place + 1
        while heading >= 0 and end < self.places(heading)[1]:
            end += 1
        text = " ".join(filter(None, map(self.inline, range(place, end))))
        level = _LEVELS[self.tags[heading]] if heading >= 0 else 2
        if text:
            units.append(_Unit(containers, [f"{'#' * level} {_CLOSING.sub(_BACKSLASH, text)}"], False))
        return end

    def add_table(self, table: int, place: int, chain: tuple[int, ...], units: list[_Unit]) -> int:
        """Append a table; what is not in its cells comes before it."""
        end = self.places(table)[1]
        containers = self.containers(chain[: chain.index(table) + 1])
        cells: dict[int, list[str]] = {}
        for block in range(place, end):
            inner = self.chain(self.around[block])
            cell = next((element for element in reversed(inner) if self.tags[element] in (TD, TH)), -1)
            text = self.inline(block)
            if cell > table:
                cells.setdefault(cell, []).append(text.replace("|", "\\|"))
            elif text:
                units.append(_Unit(containers, [_escaped_beginning(text)], True))
        grid = self.grid(table, cells) if cells else []
        width = max(map(len, grid), default=0)
        lines = [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in grid]
        if lines:
            units.append(_Unit(containers, [lines[0], f"|{' --- |' * width}", *lines[1:]], False))
        return end

    def grid(self, table: int, cells: dict[int, list[str]]) -> list[list[str]]:
        """The texts of the rows that have any, each cell in its column."""
        rows: dict[int, list[int]] = {}
        names = self.page.elements[table : min(max(cells) + MAX_COLUMNS, len(self.page.elements) - 1), TAG]
        candidates = np.flatnonzero(np.isin(names, (TD, TH))) + table
        for cell in candidates.tolist():
            chain = self.chain(cell)
            if table in chain:
                row = next((element for element in reversed(chain) if self.tags[element] == TR), -1)
                rows.setdefault(row, []).append(cell)
        grid: list[list[str]] = []
        below: dict[int, int] = {}  # rows that a cell above still covers, by column
        for numbers in rows.values():
            columns: list[list[str]] = []
            covered = {column for column, count in below.items() if count}
            below = {column: count - 1 for column, count in below.items() if count > 1}
            for cell in numbers:
                while len(columns) in covered:
                    columns.append([])
                attributes = self.attributes(cell)
                span = min(_integer(attributes.get("colspan"), 1) or 1, MAX_COLUMNS)
                height = min(_integer(attributes.get("rowspan"), 1), 1000)
                if len(columns) + span > MAX_COLUMNS and columns:  # too wide: the rest goes into the last column
                    columns[-1] += cells.get(cell, ())
                    continue
                if height > 1:
                    below |= {len(columns) + column: height - 1 for column in range(span)}
                columns += [[*cells.get(cell, ())], *([] for _ in range(span - 1))]
            texts = [" ".join(filter(None, column)) for column in columns]
            if any(texts):
                grid.append(texts)
        used = max((column + 1 for texts in grid for column, text in enumerate(texts) if text), default=0)
        return [texts[:used] for texts in grid]

    # Code.

    def is_code(self, place: int) -> bool:
        """Whether all of a block is code."""
        first, end = self.first_run[place], self.end_run[place]
        return self.flags[first] & CODE > 0 and all(self.flags[run] & CODE for run in range(first + 1, end))

    def is_number(self, place: int) -> bool:
        """Whether a block is nothing but numbers."""
        start = self.start[self.first_run[place]] - self.shift
        return self.text[start : start + 1] in b"0123456789 " and bool(_NUMBERS.fullmatch(self.plain(place).strip()))

    def is_gutter(self, place: int) -> bool:
        """Whether a block holds line numbers: an element around it is named so, or it is in a table row with code."""
        if not self.is_number(place):
            return False
        element = self.element[self.first_run[place]]
        for _ in range(4):
            if element <= 0 or self.tags[element] == TABLE_TAG:
                break
            if _NUMBER_CLASS.search(self.classes(element)):
                return True
            element = self.parents[element]
        chain = self.chain(self.around[place])
        row = next((element for element in reversed(chain) if self.tags[element] == TR), -1)
        if row < 0:
            return False
        numbers = [int(number) for number in self.plain(place).split()[:1000]]
        return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and self.has_code(row)

    def has_code(self, row: int) -> bool:
        """Whether a row of a table has a cell of code."""
        known = self.known_rows.get(row)
        if known is None:
            known = any(
                (self.flags[self.first_run[place]] & PRE or self.is_code(place)) and not self.is_number(place)
                for place in range(*self.places(row))
            )
            self.known_rows[row] = known
        return known

    def gutter_end(self, place: int) -> int:
        """The place after the line numbers that begin with this block, if code is next to them; else `place`."""
        end = place
        while self.numbers_end <= end < len(self.blocks) and self.is_gutter(end):
            end += 1
        if end == place:
            return place
        self.numbers_end = end
        near = [other for other in (place - 1, end) if 0 <= other < len(self.blocks)]
        is_next = any(
            self.flags[self.first_run[other]] & PRE or self.is_code(other) or self.is_line(other) for other in near
        )
        return end if is_next else place

    def listing_end(self, place: int) -> int:
        """The place after the lines of code that begin with this block, each a block of its own; `place` if none do."""
        if self.is_line(place):
            has_class = True
        elif self.is_code(place):
            has_class = False
        else:
            return place
        end, last = place + 1, place
        while end < len(self.blocks):
            if self.is_gutter(end):
                end += 1
            elif self.blocks[end] - self.blocks[end - 1] == 1 and (
                self.is_line(end) if has_class else self.is_next_line(last, end)
            ):
                last = end
                end += 1
            else:
                break
        return last + 1 if last > place else place

    def is_line(self, place: int) -> bool:
        """Whether a block's class says that it is a line of code."""
        around = self.around[place]
        if self.tags[around] not in _LINES:
            return False
        start = self.page.elements[around, OPENED]
        head = self.source[start : start + 200]
        return (b"line" in head or b"code" in head) and bool(_LINE_CLASS.search(self.classes(around)))

    def is_next_line(self, last: int, place: int) -> bool:
        """Whether a block of code continues the listing of the one before."""
        if not self.is_code(place):
            return False
        before, around = self.around[last], self.around[place]
        if before == around:
            return self.breaks[place] > 0
        if self.tags[before] != self.tags[around]:
            return False
        if self.tags[around] == TD:
            return True
        if self.parents[before] != self.parents[around]:
            return False
        return bool(_PLAIN_LINE_CLASS.search(self.classes(around)))

    def add_listing(self, place: int, end: int, containers: tuple[int, ...], units: list[_Unit]) -> int:
        """Append lines of code that are blocks, with the white space of the source."""
        around = self.around[place]
        places = [line for line in range(place, end) if not self.is_gutter(line)]
        if self.around[end - 1] == around:
            places = list(range(place, end))
            shared = {
                element for element in self.chain(self.element[self.first_run[place]]) if self.tags[element] == CODE_TAG
            }
            for line in range(place + 1, end):
                shared &= set(self.chain(self.element[self.first_run[line]]))
            elements = [max(shared) if shared else around]
            is_whole = self.covers(elements[0], place, end)
        else:
            elements = list(dict.fromkeys(self.around[line] for line in places))
            is_whole = all(self.covers(self.around[line], line, line + 1) for line in places)
        plain = [self.plain(line) for line in places]
        lines = self.preserved(elements) if is_whole else plain
        if _letters(lines) != _letters(plain):  # the elements hold other text, too, or are not well-formed
            lines = plain
        units.append(_Unit(containers, _fenced(lines, self.language(self.element[self.first_run[place]])), False))
        return end

    def covers(self, element: int, place: int, end: int) -> bool:
        """Whether the blocks of an element are exactly the taken ones from `place` to before `end`."""
        first, last = self.blocks[place], self.blocks[end - 1]
        first_block, end_block = self.page.elements[element, [FIRST_BLOCK, END_BLOCK]].tolist()
        return bool((first_block, end_block, end - place) == (first, last + 1, last + 1 - first))

    def preserved(self, elements: list[int]) -> list[str]:
        """The lines of elements, with the white space that the page's style sheet shows.

        They are not those of the blocks where an end tag `</pre>` is in the elements: the caller compares them.
        """
        parts = []
        for element in elements:
            start, end = int(self.page.elements[element, OPENED]), int(self.page.elements[element, CLOSED])
            parts.append(b"<pre>." + b"<i" + self.source[start:end] + b"</pre>")
        inner = without_unshown(parse(np.frombuffer(b"".join(parts), np.uint8)))
        text = inner.text.tobytes()
        lines = []
        for block in range(len(inner.blocks) - 1):
            first, end = inner.blocks[block, FIRST_RUN], inner.blocks[block + 1, FIRST_RUN]
            lines += text[inner.runs[first, START] + 1 : inner.runs[end - 1, END]].decode(errors="replace").split("\n")
        return lines

    def add_preformatted(self, place: int, chain: tuple[int, ...], units: list[_Unit]) -> int:
        """Append preformatted text: code in a fence, prose as paragraphs."""
        containers = self.containers(chain)
        end = self.gutter_end(place)
        if end > place:
            return end
        texts = [self.code(place)]
        end, last = place + 1, place
        while self.continues_code(last, end):
            if not self.is_gutter(end):
                texts.append(self.code(end))
                last = end
            end += 1
        language = self.language(self.element[self.first_run[place]])
        text = "\n".join(texts)
        if not language and len(texts) == 1 and not self.is_code(place) and _is_prose(text):
            for paragraph in re.split(r"\n\s*\n", text):
                lines = [
                    _escaped_beginning(self.escape(line.strip())) for line in paragraph.split("\n") if line.strip()
                ]
                if lines:
                    units.append(_Unit(containers, lines, True))
        elif text.strip():
            units.append(_Unit(containers, _fenced(text.split("\n"), language), False))
        return end

    def continues_code(self, last: int, place: int) -> bool:
        """Whether a preformatted block continues that of `last`, as in tables with a row for each line."""
        if place >= len(self.blocks) or not self.flags[self.first_run[place]] & PRE:
            return False
        if self.blocks[place] != self.blocks[place - 1] + 1:
            return False
        before, around = self.around[last], self.around[place]
        if before == around or self.tags[around] != PRE_TAG:
            return before == around
        if "line" in self.classes(before) and self.classes(before) == self.classes(around):
            return self.parents[before] == self.parents[around]
        rows = [next((e for e in reversed(self.chain(pre)) if self.tags[e] == TR), -1) for pre in (before, around)]
        return -1 not in rows and rows[0] != rows[1] and self.parents[rows[0]] == self.parents[rows[1]]

    def code(self, place: int) -> str:
        """The text of a preformatted block without line numbers."""
        first, end = self.first_run[place], self.end_run[place]
        text = self.plain(place)
        one_line = "\n" not in text  # lines may only be told by their class
        if end - first == 1 or not (one_line or self.may_have_numbers(place)):
            return text
        parts: list[str] = []
        previous = -1
        for run in range(first, end):
            part = self.read(self.start[run], self.end[run])
            line = -1
            element = self.element[run]
            is_number = False
            for _ in range(5):
                if element <= 0 or self.tags[element] == PRE_TAG:
                    break
                classes = self.classes(element)
                is_number |= bool(_NUMBER_CLASS.search(classes)) and part.strip().isdecimal()
                if one_line and line < 0 and re.search(r"(?:^|[\s-])line(?:\s|$)", classes):
                    line = element
                element = self.parents[element]
            if is_number:
                continue
            if one_line and line >= 0 and previous >= 0 and line != previous:
                parts.append("\n")
            previous = line
            parts.append(part)
        return "".join(parts)

    def may_have_numbers(self, place: int) -> bool:
        """Whether a preformatted block contains a run that is a number and is called a line number."""
        for run in range(self.first_run[place], self.end_run[place]):
            start, end = self.start[run] - self.shift, self.end[run] - self.shift
            if end - start < 8 and self.text[start:end].strip().isdigit():
                element = self.element[run]
                return bool(
                    _NUMBER_CLASS.search(self.classes(element))
                    or _NUMBER_CLASS.search(self.classes(self.parents[element]))
                )
        return False

    def language(self, element: int) -> str:
        """The language that attributes of `element` and of those around it tell; "" if none does."""
        path = []
        for _ in range(12):
            if element <= 0 or NAMES[self.tags[element]] in ("body", "main", "article", "html"):
                break
            path.append(element)
            element = self.parents[element]
        code = [place for place, element in enumerate(path) if self.tags[element] in (PRE_TAG, CODE_TAG)]
        outermost = code[-1] if code else -1
        for place, element in enumerate(path[: outermost + 6]):
            attributes = self.attributes(element)
            own = place <= outermost
            for name in ("data-lang", "data-language", "lang"):
                found = attributes.get(name, "").lower().strip()
                if found and (name != "lang" or (found in LANGUAGES and len(found) > 2)):
                    return _named(found)
            classes = self.classes(element)
            for match in _CLASS_LANGUAGE.finditer(classes):
                if own or match[1] in LANGUAGES or not match[0].strip().startswith("lang"):
                    language = _named(match[1])
                    if language or own:
                        return language
            words = classes.split()
            if (own and len(words) < 5) or "highlight" in classes or "sourcecode" in words:
                for word in words:
                    if word in LANGUAGES:
                        return word
        return ""

    # Output.

    def render(self, units: list[_Unit]) -> str:
        """The units one after another, with what their containers put before their lines."""
        parts: list[str] = []
        before: tuple[int, ...] = ()
        rests: list[str] = []
        markers: list[str] = []
        tight = False
        for containers, lines, next_tight in units:
            common = 0
            while common < min(len(before), len(containers)) and before[common] == containers[common]:
                common += 1
            new = containers[common] if common < len(containers) else -1
            replaced = before[common] if common < len(before) else -1
            sibling = new >= 0 and replaced >= 0 and self.tags[new] == self.tags[replaced] == LI
            same_list = sibling and self.parents[new] == self.parents[replaced]
            old_marker = markers[common] if sibling else ""
            outer = "".join(rests[:common])
            first = outer
            del rests[common:], markers[common:]
            nested = False
            for element in containers[common:]:
                marker = "> "
                if self.tags[element] == LI:
                    marker = self.marker(element)
                    kind = marker.rstrip()[-1]
                    if old_marker and (kind == old_marker if not same_list else kind != old_marker):
                        marker = marker.translate(_OTHER_MARKERS)
                    nested = element == new and (marker[0] in "-*" or marker in ("1. ", "1) "))
                old_marker = ""
                first += marker
                rests.append("> " if marker == "> " else " " * len(marker))
                markers.append(marker.rstrip()[-1])
            if parts:
                inside = common == len(before) and before and self.tags[before[-1]] == LI
                if same_list or (nested and inside and tight):
                    parts.append("\n")
                else:
                    parts += ["\n", outer.rstrip(), "\n"]
            rest = "".join(rests)
            parts += [first, lines[0]]
            for line in lines[1:]:
                parts += ["\n", rest + line if line else rest.rstrip()]
            before, tight = containers, next_tight
        return "".join(parts)

    def marker(self, item: int) -> str:
        return f"{self.number(item)}. " if self.tags[self.parents[item]] == OL else "- "


_OTHER_MARKERS = str.maketrans("-*.)", "*-).")
_BACKSLASH = r"\\"


def _integer(value: str | None, default: int) -> int:
    """A number of at most nine digits from an attribute; `default` if it is none."""
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _named(name: str) -> str:
    """A name of a language as it is written after a fence; "" if it is none."""
    name = name.rstrip(";,.")
    return name if _LANGUAGE.fullmatch(name) and name not in _NO_LANGUAGE else ""


def _escape_match(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] in "*_":
        start, end, text = match.start(), match.end(), match.string
        left, right = text[start - 1 : start], text[end : end + 1]
        if left == right == " " or (found[0] == "_" and left.isalnum() and right.isalnum()):
            return found
    return "".join(f"\\{character}" for character in found)


def _escaped(text: str) -> str:
    """Text of a paragraph, heading or cell with its characters escaped where they would mean something."""
    if "_" in text or "*" in text or "`" in text or "<" in text or "\\" in text or "&" in text or "]" in text:
        return _ESCAPED.sub(_escape_match, text)
    return text


def _letters(lines: list[str]) -> str:
    """What is in lines besides white space."""
    return "".join("".join(lines).split())


def _joined(text: str) -> str:
    """Text in one line: that of a text area or of `<pre>` in a heading may have several."""
    return " ".join(text.split()) if "\n" in text else text


def _escaped_beginning(line: str) -> str:
    """A line of a paragraph whose beginning does not make it a heading, list item, quote, rule, table or fence."""
    if line[:1].isalpha():
        return line
    match = _BEGINNING.match(line)
    if match is None:
        return line
    at = match.end() if match[0].isdecimal() else 0
    return f"{line[:at]}\\{line[at:]}"


def _code(text: str) -> str:
    """Code in a line of text."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    if not longest:
        return f"`{text}`"
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}"


def _fenced(lines: list[str], language: str) -> list[str]:
    """Code between fences that are longer than any run of backticks in it, without blank lines around it."""
    lines = [line.rstrip() for line in lines]
    first, end = 0, len(lines)
    while first < end and not lines[first]:
        first += 1
    while end > first and not lines[end - 1]:
        end -= 1
    longest = max((len(run) for line in lines if "`" in line for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + language, *lines[first:end], fence]


def _without_dollars(formula: str) -> str:
    """A formula without marks of its own around it."""
    for start, end in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if formula.startswith(start) and formula.endswith(end) and len(formula) > len(start) + len(end):
            return formula[len(start) : -len(end)].strip()
    return formula


_SENTENCE_END = re.compile(r"[a-z][.?!](?=\s|$)")
_CODE_LINE = re.compile(r"[;{}>\\][ \t]*$|^[ \t]*[#$<>/%]|\S[ \t]{4,}\S|[=(]\)|->|::", re.MULTILINE)


def _is_prose(text: str) -> bool:
    """Whether preformatted text is sentences, not code: mail, poems and old pages of plain text."""
    letters = sum(map(str.isalpha, text))
    marks = len(text) - letters - sum(map(str.isspace, text))
    ends = len(_SENTENCE_END.findall(text))
    is_sentence = text[:1].isupper() and text.rstrip()[-1:] in ".!?" and len(text.split()) > 3
    return (ends > 1 or (ends == 1 and is_sentence)) and marks < 0.08 * letters and not _CODE_LINE.search(text)
