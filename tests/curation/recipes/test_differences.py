"""Recipe diff reports every kind of difference in plain language and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.recipes.differences import Side, compare_sides
from curation.recipes.recipe import load, to_toml
from curation.store.folder import Folder

CHANGES = [
    ("gopher_quality.min_words=80", "gopher_quality keeps documents with words >= 80 (was 50, stricter)"),
    ("gopher_quality.min_words=20", "gopher_quality keeps documents with words >= 20 (was 50, looser)"),
    ("gopher_quality.max_words=none", "no longer removes by words (it kept documents with words <= 100,000)"),
    ("language.min_score=0.9", "language keeps documents with"),
    ("c4.curly_bracket=false", "c4 no longer removes documents with curly_bracket > 0"),
    ('language.languages=["en","de"]', "language.languages: added de"),
    ("dedup.threshold=0.8", "dedup.threshold: 0.72 → 0.8"),
    ("signals.all=true", "signals.all: false → true"),
]


@pytest.mark.parametrize(("setting", "text"), CHANGES, ids=[setting for setting, _ in CHANGES])
def test_a_changed_value_is_described_by_its_meaning(setting: str, text: str) -> None:
    """A threshold is described by its rule, a list by what was added and removed, other keys as key: old → new."""
    differences = compare_sides(Side("a", load("fineweb")), Side("b", load("fineweb", [setting])))
    assert any(text in difference.text for difference in differences), differences
    assert all(difference.kind == "value" for difference in differences)


def test_a_value_of_one_language_is_compared_with_the_one_that_held_for_it() -> None:
    """Where one side has no value for a language, the other is compared with the value of all languages or the file."""
    languages = 'language.languages=["en","de"]'
    own = [
        "language.de.gopher_quality.min_words=80",
        "language.de.gopher_quality.max_words=none",
        "language.de.c4.curly_bracket=false",
        'language.de.gopher_quality.stop_words=["der"]',
    ]
    plain, changed = Side("a", load("fineweb")), Side("b", load("fineweb", [languages, *own]))
    assert [each.text.removeprefix("language.deu_Latn.") for each in compare_sides(plain, changed)] == [
        "extract.languages: added de",
        "language.languages: added de",
        "gopher_quality.min_words: gopher_quality keeps documents with words >= 80 (was 50, stricter)",
        "gopher_quality.max_words: gopher_quality no longer removes by words (it kept documents with words <= 100,000)",
        "gopher_quality.stop_words: removed the, be, to, of, and, that, have, with; added der",
        "c4.curly_bracket: c4 no longer removes documents with curly_bracket > 0",
    ]
    assert len(compare_sides(changed, plain)) == 6
    from_file = Side("c", load("fineweb-2", ["language.languages=['deu']"]))
    lower = Side(
        "d", load("fineweb-2", ["language.languages=['deu']", "language.de.gopher_quality.min_alpha_words=0.1"])
    )
    assert [each.before for each in compare_sides(from_file, lower)] == [
        load("fineweb-2").languages.of("deu_Latn")["gopher_quality"]["min_alpha_words"]
    ]


def test_stages_added_removed_and_moved_are_reported(tmp_path: Path) -> None:
    """Stages that were added, removed or moved are reported with their position."""
    text = to_toml(load("fineweb").resolved())
    parts = text.split("\n[[stage]]\n")
    head, url, extract, language, repetition, quality, _, rest = parts
    moved = tmp_path / "moved.toml"
    moved.write_text("\n[[stage]]\n".join([head, url, extract, language, quality, repetition, rest]))
    done = CliRunner().invoke(app, ["recipe", "diff", "fineweb", str(moved)])
    lines = done.stdout.splitlines()
    assert "c4: removed (was after gopher_quality)" in lines
    order = next(line for line in lines if line.startswith("order of stages"))
    assert order.index("gopher_quality") < order.index("gopher_repetition") < order.index("was")
    done = CliRunner().invoke(app, ["recipe", "diff", str(moved), "fineweb"])
    assert "c4: added, after gopher_quality" in done.stdout


def run_json(folder: Path, settings: list[str], versions: dict[str, str], fingerprint: str | None = None) -> str:
    recipe = load("fineweb", settings)
    value = {"recipe": recipe.resolved(), "fingerprint": fingerprint or recipe.fingerprint(), "versions": versions}
    Folder(str(folder)).write_json("run.json", value)
    return str(folder)


def test_runs_differ_in_versions_too(tmp_path: Path) -> None:
    """Differences in recorded versions are reported, and a fingerprint difference that nothing else explains."""
    left = run_json(tmp_path / "a", [], {"curation": "0.1.0", "lxml": "5.3"})
    right = run_json(tmp_path / "b", [], {"curation": "0.1.0", "lxml": "6.0", "isal": "1.7"})
    done = CliRunner().invoke(app, ["recipe", "diff", left, right])
    assert done.stdout.splitlines() == ["isal: 1.7 (was not recorded)", "lxml: 6.0 (was 5.3)"]
    other = run_json(tmp_path / "c", [], {"curation": "0.1.0", "lxml": "5.3"}, "0" * 32)
    done = CliRunner().invoke(app, ["recipe", "diff", left, other])
    assert done.stdout.startswith("fingerprint: same keys, but other versions")


def test_another_model_is_named_by_its_hash(tmp_path: Path) -> None:
    """A file that a stage reads is compared by its content."""
    differences = compare_sides(Side("a", load("fineweb")), Side("b", load("fineweb", ["extract.languages=[]"])))
    (model,) = [difference for difference in differences if difference.kind == "model"]
    assert model.key.startswith("extract:")
    assert model.after is None


def test_equal_recipes_have_no_difference() -> None:
    """Equal recipes give "no difference", and an empty list as JSON."""
    assert CliRunner().invoke(app, ["recipe", "diff", "fineweb", "fineweb"]).stdout == "no difference\n"
    assert json.loads(CliRunner().invoke(app, ["recipe", "diff", "fineweb", "fineweb", "--json"]).stdout) == []


def test_json_has_both_values() -> None:
    """JSON has kind, key, before and after of each difference."""
    differences = json.loads(CliRunner().invoke(app, ["recipe", "diff", "fineweb", "web", "--json"]).stdout)
    extractor = next(entry for entry in differences if entry["key"] == "extract.extractor")
    assert (extractor["kind"], extractor["before"], extractor["after"]) == ("value", "trafilatura", "blocks")
