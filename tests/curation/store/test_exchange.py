"""Exchange: every row reaches its partition once, whichever task sent it and however often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation.store import exchange
from curation.store.exchange import Exchange, take
from curation.store.folder import Folder

ROWS = pa.schema([("number", pa.int64()), ("word", pa.string()), ("maybe", pa.float64())])


def rows(numbers: np.ndarray) -> pa.RecordBatch:
    words = pa.array([f"w{number}" for number in numbers.tolist()])
    maybe = pa.array([None if number % 3 else number / 2 for number in numbers.tolist()], pa.float64())
    return pa.RecordBatch.from_arrays([pa.array(numbers), words, maybe], schema=ROWS)


def send(target: Exchange, task: str, numbers: np.ndarray, batch_rows: int = 100) -> None:
    with target.sender(task, ROWS) as sender:
        for start in range(0, len(numbers), batch_rows):
            part = numbers[start : start + batch_rows]
            sender.send(rows(part), part % target.partitions)


@pytest.mark.parametrize("url", ["{tmp}/x", "memory://exchange-test"])
def test_rows_reach_their_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """All rows of all tasks arrive once, unchanged, on a disk and an object store, whether buffers fill up or not."""
    monkeypatch.setattr(exchange, "BUFFER_BYTES", 5_000)
    target = Exchange(Folder(url.format(tmp=tmp_path)), "work/x", 7)
    send(target, "one", np.arange(0, 900))
    send(target, "two", np.arange(900, 1000))
    send(target, "none", np.arange(0))
    for partition in range(7):
        received = target.receive_table(partition, ROWS).sort_by("number")
        expected = rows(np.arange(partition, 1000, 7))
        assert received.equals(pa.Table.from_batches([expected]))
    assert target.spilled() > 1000 * 20
    target.clear()
    assert target.receive_table(0, ROWS).num_rows == 0


def test_a_retried_task_replaces_its_rows(tmp_path: Path) -> None:
    """A task that runs twice does not send its rows twice."""
    target = Exchange(Folder(str(tmp_path)), "x", 3)
    for _ in range(2):
        send(target, "one", np.arange(50))
    assert sum(target.receive_table(partition, ROWS).num_rows for partition in range(3)) == 50


def test_a_failed_task_leaves_no_file(tmp_path: Path) -> None:
    """Rows that are buffered when the block raises are not sent."""
    target = Exchange(Folder(str(tmp_path)), "x", 3)

    def fail() -> None:
        with target.sender("one", ROWS) as sender:
            sender.send(rows(np.arange(10)), np.arange(10) % 3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list((tmp_path).rglob("*.arrow")) == []


def test_take_equals_arrow() -> None:
    """`take` returns the rows that Arrow's `take` does, nulls and strings included."""
    table = pa.table(rows(np.arange(40)))
    order = np.random.default_rng(0).permutation(40)
    assert pa.table(take(table, order)).equals(table.take(pa.array(order)).combine_chunks())
