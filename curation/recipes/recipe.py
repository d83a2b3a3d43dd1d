"""Recipes: TOML files that list stages with their parameters, and the settings of all other steps.

A recipe lists its stages in order (`[[stage]]`, `use = "gopher_quality"` or `use = "package.module:Class"`, plus the
stage's parameters) and has a table for each other part of a run. A table that is left out has its defaults. The value
"$language.languages" means the value that the recipe, or `--set`, gives to that key. A recipe with `extends` says only
what differs from another one, see `_extended`.
Since `use` may name any class, loading a recipe can import any code: run only recipes you trust. The recipe of a run's
folder may come from somebody else: it names nothing outside of itself unless the user says that it is trusted.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import resources
from os import PathLike, fspath
from pathlib import Path
from typing import Any, cast

from curation.errors import NotTrusted, RecipeError
from curation.language import words
from curation.language.labels import full_label, languages
from curation.recipes.alarms import RESERVED, Alarms
from curation.recipes.alarms import TABLE as ALARMS
from curation.recipes.alarms import parse as parse_alarms
from curation.recipes.language_values import (
    DEFAULTS,
    FILE,
    LanguageValues,
    built_in_files,
    by_label,
    by_stage,
    label_in,
    stage_key,
)
from curation.recipes.language_values import TABLE as BY_LANGUAGE
from curation.recipes.language_values import check as check_languages
from curation.recipes.language_values import parse as parse_languages
from curation.stages.by_language import LanguageStages, identifies_language
from curation.stages.parameters import build, identity, named_outside, parameters, plain, with_absolute_paths
from curation.stages.stage import Filter, Stage, blamed
from curation.stages.stored import StoredStage, stored_stage
from curation.store.manifest import fingerprint

STAGES = {
    "url": "curation.filters.url:Url",
    "extract": "curation.extraction.extract:Extract",
    "language": "curation.filters.language:Language",
    "gopher_repetition": "curation.filters.gopher_repetition:GopherRepetition",
    "gopher_quality": "curation.filters.gopher_quality:GopherQuality",
    "c4": "curation.filters.c4:C4",
    "fineweb": "curation.filters.fineweb:FineWeb",
    "paragraphs": "curation.filters.paragraphs:Paragraphs",
    "formatting": "curation.filters.formatting:Formatting",
    "dclm_quality": "curation.filters.dclm_quality:DclmQuality",
    "dclm_repetition": "curation.filters.dclm_repetition:DclmRepetition",
    "line_edits": "curation.filters.line_edits:LineEdits",
    "sentences": "curation.filters.sentences:Sentences",
    "encoding": "curation.filters.encoding:Encoding",
    "table_symbols": "curation.filters.table_symbols:TableSymbols",
    "quality": "curation.filters.quality:Quality",
}
"""Short names of the built-in stages."""

BLOCKS = "datatrove:"
"""What `use` begins with for a filter block of datatrove (`curation.filters.datatrove_blocks`)."""

TABLES = {
    "read": "curation.archives.reader:ReadSettings",
    "signals": "curation.stages.signals:SignalSettings",
    "dedup": "curation.dedup.settings:DedupSettings",
    "decontaminate": "curation.filters.decontaminate:Decontaminate",
    "pii": "curation.filters.pii:Pii",
    "tokenizer": "curation.tokenize.training.settings:TokenizerSettings",
    "tokens": "curation.tokenize.encoding.token_shards:TokensSettings",
}
"""The tables of a recipe, and the dataclass of each."""

WORDS = "words"
"""Name under which the words of languages are part of what a recipe's output depends on."""

