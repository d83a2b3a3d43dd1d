"""Recipes: every key can be set, and every error names what exists."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from curation.errors import RecipeError
from curation.jobs.cli.main import app
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


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As editors on Windows write it."""
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL.replace("\n", "\r\n"), encoding="utf-8-sig")
    assert [name for (name, _) in load(str(path)).stages] == ["size"]


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
        ("[[stage]]\nuse = 'c4'\nname = ''\n", ["stage 1", "name = ''"]),
        ("[[stage]]\nuse = 'c4'\nname = 'a.b'\n", ["name = 'a.b'", "without dots"]),
        ('[[stage]]\nuse = "c4"\nname = "\\u001b[2J"\n', [r"name = '\x1b[2J'"]),
        (MINIMAL + "min_length = -1\n", ["stage size", "min_length = -1", "at least 0"]),
        (MINIMAL + "min_length = true\n", ["min_length = True"]),
        (MINIMAL + f"min_length = 0x{'f' * 5000}\n", ["mine.toml", "64 bits"]),
        (MINIMAL + f"min_length = {'9' * 5000}\n", ["mine.toml", "not TOML"]),
        (MINIMAL + f"min_length = {'[' * 5000}\n", ["mine.toml", "nested too deeply"]),
        ("stage = [1]\n", ["stage 1", "must be a table"]),
        (MINIMAL + "[[stage]]\nuse = '$size.min_length'\n", ["'$size.min_length'", "no such stage"]),
        ("dedup = 1\n" + MINIMAL, ["dedup = 1", "[dedup]"]),
        ("[[stage]]\nuse = ':'\n", ["':': must be"]),
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


EXTENDING = """
extends = "fineweb"

[set]
"gopher_quality.min_words" = 60
c4.min_sentences = 3

[[stage]]
use = "curation.filters.fineweb:FineWeb"
name = "again"
after = "url"

[[stage]]
use = "extract"
name = "second"
before = "language"

[dedup]
threshold = 0.8
"""


