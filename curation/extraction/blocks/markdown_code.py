"""Blocks of code for Markdown: preformatted text, and listings of which each line is a block.

Attributes of the elements around tell lines and line numbers. Few pages have code, so this is no kernel.
"""

from __future__ import annotations

import re

import numpy as np

from curation.extraction.blocks.attributes import AttributeReader
from curation.extraction.blocks.code_languages import find_language
from curation.extraction.blocks.draft import AFTER, ALL_CODE, BLOCK, BREAKS, FIRST, LINE, LOOK, ROW, Draft
from curation.extraction.blocks.draft_attributes import is_number
from curation.extraction.blocks.draft_reader import DraftReader
from curation.extraction.blocks.markdown_escapes import fenced
from curation.extraction.blocks.markdown_lines import LineWriter
from curation.extraction.blocks.parse import (
    CLOSED,
    END,
    END_BLOCK,
    FIRST_BLOCK,
    FIRST_RUN,
    OPENED,
    PRE,
    START,
    parse,
)  # fmt: skip
from curation.extraction.blocks.tags import NAMES, NUMBERS
from curation.extraction.blocks.unshown import without_unshown

PRE_TAG, CODE_TAG, TABLE_TAG, TR, TD = (NUMBERS[name] for name in ("pre", "code", "table", "tr", "td"))

_PLAIN_LINE_CLASS = re.compile(r"(?:^|[\s_-])(?:line|code)(?:$|[\s_-])")
_SPAN_LINE_CLASS = re.compile(r"(?:^|[\s-])line(?:\s|$)")
_NUMBER_CLASS = re.compile(
    r"(?:^|\s)(?:[\w-]*(?:gutter|line-?num(?:ber)?s?|lineno(?:s|div)?|ln-numbers|blob-num|crayon-nums?)|lnt?)(?=\s|$)"
)
_SENTENCE_END = re.compile(r"[a-z][.?!](?=\s|$)")
_CODE_LINE = re.compile(r"[;{}>\\][ \t]*$|^[ \t]*[#$<>/%]|\S[ \t]{4,}\S|[=(]\)|->|::", re.MULTILINE)


