"""Parameters of stages by language in a recipe."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from curation.errors import NotTrusted, RecipeError
from curation.language import identify
from curation.recipes.differences import Side, compare_sides
from curation.recipes.language_values import built_in_file
from curation.recipes.recipe import Recipe, from_document, load, to_toml

BASE = """
[[stage]]
use = "language"
languages = ["en", "de"]
[[stage]]
use = "gopher_quality"
min_words = 20
"""


def recipe(folder: Path, more: str, *settings: str) -> Recipe:
    file = folder / "mine.toml"
    file.write_text(BASE + more)
    return load(str(file), settings)


def quality(chosen: Recipe, language: str) -> Any:
    return dict(chosen.stages_of(language))["gopher_quality"]


@pytest.mark.parametrize("name", ["de", "deu", "deu_Latn"])
def test_a_language_has_values_of_its_own(name: str, tmp_path: Path) -> None:
    """A table for a language, however it is named, replaces the values that it gives, for that language only."""
    chosen = recipe(tmp_path, f"[language.{name}]\ngopher_quality.min_words = 7\ngopher_quality.stop_words = ['der']")
    assert (quality(chosen, "de").min_words, quality(chosen, "de").stop_words) == (7, ("der",))
    assert quality(chosen, "deu_Latn").min_words == 7
    assert quality(chosen, "en").min_words == 20
    assert quality(chosen, "de").max_words == quality(chosen, "en").max_words


def test_names_of_one_language_are_one_table(tmp_path: Path) -> None:
    """--set and a recipe that extends another add to a language's table, whatever name each gives to the language."""
    more = "[language.de]\ngopher_quality.min_words = 7\ngopher_quality.max_words = 70"
    chosen = recipe(tmp_path, more, "language.deu_Latn.gopher_quality.max_words=80")
    assert (quality(chosen, "de").min_words, quality(chosen, "de").max_words) == (7, 80)
    above = tmp_path / "above.toml"
    above.write_text('extends = "mine.toml"\n[language.deu]\ngopher_quality.max_words = 90')
    assert (quality(load(str(above)), "de").min_words, quality(load(str(above)), "de").max_words) == (7, 90)


def test_a_language_that_the_model_does_not_know(tmp_path: Path) -> None:
    """The error suggests close languages, by code or English name, instead of listing all."""
    with pytest.raises(RecipeError) as caught:
        recipe(tmp_path, "", 'language.languages=["en", "Portugese"]')
    assert "'Portugese': must be a language that the model knows, such as pt (Portuguese)" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_the_order_of_precedence(tmp_path: Path) -> None:
    """A language's table comes before the file, the file before [language_defaults], those before the stage."""
    file = tmp_path / "values.toml"
    file.write_text(
        "[de]\ngopher_quality.min_words = 5\ngopher_quality.max_words = 50\n[fr]\ngopher_quality.min_words = 6"
    )
    more = f"""
    [language_defaults]
    file = "{file}"
    gopher_quality.min_words = 4
    gopher_quality.max_words = 40
    gopher_quality.max_hash_ratio = 0.4
    [language.de]
    gopher_quality.min_words = 3
    """
    chosen = recipe(tmp_path, more)
    german, english = quality(chosen, "de"), quality(chosen, "en")
    assert (german.min_words, german.max_words, german.max_hash_ratio) == (3, 50, 0.4)
    assert (english.min_words, english.max_words) == (4, 40)
    assert quality(chosen, "fr").min_words == 6


def test_a_file_of_lines_is_the_same(tmp_path: Path) -> None:
    """JSON Lines, compressed or not, give the same values as TOML."""
    line = json.dumps({"language": "de", "values": {"gopher_quality": {"min_words": 9}}}) + "\n"
    (tmp_path / "a.jsonl").write_text(line)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert quality(recipe(tmp_path, f'[language_defaults]\nfile = "{tmp_path / name}"'), "de").min_words == 9


def test_settings_reach_a_language(tmp_path: Path) -> None:
    """--set language.deu_Latn.stage.key changes a value of a language, and language_defaults.stage.key all."""
    chosen = recipe(
        tmp_path, "", "language.de.gopher_quality.min_words=8", "language_defaults.gopher_quality.max_words=90"
    )
    assert quality(chosen, "de").min_words == 8
    assert quality(chosen, "en").max_words == quality(chosen, "de").max_words == 90


