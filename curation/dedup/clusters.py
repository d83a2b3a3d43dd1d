"""Phase 4, clusters: connected components of the pairs, in one task if a union-find fits, else by rounds of stars."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s
from curation.dedup.algorithms.components import UnionFind, large_star, small_star
from curation.dedup.algorithms.hashing import mix_all, pairs_checksum
from curation.dedup.documents import PartitionTask, RangeTask, Work
from curation.dedup.sketches import pairs_path
from curation.store.exchange import Exchange, Sender, partition_of
from curation.store.shards import read_shard

MEMBERS = pa.schema([("document", pa.int64()), ("root", pa.int64())])
"""Documents of components of two or more, each with the smallest document of its component."""

LINKS = pa.schema([("node", pa.int64()), ("neighbour", pa.int64())])

READ_PAIRS = 1 << 20

Checksum = tuple[int, int]
"""Number of pairs, and the sum of their hashes, which does not depend on their order."""

EMPTY: Checksum = (0, 0)


def members_exchange(work: Work) -> Exchange:
    """Exchange of MEMBERS rows by the document's range."""
    return work.by_range("members")


def links_exchange(work: Work, name: str, pairs: int) -> Exchange:
    """Exchange of LINKS rows by node, for two rows per pair."""
    return work.by_key(f"links-{name}", 2 * pairs)


def unite_all(work: Work) -> tuple[int, int]:
    """Find all components in one task and send their members to their ranges. Returns components and members."""
    sets = UnionFind(work.documents)
    for number in range(work.ranges):
        for batch in read_shard(work.folder, pairs_path(number), ["left", "right"], READ_PAIRS):
            sets.unite(batch.column("left").to_numpy(), batch.column("right").to_numpy())
    roots = sets.roots()
    in_component = np.zeros(work.documents, np.bool_)
    for documents in _blocks(work.documents):
        outer = documents[roots[documents] != documents]
        in_component[outer] = in_component[roots[outer]] = True
    components = members = 0
    with members_exchange(work).sender("all", MEMBERS) as sender:
        for documents in _blocks(work.documents):
            inside = documents[in_component[documents]]
            part_roots = roots[inside].astype(np.int64)
            _send_members(sender, work, inside, part_roots)
            components, members = components + int(np.count_nonzero(part_roots == inside)), members + len(inside)
    return components, members


def _blocks(documents: int) -> Iterator[Int64s]:
    for start in range(0, documents, READ_PAIRS):
        yield np.arange(start, min(start + READ_PAIRS, documents), dtype=np.int64)


def send_links(task: RangeTask, onward: Exchange) -> Checksum:
    """Send the pairs of a range's file in both directions to the partitions of their nodes."""
    total = EMPTY
    with onward.sender(task.name, LINKS) as sender:
        for batch in read_shard(task.work.folder, pairs_path(task.number), ["left", "right"], READ_PAIRS):
            left, right = batch.column("left").to_numpy(), batch.column("right").to_numpy()
            _send_both(sender, onward, left, right)
            total = add_checksums(total, checksum(right, left))
    return total


def star_large(task: PartitionTask, onward: Exchange) -> Checksum:
    """One large-star step on a partition of nodes; the resulting pairs go to the larger document's partition."""
    rows = task.exchange.receive_table(task.number, LINKS)
    member, center = large_star(rows.column("node").to_numpy(), rows.column("neighbour").to_numpy())
    with onward.sender(task.name, LINKS) as sender:
        _send_links(sender, onward, member, center)
    return checksum(member, center)


def star_small(task: PartitionTask, onward: Exchange) -> Checksum:
    """One small-star step on a partition of larger documents; the resulting pairs are sent in both directions."""
    rows = task.exchange.receive_table(task.number, LINKS)
    member, center = small_star(rows.column("node").to_numpy(), rows.column("neighbour").to_numpy())
    with onward.sender(task.name, LINKS) as sender:
        _send_both(sender, onward, center, member)
    return checksum(member, center)


def checksum(member: Int64s, center: Int64s) -> Checksum:
    """The checksum of some pairs; `add_checksums` combines the checksums of parts."""
    return len(member), int(pairs_checksum(member, center))


def add_checksums(one: Checksum, other: Checksum) -> Checksum:
    """The checksum of both parts combined."""
    return one[0] + other[0], (one[1] + other[1]) % (1 << 64)


def send_members(task: PartitionTask) -> tuple[int, int]:
    """After the stars have converged, send members and centers to their ranges. Returns components and members."""
    work = task.work
    rows = task.exchange.receive_table(task.number, LINKS)
    node, neighbor = rows.column("node").to_numpy(), rows.column("neighbour").to_numpy()
    member, root = np.unique(np.stack([node, np.minimum(node, neighbor)], axis=1), axis=0).T
    with members_exchange(work).sender(task.name, MEMBERS) as sender:
        _send_members(sender, work, member, root)
    return int(np.count_nonzero(member == root)), len(member)


def _send_members(sender: Sender, work: Work, documents: Int64s, roots: Int64s) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array(documents), pa.array(roots)], schema=MEMBERS)
    sender.send(batch, work.range_of(documents))


def _send_both(sender: Sender, exchange: Exchange, left: Int64s, right: Int64s) -> None:
    _send_links(sender, exchange, left, right)
    _send_links(sender, exchange, right, left)


def _send_links(sender: Sender, exchange: Exchange, node: Int64s, neighbor: Int64s) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array(node), pa.array(neighbor)], schema=LINKS)
    sender.send(batch, partition_of(mix_all(node), exchange.partitions))
