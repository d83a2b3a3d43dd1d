"""README.md and the pages in docs/ match the code: commands, rules, recipes and the example filter."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from stages import documents
from typer.main import get_command

from curation.dedup.survivor_rules import RULES
from curation.jobs.cli.main import app
from curation.jobs.cli.recipes import recipes
from curation.recipes.recipe import TABLES, built_in, load

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_names_every_command() -> None:
    """The table of commands has exactly the commands of --help, with their required options."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `curate ([a-z-]+)", readme, re.MULTILINE))
    assert named == set(get_command(app).commands)
    for name, command in get_command(app).commands.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| `curate {name}"))
        for parameter in getattr(command, "params", []):
            if parameter.required and parameter.param_type_name == "option":
                assert parameter.opts[0] in row, f"curate {name} needs {parameter.opts[0]}"
    assert {command.name for command in recipes.registered_commands} == {"list", "show", "diff"}


def test_the_page_of_filters_has_every_rule() -> None:
    """docs/filters.md lists the rules of `fineweb` and those that only `web` has, with thresholds and reasons."""
    page = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    stages = [*load("fineweb").stages, *(pair for pair in load("web").stages if pair[0] == "paragraphs")]
    expected = {(str(rule), f"{name}.{rule.reason}") for name, stage in stages for rule in stage.rules}  # type: ignore[attr-defined]
    documented = set(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", page, re.MULTILINE))
    assert documented == expected


def test_the_page_of_published_recipes_has_every_rule() -> None:
    """docs/published-recipes.md lists the rules of its stages with thresholds and reasons, and every such recipe."""
    page = (ROOT / "docs" / "published-recipes.md").read_text(encoding="utf-8")
    stages = dict([*load("dolma3").stages, *load("dclm").stages])
    own = {"dclm_quality", "dclm_repetition", "line_edits", "sentences"}
    expected = {(str(rule), f"{name}.{rule.reason}") for name in own for rule in stages[name].rules}  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", page, re.MULTILINE)) == expected
    assert all(f"## `{name}`" in page for name in built_in() if name not in ("fineweb", "fineweb-2", "web"))


def test_the_page_of_deduplication_has_every_survivor_rule() -> None:
    """The table in docs/deduplication.md lists exactly the named rules."""
    page = (ROOT / "docs" / "deduplication.md").read_text(encoding="utf-8")
    table = page.split("| rule | the document kept |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE) == list(RULES)


def test_the_page_of_recipes_names_tables_and_stages() -> None:
    """Every table, built-in stage and built-in recipe is named in docs/recipes.md."""
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for name in (*TABLES, *built_in(), *(stage for stage, _ in load("fineweb").stages)):
        assert f"`{name}`" in page


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_recipe_in_the_docs_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example recipe is valid, except that its custom module does not exist."""
    text, extending = blocks("toml", "docs/recipes.md")
    (tmp_path / "mine.toml").write_text(text.replace("my_package.my_module:MyFilter", "stages:Length"))
    (tmp_path / "extending.toml").write_text(extending.replace("my_module:MyFilter", "stages:Length"))
    names = [name for name, _ in load(str(tmp_path / "extending.toml")).stages]
    assert names[names.index("gopher_quality") + 1] == "stages"
    recipe = load(str(tmp_path / "mine.toml"))
    assert [name for name, _ in recipe.stages] == ["url", "extract", "language", "gopher_quality", "mine"]
    assert dict(recipe.stages)["extract"].languages == ("de",)  # type: ignore[attr-defined]


def test_the_filter_in_contributing_works(tmp_path: Path) -> None:
    """The example of a new filter works as written."""
    source = blocks("python", "CONTRIBUTING.md")[0]
    path = tmp_path / "questions.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("questions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["questions"] = module
    spec.loader.exec_module(module)
    outcome = module.Questions()(documents("Why? How?\nWhen?", "Because."))
    assert outcome.reasons.to_pylist() == ["max_questions", None]