def test_a_recipe_that_is_shown_loads_again(tmp_path: Path) -> None:
    """The resolved recipe, as TOML and as in run.json, gives the same stages for every language and fingerprint."""
    chosen = recipe(tmp_path, "[language.de]\ngopher_quality.min_words = 7\nlanguage.min_score = 0.8")
    file = tmp_path / "again.toml"
    file.write_text(to_toml(chosen.resolved()))
    document = json.loads(json.dumps(chosen.resolved()))
    for again in (load(str(file)), from_document(document, "run.json", trusted=False)):
        assert again.fingerprint() == chosen.fingerprint()
        assert again.stages_of("de") == chosen.stages_of("de")


def test_a_recipe_that_extends_another_adds_languages(tmp_path: Path) -> None:
    """Values by language of a recipe that extends another come on top of those, key by key."""
    (tmp_path / "base.toml").write_text(
        BASE + "[language.de]\ngopher_quality.min_words = 7\ngopher_quality.max_words = 70"
    )
    top = tmp_path / "top.toml"
    top.write_text(
        'extends = "base.toml"\n[language.de]\ngopher_quality.min_words = 8\n[language.fr]\n'
        "gopher_quality.min_words = 9"
    )
    chosen = load(str(top))
    assert (quality(chosen, "de").min_words, quality(chosen, "de").max_words) == (8, 70)
    assert quality(chosen, "fr").min_words == 9


def test_other_recipes_have_the_fingerprint_they_had() -> None:
    """Values by language, labels with scripts and the scope of deduplication are no part of a recipe without them."""
    identity = load("fineweb").identity()
    stages = dict(identity["stages"])
    assert "language_defaults" not in stages
    assert "labels" not in stages["language"]["parameters"]
    assert "scope" not in identity["tables"]["dedup"]["parameters"]
    changed = load("fineweb", ["language.labels=script", "dedup.scope=language"]).identity()
    assert dict(changed["stages"])["language"]["parameters"]["labels"] == "script"
    assert changed["tables"]["dedup"]["parameters"]["scope"] == "language"


def test_the_fingerprint_follows_values_by_language(tmp_path: Path) -> None:
    """Another value for one language is another fingerprint."""
    prints = {recipe(tmp_path, f"[language.de]\ngopher_quality.min_words = {count}").fingerprint() for count in (7, 8)}
    assert len({*prints, recipe(tmp_path, "").fingerprint()}) == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[language.klingon]\ngopher_quality.min_words = 1", r"\[language.klingon\]: no such language; give a code"),
        (
            "[language.de]\nc4.min_sentences = 1",
            r"\[language.deu?_?L?a?t?n?\]: 'c4': no such stage; there are language",
        ),
        ("[language.de]\ngopher_quality.min_word = 1", "unknown key 'min_word'"),
        ("[language.de]\ngopher_quality.min_words = -1", "min_words = -1: must be a whole number"),
        ("[language.de]\nlanguage.markdown = true", "only min_score can differ by language"),
        ("[language.german]\nc4.min_sentences = 1", r"no such language; .*; close ones are .*deu_Latn \(German\)"),
        (
            "[language.de]\ngopher_quality.min_words = 1\n[language.deu_Latn]\ngopher_quality.min_words = 2",
            r"\[language.de\] and \[language.deu_Latn\] are the same language, deu_Latn: write one table",
        ),
        (
            "[language.de]\ngopher_quality = 5",
            r"\[language.de\]: gopher_quality = 5: must name a stage and its parameter, such as gopher_q",
        ),
        (
            "[language_defaults]\nmin_words = 5",
            r"\[language_defaults\]: min_words = 5: must name a stage and its parameter",
        ),
        ("[language]\nde = 3", "language.de = 3: must be a table"),
        ("[language_defaults]\nfile = 3", "file = 3: must be the name of a file"),
        ("[language_defaults]\nfile = 'nowhere.toml'", "no such file; those that come with the package are fineweb-2"),
        ("[language_defaults]\nc4.min_sentences = 1", "'c4': no such stage"),
    ],
)
def test_errors_name_the_language_and_what_exists(more: str, message: str, tmp_path: Path) -> None:
    """An unknown language, stage, key, value or file is an error that says where it is and what there is."""
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path, more)


def test_a_file_of_another_form_is_an_error(tmp_path: Path) -> None:
    """A file that is not TOML or JSON Lines with languages and values is named with its line."""
    file = tmp_path / "values.jsonl"
    for content, message in (
        ('{"language": "de"}\n', "line 1: must have a language and values"),
        ("{", "values.jsonl"),
        ('{"language": "de", "values": {}}\n{"language": "deu", "values": {}}', "line 2: a line before has values"),
    ):
        file.write_text(content)
        with pytest.raises(RecipeError, match=message):
            recipe(tmp_path, f'[language_defaults]\nfile = "{file}"')


