"""Alarms of a recipe: how they are set, what errors say, and when they are raised."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from curation.errors import RecipeError
from curation.recipes.alarms import Alarms, Band, Rate, describe, quarantine_rates
from curation.recipes.recipe import from_document, load, to_toml

STATED = '[[stage]]\nuse = "url"\n\n[alarms]\nmin_documents = 10\nurl = [0, 0.25]\ndedup = [0.01, 0.5]\n'


def test_alarms_are_set_in_a_table(tmp_path: Path) -> None:
    """A TOML table sets them, --set changes or removes one, and the printed recipe is the same when read back."""
    path = tmp_path / "mine.toml"
    path.write_text(STATED)
    recipe = load(str(path), ["alarms.dedup=[0.0, 0.4]", "alarms.quarantined=[0, 0.1]"])
    assert recipe.alarms == Alarms(10, (Band("url", 0, 0.25), Band("dedup", 0, 0.4), Band("quarantined", 0, 0.1)))
    assert from_document(tomllib.loads(to_toml(recipe.resolved())), "again") == recipe
    assert load(str(path), ["alarms.dedup=none"]).alarms.bands == (Band("url", 0, 0.25),)
    assert load("fineweb").alarms == load("web").alarms == Alarms(bands=(Band("unavailable", 0, 0.01),))
    assert load("fineweb", ["alarms.unavailable=none"]).alarms == Alarms()


def test_quarantined_inputs_are_counted_by_cause() -> None:
    """Inputs that are bad in themselves and those given up because of I/O errors or workers have separate rates."""
    kinds = ["input", "io", "workers", "scheduler"]
    entries = [{"path": kind, "cause": kind, "kind": kind} for kind in kinds] + [{"path": "old", "cause": "old"}]
    rates = quarantine_rates(entries, 100)
    assert {name: rate.removed for name, rate in rates.items()} == {"quarantined": 5, "unreadable": 2, "unavailable": 3}
    assert [band.stage for band, _ in load("fineweb").alarms.violated(rates)] == ["unavailable"]
    assert not load("fineweb").alarms.violated(quarantine_rates(entries[:2], 100))


def test_no_band_changes_the_fingerprint() -> None:
    """Alarms do not change any output, so they do not change the fingerprint."""
    assert load("fineweb", ["alarms.c4=[0, 0.3]"]).fingerprint() == load("fineweb").fingerprint()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("alarms.gopher_qualty=[0.0, 0.4]", ["[alarms]", "gopher_qualty", "[0.0, 0.4]", "gopher_quality", "dedup"]),
        ("alarms.c4=[0.4, 0.1]", ["[alarms]", "c4", "[0.4, 0.1]", "lower first"]),
        ("alarms.c4=[-0.1, 0.1]", ["c4", "from 0 to 1"]),
        ("alarms.c4=[0.1, nan]", ["c4", "from 0 to 1"]),
        ("alarms.c4=0.4", ["c4 = 0.4", "two shares"]),
        ("alarms.c4=few", ["'few'", "two shares"]),
        ("alarms.c4=[true, true]", ["c4", "two shares"]),
        ("alarms.min_documents=-1", ["min_documents = -1", "whole number"]),
    ],
)
def test_errors_name_what_is_wrong(setting: str, said: list[str]) -> None:
    """The error names the table, the key, the value and what is allowed."""
    with pytest.raises(RecipeError) as error:
        load("fineweb", [setting])
    for part in said:
        assert part in str(error.value)


def test_a_stage_cannot_have_a_reserved_name() -> None:
    """A stage cannot have the name of another band, such as that of quarantined inputs."""
    with pytest.raises(RecipeError, match="quarantined"):
        from_document({"stage": [{"use": "url", "name": "quarantined"}]}, "mine")


@pytest.mark.parametrize(
    ("removed", "entered", "raised"),
    [(25, 100, False), (26, 100, True), (2, 100, False), (1, 100, True), (9, 9, False), (10, 10, True), (0, 0, False)],
)
def test_when_an_alarm_is_raised(removed: int, entered: int, raised: bool) -> None:
    """An alarm is raised outside its band, bounds included in it, and only with enough documents."""
    alarms = Alarms(10, (Band("c4", 0.02, 0.25), Band("url", 0, 0)))
    violated = alarms.violated({"c4": Rate(removed, entered), "fineweb": Rate(50, 50)})
    assert [band.stage for band, _ in violated] == ["c4"] * raised


def test_min_documents_does_not_apply_to_quarantined_inputs() -> None:
    """One of two inputs quarantined raises an alarm, however few inputs there are."""
    assert Alarms(1000, (Band("quarantined", 0, 0.1),)).violated({"quarantined": Rate(1, 2, "inputs")})


def test_the_message() -> None:
    """The message names the stage, its rate, the band, and a setting with which the run continues."""
    message = describe([(Band("c4", 0.02, 0.25), Rate(777, 1000))], "filter", "/out")
    for part in ("c4 removed 77.7% of 1,000 documents", "more", "[0.02, 0.25]", "'alarms.c4=[0.02, 0.78]'", "/out"):
        assert part in message
    assert "less than" in describe([(Band("c4", 0.02, 0.25), Rate(1, 1000))], "filter", "/out")


def test_the_example_in_the_docs() -> None:
    """The table shown in docs/recipes.md is valid and names what the page explains."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```\n(\[alarms\].*?)```", page, re.DOTALL)
    stated = from_document({**load("fineweb").resolved(), **tomllib.loads(text)}, "docs").alarms
    assert [band.stage for band in stated.bands] == [
        "gopher_quality", "dedup", "quarantined", "unreadable", "unavailable", "read",
    ]  # fmt: skip
    assert stated.damaged == 0.001
    assert stated.min_documents == Alarms().min_documents
    assert "`alarms`" in page
