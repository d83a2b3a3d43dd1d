"""The dataset card: YAML that the Hub's own reader parses, in a file that is replaced unless a user edited it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from planted import edit_json, run, verdict_of, write_crawl
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.jobs.steps.plan import open_plan
from curation.jobs.steps.report.card import COLUMNS, EARLIER_CARD, MARKER, card, size_category
from curation.recipes.recipe import Recipe, load, to_toml
from curation.store.folder import Folder
from curation.store.paths import DATASET_CARD
from curation.store.schema import DOCUMENT


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("run")
    run(write_crawl(folder / "crawl"), folder / "out")
    return folder / "out"


def front_matter(text: str) -> dict:  # type: ignore[type-arg]
    """The YAML of a card."""
    _, values, _ = text.split("---\n", 2)
    found: dict = yaml.safe_load(values)  # type: ignore[type-arg]
    return found


def test_the_card_is_what_the_hub_reads(out: Path) -> None:
    """huggingface_hub parses it; languages, size and files are those of the corpus, and every column is described."""
    from huggingface_hub import DatasetCard

    text = (out / DATASET_CARD).read_text()
    data = DatasetCard(text).data
    assert data.language == ["en"]
    assert data.size_categories == ["n<1K"]
    assert data.license == "other"
    assert front_matter(text)["configs"][0]["data_files"] == [{"split": "train", "path": "corpus/*.parquet"}]
    assert [part["name"] for part in front_matter(text)["dataset_info"]["features"]] == DOCUMENT.names
    assert list(COLUMNS) == DOCUMENT.names
    assert "26 documents" in text or "25 documents" in text
    assert "near_duplicate" in text.replace("\\", "")


def test_the_card_is_in_the_manifest(out: Path) -> None:
    """For verify, an edited card is a fault."""
    assert verdict_of(out).sound
    text = (out / DATASET_CARD).read_text()
    (out / DATASET_CARD).write_text(text + "mine")
    assert verdict_of(out).wrong[0].file == DATASET_CARD
    (out / DATASET_CARD).write_text(text)


def report(out: Path) -> str:
    """Run `curate report`; returns its stderr."""
    done = CliRunner().invoke(app, ["report", str(out)])
    assert done.exit_code == 0, done.output
    return done.stderr


@pytest.fixture
def copy(out: Path, tmp_path: Path) -> Path:
    """A copy of the run, to change."""
    return Path(shutil.copytree(out, tmp_path / "out"))


@pytest.mark.parametrize("mine", ["# My corpus\n", "the card without its marker"])
def test_a_readme_of_the_user_is_kept(copy: Path, mine: str) -> None:
    """A README.md without the marker is never overwritten, and verify accepts it; once deleted, the card is written."""
    written = (copy / DATASET_CARD).read_text()
    mine = written.replace(MARKER, "") if "marker" in mine else mine
    (copy / DATASET_CARD).write_text(mine)
    assert f"{DATASET_CARD} was not written by curate" in " ".join(report(copy).split())
    assert (copy / DATASET_CARD).read_text() == mine
    assert verdict_of(copy).sound
    assert DATASET_CARD not in report(copy)
    (copy / DATASET_CARD).unlink()
    report(copy)
    assert (copy / DATASET_CARD).read_text() == written
    assert verdict_of(copy).sound


def test_a_card_of_this_project_is_replaced(copy: Path) -> None:
    """A file with the marker, such as one left by a killed report, is replaced by the next report."""
    written = (copy / DATASET_CARD).read_text()
    (copy / DATASET_CARD).write_text(f"{MARKER}\n\nold numbers\n")
    (copy / "manifests" / "report" / "all.json").unlink()
    report(copy)
    assert (copy / DATASET_CARD).read_text() == written


def test_a_deleted_card_is_written_again(copy: Path) -> None:
    """The next report writes a deleted card again, even if nothing else changed."""
    written = (copy / DATASET_CARD).read_text()
    (copy / DATASET_CARD).unlink()
    report(copy)
    assert (copy / DATASET_CARD).read_text() == written


def as_by_an_earlier_version(out: Path, text: str) -> None:
    """Move the card to where version 0.1.0 wrote it, with the manifest of that version."""
    (out / DATASET_CARD).unlink()
    (out / EARLIER_CARD).write_text(text)
    size, digest = Folder(str(out)).hash(EARLIER_CARD)

    def update(values: dict) -> None:  # type: ignore[type-arg]
        values["fingerprint"] = "of an earlier version"
        values["outputs"][-1] = {"path": EARLIER_CARD, "bytes": size, "hash": digest, "rows": 0}

    edit_json(out / "manifests" / "report" / "all.json", update)


def test_the_card_of_an_earlier_version_moves(copy: Path) -> None:
    """corpus/README.md as written by version 0.1.0 is accepted before the next report, which removes it."""
    written = (copy / DATASET_CARD).read_text()
    as_by_an_earlier_version(copy, written.replace(MARKER, ""))
    assert verdict_of(copy).sound
    report(copy)
    assert not (copy / EARLIER_CARD).exists()
    assert (copy / DATASET_CARD).read_text() == written
    assert verdict_of(copy).sound


def test_an_edited_card_of_an_earlier_version_is_kept(copy: Path) -> None:
    """corpus/README.md with a user's changes is kept, named by the report, and a fault for verify."""
    as_by_an_earlier_version(copy, "written by version 0.1.0")
    (copy / EARLIER_CARD).write_text("written by version 0.1.0, with a license")
    assert f"{EARLIER_CARD} was not written by curate" in " ".join(report(copy).split())
    assert (copy / EARLIER_CARD).exists()
    assert (copy / DATASET_CARD).exists()
    assert verdict_of(copy).wrong[0].file == EARLIER_CARD


