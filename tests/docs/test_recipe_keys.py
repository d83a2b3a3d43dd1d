"""docs/recipes.md lists every key of every stage and table, as the code has them.

After a change of the keys, `CURATION_WRITE_OUTPUT=1` writes the section again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from source_files import ROOT

from curation.jobs.steps.plan import flatten
from curation.recipes.alarms import TABLE as ALARMS
from curation.recipes.alarms import Alarms
from curation.recipes.describe import classes, descriptions
from curation.recipes.language_values import DEFAULTS
from curation.recipes.recipe import built_in, load, setting
from curation.stages.parameters import plain

PAGE = ROOT / "docs" / "recipes.md"
BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->\n"


def keys(kind: type[Any]) -> list[Any]:
    """The parameters of a class that a recipe can set."""
    made_up = {"bands"} if kind is Alarms else set()  # has a key for each stage instead
    return [field for field in fields(kind) if field.init and field.name not in made_up]


def section() -> Iterator[str]:
    """The lines of the generated section."""
    for name, kind in classes():
        meanings = descriptions(kind)
        yield from ("", f"### `{name}`", "", "| key | default | |", "|---|---|---|")
        for field in keys(kind):
            default = setting("", plain(field.default))[1:].replace("|", "\\|")
            yield f"| `{field.name}` | `{default}` | {meanings[field.name].replace('|', chr(92) + '|')} |"
    yield ""


def test_every_key_is_on_the_page() -> None:
    """The section is what the code says."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = "\n".join([before + BEGIN.rstrip(), *section(), END + after])
    if os.environ.get("CURATION_WRITE_OUTPUT"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert text == wanted


@pytest.mark.parametrize(("name", "kind"), [pytest.param(name, kind, id=name) for name, kind in classes()])
def test_every_key_has_a_meaning(name: str, kind: type[Any]) -> None:
    """Each is described in its class, nothing else is, and a recipe has it."""
    assert {field.name for field in keys(kind)} == {*descriptions(kind)} - ({"bands"} if name == ALARMS else set())


def _keys_of(stage: str) -> list[str]:
    return [field.name for name, kind in classes() if name == stage for field in keys(kind)]


def test_no_key_is_missing() -> None:
    """Every key of a built-in recipe is on the page."""
    names = {f"{name}.{field.name}" for name, kind in classes() for field in keys(kind)}
    for recipe in map(load, built_in()):
        renamed = {stage["name"]: stage["use"] for stage in recipe.resolved()["stage"] if "name" in stage}
        names |= {f"{name}.{key}" for name, use in renamed.items() for key in _keys_of(use)}
        assert {key for key in flatten(recipe.resolved()) if not key.startswith((f"{ALARMS}.", f"{DEFAULTS}."))} - {
            "stages"
        } <= names
