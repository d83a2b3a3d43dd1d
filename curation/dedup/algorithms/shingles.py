"""Shingles: hashes of every sequence of `ngram` words of a simplified text, in two variants.

`datatrove`: words of spaCy's English tokenizer, joined by single spaces, XXH64 of the UTF-8 bytes. The words of a
document are written once, separated by spaces, so that every shingle is a slice of one buffer.
`fast`: words between spaces; each character of a script without spaces (Han, kana, Thai, Lao, Khmer, Burmese) is a
separate word, so that such texts have shingles. Each word is hashed once, and a shingle mixes the hashes of its words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt32s, UInt64s
from curation.dedup.algorithms.hashing import PRIME_1, PRIME_2, PRIME_3, mix, xxhash64
from curation.running.compiled import inner, kernel
from curation.text.views import Characters, Spans


@dataclass(frozen=True, slots=True)
class Shingles:
    """64-bit hashes of all documents, with repeats; document `i` has `hashes[first[i]:last[i]]`, none if too short."""

    hashes: UInt64s
    first: Int64s
    last: Int64s


@inner
def _joined_size(codepoints: UInt32s, starts: Int64s, ends: Int64s, first: int, last: int) -> int:
    """Size in bytes of a document's words in UTF-8 with one space after each."""
    size = last - first
    for word in range(first, last):
        for position in range(starts[word], ends[word]):
            code = codepoints[position]
            size += 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)
    return size


@inner
def _put_utf8(code: np.uint32, out: UInt8s, at: int) -> int:
    """Encode a code point at `at`; returns the position after it."""
    low, value = np.uint32(0x3F), np.uint32(code)
    if value < 0x80:
        out[at] = np.uint8(value)
        return at + 1
    if value < 0x800:
        out[at] = np.uint8(np.uint32(0xC0) | (value >> np.uint32(6)))
        out[at + 1] = np.uint8(np.uint32(0x80) | (value & low))
        return at + 2
    if value < 0x10000:
        out[at] = np.uint8(np.uint32(0xE0) | (value >> np.uint32(12)))
        out[at + 1] = np.uint8(np.uint32(0x80) | ((value >> np.uint32(6)) & low))
        out[at + 2] = np.uint8(np.uint32(0x80) | (value & low))
        return at + 3
    out[at] = np.uint8(np.uint32(0xF0) | (value >> np.uint32(18)))
    out[at + 1] = np.uint8(np.uint32(0x80) | ((value >> np.uint32(12)) & low))
    out[at + 2] = np.uint8(np.uint32(0x80) | ((value >> np.uint32(6)) & low))
    out[at + 3] = np.uint8(np.uint32(0x80) | (value & low))
    return at + 4


@kernel
def _hash_joined(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    ngram: int,
    out: UInt64s,
    out_first: Int64s,
    out_last: Int64s,
) -> None:
    at = 0
    for document in range(len(first)):
        out_first[document] = at
        begin, end = first[document], last[document]
        if end - begin >= ngram:
            joined = np.empty(_joined_size(codepoints, starts, ends, begin, end), np.uint8)
            place = np.empty(end - begin + 1, np.int64)
            byte = 0
            for word in range(begin, end):
                place[word - begin] = byte
                for position in range(starts[word], ends[word]):
                    byte = _put_utf8(codepoints[position], joined, byte)
                joined[byte] = np.uint8(32)
                byte += 1
            place[end - begin] = byte
            for word in range(end - begin - ngram + 1):
                out[at] = xxhash64(joined, place[word], place[word + ngram] - 1)
                at += 1
        out_last[document] = at


def joined_shingles(characters: Characters, words: Spans, ngram: int) -> Shingles:
    """The reference's shingles: XXH64 of `ngram` words joined by spaces; `words` are spans of `characters`."""
    rows = len(words.first)
    room = int(np.maximum(words.last - words.first - ngram + 1, 0).sum())
    out, first, last = np.empty(room, np.uint64), np.empty(rows, np.int64), np.empty(rows, np.int64)
    _hash_joined(characters.codepoints, words.starts, words.ends, words.first, words.last, ngram, out, first, last)
    return Shingles(out, first, last)


@inner
def _is_unspaced(code: int) -> bool:
    """Whether the character belongs to a script without spaces, by Unicode block."""
    if code < 0x0E00:
        return False
    if code < 0x1780:
        return code < 0x0F00 or 0x1000 <= code < 0x10A0
    if code < 0x3040:
        return code < 0x1800
    return code < 0x3100 or 0x31F0 <= code < 0xA000 or 0xF900 <= code < 0xFB00 or 0x20000 <= code < 0x40000


@inner
def _hash_words(codepoints: UInt32s, begin: int, end: int, out: UInt64s) -> int:
    """Hash all words of a simplified document into `out`; returns their number."""
    words, length, value = 0, 0, PRIME_3
    for position in range(begin, end):
        code = codepoints[position]
        unspaced = _is_unspaced(int(code))
        if (code == np.uint32(32) or unspaced) and length > 0:
            out[words] = value
            words, length, value = words + 1, 0, PRIME_3
        if unspaced:
            out[words] = (PRIME_3 ^ np.uint64(code)) * PRIME_1
            words += 1
        elif code != np.uint32(32):
            value = (value ^ np.uint64(code)) * PRIME_1
            value ^= value >> np.uint64(32)
            length += 1
    if length > 0:
        out[words] = value
        words += 1
    return words


@kernel
def _hash_mixed(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    ngram: int,
    words: UInt64s,
    out: UInt64s,
    out_first: Int64s,
    out_last: Int64s,
) -> None:
    at = 0
    for document in range(len(first)):
        out_first[document] = at
        count = _hash_words(codepoints, first[document], last[document], words)
        for word in range(count - ngram + 1):
            value = np.uint64(ngram)
            for offset in range(ngram):
                value = value * PRIME_2 + words[word + offset]
            out[at] = mix(value)
            at += 1
        out_last[document] = at


def mixed_shingles(characters: Characters, ngram: int) -> Shingles:
    """The faster variant's shingles of simplified texts."""
    rows = len(characters.first)
    sizes = characters.last - characters.first
    room = np.empty(int(sizes.max(initial=0)) + 1, np.uint64)
    out, first, last = np.empty(int(sizes.sum()), np.uint64), np.empty(rows, np.int64), np.empty(rows, np.int64)
    _hash_mixed(characters.codepoints, characters.first, characters.last, ngram, room, out, first, last)
    return Shingles(out, first, last)
