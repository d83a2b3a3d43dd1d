"""HTML elements: their numbers, and what the parser needs to know about each.

Properties follow the HTML standard (https://html.spec.whatwg.org/multipage/): void elements (13.1.2), raw text
(13.1.2), the elements that close an open paragraph, and those that end a scope (13.2.4.2). Which elements interrupt a
line of text follows the default style sheet (15.3).
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int32s, UInt64s

VOID = 1 << 0
"""Has no content and no end tag."""
RAW = 1 << 1
"""Its content is text up to its end tag, whatever it contains."""
BLOCK = 1 << 2
"""Begins and ends a line of text."""
SPECIAL = 1 << 3
"""An end tag of an inline element does not reach beyond it."""
CLOSES_P = 1 << 4
"""Closes an open paragraph."""
SCOPE = 1 << 5
"""End tags inside do not close what is outside."""
FORMATTING = 1 << 6
"""Its end tag may come in the wrong place; what follows is no longer formatted by it."""
DROPPED = 1 << 7
"""Its text is not shown as text of the page."""
SPACED = 1 << 8
"""Separates words although it is inline, unless text directly follows: images, and links in menus."""
HEADING = 1 << 9
IN_HEAD = 1 << 10
"""Allowed in the head; any other element closes the head."""
TABLE_SCOPE = 1 << 11
"""End tags of the parts of a table do not close what is outside."""
CLOSES_SELECT = 1 << 12
"""Not allowed in `<select>`: closes it."""
BREAKS_OUT = 1 << 13
"""Not allowed in SVG or MathML: closes them."""
LISTS = 1 << 14
"""An end tag of a list item does not reach beyond it."""
ITEM = 1 << 15
DEFINITION = 1 << 16
IN_ITEM = 1 << 17
"""Special, but does not keep a list item from closing the one before."""
RUBY = 1 << 18
OPTIONS = 1 << 19
TABLE_CELL = 1 << 20
ROW = 1 << 21
"""A row or a group of rows."""
ROW_GROUP = 1 << 22
TABLE_PART = 1 << 23
EMBEDDED_HTML = 1 << 24
"""An element of SVG or MathML whose content is HTML."""
NEEDS_END = 1 << 25
"""Hides its content, unless its end tag is missing."""
RAISED = 1 << 26
ONCE = 1 << 27
"""Not opened inside another one of its name."""

_SETS = {
    VOID: "area base br col embed hr img input link meta param source track wbr keygen frame basefont bgsound",
    RAW: "script style title textarea xmp iframe noembed noframes plaintext",
    BLOCK: (
        "html body address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption "
        "figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu nav ol optgroup "
        "option p pre section summary ul xmp search table caption colgroup thead tbody tfoot tr td th noscript "
        "template select textarea button plaintext"
    ),
    SPECIAL: (
        "address applet area article aside base basefont bgsound blockquote body br button caption center col "
        "colgroup dd details dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 "
        "h5 h6 head header hgroup hr html iframe img input keygen li link listing main marquee menu meta nav noembed "
        "noframes noscript object ol p param plaintext pre script search section select source style summary table "
        "tbody td template textarea tfoot th thead title tr track ul wbr xmp"
    ),
    CLOSES_P: (
        "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header "
        "hgroup main menu nav ol p search section summary ul h1 h2 h3 h4 h5 h6 pre listing form table hr xmp "
        "plaintext li dd dt"
    ),
    SCOPE: "applet caption html table td th marquee object template noscript foreignobject desc mi mn mo mtext",
    FORMATTING: "a b big code em font i nobr s small strike strong tt u",
    DROPPED: (
        "script style title textarea iframe noembed noframes option select optgroup template svg datalist head rp rt "
        "annotation annotation-xml"
    ),
    SPACED: "a label img input",
    HEADING: "h1 h2 h3 h4 h5 h6",
    TABLE_SCOPE: "html table template noscript",
    CLOSES_SELECT: (
        "html body address article aside blockquote center dd details dialog dir dl dt fieldset figcaption figure "
        "footer form frameset h1 h2 h3 h4 h5 h6 header hgroup li listing main menu nav ol p pre section summary ul "
        "xmp search table caption colgroup thead tbody tfoot tr td th noscript select textarea input"
    ),
    BREAKS_OUT: (
        "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu "
        "meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var article section header footer "
        "main nav aside form button tr td th"
    ),
    LISTS: "ol ul",
    ITEM: "li dd dt",
    DEFINITION: "dd dt",
    IN_ITEM: "address div p",
    RUBY: "rb rt rp",
    OPTIONS: "option optgroup",
    TABLE_CELL: "td th",
    ROW: "tr tbody thead tfoot",
    ROW_GROUP: "tbody thead tfoot",
    TABLE_PART: "td th tr tbody thead tfoot colgroup caption",
    EMBEDDED_HTML: "foreignobject desc title mi mn mo mtext",
    RAISED: "sub sup",
    ONCE: "html body noscript",
    NEEDS_END: "template select datalist svg",
    IN_HEAD: "title meta link base script style noscript template basefont bgsound noframes command",
}
_OTHER = (
    "abbr acronym annotation b bdi bdo big cite code data datalist del dfn em font i ins kbd label mark math map "
    "meter nobr output picture progress q rb rp rt rtc ruby s samp selectedcontent slot small span strike strong sub "
    "sup svg time tt u var video audio canvas foreignobject desc mi mn mo mtext semantics"
)

_ALL = {name for names in (*_SETS.values(), _OTHER) for name in names.split()}
NAMES = ("", *sorted(_ALL, key=lambda name: ("-" in name, name)))
"""Names by number; number 0 is any other element."""
NUMBERS = {name: number for number, name in enumerate(NAMES)}
PROPERTIES = np.array([sum(bit for bit, names in _SETS.items() if name in names.split()) for name in NAMES], np.int64)
"""Properties by number, as a sum of the bits above."""

BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""FNV-1a's constants for 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/)."""


def hashed(data: bytes, value: int = int(BASIS)) -> int:
    """FNV-1a of `data` in 64 bits, continued from `value`."""
    for byte in data:
        value = (value ^ byte) * int(PRIME) & 0xFFFFFFFFFFFFFFFF
    return value


def table(keys: list[int], bits: int) -> tuple[UInt64s, Int32s]:
    """An open-addressed table of 2**bits slots: the keys (0 for an empty slot), and which key is in each slot."""
    slots, which = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.int32)
    for number, key in enumerate(keys):
        slot = (key ^ key >> 32) & (1 << bits) - 1
        while slots[slot]:
            slot = slot + 1 & (1 << bits) - 1
        slots[slot], which[slot] = key, number
    return slots, which


NAME_HASHES = np.array([hashed(name.encode()) for name in NAMES], np.uint64)
NAME_KEYS, NAME_NUMBERS = table(NAME_HASHES.tolist(), 9)
