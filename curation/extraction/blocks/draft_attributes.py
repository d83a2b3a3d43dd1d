"""What attributes say about a draft: the numbers of list items, and which blocks are lines of code."""

from __future__ import annotations

import re

import numpy as np

from curation.extraction.blocks.attributes import AttributeReader
from curation.extraction.blocks.draft import (
    ALL_CODE,
    BEGIN,
    BLOCK_AROUND,
    HAS_CODE,
    HAS_LINES,
    HAS_NUMBERS,
    HAS_TABLES,
    LI,
    LINE,
    LOOK,
    OL,
    STOP,
    TABLE_TAG,
    VALUE,
    Draft,
)  # fmt: skip
from curation.extraction.blocks.parse import END_BLOCK, FIRST_BLOCK, PARENT, TAG

MAX_NUMBER = 999_999_999
"""Largest number of a list item in CommonMark."""

_LINE_CLASS = re.compile(r"(?:^|\s)(?:blob-code\S*|crayon-line|code-?line|cm-line|view-line)(?:\s|$)")
_NUMBERS = re.compile(r"[0-9]{1,6}(?:\s+[0-9]{1,6})*")


def read_attributes(draft: Draft, attributes: AttributeReader) -> None:
    """Read the attributes that matter to a draft; sets HAS_CODE, the LOOK of lines of code, and VALUE of elements."""
    if draft.state[HAS_LINES]:
        _check_lines(draft, attributes)
    if draft.state[HAS_NUMBERS]:
        _number_items(draft, attributes)
    if draft.state[HAS_TABLES]:
        _check_tables(draft, attributes)


def is_number(text: str) -> bool:
    """Whether the text of a block is nothing but numbers."""
    return text[:1] in "0123456789 " and _NUMBERS.fullmatch(text.strip()) is not None


def _check_lines(draft: Draft, attributes: AttributeReader) -> None:
    """Decide by their classes which of the blocks that may be lines of code are."""
    looks = draft.places[:-1, LOOK]
    for place in np.flatnonzero(looks & LINE).tolist():
        if _LINE_CLASS.search(attributes.classes(int(draft.places[place, BLOCK_AROUND]))):
            draft.state[HAS_CODE] = 1
        else:
            looks[place] &= ~LINE


def _number_items(draft: Draft, attributes: AttributeReader) -> None:
    """Number the items of numbered lists."""
    elements = draft.elements
    first, end = draft.before[elements[:, FIRST_BLOCK]], draft.before[elements[:, END_BLOCK]]
    is_list = (elements[:, TAG] == OL) & (first < end)
    parents = elements[:-1, PARENT]
    items = np.flatnonzero((elements[:-1, TAG] == LI) & is_list[parents])
    following: dict[int, int] = {}
    numbers = []
    for item, parent in zip(items.tolist(), parents[items].tolist(), strict=True):
        number = following.get(parent)
        if number is None:
            number = attributes.number(parent, b"start", 1)
        number = min(attributes.number(item, b"value", number), MAX_NUMBER)
        numbers.append(number)
        following[parent] = number + 1
    draft.outline[items, VALUE] = numbers


def _check_tables(draft: Draft, attributes: AttributeReader) -> None:
    """Find the tables of data whose rows are lines of code, which are written as code."""
    tags = draft.elements[:-1, TAG]
    for table in np.flatnonzero((tags == TABLE_TAG) & (draft.outline[:-1, VALUE] > 0)).tolist():
        draft.outline[table, VALUE] = not _is_listing(draft, table)


def _is_listing(draft: Draft, table: int) -> bool:
    """Whether the rows of a table are lines of code, after their numbers."""
    first, end = draft.before[draft.elements[table, [FIRST_BLOCK, END_BLOCK]]].tolist()
    numbers = 0
    for begin, stop, look in draft.places[first:end, [BEGIN, STOP, LOOK]].tolist():
        if look & LINE:
            return True
        if is_number(draft.text[begin:stop].tobytes().decode(errors="replace")):
            numbers += 1
        elif not look & ALL_CODE:
            return False
    return numbers > 1 and 2 * numbers >= end - first
