"""The index of benchmark items: their words, n-grams and weights as arrays for the kernels.

Words are weighted by how few items have them, so that stock phrases such as "which of the following" count for less.
Of 100,000 questions of usual length, the index takes a process to 900 MB while it is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curation.arrays import Float32s, Float64s, Int32s, Int64s, UInt8s, UInt16s, UInt64s
from curation.decontamination.evals import Item
from curation.decontamination.kernels import GRAM, fill_grams, fill_slots, match_texts
from curation.decontamination.words import find_words, letters
from curation.errors import UsageError
from curation.text.buffers import text_bytes

QUESTION, ANSWER, PASSAGE = 0, 1, 2
KINDS = ("question", "answer", "passage")

LEAST_WORDS = 8
"""Words of a question, with its choices or answer, from which on it can be told from ordinary text."""
ANSWER_WORDS = 15
"""Words of an answer that is matched by itself."""
PASSAGE_WORDS = 20
"""Words of a passage that is matched."""
COVERED = 0.8
"""Share of the words of a short field that must be found."""

POSTINGS = 64
"""An n-gram of more fields than this is a stock phrase: it starts no match."""


class IndexArrays(NamedTuple):
    """The index as the kernels read it.

    Attributes:
        letters: `letters()`.
        slots: Hash table from n-grams to their numbers; open addressing, -1 where empty.
        bitmap: A bit for each n-gram by its hash, which rules most lookups out.
        keys: Hash of each n-gram.
        posting_starts: Where the postings of each n-gram start, shape (n-grams + 1,).
        postings: First words of n-grams.
        word_fields: Field of each word.
        hashes: Hash of each word.
        firsts: First byte of each word in `data`.
        lasts: Byte after each word.
        data: Texts of all fields.
        weights: Weight of each word.
        field_starts: First word of each field, shape (fields + 1,).
        field_kinds: QUESTION, ANSWER or PASSAGE of each field.
        field_words: Words of each field that must be found at least.
        field_heads: Words at the beginning of each field of which half must be found: those of the question, where its
            choices or answer follow.
        longest: Words of the longest field.
    """

    letters: UInt16s
    slots: Int32s
    bitmap: UInt8s
    keys: UInt64s
    posting_starts: Int64s
    postings: Int32s
    word_fields: Int32s
    hashes: UInt64s
    firsts: Int32s
    lasts: Int32s
    data: UInt8s
    weights: Float32s
    field_starts: Int64s
    field_kinds: UInt8s
    field_words: Float32s
    field_heads: Int32s
    longest: int


@dataclass(frozen=True, slots=True)
class ItemMatch:
    """A field of an item that is in a text.

    Attributes:
        row: The text.
        kind: QUESTION, ANSWER or PASSAGE.
        item: The number of the item.
        coverage: Weighted share of the field's words that are there, 0 to 1.
        words: Their number.
        start: Byte of the text at which the first of them begins.
        end: Byte after the last.
    """

    row: int
    kind: int
    item: int
    coverage: float
    words: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Index:
    """Items that can be looked for in texts.

    Attributes:
        suites: Names of the suites.
        item_suites: The suite of each item, by its place in `suites`.
        item_keys: The id of each item.
        field_items: The item of each field.
        arrays: For the kernels.
        too_short: Items by suite of which no field has enough words to be matched.
    """

    suites: tuple[str, ...]
    item_suites: Int32s
    item_keys: tuple[str, ...]
    field_items: Int32s
    arrays: IndexArrays
    too_short: dict[str, int]

    def find(self, texts: pa.StringArray, least: Sequence[float]) -> list[ItemMatch]:
        """Every match in the texts, in their order.

        Args:
            texts: The texts; null counts as empty.
            least: Minimum coverage of a question, an answer and a passage.
        """
        data, starts = text_bytes(texts.fill_null("") if texts.null_count else texts)
        found: Float64s = match_texts(self.arrays, data, starts, np.array(least, np.float64))
        return [
            ItemMatch(
                int(row),
                int(self.arrays.field_kinds[int(field)]),
                int(self.field_items[int(field)]),
                float(coverage),
                float(words),
                int(start),
                int(end),
            )
            for row, field, coverage, words, start, end in found.tolist()
        ]

    def suite_of(self, item: int) -> str:
        """The suite of an item."""
        return self.suites[int(self.item_suites[item])]


def build_index(items: Iterable[Item], min_words: int) -> Index:
    """Build the index of items.

    Args:
        items: The items.
        min_words: Words of a question that is matched by itself; a shorter one is matched with its choices, and with
            its answer.
    """
    builder = _Builder(min_words)
    for item in items:
        builder.add(item)
    return builder.finish()


class _Builder:
    def __init__(self, min_words: int) -> None:
        self.min_words = min_words
        self.suites: dict[str, int] = {}
        self.item_suites: list[int] = []
        self.item_keys: list[str] = []
        self.too_short: dict[str, int] = {}
        self.fields: list[tuple[int, int, int, int]] = []  # item, kind, words, words of the question before others
        self.texts: list[bytes] = []
        self.size = 0
        self.parts: list[tuple[UInt64s, Int32s, Int32s]] = []

    def add(self, item: Item) -> None:
        number = len(self.item_keys)
        self.item_suites.append(self.suites.setdefault(item.suite, len(self.suites)))
        self.item_keys.append(item.key)
        before = len(self.fields)
        question = item.question
        hashes, _, _ = words_of(question.encode())
        if _length(hashes) >= self.min_words or not (item.choices or item.answer):
            self._field(number, QUESTION, question, LEAST_WORDS)
        else:
            for rest in dict.fromkeys((" \n".join(item.choices), item.answer)):
                if rest:
                    self._field(number, QUESTION, f"{question}\n{rest}", LEAST_WORDS, len(hashes))
        if not item.choices:
            self._field(number, ANSWER, item.answer, ANSWER_WORDS)
        self._field(number, PASSAGE, item.passage, PASSAGE_WORDS)
        if len(self.fields) == before:
            self.too_short[item.suite] = self.too_short.get(item.suite, 0) + 1

    def _field(self, item: int, kind: int, text: str, least: int, head: int = 0) -> None:
        if not text:
            return
        data = text.encode()
        hashes, firsts, lasts = words_of(data)
        if len(hashes) < GRAM or _length(hashes) < least:
            return
        self.fields.append((item, kind, len(hashes), head))
        self.texts.append(data)
        self.parts.append((hashes, (firsts + self.size).astype(np.int32), (lasts + self.size).astype(np.int32)))
        self.size += len(data)

    def finish(self) -> Index:
        if self.size >= 1 << 31:
            raise UsageError(f"benchmark items of {self.size >> 20:,} MiB: at most 2,047 MiB can be looked for")
        data = np.frombuffer(b"".join(self.texts), np.uint8)
        self.texts = []
        hashes = np.concatenate([part[0] for part in self.parts] or [np.zeros(0, np.uint64)])
        firsts = np.concatenate([part[1] for part in self.parts] or [np.zeros(0, np.int32)])
        lasts = np.concatenate([part[2] for part in self.parts] or [np.zeros(0, np.int32)])
        self.parts = []
        items, kinds, sizes, heads = np.array(self.fields, np.int64).reshape(-1, 4).T
        field_starts = np.concatenate(([0], np.cumsum(sizes)))
        word_fields = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        keys, posting_starts, postings = _grams(hashes, field_starts)
        slots = np.full(1 << max(4, (2 * len(keys)).bit_length()), -1, np.int32)
        bitmap = np.zeros(1 << min(24, max(6, (2 * len(keys)).bit_length())), np.uint8)
        fill_slots(slots, bitmap, keys)
        lengths = np.bincount(word_fields, np.where(hashes & np.uint64(1), 0.5, 1.0), len(sizes))
        arrays = IndexArrays(
            letters(), slots, bitmap, keys, posting_starts, postings, word_fields, hashes, firsts, lasts, data,
            _weights(hashes, items.astype(np.int32)[word_fields], len(self.item_keys)),
            field_starts, kinds.astype(np.uint8),
            np.minimum(COVERED * lengths, self.min_words).astype(np.float32), heads.astype(np.int32),
            int(max(sizes, default=0)),
        )  # fmt: skip
        return Index(
            tuple(self.suites),
            np.array(self.item_suites, np.int32),
            tuple(self.item_keys),
            items.astype(np.int32),
            arrays,
            self.too_short,
        )


def words_of(data: bytes) -> tuple[UInt64s, Int64s, Int64s]:
    """Hash, first byte and byte after the last of each word of a text."""
    size = len(data) + 1
    hashes, firsts, lasts = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64)
    count = find_words(np.frombuffer(data, np.uint8), 0, len(data), letters(), hashes, firsts, lasts)
    return hashes[:count].copy(), firsts[:count].copy(), lasts[:count].copy()


def _length(hashes: UInt64s) -> float:
    """The number of words; numbers, and characters of scripts without spaces, count half."""
    return len(hashes) - 0.5 * float((hashes & np.uint64(1)).sum())


def _grams(hashes: UInt64s, field_starts: Int64s) -> tuple[UInt64s, Int64s, Int32s]:
    """Distinct n-grams, where their postings start, and the postings; those of too many fields are left out."""
    every, places = np.empty(len(hashes), np.uint64), np.empty(len(hashes), np.int32)
    count = fill_grams(hashes, field_starts, every, places)
    order = np.argsort(every[:count], kind="stable")
    every, places = every[order], places[order]
    changes = np.flatnonzero(np.diff(every)) + 1
    starts = np.concatenate(([0], changes, [count])).astype(np.int64) if count else np.zeros(1, np.int64)
    sizes = np.diff(starts)
    rare = sizes <= POSTINGS
    keys = every[starts[:-1][rare]]
    postings = places[np.repeat(rare, sizes)]
    return keys, np.concatenate(([0], np.cumsum(sizes[rare]))), postings


def _weights(hashes: UInt64s, items: Int32s, count: int) -> Float32s:
    """Weight of each word by the share of items that have it: from 0.5 for all to 1.5 for one of very many.

    Args:
        hashes: Hash of each word.
        items: The item of each word, ascending.
        count: Number of items.
    """
    weights = np.empty(len(hashes), np.float32)
    if not len(hashes):
        return weights
    order = np.argsort(hashes, kind="stable")  # so that the items of each word stay in order
    is_new = np.ones(len(order), np.bool_)
    ordered = hashes[order]
    is_new[1:] = ordered[1:] != ordered[:-1]
    del ordered
    starts = np.flatnonzero(is_new)
    owners = items[order]
    is_new[1:] |= owners[1:] != owners[:-1]
    del owners
    having = np.add.reduceat(is_new, starts, dtype=np.int64)
    rarity = np.log((count + 1) / having) / np.log(count + 2)
    weights[order] = np.repeat((0.5 + rarity).astype(np.float32), np.diff([*starts.tolist(), len(order)]))
    return weights
