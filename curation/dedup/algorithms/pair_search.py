"""From rows that share a key to the pairs of documents worth comparing.

Documents with the same signature are paired with the first of them and need no comparison; the others of a group have
different signatures with one band in common. Up to 16 of them are all compared with each other. In a larger group, each
is compared with the first and with those 1, 2, 4, 8 … places before it, so that a document unlike its neighbor is not
cut off from the rest: n·log n pairs instead of n². Without verification, pairs with the first suffice to connect the
group.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt16s, UInt64s
from curation.running.compiled import inner, kernel, sorted_rows

EXACT_BAND = np.uint16(0xFFFF)
"""Band number of rows that hold the hash of a complete text."""

ALL_PAIRS = 16
"""Size of a group up to which every pair is compared."""

CANDIDATE, SAME_SIGNATURE, SAME_TEXT = 0, 1, 2
"""Kinds of pairs: to be verified; with equal signatures; with equal simplified texts."""

Pairs = tuple[Int64s, Int64s, UInt8s]


@inner
def _add_pair(left: Int64s, right: Int64s, kinds: UInt8s, at: int, a: int, b: int, kind: int) -> int:
    if at < len(left):
        left[at], right[at], kinds[at] = a, b, kind
    return at + 1


@inner
def _add_candidates(members: Int64s, verify: bool, left: Int64s, right: Int64s, kinds: UInt8s, at: int) -> int:
    """Add the pairs of a group of documents, in ascending order, whose signatures differ."""
    for place in range(1, len(members)):
        if not verify:
            at = _add_pair(left, right, kinds, at, members[0], members[place], CANDIDATE)
        elif len(members) <= ALL_PAIRS:
            for before in range(place):
                at = _add_pair(left, right, kinds, at, members[before], members[place], CANDIDATE)
        else:
            distance = 1
            while distance < place:
                at = _add_pair(left, right, kinds, at, members[place - distance], members[place], CANDIDATE)
                distance *= 2
            at = _add_pair(left, right, kinds, at, members[0], members[place], CANDIDATE)
    return at


@inner
def _add_group(
    band: int, checks: UInt64s, documents: Int64s, verify: bool,
    left: Int64s, right: Int64s, kinds: UInt8s, at: int,
) -> int:  # fmt: skip
    """Add the pairs of a group of rows with equal keys."""
    rows = sorted_rows(checks, sorted_rows(documents, np.arange(len(documents))))
    firsts = np.empty(len(rows), np.int64)
    distinct = 0
    for place in range(len(rows)):
        row = rows[place]
        if place and checks[row] == checks[rows[place - 1]]:
            if band == EXACT_BAND:
                at = _add_pair(left, right, kinds, at, documents[firsts[distinct - 1]], documents[row], SAME_TEXT)
            elif band == 0:
                at = _add_pair(left, right, kinds, at, documents[firsts[distinct - 1]], documents[row], SAME_SIGNATURE)
        else:
            firsts[distinct] = row
            distinct += 1
    if band != EXACT_BAND and distinct > 1:
        members = sorted_rows(documents, firsts[:distinct])
        for place in range(distinct):
            members[place] = documents[members[place]]
        at = _add_candidates(members, verify, left, right, kinds, at)
    return at


@kernel
def _add_groups(
    bands: UInt16s, keys: UInt64s, checks: UInt64s, documents: Int64s, verify: bool,
    left: Int64s, right: Int64s, kinds: UInt8s,
) -> int:  # fmt: skip
    at, start, rows = 0, 0, len(keys)
    while start < rows:
        stop = start + 1
        while stop < rows and keys[stop] == keys[start]:
            stop += 1
        if stop - start > 1:
            part = slice(start, stop)
            at = _add_group(bands[start], checks[part], documents[part], verify, left, right, kinds, at)
        start = stop
    return at


def find_pairs(bands: UInt16s, keys: UInt64s, checks: UInt64s, documents: Int64s, verify: bool) -> Pairs:
    """Find the pairs among the rows of a partition.

    Args:
        bands: Band number of each row, or EXACT_BAND.
        keys: Key of each row: the band key, or half of the text's hash.
        checks: For a band the hash of the document's complete signature, for EXACT_BAND the other half of the hash.
        documents: Document of each row.
        verify: Whether candidate pairs will be verified.

    Returns:
        Left and right document, left < right, and kind of each pair; a pair may occur for several bands.
    """
    order = np.argsort(keys)
    keys = keys[order]
    shared = np.zeros(len(keys), np.bool_)
    shared[1:] = keys[1:] == keys[:-1]
    shared[:-1] |= shared[1:]
    order, keys = order[shared], keys[shared]
    rows = (bands[order], keys, checks[order], documents[order], verify)
    left, right, kinds = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8)
    size = _add_groups(*rows, left, right, kinds)
    left, right, kinds = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint8)
    _add_groups(*rows, left, right, kinds)
    return left, right, kinds


def unique_pairs(left: Int64s, right: Int64s, kinds: UInt8s) -> Pairs:
    """Remove repeated pairs, keeping the strongest kind of each, and sort the others."""
    order = np.lexsort((-kinds.astype(np.int8), right, left))
    left, right, kinds = left[order], right[order], kinds[order]
    new = np.ones(len(left), np.bool_)
    new[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return left[new], right[new], kinds[new]
