"""The columns of removed/, which are the same in all of its files, so that they open as one table.

Its signals are those of the stages of the recipe, then those of deduplication, decontamination and personal data,
whether these are on or not, so that switching one on does not change what the filter step writes.
"""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from curation.dedup.decisions import DROPS
from curation.filters.decontaminate import Decontaminate
from curation.filters.pii import Pii
from curation.recipes.recipe import Recipe
from curation.stages.batch import Batch
from curation.stages.stage import signal_type
from curation.store import schema
from curation.store.folder import Folder
from curation.store.paths import REMOVED_BY_FILTER
from curation.store.shards import open_parquet

DROP_SIGNALS = ("similarity", "cluster_id", "survivor_id", "survivor_shard", "survivor_run")
"""Columns of a drop list that are signals of deduplication."""


@cache
def _later_signals() -> list[pa.Field]:
    duplicates = [DROPS.field(name).with_name(f"dedup.{name}") for name in DROP_SIGNALS]
    empty = Batch(pa.RecordBatch.from_pylist([], schema=schema.DOCUMENT))
    return [*duplicates, *signal_type([("decontaminate", Decontaminate()), ("pii", Pii())], empty)]


def all_signals(signals: pa.DataType) -> pa.DataType:
    """The struct type of the signals in removed/, given that of the recipe's stages."""
    return pa.struct([*signals, *_later_signals()])


def removed_columns(recipe: Recipe, signals: pa.DataType) -> pa.Schema:
    """Columns of removed/filter/ and removed/dedup/. The signals are an empty struct if those of the stages are."""
    return schema.removed(all_signals(signals) if signals.num_fields else signals)


def signals_of(folder: Folder, shard: str) -> pa.DataType:
    """The struct type of the signals in removed/filter/ of a shard; without the recipe's stages if it was deleted."""
    try:
        with open_parquet(folder, REMOVED_BY_FILTER.path(shard)) as parquet:
            return parquet.schema_arrow.field("signals").type
    except FileNotFoundError:
        return all_signals(pa.struct([]))
