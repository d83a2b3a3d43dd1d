"""Survivor rules: the value by which the documents of a cluster are compared; the highest is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from curation.arrays import Float64s, Int64s
from curation.errors import ParameterError
from curation.stages.batch import Batch
from curation.stages.signals import is_number
from curation.stages.stage import Stage, signal_type
from curation.store import schema
from curation.store.folder import Folder
from curation.store.paths import DOCUMENTS
from curation.store.shards import read_shard, read_table


@dataclass(frozen=True, slots=True)
class SurvivorValue:
    """The value that a survivor rule compares. Without column and stage, all documents are equal.

    Attributes:
        column: A column of the files in `table`.
        table: Folder of the column, "documents" or "signatures".
        stage: The stage that measures `signal`, if the value is a signal; it is run again on the documents.
        signal: Name of the signal.
    """

    column: str | None = None
    table: str = "documents"
    stage: Stage | None = None
    signal: str | None = None

    def of(self, folder: Folder, shard: str, rows: Int64s) -> Float64s:
        """The values of documents of a shard.

        Args:
            folder: The output folder.
            shard: Name of the shard.
            rows: Numbers of the documents in the shard, ascending, shape (n,).

        Returns:
            A value for each row, shape (n,); NaN if there is none.
        """
        if self.column is not None:
            table = read_table(folder, f"{self.table}/{shard}.parquet", [self.column])
            return as_numbers(table[0].take(pa.array(rows)))
        return self._measured(folder, shard, rows) if self.stage is not None else np.zeros(len(rows))

    def _measured(self, folder: Folder, shard: str, rows: Int64s) -> Float64s:
        parts, start = [np.empty(0)], 0
        for batch in read_shard(folder, DOCUMENTS.path(shard)):
            inside = rows[(rows >= start) & (rows < start + batch.num_rows)] - start
            start += batch.num_rows
            if len(inside) and self.stage is not None:
                signals = self.stage(Batch(batch.take(pa.array(inside)))).signals
                assert signals is not None
                parts.append(as_numbers(pa.chunked_array([signals.field(self.signal)])))
        return np.concatenate(parts)


RULES: dict[str, SurvivorValue] = {
    "first": SurvivorValue(),
    "longest": SurvivorValue("length", "signatures"),
    "newest": SurvivorValue("date"),
}
"""The survivor rules that have a name. Of documents with equal values, the first is kept."""

BEST = "best:"
"""Prefix of all other rules: a column of documents/ or a signal, as `stage.signal`, follows it."""


def check_rule(rule: str) -> None:
    """Raise ParameterError if `rule` is neither in RULES nor begins with BEST."""
    if rule not in RULES and not (rule.startswith(BEST) and rule != BEST):
        raise ParameterError("survivor", rule, f"one of {', '.join(RULES)}, or {BEST}<column or stage.signal>")


def survivor_value(rule: str, stages: Sequence[tuple[str, Stage]] = ()) -> SurvivorValue:
    """The value that `rule` compares.

    Args:
        rule: As in `DedupSettings.survivor`.
        stages: The recipe's stages with their names; their numeric signals can be used.

    Raises:
        ParameterError: There is no such rule, column or signal; the message names those that exist.
    """
    check_rule(rule)
    if rule in RULES:
        return RULES[rule]
    name = rule.removeprefix(BEST)
    columns = [field.name for field in schema.DOCUMENT if is_number(field.type) and field.name not in _LATER]
    columns.append("date")
    if name in columns:
        return SurvivorValue(name)
    empty = Batch(pa.RecordBatch.from_pylist([], schema=schema.DOCUMENT))
    signals: list[str] = []
    for owner, stage in stages:
        if isinstance(stage, Stage) and owner != "extract":
            signals += [field.name for field in signal_type([(owner, stage)], empty) if is_number(field.type)]
    if name in signals:
        owner, _, signal = name.partition(".")
        return SurvivorValue(stage=dict(stages)[owner], signal=signal)
    raise ParameterError("survivor", rule, f"{BEST} and one of {', '.join([*columns, *signals])}")


_LATER = ("token_count", "minhash_cluster_size")
"""Columns that later steps fill."""


def as_numbers(values: pa.ChunkedArray) -> Float64s:
    """Numbers unchanged, dates as seconds since 1970 (UTC if they have no time zone), NaN for anything else."""
    if pa.types.is_string(values.type):
        return np.array([_seconds(value) for value in values.to_pylist()], np.float64)
    return np.asarray(values.cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)


def _seconds(date: str | None) -> float:
    try:
        parsed = datetime.fromisoformat(date or "")
    except ValueError:
        return float("nan")
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
