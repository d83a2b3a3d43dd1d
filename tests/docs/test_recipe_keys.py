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

from curation.recipes.alarms import TABLE as ALARMS
from curation.recipes.describe import classes, descriptions
from curation.recipes.recipe import load, setting
from curation.stages.parameters import plain

PAGE = ROOT / "docs" / "recipes.md"
BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->\n"


def keys(kind: type[Any]) -> list[Any]:
    """The parameters of a class that a recipe can set."""
    return [field for field in fields(kind) if field.init and field.name != "bands"]


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
    assert {*descriptions(kind)} - {"bands"} == {field.name for field in keys(kind)}
    if name != ALARMS:
        assert {field.name for field in keys(kind)} <= {*_resolved(name)}


def _resolved(name: str) -> dict[str, Any]:
    resolved = load("fineweb").resolved()
    return resolved.get(name) or next(stage for stage in resolved["stage"] if stage["use"] == name)
