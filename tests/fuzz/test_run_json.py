"""Fuzzes run.json: whatever it contains, it is opened or refused, and nothing of it is executed."""

from __future__ import annotations

import json
from pathlib import Path

from fuzzing import fuzz

from curation.errors import UsageError
from curation.jobs.steps.plan import open_plan
from curation.recipes.recipe import STAGES, load
from curation.store.paths import RUN

WORDS = [
    b"null",
    b"[]",
    b"{}",
    b'"use"',
    b'"none"',
    b"1e999",
    b'"theirs:Stage"',
    b'"model": "/dev/zero",',
    b'"data:,x"',
]


def test_run_json(tmp_path: Path) -> None:
    """A changed run.json is an error that names it, or a run whose stages are all built in."""
    entry = {"path": "/a.warc.gz", "size": 1, "version": "1"}
    value = {"recipe": load("fineweb").resolved(), "fingerprint": "f", "versions": {"a": "1"}, "inputs": [entry]}
    value["quarantined"] = [{"path": "/a.warc.gz", "cause": "c"}]
    built_in = {path.partition(":")[2] for path in STAGES.values()} | {"Pii"}

    def check(data: bytes) -> None:
        (tmp_path / RUN).write_bytes(data)
        try:
            plan = open_plan(str(tmp_path))
        except UsageError:
            return
        assert {type(stage).__name__ for _, stage in plan.recipe.stages} <= built_in

    fuzz(check, [json.dumps(value).encode()], WORDS)
