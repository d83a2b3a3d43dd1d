"""Parameters of stages by language, in a recipe.

    [language_defaults]
    file = "fineweb-2"                 # values of many languages, see below
    gopher_quality.min_words = 30      # for every language

    [language.deu_Latn]                # or [language.de], [language.deu]
    gopher_quality.max_mean_word_length = 15

A value for one language comes before that of the file, which comes before those for every language. The file is one
that comes with the package, or the path of one of your own: TOML with a table per language, `[deu_Latn]`, or JSON Lines
(also compressed with gzip) with `{"language": "deu_Latn", "values": {"gopher_quality": {"min_words": 30}}}` per line.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

from curation.errors import RecipeError
from curation.language import identify
from curation.language.labels import closest, full_label, label_of, languages, model_label, some
from curation.stages.by_language import LanguageStages, language_stage
from curation.stages.parameters import build, parameters, plain
from curation.stages.rules import Rule
from curation.stages.stage import Stage
from curation.stages.stored import StoredStage

TABLE, DEFAULTS, FILE = "language", "language_defaults", "file"

SCORE = "min_score"
"""The only parameter of the stage that identifies the language that may differ by language."""

IN_HISTOGRAMS = 20
"""Up to this many languages have their thresholds among the edges of the histograms of signals."""

_LABEL = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")

Values = Mapping[str, Mapping[str, Any]]
"""Values by stage, then by parameter."""


@dataclass(frozen=True, slots=True)
class LanguageValues:
    """Parameters of stages by language.

    Attributes:
        file: Name of a file that comes with the package, or None.
        tables: Values by label with script; they come before those of the file.
    """

    file: str | None = None
    tables: Mapping[str, Values] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.file is not None or bool(self.tables)

    def of(self, label: str) -> dict[str, dict[str, Any]]:
        """The values of a language, by stage, then by parameter."""
        from_file = built_in_file(self.file).get(label, {}) if self.file is not None else {}
        own = self.tables.get(label, {})
        return {name: {**from_file.get(name, {}), **own.get(name, {})} for name in dict.fromkeys([*from_file, *own])}

    def labels(self) -> list[str]:
        """The languages that have values."""
        return sorted({*(built_in_file(self.file) if self.file is not None else ()), *self.tables})

    def to_values(self) -> dict[str, Any]:
        """The tables as in a recipe, with keys such as `gopher_quality.min_words`; empty without values."""
        defaults = {DEFAULTS: {FILE: self.file}} if self.file is not None else {}
        tables = {
            label: {f"{name}.{key}": plain(value) for name, values in each.items() for key, value in values.items()}
            for label, each in sorted(self.tables.items())
        }
        return defaults | ({TABLE: tables} if tables else {})

    def identity(self) -> dict[str, Any]:
        """What the output depends on, in the form of `curation.stages.parameters.identity`."""
        assets = {self.file: _digest(self.file)} if self.file is not None else {}
        return {"version": 1, "parameters": self.to_values(), "assets": assets, "libraries": {}}

    def stages(self, stages: Sequence[tuple[str, Stage]]) -> LanguageStages:
        """The stages of a recipe for every language.

        Args:
            stages: The stages with their names, for languages without values.
        """
        by_name = dict(stages)

        def variants(language: str) -> dict[str, Stage]:
            values = self.values_for(label_of(language), stages)
            return {name: _variant(by_name[name], own, f"language {language}: {name}") for name, own in values.items()}

        wanted = getattr(_identifier(stages)[1], "languages", ())
        return LanguageStages(stages, variants, wanted if 0 < len(wanted) <= IN_HISTOGRAMS else ())

    def common_rules(self, stages: Sequence[tuple[str, Stage]]) -> dict[str, tuple[Rule, ...]]:
        """The rules of each stage that are the same for all languages to keep, by the stage's name.

        Args:
            stages: The stages with their names, for languages without values.
        """
        wanted = getattr(_identifier(stages)[1], "languages", ()) or self.labels()
        if len(wanted) == 1:
            stages = self.stages(stages).of(wanted[0])
        differ: set[tuple[str, str]] = set()
        for name in wanted if len(wanted) > 1 else ():
            values = self.values_for(full_label(name) or name, stages)
            differ |= {(stage, key) for stage, own in values.items() for key in own}
        rules = {name: getattr(stage, "rules", ()) for name, stage in stages}
        return {name: tuple(rule for rule in own if (name, rule.reason) not in differ) for name, own in rules.items()}

    def values_for(self, label: str, stages: Sequence[tuple[str, Stage]]) -> dict[str, dict[str, Any]]:
        """The values of a language for the stages that there are.

        Scores in a file were chosen for another model than the bundled one, so that they hold if a model is given.
        """
        name, stage = _identifier(stages)
        there = dict(stages)
        values = {each: dict(own) for each, own in self.of(label).items() if each in there}
        if getattr(stage, "model", None) is None and name in values:
            values[name] = dict(self.tables.get(label, {}).get(name, {}))
        return {each: own for each, own in values.items() if own}


def _identifier(stages: Sequence[tuple[str, Stage]]) -> tuple[str, Stage]:
    return stages[language_stage(stages)]


def _variant(stage: Stage, values: Mapping[str, Any], where: str) -> Stage:
    if isinstance(stage, StoredStage):
        try:
            return stage.with_values({**stage.values, **values})
        except ValueError as error:
            raise RecipeError(f"{where}: {error}") from error
    return build(type(stage), {**parameters(stage), **values}, where)


def parse(
    defaults: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, dict[str, Any]]],
    stages: Mapping[str, dict[str, Any]],
    source: str,
) -> LanguageValues:
    """The values by language of a recipe. Those for every language are added to `stages`.

    Args:
        defaults: The table [language_defaults].
        tables: The tables [language.deu_Latn], as `by_label` gives them.
        stages: The parameters of the stages, by name.
        source: Name of the recipe, for errors.

    Raises:
        RecipeError: There is no such language, stage or file.
    """
    file, found = defaults.get(FILE), dict[str, Values]()
    where = f"{source}: [{DEFAULTS}]"
    for name, values in by_stage({key: part for key, part in defaults.items() if key != FILE}, where).items():
        _check_stage(name, stages, where)
        stages[name].update(values)
    if file == "none":
        file = None
    if file is not None and not isinstance(file, str):
        raise RecipeError(f"{where}: {FILE} = {file!r}: must be the name of a file")
    if file is not None and file not in built_in_files():
        found = read_file(file, f"{where}: {FILE} = {file!r}")
        file = None
    for label, by_name in tables.items():
        where = f"{source}: [{TABLE}.{label}]"
        own = {each: dict(part) for each, part in found.get(label, {}).items()}
        for stage, part in by_name.items():
            _check_stage(stage, stages, where)
            own[stage] = {**own.get(stage, {}), **part}
        found[label] = own
    return LanguageValues(file, {label: {k: v for k, v in own.items() if k in stages} for label, own in found.items()})


def check(values: LanguageValues, stages: Sequence[tuple[str, Stage]], source: str) -> tuple[tuple[str, Stage], ...]:
    """The stages, with all languages that have values as those to keep if the recipe keeps all.

    Args:
        values: The values by language.
        stages: The stages with their names, in order.
        source: Name of the recipe, for errors.

    Raises:
        RecipeError: No stage identifies the language, or it comes too late; a value is not allowed; or a language to
            keep has no values in the file.
    """
    at = language_stage(stages)
    if at == len(stages):
        raise RecipeError(f"{source}: values by language need a stage that identifies it, such as {TABLE}")
    for label, each in values.tables.items():
        for number, (name, stage) in enumerate(stages):
            if name not in each:
                continue
            where = f"{source}: [{TABLE}.{label}]: {name}"
            if number < at:
                raise RecipeError(f"{where}: comes before {stages[at][0]}, so that the language is not known there")
            if number == at and {*each[name]} - {SCORE}:
                raise RecipeError(f"{where}: only {SCORE} can differ by language")
            _variant(stage, each[name], where)
    if values.file is None or not hasattr(stages[at][1], "languages"):
        return tuple(stages)
    name, stage = stages[at]
    known = {label: values.of(label) for label in values.labels()}
    wanted: tuple[str, ...] = getattr(stage, "languages", ())
    missing = [each for each in wanted if (full_label(each) or each) not in known]
    if missing:
        raise RecipeError(
            f"{source}: {name}.languages: {values.file} has no values for {some(missing)}; write your own in "
            f"[{TABLE}.{missing[0]}]. It has {some(known)}"
        )
    if not wanted:
        labels = identify.labels(getattr(stage, "model", None))
        wanted = tuple(label for label in known if model_label(label, labels) is not None)
    return (*stages[:at], (name, replace(cast(Any, stage), languages=wanted)), *stages[at + 1 :])


def by_label(tables: Mapping[str, Any], source: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The tables [language.de] by label with script, then by stage.

    Args:
        tables: The tables, by the name of their language.
        source: Name of the recipe or file, for errors.

    Raises:
        RecipeError: There is no such language, or it has two tables; a table is none, or is not by stage.
    """
    names: dict[str, str] = {}
    found = {}
    for name, values in tables.items():
        label = label_in(name, source)
        if label in names:
            raise RecipeError(
                f"{source}: [{TABLE}.{names[label]}] and [{TABLE}.{name}] are the same language, {label}: "
                "write one table"
            )
        if not isinstance(values, Mapping):
            raise RecipeError(f"{source}: {TABLE}.{name} = {values!r}: must be a table, [{TABLE}.{name}]")
        names[label] = name
        found[label] = by_stage(values, f"{source}: [{TABLE}.{name}]")
    return found


