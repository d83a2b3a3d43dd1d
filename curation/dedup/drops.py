"""Reading what deduplication decided of a shard, and what ties a dropped document to the one it lost to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.dedup.minhash import similarity
from curation.dedup.signatures import band_keys, sketches
from curation.shards import read_table
from curation.storage import Folder


def read_drops(folder: Folder, shard: str) -> pa.Table:
    """The documents of a shard that go, by ascending row; columns as `contracts.DROPS` says."""
    return read_table(folder, f"dedup/drop/{shard}.parquet")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A dropped document beside its survivor. shared_bands: places of equal bands; similarity: estimated Jaccard.

    same_text: whether their simplified texts are equal. The first two are empty and null where either has no signature.
    """

    survivor_url: str | None
    shared_bands: list[int]
    bands: int
    similarity: float | None
    same_text: bool


def compare(folder: Folder, shard: str, row: int) -> Comparison | None:
    """What ties the document in this row of documents/<shard>.parquet to its survivor; None if it was not dropped."""
    drops = read_drops(folder, shard)
    place = int(np.searchsorted(drops.column("row").to_numpy(), row))
    if place == len(drops) or drops.column("row")[place].as_py() != row:
        return None
    lost_to = drops.slice(place, 1).to_pylist()[0]
    other = Folder(lost_to["survivor_run"]) if lost_to["survivor_run"] else folder
    mine = _row(folder, f"signatures/{shard}.parquet", row)
    theirs = _row(other, f"signatures/{lost_to['survivor_shard']}.parquet", lost_to["survivor_row"])
    url = _row(other, f"documents/{lost_to['survivor_shard']}.parquet", lost_to["survivor_row"], ["url"])
    signed = mine.column("keys")[0].is_valid and theirs.column("keys")[0].is_valid
    bands = mine.schema.field("keys").type.byte_width // 8
    return Comparison(
        url.column("url")[0].as_py(),
        np.flatnonzero(band_keys(mine)[0] == band_keys(theirs)[0]).tolist() if signed else [],
        bands,
        float(similarity(sketches(mine), sketches(theirs))[0]) if signed else None,
        bool(signed and mine.column("exact")[0] == theirs.column("exact")[0]),
    )


def find_row(folder: Folder, shard: str, document: str, warc_offset: int | None) -> int | None:
    """The row of documents/<shard>.parquet that holds a document, or None."""
    table = read_table(folder, f"documents/{shard}.parquet", ["id", "warc_offset"])
    rows = zip(table["id"].to_pylist(), table["warc_offset"].to_pylist(), strict=True)
    return next((row for row, found in enumerate(rows) if found == (document, warc_offset)), None)


def _row(folder: Folder, path: str, row: int, columns: list[str] | None = None) -> pa.Table:
    return read_table(folder, path, columns).slice(row, 1)
