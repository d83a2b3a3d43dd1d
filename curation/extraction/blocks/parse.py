"""HTML to flat arrays of elements, blocks and runs of text, in one pass by a kernel.

The tokenizer follows the HTML standard (https://html.spec.whatwg.org/multipage/parsing.html): raw text, comments,
attributes, character references. The tree is simplified where that does not change the text: implied end tags are the
standard's, misplaced end tags of formatting elements end their formatting but do not copy elements, and content that
the standard moves out of tables stays where it is. Time is linear in the page's length, and depth is not limited.

A block is text that one line would hold: between the beginnings and ends of block elements, and `<br>`. White space is
collapsed as a browser does, except in `<pre>`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt32s, UInt64s
from curation.extraction.blocks import entities
from curation.extraction.blocks.tags import (
    BASIS,
    BLOCK,
    BREAKS_OUT,
    CLOSES_P,
    CLOSES_SELECT,
    DEFINITION,
    DROPPED,
    EMBEDDED_HTML,
    FORMATTING,
    HEADING,
    IN_HEAD,
    IN_ITEM,
    ITEM,
    LISTS,
    NAME_HASHES,
    NAME_KEYS,
    NAME_NUMBERS,
    NEEDS_END,
    NUMBERS,
    ONCE,
    OPTIONS,
    PRIME,
    PROPERTIES,
    RAISED,
    RAW,
    ROW,
    ROW_GROUP,
    RUBY,
    SCOPE,
    SPACED,
    SPECIAL,
    TABLE_CELL,
    TABLE_PART,
    TABLE_SCOPE,
    VOID,
    hashed,
    table,
)
from curation.running.compiled import kernel, leaf

# Inherited properties of elements and of runs of text.
LINK, BOLD, ITALIC, CODE, PRE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
NAV, HEADER, FOOTER, ASIDE, FORM = 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9
ARTICLE, MAIN, TABLE, LIST, DEFINITIONS = 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14
FIGURE, CAPTION, BUTTON, HEADLINE, QUOTE = 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 19
LABEL, DETAILS, NOSCRIPT, FALLBACK, HIDDEN = 1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 24
ARIA_HIDDEN, DROP, MATH, TEX, DIALOG = 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29
SVG, PARAGRAPH, ADDRESS, TIME, CELL = 1 << 30, 1 << 31, 1 << 32, 1 << 33, 1 << 34
DISPLAY, FOREIGN = 1 << 35, 1 << 36

_FLAGS_BY_NAME = {
    "b": BOLD, "strong": BOLD, "i": ITALIC, "em": ITALIC, "code": CODE, "samp": CODE, "kbd": CODE, "tt": CODE,
    "pre": PRE, "listing": PRE, "nav": NAV, "header": HEADER, "footer": FOOTER, "aside": ASIDE, "form": FORM,
    "article": ARTICLE, "main": MAIN, "table": TABLE, "ul": LIST, "ol": LIST, "menu": LIST, "dl": DEFINITIONS,
    "figure": FIGURE, "figcaption": CAPTION, "caption": CAPTION, "button": BUTTON, "blockquote": QUOTE, "label": LABEL,
    "legend": LABEL, "details": DETAILS, "summary": DETAILS, "noscript": NOSCRIPT, "object": FALLBACK,
    "video": FALLBACK, "audio": FALLBACK, "canvas": FALLBACK, "math": MATH | FOREIGN, "dialog": DIALOG,
    "svg": SVG | DROP | FOREIGN,
    "p": PARAGRAPH, "address": ADDRESS, "time": TIME, "td": CELL, "th": CELL,
    **{f"h{level}": HEADLINE for level in range(1, 7)},
}  # fmt: skip
_OWN_FLAGS = np.zeros(len(PROPERTIES), np.int64)
for _name, _flag in _FLAGS_BY_NAME.items():
    _OWN_FLAGS[NUMBERS[_name]] |= _flag
_OWN_FLAGS[PROPERTIES & DROPPED > 0] |= DROP

ROLES = {
    "navigation": NAV, "banner": HEADER, "contentinfo": FOOTER, "complementary": ASIDE, "main": MAIN,
    "article": ARTICLE, "dialog": DIALOG, "alertdialog": DIALOG, "menu": NAV, "menubar": NAV, "search": FORM,
    "button": BUTTON, "heading": HEADLINE, "list": LIST, "table": TABLE,
}  # fmt: skip
_ROLE_KEYS, _role_numbers = table([hashed(role.encode()) for role in ROLES], 6)
_ROLE_FLAGS = np.array([[*ROLES.values()][number] for number in _role_numbers], np.int64)

(
    _NO, CLASS, ID, ROLE, ITEMPROP, ITEMTYPE, TESTID, PROPERTY, STYLE, HIDDEN_ATTRIBUTE, ARIA, HREF, TYPE, CONTENT,
    ALTTEXT, SHADOW, DISPLAY_ATTRIBUTE,
) = range(KINDS := 17)  # fmt: skip
_ATTRIBUTES = {
    "class": CLASS, "id": ID, "role": ROLE, "itemprop": ITEMPROP, "itemtype": ITEMTYPE, "data-testid": TESTID,
    "data-component": TESTID, "data-component-name": TESTID, "data-test-id": TESTID, "data-qa": TESTID,
    "data-test": TESTID,
    "data-module": TESTID, "data-block": TESTID, "data-type": TESTID, "data-hook": TESTID, "data-section": TESTID,
    "aria-label": TESTID, "name": PROPERTY, "property": PROPERTY, "style": STYLE, "hidden": HIDDEN_ATTRIBUTE,
    "aria-hidden": ARIA, "href": HREF, "type": TYPE, "content": CONTENT, "alttext": ALTTEXT,
    "shadowrootmode": SHADOW, "display": DISPLAY_ATTRIBUTE,
}  # fmt: skip
_ATTRIBUTE_KEYS, _attribute_numbers = table([hashed(name.encode()) for name in _ATTRIBUTES], 7)
_ATTRIBUTE_KINDS = np.array([[*_ATTRIBUTES.values()][number] for number in _attribute_numbers], np.int64)

_RENDERED_KEYS, _ = table([hashed(name) for name in (b"katex-html", b"mathjax_preview")], 2)
"""Classes of formulas that are there twice: as they look, and as LaTeX."""

(
    OTHER, A, ANNOTATION, BODY_TAG, BR, BUTTON_TAG, FORM_TAG, HEAD, HTML, LI, MATH_TAG, META, NOSCRIPT_TAG, OPTGROUP,
    OPTION, P, PLAINTEXT, PRE_TAG, SCRIPT, SELECT, STYLE_TAG, TABLE_TAG, TEMPLATE, TITLE, TR,
) = (
    NUMBERS[name]
    for name in (
        "", "a", "annotation", "body", "br", "button", "form", "head", "html", "li", "math", "meta", "noscript",
        "optgroup", "option", "p", "plaintext", "pre", "script", "select", "style", "table", "template", "title", "tr",
    )
)  # fmt: skip

MAX_WALK = 512
"""How many open elements an end tag looks at: browsers do not nest deeper, and the time stays linear."""
MAX_TOKENS = 40
"""Tokens of the attributes of one element that are kept."""
MAX_VALUE = 1000
"""Bytes of an attribute's value that are looked at."""
MAX_FORMULA = 10_000
"""Bytes of a script that is taken for a formula; a longer one has swallowed the page."""
MAX_METAS = 64
"""Tokens of `<meta>` elements that are kept."""