_WRITTEN = ("name", "description", "reproduces")
_HEADER = (*_WRITTEN, "stage")
_CODE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A validated recipe, built by `load`; picklable.

    Attributes:
        name: Its name.
        description: What it is for, in a sentence.
        reproduces: What it reproduces.
        stages: The stages with their names, in order.
        tables: The settings object of each table, by name; see `table`.
        alarms: The table [alarms].
        languages: Parameters of stages by language.
    """

    name: str
    description: str
    reproduces: str
    stages: tuple[tuple[str, Stage], ...]
    tables: tuple[tuple[str, Any], ...]
    alarms: Alarms = field(default_factory=Alarms)
    languages: LanguageValues = field(default_factory=LanguageValues)

    def by_language(self) -> LanguageStages | None:
        """The stages for every language; None if they are the same for all."""
        return self.languages.stages(self.stages) if self.languages else None

    def substitutes(self) -> list[str]:
        """Which languages to keep have other words than those that datatrove finds; see `curation.language.words`."""
        return words.substitutes(self._with_words())

    def _with_words(self) -> list[str]:
        """The languages whose own words a stage counts."""
        if not any(getattr(stage, "words", None) == "language" for _, stage in self.stages):
            return []
        named = [
            name for _, stage in self.stages if identifies_language(stage) for name in getattr(stage, "languages", ())
        ]
        return [label for name in named if (label := full_label(name)) is not None] or sorted(languages())

    def stages_of(self, language: str | None) -> tuple[tuple[str, Stage], ...]:
        """The stages with the parameters of a language, given as in the column `language`, in order."""
        stages = self.by_language()
        return self.stages if stages is None else stages.of(language)

    def table(self, name: str) -> Any:
        """The settings object of a table; KeyError if there is no such table."""
        return dict(self.tables)[name]

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, defaults filled in, as plain values; the inverse of `from_document`."""
        stages = [{**_use(name, stage), **parameters(stage)} for name, stage in self.stages]
        header = {"name": self.name, "description": self.description, "reproduces": self.reproduces}
        tables = {name: parameters(table) for name, table in self.tables}
        return {**header, "stage": stages, **tables, ALARMS: self.alarms.to_values(), **self.languages.to_values()}

    def identity(self) -> dict[str, Any]:
        """All that the recipe's output depends on, including versions and hashes of models; alarms do not change it."""
        stages = [[name, {**_use(name, stage), **identity(stage)}] for name, stage in self.stages]
        if self.languages:
            stages.append([DEFAULTS, self.languages.identity()])
        if labels := self._with_words():
            stages.append([WORDS, words.identity(labels)])
        tables = {name: identity(table) for name, table in self.tables if not getattr(table, "is_off", False)}
        return {"stages": stages, "tables": tables}

    def libraries(self) -> set[str]:
        """The libraries on whose versions the output depends."""
        parts = [*self._parts(), words.identity(self._with_words())]
        return {library for part in parts for library in part["libraries"]}

    def readers(self) -> list[str]:
        """The stages and tables that read models or lists."""
        names = [*(name for name, _ in self.stages), *(name for name, _ in self.tables)]
        return [name for name, part in zip(names, self._parts(), strict=True) if part["assets"]]

    def stored_stages(self) -> dict[str, dict[str, Any]]:
        """What a run's folder says about each stage that is not built in, so that it can be looked at without its code.

        Each is what `curation.stages.stored.stored_stage` takes.
        """
        return {name: _facts(name, stage) for name, stage in self.stages if ":" in _use(name, stage)["use"]}

    def without_code(self) -> list[str]:
        """The names of stages that are known only by what a run's folder says about them."""
        return [name for name, stage in self.stages if isinstance(stage, StoredStage)]

    def _parts(self) -> list[dict[str, Any]]:
        """The identities of all stages and tables, in order."""
        return [identity(part) for _, part in (*self.stages, *self.tables)]

    def fingerprint(self) -> str:
        """Hash of `identity`: equal if the same recipe would give the same output."""
        return fingerprint(self.identity())


def _facts(name: str, stage: Stage) -> dict[str, Any]:
    if isinstance(stage, StoredStage):
        return stage.to_values()
    known = identity(stage)
    with blamed(name, stage):
        rules = tuple(getattr(stage, "rules", ()))
    facts = (known["version"], known["assets"], known["libraries"], rules, isinstance(stage, Filter))
    return StoredStage(_use(name, stage)["use"], "", known["parameters"], *facts).to_values()


