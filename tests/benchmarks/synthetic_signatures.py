"""Generated signatures for any number of documents, with near-duplicates of given Jaccard similarities.

A document's minima are drawn at random. Those of its copy agree with them in each permutation with probability s, which
is what MinHash gives two documents of similarity s. Bands and sketches are then computed by the project's own kernels.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.arrays import Float64s, Int64s, UInt32s, UnsignedInts
from curation.dedup.algorithms import minhash
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import signature_schema
from curation.store import schema
from curation.store.folder import Folder
from curation.store.shards import ShardWriter

SHARE_COPIES = 0.3
"""Share of documents whose minima are derived from another document's."""

SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


def make_minima(documents: int, permutations: int, seed: int) -> tuple[UInt32s, Int64s, Float64s]:
    """Minima of documents; for each, the document it was derived from (itself if none) and their similarity."""
    random = np.random.Generator(np.random.PCG64(seed))
    minima = random.integers(0, 1 << 32, size=(documents, permutations), dtype=np.uint32)
    originals = np.arange(documents)
    similarities = np.ones(documents)
    copies = np.flatnonzero(random.random(documents) < SHARE_COPIES)
    copies = copies[copies > 0]
    originals[copies] = (random.random(len(copies)) * copies).astype(np.int64)
    originals[copies] = np.where(originals[originals[copies]] == originals[copies], originals[copies], copies)
    copies = copies[originals[copies] != copies]
    similarities[copies] = random.choice(SIMILARITIES, len(copies))
    for start in range(0, len(copies), 65_536):
        part = copies[start : start + 65_536]
        agree = random.random((len(part), permutations)) < similarities[part, None]
        minima[part] = np.where(agree, minima[originals[part]], minima[part])
    return minima, originals, similarities


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
