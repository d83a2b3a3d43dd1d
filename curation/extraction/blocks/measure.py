"""The features of the blocks of a page: what they are like, where they stand, and what is around them.

All features of a page are computed from flat arrays in time linear in its length (and the depth of a block's
containers, of which a few are looked at). Sums over containers and neighbors are differences of running sums.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from curation.arrays import Float32s, Float64s, Int64s, UInt8s, UInt32s
from curation.extraction.blocks.parse import (
    ADDRESS,
    ARIA_HIDDEN,
    AROUND,
    ARTICLE,
    ASIDE,
    BOLD,
    BUTTON,
    CAPTION,
    CELL,
    DEFINITIONS,
    DETAILS,
    DIALOG,
    ELEMENT,
    END,
    END_BLOCK,
    FIGURE,
    FIRST_BLOCK,
    FIRST_RUN,
    FIRST_TOKEN,
    FOOTER,
    FORM,
    HEADER,
    HEADLINE,
    HIDDEN,
    LABEL,
    LINK,
    LIST,
    MAIN,
    NAV,
    NOSCRIPT,
    PARAGRAPH,
    PARENT,
    PRE,
    QUOTE,
    RUN_FLAGS,
    SHAPE,
    START,
    TABLE,
    TAG,
    TIME,
    Page,
    eight_bytes,
)  # fmt: skip
from curation.extraction.blocks.tags import BASIS, NUMBERS, PRIME
from curation.running.compiled import inner, kernel, leaf

SENSES = 2
"""Kinds of pages on which tokens are counted separately: articles, and all others."""
LEVELS = 4
"""Containers around a block that are measured: each the nearest one that holds more blocks than the last."""
WINDOWS = (3, 8, 20)
"""How many blocks before and after a block its neighborhoods reach."""
WORD_LIMIT = 12
"""Words of a block that are looked up: longer blocks are told by other features."""
WORD_KIND, TAG_KIND, META_KIND = 101, 102, 103
"""Kinds of tokens besides the kinds of attributes."""

H1, LI, ARTICLE_TAG, FORM_TAG = (NUMBERS[name] for name in ("h1", "li", "article", "form"))

_FLAGS = (
    LINK, NAV, HEADER, FOOTER, ASIDE, FORM, ARTICLE, MAIN, TABLE, LIST, DEFINITIONS, FIGURE, CAPTION, BUTTON, HEADLINE,
    QUOTE, LABEL, DETAILS, NOSCRIPT, HIDDEN, ARIA_HIDDEN, DIALOG, PARAGRAPH, PRE, ADDRESS, CELL,
)  # fmt: skip
_FLAG_NAMES = (
    "link", "nav", "header", "footer", "aside", "form", "article", "main", "table", "list", "definitions", "figure",
    "caption", "button", "headline", "quote", "label", "details", "noscript", "hidden", "aria_hidden", "dialog",
    "paragraph", "pre", "address", "cell",
)  # fmt: skip
FLAG_BITS = np.array(_FLAGS, np.int64)

# Columns of what is known of every block before its surroundings are.
(
    LOG_CHARS, LOG_WORDS, LINKS, BOLD_SHARE, COMMAS, ENDING, UPPER, DIGITS, SYMBOLS, WORD_LENGTH, SENTENCES, CAPITAL,
    FOREIGN, TIMED,
) = range(14)  # fmt: skip
_BASIC_NAMES = (
    "log_chars", "log_words", "links", "bold", "commas", "ending", "upper", "digits", "symbols", "word_length",
    "sentences", "capital", "foreign", "time",
)  # fmt: skip
_ODDS_NAMES = ("own", "inline", "parent", "lowest", "highest", "decayed", "mean", "level2", "level3")
_WORD_NAMES = ("mean", "lowest", "highest")
_PLACE_NAMES = (
    "depth", "index", "chars_before", "blocks_after", "after_h1", "h1_distance", "text_copies", "class_copies",
    "class_chars", "class_links", "path_copies", "path_chars", "headline_level", "lists_around", "same_as_previous",
)  # fmt: skip
_CONTAINER_NAMES = ("chars", "links", "paragraphs", "blocks", "mean_chars", "share", "odds", "copies")
_DENSEST_NAMES = ("inside", "climbs", "distance", "share")
_PAGE_NAMES = (
    "chars", "links", "blocks", "elements", "paragraphs", "longest", "articles", "h1s", "list_share", "forms",
    "table_share", "meta0", "meta1", "odds0", "odds1",
)  # fmt: skip
_NEIGHBOR_NAMES = ("chars", "links", "odds0", "paragraph", "words", "odds1")
OFFSETS = (-2, -1, 1, 2)
NAMES = (
    *(f"block.{name}" for name in _BASIC_NAMES),
    *(f"odds{sense}.{name}" for sense in range(SENSES) for name in _ODDS_NAMES),
    *(f"words{sense}.{name}" for sense in range(SENSES) for name in _WORD_NAMES),
    *(f"headline{sense}.{name}" for sense in range(SENSES) for name in _WORD_NAMES),
    *("headline.distance", "headline.odds0", "headline.odds1"),
    *(f"in.{name}" for name in _FLAG_NAMES),
    *(f"place.{name}" for name in _PLACE_NAMES),
    *(f"container{level}.{name}" for level in range(1, LEVELS + 1) for name in _CONTAINER_NAMES),
    *(f"densest{which}.{name}" for which in (1, 2) for name in _DENSEST_NAMES),
    *(f"neighbor{offset:+}.{name}" for offset in OFFSETS for name in _NEIGHBOR_NAMES),
    *(f"window{size}{side}.{name}" for size in WINDOWS for side in "-+" for name in _NEIGHBOR_NAMES),
    *(f"page.{name}" for name in _PAGE_NAMES),
)
"""Names of the features, in the order of the columns."""
COUNT = len(NAMES)


class Vocabulary(NamedTuple):
    """Log-odds that text is main text, by the token of its surroundings.

    Attributes:
        keys: Hashes of tokens in an open-addressed table, 0 for an empty slot; a power of two of slots.
        odds: Log-odds of the token in each slot on pages of each of the SENSES, shape (slots, SENSES).
    """

    keys: UInt32s
    odds: Float32s


@leaf
def look_up(vocabulary: Vocabulary, token: Any) -> Any:
    """The slot of a token; -1 if it is not in the vocabulary."""
    mask = len(vocabulary.keys) - 1
    slot = np.int64(token) & mask
    while vocabulary.keys[slot] != 0:
        if vocabulary.keys[slot] == token:
            return slot
        slot = (slot + 1) & mask
    return -1


@leaf
def mixed(token: Any, kind: int) -> Any:
    """The hash of a token of another kind."""
    key = (np.uint64(token) ^ np.uint64(kind)) * PRIME
    key = (key ^ (key >> np.uint64(29))) * PRIME
    return np.uint32(key >> np.uint64(32)) | np.uint32(1)


@leaf
def _log(value: float) -> Any:
    return np.log1p(max(value, 0.0))


@leaf
def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


_MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd number whose bits look random, to multiply hashes by."""

