"""Pairs: documents that share a key are connected with as few comparisons as needed."""

from __future__ import annotations

import numpy as np
from datasketch import MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import documents as batch_of

from curation.dedup.algorithms.components import UnionFind
from curation.dedup.algorithms.pair_search import (
    ALL_PAIRS,
    CANDIDATE,
    EXACT_BAND,
    SAME_SIGNATURE,
    SAME_TEXT,
    find_pairs,
    unique_pairs,
)
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import band_keys, lean_minhashes, signatures

Row = tuple[int, int, int, int]


def find(rows: list[Row], verify: bool = True) -> list[tuple[int, int, int]]:
    band, key, check, document = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    found = find_pairs(band.astype(np.uint16), key.astype(np.uint64), check.astype(np.uint64), document, verify)
    return list(zip(*(column.tolist() for column in unique_pairs(*found)), strict=True))


def test_equal_signatures_are_paired_with_the_first_and_compared_once() -> None:
    """Documents 2, 5 and 9 with one signature and 7 with another need one comparison."""
    rows = [(0, 1, 11, 5), (0, 1, 11, 2), (0, 1, 22, 7), (0, 1, 11, 9), (1, 8, 11, 5), (1, 8, 11, 2), (1, 9, 22, 7)]
    assert find(rows) == [(2, 5, SAME_SIGNATURE), (2, 7, CANDIDATE), (2, 9, SAME_SIGNATURE)]


def test_equal_texts_need_both_halves_of_the_hash() -> None:
    """Texts with only half of the hash in common are not paired."""
    rows = [(int(EXACT_BAND), 1, 5, 3), (int(EXACT_BAND), 1, 6, 4), (int(EXACT_BAND), 1, 5, 9)]
    assert find(rows) == [(3, 9, SAME_TEXT)]


groups = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(groups, st.booleans(), st.randoms())
def test_documents_with_a_common_key_are_connected(members: list[tuple[int, int]], verify: bool, random) -> None:  # type: ignore[no-untyped-def]
    """In any order of the rows, the documents of a key are one component, which contains no others."""
    rows = [(0, key, document if check else 1000 + key, document) for document, (key, check) in enumerate(members)]
    expected = find(rows, verify)
    random.shuffle(rows)
    assert find(rows, verify) == expected
    sets = UnionFind(len(members))
    if expected:
        left, right, _ = (np.array(column, np.int64) for column in zip(*expected, strict=True))
        sets.unite(left, right)
    first = {}
    for document, (key, _) in enumerate(members):
        first.setdefault(key, document)
    assert sets.roots().tolist() == [first[key] for key, _ in members]


def test_large_groups_are_not_compared_all_with_all() -> None:
    """Up to 16 documents all pairs are compared; of 1,000 about n·log n, each document in at least ten."""
    small = find([(0, 1, document, document) for document in range(ALL_PAIRS)])
    assert len(small) == ALL_PAIRS * (ALL_PAIRS - 1) // 2
    large = find([(0, 1, document, document) for document in range(1000)])
    assert len(large) < 1000 * 11
    degree = np.bincount(np.array([pair[:2] for pair in large]).ravel(), minlength=1000)
    assert degree.min() >= 10
    assert len(find([(0, 1, document, document) for document in range(1000)], verify=False)) == 999


def test_candidates_are_those_of_datasketch() -> None:
    """Exported as LeanMinHash, the same documents are neighbors in datasketch's index with the same bands."""
    chosen = DedupSettings(bands=14, rows=8)
    chance = np.random.default_rng(5)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    texts = []
    for _ in range(40):
        words = ["".join(chance.choice(letters, 8)) for _ in range(120)]
        for copy in range(3):
            place = chance.integers(0, 120, copy * 2)
            texts.append(" ".join("changed" if number in place else word for number, word in enumerate(words)))
    texts.append("too short")
    batch = batch_of(*texts)
    sketches = lean_minhashes(batch, chosen)
    assert sketches[-1] is None
    index = MinHashLSH(num_perm=chosen.permutations, params=chosen.banding)
    for number, sketch in enumerate(sketches[:-1]):
        index.insert(number, sketch)
    keys = band_keys(signatures(batch, chosen))[:-1]
    shared = (keys[:, None, :] == keys[None, :, :]).any(axis=2)
    for number, sketch in enumerate(sketches[:-1]):
        assert sorted(index.query(sketch)) == np.flatnonzero(shared[number]).tolist()
    assert shared.sum() > len(keys)
    estimate = sketches[0].jaccard(sketches[1])
    assert 0.5 < estimate < 1