class CodeReader(DraftReader):
    """Reads the code of one page."""

    def __init__(self, draft: Draft, source: bytes, attributes: AttributeReader, writer: LineWriter) -> None:
        super().__init__(draft, attributes)
        self.source, self.writer = source, writer
        self.text = draft.text.tobytes()
        columns = self.columns
        self.blocks, self.look, self.breaks = columns[BLOCK], columns[LOOK], columns[BREAKS]
        base = columns[FIRST][0]
        self.first_run, self.end_run = ([run - base for run in column] for column in (columns[FIRST], columns[AFTER]))
        runs: list[list[int]] = draft.runs[base : columns[AFTER][-1]].T.tolist()
        self.start, self.end, self.element, self.flags = runs
        self.known_rows: dict[int, bool] = {}
        self.numbers_end = 0

    def read(self, place: int) -> tuple[int, bytes, bool]:
        """Read the code or the line numbers that begin with a block.

        Args:
            place: The place of the block.

        Returns:
            The place after it, `place` if there is none; its Markdown, "" for line numbers next to code; whether it is
            paragraphs, so that a list may begin on the next line.
        """
        end = self.gutter_end(place)
        if end > place:
            return end, b"", False
        if self.flags[self.first_run[place]] & PRE:
            return self.read_preformatted(place)
        end = self.listing_end(place)
        return end, self.read_listing(place, end).encode() if end > place else b"", False

    def plain(self, place: int) -> str:
        """The text of a block as it is."""
        return self.text[self.start[self.first_run[place]] : self.end[self.end_run[place] - 1]].decode(errors="replace")

    # Lines and their numbers.

    def is_gutter(self, place: int) -> bool:
        """Whether a block holds line numbers: an element around it is named so, or it is in a table row with code."""
        text = self.plain(place)
        if not is_number(text):
            return False
        element = self.element[self.first_run[place]]
        for _ in range(4):
            if element <= 0 or self.tags[element] == TABLE_TAG:
                break
            if _NUMBER_CLASS.search(self.attributes.classes(element)):
                return True
            element = self.parents[element]
        row = self.innermost(self.around[place], ROW)
        if not row:
            return False
        numbers = [int(number) for number in text.split()[:1000]]
        return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and self.has_code(row)

    def has_code(self, row: int) -> bool:
        """Whether a row of a table has a cell of code."""
        known = self.known_rows.get(row)
        if known is None:
            first, end = self.draft.before[self.draft.elements[row, [FIRST_BLOCK, END_BLOCK]]].tolist()
            known = any(self.is_code(inner) and not is_number(self.plain(inner)) for inner in range(first, end))
            self.known_rows[row] = known
        return known

    def is_code(self, place: int) -> bool:
        """Whether a block is preformatted, or all of it is code."""
        return bool(self.flags[self.first_run[place]] & PRE or self.look[place] & ALL_CODE)

    def gutter_end(self, place: int) -> int:
        """The place after the line numbers that begin with this block, if code is next to them; else `place`."""
        end = place
        while self.numbers_end <= end < len(self.blocks) and self.is_gutter(end):
            end += 1
        if end == place:
            return place
        self.numbers_end = end
        near = [other for other in (place - 1, end) if 0 <= other < len(self.blocks)]
        return end if any(self.is_code(other) or self.look[other] & LINE for other in near) else place

    def listing_end(self, place: int) -> int:
        """The place after the lines of code that begin with this block, each a block of its own; `place` if none do."""
        has_class = self.look[place] & LINE
        if not has_class and not self.look[place] & ALL_CODE:
            return place
        end, last = place + 1, place
        while end < len(self.blocks):
            if self.is_gutter(end):
                end += 1
            elif self.blocks[end] - self.blocks[end - 1] == 1 and (
                self.look[end] & LINE if has_class else self.is_next_line(last, end)
            ):
                last = end
                end += 1
            else:
                break
        return last + 1 if last > place else place

    def is_next_line(self, last: int, place: int) -> bool:
        """Whether a block of code continues the listing of the one before."""
        if not self.look[place] & ALL_CODE:
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
        return bool(_PLAIN_LINE_CLASS.search(self.attributes.classes(around)))

    # Text.

    def read_listing(self, place: int, end: int) -> str:
        """Lines of code that are blocks, with the white space of the source."""
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
        return fenced(lines, self.language(self.element[self.first_run[place]]))

    def covers(self, element: int, place: int, end: int) -> bool:
        """Whether the blocks of an element are exactly the taken ones from `place` to before `end`."""
        first, last = self.blocks[place], self.blocks[end - 1]
        first_block, end_block = self.draft.elements[element, [FIRST_BLOCK, END_BLOCK]].tolist()
        return bool((first_block, end_block, end - place) == (first, last + 1, last + 1 - first))

    def preserved(self, elements: list[int]) -> list[str]:
        """The lines of elements, with the white space that the page's style sheet shows.

        They are not those of the blocks where an end tag `</pre>` is in the elements: the caller compares them.
        """
        parts = []
        for element in elements:
            start, end = int(self.draft.elements[element, OPENED]), int(self.draft.elements[element, CLOSED])
            parts.append(b"<pre>." + b"<i" + self.source[start:end] + b"</pre>")
        inner = without_unshown(parse(np.frombuffer(b"".join(parts), np.uint8)))
        text = inner.text.tobytes()
        lines = []
        for block in range(len(inner.blocks) - 1):
            first, end = inner.blocks[block, FIRST_RUN], inner.blocks[block + 1, FIRST_RUN]
            lines += text[inner.runs[first, START] + 1 : inner.runs[end - 1, END]].decode(errors="replace").split("\n")
        return lines

    def read_preformatted(self, place: int) -> tuple[int, bytes, bool]:
        """Preformatted text, as `read` returns it: code, or prose."""
        texts = [self.code(place)]
        end, last = place + 1, place
        while self.continues_code(last, end):
            if not self.is_gutter(end):
                texts.append(self.code(end))
                last = end
            end += 1
        language = self.language(self.element[self.first_run[place]])
        text = "\n".join(texts)
        if not language and len(texts) == 1 and not self.look[place] & ALL_CODE and _is_prose(text):
            return end, self.writer.paragraphs(text).encode(), True
        return end, fenced(text.split("\n"), language).encode() if text.strip() else b"", False

    def continues_code(self, last: int, place: int) -> bool:
        """Whether a preformatted block continues that of `last`, as in tables with a row for each line."""
        if place >= len(self.blocks) or not self.flags[self.first_run[place]] & PRE:
            return False
        if self.blocks[place] != self.blocks[place - 1] + 1:
            return False
        before, around = self.around[last], self.around[place]
        if before == around or self.tags[around] != PRE_TAG:
            return before == around
        classes = self.attributes.classes(before)
        if "line" in classes and classes == self.attributes.classes(around):
            return self.parents[before] == self.parents[around]
        rows = [self.innermost(before, ROW), self.innermost(around, ROW)]
        return 0 not in rows and rows[0] != rows[1] and self.parents[rows[0]] == self.parents[rows[1]]

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
            part = self.text[self.start[run] : self.end[run]].decode(errors="replace")
            line = -1
            element = self.element[run]
            is_number = False
            for _ in range(5):
                if element <= 0 or self.tags[element] == PRE_TAG:
                    break
                classes = self.attributes.classes(element)
                is_number |= bool(_NUMBER_CLASS.search(classes)) and part.strip().isdecimal()
                if one_line and line < 0 and _SPAN_LINE_CLASS.search(classes):
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
            start, end = self.start[run], self.end[run]
            if end - start < 8 and self.text[start:end].strip().isdigit():
                element = self.element[run]
                return bool(
                    _NUMBER_CLASS.search(self.attributes.classes(element))
                    or _NUMBER_CLASS.search(self.attributes.classes(self.parents[element]))
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
        return find_language(path, code[-1] if code else -1, self.attributes)


def _letters(lines: list[str]) -> str:
    """What is in lines besides white space."""
    return "".join("".join(lines).split())


def _is_prose(text: str) -> bool:
    """Whether preformatted text is sentences, not code: mail, poems and old pages of plain text."""
    letters = sum(map(str.isalpha, text))
    marks = len(text) - letters - sum(map(str.isspace, text))
    ends = len(_SENTENCE_END.findall(text))
    is_sentence = text[:1].isupper() and text.rstrip()[-1:] in ".!?" and len(text.split()) > 3
    return (ends > 1 or (ends == 1 and is_sentence)) and marks < 0.08 * letters and not _CODE_LINE.search(text)