def _use(name: str, stage: Stage) -> dict[str, str]:
    if isinstance(stage, StoredStage):
        return {"use": stage.use} if stage_name(stage.use) == name else {"use": stage.use, "name": name}
    use = next((short for short, path in STAGES.items() if _is_at(type(stage), path)), None)
    use = use or f"{type(stage).__module__}:{type(stage).__qualname__}"
    return {"use": use} if stage_name(use) == name else {"use": use, "name": name}


def _is_at(kind: type[Any], path: str) -> bool:
    """Whether a class is the one at `module:Class`, whatever module defines it."""
    module, _, name = path.partition(":")
    return getattr(sys.modules.get(module), name, None) is kind


def stage_name(use: str) -> str:
    """The default name of a stage: "a.b:C" → "b", "url" → "url", "datatrove:Filter" → "Filter"."""
    if use.startswith(BLOCKS):
        return use.removeprefix(BLOCKS)
    return use.partition(":")[0].rpartition(".")[2]


def built_in() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("curation.jobs") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name: str, settings: Iterable[str] = ()) -> Recipe:
    """Load a recipe.

    Args:
        name: Name of a built-in recipe, or path of a TOML file.
        settings: Keys to override, each as "key=value", such as "language.min_score=0.8".

    Raises:
        RecipeError: The recipe does not exist or is invalid; the message names the file, stage or table, key and value,
            and what exists.
    """
    source, document = _load_document(name, ())
    return from_document(document, source, settings, of_run=False)


