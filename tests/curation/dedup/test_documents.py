"""Numbers, ranges and partitions: every document is in one range, every hash in one partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup.documents import MIN_RANGE, Shard, partitions_for, plan_work
from curation.dedup.run import COUNTED_TOGETHER, number_shards
from curation.dedup.settings import DedupSettings
from curation.dedup.survivor_rules import SurvivorValue
from curation.running.cluster import Cluster
from curation.store.exchange import partition_of
from curation.store.folder import Folder
from curation.store.shards import ShardWriter


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


class CountedTasks(Cluster):
    """Runs tasks in this process, and counts them."""

    tasks = 0

    def gather(self, function: Callable[..., Any], items: Sequence[Any], *args: Any) -> list[Any]:
        """As for Cluster."""
        self.tasks += len(items)
        return super().gather(function, items, *args)


def test_shards_are_numbered_in_order_by_few_tasks(tmp_path: Path) -> None:
    """Each shard begins where the one before it ends, and one task counts the documents of many shards."""
    folder, sizes = Folder(str(tmp_path)), [number % 3 for number in range(COUNTED_TOGETHER + 1)]
    for number, size in enumerate(sizes):
        with ShardWriter(folder, f"signatures/{number}.parquet", pa.schema([("length", pa.int32())])) as writer:
            writer.write(pa.table({"length": pa.array([0] * size, pa.int32())}))
    cluster = CountedTasks()
    numbered = number_shards([Shard(folder, str(number), 0, 0) for number in range(len(sizes))], cluster)
    assert [shard.documents for shard in numbered] == sizes
    assert [shard.first for shard in numbered] == [sum(sizes[:number]) for number in range(len(sizes))]
    assert cluster.tasks == 2


def test_partitions() -> None:
    """The number of partitions grows with the rows, and hashes are distributed evenly."""
    assert [partitions_for(rows) for rows in (0, 30_000, 1_500_000, 75_000_000)] == [1, 1, 15, 19]
    hashes = np.random.default_rng(0).integers(0, 2**64, 100_000, np.uint64)
    counts = np.bincount(partition_of(hashes, 7).astype(np.int64), minlength=7)
    assert len(counts) == 7
    assert counts.min() > 0.9 * 100_000 / 7
    edges = np.array([0, 2**64 - 1], np.uint64)
    assert partition_of(edges, 7).tolist() == [0, 6]
