"""Pairs: from rows that share a key to the pairs of documents worth comparing.

Documents with one and the same signature are tied to the first of them and need no comparison; what remains of a group
has different signatures and one band in common. Up to 16 of them are all compared with each other. In a larger group,
each is compared with the first and with those 1, 2, 4, 8 … places before it, so that one unlike its neighbour is not
cut off from the rest: n·log n pairs instead of n². Without verification,
the pairs with the first are enough to hold the group together.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt16s, UInt64s
from curation.running.compiled import kernel

EXACT_BAND = np.uint16(0xFFFF)
"""Stands in the place of a band for the hash of a whole text."""

ALL_PAIRS = 16
"""Members of a group up to which every pair is compared."""

CANDIDATE, SAME_SIGNATURE, SAME_TEXT = 0, 1, 2
"""Kinds of pairs: to be verified; of equal signatures; of equal simplified texts."""

Pairs = tuple[Int64s, Int64s, UInt8s]


@kernel
def _put(left: Int64s, right: Int64s, kinds: UInt8s, at: int, a: int, b: int, kind: int) -> int:
    if at < len(left):
        left[at], right[at], kinds[at] = a, b, kind
    return at + 1


@kernel
def _compare(members: Int64s, verify: bool, left: Int64s, right: Int64s, kinds: UInt8s, at: int) -> int:
    """The pairs of one group of documents, ascending, whose signatures differ."""
    for place in range(1, len(members)):
        if not verify:
            at = _put(left, right, kinds, at, members[0], members[place], CANDIDATE)
        elif len(members) <= ALL_PAIRS:
            for before in range(place):
                at = _put(left, right, kinds, at, members[before], members[place], CANDIDATE)
        else:
            distance = 1
            while distance < place:
                at = _put(left, right, kinds, at, members[place - distance], members[place], CANDIDATE)
                distance *= 2
            at = _put(left, right, kinds, at, members[0], members[place], CANDIDATE)
    return at


@kernel
def _group(
    band: int, checks: UInt64s, documents: Int64s, verify: bool,
    left: Int64s, right: Int64s, kinds: UInt8s, at: int,
) -> int:  # fmt: skip
    """The pairs of one group of rows with an equal key."""
    by_document = np.argsort(documents)
    checks, documents = checks[by_document], documents[by_document]
    by_check = np.argsort(checks, kind="mergesort")
    first = np.empty(len(documents), np.int64)
    distinct = 0
    for place in range(len(by_check)):
        row = by_check[place]
        if place and checks[row] == checks[by_check[place - 1]]:
            if band == EXACT_BAND:
                at = _put(left, right, kinds, at, first[distinct - 1], documents[row], SAME_TEXT)
            elif band == 0:
                at = _put(left, right, kinds, at, first[distinct - 1], documents[row], SAME_SIGNATURE)
        else:
            first[distinct] = documents[row]
            distinct += 1
    if band != EXACT_BAND and distinct > 1:
        at = _compare(np.sort(first[:distinct]), verify, left, right, kinds, at)
    return at


@kernel
def _all_groups(
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
            at = _group(bands[start], checks[part], documents[part], verify, left, right, kinds, at)
        start = stop
    return at


def find_pairs(bands: UInt16s, keys: UInt64s, checks: UInt64s, documents: Int64s, verify: bool) -> Pairs:
    """(left, right, kind) of the pairs among rows of one partition, left < right; a pair may come from several bands.

    checks: for a band, the hash of the document's whole signature; for EXACT_BAND, the other half of the text's hash.
    """
    order = np.argsort(keys)
    keys = keys[order]
    shared = np.zeros(len(keys), np.bool_)
    shared[1:] = keys[1:] == keys[:-1]
    shared[:-1] |= shared[1:]
    order, keys = order[shared], keys[shared]
    rows = (bands[order], keys, checks[order], documents[order], verify)
    left, right, kinds = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8)
    room = _all_groups(*rows, left, right, kinds)
    left, right, kinds = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.uint8)
    _all_groups(*rows, left, right, kinds)
    return left, right, kinds


def unique_pairs(left: Int64s, right: Int64s, kinds: UInt8s) -> Pairs:
    """Each pair once, in order, with the strongest of its kinds."""
    order = np.lexsort((-kinds.astype(np.int8), right, left))
    left, right, kinds = left[order], right[order], kinds[order]
    new = np.ones(len(left), np.bool_)
    new[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return left[new], right[new], kinds[new]