def _load_document(name: str, above: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The name of a recipe for errors, and its document, with what it extends filled in.

    Args:
        name: Name of a built-in recipe, or path of a TOML file.
        above: The files that extend it, directly or not.
    """
    source, text = _read(name)
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise RecipeError(f"{source}: not TOML: {error}") from error
    if name not in built_in():
        _find_code_beside(Path(name), document)
    return source, _extended(document, source, (*above, name))


def _extended(document: dict[str, Any], source: str, above: tuple[str, ...]) -> dict[str, Any]:
    """The document itself, or, if it has `extends`, the one that it extends with its changes made.

    These are `[set]`, whose keys are those of `--set`; `[[stage]]` with `after` or `before`, the name of another stage;
    and tables, whose keys replace those of the extended recipe.
    """
    own_stages = document.get("stage", [])
    if "extends" not in document:
        placed = [key for stage in _tables(own_stages) for key in PLACES if key in stage]
        if "set" in document or placed:
            what = placed[0] if placed else "set"
            raise RecipeError(f'{source}: {what}: only in a recipe with extends = "…"')
        return document
    base_name = document["extends"]
    if not isinstance(base_name, str):
        raise RecipeError(f"{source}: extends = {base_name!r}: must be the name of a recipe or its file")
    if base_name not in built_in():
        base_name = str(Path(above[-1]).parent / base_name)
    if base_name in above:
        raise RecipeError(f"{source}: extends = {document['extends']!r}: extends itself")
    _, base = _load_document(base_name, above)
    stages = [dict(stage) for stage in _tables(base.get("stage", []))]
    if not isinstance(own_stages, list):
        raise RecipeError(f"{source}: stage = {own_stages!r}: must be a list of tables, [[stage]]")
    for position, stage in enumerate(own_stages, start=1):
        where = f"{source}: stage {position}"
        _place(stages, _mapping(stage, f"{where}: must be a table, [[stage]], not {stage!r}"), where)
    tables = {
        name: {
            **_mapping(base.get(name, {}), f"{source}: {name}: must be a table"),
            **_mapping(document.get(name, {}), f"{source}: {name} = {document.get(name)!r}: must be a table, [{name}]"),
        }
        for name in (*TABLES, ALARMS, DEFAULTS)
    }
    before, own_values = (
        by_label(
            _mapping(each.get(BY_LANGUAGE, {}), f"{source}: {BY_LANGUAGE}: must be a table, [{BY_LANGUAGE}.deu_Latn]"),
            source,
        )
        for each in (base, document)
    )
    languages = {
        label: {
            name: {**before.get(label, {}).get(name, {}), **own_values.get(label, {}).get(name, {})}
            for name in {**before.get(label, {}), **own_values.get(label, {})}
        }
        for label in {**before, **own_values}
    }
    entries = {_name_of(stage): stage for stage in stages}
    changes = _mapping(document.get("set", {}), f"{source}: set = {document.get('set')!r}: must be a table, [set]")
    for key, value in _dotted(changes):
        owner, _, parameter = key.partition(".")
        target = entries.get(owner, tables.get(owner))
        if target is None or not parameter or parameter in ("use", "name"):
            known = ", ".join([*entries, *tables])
            raise RecipeError(f"{source}: [set]: {key!r} = {value!r}: no such key; there are those of {known}")
        target[parameter] = value
    header: dict[str, Any] = {key: base[key] for key in ("description", "reproduces") if key in base}
    own = {key: value for key, value in document.items() if key not in ("extends", "set", *TABLES, ALARMS)}
    return {**header, **own, "stage": stages, **tables, **({BY_LANGUAGE: languages} if languages else {})}


PLACES = ("after", "before")
"""Keys that say where a stage of one's own goes."""


def _place(stages: list[dict[str, Any]], stage: dict[str, Any], where: str) -> None:
    """Add a stage at the place that it names, at the end if it names none."""
    given = [key for key in PLACES if key in stage]
    if len(given) > 1:
        raise RecipeError(f"{where}: after and before are mutually exclusive")
    if not given:
        stages.append(stage)
        return
    names, other = [_name_of(each) for each in stages], stage.pop(given[0])
    if other not in names:
        raise RecipeError(f"{where}: {given[0]} = {other!r}: no such stage; there are {', '.join(names)}")
    stages.insert(names.index(other) + (given[0] == "after"), stage)


def _tables(values: Any) -> list[dict[str, Any]]:
    """The tables in a list; whatever else is in it is reported once the recipe is built."""
    return [value if isinstance(value, dict) else {} for value in (values if isinstance(values, list) else [])]


def _name_of(stage: Mapping[str, Any]) -> str:
    return str(stage.get("name", stage_name(str(stage.get("use", "")))))


def _dotted(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys with dots: {"a.b": 1, "c": {"d": 2}} → ("a.b", 1), ("c.d", 2)."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", each) for inner, each in value.items())
        else:
            yield key, value


_CODE_FOLDERS: list[str] = []
"""Folders of recipes, from which code that they name is imported."""


def _find_code_beside(file: Path, document: Mapping[str, Any]) -> None:
    """Let modules that a recipe names be imported from its own folder, unless they are found elsewhere."""
    folder = file.parent.resolve()
    for stage in _tables(document.get("stage", [])):
        for text in filter(_CODE.fullmatch, (value for value in stage.values() if isinstance(value, str))):
            module = text.partition(":")[0].partition(".")[0]
            is_there = False
            with suppress(OSError):  # a name may be too long for a file
                is_there = (folder / f"{module}.py").is_file() or (folder / module).is_dir()
            is_new = is_there and str(folder) not in sys.path and module not in sys.modules
            if is_new and importlib.util.find_spec(module) is None:
                import_from(str(folder))


def import_from(folder: str) -> None:
    """Let modules be imported from a folder, after all others."""
    if folder not in sys.path:
        sys.path.append(folder)
    _CODE_FOLDERS.append(folder)


def code_folders(recipe: Recipe) -> list[str]:
    """The folders, among those of `import_from`, that code of the recipe is in."""
    modules = {type(stage).__module__.partition(".")[0] for _, stage in recipe.stages}
    files = [Path(file) for name in modules if (file := getattr(sys.modules.get(name), "__file__", None))]
    return [each for each in dict.fromkeys(_CODE_FOLDERS) if any(file.is_relative_to(each) for file in files)]


