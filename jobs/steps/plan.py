"""A run before it runs: its folder, recipe and inputs, checked, and the fingerprint of everything it will make.

All that can be wrong with a request is found here, before anything is written.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curation import __version__
from curation.archives.inputs import Input, find_inputs
from curation.dedup.documents import check_earlier
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import VERSION as SIGNATURES_VERSION
from curation.dedup.survivor_rules import survivor_value as worth
from curation.errors import InputError, OutputError, ParameterError, RecipeError, UsageError
from curation.recipes.recipe import Recipe, from_document, load
from curation.running.versions import library_version
from curation.stages.parameters import identity
from curation.store.folder import Folder
from curation.store.manifest import fingerprint

RUN = "run.json"
DEFAULT_RECIPE = "fineweb"

_REPORTED_LIBRARIES = (
    "dask", "datatrove", "gigatoken", "isal", "lxml", "numba", "numpy", "presidio-analyzer", "pyarrow",
    "resiliparse", "spacy", "tokenizers", "trafilatura",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked request: where to, by which recipe, from which inputs in which order."""

    folder: Folder
    recipe: Recipe
    inputs: tuple[Input, ...]

    def filter_fingerprint(self, source: Input) -> str:
        """Of one shard of the filter step: stages, reading, stored signals, signatures and the input's identity."""
        recipe = self.recipe.identity()
        dedup: DedupSettings = self.recipe.table("dedup")
        signatures = [SIGNATURES_VERSION, dedup.variant, dedup.ngram, *dedup.banding, dedup.seed]
        tables = [recipe["tables"]["read"], recipe["tables"]["signals"]]
        return fingerprint("filter", recipe["stages"], tables, signatures, asdict(source))

    def table_fingerprint(self, step: str, *tables: str, upstream: Sequence[str]) -> str:
        """Of a step that depends on tables of the recipe and on what came before."""
        return fingerprint(step, {table: identity(self.recipe.table(table)) for table in tables}, list(upstream))

    def write(self, quarantined: Sequence[dict[str, str]]) -> None:
        """Write run.json, unless it says the same already."""
        value = describe(self, quarantined)
        if not self.folder.exists(RUN) or self.folder.read_json(RUN) != value:
            self.folder.write_json(RUN, value)


def describe(plan: Plan, quarantined: Sequence[dict[str, str]]) -> dict[str, Any]:
    """What run.json says."""
    versions = {"curation": __version__, "python": platform.python_version()}
    return {
        "recipe": plan.recipe.resolved(),
        "fingerprint": plan.recipe.fingerprint(),
        "versions": versions | {name: library_version(name) for name in _REPORTED_LIBRARIES},
        "inputs": [{**asdict(source), "shard": source.shard} for source in plan.inputs],
        "quarantined": list(quarantined),
    }


def make_plan(
    words: Sequence[str], out: str, recipe: str | None, settings: Sequence[str], *, update: bool = False
) -> Plan:
    """Check a request whole. Raises UsageError or one of its kinds, with nothing written.

    words: the inputs, or none to go on with those of an earlier run in `out`, whose recipe is also taken where none is
    named. update: accept a recipe other than the folder's, and redo only the steps that it changes.
    """
    folder = Folder(out)
    previous = _previous(folder)
    if previous is None and not words:
        raise UsageError(f"no input, and {out} holds no run to go on with")
    if recipe is None and previous is not None:
        chosen = from_document(previous["recipe"], f"{out}/{RUN}", settings)
    else:
        chosen = load(recipe or DEFAULT_RECIPE, settings)
    _check_dedup(chosen, folder)
    inputs = tuple(find_inputs(words)) if words else _inputs_again(previous or {})
    if previous is not None:
        _check_same_run(folder, previous, chosen, inputs, update)
    folder.check_writable()
    return Plan(folder, chosen, inputs)


def _check_dedup(recipe: Recipe, folder: Folder) -> None:
    """RecipeError if there is no such column or signal to survive by; InputError if an earlier run is of no use."""
    settings: DedupSettings = recipe.table("dedup")
    try:
        worth(settings.survivor, recipe.stages)
    except ParameterError as error:
        raise RecipeError(f"recipe {recipe.name}: [dedup]: {error}") from error
    for earlier, _ in check_earlier(settings):
        if earlier.url == folder.url:
            raise InputError(f"dedup.against: {folder.url} is the output folder itself")


def open_plan(out: str) -> Plan:
    """The plan of the run in `out`, for commands that only read it. OutputError if there is none."""
    folder = Folder(out)
    previous = _previous(folder)
    if previous is None:
        raise OutputError(f"{out}: no {RUN}, so no run to look at")
    inputs = tuple(_input(entry) for entry in previous["inputs"])
    return Plan(folder, from_document(previous["recipe"], f"{out}/{RUN}"), inputs)


def _previous(folder: Folder) -> dict[str, Any] | None:
    try:
        if folder.exists(RUN):
            found: dict[str, Any] = folder.read_json(RUN)
            return found
        strangers = folder.list()
    except (OSError, ValueError) as error:
        raise OutputError(f"{folder.url}: {error}") from error
    if strangers:
        raise OutputError(f"{folder.url}: not empty and no run of curate ({strangers[0]} is in it); name a new folder")
    return None


def _input(entry: dict[str, Any]) -> Input:
    return Input(entry["path"], entry["size"], entry["version"])


def _inputs_again(previous: dict[str, Any]) -> tuple[Input, ...]:
    return tuple(find_inputs([entry["path"] for entry in previous["inputs"]]))


def _check_same_run(
    folder: Folder, previous: dict[str, Any], recipe: Recipe, inputs: tuple[Input, ...], update: bool
) -> None:
    if previous["fingerprint"] != recipe.fingerprint() and not update:
        changed = differences(previous["recipe"], recipe.resolved()) or ["the versions of its libraries or models"]
        raise OutputError(
            f"{folder.url} belongs to another recipe; different: {'; '.join(changed[:5])}. "
            "Name a new folder, or pass --update to redo what the change touches."
        )
    missing = {entry["path"] for entry in previous["inputs"]} - {source.path for source in inputs}
    if missing:
        raise OutputError(
            f"{folder.url} was made from {len(missing)} inputs that this run leaves out, such as {min(missing)}; "
            "name them too (more may be added), or name a new folder."
        )


def flatten(resolved: dict[str, Any]) -> dict[str, Any]:
    """A resolved recipe as {"language.min_score": 0.65, …}, in order."""
    flat: dict[str, Any] = {"stages": [stage.get("name", stage["use"]) for stage in resolved["stage"]]}
    for stage in resolved["stage"]:
        name = stage.get("name", stage["use"].partition(":")[0].rpartition(".")[2])
        flat |= {f"{name}.{key}": value for key, value in stage.items() if key not in ("use", "name")}
    for name, table in resolved.items():
        if isinstance(table, dict):
            flat |= {f"{name}.{key}": value for key, value in table.items()}
    return flat


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """Keys in which two resolved recipes differ, as "key: left → right"."""
    before, after = flatten(left), flatten(right)
    absent = "(absent)"
    return [
        f"{key}: {before.get(key, absent)} → {after.get(key, absent)}"
        for key in [*before, *(key for key in after if key not in before)]
        if before.get(key, absent) != after.get(key, absent)
    ]
