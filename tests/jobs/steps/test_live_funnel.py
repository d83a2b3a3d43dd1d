"""The live view: the funnel fills as manifests are written, and equals the final table."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from archives import page, prose, response, write_archive
from rich.console import Console

from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.live_funnel import LiveFunnel
from curation.jobs.steps.plan import Plan, make_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.jobs.steps.table import step_named
from curation.report.terminal import live_table
from curation.running.cluster import Cluster
from curation.store.manifest import manifest_path

SETTINGS = ["extract.extractor=resiliparse"]


def run_filter(plan: Plan) -> Run:
    run = Run(plan, Cluster(), Progress("silent"))
    run.run("filter")
    return run


def funnel_of(plan: Plan) -> LiveFunnel:
    """The funnel of a filter step that has begun."""
    funnel = LiveFunnel(plan.folder)
    funnel.begin(step_named("filter"), Fingerprints(plan))
    return funnel


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two archives to filter, one page of which is too short."""
    for name in ("a", "b"):
        pages = [response(f"https://{name}.org/{seed}", page("good", *prose(seed))) for seed in range(3)]
        thin = response(f"https://{name}.org/thin", page("thin", "The shop is closed and nobody knows for how long."))
        write_archive(tmp_path / f"{name}.warc.gz", [*pages, thin])
    made = make_plan([str(tmp_path / "*.warc.gz")], str(tmp_path / "out"), None, SETTINGS)
    made.write([])
    return made


def test_the_funnel_fills_as_shards_finish(plan: Plan) -> None:
    """Before a shard is done there are no rows; each manifest adds its documents exactly once."""
    following = funnel_of(plan)
    assert following.rows() == []
    run_filter(plan)
    second = plan.folder.read(manifest_path("filter", plan.inputs[1].shard))
    plan.folder.remove(manifest_path("filter", plan.inputs[1].shard))
    following = funnel_of(plan)
    assert [(row.stage, row.entered) for row in following.rows()][:2] == [("read", 4), ("url", 4)]
    plan.folder.write(manifest_path("filter", plan.inputs[1].shard), second)
    rows = {row.stage: row for row in following.rows(now=float("inf"))}
    assert rows["url"].entered == 8
    assert rows["fineweb"].left == 6
    assert following.rows(now=float("inf")) == list(rows.values())
    removed = [row for row in rows.values() if row.stage != "read" and row.removed]
    assert sum(row.removed for row in removed) == 2


def test_shards_of_another_recipe_do_not_count(plan: Plan) -> None:
    """Manifests of an earlier recipe in the folder are not part of the funnel."""
    run_filter(plan)
    paths = [str(source.path) for source in plan.inputs]
    other = make_plan(paths, plan.folder.url, None, [*SETTINGS, "language.min_score=0.9"], update=True)
    assert funnel_of(other).rows() == []


def test_the_live_view_shows_the_funnel_and_ends_with_the_bar(plan: Plan) -> None:
    """On a terminal the table of stages is above the bar while the step runs, and disappears afterwards."""
    progress = Progress("live")
    shown = io.StringIO()
    progress._console = Console(file=shown, force_terminal=True, width=120, height=40)
    run_filter(plan)
    progress.follow(funnel_of(plan).rows)
    with progress.step("corpus", 2) as step:
        step.advance(4, 4)
        until = time.monotonic() + 60
        while "gopher_quality" not in shown.getvalue() and time.monotonic() < until:
            time.sleep(0.05)
    text = shown.getvalue()
    assert text.index("gopher_quality") < text.rindex("corpus")
    (reason,) = [reason.name for row in funnel_of(plan).rows() for reason in row.reasons]
    assert reason in text
    assert "gopher_quality" not in text[text.rindex("corpus") :]


def test_an_error_of_the_storage_only_hides_the_table(plan: Plan) -> None:
    """An error of the storage during an update does not stop the run."""

    def broken() -> list[object]:
        raise OSError("no route")

    progress = Progress("live")
    progress._console = Console(file=io.StringIO(), force_terminal=True)
    progress.follow(broken)  # type: ignore[arg-type]
    with progress.step("filter", 1) as step:
        step.advance(1, 1)
    assert step.done == 1


def test_reasons_cannot_write_to_the_terminal(plan: Plan) -> None:
    """A reason or stage with an escape sequence or console markup is shown as text."""
    from curation.report.funnel import Reason, Row

    row = Row("[red]x", 2, 1, 0, None, (Reason("a\x1b[2J[bold]b\u202e", 1),))
    shown = io.StringIO()
    Console(file=shown, force_terminal=False, width=120).print(live_table([row]))
    assert "\x1b" not in shown.getvalue()
    assert "\u202e" not in shown.getvalue()
    assert "[red]x" in shown.getvalue()
    assert "[bold]b" in shown.getvalue()
