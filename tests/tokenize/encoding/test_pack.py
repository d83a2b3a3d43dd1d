from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.tokenize.encoding.encoder import EncodedTexts
from curation.tokenize.encoding.pack import best_fit, concat, plan
from curation.tokenize.encoding.token_shards import PackedRows, TokensSettings

PAD = 65535
lengths_of_documents = st.lists(st.integers(1, 40), min_size=1, max_size=60)


def documents_of(lengths: list[int]) -> EncodedTexts:
    """Documents of these lengths whose tokens are all distinct, so that any loss or repetition shows."""
    offsets = np.cumsum([0, *lengths])
    return EncodedTexts(np.arange(offsets[-1]).astype(np.uint16), offsets)


def pieces_of(rows: PackedRows) -> list[list[tuple[int, list[int]]]]:
    """The documents of each row as (index, tokens)."""
    result = []
    for row in range(len(rows)):
        first, last = rows.offsets[row], rows.offsets[row + 1]
        bounds = [*rows.starts[first:last].tolist(), rows.ids.shape[1]]
        spans = itertools.pairwise(bounds)
        pieces = rows.pieces[first:last].tolist()
        result.append([(piece, rows.ids[row, a:b].tolist()) for piece, (a, b) in zip(pieces, spans, strict=True)])
    return result


def check_pieces(rows: PackedRows, documents: EncodedTexts) -> None:
    """Check that rows are full, no piece is empty, each has tokens of its document, and padding comes last."""
    for row in pieces_of(rows):
        assert sum(len(tokens) for _, tokens in row) == rows.ids.shape[1]
        for number, (document, tokens) in enumerate(row):
            assert tokens
            if document < 0:
                assert number == len(row) - 1
                assert set(tokens) == {PAD}
            else:
                assert documents.offsets[document] <= tokens[0] <= tokens[-1] < documents.offsets[document + 1]
                assert tokens == list(range(tokens[0], tokens[0] + len(tokens)))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(lengths_of_documents, st.integers(2, 33))
def test_concat_keeps_every_token_once_in_order(lengths: list[int], length: int) -> None:
    """The rows of `concat` end to end are the documents end to end, followed by padding."""
    documents = documents_of(lengths)
    rows = concat(documents, length, 0, sum(lengths), PAD)
    assert rows.ids.reshape(-1).tolist() == [*range(sum(lengths)), *([PAD] * rows.padding)]
    assert rows.padding < length
    check_pieces(rows, documents)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(lengths_of_documents, st.integers(2, 9), st.integers(1, 6), st.sampled_from([1, 2, 8]), st.booleans())
def test_concat_in_ranges_equals_concat_whole(
    lengths: list[int], length: int, shard_rows: int, slots: int, drop: bool
) -> None:
    """Token shards packed separately from ranges of slots have the rows of packing everything at once."""
    documents = documents_of(lengths)
    cuts = np.linspace(0, len(lengths), slots + 1).astype(int)
    totals = np.array([sum(lengths[a:b]) for a, b in itertools.pairwise(cuts)], np.int64)
    tail = "drop" if drop else "pad"
    ranges, dropped = plan(totals, TokensSettings(sequence_length=length, shard_rows=shard_rows, tail=tail))
    assert dropped == (sum(lengths) % length if drop else 0)
    packed = []
    for part in ranges:
        first, last = cuts[part.first], cuts[part.last]
        offsets = documents.offsets[first : last + 1]
        some = EncodedTexts(documents.ids[offsets[0] : offsets[-1]], offsets - offsets[0])
        rows = concat(some, length, part.skip, part.tokens, PAD)
        packed.append([[(piece + first if piece >= 0 else -1, ids) for piece, ids in row] for row in pieces_of(rows)])
    assert all(len(shard) == shard_rows for shard in packed[:-1])
    whole = pieces_of(concat(documents, length, 0, sum(lengths) - dropped, PAD)) if sum(lengths) > dropped else []
    assert [row for shard in packed for row in shard] == whole


@settings(max_examples=200, deadline=None, derandomize=True)
@given(lengths_of_documents, st.integers(2, 130), st.integers(0, 5))
def test_best_fit_keeps_every_token_once(lengths: list[int], length: int, seed: int) -> None:
    """Every token is in exactly one row, and only documents longer than a row are cut: into full rows and a rest."""
    documents = documents_of(lengths)
    rows = best_fit(documents, length, PAD, seed)
    tokens = rows.ids[rows.ids != PAD]
    assert sorted(tokens.tolist()) == list(range(sum(lengths)))
    assert rows.padding == rows.ids.size - sum(lengths)
    check_pieces(rows, documents)
    pieces = [len(ids) for row in pieces_of(rows) for piece, ids in row if piece >= 0]
    expected = [min(length, n - start) for n in lengths for start in range(0, n, length)]
    assert sorted(pieces) == sorted(expected)


def naive_best_fit(sizes: list[int], length: int) -> int:
    """Number of bins that best-fit decreasing needs, by checking every bin for every piece."""
    rooms: list[int] = []
    for size in sorted(sizes, reverse=True):
        fitting = [room for room in rooms if room >= size]
        if fitting:
            rooms[rooms.index(min(fitting))] -= size
        else:
            rooms.append(length - size)
    return len(rooms)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(lengths_of_documents, st.integers(40, 300))
def test_best_fit_needs_as_many_rows_as_the_plain_algorithm(lengths: list[int], length: int) -> None:
    """The bitmap kernel fills as many rows as a direct implementation of best-fit decreasing."""
    assert len(best_fit(documents_of(lengths), length, PAD)) == naive_best_fit(lengths, length)


def test_best_fit_is_shuffled_by_seed_alone() -> None:
    """The same seed gives the same rows; another seed gives them in another order."""
    documents = documents_of([7, 3, 9, 4, 8, 2, 6, 5, 10, 1] * 20)
    first, again, other = (best_fit(documents, 10, PAD, seed).ids for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert sorted(map(tuple, first.tolist())) == sorted(map(tuple, other.tolist()))


def test_best_fit_pads_little() -> None:
    """With the lengths of web text, padding is under one percent."""
    lengths = np.random.default_rng(0).lognormal(6, 1, 5000).astype(int) + 1
    offsets = np.cumsum([0, *lengths.tolist()])
    rows = best_fit(EncodedTexts(np.zeros(offsets[-1], np.uint16), offsets), 2048, 1)
    assert rows.padding / rows.ids.size < 0.01


@pytest.mark.parametrize("packing", ["concat", "best_fit"])
def test_plan_of_nothing(packing: str) -> None:
    """Without tokens there are no shards."""
    assert plan(np.zeros(4, np.int64), TokensSettings(packing=packing)) == ([], 0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=32), st.integers(1, 20))
def test_best_fit_plan_covers_every_slot_once(slots: list[int], shard_rows: int) -> None:
    """The ranges of `best_fit` cover every token and do not overlap."""
    totals = np.array(slots, np.int64)
    ranges, dropped = plan(totals, TokensSettings(sequence_length=16, shard_rows=shard_rows, packing="best_fit"))
    assert dropped == 0
    assert [part.tokens for part in ranges] == [int(totals[part.first : part.last].sum()) for part in ranges]
    assert sum(part.tokens for part in ranges) == totals.sum()
    assert all(left.last <= right.first for left, right in itertools.pairwise(ranges))
