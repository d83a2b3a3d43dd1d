"""Connected components of documents by pairs, each identified by its smallest document.

Up to `UNION_FIND_DOCUMENTS` documents, one task reads all pairs into a union-find of four bytes per document, for any
number of pairs: 150 million documents take 600 MB. Beyond that, tasks exchange pairs in alternating large-star and
small-star steps (Kiveris et al., "Connected Components in MapReduce and Beyond", 2014), whose memory is bounded by the
size of a partition. Both give the same result.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt32s
from curation.running.compiled import inner, kernel

UNION_FIND_DOCUMENTS = 500_000_000
"""Number of documents up to which a single task is used: 2 GB."""


@inner
def _root(parents: UInt32s, node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@kernel
def _unite(parents: UInt32s, left: Int64s, right: Int64s) -> None:
    for edge in range(len(left)):
        one, other = _root(parents, left[edge]), _root(parents, right[edge])
        if one < other:
            parents[other] = one
        elif other < one:
            parents[one] = other


@kernel
def _flatten(parents: UInt32s) -> None:
    # A parent is never larger than its child, so in one ascending pass every parent is already flat.
    for node in range(len(parents)):
        parents[node] = parents[parents[node]]


class UnionFind:
    """Disjoint sets of the documents 0 … documents − 1, built from pairs in any order."""

    def __init__(self, documents: int) -> None:
        self._parents = np.arange(documents, dtype=np.uint32)

    def unite(self, left: Int64s, right: Int64s) -> None:
        """Merge the sets of the documents of each pair."""
        _unite(self._parents, left, right)

    def roots(self) -> UInt32s:
        """The smallest document of each document's set, shape (documents,)."""
        _flatten(self._parents)
        return self._parents


def large_star(node: Int64s, neighbor: Int64s) -> tuple[Int64s, Int64s]:
    """One large-star step: link each larger neighbor of a node to the smallest of the node and its neighbors.

    Args:
        node: First document of each pair. Pairs are given in both directions, all pairs of a node in the same call.
        neighbor: Second document of each pair.

    Returns:
        Pairs (member, center).
    """
    node, neighbor, center = _with_center(node, neighbor)
    larger = neighbor > node
    return neighbor[larger], center[larger]


def small_star(node: Int64s, neighbor: Int64s) -> tuple[Int64s, Int64s]:
    """One small-star step on pairs with neighbor < node: link the node and its neighbors to the smallest of them."""
    node, neighbor, center = _with_center(node, neighbor)
    member = np.concatenate([neighbor, node])
    center = np.concatenate([center, center])
    inner = member != center
    return unique_edges(member[inner], center[inner])


def unique_edges(member: Int64s, center: Int64s) -> tuple[Int64s, Int64s]:
    """Remove repeated pairs and sort the others."""
    order = np.lexsort((center, member))
    member, center = member[order], center[order]
    new = np.ones(len(member), np.bool_)
    new[1:] = (member[1:] != member[:-1]) | (center[1:] != center[:-1])
    return member[new], center[new]


def _with_center(node: Int64s, neighbor: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """Sort rows by node, and add the smallest of each node and its neighbors."""
    order = np.lexsort((neighbor, node))
    node, neighbor = node[order], neighbor[order]
    new = np.ones(len(node), np.bool_)
    new[1:] = node[1:] != node[:-1]
    smallest = np.minimum(node[new], neighbor[new]) if len(node) else node
    return node, neighbor, smallest[np.cumsum(new) - 1] if len(node) else node