TAG, PARENT, FLAGS, CONTAINER, FIRST_BLOCK, END_BLOCK, FIRST_TOKEN, SHAPE, OPENED, CLOSED = range(COLUMNS := 10)
AROUND, FIRST_RUN = range(2)
START, END, ELEMENT, RUN_FLAGS = range(4)


class Page(NamedTuple):
    """A page as arrays. Few large ones: every array of a signature costs time at each call and in compilation.

    Attributes:
        text: UTF-8 of all runs, one after another.
        elements: A row for each element in document order; row 0 is the document. Columns: TAG, the number of its
            name; PARENT, its parent, -1 for the document; FLAGS, inherited properties (LINK, NAV, …); CONTAINER, the
            innermost block element around its text, itself or an ancestor; FIRST_BLOCK and END_BLOCK, the first block
            in it and the one after the last; FIRST_TOKEN, its first token; SHAPE, a hash of its name and of the words
            in its class; OPENED and CLOSED, the places in the source after the name in its start tag and of the tag
            that closes it. One more row at the end holds the last FIRST_TOKEN.
        tokens: Hashes of the parts of classes, ids and the like.
        blocks: A row for each block. Columns: AROUND, the innermost block element; FIRST_RUN, its first run. One more
            row at the end holds the number of runs.
        runs: A row for each run of text in one element. Columns: START and END in `text`; ELEMENT; RUN_FLAGS, inherited
            properties at that place, less than the element's after a misplaced end tag.
        meta: Hashes of what the `<meta>` elements say.
        scripts: Beginning and end in the source of each script with data (JSON-LD and the like), one after another.
        title: Beginning and end of the title in the source.
    """

    text: UInt8s
    elements: Int64s
    tokens: UInt32s
    blocks: Int64s
    runs: Int64s
    meta: UInt32s
    scripts: Int64s
    title: Int64s


# While a page is parsed, all numbers are in one array, `state`: compiled functions with few arguments are called faster
# and compiled faster. It holds single numbers, then for each kind of attribute where its value begins and ends, for
# each name how many elements are open and where its next end tag is, and then the tables, of which the stack of open
# elements comes first.
(
    _OUT, _ELEMENTS, _BLOCKS, _RUNS, _TOKENS, _METAS, _SCRIPTS, _TOP, _OPEN_BLOCK, _SPACE, _LAST_END, _SPACED_END,
    _TITLE, _TITLE_END,
    _NOSCRIPT_END, _NAME, _KNOWN, _SELF_CLOSING, _SHAPE, _RENDERED_MATH, _SECOND, _AFTER, _HERE, _NAME_END,
    _ELEMENT_ROWS, _BLOCK_ROWS, _RUN_ROWS,
    _SCRIPT_ROWS, _VERBATIM_END, _FORMULA, _FORMULA_END, _DISPLAYED,
) = range(_VALUES := 32)  # fmt: skip
_COUNTS = _VALUES + 2 * KINDS
_NEXT_ENDS = _COUNTS + len(PROPERTIES)
_STACK = _NEXT_ENDS + len(PROPERTIES)
_ELEMENT, _TAG, _FLAGS, _CONTAINER = range(4)  # columns of the stack

_ZERO, _LESS, _GREATER = 0, 60, 62

_ONES, _HIGHEST = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
"""A number of eight bytes that are 1, and one of eight bytes of which only the highest bit is set."""

# Classes of bytes.
_SPACES, _NAME_ENDS, _LOWER_LETTERS, _UPPER_LETTERS, _HIGH, _OPENS, _EQUALS, _DIGITS = 1, 2, 4, 8, 16, 32, 64, 128
_BYTES = np.zeros(256, np.uint8)
_BYTES[[9, 10, 12, 13, 32]] |= _SPACES
_BYTES[[9, 10, 12, 13, 32, 47, 62]] |= _NAME_ENDS
_BYTES[61] |= _EQUALS
_BYTES[48:58] |= _DIGITS
_BYTES[97:123] |= _LOWER_LETTERS
_BYTES[65:91] |= _UPPER_LETTERS
_BYTES[128:] |= _HIGH
_BYTES[[33, 47, 63, *range(65, 91), *range(97, 123)]] |= _OPENS
_LETTERS = _LOWER_LETTERS | _UPPER_LETTERS
_WORD = _LETTERS | _DIGITS | _HIGH
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32

# What a byte is in text.
_ORDINARY, _WHITE, _AMPERSAND, _IGNORED, _C2, _EF = range(6)
_TEXT = np.full(256, _IGNORED, np.uint8)
_TEXT[33:127] = _TEXT[128:] = _ORDINARY
_TEXT[[9, 10, 12, 13, 32]] = _WHITE
_TEXT[38], _TEXT[0xC2], _TEXT[0xEF] = _AMPERSAND, _C2, _EF


@leaf
def eight_bytes(data: UInt8s, place: np.uint64) -> np.uint64:
    """The eight bytes from `place` as one number, which the processor reads at once."""
    word = np.uint64(0)
    for k in range(8):
        word |= np.uint64(data[place + np.uint64(k)]) << np.uint64(8 * k)
    return word


@leaf
def _find(data: UInt8s, i: int, end: int, byte: int) -> int:
    """The first place from `i` where `byte` is, or `end`. Eight bytes at a time, as one number."""
    place, stop = np.uint64(i), np.uint64(end)  # without a sign: no check for negative indices
    pattern = np.uint64(byte) * _ONES
    while place + np.uint64(8) <= stop:
        word = eight_bytes(data, place) ^ pattern
        # A byte that is found is 0 now. The lowest bit in `found` is the highest of the first such byte.
        found = (word - _ONES) & ~word & _HIGHEST
        if found:
            below = ((found & (~found + np.uint64(1))) - np.uint64(1)) >> np.uint64(7) & _ONES
            return int(np.int64(place + (below * _ONES >> np.uint64(56))))
        place += np.uint64(8)
    while place < stop and data[place] != byte:
        place += np.uint64(1)
    return int(np.int64(place))


@leaf
def _find_slot(keys: UInt64s, key: np.uint64) -> int:
    """The slot of `key`, or -1."""
    mask = np.uint64(len(keys) - 1)
    slot = (key ^ (key >> np.uint64(32))) & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return int(np.int64(slot))
        slot = (slot + np.uint64(1)) & mask
    return -1


