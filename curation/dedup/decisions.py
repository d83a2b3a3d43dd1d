"""The output of deduplication: reasons, columns of the files, and functions to read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.dedup.algorithms.minhash import similarity
from curation.dedup.signatures import band_keys, sketches
from curation.errors import NotTrusted
from curation.store import paths
from curation.store.folder import Folder
from curation.store.shards import open_parquet, read_table, rows_at
from curation.store.untrusted import is_plain

NEAR, EXACT, URL = "near_duplicate", "exact_duplicate", "url_duplicate"
"""Reasons for removal."""

DROPS = pa.schema(
    [
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("similarity", pa.float64()),
        ("cluster_id", pa.string()),
        ("cluster_size", pa.int64()),
        ("survivor_id", pa.string()),
        ("survivor_shard", pa.string()),
        ("survivor_row", pa.int64()),
        ("survivor_run", pa.string()),
    ]
)
"""Columns of dedup/drop/<shard>.parquet, the removed documents by row of documents/<shard>.parquet, ascending.

similarity: estimated Jaccard similarity to the survivor, null for `url_duplicate`; cluster_id: id of the first
document of the cluster; cluster_size: documents that the survivor represents, itself included; survivor_run: null, or
the folder of the earlier run that contains the survivor."""

KEPT = pa.schema([("row", pa.int64()), ("cluster_id", pa.string()), ("cluster_size", pa.int64())])
"""Columns of dedup/kept/<shard>.parquet: kept documents of clusters, by row, ascending."""

VERDICTS = DROPS.set(0, pa.field("document", pa.int64()))
"""Columns of a verdict on a document, which is sent to its range; `reason` is null if it is kept."""

LARGE = pa.schema(
    [
        ("cluster_id", pa.string()),
        ("documents", pa.int64()),
        ("kept", pa.int64()),
        ("similarity_mean", pa.float64()),
        ("similarity_least", pa.float64()),
    ]
)
"""Columns of dedup/large_clusters.parquet: clusters above the limit, how many of their documents are kept, and the
similarity of the others to their survivors."""

NUMBERS = pa.schema([("shard", pa.string()), ("run", pa.string()), ("first", pa.int64()), ("documents", pa.int64())])
"""Columns of dedup/shards.parquet, in input order: the number of each shard's first document, with which the numbers in
dedup/pairs are resolved; run: null, or the folder of the earlier run that contains the shard."""


def read_drops(folder: Folder, shard: str) -> pa.Table:
    """The removed documents of a shard by ascending row, with the columns DROPS."""
    return read_table(folder, paths.DROPS.path(shard))


@dataclass(frozen=True, slots=True)
class SurvivorComparison:
    """A removed document compared with its survivor.

    Attributes:
        survivor_url: URL of the survivor.
        shared_bands: Numbers of the equal bands; empty if either document has no signature.
        bands: Number of bands of a signature.
        similarity: Estimated Jaccard similarity; None if either document has no signature.
        same_text: Whether the simplified texts are equal.
    """

    survivor_url: str | None
    shared_bands: list[int]
    bands: int
    similarity: float | None
    same_text: bool


def compare(folder: Folder, shard: str, row: int, against: Sequence[str] = ()) -> SurvivorComparison | None:
    """Compare the document in a row of documents/<shard>.parquet with its survivor; None if it was not removed.

    Args:
        folder: Output folder of the run.
        shard: Name of the document's shard.
        row: Its row.
        against: Folders of the earlier runs that the recipe names.

    Raises:
        NotTrusted: The survivor is said to be on a special file system that the recipe does not name.
    """
    survivor = _survivor(folder, shard, row, against)
    if survivor is None:
        return None
    other, place, number = survivor
    mine = rows_at(folder, paths.SIGNATURES.path(shard), [row])
    theirs = rows_at(other, paths.SIGNATURES.path(place), [number])
    url = rows_at(other, paths.DOCUMENTS.path(place), [number], ["url"])
    signed = mine.column("keys")[0].is_valid and theirs.column("keys")[0].is_valid
    bands = mine.schema.field("keys").type.byte_width // 8
    return SurvivorComparison(
        url.column("url")[0].as_py(),
        np.flatnonzero(band_keys(mine)[0] == band_keys(theirs)[0]).tolist() if signed else [],
        bands,
        float(similarity(sketches(mine), sketches(theirs))[0]) if signed else None,
        bool(signed and mine.column("exact")[0] == theirs.column("exact")[0]),
    )


def survivor_text(folder: Folder, shard: str, row: int, against: Sequence[str] = ()) -> str:
    """The text of a removed document's survivor before personal data was replaced; arguments as for `compare`."""
    survivor = _survivor(folder, shard, row, against)
    if survivor is None:
        return ""
    other, place, number = survivor
    return rows_at(other, paths.DOCUMENTS.path(place), [number], ["text"]).column("text")[0].as_py() or ""


def _survivor(folder: Folder, shard: str, row: int, against: Sequence[str]) -> tuple[Folder, str, int] | None:
    """The run, shard and row of a removed document's survivor; None if the document was not removed."""
    drops = read_drops(folder, shard)
    at = int(np.searchsorted(drops.column("row").to_numpy(), row))
    if at == len(drops) or drops.column("row")[at].as_py() != row:
        return None
    (drop,) = drops.slice(at, 1).to_pylist()
    other = _earlier_run(folder, drop["survivor_run"], against) if drop["survivor_run"] else folder
    return other, drop["survivor_shard"], drop["survivor_row"]


def _earlier_run(folder: Folder, url: str, against: Sequence[str]) -> Folder:
    if not is_plain(url) and url not in {Folder(each).url for each in against}:
        raise NotTrusted(folder.url, f"the survivor of a duplicate is in {url!r}, on a special file system")
    return Folder(url)


def find_row(
    folder: Folder, shard: str, document: str, warc_offset: int | None, source_row: int | None = None
) -> int | None:
    """The row in documents/<shard>.parquet of a document with this id, `warc_offset` and `row`, or None."""
    with open_parquet(folder, paths.DOCUMENTS.path(shard)) as parquet:
        names = [name for name in ("id", "warc_offset", "row") if name in parquet.schema_arrow.names]
        table = parquet.read(names)
    wanted = dict(zip(("id", "warc_offset", "row"), (document, warc_offset, source_row), strict=True))
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return next((row for row, key in enumerate(rows) if key == tuple(wanted[name] for name in names)), None)
