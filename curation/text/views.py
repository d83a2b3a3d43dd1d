"""Flat views of the text of a batch: code points, words, lines and paragraphs.

Every view is one flat array for the whole batch plus the start and end of each document's part. Kernels loop over it
without Python objects; taking rows only indexes the two small arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.text.buffers import text_bytes
from curation.text.kernels import characters as utf8
from curation.text.kernels import markdown, spans
from curation.text.kernels.unicode_words import find_unicode_words, is_alphanumeric, word_breaks

_NEWLINE = np.uint32(10)
_FASTTEXT_SPACE = np.array([0, 9, 10, 11, 12, 13, 32], dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class Characters:
    """Code points (uint32) of all texts; document `i` is `codepoints[first[i]:last[i]]`."""

    codepoints: UInt32s
    first: Int64s
    last: Int64s

    @property
    def counts(self) -> Int64s:
        """Number of characters of each document, shape (documents,)."""
        return self.last - self.first

    def take(self, rows: Int64s) -> Characters:
        """The view of the given rows, which shares the flat array."""
        return Characters(self.codepoints, self.first[rows], self.last[rows])

    def between(self, starts: Int64s, ends: Int64s) -> tuple[UInt32s, Int64s]:
        """The code points of stretches of the texts, one after the other, and where each stretch begins and ends there.

        Args:
            starts: Where each begins, in the code points of all texts.
            ends: Where it ends.

        Returns:
            The code points, and the edges of the stretches in them, shape (stretches + 1,).
        """
        edges = np.append(0, np.cumsum(ends - starts))
        return self.codepoints[np.repeat(starts - edges[:-1], ends - starts) + np.arange(edges[-1])], edges


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans `[starts[k], ends[k])` of the code points; document `i` has those with `first[i] <= k < last[i]`."""

    starts: Int64s
    ends: Int64s
    first: Int64s
    last: Int64s

    @property
    def counts(self) -> Int64s:
        """Number of spans of each document, shape (documents,)."""
        return self.last - self.first

    def take(self, rows: Int64s) -> Spans:
        """The view of the rows given, sharing the flat arrays."""
        return Spans(self.starts, self.ends, self.first[rows], self.last[rows])

    def sums(self, values: Int64s | Bools) -> Int64s:
        """The sum of one value per span over the spans of each document, shape (documents,)."""
        sums: Int64s = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
        return sums[self.last] - sums[self.first]

    def where(self, mask: Bools) -> Spans:
        """The spans for which `mask`, shape (spans,), is true."""
        before: Int64s = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])
        return Spans(self.starts[mask], self.ends[mask], before[self.first], before[self.last])


@dataclass(frozen=True, slots=True)
class Words(Spans):
    """Words: spans with one byte of flags per word (`curation.text.kernels.chunks`: HAS_ALPHA, ALL_SYMBOLS, ...)."""

    flags: UInt8s

    def take(self, rows: Int64s) -> Words:
        """The view of the rows given, sharing the flat arrays."""
        return Words(self.starts, self.ends, self.first[rows], self.last[rows], self.flags)


@dataclass(frozen=True, slots=True)
class Labels:
    """A label for each document, such as its language."""

    names: tuple[str | None, ...]

    def take(self, rows: Int64s) -> Labels:
        """The labels of the rows given."""
        return Labels(tuple(self.names[row] for row in rows.tolist()))


def characters(text: pa.StringArray) -> Characters:
    """Code points of a string array, which may be a slice of another. A null is an empty text.

    Raises:
        TypeError: `text` is not of type string or large_string.
    """
    if not (pa.types.is_string(text.type) or pa.types.is_large_string(text.type)):
        raise TypeError(f"text must be of type string or large_string, not {text.type}")
    data, offsets = text_bytes(text)
    begins, ends = offsets[:-1], offsets[1:].copy()
    if text.null_count:
        null = text.is_null().to_numpy(zero_copy_only=False)
        ends[null] = begins[null]
    codepoints = np.empty(utf8.count_codepoints(data[offsets[0] : offsets[-1]]), dtype=np.uint32)
    first, last = np.empty(len(text), dtype=np.int64), np.empty(len(text), dtype=np.int64)
    utf8.decode(data, begins, ends, codepoints, first, last)
    return Characters(codepoints, first, last)