@leaf
def _hash(data: UInt8s, start: int, end: int) -> np.uint64:
    """The hash of `data[start:end]` in lower case, up to white space."""
    key = BASIS
    for i in range(start, end):
        if _BYTES[data[i]] & _SPACES:
            break
        key = (key ^ np.uint64(_LOWER[data[i]])) * PRIME
    return key


@leaf
def _contains(data: UInt8s, start: int, end: int, needle: UInt8s) -> bool:
    """Whether `needle` (lower case) occurs in `data[start:end]`, white space ignored."""
    k = 0
    for i in range(start, end):
        byte = _LOWER[data[i]]
        if _BYTES[byte] & _SPACES:
            continue
        if byte == needle[k]:
            k += 1
            if k == len(needle):
                return True
        else:
            k = 1 if byte == needle[0] else 0
    return False


@leaf
def _find_end(data: UInt8s, i: int, end: int, key: np.uint64) -> int:
    """The first place from `i` where an end tag of the name with the hash `key` is, or `end`."""
    while True:
        i = _find(data, i, end, _LESS)
        if i + 2 >= end:
            return end
        if data[i + 1] == 47:
            k, found = i + 2, BASIS
            while k < end and not _BYTES[data[np.uint64(k)]] & _NAME_ENDS:
                found = (found ^ np.uint64(_LOWER[data[np.uint64(k)]])) * PRIME
                k += 1
            if found == key:
                return i
        i += 1


@leaf
def _next_end(data: UInt8s, state: Int64s, i: int, tag: int) -> int:
    """Like `_find_end` for the name number `tag`; what was found is kept, so that many calls take linear time."""
    if state[_NEXT_ENDS + tag] < i:
        state[_NEXT_ENDS + tag] = _find_end(data, i, len(data), NAME_HASHES[tag])
    return int(state[_NEXT_ENDS + tag])


@leaf
def _script_end(data: UInt8s, i: int, end: int) -> int:
    """Where the script from `i` ends: at its end tag, except in a script within a comment; else at `end`."""
    escaped, script = 0, NAME_HASHES[SCRIPT]  # 1 after `<!--`, 2 after a further `<script`
    while i < end:
        if escaped == 0:
            i = _find(data, i, end, _LESS)
        if i + 2 >= end:
            break
        if data[np.uint64(i)] == 60:
            is_end = data[i + 1] == 47
            if escaped == 0 and data[i + 1] == 33:
                if i + 3 < end and data[i + 2] == 45 and data[i + 3] == 45:
                    escaped = 1
                    i += 1  # the dashes may also end it: <!-->
            elif is_end or escaped == 1:
                k, key = i + 1 + is_end, BASIS
                limit = min(end, k + 7)  # "script" and the byte after it
                while k < limit and not _BYTES[data[np.uint64(k)]] & _NAME_ENDS:
                    key = (key ^ np.uint64(_LOWER[data[np.uint64(k)]])) * PRIME
                    k += 1
                if key == script:
                    if is_end and escaped < 2:
                        return i
                    escaped = 1 if is_end else 2
        elif data[np.uint64(i)] == 45 and data[i + 1] == 45 and data[i + 2] == 62:
            escaped = 0
        i += 1
    return end


@leaf
def _put(text: UInt8s, out: int, point: int) -> int:
    """Append a code point as UTF-8; returns the new length."""
    if point < 0x80:
        text[out] = point
        return out + 1
    if point < 0x800:
        text[out], text[out + 1] = 0xC0 | point >> 6, 0x80 | point & 63
        return out + 2
    if point < 0x10000:
        text[out], text[out + 1], text[out + 2] = 0xE0 | point >> 12, 0x80 | point >> 6 & 63, 0x80 | point & 63
        return out + 3
    text[out], text[out + 1] = 0xF0 | point >> 18, 0x80 | point >> 12 & 63
    text[out + 2], text[out + 3] = 0x80 | point >> 6 & 63, 0x80 | point & 63
    return out + 4


@leaf
def _reference(data: UInt8s, state: Int64s, at: int, end: int) -> int:
    """Decode the character reference at the `&` at `at`.

    Sets _AFTER, the byte after it (`at + 1` if there is none), and _SECOND, its second code point or 0.

    Returns:
        Its first code point, 0 if there is no reference.
    """
    i = at + 1
    state[_AFTER], state[_SECOND] = i, 0
    if i < end and data[i] == 35:  # number sign
        i += 1
        base = 10
        if i < end and _LOWER[data[i]] == 120:
            base, i = 16, i + 1
        value, first = 0, i
        while i < end:
            byte = int(np.int64(_LOWER[data[i]]))
            digit = byte - 48 if 48 <= byte <= 57 else byte - 87 if base == 16 and 97 <= byte <= 102 else -1
            if digit < 0:
                break
            value = min(value * base + digit, 0x110000)
            i += 1
        if i == first:
            return 0
        state[_AFTER] = i + 1 if i < end and data[i] == 59 else i
        if 128 <= value < 160:
            value = int(np.int64(entities.WINDOWS[value - 128]))
        if value == 0 or value > 0x10FFFF or 0xD800 <= value < 0xE000:
            value = 0xFFFD
        return value
    key, found = BASIS, -1
    end = min(end, i + entities.LONGEST)
    while i < end:
        byte = int(np.int64(data[i]))
        if not (_BYTES[byte] & _LETTERS or 48 <= byte <= 57 or byte == 59):
            break
        key = (key ^ np.uint64(byte)) * PRIME
        i += 1
        slot = _find_slot(entities.KEYS, key)
        if slot >= 0:
            found = slot
            state[_AFTER] = i
        if byte == 59:
            break
    if found < 0:
        return 0
    state[_SECOND] = entities.SECOND[found]
    return int(np.int64(entities.FIRST[found]))


@leaf
def _begin_run(state: Int64s, text: UInt8s) -> None:
    """Make sure that text can be appended: a block is open, and its last run belongs to the innermost element."""
    top = state[_TOP]
    element, flags = state[top + _ELEMENT], state[top + _FLAGS]
    run = state[_RUN_ROWS] + 4 * state[_RUNS]
    if not state[_OPEN_BLOCK]:
        state[_OPEN_BLOCK], state[_SPACE] = 1, 0
        row = state[_BLOCK_ROWS] + 2 * state[_BLOCKS]
        state[row + AROUND], state[row + FIRST_RUN] = state[top + _CONTAINER], state[_RUNS]
    elif state[run - 4 + ELEMENT] == element and state[run - 4 + RUN_FLAGS] == flags:
        return
    elif state[_SPACE] == 1 and flags & TEX:  # the space before a formula is no part of it, nor of a formula before it
        if state[run - 4 + RUN_FLAGS] & TEX:
            state[run + START] = state[_OUT]
            state[run + ELEMENT], state[run + RUN_FLAGS] = state[top - 4 + _ELEMENT], state[top - 4 + _FLAGS]
            state[_RUNS] += 1
            run += 4
        text[state[_OUT]] = 32
        state[_OUT] += 1
        state[run - 4 + END] = state[_OUT]
        state[_SPACE] = 0
    state[run + START] = state[run + END] = state[_OUT]
    state[run + ELEMENT], state[run + RUN_FLAGS] = element, flags
    state[_RUNS] += 1


