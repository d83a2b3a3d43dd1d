"""Inputs that are empty, or of which some bytes could not be read: what was lost, where and why, from the manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curation.archives.inputs import Input
from curation.archives.ledger import LOST, SKIPPED_AS_LOST
from curation.store.folder import Folder
from curation.store.manifest import counts_by_shard

LOSSES_NAMED = 3
"""Losses named in the line about an input; all that were recorded are in run.json."""


def damaged_inputs(folder: Folder, sources: Sequence[Input]) -> list[dict[str, Any]]:
    """The inputs that lost bytes or records, in input order, as in run.json.

    Args:
        folder: The output folder.
        sources: Inputs whose shards are done.

    Returns:
        For each damaged input `path`, `bytes` (its size), `lost_bytes`, `lost_records` and `losses`, a list of
        `offset`, `bytes`, `cause` and `records`, and `row` in files of rows.
    """
    counted = counts_by_shard(folder, "filter", (source.shard for source in sources))
    lost = {shard: counts for shard, counts in counted if counts.get("losses")}
    return [_entry(source, lost[source.shard]) for source in sources if source.shard in lost]


def _entry(source: Input, counts: Mapping[str, Any]) -> dict[str, Any]:
    read = counts["read"]
    return {
        **source.place,
        "bytes": source.bytes,
        "lost_bytes": read.get(LOST, 0),
        "lost_records": sum(read.get(name, 0) for name in SKIPPED_AS_LOST),
        "losses": counts["losses"],
    }


def empty_inputs(folder: Folder, sources: Sequence[Input]) -> list[Input]:
    """The inputs without a byte, as a failed download leaves them. Nothing in them is lost.

    Args:
        folder: The output folder.
        sources: All inputs. A server may not tell the size of one; it is then 0 here, too.
    """
    without_size = [source for source in sources if not source.size]
    if not without_size:
        return []
    counted = dict(counts_by_shard(folder, "filter", (source.shard for source in without_size)))
    return [one for one in without_size if one.shard in counted and counted[one.shard]["read"].get("file.empty")]


def lost_share(damaged: Sequence[Mapping[str, Any]], sources: Sequence[Input]) -> float:
    """Lost bytes as a share of the bytes of all inputs, from 0 to 1. A lost record without bytes counts as one byte."""
    lost = sum(max(int(entry["lost_bytes"]), 1) for entry in damaged)
    return lost / max(1, sum(source.bytes for source in sources))


def describe_damage(entry: Mapping[str, Any]) -> str:
    """One line about a damaged input.

    >>> loss = {"offset": 4096, "bytes": 1500, "cause": "damaged_gzip", "records": 1}
    >>> describe_damage({"path": "a.warc.gz", "bytes": 9000, "lost_bytes": 1500, "lost_records": 1, "losses": [loss]})
    'a.warc.gz: lost 1,500 of 9,000 bytes, 1 record: damaged_gzip at offset 4,096 (1,500 bytes)'
    """
    losses = entry["losses"]
    named = [_describe_loss(loss) for loss in losses[:LOSSES_NAMED]]
    more = len(losses) - LOSSES_NAMED
    if more > 0:
        named.append(f"and {more} more place{'' if more == 1 else 's'}")
    records = f"{entry['lost_records']:,} record{'' if entry['lost_records'] == 1 else 's'}"
    return f"{entry['path']}: lost {entry['lost_bytes']:,} of {entry['bytes']:,} bytes, {records}: {', '.join(named)}"


def _describe_loss(loss: Mapping[str, Any]) -> str:
    if "row" not in loss:
        return f"{loss['cause']} at offset {loss['offset']:,} ({loss['bytes']:,} bytes)"
    more = f" to {loss['row'] + loss['records'] - 1:,}" if loss["records"] > 1 else ""
    return f"{loss['cause']} at row {loss['row']:,}{more}"