def strings(text: Characters) -> pa.StringArray:
    """The inverse of `characters`."""
    sizes = np.empty(len(text.first), dtype=np.int64)
    utf8.encoded_sizes(text.codepoints, text.first, text.last, sizes)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{offsets[-1]} bytes of text in one batch exceed 2 GiB")
    data = np.empty(offsets[-1], dtype=np.uint8)
    utf8.encode(text.codepoints, text.first, text.last, offsets, data)
    return pa.StringArray.from_buffers(len(sizes), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data))


def bytes_before(text: Characters) -> Int64s:
    """UTF-8 bytes before each code point, and of all, shape (code points + 1,)."""
    sizes = np.ones(len(text.codepoints), dtype=np.int64)
    for size in (0x80, 0x800, 0x10000):
        sizes += text.codepoints >= size
    return np.concatenate([[0], np.cumsum(sizes)])


def flat(texts: Sequence[str]) -> Characters:
    """Code points of strings that are not a column, such as the words and phrases in parameters."""
    return characters(pa.array(texts, pa.string()))


def words(text: Characters) -> Words:
    """Words of spaCy's English tokenizer, without its white-space tokens."""
    from curation.text.words import words as find_words

    return Words(*find_words(text.codepoints, text.first, text.last))


def space_words(text: Characters) -> Words:
    """Words between white space: `text.split()`."""
    size = int(text.counts.sum()) // 2 + len(text.first)
    starts, ends, first, last = _span_arrays(size, len(text.first))
    flags = np.empty(size, dtype=np.uint8)
    count = spans.find_words(text.codepoints, text.first, text.last, utf8.classes(), starts, ends, flags, first, last)
    return Words(starts[:count], ends[:count], first, last, flags[:count])


def unicode_words(text: Characters) -> Spans:
    """Parts between Unicode's word boundaries that have a letter or a digit (`curation.text.kernels.unicode_words`)."""
    starts, ends, first, last = _span_arrays(int(text.counts.sum()), len(text.first))
    count = find_unicode_words(text.codepoints, text.first, text.last, word_breaks(), starts, ends, first, last)
    return Spans(starts[:count], ends[:count], first, last)


def count_fasttext_words(text: Characters) -> Int64s:
    """Number of fastText's words, between ASCII white space, that begin with a letter or digit, shape (documents,)."""
    is_space = np.isin(text.codepoints, _FASTTEXT_SPACE)
    begins = np.concatenate([[True], is_space[:-1]]) if len(is_space) else is_space
    begins[text.first[text.first < len(begins)]] = True
    counts: Int64s = np.concatenate([[0], np.cumsum(begins & is_alphanumeric(text.codepoints))])
    return counts[text.last] - counts[text.first]


def lines(text: Characters) -> Spans:
    """Lines: `text.split("\\n")`, so that every document has at least one."""
    size = int(np.count_nonzero(text.codepoints == _NEWLINE)) + len(text.first)
    starts, ends, first, last = _span_arrays(size, len(text.first))
    count = spans.find_lines(text.codepoints, text.first, text.last, starts, ends, first, last)
    return Spans(starts[:count], ends[:count], first, last)


def paragraphs(text: Characters) -> Spans:
    """Paragraphs: `re.split("\\n{2,}", text.strip())`, so that every document has at least one."""
    size = int(np.count_nonzero(text.codepoints == _NEWLINE)) // 2 + len(text.first)
    starts, ends, first, last = _span_arrays(size, len(text.first))
    count = spans.find_paragraphs(*(text.codepoints, text.first, text.last, utf8.classes(), starts, ends, first, last))
    return Spans(starts[:count], ends[:count], first, last)


def fences(text: Characters) -> Spans:
    """Fenced code of texts in Markdown, the lines of the fences included."""
    size = int(np.count_nonzero(text.codepoints == _NEWLINE)) + len(text.first)
    starts, ends, first, last = _span_arrays(size, len(text.first))
    count = markdown.find_fences(text.codepoints, text.first, text.last, starts, ends, first, last)
    return Spans(starts[:count], ends[:count], first, last)


def prose(text: Characters, code: Spans) -> Characters:
    """Texts in Markdown without their fenced code, of which `code` has the spans, blank lines and marks."""
    codepoints = np.empty(int(text.counts.sum()), dtype=np.uint32)
    first, last = np.empty_like(text.first), np.empty_like(text.last)
    markdown.find_prose(
        *(text.codepoints, text.first, text.last, code.starts, code.ends, code.first, code.last),
        *(codepoints, first, last),
    )
    return Characters(codepoints, first, last)


def _span_arrays(size: int, rows: int) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    starts, ends = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    return starts, ends, np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