@leaf
def _end_block(state: Int64s, text: UInt8s) -> None:
    """End the line of text, without the white space that `<pre>` may have left at its end."""
    if not state[_OPEN_BLOCK]:
        return
    first = state[_RUN_ROWS] + 4 * state[state[_BLOCK_ROWS] + 2 * state[_BLOCKS] + FIRST_RUN]
    run = state[_RUN_ROWS] + 4 * (state[_RUNS] - 1)
    while True:
        end = state[run + END]
        while end > state[run + START] and _BYTES[text[end - 1]] & _SPACES:
            end -= 1
        state[run + END] = end
        if end > state[run + START] or run <= first:
            break
        run -= 4
    state[_OPEN_BLOCK] = 0
    state[_BLOCKS] += 1


@leaf
def _is_word(text: UInt8s, out: int) -> bool:
    """Whether `text[:out]`, not empty, ends with a letter or digit of a script that puts spaces between words."""
    byte = text[out - 1]
    return _BYTES[byte] & _WORD and (byte < 0x80 or (out > 1 and 0xC3 <= text[out - 2] < 0xE0))


@leaf
def _put_text(data: UInt8s, state: Int64s, text: UInt8s, i: int, end: int) -> None:
    """Append `data[i:end]`, text without tags.

    `text` never gets longer than twice the source: a byte becomes a byte, a reference of n bytes at most 1.2 n, and
    each tag or stretch of white space one space or line break.
    """
    preserved = state[state[_TOP] + _FLAGS] & PRE
    while i < end:
        kind = _TEXT[data[np.uint64(i)]]
        stop = i + 1  # the end of the bytes that are copied as they are
        point = second = 0
        if kind == _ORDINARY:
            while stop < end and preserved:
                kind = _TEXT[data[stop]]
                if kind != _ORDINARY and (kind != _WHITE or data[stop] == 13):
                    break
                stop += 1
            place, last = np.uint64(stop), np.uint64(end - 1)
            while place <= last and not preserved:
                byte, after = data[place], _TEXT[data[min(place + np.uint64(1), last)]]
                if (_TEXT[byte] != _ORDINARY) & ((byte != 32) | (after != _ORDINARY)):
                    break  # it is no single space between words
                place += np.uint64(1)
            stop = int(np.int64(place))
        elif kind == _WHITE:
            if not preserved:
                state[_SPACE] = 1
                i += 1
                while i < end and _TEXT[data[np.uint64(i)]] == _WHITE:
                    i += 1
                continue
            if not state[_OPEN_BLOCK]:  # the beginning of <pre>: empty lines are left out, the indentation is not
                line = i
                while i < end and _TEXT[data[np.uint64(i)]] == _WHITE:
                    line = i + 1 if data[i] == 10 or data[i] == 13 else line
                    i += 1
                if line == i or i >= end or _TEXT[data[np.uint64(i)]] != _ORDINARY:
                    continue
                stop, i = i, line
            elif data[i] == 13:
                if stop < end and data[stop] == 10:
                    i = stop
                    continue
                point = 10
        elif kind == _AMPERSAND:
            point = _reference(data, state, i, end)
            stop = state[_AFTER]
            if point:
                second = state[_SECOND]
                if point == 0xA0 or (point < 33 and _BYTES[point] & _SPACES):
                    if not preserved or not state[_OPEN_BLOCK]:
                        state[_SPACE] = not preserved
                        i = stop
                        continue
                    point = 10 if point == 10 or point == 13 else 32
                elif point < 32 or 127 <= point < 160 or point == 0xAD or point == 0xFEFF:
                    i = stop
                    continue
        elif kind == _IGNORED:
            i = stop
            continue
        elif kind == _C2 and stop < end:
            stop += 1
            if data[i + 1] == 0xA0:
                if not preserved or not state[_OPEN_BLOCK]:
                    state[_SPACE] = not preserved
                    i = stop
                    continue
                point = 32
            elif data[i + 1] == 0xAD:  # soft hyphen
                i = stop
                continue
        elif kind == _EF and stop + 1 < end:
            stop += 2
            if data[i + 1] == 0xBB and data[i + 2] == 0xBF:  # byte order mark
                i = stop
                continue
        _begin_run(state, text)
        out = state[_OUT]
        if state[_SPACE]:
            if state[_SPACE] == 1 or (_is_word(text, out) and not point and data[i] < 0xE0 and _BYTES[data[i]] & _WORD):
                text[out] = 32
                out += 1
            state[_SPACE] = 0
        if point:
            out = _put(text, out, point)
            if second:
                out = _put(text, out, second)
        else:
            for k in range(stop - i):
                text[np.uint64(out + k)] = data[np.uint64(i + k)]
            out += stop - i
        i = stop
        state[_OUT] = out
        state[state[_RUN_ROWS] + 4 * state[_RUNS] - 4 + END] = out


@leaf
def _find_open(state: Int64s, tag: int, stop: int) -> int:
    """Row of the innermost open element `tag`, or 0 if one with a property in `stop` comes first."""
    if state[_COUNTS + tag] == 0:
        return 0
    top = state[_TOP]
    for row in range(top, max(top - 4 * MAX_WALK, _STACK), -4):
        if state[row + _TAG] == tag:
            return row
        if PROPERTIES[state[row + _TAG]] & stop:
            return 0
    return 0


@leaf
def _ends_line(tag: int, flags: int) -> bool:
    """Whether a block element in one with `flags` ends the line of text: not in <pre>, nor where no text is shown."""
    return not flags & (PRE | DROP) or (tag == PRE_TAG and not flags & DROP)


@leaf
def _close_to(state: Int64s, text: UInt8s, row: int) -> None:
    """Close the open elements from the innermost to the one in `row` of the stack."""
    top = state[_TOP]
    while top >= row:
        tag = state[top + _TAG]
        properties = PROPERTIES[tag]
        state[_COUNTS + tag] -= 1
        if properties & BLOCK:
            if _ends_line(tag, state[top - 4 + _FLAGS]):
                _end_block(state, text)
            elif state[_OPEN_BLOCK] and not state[top - 4 + _FLAGS] & DROP and text[state[_OUT] - 1] != 10:
                _put_break(state, text)
        elif properties & SPACED:
            state[_SPACED_END] = state[_OUT]
        element = state[_ELEMENT_ROWS] + COLUMNS * state[top + _ELEMENT]
        state[element + END_BLOCK] = state[_BLOCKS] + state[_OPEN_BLOCK]
        state[element + CLOSED] = state[_HERE]
        top -= 4
    state[_TOP] = top


