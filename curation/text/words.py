"""Words of texts by spaCy's tokenizers, English by default, each distinct chunk tokenized once per process.

A chunk is a piece of text between white space. It is split on its own, by kernels if it is simple, else by
`curation.text.english`, and the result is stored (`curation.text.word_memo`). Neighboring chunks are tokenized together
only where that may change spaCy's result: a few times in a thousand pages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curation.arrays import Int32s, Int64s, UInt8s, UInt32s
from curation.text import english
from curation.text.english import Edge, EnglishTokenizer
from curation.text.kernels import chunks as kernels
from curation.text.kernels.characters import classes
from curation.text.kernels.chunks import LOCAL, Answers, Chunks, Texts
from curation.text.word_memo import Memo, text_of

_OPENS, _CLOSES = Edge.OPENS | Edge.INSIDE, Edge.CLOSES | Edge.INSIDE
_MEMO = Memo()
"""Of English."""


def words(
    codepoints: UInt32s, first: Int64s, last: Int64s, memo: Memo | None = None
) -> tuple[Int64s, Int64s, Int64s, Int64s, UInt8s]:
    """Find the words of texts: spaCy's tokens that are not white space.

    Args:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        memo: The words of chunks by the tokenizer of a language; by default of English.

    Returns:
        Start and end of each word in `codepoints`, the first word of each text and the word after its last, and the
        flags of each word (`curation.text.kernels.chunks`: HAS_ALPHA, ...).
    """
    texts = Texts(codepoints, first, last, classes())
    memo = memo or _MEMO
    chunks, known, long = memo.resolve(texts)
    local = _LocalEntries()
    for chunk in long:
        local.add(*memo.tokenizer(text_of(texts, chunks, chunk)))
    words_first, words_last = np.empty_like(first), np.empty_like(last)
    pairs = np.empty_like(chunks.starts)

    def locate_words(answers: Answers) -> tuple[int, int]:
        return kernels.locate_words(
            texts, chunks, known, answers, _OPENS, _CLOSES, Edge.ALTERS, words_first, words_last, pairs
        )

    total, n_pairs = locate_words(local.arrays())
    if n_pairs:
        _retokenize_neighbors(memo.tokenizer, texts, chunks, known, local, pairs[:n_pairs])
        total, _ = locate_words(local.arrays())
    starts, ends = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    flags = np.empty(total, dtype=np.uint8)
    kernels.emit_words(texts, chunks, known, local.arrays(), starts, ends, flags)
    return starts, ends, words_first, words_last, flags


class _LocalEntries:
    """Words that are kept for one batch only: of chunks too long to store, and of neighbors that interact."""

    def __init__(self) -> None:
        self._lengths: list[Int32s] = []
        self._edges: list[int] = []

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, words: Sequence[str], edge: int) -> None:
        self._lengths.append(np.fromiter(map(len, words), np.int32, len(words)))
        self._edges.append(edge)

    def edge(self, entry: int) -> int:
        return self._edges[entry]

    def arrays(self) -> Answers:
        counts = np.array([part.size for part in self._lengths], dtype=np.int32)
        lengths = np.concatenate([np.zeros(0, dtype=np.int32), *self._lengths])
        begins = np.cumsum(counts, dtype=np.int64) - counts
        return Answers(begins, counts, np.array(self._edges, dtype=np.uint8), lengths)


def _retokenize_neighbors(
    tokenizer: EnglishTokenizer, texts: Texts, chunks: Chunks, known: Answers, local: _LocalEntries, pairs: Int64s
) -> None:
    """Give local entries to neighbors whose words may change because a spaCy exception reaches across a space."""
    done = -1
    for chunk in pairs.tolist():
        if chunk >= done:
            done = _join(tokenizer, texts, chunks, known, local, chunk)


def _join(
    tokenizer: EnglishTokenizer, texts: Texts, chunks: Chunks, known: Answers, local: _LocalEntries, chunk: int
) -> int:
    """Tokenize `chunk` with all neighbors it can interact with, directly or through others; returns the last one."""
    row = int(np.searchsorted(chunks.last, chunk, side="right"))

    def edge(which: int) -> int:
        entry = int(chunks.entries[which])
        if entry >= 0:
            return int(known.edges[entry])
        return local.edge(LOCAL - entry) if entry <= LOCAL else 0

    def interacts_with_next(which: int) -> bool:
        gap = chunks.ends[which]
        one_space = chunks.starts[which + 1] == gap + 1 and texts.codepoints[gap] == ord(" ")
        return bool(one_space) and english.can_interact(edge(which), edge(which + 1))

    begin = end = chunk
    while begin > chunks.first[row] and interacts_with_next(begin - 1):
        begin -= 1
    while end + 1 < chunks.last[row] and interacts_with_next(end):
        end += 1
    parts = [tokenizer.split(text_of(texts, chunks, part)) for part in range(begin, end + 1)]
    edges = [edge(part) for part in range(begin, end + 1)]
    chunks.entries[begin : end + 1] = LOCAL - np.arange(len(local), len(local) + len(parts))
    for words_of_part, edge_of_part in zip(tokenizer.tokenize_together(parts), edges, strict=True):
        local.add(words_of_part, edge_of_part)
    return end
