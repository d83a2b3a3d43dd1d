"""Recipes: every key can be set, and every error names what exists."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from curation.errors import RecipeError
from curation.recipes import recipe as recipe_module
from curation.recipes.recipe import built_in, from_document, import_class, load, load_recipe, to_toml

MINIMAL = '[[stage]]\nuse = "stages:Length"\nname = "size"\n'


def recipe_file(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", built_in())
def test_built_in_recipes_load_and_survive_toml(name: str) -> None:
    """A built-in recipe printed as TOML with all defaults is the same recipe when read back."""
    recipe = load(name)
    again = from_document(tomllib.loads(to_toml(recipe.resolved())), "again")
    assert again == recipe
    assert again.fingerprint() == recipe.fingerprint()


def test_statuses_of_the_built_in_recipes() -> None:
    """`web` reads pages of success only, `fineweb` those of any status, and --set takes one status or several."""
    assert load("web").table("read").status == "2xx"
    assert load("fineweb").table("read").status == "all"
    for text, status in (("404", 404), ("5xx", "5xx"), ('["2xx", 404]', ("2xx", 404))):
        assert load("web", [f"read.status={text}"]).table("read").status == status


def test_stages_may_come_from_any_module(tmp_path: Path) -> None:
    """`use = "module:Class"` takes a stage from any module, under the given name, and its keys can be set."""
    recipe = load(recipe_file(tmp_path, MINIMAL), ["size.min_length=5", "size.max_length=7"])
    name, stage = recipe.stages[0]
    assert (name, stage.min_length, stage.max_length) == ("size", 5, 7.0)  # type: ignore[attr-defined]


def test_set_values_are_toml_or_text() -> None:
    """Numbers, lists, booleans and bare text keep their types; "none" disables a rule."""
    recipe = load(
        "fineweb",
        [
            "language.languages=['de','fr']",
            "extract.extractor=resiliparse",
            "gopher_quality.min_words=none",
            "dedup.threshold=0.8",
        ],
    )
    stages = dict(recipe.stages)
    assert stages["language"].languages == ("de", "fr")  # type: ignore[attr-defined]
    assert stages["extract"].extractor == "resiliparse"  # type: ignore[attr-defined]
    assert stages["gopher_quality"].min_words is None  # type: ignore[attr-defined]
    assert recipe.table("dedup").threshold == 0.8


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("language.min_scroe=1", ["stage language", "min_scroe", "min_score"]),
        ("langauge.min_score=1", ["langauge", "language", "dedup"]),
        ("language.min_score=high", ["min_score", "'high'", "a number"]),
        ("language.languages=en", ["languages", "'en'", "a list"]),
        ("tokens.sequence_length=1.5", ["[tokens]", "sequence_length", "1.5", "a whole number"]),
        ("dedup.threshold=7", ["[dedup]", "threshold", "7"]),
        ("extract.favor=speed", ["favor", "'speed'", "precision"]),
        ("min_score=1", ["table.key=value"]),
        ("language.use=x", ["language"]),
        ("tokens.seed=0x" + "f" * 5000, ["[tokens]", "seed", "a whole number"]),
        ("tokens.seed=" + "[" * 5000, ["[tokens]", "seed", "a whole number"]),
        ("tokens.seed=1\nrows=2", ["[tokens]", r"'1\nrows=2'", "a whole number"]),
        ("language.a\x1b[1m\nb=1", [r"a\x1b[1m\nb"]),
        ("language.model=" + "x" * 5000, ["stage language", "model", "File name too long"]),
        ("extract.model=" + "x" * 5000, ["stage extract", "model"]),
    ],
)
def test_errors_name_a_bad_setting(setting: str, said: list[str]) -> None:
    """The error names the table or stage, the key, the value and what is allowed."""
    with pytest.raises(RecipeError) as error:
        load("fineweb", [setting])
    for part in said:
        assert part in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[stage]\n", ["mine.toml", "not TOML"]),
        ("name = 'x'\n", ["no [[stage]]"]),
        (MINIMAL + "[dedupe]\n", ["unknown table 'dedupe'", "dedup"]),
        ("[[stage]]\nuse = 'gopher'\n", ["'gopher'", "gopher_quality"]),
        ("[[stage]]\nuse = 'stages:Nothing'\n", ["cannot import stages:Nothing"]),
        ("[[stage]]\nuse = 'no.such:Thing'\n", ["cannot import no.such:Thing"]),
        ("[[stage]]\nmin = 1\n", ["stage 1", "needs use"]),
        (MINIMAL + MINIMAL, ["second stage named 'size'"]),
        (MINIMAL + "min_length = -1\n", ["stage size", "min_length = -1", "at least 0"]),
        (MINIMAL + "min_length = true\n", ["min_length = True"]),
        (MINIMAL + f"min_length = 0x{'f' * 5000}\n", ["mine.toml", "64 bits"]),
        (MINIMAL + f"min_length = {'9' * 5000}\n", ["mine.toml", "not TOML"]),
        (MINIMAL + f"min_length = {'[' * 5000}\n", ["mine.toml", "nested too deeply"]),
        ("stage = [1]\n", ["stage 1", "must be a table"]),
        (MINIMAL + "[[stage]]\nuse = '$size.min_length'\n", ["'$size.min_length'", "no such stage"]),
        ("dedup = 1\n" + MINIMAL, ["dedup = 1", "[dedup]"]),
        ("[[stage]]\nuse = ':'\n", ["cannot import :"]),
        ("[[stage]]\nuse = 'os:path'\n", ["os:path is no class"]),
        ('[[stage]]\nuse = "a\\nb:C"\n', [r"cannot import a\nb:C"]),
    ],
)
def test_errors_name_what_is_wrong_in_a_file(tmp_path: Path, text: str, said: list[str]) -> None:
    """The error for an invalid recipe names file, stage or table, key, value and what exists."""
    with pytest.raises(RecipeError) as error:
        load(recipe_file(tmp_path, text))
    for part in said:
        assert part in str(error.value)


def test_an_unknown_recipe_lists_what_exists() -> None:
    """The error for a name that is neither built in nor a file lists the built-in names."""
    with pytest.raises(RecipeError, match="fineweb"):
        load("finweb")


def test_a_reference_has_the_value_of_its_key() -> None:
    """A stage that refers to the languages of another has them after --set too; an invalid reference is an error."""
    stages = dict(load("fineweb", ["language.languages=['de']"]).stages)
    assert stages["extract"].languages == ("de",)  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match=r"language\.tongues"):
        load("fineweb", ["extract.languages=$language.tongues"])


def test_the_fingerprint_follows_every_parameter() -> None:
    """Changing any key of any stage or table changes the fingerprint; loading the recipe again does not."""
    settings = ["gopher_quality.min_words=51", "dedup.threshold=0.7", "tokenizer.vocab_size=9000", "tokens.seed=3"]
    prints = {load("fineweb", chosen).fingerprint() for chosen in ([], *([one] for one in settings))}
    assert len(prints) == 5
    assert load("fineweb").fingerprint() == load("fineweb").fingerprint()


def test_moving_or_renaming_a_class_does_not_change_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages and tables are identified by their names in the recipe, so finished runs survive moved code."""
    names = ("url", "extract", "fineweb")
    document = {"stage": [*({"use": name} for name in names), {"use": "fineweb", "name": "again"}]}
    before = from_document(document, "before")
    fingerprint, stages = before.fingerprint(), before.resolved()["stage"]
    moved = ModuleType("moved")
    monkeypatch.setitem(sys.modules, "moved", moved)
    for table in (recipe_module.STAGES, recipe_module.TABLES):
        for name, path in list(table.items()):
            body = {"__module__": "moved", "__qualname__": f"Renamed{name}", "__slots__": ()}
            kind = dataclass(frozen=True)(type(f"Renamed{name}", (import_class(path),), body))
            setattr(moved, f"Renamed{name}", kind)
            monkeypatch.setitem(table, name, f"moved:Renamed{name}")
    after = from_document(document, "after")
    assert type(after.stages[0][1]).__name__ == "Renamedurl"
    assert type(after.table("pii")).__name__ == "Renamedpii"
    assert after.fingerprint() == fingerprint
    assert after.resolved()["stage"] == stages


def test_settings_as_python_values(tmp_path: Path) -> None:
    """Values of every type are preserved, None disables a rule, and a file may be a Path."""
    settings = {
        "language.languages": ["de", "fr"],
        "gopher_quality.min_words": None,
        "gopher_quality.max_hash_ratio": 0.25,
        "extract.fast": True,
        "dedup.survivor": 'best:"x"',
    }
    recipe = load_recipe("fineweb", settings)
    stages = dict(recipe.stages)
    assert stages["language"].languages == ("de", "fr")  # type: ignore[attr-defined]
    assert stages["gopher_quality"].min_words is None  # type: ignore[attr-defined]
    assert stages["gopher_quality"].max_hash_ratio == 0.25  # type: ignore[attr-defined]
    assert stages["extract"].fast is True  # type: ignore[attr-defined]
    assert recipe.table("dedup").survivor == 'best:"x"'
    assert load_recipe("fineweb") == load("fineweb")
    assert load_recipe(Path(recipe_file(tmp_path, MINIMAL))).stages[0][0] == "size"
    with pytest.raises(RecipeError, match="unknown key 'min_wordz'"):
        load_recipe("fineweb", {"gopher_quality.min_wordz": 3})
