"""Components: union-find and stars agree with each other and with SciPy on any graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from signed import clusters, documents, run

from curation.dedup.algorithms import components
from curation.dedup.algorithms.components import UnionFind, large_star, small_star, unique_edges
from curation.dedup.settings import DedupSettings

NODES = 60

graphs = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=150)


def expected(edges: list[tuple[int, int]], nodes: int = NODES) -> np.ndarray:
    """The smallest node of each node's component."""
    left, right = np.array(edges, np.int64).reshape(-1, 2).T
    matrix = coo_matrix((np.ones(len(left)), (left, right)), shape=(nodes, nodes))
    labels = connected_components(matrix, directed=False)[1]
    smallest = np.full(labels.max() + 1, nodes)
    np.minimum.at(smallest, labels, np.arange(nodes))
    return smallest[labels]


def by_stars(edges: list[tuple[int, int]], nodes: int = NODES) -> tuple[np.ndarray, int]:
    """Roots found by rounds of stars until nothing changes, and the number of rounds."""
    left, right = np.array([edge for edge in edges if edge[0] != edge[1]], np.int64).reshape(-1, 2).T
    member, center = unique_edges(np.maximum(left, right), np.minimum(left, right))
    for rounds in range(1, 100):  # noqa: B007
        large = unique_edges(*large_star(np.r_[member, center], np.r_[center, member]))
        small = small_star(*large)
        if all(np.array_equal(a, b) for a, b in zip((member, center, *large), (*small, *small), strict=True)):
            break
        member, center = small
    roots = np.arange(nodes)
    roots[member] = center
    return roots, rounds


@settings(deadline=None, derandomize=True, max_examples=200)
@given(graphs)
def test_both_algorithms_equal_scipy(edges: list[tuple[int, int]]) -> None:
    """Both algorithms agree with SciPy on random graphs, including loops and repeated edges."""
    sets = UnionFind(NODES)
    left, right = np.array(edges, np.int64).reshape(-1, 2).T
    sets.unite(left, right)
    assert sets.roots().tolist() == expected(edges).tolist() == by_stars(edges)[0].tolist()


def test_a_long_chain_takes_few_rounds() -> None:
    """A chain of 4,096 documents becomes one star in at most 20 rounds, since stars halve distances."""
    nodes = 4096
    order = np.random.default_rng(1).permutation(nodes)
    edges = list(zip(order[:-1].tolist(), order[1:].tolist(), strict=True))
    roots, rounds = by_stars(edges, nodes)
    assert roots.max() == 0
    assert rounds <= 20


def test_a_deduplication_by_stars_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit of a single task, deduplication finds the same clusters and writes the same lists."""
    chance = np.random.default_rng(3)
    words = ["".join(chance.choice(list("abcdefghijklmnopqrstuvwxyz"), 8)) for _ in range(400)]
    texts = [" ".join(words[start : start + 300]) for start in range(0, 100, 4)] + ["another text altogether " * 30]
    settings = DedupSettings(threshold=0.8)
    answers = []
    for name, limit in (("one", components.UNION_FIND_DOCUMENTS), ("stars", 0)):
        monkeypatch.setattr(components, "UNION_FIND_DOCUMENTS", limit)
        folder, names, found = run(tmp_path / name, documents(texts), settings, parts=4)
        answers.append(
            (clusters(folder, names), found.counts, [(output.path, output.hash) for output in found.outputs])
        )
    assert answers[0] == answers[1]
    assert len(next(iter(answers[0][0]))) == 25