# What each byte adds to the counts of a text, each in eight bits of a number.
_CHARS, _LETTERS, _UPPER, _DIGITS, _COMMAS, _SYMBOLS, _SENTENCES, _SHOWN = (np.uint64(8 * place) for place in range(8))
_COUNTS = np.zeros(256, np.uint64)
for _places, _bytes in (
    (_CHARS, [*range(128), *range(192, 256)]),  # no byte within a character
    (_LETTERS, [*range(65, 91), *range(97, 123)]),
    (_UPPER, range(65, 91)),
    (_DIGITS, range(48, 58)),
    (_COMMAS, b","),
    (_SYMBOLS, [byte for byte in range(33, 128) if not chr(byte).isalnum() and byte != 44]),
    (_SENTENCES, b".!?"),
    (_SHOWN, [*range(33, 128), *range(192, 256)]),
):
    _COUNTS[[*_bytes]] += np.uint64(1) << _places


@leaf
def _counted(counts: Any, place: Any) -> Any:
    """One of the counts in a number."""
    return np.int64((counts >> place) & np.uint64(255))


@leaf
def _hash(text: UInt8s, start: int, end: int) -> Any:
    """A hash of `text[start:end]`, by eight bytes at a time."""
    key = BASIS ^ np.uint64(end - start)
    for at in range(start, end - 7, 8):
        key = (key ^ eight_bytes(text, np.uint64(at))) * _MIX
        key ^= key >> np.uint64(32)
    for at in range(end - (end - start) % 8, end):
        key = (key ^ np.uint64(text[np.uint64(at)])) * PRIME
    key *= _MIX
    return np.int64((key ^ (key >> np.uint64(29))) >> np.uint64(1))


