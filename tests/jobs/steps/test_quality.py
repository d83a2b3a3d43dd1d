"""The stage `quality` in a run: removal with a reason, and the audit in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from kills import kill_at_rename
from planted import SETTINGS, write_crawl
from processes import contents
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.quality.model import Card, Linear, load, write_card

RECIPE = """
[[stage]]
use = "extract"
[[stage]]
use = "quality"
models = ["{model}"]
min_percentile = 50
"""


def call(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A filtered run, and the path of its model."""
    folder = tmp_path_factory.mktemp("quality")
    model = str(folder / "m.npz")
    Linear(np.random.default_rng(2).normal(size=1 << 14).astype(np.float32), 0.0).save(Path(model))
    write_card(model, load(model).sha256, Card(quantiles={"": np.linspace(0.4, 0.6, 1001)}))
    (folder / "mine.toml").write_text(RECIPE.format(model=model))
    crawl = folder / "crawl"
    crawl.mkdir()
    words = ("filter", write_crawl(crawl), "--out", folder / "out", "--recipe", folder / "mine.toml", "--workers", 0)
    done = call(*words, *(word for setting in SETTINGS for word in ("--set", setting)))
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"
    return folder / "out", model


def test_killed_it_gives_the_same_bytes(made: tuple[Path, str], tmp_path: Path) -> None:
    """After SIGKILL of a run with the stage, twice, no file is half-written, and a rerun gives equal bytes."""
    out, _ = made
    words = ("filter", out.parent / "crawl", "--out", tmp_path / "again", "--recipe", out.parent / "mine.toml")
    options = ("--workers", 0, *(word for setting in SETTINGS for word in ("--set", setting)))
    expected = contents(out)
    for number in (3, 8):
        assert kill_at_rename(number, *words, *options)
        found = contents(tmp_path / "again").items()
        assert {each for each in found if not Path(each[0]).name.startswith(".")} <= expected.items()
    assert not kill_at_rename(1000, *words, *options)
    assert contents(tmp_path / "again") == expected


def test_scores_are_signals(made: tuple[Path, str]) -> None:
    """Documents below the percentile are removed for it, the others keep score and percentile, and what-if counts."""
    out, _ = made
    removed = pq.read_table(out / "removed" / "filter").to_pylist()
    low = [row["signals"]["quality.percentile"] for row in removed if row["reason"] == "quality.min_percentile"]
    kept = pq.read_table(out / "signals")["quality.percentile"].to_pylist()
    assert low
    assert kept
    assert max(low) < 50 <= min(kept)
    answer = call("what-if", out, "--set", "quality.min_percentile=0", "--json")
    assert answer.exit_code == 0, answer.output


def test_the_report_shows_the_audit(made: tuple[Path, str]) -> None:
    """A model without an audit has a warning in the report; after the audit it shows findings and samples."""
    out, model = made
    stats = json.loads(call("report", out, "--json").stdout)
    assert "no audit" in stats["quality"][0]["warning"]
    page = (out / "report" / "index.html").read_text()
    assert "no audit" in page
    finding = {"name": "flips", "text": "flipped verdicts", "value": 0.5, "limit": 0.07, "below": False, "failed": True}
    sample = {"name": "https://liked.org", "score": 0.9, "text": "a <b>text"}
    audit = {
        "failed": ["flips"], "findings": [finding], "notes": ["a note"], "documents": 100, "sources": 3,
        "samples": {"most": [sample], "least": [sample]},
    }  # fmt: skip
    loaded = load(model)
    write_card(model, loaded.sha256, replace(loaded.card, audit=audit))
    refused = call("report", out)
    assert refused.exception.exit_code == 2
    assert "accept_audit" in str(refused.exception)
    write_card(model, loaded.sha256, replace(loaded.card, audit={**audit, "failed": []}))
    assert json.loads(call("report", out, "--json").stdout)["quality"][0]["warning"] == ""
    page = (out / "report" / "index.html").read_text()
    assert "flipped verdicts" in page
    assert "a &lt;b&gt;text" in page