def load_recipe(name: str | PathLike[str], settings: Mapping[str, Any] | None = None) -> Recipe:
    """Load a recipe by name or file, for `Pipeline(load_recipe("fineweb"))`.

    Loading a recipe can import any code that it names: load only recipes you trust.

    Args:
        name: Name of a built-in recipe (`curate recipe list`), or path of a TOML file.
        settings: Keys to override, as with `--set`: `{"language.min_score": 0.8}`. A value None is the same as "none".

    Returns:
        The recipe, with its stages and tables.

    Raises:
        RecipeError: The recipe does not exist, or a key or value in it is invalid; the message names what exists.
        TypeError: `settings` is no mapping.

    Example:
        >>> from curation import load_recipe
        >>> recipe = load_recipe("fineweb", {"language.languages": ["de"]})
        >>> [name for name, _ in recipe.stages]
        ['url', 'extract', 'language', 'gopher_repetition', 'gopher_quality', 'c4', 'fineweb']
        >>> recipe.table("dedup").threshold
        0.72
    """
    if not isinstance(settings, Mapping | None):
        raise TypeError('settings must be a dict, such as {"language.min_score": 0.8}')
    given = {key: plain(value) for key, value in (settings or {}).items()}
    return load(fspath(name), [setting(key, value) for key, value in given.items()])


def from_document(
    document: Mapping[str, Any],
    source: str,
    settings: Iterable[str] = (),
    *,
    trusted: bool = True,
    stored: Mapping[str, Any] | None = None,
    file: str | None = None,
    of_run: bool = True,
) -> Recipe:
    """The recipe in a parsed TOML document, or in the result of `Recipe.resolved`.

    Relative paths in it are made absolute.

    Args:
        document: The document.
        source: Name of the recipe or file, for errors.
        settings: Keys to override, each as "key=value".
        trusted: Whether the document may name code that is not built in, models, files and variables. Those in
            `settings` may, and what they replace is not used.
        stored: What the document's folder says about stages that are not built in (`Recipe.stored_stages`). Unless the
            document is trusted, these are not imported, and decide by their stored rules.
        file: Name of the document's file for NotTrusted, if `source` is another.
        of_run: Whether the document is that of a run, whose paths stay as they are, since fingerprints depend on them.

    Raises:
        RecipeError: As in `load`.
        NotTrusted: The document names one of these, and is not trusted. Nothing was imported or opened.
    """
    known = (*TABLES, ALARMS)
    unknown = set(document) - set(_HEADER) - {*known, DEFAULTS, BY_LANGUAGE}
    if unknown:
        there = ", ".join([*known, DEFAULTS, BY_LANGUAGE])
        raise RecipeError(f"{source}: unknown table {min(unknown)!r}; there are stage, {there}")
    entries = _stage_entries(document, source)
    tables = {
        table: _mapping(
            document.get(table, {}), f"{source}: {table} = {document.get(table)!r}: must be a table, [{table}]"
        )
        for table in known
    }
    defaults, by_name = (
        _mapping(document.get(table, {}), f"{source}: {table} = {document.get(table)!r}: must be a table")
        for table in (DEFAULTS, BY_LANGUAGE)
    )
    languages = by_label(by_name, source)
    known_stages: dict[str, StoredStage] = {}
    replaced = {setting.partition("=")[0].strip() for setting in settings}
    if not trusted:
        used = {
            name: {key: value for key, value in values.items() if f"{name}.{key}" not in replaced}
            for name, values in tables.items()
        }
        try:
            known_stages = _known_stages(file or source, entries, stored or {})
            unknown_stages = {name: each for name, each in entries.items() if name not in known_stages}
            _refuse_outside(file or source, unknown_stages, used)
            _refuse_outside_by_language(file or source, unknown_stages, defaults, languages)
        except RecursionError as error:
            raise RecipeError(f"{source}: a value is nested too deeply") from error
    for setting in settings:
        _apply_setting(setting, entries, tables, defaults, languages)
    by_language = parse_languages(defaults, languages, entries, source)
    _follow_references(source, {**entries, **tables})
    alarms = parse_alarms(tables.pop(ALARMS), entries, source)
    located = None if not of_run else {stage_key(key).removeprefix(f"{DEFAULTS}.") for key in replaced}
    stages = tuple(
        (name, _build_stage(name, values, source, located, known_stages.get(name))) for name, values in entries.items()
    )
    kinds = {name: type(stage) for name, stage in stages}
    by_label_and_stage = {
        label: {name: _located(name, kinds[name], values, located) for name, values in own.items()}
        for label, own in by_language.tables.items()
    }
    by_language = replace(by_language, tables=by_label_and_stage)
    return Recipe(
        str(document.get("name", Path(source).stem)),
        str(document.get("description", "")),
        str(document.get("reproduces", "")),
        check_languages(by_language, stages, source) if by_language else stages,
        tuple((name, _build_table(name, values, source, located)) for name, values in tables.items()),
        alarms,
        by_language,
    )


