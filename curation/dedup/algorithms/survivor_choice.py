"""Survivors: which document of a cluster stays, and which of the others are really its duplicates.

The survivor is the best by the rule of the recipe; documents of earlier runs, which cannot be removed, come before all
others, and of equals the first in input order wins. Every other document is compared with it, so that a drop list can
say how similar the two are.

Pairs chain: a is like b, b like c, and c nothing like a. In small clusters that is rare and harmless; in a large one it
can wipe out a source (one template, a million pages). So a cluster above the recipe's limit is examined: its best
document takes those that are similar to it, the best of the rest those that are similar to that one, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.arrays import Bools, Float64s, Int64s, UInt8s
from curation.dedup.algorithms.minhash import CHANCE, similarity
from curation.running.compiled import kernel

LEADERS = 256
"""Documents of a large cluster that others are compared with; one like none of them stays, unexamined further."""


@dataclass(frozen=True, slots=True)
class ClusterMembers:
    """Documents of clusters. values: more is better, NaN for unknown; sketches: shape (members, permutations)."""

    roots: Int64s
    documents: Int64s
    earlier: Bools
    values: Float64s
    sketches: UInt8s


@dataclass(frozen=True, slots=True)
class Choice:
    """Places in Members, of clusters one after the other: `order`; for each, its survivor's place and likeness to it.

    sizes: documents that the survivor stands for, itself included; starts: where each cluster begins in `order`.
    """

    order: Int64s
    survivors: Int64s
    similarities: Float64s
    sizes: Int64s
    starts: Int64s


def choose(members: ClusterMembers, threshold: float, limit: int | None) -> Choice:
    """The survivor of every member. Clusters of more than `limit` are taken apart by `threshold` (None: never)."""
    negated = np.where(np.isnan(members.values), np.inf, -members.values)
    order = np.lexsort((members.documents, negated, ~members.earlier, members.roots))
    roots = members.roots[order]
    starts = np.flatnonzero(np.r_[True, roots[1:] != roots[:-1]]) if len(roots) else np.empty(0, np.int64)
    counts = np.diff(np.r_[starts, len(roots)])
    leaders = np.repeat(starts, counts)
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        if limit is not None and count > limit:
            inside = np.ascontiguousarray(members.sketches[order[start : start + count]])
            leaders[start : start + count] = start + _leaders(inside, threshold, LEADERS)
    survivors = order[leaders] if len(order) else order
    alike = similarity(members.sketches[order], members.sketches[survivors])
    return Choice(order, survivors, alike, np.bincount(leaders, minlength=len(order))[leaders], starts)


@kernel
def _leaders(sketches: UInt8s, threshold: float, most: int) -> Int64s:
    """For each sketch the place of the first leader that it is similar to, or its own: then it leads, up to `most`."""
    rows, width = sketches.shape
    out = np.empty(rows, np.int64)
    leaders = np.empty(most, np.int64)
    count = 0
    for row in range(rows):
        out[row] = row
        for leader in range(count):
            agree = 0
            for byte in range(width):
                agree += sketches[row, byte] == sketches[leaders[leader], byte]
            if (agree / width - CHANCE) / (1 - CHANCE) >= threshold:
                out[row] = leaders[leader]
                break
        if out[row] == row and count < most:
            leaders[count] = row
            count += 1
    return out
