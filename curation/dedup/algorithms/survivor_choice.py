"""Choose the survivors of clusters, and which of the other documents really are their duplicates.

The survivor is the best document by the rule of the recipe. Documents of earlier runs, which cannot be removed, take
precedence over all others; of equal documents the first in input order wins. Every other document is compared with the
survivor, so that a drop list can state their similarity.

Pairs form chains: a is similar to b, b to c, but c not to a. In small clusters that is rare and harmless; in a large
one it can remove a complete source (one template, a million pages). So a cluster above the recipe's limit is split: its
best document removes those similar to it, the best of the rest removes those similar to it, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.arrays import Bools, Float64s, Int64s, UInt8s
from curation.dedup.algorithms.minhash import CHANCE, similarity
from curation.running.compiled import kernel

LEADERS = 256
"""Maximum number of survivors of a large cluster that others are compared with; a document similar to none is kept."""


@dataclass(frozen=True, slots=True)
class ClusterMembers:
    """Documents of clusters, all of shape (members,) except `sketches`.

    Attributes:
        roots: Smallest document of the member's cluster.
        documents: Number of the document.
        earlier: Whether the document belongs to an earlier run.
        values: Value by which survivors are chosen, more is better, NaN for unknown.
        sketches: Sketches, shape (members, permutations).
    """

    roots: Int64s
    documents: Int64s
    earlier: Bools
    values: Float64s
    sketches: UInt8s


@dataclass(frozen=True, slots=True)
class Choice:
    """The survivor of every member, all of shape (members,) except `starts`.

    Attributes:
        order: Members by cluster, as indices into `ClusterMembers`; the other attributes follow this order.
        survivors: Survivor of each member, as an index into `ClusterMembers`.
        similarities: Estimated Jaccard similarity of each member and its survivor.
        sizes: Number of documents that the survivor represents, itself included.
        starts: First position of each cluster in `order`, shape (clusters,).
    """

    order: Int64s
    survivors: Int64s
    similarities: Float64s
    sizes: Int64s
    starts: Int64s


def choose(members: ClusterMembers, threshold: float, limit: int | None) -> Choice:
    """Choose the survivor of every member.

    Args:
        members: Documents of clusters.
        threshold: Similarity that members of a split cluster must have to their survivor.
        limit: Largest cluster that is not split; None splits no cluster.
    """
    worth = np.where(np.isnan(members.values), np.inf, -members.values)
    order = np.lexsort((members.documents, worth, ~members.earlier, members.roots))
    roots = members.roots[order]
    starts = np.flatnonzero(np.r_[True, roots[1:] != roots[:-1]]) if len(roots) else np.empty(0, np.int64)
    counts = np.diff(np.r_[starts, len(roots)])
    leaders = np.repeat(starts, counts)
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        if limit is not None and count > limit:
            inside = np.ascontiguousarray(members.sketches[order[start : start + count]])
            leaders[start : start + count] = start + _leaders(inside, threshold, LEADERS)
    survivors = order[leaders] if len(order) else order
    similarities = similarity(members.sketches[order], members.sketches[survivors])
    return Choice(order, survivors, similarities, np.bincount(leaders, minlength=len(order))[leaders], starts)


@kernel
def _leaders(sketches: UInt8s, threshold: float, most: int) -> Int64s:
    """For each sketch the first leader that it is similar to, or itself; it then becomes a leader, up to `most`."""
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