@leaf
def _end_misplaced(state: Int64s, text: UInt8s, tag: int) -> None:
    """End an element; if it holds open blocks, they stay open, and what follows no longer has its properties."""
    place = _find_open(state, tag, SCOPE)
    if not place:
        return
    row = top = state[_TOP]
    while row > place and not PROPERTIES[state[row + _TAG]] & SPECIAL:
        row -= 4
    if row == place:
        _close_to(state, text, place)
        return
    state[_COUNTS + tag] -= 1
    state[_COUNTS + OTHER] += 1
    state[place + _TAG] = OTHER
    for row in range(place, top + 4, 4):
        state[row + _FLAGS] &= ~(_OWN_FLAGS[tag] | (LINK if tag == A else 0))


@leaf
def _push(state: Int64s, element: int) -> None:
    """Make an element the innermost open one."""
    row, top = state[_ELEMENT_ROWS] + COLUMNS * element, state[_TOP] + 4
    state[_TOP] = top
    state[top + _ELEMENT], state[top + _TAG] = element, state[row + TAG]
    state[top + _FLAGS], state[top + _CONTAINER] = state[row + FLAGS], state[row + CONTAINER]
    state[_COUNTS + state[row + TAG]] += 1


@leaf
def _leave_head(state: Int64s, text: UInt8s) -> None:
    """Close the head if that is where we are; a `<noscript>` in it goes on after it."""
    row = state[_TOP]
    is_noscript = state[row + _TAG] == NOSCRIPT_TAG
    if is_noscript:
        row -= 4
    if state[row + _TAG] != HEAD:
        return
    element = state[row + 4 + _ELEMENT] if is_noscript else 0
    _close_to(state, text, row)
    if is_noscript:
        top, row = state[_TOP], state[_ELEMENT_ROWS] + COLUMNS * element
        state[row + PARENT] = state[top + _ELEMENT]
        state[row + FLAGS] = state[top + _FLAGS] | NOSCRIPT
        _push(state, element)


@leaf
def _close_implied(state: Int64s, text: UInt8s, tag: int) -> None:
    """Close the elements that the start tag `tag` ends."""
    properties = PROPERTIES[tag]
    if state[_COUNTS + HEAD] and not properties & IN_HEAD:
        _leave_head(state, text)
    if properties & BREAKS_OUT and state[state[_TOP] + _FLAGS] & FOREIGN:
        row = state[_TOP]
        while row - 4 > _STACK and state[row - 4 + _FLAGS] & FOREIGN:
            row -= 4
        _close_to(state, text, row)
    if properties & CLOSES_SELECT and state[_COUNTS + SELECT]:
        row = _find_open(state, SELECT, SCOPE)
        if row:
            _close_to(state, text, row)
    if properties & CLOSES_P and state[_COUNTS + P]:
        row = _find_open(state, P, SCOPE)
        if row and not (state[_COUNTS + BUTTON_TAG] and _find_open(state, BUTTON_TAG, SCOPE) > row):
            _close_to(state, text, row)
    top = state[_TOP]
    around = PROPERTIES[state[top + _TAG]]
    if properties & ITEM:
        for row in range(top, max(top - 4 * MAX_WALK, _STACK), -4):
            around = PROPERTIES[state[row + _TAG]]
            if around & ITEM and properties & DEFINITION == around & DEFINITION:
                _close_to(state, text, row)
                break
            if around & SPECIAL and not around & IN_ITEM:
                break
    elif properties & around & (HEADING | RUBY):
        _close_to(state, text, top)
    elif properties & OPTIONS:
        if state[top + _TAG] == OPTION:
            _close_to(state, text, top)
        if tag == OPTGROUP and state[state[_TOP] + _TAG] == OPTGROUP:
            _close_to(state, text, state[_TOP])
    elif tag == A:
        if state[_COUNTS + A]:
            _end_misplaced(state, text, tag)
    elif tag == BUTTON_TAG:
        row = _find_open(state, BUTTON_TAG, SCOPE)
        if row:
            _close_to(state, text, row)
    elif properties & TABLE_PART and state[_COUNTS + TABLE_TAG]:
        stop = TABLE_SCOPE | (ROW if properties & TABLE_CELL else ROW_GROUP if tag == TR else 0)
        for row in range(top, max(top - 4 * MAX_WALK, _STACK), -4):
            if PROPERTIES[state[row + _TAG]] & stop:
                _close_to(state, text, row + 4)
                break


@leaf
def _end_tag(state: Int64s, text: UInt8s, tag: int) -> None:
    """Handle an end tag."""
    properties = PROPERTIES[tag]
    row = top = state[_TOP]
    state[_LAST_END] = state[_OUT]
    if tag == OTHER:
        if top > _STACK and state[top + _TAG] == OTHER:
            _close_to(state, text, top)
    elif tag == NOSCRIPT_TAG:
        if state[_COUNTS + tag]:
            while state[row + _TAG] != tag:
                row -= 4
            _close_to(state, text, row)
    elif properties & FORMATTING or tag == FORM_TAG:
        _end_misplaced(state, text, tag)
    elif properties & HEADING:
        for row in range(top, max(top - 4 * MAX_WALK, _STACK), -4):
            if PROPERTIES[state[row + _TAG]] & HEADING:
                _close_to(state, text, row)
                break
            if PROPERTIES[state[row + _TAG]] & SCOPE:
                break
    elif tag != HTML and tag != BODY_TAG:
        stop = SCOPE if properties & SPECIAL else SPECIAL
        if properties & TABLE_PART or tag == TABLE_TAG:
            stop = TABLE_SCOPE
        elif tag == LI:
            stop = SCOPE | LISTS
        row = _find_open(state, tag, stop)
        if row:
            _close_to(state, text, row)
        elif tag == P:
            if state[top + _FLAGS] & FOREIGN:
                _close_implied(state, text, tag)
            _end_block(state, text)


@leaf
def _open(state: Int64s, tag: int, flags: int) -> int:
    """Add an element inside the innermost open one; returns its number."""
    element, top = state[_ELEMENTS], state[_TOP]
    row = state[_ELEMENT_ROWS] + COLUMNS * element
    state[_ELEMENTS] = element + 1
    state[row + TAG], state[row + PARENT], state[row + FLAGS] = tag, state[top + _ELEMENT], flags
    state[row + CONTAINER] = element if PROPERTIES[tag] & BLOCK else state[top + _CONTAINER]
    state[row + FIRST_BLOCK] = state[row + END_BLOCK] = state[_BLOCKS] + state[_OPEN_BLOCK]
    state[row + SHAPE] = np.int64(((np.uint64(state[_SHAPE]) ^ np.uint64(tag)) * PRIME) >> np.uint64(1))
    state[row + OPENED] = state[row + CLOSED] = state[_NAME_END]
    return int(element)


@leaf
def _keep_token(state: Int64s, tokens: UInt32s, count: int, key: np.uint64, kind: int) -> int:
    """Append the hash of a token of an attribute; returns the number of tokens of the element."""
    if count < MAX_TOKENS:
        mixed = (key ^ np.uint64(kind)) * PRIME
        tokens[state[_TOKENS]] = np.uint32((mixed >> np.uint64(32)) ^ (mixed & np.uint64(0xFFFFFFFF)))
        state[_TOKENS] += 1
        return count + 1
    return count


