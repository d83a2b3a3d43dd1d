"""`curate dedup` and `curate run`: the options of deduplication become keys of the recipe."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from curation.jobs.cli import main
from curation.jobs.steps import run
from curation.jobs.steps.table import commands


def test_against_and_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier runs by absolute path, in the order given; for dedup, naming them accepts the changed recipe."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(run, "run_commands", lambda **request: asked.update(request) or 0)
    words = ["dedup", "--out", "o", "--against", "/old/one", "--against", "s3://bucket/two", "--mode", "against"]
    assert CliRunner().invoke(main.app, words).exit_code == 0
    assert asked["commands"] == ("dedup",)
    assert asked["settings"] == ['dedup.against=["/old/one", "s3://bucket/two"]', "dedup.mode=against"]
    assert asked["update"] is True
    assert CliRunner().invoke(main.app, ["run", *words[1:]]).exit_code == 0
    assert asked["commands"] == commands()
    assert asked["settings"] == ['dedup.against=["/old/one", "s3://bucket/two"]', "dedup.mode=against"]
    assert asked["update"] is False
    assert CliRunner().invoke(main.app, ["dedup", "--out", "o"]).exit_code == 0
    assert (asked["settings"], asked["update"]) == ([], False)