def test_values_need_an_identified_language(tmp_path: Path) -> None:
    """A stage before the identification of the language, or a recipe without it, cannot have values by language."""
    file = tmp_path / "mine.toml"
    file.write_text('[[stage]]\nuse = "gopher_quality"\n[language.de]\ngopher_quality.min_words = 1')
    with pytest.raises(RecipeError, match="need a stage that identifies it"):
        load(str(file))
    file.write_text(
        '[[stage]]\nuse = "gopher_quality"\n[[stage]]\nuse = "language"\n[language.de]\ngopher_quality.min_words = 1'
    )
    with pytest.raises(RecipeError, match="comes before language"):
        load(str(file))


def test_values_by_language_of_a_run_name_nothing_outside(tmp_path: Path) -> None:
    """The recipe of somebody else's folder cannot name a file or a model by a detour over a language."""
    document = load("fineweb-2", ['language.languages=["de"]']).resolved()
    for more in (
        {"language_defaults": {"file": "/etc/passwd"}},
        {"language": {"de": {"language.model": "/etc/passwd"}}},
    ):
        with pytest.raises(NotTrusted, match="passwd"):
            from_document({**document, **more}, "run.json", trusted=False)
    assert from_document(document, "run.json", trusted=False).languages.file == "fineweb-2"


def test_fineweb_2_keeps_languages_that_have_values() -> None:
    """By default the recipe keeps every language that the model knows and FineWeb-2 has values for, not English."""
    languages = dict(load("fineweb-2").stages)["language"].languages  # type: ignore[attr-defined]
    assert len(languages) == len(identify.labels()) - 2
    assert {*languages} <= built_in_file("fineweb-2").keys()
    assert not {"eng_Latn", "hbs_Latn"} & {*languages}


def test_thresholds_that_all_languages_share() -> None:
    """For plots, one language gives its thresholds, several give those that none of them changes."""
    for languages, wanted in ((["de"], {"min_alpha_words": 0.774, "min_words": 50}), (["de", "fr"], {"min_words": 50})):
        chosen = load("fineweb-2", [f"language.languages={json.dumps(languages)}"])
        rules = chosen.languages.common_rules(chosen.stages)["gopher_quality"]
        found = {rule.reason: rule.threshold for rule in rules if rule.reason in ("min_alpha_words", "min_words")}
        assert found == wanted


def test_a_recipe_knows_whose_words_it_counts() -> None:
    """Only a recipe that counts words of the language asks for its tokenizer, whose way is part of the fingerprint."""
    kazakh = ['language.languages=["kk"]']
    assert load("fineweb", kazakh).substitutes() == []
    assert len(load("fineweb-2", kazakh).substitutes()) == 1
    assert dict(load("fineweb-2", kazakh).identity()["stages"])["words"]["parameters"] == {"kaz_Cyrl": "spacy xx"}
    assert "words" not in dict(load("fineweb").identity()["stages"])


def test_fineweb_2_has_no_rules_for_english() -> None:
    """A language without published values is an error that names it."""
    with pytest.raises(RecipeError, match="fineweb-2 has no values for en; write your own in"):
        load("fineweb-2", ['language.languages=["de", "en"]'])


def test_published_scores_hold_for_a_model_of_ones_own() -> None:
    """With lid.176 every language has one score; with a model by path, FineWeb-2's, or one from the recipe."""
    model = f"language.model={identify.model_path()}"
    german = [dict(load("fineweb-2", more).stages_of("deu_Latn"))["language"].min_score for more in ([], [model])]  # type: ignore[attr-defined]
    assert german == [0.65, built_in_file("fineweb-2")["deu_Latn"]["language"]["min_score"]]
    own = load("fineweb-2", ["language.de.language.min_score=0.9"])
    assert dict(own.stages_of("deu_Latn"))["language"].min_score == 0.9  # type: ignore[attr-defined]


def test_differences_name_language_and_rule() -> None:
    """Two recipes that differ in a language's value differ in that key."""
    sides = [Side("x", load("fineweb-2", [f"language.de.gopher_quality.min_words={count}"])) for count in (50, 80)]
    found = compare_sides(*sides)
    assert [(each.key, each.before, each.after) for each in found] == [
        ("language.deu_Latn.gopher_quality.min_words", 50, 80)
    ]
    assert "gopher_quality keeps documents with words >= 80 (was 50, stricter)" in found[0].text
