"""Log-odds of what surrounds text: classes, ids, names of elements, words of short blocks, what the head says.

Every domain counts once, however many of its pages are annotated. A token that occurs on fewer domains than MIN_DOMAINS
is left out. A page is measured for training with odds that were counted without its domain, as pages of unknown domains
will be measured later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.arrays import Float64s, Int64s, UInt32s
from curation.extraction.blocks.measure import (
    META_KIND,
    SENSES,
    TAG_KIND,
    WORD_KIND,
    WORD_LIMIT,
    Vocabulary,
    mixed,
    next_word,
)  # fmt: skip
from curation.extraction.blocks.parse import END_BLOCK, FIRST_BLOCK, FIRST_TOKEN, TAG, Page
from curation.running.compiled import kernel

MIN_DOMAINS = 4
_PRIOR, _STRENGTH = 0.35, 2.0
"""Share of main text that is assumed of an unknown token, and the number of domains that this assumption counts as."""


@dataclass(frozen=True, slots=True)
class PageTokens:
    """What one page says about tokens: the words around which each occurs, and how many of them are main text."""

    tokens: UInt32s
    main: Float64s
    all: Float64s


@kernel
def _mix(values: Int64s, kind: int) -> UInt32s:
    out = np.empty(len(values), np.uint32)
    for place in range(len(values)):
        out[place] = mixed(values[place], kind)
    return out


@kernel
def _words(page: Page) -> tuple[UInt32s, Int64s]:
    """Tokens of the first words of each block, and the block of each."""
    tokens = np.empty(WORD_LIMIT * len(page.blocks), np.uint32)
    blocks = np.empty(len(tokens), np.int64)
    count = 0
    at = np.empty(3, np.int64)
    for block in range(len(page.blocks) - 1):
        at[:] = 0
        for _ in range(WORD_LIMIT):
            key = next_word(page, block, at)
            if key == 0:
                break
            tokens[count], blocks[count] = mixed(key, WORD_KIND), block
            count += 1
    return tokens[:count], blocks[:count]


def count_page(page: Page, shares: Float64s, words: Int64s) -> PageTokens:
    """Count the tokens of a page.

    Args:
        page: The page.
        shares: Share of main text of each block.
        words: Words of each block; 0 if its share is not known.
    """
    elements, n = page.elements, len(page.elements) - 1
    main_before, all_before = (
        np.concatenate([[0.0], np.cumsum(values)]) for values in (shares * words, words.astype(float))
    )
    first, end = elements[:n, FIRST_BLOCK], elements[:n, END_BLOCK]
    main, everything = main_before[end] - main_before[first], all_before[end] - all_before[first]
    owner = np.repeat(np.arange(n), np.diff(elements[:, FIRST_TOKEN]))
    word_tokens, word_blocks = _words(page)
    known = (words[word_blocks] > 0).astype(float)
    meta = _mix(page.meta.astype(np.int64), META_KIND)
    tokens = [page.tokens, _mix(elements[:n, TAG], TAG_KIND), word_tokens, meta]
    mains = [main[owner], main, shares[word_blocks] * known, np.full(len(meta), main_before[-1])]
    alls = [everything[owner], everything, known, np.full(len(meta), all_before[-1])]
    token, hit, total = np.concatenate(tokens), np.concatenate(mains), np.concatenate(alls)
    token, hit, total = token[total > 0], hit[total > 0], total[total > 0]
    unique, place = np.unique(token, return_inverse=True)
    main_words, all_words = (np.bincount(place, each, len(unique)).astype(np.float64) for each in (hit, total))
    return PageTokens(unique, main_words, all_words)


class Counted:
    """Tokens counted over pages, and the vocabularies that follow."""

    def __init__(self, pages: list[PageTokens], domains: list[str], senses: list[int]) -> None:
        """Count.

        Args:
            pages: The tokens of each page.
            domains: The registered domain of each page.
            senses: The sense in which the tokens of each page are counted, below SENSES.
        """
        names, of_page = np.unique(domains, return_inverse=True)
        self._names = {name: number for number, name in enumerate(names.tolist())}
        lengths = [len(page.tokens) for page in pages]
        token = np.concatenate([page.tokens for page in pages]).astype(np.int64)
        owner = np.repeat(2 * of_page + np.array(senses), lengths).astype(np.int64)
        pair, place = np.unique(owner << 32 | token, return_inverse=True)
        main = np.bincount(place, np.concatenate([page.main for page in pages]), len(pair))
        everything = np.bincount(place, np.concatenate([page.all for page in pages]), len(pair))
        keys, number = np.unique((pair & 0xFFFFFFFF).astype(np.uint32), return_inverse=True)
        kept = (np.bincount(number, minlength=len(keys)) >= MIN_DOMAINS) & (keys > 0)
        wanted = kept[number]
        self._keys = keys[kept]
        self._number, self._share = (np.cumsum(kept) - 1)[number[wanted]], (main / everything)[wanted]
        owner = (pair >> 32)[wanted]
        self._sense, domain = owner & 1, owner >> 1
        self._starts = np.searchsorted(domain, np.arange(len(names) + 1))
        shape = (len(self._keys), SENSES)
        self._main, self._count = np.zeros(shape), np.zeros(shape)
        np.add.at(self._main, (self._number, self._sense), self._share)
        np.add.at(self._count, (self._number, self._sense), 1)
        self._table = np.zeros(1 << max(10, int(2 * len(self._keys)).bit_length()), np.uint32)
        self._slots = _fill(self._table, self._keys)

    def vocabulary(self, without: str | None = None) -> Vocabulary:
        """The log-odds of all tokens, counted without the domain `without`."""
        main, count = self._main, self._count
        if without in self._names:
            number = self._names[without]
            own = slice(self._starts[number], self._starts[number + 1])
            main, count = main.copy(), count.copy()
            np.subtract.at(main, (self._number[own], self._sense[own]), self._share[own])
            np.subtract.at(count, (self._number[own], self._sense[own]), 1)
        odds = np.log((main + _STRENGTH * _PRIOR) / (count - main + _STRENGTH * (1 - _PRIOR)))
        odds -= np.log(_PRIOR / (1 - _PRIOR))
        values = np.zeros((len(self._table), SENSES), np.float32)
        values[self._slots] = np.where(count.sum(axis=1, keepdims=True) >= MIN_DOMAINS, odds, 0)
        return Vocabulary(self._table, values)


@kernel
def _fill(table: UInt32s, keys: UInt32s) -> Int64s:
    """Insert the keys into the open-addressed table; returns the slot of each."""
    mask = len(table) - 1
    slots = np.empty(len(keys), np.int64)
    for number in range(len(keys)):
        slot = np.int64(keys[number]) & mask
        while table[slot] != 0:
            slot = (slot + 1) & mask
        table[slot] = keys[number]
        slots[number] = slot
    return slots
