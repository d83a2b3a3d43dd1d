"""How a recipe differs from the built-in one: what of it is shown, where, and how much of it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import lxml.html
import pytest
from planted import run, write_crawl
from rich.console import Console

from curation.jobs.steps.plan import open_plan
from curation.jobs.steps.report.likeness import likeness
from curation.jobs.steps.report.summary import show_summary
from curation.recipes.recipe import from_document, load
from curation.store.folder import Folder
from curation.store.paths import STATS


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ([], []),
        (["alarms.dedup=[0.0, 0.5]"], []),
        (["c4.curly_bracket=false"], ["c4.curly_bracket: true → false"]),
        (["tokenizer.vocab_size=2048"], ["tokenizer.vocab_size: 100,000 → 2,048"]),
        (["gopher_quality.min_words=none"], ["gopher_quality.min_words: 50 → none"]),
        (
            [
                "dedup.ngram=6",
                "dedup.seed=2",
                "dedup.exact=false",
                "dedup.url=true",
                "dedup.verify=false",
                "pii.names=true",
            ],
            [
                "dedup.ngram: 5 → 6",
                "dedup.seed: 1 → 2",
                "dedup.verify: true → false",
                "dedup.exact: true → false",
                "2 more",
            ],
        ),
    ],
)
def test_the_first_changes_and_their_number_are_shown(settings: list[str], shown: list[str]) -> None:
    """A key with both values, up to four; what does not change the results is left out."""
    like = likeness(load("fineweb", settings))
    assert like is not None
    assert (like.base, like.shown()) == ("fineweb", shown)


def test_a_long_value_is_cut() -> None:
    """So that the line stays short."""
    like = likeness(load("fineweb", [f"gopher_quality.stop_words={[f'word{number}' for number in range(99)]}"]))
    assert like is not None
    (shown,) = like.shown()
    assert (len(shown), shown[:27], shown[-1]) == (80, "gopher_quality.stop_words: ", "…")


def test_other_stages_are_named(tmp_path: Path) -> None:
    """A recipe that extends another has changes in its stages, and one of nothing known has none."""
    (tmp_path / "mine.toml").write_text('extends = "fineweb"\n[[stage]]\nuse = "paragraphs"\nafter = "c4"\n')
    like = likeness(load(str(tmp_path / "mine.toml")))
    assert like is not None
    assert like.shown() == ["paragraphs: added, after c4"]
    assert likeness(from_document({"name": "own", "stage": [{"use": "extract"}]}, "own")) is None


def test_a_changed_recipe_is_told_at_the_end_and_on_the_page(tmp_path: Path) -> None:
    """In one line each, the page above its numbers."""
    (tmp_path / "crawl").mkdir()
    run(write_crawl(tmp_path / "crawl"), tmp_path / "out", options=["--steps", "filter,report"])
    page = lxml.html.fromstring((tmp_path / "out" / "report" / "index.html").read_text())
    plan, shown = open_plan(str(tmp_path / "out")), io.StringIO()
    stats = Folder(str(tmp_path / "out")).read_json(STATS)
    show_summary(plan, stats, [], Console(file=shown, width=80))
    like = likeness(plan.recipe)
    assert like is not None
    told = f"changed from fineweb: {'; '.join(like.shown())}"
    assert told in shown.getvalue().splitlines()
    (line,) = page.xpath("//header/p[@data-changes]")
    assert line.get("data-changes") == str(len(like.changes))
    assert told in line.text_content().replace("Changed", "changed")
    unchanged = replace(plan, recipe=load("fineweb"))
    show_summary(unchanged, stats, [], Console(file=shown))
    assert shown.getvalue().count("changed from") == 1