def written(folder: Path, text: str, name: str = "mine.toml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_recipe_extends_another(tmp_path: Path) -> None:
    """Only what it says differs: keys, tables, stages at their places; name and description are its own."""
    recipe, base = load(written(tmp_path, EXTENDING), ["dedup.ngram=4"]), load("fineweb")
    names = [name for name, _ in recipe.stages]
    assert names[:4] == ["url", "again", "extract", "second"]
    assert names[4:] == [name for name, _ in base.stages][2:]
    stages = dict(recipe.stages)
    assert (stages["gopher_quality"].min_words, stages["c4"].min_sentences) == (60, 3)  # type: ignore[attr-defined]
    assert (recipe.table("dedup").threshold, recipe.table("dedup").ngram) == (0.8, 4)
    assert stages["language"] == dict(base.stages)["language"]
    assert recipe.table("read") == base.table("read")
    assert (recipe.name, recipe.description) == ("mine", base.description)
    assert recipe.alarms == base.alarms


PATHS = """
[[stage]]
use = "url"
extra_domains = ["@lists/blocked.txt", "spam.example"]

[[stage]]
use = "extract"

[[stage]]
use = "language"

[[stage]]
use = "sentences"
phrases = "lists/phrases.txt"

[language.deu_Latn]
"sentences.phrases" = "lists/german.txt"

[tokens]
mix = [".=1", "../wiki=2.5", "s3://corpora/books=1"]
"""


def lists_in(folder: Path) -> Path:
    (folder / "lists").mkdir(parents=True)
    for name in ("blocked", "phrases", "german"):
        (folder / "lists" / f"{name}.txt").write_text(f"{name}.example\n")
    return folder


def test_relative_paths_are_those_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe holds absolute ones, from its file and from settings, so that it is the same wherever it is read."""
    monkeypatch.chdir(lists_in(tmp_path / "here"))
    recipe = load(written(tmp_path, PATHS), ['url.extra_urls=["@lists/blocked.txt"]'])
    lists, values = f"{tmp_path}/here/lists", recipe.resolved()
    url, _, _, sentences = values["stage"]
    assert url["extra_domains"] == [f"@{lists}/blocked.txt", "spam.example"]
    assert url["extra_urls"] == [f"@{lists}/blocked.txt"]
    assert sentences["phrases"] == f"{lists}/phrases.txt"
    assert values["language"] == {"deu_Latn": {"sentences.phrases": f"{lists}/german.txt"}}
    assert values["tokens"]["mix"] == [".=1", f"{tmp_path}/wiki=2.5", "s3://corpora/books=1"]
    monkeypatch.chdir(tmp_path)
    assert from_document(values, "run.json").fingerprint() == recipe.fingerprint()
    text = PATHS.replace("lists/", f"{lists}/").replace("../wiki", f"{tmp_path}/wiki")
    assert load(written(tmp_path, text), [f'url.extra_urls=["@{lists}/blocked.txt"]']) == recipe


def test_paths_of_a_run_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fingerprints depend on them; those that settings give are absolute, also by language."""
    monkeypatch.chdir(lists_in(tmp_path / "here"))
    values = load(written(tmp_path, PATHS)).resolved()
    values["stage"][0]["extra_domains"] = ["@lists/blocked.txt"]
    settings = [
        'url.extra_urls=["@lists/blocked.txt"]',
        "sentences.phrases=lists/german.txt",
        "language.de.sentences.phrases=lists/phrases.txt",
        "language.nl.sentences.phrases=lists/phrases.txt",
    ]
    again = from_document(values, "run.json", settings).resolved()
    lists = f"{tmp_path}/here/lists"
    assert again["stage"][0]["extra_domains"] == ["@lists/blocked.txt"]
    assert again["stage"][0]["extra_urls"] == [f"@{lists}/blocked.txt"]
    assert again["stage"][3]["phrases"] == f"{lists}/german.txt"
    own = {"sentences.phrases": f"{lists}/phrases.txt"}
    assert again["language"] == {"deu_Latn": own, "nld_Latn": own}


def test_an_extended_recipe_may_be_extended(tmp_path: Path) -> None:
    """The file is looked for next to the one that names it."""
    written(tmp_path, EXTENDING, "base.toml")
    recipe = load(written(tmp_path, 'extends = "base.toml"\nset.dedup.threshold = 0.9'))
    assert recipe.table("dedup").threshold == 0.9
    assert "again" in dict(recipe.stages)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "nope"', "nope: no such file, and the built-in recipes are"),
        ("extends = 3", "extends = 3: must be the name"),
        ('extends = "mine.toml"', "extends itself"),
        ('extends = "fineweb"\n[set]\n"c4.nope" = 1', "unknown key 'nope'"),
        ('extends = "fineweb"\n[set]\n"nope.x" = 1', "[set]: 'nope.x' = 1: no such key"),
        ('extends = "fineweb"\n[set]\nx = 1', "[set]: 'x' = 1: no such key"),
        ('extends = "fineweb"\nset = 3', "set = 3: must be a table"),
        ('extends = "fineweb"\ndedup = 3', "dedup = 3: must be a table"),
        ('extends = "fineweb"\nstage = 3', "stage = 3: must be a list of tables"),
        ('extends = "fineweb"\n[[stage]]\nuse = "c4"\nafter = "nope"', "after = 'nope': no such stage; there are url"),
        ('extends = "fineweb"\n[[stage]]\nuse = "c4"\nafter = "c4"\nbefore = "c4"', "mutually exclusive"),
        ('extends = "fineweb"\n[[stage]]\nuse = "c4"\nafter = "url"', "a second stage named 'c4'"),
        ('[set]\n"c4.x" = 1\n[[stage]]\nuse = "c4"', "set: only in a recipe with extends"),
        ('[[stage]]\nuse = "c4"\nafter = "url"', "after: only in a recipe with extends"),
    ],
)
def test_what_cannot_be_extended_is_named(tmp_path: Path, text: str, message: str) -> None:
    """One line names the file, the key, its value and what exists."""
    with pytest.raises(RecipeError) as raised:
        load(written(tmp_path, text))
    assert message in str(raised.value)
    assert "mine.toml" in str(raised.value) or "nope" in message


def test_a_module_next_to_the_recipe_is_found(tmp_path: Path) -> None:
    """A stage in a file beside the recipe needs no PYTHONPATH; a name that exists elsewhere is not replaced."""
    source = "from curation.filters.c4 import C4\nclass Mine(C4):\n    pass\n"
    (tmp_path / "stage_beside.py").write_text(source)
    (tmp_path / "json.py").write_text("raise SystemExit")
    text = '[[stage]]\nuse = "stage_beside:Mine"\n'
    program = (
        "import sys; from curation.recipes.recipe import load; load(sys.argv[1]); import json; print(sys.path[-1])"
    )
    words = [sys.executable, "-c", program, written(tmp_path, text)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path)


def test_names_too_long_for_a_file(tmp_path: Path) -> None:
    """The name of a recipe or of code that is too long for a file is an error like other names that do not exist."""
    with pytest.raises(RecipeError, match="recipe aaaa"):
        load("a" * 300)
    with pytest.raises(RecipeError, match="aaaa"):
        load(written(tmp_path, f'[[stage]]\nuse = "{"a" * 300}:Mine"\n'))


def test_a_shown_recipe_explains_its_keys() -> None:
    """recipe show has the meaning above each key, and loads as the same recipe."""
    done = CliRunner().invoke(app, ["recipe", "show", "web"])
    assert "# Only this many bytes of a longer pre-token are counted.\nmax_pretoken_bytes = 16384" in done.stdout
    shown = from_document(tomllib.loads(done.stdout), "shown")
    assert shown.resolved() == load("web").resolved()