def _read(name: str) -> tuple[str, str]:
    if name in built_in():
        return f"recipe {name}", (resources.files("curation.jobs") / "recipes" / f"{name}.toml").read_text(
            encoding="utf-8"
        )
    path = Path(name)
    try:
        if not path.is_file():
            raise RecipeError(f"recipe {name}: no such file, and the built-in recipes are {', '.join(built_in())}")
        return name, path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {name}: {error}") from error


def _stage_entries(document: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """{"url": {"use": …, parameters…}, …} in order, by the stages' names."""
    stages = document.get("stage", [])
    if not isinstance(stages, list) or not stages:
        raise RecipeError(f'{source}: no [[stage]]: a recipe needs at least one, such as use = "extract"')
    entries: dict[str, dict[str, Any]] = {}
    for position, stage in enumerate(stages, start=1):
        entry = _mapping(stage, f"{source}: stage {position}: must be a table, [[stage]], not {stage!r}")
        use = entry.get("use")
        if not isinstance(use, str):
            raise RecipeError(f'{source}: stage {position}: needs use = one of {", ".join(STAGES)}, or "module:Class"')
        name = str(entry.get("name", stage_name(use)))
        if "name" in entry and (not name or "." in name or not name.isprintable()):
            raise RecipeError(f"{source}: stage {position}: name = {name!r}: must be text without dots")
        if name in entries:
            raise RecipeError(f"{source}: stage {position}: a second stage named {name!r}; give it another name =")
        if name in TABLES or name in (ALARMS, *RESERVED):
            raise RecipeError(f"{source}: stage {position}: {name!r} is a reserved name; give it another name =")
        entries[name] = {key: value for key, value in entry.items() if key != "name"}
    return entries


def _mapping(value: Any, otherwise: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise RecipeError(otherwise)
    return dict(value)


def _refuse_outside(source: str, stages: Mapping[str, dict[str, Any]], tables: Mapping[str, dict[str, Any]]) -> None:
    """Raise NotTrusted if the recipe of a run's folder names code that is not built in, a model, a file or a variable.

    A value "$owner.key" is refused too, since a run's folder has the values themselves.
    """
    for name, values in {**stages, **tables}.items():
        path = TABLES.get(name) or STAGES.get(values.get("use", ""), values.get("use", ""))
        if ":" in path and path not in (*STAGES.values(), *TABLES.values()):
            raise NotTrusted(source, f"stage {name!r} uses {path!r}, which is not built in")
        for key, value in values.items():
            if isinstance(value, str) and value.startswith("$"):
                raise NotTrusted(source, f"{name}.{key} = {value!r} refers to another key")
        if ":" in path:
            for key, text, what in named_outside(import_class(path, source), values):
                raise NotTrusted(source, f"{name}.{key} = {text!r} names {what}")


def _refuse_outside_by_language(
    source: str,
    stages: Mapping[str, dict[str, Any]],
    defaults: Mapping[str, Any],
    languages: Mapping[str, Mapping[str, dict[str, Any]]],
) -> None:
    """Raise NotTrusted if values by language name what is outside of the recipe, as `_refuse_outside` does."""
    file = defaults.get(FILE)
    if isinstance(file, str) and file not in ("none", *built_in_files()):
        raise NotTrusted(source, f"{DEFAULTS}.{FILE} = {file!r} names a file")
    for_all = by_stage({key: value for key, value in defaults.items() if key != FILE}, f"{source}: [{DEFAULTS}]")
    for values in (for_all, *languages.values()):
        for name, own in values.items():
            if name in stages:
                _refuse_outside(source, {name: {**stages[name], **own}}, {})


def _apply_setting(
    setting: str,
    entries: dict[str, dict[str, Any]],
    tables: dict[str, dict[str, Any]],
    defaults: dict[str, Any],
    languages: dict[str, dict[str, dict[str, Any]]],
) -> None:
    path, equals, text = setting.partition("=")
    owner, dot, key = path.strip().partition(".")
    if not (equals and dot and key):
        raise RecipeError(f"--set {setting}: must be table.key=value, such as language.min_score=0.8")
    if owner == DEFAULTS:
        defaults[key] = _parse_value(text.strip())
        return
    if owner == BY_LANGUAGE and "." in key:
        language, _, parameter = key.partition(".")
        own = languages.setdefault(label_in(language, f"--set {setting}"), {})
        for stage, values in by_stage({parameter: _parse_value(text.strip())}, f"--set {setting}").items():
            own.setdefault(stage, {}).update(values)
        return
    target = entries.get(owner, tables.get(owner))
    if target is None or key in ("use", "name"):
        raise RecipeError(f"--set {setting}: no {owner!r} to set; there are {', '.join([*entries, *tables])}")
    table, dot, name = key.partition(".")
    value = _parse_value(text.strip())
    if dot:
        inner = target.get(table, {})
        value = {**_mapping(inner, f"--set {setting}: {owner}.{table} = {inner!r} has no keys"), name: value}
    target[table] = value


def _follow_references(source: str, owners: Mapping[str, dict[str, Any]]) -> None:
    """Replace each value "$owner.key" by the value of that key, so that two stages cannot disagree on it."""
    for owner, values in owners.items():
        for key, value in values.items():
            if isinstance(value, str) and value.startswith("$") and key != "use":
                other, _, name = value[1:].partition(".")
                if name not in owners.get(other, {}):
                    raise RecipeError(f"{source}: {owner}: {key} = {value!r}: the recipe sets no {other}.{name}")
                values[key] = owners[other][name]


def _parse_value(text: str) -> Any:
    """A TOML value if it is one, else the text itself: 0.8 → 0.8, true → True, ["en"] → ["en"], resiliparse → text."""
    try:
        document = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return document["value"] if len(document) == 1 else text


def parse_toml(text: str) -> dict[str, Any]:
    """The document in a text; ValueError if it is not TOML, or has whole numbers of more than 64 bits, as TOML says."""
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    values: list[Any] = [document]
    while values:
        value = values.pop()
        if isinstance(value, int) and abs(value) >= 1 << 64:
            raise ValueError("a whole number of more than 64 bits")
        values += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return document


def _known_stages(source: str, entries: Mapping[str, Mapping[str, Any]], stored: Any) -> dict[str, StoredStage]:
    """The stages that are not built in of which the document's folder says enough."""
    found: dict[str, StoredStage] = {}
    for name, values in entries.items():
        facts = stored.get(name) if isinstance(stored, Mapping) else None
        if isinstance(facts, Mapping) and ":" in values["use"] and facts.get("use") == values["use"]:
            with suppress(ValueError):
                own = {key: value for key, value in values.items() if key != "use"}
                found[name] = stored_stage(facts, plain(own), source)
    return found


def _located(name: str, kind: type[Any], values: Mapping[str, Any], keys: Container[str] | None) -> dict[str, Any]:
    """The values of a stage or table with relative paths made absolute.

    Args:
        name: Its name.
        kind: Its class.
        values: Its parameters by name.
        keys: The keys with paths to make absolute, such as "tokenizer.file"; None means all.
    """
    chosen = {key: value for key, value in values.items() if keys is None or f"{name}.{key}" in keys}
    return {**values, **with_absolute_paths(kind, chosen)}


def _build_stage(
    name: str, values: Mapping[str, Any], source: str, located: Container[str] | None, known: StoredStage | None
) -> Stage:
    use = values["use"]
    if known is not None:
        try:
            return known.with_values({key: value for key, value in values.items() if key != "use"})
        except ValueError as error:
            raise NotTrusted(source, f"stage {name}: {error}") from error
    path = STAGES.get(use, use)
    if ":" not in path:
        raise RecipeError(f'{source}: stage {use!r}: no such stage; there are {", ".join(STAGES)}, or "module:Class"')
    kind = import_class(path, source)
    parameters = _located(name, kind, {key: value for key, value in values.items() if key != "use"}, located)
    return cast(Stage, build(kind, parameters, f"{source}: stage {name}"))


def _build_table(name: str, values: Mapping[str, Any], source: str, located: Container[str] | None) -> Any:
    kind = import_class(TABLES[name], source)
    return build(kind, _located(name, kind, values, located), f"{source}: [{name}]")


def import_class(path: str, source: str = "recipe") -> type[Any]:
    """The class at `module:Class`; RecipeError if it cannot be imported."""
    module, _, name = path.partition(":")
    if not (module and name):
        raise RecipeError(f'{source}: {path!r}: must be "module:Class", such as "{BLOCKS}GopherQualityFilter"')
    try:
        if path.startswith(BLOCKS):
            return cast(type[Any], importlib.import_module("curation.filters.datatrove_blocks").block_class(name))
        kind = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a module raises as it is imported
        raise RecipeError(f"{source}: cannot import {path}: {error}") from error
    if not isinstance(kind, type):
        raise RecipeError(f"{source}: {path} is no class")
    return kind


def to_toml(resolved: Mapping[str, Any], comments: Mapping[str, Mapping[str, Sequence[str]]] | None = None) -> str:
    """A resolved recipe as TOML text that `load` reads back. None is written as "none", since TOML has no null.

    Args:
        resolved: The recipe.
        comments: Lines to put above a key, by the name of the stage or table, then by key.
    """
    lines = [f"{key} = {toml_value(resolved[key])}" for key in _WRITTEN]

    def add(head: str, name: str, values: Mapping[str, Any]) -> None:
        above = (comments or {}).get(name, {})
        lines.extend(("", head))
        for key, value in values.items():
            lines.extend((*above.get(key, ()), f"{key} = {toml_value(value)}"))

    for stage in resolved["stage"]:
        add("[[stage]]", stage.get("name") or stage_name(stage["use"]), stage)
    for name in (*TABLES, ALARMS, *([DEFAULTS] if DEFAULTS in resolved else [])):
        add(f"[{name}]", name, resolved[name])
    for language, values in resolved.get(BY_LANGUAGE, {}).items():
        add(f"[{BY_LANGUAGE}.{language}]", "", values)
    return "\n".join(lines) + "\n"


def setting(key: str, value: Any) -> str:
    """A key and its plain value as `--set` takes them: `setting("c4.min_words", None)` → 'c4.min_words="none"'."""
    return f"{key}={toml_value(value)}"


def toml_value(value: Any) -> str:
    """A plain value as TOML on one line: ["de", None] → '["de", "none"]'."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {toml_value(part)}' for key, part in value.items())} }}"
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return '"none"' if value is None else repr(value)
