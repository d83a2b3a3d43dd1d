"""Phase 3, sketches: compare the sketches of candidate pairs and keep the similar pairs.

A range reads the sketches of its own shards once for all pairs whose left document it contains, and sends them with the
pairs to the right document's range, which compares them. So no task opens the files of another range's shards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.arrays import Int64s, UInt8s
from curation.dedup.algorithms.minhash import similarity
from curation.dedup.algorithms.pair_search import CANDIDATE, unique_pairs
from curation.dedup.documents import RangeTask, Work
from curation.dedup.keys import read_signatures
from curation.dedup.pairs import PAIRS, pairs_exchange
from curation.dedup.signatures import sketches
from curation.store import paths
from curation.store.exchange import Exchange, Sender
from curation.store.shards import Output, ShardWriter

EDGES = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("similarity", pa.float32())])
"""Columns of dedup/pairs/*.parquet: numbers of two documents, left < right; similarity is null if not verified."""

COMPARED_ROWS = 65_536
"""Pairs of sketches to compare at a time: 15 MB."""

PAIRS_ROW_GROUP = 131_072


def sketched(permutations: int) -> pa.Schema:
    """Columns of a pair that is sent to the right document's range with the sketch of the left one."""
    return pa.schema([("left", pa.int64()), ("right", pa.int64()), ("sketch", pa.binary(permutations))])


def sketched_exchange(work: Work) -> Exchange:
    """Exchange of candidate pairs with the left document's sketch, by the right document's range."""
    return work.by_range("sketched")


def edges_exchange(work: Work) -> Exchange:
    """Exchange of EDGES rows by the left document's range."""
    return work.by_range("edges")


def pairs_path(number: int) -> str:
    """Path of the pairs of a range."""
    return paths.PAIRS.path(f"{number:05d}")


def load_sketches(task: RangeTask) -> UInt8s:
    """The sketches of all documents of a range, shape (documents, permutations)."""
    first = task.shards[0].first
    out = np.zeros((task.shards[-1].stop - first, task.work.settings.permutations), np.uint8)
    for shard in task.shards:
        for documents, batch in read_signatures(shard, ["sketch"]):
            out[documents - first] = sketches(batch)
    return out


def attach(task: RangeTask) -> int:
    """Send each pair of a range once with the left document's sketch. Returns the number of candidates to verify.

    Pairs that need no comparison are passed on directly: equal texts and signatures, or all without verification.
    """
    work, number = task.work, task.number
    rows = pairs_exchange(work).receive_table(number, PAIRS)
    left, right, kinds = unique_pairs(*(rows.column(name).to_numpy() for name in PAIRS.names))
    sure = kinds != CANDIDATE
    sure_similarity = np.where(sure, 1.0, np.nan)
    if not work.settings.verify:
        sure[:] = True
    with edges_exchange(work).sender(f"sure-{task.name}", EDGES) as sender:
        send_edges(sender, work, left[sure], right[sure], sure_similarity[sure])
    left, right = left[~sure], right[~sure]
    schema = sketched(work.settings.permutations)
    own = load_sketches(task) if len(left) else np.empty((0, 0), np.uint8)
    with sketched_exchange(work).sender(task.name, schema) as sender:
        for start in range(0, len(left), COMPARED_ROWS):
            part = slice(start, start + COMPARED_ROWS)
            columns = [pa.array(left[part]), pa.array(right[part]), _binary(own[left[part] - task.shards[0].first])]
            sender.send(pa.RecordBatch.from_arrays(columns, schema=schema), work.range_of(right[part]))
    return len(left)


def verify(task: RangeTask) -> int:
    """Compare the pairs whose right document is in the range, and pass on similar ones. Returns their number."""
    work, own = task.work, np.empty((0, 0), np.uint8)
    with edges_exchange(work).sender(f"verified-{task.name}", EDGES) as sender:
        for batch in sketched_exchange(work).receive(task.number):
            own = own if len(own) else load_sketches(task)
            for start in range(0, batch.num_rows, COMPARED_ROWS):
                part = batch.slice(start, COMPARED_ROWS)
                left, right = part.column("left").to_numpy(), part.column("right").to_numpy()
                estimate = similarity(sketches(part), own[right - task.shards[0].first])
                similar = estimate >= work.settings.threshold
                send_edges(sender, work, left[similar], right[similar], estimate[similar])
    return sender.rows


def write_pairs(task: RangeTask) -> Output:
    """Write the accepted pairs whose left document is in the range, in order: dedup/pairs/<number>.parquet."""
    work = task.work
    rows = edges_exchange(work).receive_table(task.number, EDGES)
    order = np.lexsort((rows.column("right").to_numpy(), rows.column("left").to_numpy()))
    with ShardWriter(work.folder, pairs_path(task.number), EDGES, row_group_rows=PAIRS_ROW_GROUP) as writer:
        writer.write(rows.take(pa.array(order)))
    return writer.output


def send_edges(sender: Sender, work: Work, left: Int64s, right: Int64s, estimate: npt.NDArray[Any]) -> None:
    """Send accepted pairs; NaN means that the similarity was not estimated."""
    similarities = pa.array(estimate.astype(np.float32), from_pandas=True)
    batch = pa.RecordBatch.from_arrays([pa.array(left), pa.array(right), similarities], schema=EDGES)
    sender.send(batch, work.range_of(left))


def _binary(values: UInt8s) -> pa.FixedSizeBinaryArray:
    kind = pa.binary(values.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
