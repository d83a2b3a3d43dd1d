"""What the keys of a recipe mean, from the code: the section `Attributes:` of each class's docstring.

Meaning, unit and source of a parameter are said once, where it is defined, and shown by `curate recipe show` and in
docs/recipes.md.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from curation.recipes.alarms import TABLE as ALARMS
from curation.recipes.alarms import Alarms
from curation.recipes.recipe import STAGES, TABLES, import_class, stage_name

WIDTH = 116
"""Characters of a line of comments."""


def descriptions(kind: type[Any]) -> dict[str, str]:
    """What the docstring of a class says about each of its attributes, each as one line.

    >>> from curation.archives.reader import ReadSettings
    >>> descriptions(ReadSettings)["records"]
    'WARC record types to read.'
    """
    text = inspect.cleandoc(kind.__doc__ or "")
    _, _, section = text.partition("\nAttributes:\n")
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", "\n" + section.split("\n\n")[0]):
        name, colon, meaning = entry.strip().partition(":")
        if colon:
            found[name] = " ".join(meaning.split())
    return found


def classes() -> Iterator[tuple[str, type[Any]]]:
    """The built-in stages and the tables of a recipe with their classes, in the order in which they are used.

    A table inside another, such as `read.columns`, comes after that one.
    """
    for name, path in {**STAGES, **TABLES}.items():
        kind = import_class(path)
        yield name, kind
        for part in fields(kind):
            if is_dataclass(part.default) and not isinstance(part.default, type):
                yield f"{name}.{part.name}", type(part.default)
    yield ALARMS, Alarms


def comments(resolved: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """The meaning of every key of a resolved recipe: by the name of the stage or table, then by key."""
    kinds = dict(classes())
    found: dict[str, Mapping[str, str]] = {name: descriptions(kind) for name, kind in kinds.items()}
    for stage in resolved["stage"]:
        kind = kinds.get(stage["use"]) or import_class(stage["use"])
        found[stage.get("name") or stage_name(stage["use"])] = descriptions(kind)
    return found


def comment(meaning: str) -> list[str]:
    """The meaning of a key as lines of TOML comments."""
    return [f"# {line}" for line in textwrap.wrap(meaning, WIDTH, break_long_words=False, break_on_hyphens=False)]
