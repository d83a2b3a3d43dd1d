"""Generated signatures for any number of documents, with clusters of near-duplicates.

A document's minima are drawn at random. Those of a member of a cluster agree with the cluster's in each permutation
with probability q, so that two members have a MinHash similarity of about q₁·q₂. Bands and sketches are then computed
by the project's own kernels.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s, UInt32s, UnsignedInts
from curation.dedup.algorithms import minhash
from curation.dedup.algorithms.hashing import PRIME_1, mix_all
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import signature_schema
from curation.store import schema
from curation.store.folder import Folder
from curation.store.shards import ShardWriter

SHARE_CLUSTERED = 0.2
"""Share of documents that belong to a cluster."""

LARGEST = 100_000
"""Documents of the largest cluster, or a tenth of all members if there are fewer than a million."""

TAIL, MAX_SIZE = 2.0, 10_000
"""The other clusters have 1 + Zipf(TAIL) documents, at most MAX_SIZE."""

AGREEMENT = (0.8, 0.85, 0.9, 0.95, 1.0)
"""Share of minima that a member has in common with its cluster, each equally likely."""


def make_clusters(documents: int, seed: int = 0) -> Int64s:
    """The cluster of each document, from 1, or 0 for none; clusters are spread over all documents."""
    random = np.random.Generator(np.random.PCG64(seed))
    members = round(documents * SHARE_CLUSTERED)
    largest = min(LARGEST, members // 10)
    sizes = np.minimum(random.zipf(TAIL, members // 2) + 1, MAX_SIZE)
    assigned = np.repeat(np.arange(len(sizes)), sizes)[: members - largest] + 2
    out = np.zeros(documents, np.int64)
    out[:largest] = 1
    out[largest : largest + len(assigned)] = assigned
    random.shuffle(out)
    return out


def make_minima(clusters: Int64s, permutations: int, seed: int) -> UInt32s:
    """Minima of documents, given the cluster of each, shape (documents, permutations)."""
    random = np.random.Generator(np.random.PCG64(seed))
    minima = random.integers(0, 1 << 32, size=(len(clusters), permutations), dtype=np.uint32)
    members = np.flatnonzero(clusters)
    agree = random.random((len(members), permutations)) < random.choice(AGREEMENT, len(members))[:, None]
    places = clusters[members, None] * permutations + np.arange(permutations)
    shared = mix_all((places.astype(np.uint64) * PRIME_1).ravel().view(np.int64)).reshape(places.shape)
    minima[members] = np.where(agree, (shared >> np.uint64(32)).astype(np.uint32), minima[members])
    return minima


def write_shard(folder: Folder, name: str, minima: UInt32s, settings: DedupSettings) -> None:
    """Write the signatures of the minima, and documents with only an id, as the filter step would."""
    rows = len(minima)
    columns = [
        _fixed(minhash.band_keys(minima, *settings.banding)),
        _fixed(minhash.sketch(minima)),
        _fixed(minhash.band_keys(minima, 2, minima.shape[1] // 2)),
        pa.array(np.full(rows, 1000, np.int32)),
    ]
    with ShardWriter(folder, f"signatures/{name}.parquet", signature_schema(settings)) as writer:
        writer.write(pa.RecordBatch.from_arrays(columns, schema=signature_schema(settings)))
    ids = pa.array([f"<urn:uuid:{name}-{row:08d}-0000-0000-000000000000>" for row in range(rows)])
    with ShardWriter(folder, f"documents/{name}.parquet", schema.DOCUMENT) as writer:
        nulls = {field.name: pa.nulls(rows, field.type) for field in schema.DOCUMENT}
        writer.write(pa.table({**nulls, "id": ids}, schema=schema.DOCUMENT))


def _fixed(values: UnsignedInts) -> pa.FixedSizeBinaryArray:
    kind = pa.binary(values.shape[1] * values.itemsize)
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