def by_stage(values: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The values of a table by stage: {"c4.min_words": 3, "url": {"matching": "fixed"}} → {"c4": …, "url": …}.

    Args:
        values: The table.
        where: Recipe and table, with which an error begins.

    Raises:
        RecipeError: A key names no parameter.
    """
    found: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.setdefault(key, {}).update(value)
        else:
            stage, _, name = key.partition(".")
            if not (stage and name):
                raise RecipeError(
                    f"{where}: {key} = {value!r}: must name a stage and its parameter, such as gopher_quality.min_words"
                )
            found.setdefault(stage, {})[name] = value
    return found


def stage_key(key: str) -> str:
    """The key of a stage in one for a language: "language.deu_Latn.c4.min_words" → "c4.min_words"; others are kept."""
    parts = key.split(".", 2)
    return parts[2] if parts[0] == TABLE and len(parts) > 2 else key


def label_in(name: str, source: str) -> str:
    """The label with script of a language that a recipe names; RecipeError if there is none."""
    label = full_label(name) or (name if _LABEL.fullmatch(name) else None)
    if label is None:
        close = closest(name, languages())
        raise RecipeError(
            f"{source}: [{TABLE}.{name}]: no such language; give a code such as de, deu or deu_Latn"
            f"{f'; close ones are {close}' if close else ''}"
        )
    return label


def _check_stage(name: str, stages: Mapping[str, Any], where: str) -> None:
    if name not in stages:
        raise RecipeError(f"{where}: {name!r}: no such stage; there are {', '.join(stages)}")


_ENDING = ".jsonl.gz"


@cache
def built_in_files() -> tuple[str, ...]:
    """Names of the files of values that come with the package."""
    folder = resources.files("curation.jobs") / "recipes"
    return tuple(sorted(each.name.removesuffix(_ENDING) for each in folder.iterdir() if each.name.endswith(_ENDING)))


@cache
def built_in_file(name: str) -> dict[str, Values]:
    """The values in a file that comes with the package, by label."""
    return _of_lines(gzip.decompress(_content(name)).decode(), name)


@cache
def _content(name: str) -> bytes:
    return (resources.files("curation.jobs") / "recipes" / f"{name}{_ENDING}").read_bytes()


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()


def read_file(path: str, where: str) -> dict[str, Values]:
    """The values in a file, by label.

    Args:
        path: A file in TOML, or in JSON Lines, compressed or not.
        where: Recipe and key, with which every error begins.

    Raises:
        RecipeError: It cannot be read, or has another form.
    """
    try:
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if path.endswith(".gz") else content).decode()
        if not path.removesuffix(".gz").endswith(".toml"):
            return _of_lines(text, where)
        return dict(by_label(tomllib.loads(text), where))
    except FileNotFoundError as error:
        known = ", ".join(built_in_files())
        raise RecipeError(f"{where}: no such file; those that come with the package are {known}") from error
    except (OSError, EOFError, ValueError, AttributeError, RecursionError) as error:
        raise RecipeError(f"{where}: {error}") from error


def _of_lines(text: str, where: str) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        entry = json.loads(line)
        if not isinstance(entry, dict) or not {"language", "values"} <= {*entry}:
            raise RecipeError(f"{where}: line {number}: must have a language and values")
        label = label_in(entry["language"], where)
        if label in found:
            raise RecipeError(f"{where}: line {number}: a line before has values for {label}")
        found[label] = by_stage(entry["values"], f"{where}: line {number}")
    return found
