"""Phase 2, pairs: from rows with equal keys to the pairs of documents worth comparing."""

from __future__ import annotations

import pyarrow as pa

from curation.dedup.algorithms.pair_search import CANDIDATE, find_pairs, unique_pairs
from curation.dedup.documents import PartitionTask, Work
from curation.dedup.keys import KEYS
from curation.store.exchange import Exchange

PAIRS = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("kind", pa.uint8())])


def pairs_exchange(work: Work) -> Exchange:
    """Exchange of PAIRS rows by the range of the left document."""
    return work.by_range("pairs")


def match(task: PartitionTask) -> int:
    """Find the pairs among rows with equal keys and send them to the left document's range. Returns the pairs sent."""
    work = task.work
    rows = task.exchange.receive_table(task.number, KEYS)
    bands, keys, checks, documents = (rows.column(name).to_numpy() for name in KEYS.names)
    left, right, kinds = unique_pairs(*find_pairs(bands, keys, checks, documents, work.settings.verify))
    if work.settings.mode == "against":
        within = (left >= work.earlier_documents) & (kinds == CANDIDATE)
        left, right, kinds = left[~within], right[~within], kinds[~within]
    batch = pa.RecordBatch.from_arrays([pa.array(left), pa.array(right), pa.array(kinds)], schema=PAIRS)
    with pairs_exchange(work).sender(task.name, PAIRS) as sender:
        sender.send(batch, work.range_of(left))
    return sender.rows
