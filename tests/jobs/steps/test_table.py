"""The table of steps: its entries are correct, and an added step is run, resumed and verified like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import SETTINGS, verdict_of, write_crawl
from sizes_step import STEP

from curation.errors import StepFailed
from curation.jobs.steps import table
from curation.jobs.steps.plan import make_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run, run_commands
from curation.recipes.recipe import TABLES
from curation.running.cluster import Cluster


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two archives."""
    return write_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture
def with_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An additional step, after the corpus."""
    position = [step.name for step in table.STEPS].index("corpus") + 1
    monkeypatch.setattr(table, "STEPS", (*table.STEPS[:position], STEP, *table.STEPS[position:]))


def run(crawl: Path, out: Path, *commands: str, settings: tuple[str, ...] = (), update: bool = False) -> int:
    """Run these commands, or all, in this process."""
    chosen = commands or table.commands()
    return run_commands(chosen, str(out), [str(crawl)], None, [*SETTINGS, *settings], 0, None, update, True)


@pytest.mark.parametrize("step", table.STEPS, ids=lambda step: step.name)
def test_every_entry_is_valid(step: table.Step) -> None:
    """Functions and columns exist, tables are those of a recipe, and a step comes after those that it reads from."""
    names = [each.name for each in table.STEPS]
    assert bool(step.make) != bool(step.made_by)
    for path in filter(None, (step.make, step.depends)):
        assert callable(table.named(path))
    for output in step.outputs:
        columns = table.named(output.columns) if output.columns else None
        assert columns is None or callable(columns) or isinstance(columns, pa.Schema)
    assert set(step.tables) <= set(TABLES)
    assert all(names.index(name) < names.index(step.name) for name in step.after)
    assert step.made_by in ("", *names)


def test_ancestors_are_all_steps_that_a_step_is_made_from() -> None:
    """Ancestors include indirect ones, and the steps that the same function makes."""
    assert table.ancestors(table.step_named("corpus")) == {"filter", "dedup"}
    tokens = table.ancestors(table.step_named("tokens"))
    assert tokens == {"filter", "dedup", "corpus", "train-tokenizer", "encode"}


@pytest.mark.usefixtures("with_sizes")
def test_a_step_added_to_the_table_is_a_step(crawl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It runs in order, is not repeated, is redone if what it depends on changes, and `verify` checks its files."""
    out = tmp_path / "out"
    assert run(crawl, out) == 0
    assert '"step": "sizes"' in capsys.readouterr().err
    sizes = sorted((out / "sizes").glob("*.parquet"))
    assert len(sizes) == 2
    for path in sizes:
        texts = pq.read_table(out / "corpus" / path.name)["text"].to_pylist()
        assert pq.read_table(path)["characters"].to_pylist() == [len(text) for text in texts]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert run(crawl, out, "sizes") == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    assert verdict_of(out).sound
    pq.write_table(pq.read_table(sizes[0]).drop_columns(["characters"]), sizes[0])
    (out / "sizes" / "stray.parquet").write_bytes(b"")
    faults = [str(fault) for fault in verdict_of(out).wrong]
    assert any(line.startswith(f"sizes/{sizes[0].name}") and "no characters" in line for line in faults), faults
    assert any(line.startswith("sizes/stray.parquet: no manifest lists it") for line in faults), faults


@pytest.mark.usefixtures("with_sizes")
def test_what_an_added_step_depends_on_redoes_it(crawl: Path, tmp_path: Path) -> None:
    """A key of its table changes its fingerprint, one of another table does not, and its input must exist."""
    prints: list[dict[str, Any]] = []
    for name, settings in (("a", []), ("b", ["pii.replacement=tag"]), ("c", ["tokenizer.vocab_size=601"])):
        plan = make_plan([str(crawl)], str(tmp_path / name), None, [*SETTINGS, *settings])
        run = Run(plan, Cluster(), Progress("silent"))
        prints.append({shard: run.fingerprints.of("sizes", shard) for shard in run.shards})
    assert prints[0] != prints[1]
    assert prints[0] == prints[2]
    with pytest.raises(StepFailed, match=r"sizes: .*filter is not done for a-.*run `curate filter` first"):
        run.run("sizes")


@pytest.mark.parametrize("unit", ["whole", "parts"])
def test_a_step_made_at_once_depends_on_every_shard(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    """A step that is not made shard by shard has another fingerprint if its run has another shard."""
    first, second = sorted(map(str, crawl.glob("*.warc.gz")))
    added = replace(STEP, unit=unit, after=("filter",))
    monkeypatch.setattr(table, "STEPS", (*table.STEPS[:1], added, *table.STEPS[1:]))
    prints = []
    for name, inputs in (("one", [first]), ("both", [first, second])):
        run = Run(make_plan(inputs, str(tmp_path / name), None, [*SETTINGS]), Cluster(), Progress("silent"))
        prints.append(run.fingerprints.of("sizes"))
    assert prints[0] != prints[1]