@leaf
def _measure_text(page: Page, block: int, basic: Float64s, sums: Float64s) -> Any:
    """Fill the features of a block's own text, and its sums; returns the hash of its text."""
    chars = words = links = bold = commas = upper = letters = digits = symbols = sentences = foreign = timed = 0
    previous_space: Any = np.int64(1)
    first: Any = 0
    last: Any = 0
    first_run, end_run = page.blocks[block, FIRST_RUN], page.blocks[block + 1, FIRST_RUN]
    text_start = text_end = page.runs[first_run, START]
    for run in range(first_run, end_run):
        i, end, flags, before = page.runs[run, START], page.runs[run, END], page.runs[run, RUN_FLAGS], chars
        text_end = end if end > i else text_end
        while i < end:
            counts, stop = np.uint64(0), min(end, i + 255)  # of so few bytes, each count takes a byte at most
            for place in range(i, stop):
                byte: Any = page.text[np.uint64(place)]
                count = _COUNTS[byte]
                counts += count
                begins = np.int64(count >> _SHOWN)
                if byte >= 0xC0:
                    foreign += 1
                    if 0xE3 <= byte <= 0xED and place + 2 < end:  # East Asian scripts: about two characters a word
                        second, third = page.text[place + 1], page.text[place + 2]
                        if byte == 0xE3 and second == 0x80 and (third == 0x81 or third == 0x82):
                            commas += third == 0x81
                            sentences += third == 0x82
                        words += foreign & 1
                        previous_space = np.int64(0)
                words += previous_space & begins
                first = np.int64(byte) if begins and not first else first
                last = np.int64(byte) if begins else last
                previous_space = np.int64(byte <= 32)
            chars += _counted(counts, _CHARS)
            letters += _counted(counts, _LETTERS)
            upper += _counted(counts, _UPPER)
            digits += _counted(counts, _DIGITS)
            commas += _counted(counts, _COMMAS)
            symbols += _counted(counts, _SYMBOLS)
            sentences += _counted(counts, _SENTENCES)
            i = stop
        if flags & LINK:
            links += chars - before
        if flags & BOLD:
            bold += chars - before
        if flags & TIME:
            timed += chars - before
    basic[block, LOG_CHARS] = _log(chars)
    basic[block, LOG_WORDS] = _log(words)
    basic[block, LINKS] = _share(links, chars)
    basic[block, BOLD_SHARE] = _share(bold, chars)
    basic[block, COMMAS] = _share(commas, words)
    ending = 1 if last == 46 or last == 0xE3 else 2 if last == 33 or last == 63 else 3 if last == 58 else 0
    basic[block, ENDING] = 4 if ending == 0 and (last == 34 or last == 41 or last == 59) else ending
    basic[block, UPPER] = _share(upper, letters)
    basic[block, DIGITS] = _share(digits, chars)
    basic[block, SYMBOLS] = _share(symbols, chars)
    basic[block, WORD_LENGTH] = _share(chars, words)
    basic[block, SENTENCES] = sentences
    basic[block, CAPITAL] = 1 if 65 <= first <= 90 else 2 if 97 <= first <= 122 else 3 if 48 <= first <= 57 else 0
    basic[block, FOREIGN] = _share(foreign, chars)
    basic[block, TIMED] = _share(timed, chars)
    sums[block, 0], sums[block, 1], sums[block, 2] = chars, links, words
    return _hash(page.text, text_start, text_end)