@leaf
def _split(data: UInt8s, state: Int64s, tokens: UInt32s, start: int, end: int, kind: int, count: int) -> int:
    """Keep the tokens of an attribute's value: each name, and its parts between hyphens, digits and changes of case.

    A part has two letters at least and a name one byte and white space, so there are fewer tokens than bytes.
    """
    whole, part, shape = BASIS, BASIS, np.uint64(0)
    letters = parts = previous = 0
    token_kind = CLASS if kind == ID else kind
    for i in range(start, end + 1):
        byte = data[np.uint64(i)] if i < end else np.uint8(32)
        what = _BYTES[byte]
        low = np.uint64(_LOWER[byte])
        is_letter = what & (_LETTERS | _HIGH)
        if letters and (not is_letter or (what & _UPPER_LETTERS and previous & _LOWER_LETTERS)):
            if letters > 1 and (parts > 0 or not what & _SPACES):
                count = _keep_token(state, tokens, count, part, token_kind)
            shape = (shape ^ part) * PRIME
            parts += 1
            part, letters = BASIS, 0
        previous = what
        if is_letter:
            part = (part ^ low) * PRIME
            letters += 1
        if what & _SPACES:
            if whole != BASIS:
                count = _keep_token(state, tokens, count, whole, token_kind + 32)
                if kind == CLASS and _find_slot(_RENDERED_KEYS, whole) >= 0:
                    state[_RENDERED_MATH] = 1
            whole = BASIS
            parts = 0
        else:
            whole = (whole ^ low) * PRIME
    if kind == CLASS:
        state[_SHAPE] = np.int64(shape)
    return count


@leaf
def _attributes(data: UInt8s, state: Int64s, tokens: UInt32s, i: int, end: int, is_end: bool) -> int:
    """Read the attributes of a tag up to its `>`.

    Sets _KNOWN, a bit for each kind of attribute that is there, the places of their values, and _SELF_CLOSING.

    Args:
        data: The source.
        state: The state.
        tokens: Takes the tokens of a start tag.
        i: The byte after the tag's name.
        end: Where the source ends.
        is_end: Whether it is an end tag.

    Returns:
        The place of the `>`, or `end` if there is none.
    """
    known, slash = 0, -2
    count = _ZERO
    state[_SHAPE] = state[_RENDERED_MATH] = 0
    while i < end:
        byte = data[np.uint64(i)]
        if byte == 62:
            state[_KNOWN], state[_SELF_CLOSING] = known, slash == i - 1
            return i
        if _BYTES[byte] & _NAME_ENDS:  # white space or a slash
            slash = i if byte == 47 else slash
            i += 1
            continue
        key = (BASIS ^ np.uint64(_LOWER[byte])) * PRIME
        i += 1
        while i < end and not _BYTES[data[np.uint64(i)]] & (_NAME_ENDS | _EQUALS):
            key = (key ^ np.uint64(_LOWER[data[np.uint64(i)]])) * PRIME
            i += 1
        while i < end and _BYTES[data[np.uint64(i)]] & _SPACES:
            i += 1
        first = last = i
        if i < end and data[np.uint64(i)] == 61:
            i += 1
            while i < end and _BYTES[data[np.uint64(i)]] & _SPACES:
                i += 1
            first = i
            if i < end and (data[np.uint64(i)] == 34 or data[np.uint64(i)] == 39):
                first = i + 1
                last = _find(data, first, end, int(np.int64(data[np.uint64(i)])))
                i = last + 1
            else:
                while i < end and data[np.uint64(i)] != 62 and not _BYTES[data[np.uint64(i)]] & _SPACES:
                    i += 1
                last = i
        if is_end:
            continue
        slot = _find_slot(_ATTRIBUTE_KEYS, key)
        if slot >= 0:
            kind = _ATTRIBUTE_KINDS[slot]
            if not known >> kind & 1:
                known |= 1 << kind
                state[_VALUES + 2 * kind], state[_VALUES + 2 * kind + 1] = first, last
                if kind <= TESTID:
                    count = _split(data, state, tokens, first, min(last, first + MAX_VALUE), kind, count)
    return end


_NONE, _INVISIBLE = np.frombuffer(b"display:none", np.uint8), np.frombuffer(b"visibility:hidden", np.uint8)
_TRUE, _JSON_MARK, _MATH_MARK, _DISPLAY_MARK, _X_TEX, _LATEX, _BLOCK_MARK, _DISPLAY_STYLE, _TAG_END = (
    np.frombuffer(mark, np.uint8)
    for mark in (b"true", b"json", b"math/tex", b"display", b"x-tex", b"latex", b"block", b"{\\displaystyle", b"</")
)


@leaf
def _has(data: UInt8s, state: Int64s, kind: int, needle: UInt8s) -> bool:
    """Whether the attribute `kind` is there and contains `needle`."""
    first, last = state[_VALUES + 2 * kind], state[_VALUES + 2 * kind + 1]
    return state[_KNOWN] >> kind & 1 and _contains(data, first, min(last, first + MAX_VALUE), needle)


@leaf
def _attribute_flags(data: UInt8s, state: Int64s, tag: int) -> int:
    """Properties that an element has by its attributes."""
    known, flags = state[_KNOWN], 0
    if not known:
        return flags
    if tag == A and known >> HREF & 1:
        flags |= LINK
    if known >> HIDDEN_ATTRIBUTE & 1:
        flags |= HIDDEN
    if known >> STYLE & 1 and (_has(data, state, STYLE, _NONE) or _has(data, state, STYLE, _INVISIBLE)):
        flags |= HIDDEN
    if _has(data, state, ARIA, _TRUE):
        flags |= ARIA_HIDDEN
    if known >> ROLE & 1:
        first = state[_VALUES + 2 * ROLE]
        slot = _find_slot(_ROLE_KEYS, _hash(data, first, state[_VALUES + 2 * ROLE + 1]))
        if slot >= 0:
            flags |= _ROLE_FLAGS[slot]
    if state[_RENDERED_MATH]:
        flags |= DROP
    return flags


@leaf
def _read_tag(data: UInt8s, state: Int64s, tokens: UInt32s, i: int, end: int, is_end: bool) -> int:
    """Read the tag whose name begins at `i`; sets _NAME, the number of its name.

    Returns:
        The byte after it, or 0 if it does not end.
    """
    key = BASIS
    while i < end and not _BYTES[data[np.uint64(i)]] & _NAME_ENDS:
        key = (key ^ np.uint64(_LOWER[data[np.uint64(i)]])) * PRIME
        i += 1
    slot = _find_slot(NAME_KEYS, key)
    state[_NAME_END] = i
    state[_NAME] = NAME_NUMBERS[slot] if slot >= 0 else OTHER
    tokens_before = state[_TOKENS]
    if i < end and data[np.uint64(i)] == 62:  # no attributes, as in most tags
        state[_KNOWN] = state[_SELF_CLOSING] = state[_SHAPE] = state[_RENDERED_MATH] = 0
    else:
        i = _attributes(data, state, tokens, i, end, is_end)
    state[state[_ELEMENT_ROWS] + COLUMNS * state[_ELEMENTS] + FIRST_TOKEN] = tokens_before
    if i < end:
        return i + 1
    state[_TOKENS] = tokens_before
    return 0


