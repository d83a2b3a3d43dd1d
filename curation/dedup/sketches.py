"""Phase 3, sketches: candidate pairs meet the sketches of both documents, and the pairs that are similar are kept.

A range reads the sketches of its own shards once for all pairs whose left document it has, sends them with the pairs to
the right document's range, and there they are compared: no task opens the files of another's shards.
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
from curation.store.exchange import Exchange, Sender
from curation.store.shards import Output, ShardWriter

EDGES = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("similarity", pa.float32())])
"""Columns of dedup/pairs/*.parquet: documents by their numbers, left < right; similarity null if not verified."""

COMPARED_ROWS = 65_536
"""Pairs of sketches compared at once: 15 MB."""

PAIRS_ROW_GROUP = 131_072


def sketched(settings_permutations: int) -> pa.Schema:
    """Columns of a pair on its way to the right document: with the left one's sketch."""
    return pa.schema([("left", pa.int64()), ("right", pa.int64()), ("sketch", pa.binary(settings_permutations))])


def sketched_exchange(work: Work) -> Exchange:
    """Candidate pairs with the left document's sketch, by the right document's range."""
    return work.by_range("sketched")


def edges_exchange(work: Work) -> Exchange:
    """Rows of EDGES, by the left document's range."""
    return work.by_range("edges")


def pairs_path(number: int) -> str:
    """Where the pairs of a range are written."""
    return f"dedup/pairs/{number:05d}.parquet"


def load_sketches(task: RangeTask) -> UInt8s:
    """The sketches of all documents of a range, shape (documents, permutations)."""
    first = task.shards[0].first
    out = np.zeros((task.shards[-1].stop - first, task.work.settings.permutations), np.uint8)
    for shard in task.shards:
        for documents, batch in read_signatures(shard, ["sketch"]):
            out[documents - first] = sketches(batch)
    return out


def attach(task: RangeTask) -> int:
    """Give the range's pairs the left document's sketch, each pair once. Returns candidate pairs to verify.

    Pairs that need no comparison go on at once: equal texts and signatures, or all if verification is off.
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
    mine = load_sketches(task) if len(left) else np.empty((0, 0), np.uint8)
    with sketched_exchange(work).sender(task.name, schema) as sender:
        for start in range(0, len(left), COMPARED_ROWS):
            part = slice(start, start + COMPARED_ROWS)
            columns = [pa.array(left[part]), pa.array(right[part]), _binary(mine[left[part] - task.shards[0].first])]
            sender.send(pa.RecordBatch.from_arrays(columns, schema=schema), work.range_of(right[part]))
    return len(left)


def verify(task: RangeTask) -> int:
    """Compare the pairs whose right document the range has; those similar enough go on. Returns their number."""
    work, mine = task.work, np.empty((0, 0), np.uint8)
    with edges_exchange(work).sender(f"verified-{task.name}", EDGES) as sender:
        for batch in sketched_exchange(work).receive(task.number):
            mine = mine if len(mine) else load_sketches(task)
            for start in range(0, batch.num_rows, COMPARED_ROWS):
                part = batch.slice(start, COMPARED_ROWS)
                left, right = part.column("left").to_numpy(), part.column("right").to_numpy()
                estimate = similarity(sketches(part), mine[right - task.shards[0].first])
                similar = estimate >= work.settings.threshold
                send_edges(sender, work, left[similar], right[similar], estimate[similar])
    return sender.rows


def write_pairs(task: RangeTask) -> Output:
    """Write the pairs that count whose left document the range has, in order: dedup/pairs/<number>.parquet."""
    work = task.work
    rows = edges_exchange(work).receive_table(task.number, EDGES)
    order = np.lexsort((rows.column("right").to_numpy(), rows.column("left").to_numpy()))
    with ShardWriter(work.folder, pairs_path(task.number), EDGES, row_group_rows=PAIRS_ROW_GROUP) as writer:
        writer.write(rows.take(pa.array(order)))
    return writer.output


def send_edges(sender: Sender, work: Work, left: Int64s, right: Int64s, estimate: npt.NDArray[Any]) -> None:
    """Send pairs that count; NaN stands for a similarity that nobody estimated."""
    similarities = pa.array(estimate.astype(np.float32), from_pandas=True)
    batch = pa.RecordBatch.from_arrays([pa.array(left), pa.array(right), similarities], schema=EDGES)
    sender.send(batch, work.range_of(left))


def _binary(values: UInt8s) -> pa.FixedSizeBinaryArray:
    kind = pa.binary(values.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