@leaf
def next_word(page: Page, block: int, at: Int64s) -> Any:
    """The hash of a block's next word, 0 at its end.

    Args:
        page: The page.
        block: The block.
        at: Where to go on: run of the block and byte of the run, both 0 at first. Updated.
    """
    key = BASIS
    run, i = page.blocks[block, FIRST_RUN] + at[0], at[1]
    while run < page.blocks[block + 1, FIRST_RUN]:
        first, length = page.runs[run, START], page.runs[run, END] - page.runs[run, START]
        while i < length:
            byte = np.int64(page.text[first + i])
            byte = byte + 32 if 65 <= byte <= 90 else byte
            i += 1
            if 97 <= byte <= 122 or byte >= 128:
                key = (key ^ np.uint64(byte)) * PRIME
            elif key != BASIS:
                at[0], at[1] = run - page.blocks[block, FIRST_RUN], i
                return key
        run, i = run + 1, 0
    at[0], at[1] = run - page.blocks[block, FIRST_RUN], i
    return np.uint64(0) if key == BASIS else key


@leaf
def _measure_words(page: Page, block: int, vocabulary: Vocabulary, at: Int64s, words: Float64s) -> None:
    """Fill mean, lowest and highest log-odds of the first words of a block, three columns for each sense."""
    at[0] = at[1] = 0
    found = np.int64(0)
    for column in range(3 * SENSES):
        words[block, column] = 0.0
    for _ in range(WORD_LIMIT):
        key = next_word(page, block, at)
        if key == 0:
            break
        slot = look_up(vocabulary, mixed(key, WORD_KIND))
        if slot >= 0:
            found += 1
            for sense in range(SENSES):
                odds = vocabulary.odds[slot, sense]
                words[block, 3 * sense] += odds
                words[block, 3 * sense + 1] = min(words[block, 3 * sense + 1], odds)
                words[block, 3 * sense + 2] = max(words[block, 3 * sense + 2], odds)
    for sense in range(SENSES):
        words[block, 3 * sense] /= max(found, 1)


@leaf
def _measure_elements(page: Page, vocabulary: Vocabulary, odds: Float64s, paths: Int64s) -> None:
    """Fill, for every element, the log-odds of its tokens and of its chain of ancestors, and two hashes of its path.

    Columns of `odds`, for each sense: own (mean of its tokens and name), lowest, highest and decayed sum along the
    chain, sum. Columns of `paths`: names and classes from the root; names alone; depth; the nearest ancestor that holds
    more blocks.
    """
    elements = page.elements
    for element in range(len(elements) - 1):
        parent = elements[element, PARENT]
        found = 0
        for column in range(5 * SENSES):
            odds[element, column] = 0.0
        end = elements[element + 1, FIRST_TOKEN]
        for token in range(elements[element, FIRST_TOKEN], end + 1):
            slot = look_up(vocabulary, page.tokens[token] if token < end else mixed(elements[element, TAG], TAG_KIND))
            if slot >= 0:
                found += 1
                for sense in range(SENSES):
                    value, column = vocabulary.odds[slot, sense], 5 * sense
                    odds[element, column] += value
                    odds[element, column + 1] = min(odds[element, column + 1], value)
                    odds[element, column + 2] = max(odds[element, column + 2], value)
        for column in range(0, 5 * SENSES, 5):
            own = odds[element, column] / max(found, 1)
            odds[element, column] = odds[element, column + 3] = odds[element, column + 4] = own
            if parent >= 0:
                odds[element, column + 1] = min(odds[element, column + 1], odds[parent, column + 1])
                odds[element, column + 2] = max(odds[element, column + 2], odds[parent, column + 2])
                odds[element, column + 3] += 0.85 * odds[parent, column + 3]
                odds[element, column + 4] += odds[parent, column + 4]
        path, names, depth = np.uint64(elements[element, SHAPE]), np.uint64(elements[element, TAG]), 0
        paths[element, 3] = 0
        if parent >= 0:
            path = (np.uint64(paths[parent, 0]) * PRIME) ^ path
            names = (np.uint64(paths[parent, 1]) ^ names) * PRIME
            depth = paths[parent, 2] + 1
            same = elements[element, FIRST_BLOCK] == elements[parent, FIRST_BLOCK]
            same = same and elements[element, END_BLOCK] == elements[parent, END_BLOCK]
            paths[element, 3] = paths[parent, 3] if same else parent
        paths[element, 0] = np.int64((path * PRIME) >> np.uint64(1))
        paths[element, 1] = np.int64(names >> np.uint64(1))
        paths[element, 2] = depth