@leaf
def _start_tag(data: UInt8s, state: Int64s, text: UInt8s, tokens: UInt32s, i: int, end: int) -> int:
    """Handle the start tag that was read up to `i`; returns where to go on."""
    tag = state[_NAME]
    properties = PROPERTIES[tag]
    flags = state[state[_TOP] + _FLAGS]
    foreign = flags & FOREIGN
    own = _OWN_FLAGS[tag] | _attribute_flags(data, state, tag)
    if (tag == TEMPLATE and state[_KNOWN] >> SHADOW & 1) or (
        properties & NEEDS_END and not flags & DROP and _next_end(data, state, i, tag) == len(data)
    ):
        own &= ~DROP
    if properties & BLOCK or tag == BR:
        if _ends_line(tag, flags):
            _end_block(state, text)
        elif state[_OPEN_BLOCK] and not flags & DROP and (tag == BR or text[state[_OUT] - 1] != 10):
            _put_break(state, text)
    elif not flags & PRE and state[_SPACE] == 0:
        after = state[_LAST_END] if properties & SPACED else state[_SPACED_END]
        if (after == state[_OUT] and not properties & RAISED) or (properties & SPACED and properties & VOID):
            state[_SPACE] = 2
    if foreign and properties & EMBEDDED_HTML:
        flags &= ~FOREIGN
    element = _open(state, tag, flags | own)
    if tag == META:
        _meta(data, state, tokens)
    if properties & VOID or (state[_SELF_CLOSING] and (foreign or own & FOREIGN)):
        return i
    if tag == MATH_TAG and not foreign and not flags & DROP:
        return _math(data, state, i, end, element)
    if properties & RAW and not foreign:
        return _raw(data, state, i, end, element)
    if tag == NOSCRIPT_TAG:
        close = _next_end(data, state, i, tag)
        if close == len(data):
            return i
        state[_NOSCRIPT_END] = close
    _push(state, element)
    return i


@leaf
def _put_break(state: Int64s, text: UInt8s) -> None:
    """Append a line break to the open block."""
    _begin_run(state, text)
    text[state[_OUT]] = 10
    state[_OUT] += 1
    state[state[_RUN_ROWS] + 4 * state[_RUNS] - 4 + END] = state[_OUT]


@leaf
def _raw(data: UInt8s, state: Int64s, i: int, end: int, element: int) -> int:
    """Handle the raw text from `i` of an element; returns where to go on.

    Of the elements other than scripts and style sheets, one that is never closed is taken as empty.
    """
    tag = state[_NAME]
    close = end
    if tag == SCRIPT:
        close = _script_end(data, i, end)
        if close < end:
            _script(data, state, i, close)
    elif tag != PLAINTEXT:
        close = min(_next_end(data, state, i, tag), end)
        if close == end and tag != STYLE_TAG:
            return i
    if tag == TITLE:
        if state[_TITLE_END] == 0:
            state[_TITLE], state[_TITLE_END] = i, close
    elif not state[state[_ELEMENT_ROWS] + COLUMNS * element + FLAGS] & DROP:
        _push(state, element)
        state[state[_TOP] + _FLAGS] |= PRE
        state[_VERBATIM_END] = close
        return i
    return min(_find(data, close, end, _GREATER) + 1, end)


@leaf
def _meta(data: UInt8s, state: Int64s, tokens: UInt32s) -> None:
    """Keep what a `<meta>` of the head says as a token: its name with its content, if that is short."""
    count = state[_METAS]
    first, last = state[_VALUES + 2 * CONTENT], state[_VALUES + 2 * CONTENT + 1]
    if not state[_KNOWN] >> PROPERTY & state[_KNOWN] >> CONTENT & 1 or count >= MAX_METAS or last - first > 32:
        return
    key = _hash(data, state[_VALUES + 2 * PROPERTY], state[_VALUES + 2 * PROPERTY + 1])
    for k in range(first, last):
        if _BYTES[data[k]] & _SPACES:
            break
        key = (key ^ np.uint64(_LOWER[data[k]])) * PRIME
    tokens[count] = np.uint32((key >> np.uint64(32)) ^ (key & np.uint64(0xFFFFFFFF)))
    state[_METAS] = count + 1


@leaf
def _script(data: UInt8s, state: Int64s, start: int, end: int) -> None:
    """Remember a script with data; a script with a formula becomes text."""
    if _has(data, state, TYPE, _JSON_MARK):
        row = state[_SCRIPT_ROWS] + 2 * state[_SCRIPTS]
        state[row], state[row + 1] = start, end
        state[_SCRIPTS] += 1
    elif _has(data, state, TYPE, _MATH_MARK) and end - start <= MAX_FORMULA:
        if _contains(data, start, end, _TAG_END):  # the end tag was misspelled
            return
        state[_FORMULA], state[_FORMULA_END] = start, end
        state[_DISPLAYED] = _has(data, state, TYPE, _DISPLAY_MARK)


@leaf
def _open_formula(data: UInt8s, state: Int64s) -> None:
    """Open the last element for its formula in LaTeX, which loses `{\\displaystyle …}` around it."""
    start, end = state[_FORMULA], state[_FORMULA_END]
    for _ in range(2):
        while start < end and _BYTES[data[start]] & _SPACES:
            start += 1
        while end > start and _BYTES[data[end - 1]] & _SPACES:
            end -= 1
        if end - start < 16 or data[end - 1] != 125 or not _contains(data, start, start + 14, _DISPLAY_STYLE):
            break
        depth, k = 0, start
        while k < end:
            depth += (data[k] == 123) - (data[k] == 125)
            if depth == 0:
                break
            k += 1 + (data[k] == 92)
        if k != end - 1:
            break
        start, end = start + 14, end - 1
    state[_FORMULA], state[_FORMULA_END] = start, end
    _push(state, state[_ELEMENTS] - 1)
    top = state[_TOP]
    state[top + _FLAGS] = state[top - 4 + _FLAGS] | TEX | (DISPLAY if state[_DISPLAYED] else 0)


