"""Components: which documents hang together by pairs, each set named by its smallest document.

Up to `UNION_FIND_DOCUMENTS` documents one task reads all pairs through a union-find of four bytes a document, whatever
the number of pairs: 150 million documents take 600 MB. Beyond that the sets are found by exchanges between tasks, by
alternating large stars and small stars (Kiveris et al., "Connected Components in MapReduce and Beyond", 2014), whose
memory is bounded by what a partition holds. Both give the same answer.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt32s
from curation.running.compiled import kernel

UNION_FIND_DOCUMENTS = 500_000_000
"""Documents up to which one task does it all: 2 GB."""


@kernel
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
    # A parent is never larger than its child, so one pass upwards finds every parent flat already.
    for node in range(len(parents)):
        parents[node] = parents[parents[node]]


class UnionFind:
    """Sets of the documents 0 … documents − 1, built from pairs in any order."""

    def __init__(self, documents: int) -> None:
        self._parents = np.arange(documents, dtype=np.uint32)

    def unite(self, left: Int64s, right: Int64s) -> None:
        """Tie the documents of each pair together."""
        _unite(self._parents, left, right)

    def roots(self) -> UInt32s:
        """The smallest document of each document's set, shape (documents,)."""
        _flatten(self._parents)
        return self._parents


def large_star(node: Int64s, neighbour: Int64s) -> tuple[Int64s, Int64s]:
    """One large-star step on pairs given in both directions: ties each larger neighbour of a node to its smallest.

    Returns (member, centre) pairs. All pairs of one node must be in the same call.
    """
    node, neighbour, centre = _with_centre(node, neighbour)
    larger = neighbour > node
    return neighbour[larger], centre[larger]


def small_star(node: Int64s, neighbour: Int64s) -> tuple[Int64s, Int64s]:
    """One small-star step on pairs with neighbour < node: ties the node and its neighbours to the smallest of them."""
    node, neighbour, centre = _with_centre(node, neighbour)
    member = np.concatenate([neighbour, node])
    centre = np.concatenate([centre, centre])
    inner = member != centre
    return unique_edges(member[inner], centre[inner])


def unique_edges(member: Int64s, centre: Int64s) -> tuple[Int64s, Int64s]:
    """Each pair once, in order."""
    order = np.lexsort((centre, member))
    member, centre = member[order], centre[order]
    new = np.ones(len(member), np.bool_)
    new[1:] = (member[1:] != member[:-1]) | (centre[1:] != centre[:-1])
    return member[new], centre[new]


def _with_centre(node: Int64s, neighbour: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """Rows sorted by node, with the smallest of each node and its neighbours."""
    order = np.lexsort((neighbour, node))
    node, neighbour = node[order], neighbour[order]
    new = np.ones(len(node), np.bool_)
    new[1:] = node[1:] != node[:-1]
    smallest = np.minimum(node[new], neighbour[new]) if len(node) else node
    return node, neighbour, smallest[np.cumsum(new) - 1] if len(node) else node