def test_hostile_names_stay_text(out: Path) -> None:
    """A recipe's name, a reason or a language that looks like YAML or Markdown is shown as text."""
    plan = open_plan(str(out))
    stats = Folder(str(out)).read_json("report/stats.json")
    hostile = '"\n---\n# <script>alert(1)</script> | [x](javascript:1) \u202e'
    stats["recipe"] = hostile
    stats["languages"] = {hostile: {"documents": 1, "kept": 1}, "no": {"documents": 1, "kept": 1}}
    stats["stages"]["c4"]["reasons"] = {hostile: 1}
    text = card(plan, stats)
    values = front_matter(text)
    assert values["language"] == ["no"]
    assert values["pretty_name"] == hostile.replace("\u202e", "�")
    body = text.split("---\n", 2)[2]
    assert "<script>" not in body.replace("\\<", "")
    assert "\n# <" not in body


def card_of(out: Path, recipe: Recipe, **stats: object) -> str:
    """The card that the run would have with another recipe and other counts."""
    plan = replace(open_plan(str(out)), recipe=recipe)
    return card(plan, {**Folder(str(out)).read_json("report/stats.json"), **stats})


def test_only_an_unchanged_recipe_reproduces(out: Path) -> None:
    """The card claims what a built-in recipe reproduces, also with other alarms; its command names the recipe."""
    text = card_of(out, load("fineweb", ["alarms.damaged=0.5"]))
    assert "The recipe reproduces datatrove 0.10" in text
    assert "curate run a.warc.gz b.warc.gz --out DIR --recipe fineweb\n" in text


@pytest.mark.parametrize("name", ["fineweb", "mine"])
def test_a_changed_recipe_says_what_differs(out: Path, tmp_path: Path, name: str) -> None:
    """A recipe made from a built-in one, under any name, does not claim to reproduce; its command has the changes."""
    file = tmp_path / f"{name}.toml"
    file.write_text(
        to_toml(load("fineweb", ["gopher_quality.min_words=80"]).resolved()).replace('"fineweb"', f'"{name}"', 1)
    )
    text = card_of(out, load(str(file), ["tokens.packing=best_fit"])).replace("\\", "")
    assert "As `fineweb`, except:" in text
    assert "- gopher_quality.min_words: gopher_quality keeps documents with words >= 80 (was 50, stricter)" in text
    assert "The recipe reproduces" not in text
    command = """--recipe fineweb --set gopher_quality.min_words=80 --set 'tokens.packing="best_fit"'"""
    assert command in text
    again = load("fineweb", ["gopher_quality.min_words=80", 'tokens.packing="best_fit"'])
    assert again.identity() == load(str(file), ["tokens.packing=best_fit"]).identity()


def test_other_stages_need_the_recipe(out: Path) -> None:
    """If stages were added or removed, --set cannot make them: the command names a file, whose content is below it."""
    recipe = load("fineweb")
    text = card_of(out, replace(recipe, stages=recipe.stages[:-1]))
    assert "- fineweb: removed (was after c4)" in text
    assert "--recipe recipe.toml" in text


def test_the_source_is_named(out: Path) -> None:
    """Crawl, dates, archives and sites are in the card; the terms of Common Crawl only for its dumps."""
    text = card_of(out, load("fineweb"))
    assert "| crawl | not named by the archives |" in text
    assert "2 archives" in text or "`a.warc.gz`, `b.warc.gz`" in text
    assert "| most frequent sites | a.org (14), b.org (1" in text
    assert "Common Crawl" not in text
    days = {
        "2024-05-18": {"documents": 1, "kept": 1},
        "2024-05-30": {"documents": 1, "kept": 1},
        "(other)": {"documents": 1, "kept": 1},
    }
    text = card_of(out, load("fineweb"), dumps={"CC-MAIN-2024-22": {"documents": 9, "kept": 7}}, days=days)
    assert "| crawl | CC-MAIN-2024-22 (7 documents) |" in text
    assert "| crawled | 2024-05-18 to 2024-05-30 |" in text
    assert "commoncrawl.org/terms-of-use" in text


@pytest.mark.parametrize(
    ("documents", "name"),
    [(0, "n<1K"), (1000, "1K<n<10K"), (10**6 - 1, "100K<n<1M"), (10**9, "1B<n<10B"), (10**12, "n>1T")],
)
def test_size_categories_are_the_hubs(documents: int, name: str) -> None:
    """Each category begins at its lower bound."""
    assert size_category(documents) == name
