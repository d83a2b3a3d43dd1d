"""The columns that all files of removed/ have."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from curation.dedup.decisions import DROPS, KEPT
from curation.jobs.steps.corpus import Drops, later_stages
from curation.jobs.steps.removed import all_signals, removed_columns, signals_of
from curation.recipes.recipe import load
from curation.stages.batch import Batch
from curation.stages.stage import signal_type
from curation.store import schema
from curation.store.folder import Folder

OWN = pa.struct([("url.words", pa.int64())])


@pytest.mark.parametrize("settings", [[], ["pii.types=[]", 'pii.replacement="tag"'], ["decontaminate.against"]])
def test_signals_of_all_later_stages_are_in_it(settings: list[str], tmp_path: Path) -> None:
    """Whatever is switched on, the signals of the stages after filtering have their place and their type."""
    (tmp_path / "items.jsonl").write_text(json.dumps({"question": "What is asked here, and of whom, and by whom?"}))
    given = [each if "=" in each else f"{each}={json.dumps([str(tmp_path / 'items.jsonl')])}" for each in settings]
    stages = [("dedup", Drops(DROPS.empty_table(), KEPT.empty_table())), *later_stages(load("fineweb", given))]
    columns = schema.DOCUMENT.append(pa.field("position", pa.int64()))
    found = signal_type(stages, Batch(pa.RecordBatch.from_pylist([], schema=columns)))
    assert {*found} <= {*all_signals(OWN)}
    assert all_signals(OWN).field(0) == OWN[0]


def test_unknown_signals_stay_unknown() -> None:
    """Where the signals of the stages are unknown, an empty struct stands for any."""
    assert removed_columns(load("fineweb"), pa.struct([])).field("signals").type == pa.struct([])


def test_deleted_files_do_not_stop_deduplication() -> None:
    """Without the file of removed/filter/, the signals are those of the later stages."""
    assert signals_of(Folder("memory://none"), "a") == all_signals(pa.struct([]))
