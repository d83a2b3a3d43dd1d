"""Recipe diff: every kind of difference is said in words a person reads, and in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.jobs.inspect.recipe_diff import Side, compare_sides
from curation.recipes.recipe import load, to_toml
from curation.store.folder import Folder

CHANGES = [
    ("gopher_quality.min_words=80", "gopher_quality keeps documents with words from 80 on (was 50, stricter)"),
    ("gopher_quality.min_words=20", "gopher_quality keeps documents with words from 20 on (was 50, looser)"),
    ("gopher_quality.max_words=none", "no longer removes by words (it kept documents with words up to 100,000)"),
    ("language.min_score=0.9", "language keeps documents with"),
    ("c4.curly_bracket=false", "c4 no longer removes documents of curly_bracket > 0"),
    ('language.languages=["en","de"]', "language.languages: also de"),
    ("dedup.threshold=0.8", "dedup.threshold: 0.72 → 0.8"),
    ("signals.all=true", "signals.all: false → true"),
]


@pytest.mark.parametrize(("setting", "words"), CHANGES, ids=[setting for setting, _ in CHANGES])
def test_a_changed_value_is_said_by_what_it_means(setting: str, words: str) -> None:
    """A threshold by the rule that it belongs to, a list by what came and went, the rest as key: old → new."""
    found = compare_sides(Side("a", load("fineweb")), Side("b", load("fineweb", [setting])))
    assert any(words in difference.words for difference in found), found
    assert all(difference.kind == "value" for difference in found)


def test_stages_added_removed_and_moved_are_said(tmp_path: Path) -> None:
    """With the place of each."""
    text = to_toml(load("fineweb").resolved())
    parts = text.split("\n[[stage]]\n")
    head, url, extract, language, repetition, quality, _, rest = parts
    moved = tmp_path / "moved.toml"
    moved.write_text("\n[[stage]]\n".join([head, url, extract, language, quality, repetition, rest]))
    done = CliRunner().invoke(app, ["recipe", "diff", "fineweb", str(moved)])
    lines = done.stdout.splitlines()
    assert "c4: removed (it stood after gopher_quality)" in lines
    told = next(line for line in lines if line.startswith("order of stages"))
    assert told.index("gopher_quality") < told.index("gopher_repetition") < told.index("was")
    done = CliRunner().invoke(app, ["recipe", "diff", str(moved), "fineweb"])
    assert "c4: added, after gopher_quality" in done.stdout


def run_json(folder: Path, settings: list[str], versions: dict[str, str], fingerprint: str | None = None) -> str:
    recipe = load("fineweb", settings)
    value = {"recipe": recipe.resolved(), "fingerprint": fingerprint or recipe.fingerprint(), "versions": versions}
    Folder(str(folder)).write_json("run.json", value)
    return str(folder)


def test_runs_differ_in_versions_too(tmp_path: Path) -> None:
    """The versions that each run recorded, and a fingerprint that nothing else explains."""
    left = run_json(tmp_path / "a", [], {"curation": "0.1.0", "lxml": "5.3"})
    right = run_json(tmp_path / "b", [], {"curation": "0.1.0", "lxml": "6.0", "isal": "1.7"})
    done = CliRunner().invoke(app, ["recipe", "diff", left, right])
    assert done.stdout.splitlines() == ["isal: 1.7 (was not recorded)", "lxml: 6.0 (was 5.3)"]
    other = run_json(tmp_path / "c", [], {"curation": "0.1.0", "lxml": "5.3"}, "0" * 32)
    done = CliRunner().invoke(app, ["recipe", "diff", left, other])
    assert done.stdout.startswith("fingerprint: made by other versions")


def test_another_model_is_named_by_its_hash(tmp_path: Path) -> None:
    """The file that a stage reads counts by its content."""
    found = compare_sides(Side("a", load("fineweb")), Side("b", load("fineweb", ["extract.languages=[]"])))
    (model,) = [difference for difference in found if difference.kind == "model"]
    assert model.key.startswith("extract:")
    assert model.after is None


def test_nothing_different_is_said() -> None:
    """In words, and as an empty list."""
    assert CliRunner().invoke(app, ["recipe", "diff", "fineweb", "fineweb"]).stdout == "no difference\n"
    assert json.loads(CliRunner().invoke(app, ["recipe", "diff", "fineweb", "fineweb", "--json"]).stdout) == []


def test_json_has_both_values() -> None:
    """Kind, key, before and after of each difference."""
    found = json.loads(CliRunner().invoke(app, ["recipe", "diff", "fineweb", "web", "--json"]).stdout)
    extractor = next(entry for entry in found if entry["key"] == "extract.extractor")
    assert (extractor["kind"], extractor["before"], extractor["after"]) == ("value", "trafilatura", "resiliparse")