@leaf
def _slot_of(table: Int64s, key: int) -> int:
    """The slot of `key` in an open-addressed table of rows whose first column is the key; 0 is an empty slot."""
    mask = len(table) - 1
    key = max(key, 1)
    slot = (key ^ (key >> 23)) & mask
    while table[slot, 0] != 0 and table[slot, 0] != key:
        slot = (slot + 1) & mask
    table[slot, 0] = key
    return slot


@inner
def _densest(page: Page, sums: Float64s, which: int) -> int:
    """The element with the most text: the sum of its blocks, where short and linked ones count against it.

    Args:
        page: The page.
        sums: Running sums over blocks, shape (blocks + 1, columns).
        which: 1 for the sum of scores; 2 for scores handed up to the parents, less at each level.

    Returns:
        The element.
    """
    elements = page.elements
    best, found = 0, -1e300
    if which == 1:
        for element in range(len(elements) - 1):
            score = sums[elements[element, END_BLOCK], 4] - sums[elements[element, FIRST_BLOCK], 4]
            if score >= found:
                best, found = element, score
        return best
    scores = np.zeros(len(elements))
    for block in range(len(page.blocks) - 1):
        points = sums[block + 1, 5] - sums[block, 5]
        if points > 0:
            element, weight = page.blocks[block, AROUND], 0.5
            for _ in range(4):
                element = elements[element, PARENT]
                if element < 0:
                    break
                scores[element] += points * weight
                weight = 1.0 if weight == 0.5 else 0.5 if weight == 1.0 else 0.25
    for element in range(len(elements) - 1):
        first, end = elements[element, FIRST_BLOCK], elements[element, END_BLOCK]
        score = scores[element] * (1 - _share(sums[end, 1] - sums[first, 1], sums[end, 0] - sums[first, 0]))
        if score > found:
            best, found = element, score
    return best


