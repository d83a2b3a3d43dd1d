"""How much of each block of a page is main text, by comparison with the annotation.

Words of a block count as main text where four of them in a row occur in the annotated text. Text that occurs on the
page more often than in the annotation counts once, in the longest passage that agrees.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from curation.arrays import Bools, Float64s
from curation.extraction.blocks.parse import END, FIRST_RUN, START, Page

_WORD = re.compile(r"[぀-ヿ㐀-鿿]|\w+")
"""A word; in Chinese and Japanese a character, since words are not separated."""
_GRAM = 4
_SHORT = 6
"""A block of fewer words is main text if it equals a line of the annotation."""


def words_of(text: str) -> list[str]:
    """Words in lower case."""
    return _WORD.findall(text.lower())


def block_texts(page: Page) -> list[str]:
    """The text of each block."""
    text, runs, first = page.text.tobytes(), page.runs, page.blocks[:, FIRST_RUN]
    return [
        b"".join(text[runs[run, START] : runs[run, END]] for run in range(first[block], first[block + 1])).decode()
        for block in range(len(first) - 1)
    ]


def label(blocks: list[list[str]], gold: str) -> Float64s:
    """The share of main text in each block.

    Args:
        blocks: Words of each block.
        gold: The annotated main text.

    Returns:
        Shares between 0 and 1.
    """
    wanted = words_of(gold)
    left = Counter(tuple(wanted[at : at + _GRAM]) for at in range(len(wanted) - _GRAM + 1))
    stream = [word for words in blocks for word in words]
    hits = [tuple(stream[at : at + _GRAM]) in left for at in range(len(stream) - _GRAM + 1)]
    covered = np.zeros(len(stream), bool)
    for start, end in sorted(_stretches(hits), key=lambda stretch: (stretch[0] - stretch[1], stretch[0])):
        for at in range(start, end):
            gram = tuple(stream[at : at + _GRAM])
            if left[gram] > 0:
                left[gram] -= 1
                covered[at : at + _GRAM] = True
    lines = {" ".join(words_of(line)) for line in gold.split("\n")}
    shares, at = np.zeros(len(blocks)), 0
    for number, words in enumerate(blocks):
        if words:
            shares[number] = covered[at : at + len(words)].mean()
            if len(words) < _SHORT and " ".join(words) in lines:
                shares[number] = max(shares[number], 0.9)
        at += len(words)
    return shares


def label_by_snippets(blocks: list[list[str]], wanted: list[str], unwanted: list[str]) -> tuple[Float64s, Bools]:
    """Labels of the blocks that annotated snippets tell something about.

    A snippet that is wanted makes the longest block that contains it main text. One that is not makes blocks
    boilerplate that consist of it at least by half.

    Returns:
        Shares, and whether each block is labeled.
    """
    lines = [" ".join(words) for words in blocks]
    shares, labeled = np.zeros(len(blocks)), np.zeros(len(blocks), bool)
    for snippet in (" ".join(words_of(each)) for each in unwanted):
        for number, line in enumerate(lines):
            if snippet and snippet in line and 2 * len(snippet) >= len(line):
                labeled[number] = True
    for snippet in (" ".join(words_of(each)) for each in wanted):
        found = [number for number, line in enumerate(lines) if snippet and snippet in line]
        if found:
            best = max(found, key=lambda number: len(lines[number]))
            shares[best], labeled[best] = 1, True
    return shares, labeled


def _stretches(hits: list[bool]) -> list[tuple[int, int]]:
    """Beginning and end of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.array(hits, bool), [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
