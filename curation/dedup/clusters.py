"""Phase 4, clusters: components of the pairs, in one task while a union-find fits, else by rounds of stars."""

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
"""Documents of components of two and more, with the smallest document of each."""

LINKS = pa.schema([("node", pa.int64()), ("neighbour", pa.int64())])

READ_PAIRS = 1 << 20

Checksum = tuple[int, int]
"""Number of pairs, and a sum of their hashes that does not depend on their order."""

NOTHING: Checksum = (0, 0)


def members_exchange(work: Work) -> Exchange:
    """Rows of MEMBERS, by the document's range."""
    return work.by_range("members")


def links_exchange(work: Work, name: str, pairs: int) -> Exchange:
    """Rows of LINKS, by the node, for twice as many rows as there are pairs."""
    return work.by_key(f"links-{name}", 2 * pairs)


def unite_all(work: Work) -> tuple[int, int]:
    """Find all components in this one task and send their members to their ranges. Returns components and members."""
    sets = UnionFind(work.documents)
    for number in range(work.ranges):
        for batch in read_shard(work.folder, pairs_path(number), ["left", "right"], READ_PAIRS):
            sets.unite(batch.column("left").to_numpy(), batch.column("right").to_numpy())
    roots = sets.roots()
    tied = np.zeros(work.documents, np.bool_)
    for documents in _blocks(work.documents):
        outer = documents[roots[documents] != documents]
        tied[outer] = tied[roots[outer]] = True
    components = members = 0
    with members_exchange(work).sender("all", MEMBERS) as sender:
        for documents in _blocks(work.documents):
            inside = documents[tied[documents]]
            found = roots[inside].astype(np.int64)
            _send_members(sender, work, inside, found)
            components, members = components + int(np.count_nonzero(found == inside)), members + len(inside)
    return components, members


def _blocks(documents: int) -> Iterator[Int64s]:
    for start in range(0, documents, READ_PAIRS):
        yield np.arange(start, min(start + READ_PAIRS, documents), dtype=np.int64)


def send_links(task: RangeTask, onward: Exchange) -> Checksum:
    """Send the pairs that a range's file holds, in both directions, to their nodes' partitions."""
    found = NOTHING
    with onward.sender(task.name, LINKS) as sender:
        for batch in read_shard(task.work.folder, pairs_path(task.number), ["left", "right"], READ_PAIRS):
            left, right = batch.column("left").to_numpy(), batch.column("right").to_numpy()
            _send_both(sender, onward, left, right)
            found = add_checksums(found, checksum(right, left))
    return found


def star_large(task: PartitionTask, onward: Exchange) -> Checksum:
    """One large-star step on a partition of nodes; its pairs go to the larger document's partition."""
    rows = task.exchange.receive_table(task.number, LINKS)
    member, centre = large_star(rows.column("node").to_numpy(), rows.column("neighbour").to_numpy())
    with onward.sender(task.name, LINKS) as sender:
        _send_links(sender, onward, member, centre)
    return checksum(member, centre)


def star_small(task: PartitionTask, onward: Exchange) -> Checksum:
    """One small-star step on a partition of larger documents; its pairs go on in both directions."""
    rows = task.exchange.receive_table(task.number, LINKS)
    member, centre = small_star(rows.column("node").to_numpy(), rows.column("neighbour").to_numpy())
    with onward.sender(task.name, LINKS) as sender:
        _send_both(sender, onward, centre, member)
    return checksum(member, centre)


def checksum(member: Int64s, centre: Int64s) -> Checksum:
    """Of some pairs; those of parts are put together by `add_checksums`."""
    return len(member), int(pairs_checksum(member, centre))


def add_checksums(one: Checksum, other: Checksum) -> Checksum:
    """The checksum of both parts together."""
    return one[0] + other[0], (one[1] + other[1]) % (1 << 64)


def send_members(task: PartitionTask) -> tuple[int, int]:
    """When the stars move no more: send members and centres to their ranges. Returns components and members."""
    work = task.work
    rows = task.exchange.receive_table(task.number, LINKS)
    node, neighbour = rows.column("node").to_numpy(), rows.column("neighbour").to_numpy()
    member, root = np.unique(np.stack([node, np.minimum(node, neighbour)], axis=1), axis=0).T
    with members_exchange(work).sender(task.name, MEMBERS) as sender:
        _send_members(sender, work, member, root)
    return int(np.count_nonzero(member == root)), len(member)


def _send_members(sender: Sender, work: Work, documents: Int64s, roots: Int64s) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array(documents), pa.array(roots)], schema=MEMBERS)
    sender.send(batch, work.range_of(documents))


def _send_both(sender: Sender, exchange: Exchange, left: Int64s, right: Int64s) -> None:
    _send_links(sender, exchange, left, right)
    _send_links(sender, exchange, right, left)


def _send_links(sender: Sender, exchange: Exchange, node: Int64s, neighbour: Int64s) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array(node), pa.array(neighbour)], schema=LINKS)
    sender.send(batch, partition_of(mix_all(node), exchange.partitions))