@kernel
def measure(page: Page, vocabulary: Vocabulary) -> Float32s:
    """The features of the blocks of a page.

    Args:
        page: The page.
        vocabulary: Log-odds of tokens.

    Returns:
        Features, shape (blocks, COUNT), columns as in NAMES.
    """
    elements, blocks = page.elements, page.blocks
    n = len(blocks) - 1
    out = np.zeros((n, COUNT), np.float32)
    if n == 0:
        return out
    odds, paths = np.empty((len(elements) - 1, 5 * SENSES)), np.empty((len(elements) - 1, 4), np.int64)
    _measure_elements(page, vocabulary, odds, paths)
    basic, own, at = np.empty((n, 14)), np.zeros((n, 9)), np.zeros(2, np.int64)
    size = 64
    while size < 2 * (len(elements) + n):
        size *= 2
    texts, by_path = np.zeros((size, 2), np.int64), np.zeros((size, 4), np.int64)
    keys = np.empty((n, 3), np.int64)
    articles = h1s = forms = 0
    first_h1 = -1
    for element in range(len(elements) - 1):
        tag = elements[element, TAG]
        articles += tag == ARTICLE_TAG
        forms += tag == FORM_TAG
        if tag == H1 and elements[element, END_BLOCK] > elements[element, FIRST_BLOCK]:
            h1s += 1
            first_h1 = elements[element, FIRST_BLOCK] if first_h1 < 0 else first_h1
        by_path[_slot_of(by_path, paths[element, 0]), 1] += 1
    for block in range(n):
        key = _measure_text(page, block, basic, own)
        around = blocks[block, AROUND]
        words, links, chars = own[block, 2], basic[block, LINKS], own[block, 0]
        flags = page.runs[blocks[block, FIRST_RUN], RUN_FLAGS]
        own[block, 3] = chars if flags & PARAGRAPH else 0
        good = words * (1 - links)
        own[block, 4] = good if words >= 8 and links < 0.5 else -2 - 0.5 * words * links
        own[block, 5] = 1 + basic[block, COMMAS] * words + min(chars / 100, 3) if words >= 6 and links < 0.5 else 0
        own[block, 6] = odds[around, 3]
        own[block, 7] = 1 if flags & PARAGRAPH else 0
        own[block, 8] = odds[around, 8]
        keys[block, 0] = _slot_of(texts, key)
        texts[keys[block, 0], 1] += 1
        for column in range(2):
            slot = _slot_of(by_path, paths[around, column] ^ (0x5BD1E995 * (column + 1)))
            keys[block, 1 + column] = slot
            by_path[slot, 1] += 1
            by_path[slot, 2] += np.int64(chars)
            by_path[slot, 3] += np.int64(chars * links)
    sums = np.zeros((n + 1, 9))
    for block in range(n):
        for column in range(9):
            sums[block + 1, column] = sums[block, column] + own[block, column]
    total = max(sums[n, 0], 1.0)
    densest = (_densest(page, sums, 1), _densest(page, sums, 2))
    longest, listed, tabled = 0.0, 0.0, 0.0
    for block in range(n):
        longest = max(longest, own[block, 0])
        flags = page.runs[blocks[block, FIRST_RUN], RUN_FLAGS]
        listed += own[block, 0] if flags & LIST else 0
        tabled += own[block, 0] if flags & TABLE else 0
    meta, metas = np.zeros(SENSES), 0
    for token in page.meta:
        slot = look_up(vocabulary, mixed(token, META_KIND))
        if slot >= 0:
            metas += 1
            for sense in range(SENSES):
                meta[sense] += vocabulary.odds[slot, sense]
    common = np.empty(len(_PAGE_NAMES), np.float32)
    common[0] = _log(sums[n, 0])
    common[1] = sums[n, 1] / total
    common[2] = _log(n)
    common[3] = _log(len(elements))
    common[4] = sums[n, 3] / total
    common[5] = longest / total
    common[6] = _log(articles)
    common[7] = _log(h1s)
    common[8] = listed / total
    common[9] = _log(forms)
    common[10] = tabled / total
    common[11] = _share(meta[0], metas)
    common[12] = _share(meta[1], metas)
    common[13] = sums[n, 6] / n
    common[14] = sums[n, 8] / n
    containers, is_measured = np.empty((len(elements), 8), np.float32), np.zeros(len(elements), np.bool_)
    words = np.empty((n, 3 * SENSES))
    headline = -1
    for block in range(n):
        around = blocks[block, AROUND]
        flags = page.runs[blocks[block, FIRST_RUN], RUN_FLAGS]
        f = 0
        for column in range(14):
            out[block, f] = basic[block, column]
            f += 1
        # Log-odds along the chain of ancestors.
        parent, container = max(elements[around, PARENT], 0), paths[around, 3]
        beyond = paths[container, 3]
        for column in range(0, 5 * SENSES, 5):
            inline, weight = 0.0, 0.0
            for run in range(blocks[block, FIRST_RUN], blocks[block + 1, FIRST_RUN]):
                length = page.runs[run, END] - page.runs[run, START]
                inline += length * odds[page.runs[run, ELEMENT], column + 3]
                weight += length
            out[block, f] = odds[around, column]
            out[block, f + 1] = _share(inline, weight) - odds[around, column + 3]
            out[block, f + 2] = odds[parent, column]
            out[block, f + 3] = odds[around, column + 1]
            out[block, f + 4] = odds[around, column + 2]
            out[block, f + 5] = odds[around, column + 3]
            out[block, f + 6] = odds[around, column + 4] / (paths[around, 2] + 1)
            out[block, f + 7] = odds[container, column + 3]
            out[block, f + 8] = odds[beyond, column + 3]
            f += 9
        _measure_words(page, block, vocabulary, at, words)
        for column in range(3 * SENSES):
            out[block, f] = words[block, column]
            out[block, f + 3 * SENSES] = words[headline, column] if headline >= 0 else 0
            f += 1
        f += 3 * SENSES
        out[block, f] = min(block - headline, 100) if headline >= 0 else -1
        out[block, f + 1] = odds[blocks[headline, AROUND], 3] if headline >= 0 else 0
        out[block, f + 2] = odds[blocks[headline, AROUND], 8] if headline >= 0 else 0
        f += 3
        if flags & HEADLINE:
            headline = block
        for bit in FLAG_BITS:
            out[block, f] = 1 if flags & bit else 0
            f += 1
        # Place.
        out[block, f] = paths[around, 2]
        out[block, f + 1] = block / n
        out[block, f + 2] = sums[block, 0] / total
        out[block, f + 3] = _log(n - block)
        out[block, f + 4] = 0 if first_h1 < 0 else 1 if block > first_h1 else 2 if block == first_h1 else 3
        out[block, f + 5] = min(max(block - first_h1, -50), 200) if first_h1 >= 0 else -100
        out[block, f + 6] = texts[keys[block, 0], 1]
        for column in range(2):
            slot = keys[block, 1 + column]
            out[block, f + 7 + 3 * column] = _log(by_path[slot, 1])
            out[block, f + 8 + 3 * column] = by_path[slot, 2] / total
        out[block, f + 9] = _share(by_path[keys[block, 1], 3], by_path[keys[block, 1], 2])
        name = elements[around, TAG]
        level = 0
        for k in range(1, 7):
            level = k if name == H1 + k - 1 else level
        out[block, f + 12] = level
        lists, element = 0, around
        for _ in range(24):
            if element <= 0:
                break
            lists += elements[element, TAG] == LI
            element = elements[element, PARENT]
        out[block, f + 13] = lists
        out[block, f + 14] = block > 0 and keys[block, 1] == keys[block - 1, 1]
        f += 15
        # Containers.
        element = around
        for _ in range(LEVELS):
            element = paths[element, 3]
            if not is_measured[element]:
                first, end = elements[element, FIRST_BLOCK], elements[element, END_BLOCK]
                chars = sums[end, 0] - sums[first, 0]
                containers[element, 0] = _log(chars)
                containers[element, 1] = _share(sums[end, 1] - sums[first, 1], chars)
                containers[element, 2] = _share(sums[end, 3] - sums[first, 3], chars)
                containers[element, 3] = _log(end - first)
                containers[element, 4] = _log(_share(chars, end - first))
                containers[element, 5] = chars / total
                containers[element, 6] = odds[element, 0]
                containers[element, 7] = _log(by_path[_slot_of(by_path, paths[element, 0]), 1])
                is_measured[element] = True
            for column in range(8):
                out[block, f + column] = containers[element, column]
            f += 8
        # The densest containers.
        for target in densest:
            first, end = elements[target, FIRST_BLOCK], elements[target, END_BLOCK]
            element, climbs = around, 0
            while climbs < 12 and not (elements[element, FIRST_BLOCK] <= first and elements[element, END_BLOCK] >= end):
                element = paths[element, 3]
                climbs += 1
            inside = first <= block < end
            out[block, f] = inside
            out[block, f + 1] = climbs
            out[block, f + 2] = 0 if inside else max(block - end + 1, -50) if block >= end else max(block - first, -50)
            out[block, f + 3] = (sums[end, 0] - sums[first, 0]) / total
            f += 4
        # Neighbors.
        for offset in OFFSETS:
            other = block + offset
            if 0 <= other < n:
                out[block, f] = basic[other, LOG_CHARS]
                out[block, f + 1] = basic[other, LINKS]
                out[block, f + 2] = own[other, 6]
                out[block, f + 3] = own[other, 7]
                out[block, f + 4] = own[other, 4]
                out[block, f + 5] = own[other, 8]
            else:
                for column in range(f, f + 6):
                    out[block, column] = -1
            f += 6
        for window in WINDOWS:
            for side in range(2):
                first = max(block - window, 0) if side == 0 else block + 1
                end = block if side == 0 else min(block + window + 1, n)
                if side == 1 and end < n:
                    break  # filled when `end` is `block`: the same blocks are before it
                first = min(first, end)
                count = max(end - first, 1)
                chars = sums[end, 0] - sums[first, 0]
                g = f + 6 * side
                out[block, g] = _log(chars / count)
                out[block, g + 1] = _share(sums[end, 1] - sums[first, 1], chars)
                out[block, g + 2] = (sums[end, 6] - sums[first, 6]) / count
                out[block, g + 3] = (sums[end, 7] - sums[first, 7]) / count
                out[block, g + 4] = (sums[end, 4] - sums[first, 4]) / count
                out[block, g + 5] = (sums[end, 8] - sums[first, 8]) / count
            other = block - window - 1
            if other >= 0:
                for column in range(f, f + 6):
                    out[other, column + 6] = out[block, column]
            f += 12
        # The page.
        for column in range(len(common)):
            out[block, f + column] = common[column]
    return out