@leaf
def _math(data: UInt8s, state: Int64s, i: int, end: int, element: int) -> int:
    """Handle a `<math>`; returns where to go on: after it if it says what it is in LaTeX."""
    close = _next_end(data, state, i, MATH_TAG)
    if close >= end:
        _push(state, element)
        return i
    first = last = -1
    k = _find(data, i, end, _LESS)
    while k < close and first < 0:
        if data[k + 1] | 32 == 97 or data[k + 1] | 32 == 109:  # a or m
            stop, key = k + 1, BASIS
            limit = min(close, k + 12)  # "annotation" and the byte after it
            while stop < limit and not _BYTES[data[stop]] & _NAME_ENDS:
                key = (key ^ np.uint64(_LOWER[data[stop]])) * PRIME
                stop += 1
            if key == NAME_HASHES[MATH_TAG]:
                break
            if key == NAME_HASHES[ANNOTATION]:
                stop = _find(data, stop, close, _GREATER)
                if _contains(data, k, stop, _X_TEX) or _contains(data, k, stop, _LATEX):
                    first = min(stop + 1, close)
                    last = _find(data, first, close, _LESS)
                k = stop - 1
        k = _find(data, k + 1, end, _LESS)
    is_whole = k >= close or first >= 0  # no other one begins in it
    if first >= last and state[_KNOWN] >> ALTTEXT & 1:
        first, last = state[_VALUES + 2 * ALTTEXT], state[_VALUES + 2 * ALTTEXT + 1]
    if is_whole and first < last:
        state[_FORMULA], state[_FORMULA_END] = first, last
        state[_DISPLAYED] = _has(data, state, DISPLAY_ATTRIBUTE, _BLOCK_MARK)
        return min(_find(data, close, end, _GREATER) + 1, end)
    _push(state, element)
    return i


@leaf
def _skip_declaration(data: UInt8s, state: Int64s, i: int, end: int) -> int:
    """Skip the comment, declaration or malformed end tag at `i`; the text of CDATA in SVG or MathML counts."""
    if i + 3 < end and data[i + 1] == 33 and data[i + 2] == 45 and data[i + 3] == 45:
        start = i + 4
        i = _find(data, start, end, _GREATER)
        while i < end:
            if data[i - 1] == 45 and data[i - 2] == 45:
                break
            if i >= start + 3 and data[i - 1] == 33 and data[i - 2] == 45 and data[i - 3] == 45:
                break
            i = _find(data, i + 1, end, _GREATER)
    elif state[state[_TOP] + _FLAGS] & FOREIGN and i + 8 < end and data[i + 2] == 91 and data[i + 8] == 91:
        start = i + 9
        i = _find(data, start, end, _GREATER)
        while i < end and not (i >= start + 2 and data[i - 1] == 93 and data[i - 2] == 93):
            i = _find(data, i + 1, end, _GREATER)
        if i < end and i > start + 2:
            state[_VERBATIM_END] = i - 2
            return start
    else:
        i = _find(data, i, end, _GREATER)
    return min(i + 1, end)


@kernel
def parse(data: UInt8s) -> Page:
    """Parse a page.

    Args:
        data: The page in UTF-8.

    Returns:
        Its elements, blocks and runs of text.
    """
    end = len(data)
    tags = 0
    for byte in data:
        tags += byte == 60
    # Each `<` adds at most an element, a row of the stack, and three runs: a line break in <pre>, or the text of a
    # formula and a space before it, and the text after it. Each block has a run.
    elements, blocks = _STACK + 4 * (tags + 2), _STACK + 4 * (tags + 2) + COLUMNS * (tags + 3)
    runs = blocks + 2 * (3 * tags + 4)
    scripts = runs + 4 * (3 * tags + 4)
    state = np.empty(scripts + 2 * tags + 2, np.int64)
    for k in range(_STACK + 4):
        state[k] = 0
    text = np.empty(2 * end + 16, np.uint8)
    tokens = np.empty(MAX_METAS + end + 1, np.uint32)
    state[_ELEMENT_ROWS], state[_BLOCK_ROWS], state[_RUN_ROWS], state[_SCRIPT_ROWS] = elements, blocks, runs, scripts
    state[_TOP], state[_TOKENS] = _STACK, MAX_METAS
    for k in range(elements, elements + COLUMNS):
        state[k] = 0
    state[elements + PARENT], state[elements + FIRST_TOKEN] = -1, MAX_METAS
    state[_ELEMENTS] = 1
    i = _ZERO
    while i < end:
        start = i  # text up to the next tag
        i = max(i, state[_VERBATIM_END])
        if i == start:
            i = _find(data, i, end, _LESS)
            while i + 1 < end and not _BYTES[data[i + 1]] & _OPENS:
                i = _find(data, i + 1, end, _LESS)
            if i + 1 >= end:
                i = end
        if i > start:
            if state[_COUNTS + HEAD]:
                while start < i and _BYTES[data[start]] & _SPACES:
                    start += 1
                if start < i:
                    _leave_head(state, text)
            if not state[state[_TOP] + _FLAGS] & DROP:
                _put_text(data, state, text, start, i)
        if i >= end:
            break
        if data[i] != 60:  # the end of CDATA
            i += 3
            continue
        state[_HERE] = i
        limit = state[_NOSCRIPT_END] if i < state[_NOSCRIPT_END] else end
        is_end = data[i + 1] == 47
        i += 1 + is_end
        if i >= limit or not _BYTES[data[i]] & _LETTERS:
            i = _skip_declaration(data, state, i - 1 - is_end, limit)
            continue
        i = _read_tag(data, state, tokens, i, limit, is_end)
        if i == 0:
            i = limit
        elif is_end and state[_NAME] != BR:
            _end_tag(state, text, state[_NAME])
        elif state[_COUNTS + state[_NAME]] and PROPERTIES[state[_NAME]] & ONCE:
            state[_TOKENS] = state[elements + COLUMNS * state[_ELEMENTS] + FIRST_TOKEN]
        else:
            _close_implied(state, text, state[_NAME])
            i = _start_tag(data, state, text, tokens, i, limit)
            if state[_FORMULA_END]:
                if not state[state[_TOP] + _FLAGS] & DROP:
                    _open_formula(data, state)
                    _put_text(data, state, text, state[_FORMULA], state[_FORMULA_END])
                    _close_to(state, text, state[_TOP])
                state[_FORMULA_END] = 0
    state[_HERE] = end
    _close_to(state, text, _STACK + 4)
    _end_block(state, text)
    rows, blocks_end = elements + COLUMNS * (state[_ELEMENTS] + 1), blocks + 2 * (state[_BLOCKS] + 1)
    state[elements + END_BLOCK] = state[_BLOCKS]
    for k in range(rows - COLUMNS, rows):
        state[k] = 0
    state[rows - COLUMNS + FIRST_TOKEN] = state[_TOKENS]
    for row in range(elements, rows, COLUMNS):
        state[row + FIRST_TOKEN] -= MAX_METAS
    state[blocks_end - 2 + FIRST_RUN] = state[_RUNS]
    return Page(
        text[: state[_OUT]],
        state[elements:rows].reshape((-1, COLUMNS)),
        tokens[MAX_METAS : state[_TOKENS]],
        state[blocks:blocks_end].reshape((-1, 2)),
        state[runs : runs + 4 * state[_RUNS]].reshape((-1, 4)),
        tokens[: state[_METAS]],
        state[scripts : scripts + 2 * state[_SCRIPTS]],
        state[_TITLE : _TITLE_END + 1],
    )
