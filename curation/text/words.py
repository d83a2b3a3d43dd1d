"""Words of texts as spaCy's English tokenizer cuts them, each distinct chunk tokenized once a process.

Text between white space is cut by itself, by kernels where that is simple, else by `curation.text.english`, and the
answer is remembered (`curation.text.word_memo`). Neighbours are looked at together only where spaCy's answer for them
may differ from that for each: a few times in a thousand pages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curation.arrays import Int32s, Int64s, UInt8s, UInt32s
from curation.text import english
from curation.text.english import Edge
from curation.text.kernels import chunks as kernels
from curation.text.kernels.characters import classes
from curation.text.kernels.chunks import LOCAL, Answers, Chunks, Texts
from curation.text.word_memo import Memo, text_of

_OPENS, _CLOSES = Edge.OPENS | Edge.INSIDE, Edge.CLOSES | Edge.INSIDE
_MEMO = Memo()


def words(codepoints: UInt32s, first: Int64s, last: Int64s) -> tuple[Int64s, Int64s, Int64s, Int64s, UInt8s]:
    """Words of the texts `codepoints[first[i]:last[i]]`: spaCy's English tokens that are not white space.

    Returns starts and ends of the words as code points, first and last word of each text, and the words' flags
    (`curation.text.kernels.chunks`: HAS_ALPHA, ...).
    """
    texts = Texts(codepoints, first, last, classes())
    chunks, known, long = _MEMO.resolve(texts)
    own = _Own()
    for chunk in long:
        own.add(*english.tokenizer()(text_of(texts, chunks, chunk)))
    words_first, words_last = np.empty_like(first), np.empty_like(last)
    meetings = np.empty_like(chunks.starts)

    def survey(local: Answers) -> tuple[int, int]:
        return kernels.survey(
            texts, chunks, known, local, _OPENS, _CLOSES, Edge.ALTERS, words_first, words_last, meetings
        )

    total, meeting = survey(own.arrays())
    if meeting:
        _let_meet(texts, chunks, known, own, meetings[:meeting])
        total, _ = survey(own.arrays())
    starts, ends = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    flags = np.empty(total, dtype=np.uint8)
    kernels.emit_words(texts, chunks, known, own.arrays(), starts, ends, flags)
    return starts, ends, words_first, words_last, flags


class _Own:
    """Answers of a batch's own: for chunks too long to store, and for neighbours that meet."""

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


def _let_meet(texts: Texts, chunks: Chunks, known: Answers, own: _Own, meetings: Int64s) -> None:
    """Give own entries to neighbours whose words may change because an exception of spaCy's reaches over a space."""
    done = -1
    for chunk in meetings.tolist():
        if chunk >= done:
            done = _join(texts, chunks, known, own, chunk)


def _join(texts: Texts, chunks: Chunks, known: Answers, own: _Own, chunk: int) -> int:
    """Tokenize `chunk` together with all neighbours that it can meet, itself or through others; the last of them."""
    row = int(np.searchsorted(chunks.last, chunk, side="right"))

    def edge(which: int) -> int:
        entry = int(chunks.entries[which])
        if entry >= 0:
            return int(known.edges[entry])
        return own.edge(LOCAL - entry) if entry <= LOCAL else 0

    def meets_next(which: int) -> bool:
        gap = chunks.ends[which]
        one_space = chunks.starts[which + 1] == gap + 1 and texts.codepoints[gap] == ord(" ")
        return bool(one_space) and english.can_meet(edge(which), edge(which + 1))

    begin = end = chunk
    while begin > chunks.first[row] and meets_next(begin - 1):
        begin -= 1
    while end + 1 < chunks.last[row] and meets_next(end):
        end += 1
    parts = [english.tokenizer().split(text_of(texts, chunks, part)) for part in range(begin, end + 1)]
    edges = [edge(part) for part in range(begin, end + 1)]
    chunks.entries[begin : end + 1] = LOCAL - np.arange(len(own), len(own) + len(parts))
    for found, edge_of_part in zip(english.tokenizer().together(parts), edges, strict=True):
        own.add(found, edge_of_part)
    return end
