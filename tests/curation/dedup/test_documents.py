"""Ranges and partitions: every document is in one range, every hash in one partition."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup.documents import MIN_RANGE, Shard, partitions_for, plan_work
from curation.dedup.settings import DedupSettings
from curation.dedup.survivor_rules import SurvivorValue
from curation.store.exchange import partition_of
from curation.store.folder import Folder


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.integers(0, 3 * MIN_RANGE), min_size=1, max_size=40))
def test_ranges_are_sequences_of_complete_shards(sizes: list[int]) -> None:
    """Ranges contain all shards in order and are not too large unless a shard is; numbers map to their range."""
    folder = Folder("memory://layout")
    firsts = np.cumsum([0, *sizes])
    shards = [Shard(folder, f"s{i}", int(firsts[i]), size) for i, size in enumerate(sizes)]
    work, tasks = plan_work(folder, DedupSettings(), SurvivorValue(), shards)
    assert [shard for task in tasks for shard in task.shards] == shards
    assert work.documents == sum(sizes)
    for task in tasks:
        documents = sum(shard.documents for shard in task.shards)
        assert documents <= MIN_RANGE or len(task.shards) == 1 or documents <= max(MIN_RANGE, work.documents // 64)
        for shard in task.shards:
            numbers = np.array([shard.first, shard.stop - 1])[: 2 * (shard.documents > 0)]
            assert work.range_of(numbers).tolist() == [task.number] * len(numbers)


def test_partitions() -> None:
    """The number of partitions grows with the rows, and hashes are distributed evenly."""
    assert [partitions_for(rows) for rows in (0, 30_000, 1_500_000, 75_000_000)] == [1, 1, 15, 19]
    hashes = np.random.default_rng(0).integers(0, 2**64, 100_000, np.uint64)
    counts = np.bincount(partition_of(hashes, 7).astype(np.int64), minlength=7)
    assert len(counts) == 7
    assert counts.min() > 0.9 * 100_000 / 7
    edges = np.array([0, 2**64 - 1], np.uint64)
    assert partition_of(edges, 7).tolist() == [0, 6]
