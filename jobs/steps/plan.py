"""The plan of a run: its folder, recipe and inputs, validated.

Every error in a request is reported here, before anything is written.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation import __version__
from curation.archives.inputs import Input, find_again, find_inputs
from curation.archives.reader import ReadSettings
from curation.dedup.documents import check_earlier
from curation.dedup.settings import DedupSettings
from curation.dedup.survivor_rules import survivor_value
from curation.errors import InputError, NotTrusted, OutputError, ParameterError, RecipeError, UsageError
from curation.jobs.steps.acceleration import accelerated
from curation.jobs.steps.table import commands
from curation.recipes.recipe import Recipe, code_folders, from_document, import_from, load
from curation.running.versions import library_version
from curation.stages.parameters import flat_keys
from curation.store.folder import Folder
from curation.store.paths import OF_RUN, RECIPE_BEFORE, RUN
from curation.store.shards import shard_of
from curation.store.storage import explain, is_io
from curation.store.untrusted import is_plain

DEFAULT_RECIPE = "fineweb"

CHANGES_SHOWN = 5
"""Changes named when another recipe is refused."""

_CONTENT: dict[str, dict[str, type]] = {
    RUN: {"recipe": dict, "fingerprint": str, "versions": dict},
    "inputs": {"path": str, "size": int, "version": str},
    "quarantined": {"path": str, "cause": str},
}
"""What is read from run.json: the keys of the whole and of the entries of its lists, with the types of their values."""

_REPORTED_LIBRARIES = (
    "dask", "datatrove", "gigatoken", "isal", "lxml", "numba", "numpy", "presidio-analyzer", "pyarrow",
    "resiliparse", "spacy", "tokenizers", "trafilatura",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The output folder of a run, and its recipe as run.json has it, which may be anybody's."""

    folder: Folder
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated request.

    Attributes:
        folder: The output folder.
        recipe: The recipe, with settings applied.
        inputs: The inputs, in order.
        trusted: Whether the user trusts whoever made the folder.
        earlier: A run of the same inputs with another recipe, whose results may serve: of the folder itself before an
            update, or of another folder.
        asked: The commands whose steps the run was made for, by `run --steps` and since; empty if for all.
    """

    folder: Folder
    recipe: Recipe
    inputs: tuple[Input, ...]
    trusted: bool = False
    earlier: EarlierRun | None = None
    asked: tuple[str, ...] = ()

    def write(self, quarantined: Sequence[dict[str, str]] = (), damaged: Sequence[dict[str, Any]] = ()) -> None:
        """Write run.json, unless it is already up to date."""
        value = describe(self, quarantined, damaged)
        if not self.folder.exists(RUN) or self.folder.read_json(RUN) != value:
            self.folder.write_json(RUN, value)


def versions(recipe: Recipe) -> dict[str, str]:
    """The versions installed here, of this package, Python and the libraries that results may depend on."""
    libraries = {name: library_version(name) for name in sorted({*_REPORTED_LIBRARIES, *recipe.libraries()})}
    return {"curation": __version__, "python": platform.python_version(), **libraries}


def describe(
    plan: Plan, quarantined: Sequence[dict[str, str]] = (), damaged: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """The content of run.json."""
    return {
        "recipe": plan.recipe.resolved(),
        "fingerprint": plan.recipe.fingerprint(),
        "versions": versions(plan.recipe),
        "accelerated": accelerated(plan.recipe),
        "inputs": [{**source.identity, "shard": source.shard} for source in plan.inputs],
        "quarantined": list(quarantined),
        "damaged": list(damaged),
        **({"stages": stages} if (stages := plan.recipe.stored_stages()) else {}),
        **({"code": folders} if (folders := code_folders(plan.recipe)) else {}),
        **({"asked": list(plan.asked)} if plan.asked else {}),
    }


def make_plan(
    words: Sequence[str],
    out: str,
    recipe: str | None,
    settings: Sequence[str],
    *,
    update: bool = False,
    trust_code: bool = False,
    earlier: str | None = None,
    asked: Collection[str] = (),
    only: bool = False,
) -> Plan:
    """Validate a request, without writing anything.

    A folder with an earlier run need not be writable, because there may be nothing to do.

    Args:
        words: The inputs; if empty, those of the earlier run in `out`, else in `earlier`.
        out: The output folder, a path or any fsspec URL.
        recipe: Name or file of the recipe; if None, that of the earlier run in `out`, else in `earlier`, else
            DEFAULT_RECIPE.
        settings: Keys to override, each as "key=value".
        update: Accept a recipe other than the folder's, to redo only the steps that it affects.
        trust_code: Use code, models, variables and special file systems that the folder names.
        earlier: Output folder of another run, whose results may serve.
        asked: The commands whose steps are to be made.
        only: Whether a new run is made for these steps, not for all.

    Raises:
        UsageError: Or a subclass of it, if the request is invalid.
    """
    folder = Folder(out)
    previous = _previous(folder)
    other = Folder(earlier) if earlier is not None else None
    if other is not None and other.url == folder.url:
        raise UsageError(f"--from {earlier}: is the output folder itself; --update changes it in place")
    from_other = _run_in(other) if other is not None else None
    origin, place = (previous, out) if previous is not None else (from_other, earlier)
    if origin is None and not words:
        raise UsageError(f"no input given, and {out} holds no run to resume")
    if recipe is None and origin is not None:
        _find_code(origin, trust_code)
        chosen = _recipe_again(origin["recipe"], f"{place}/{RUN}", settings, trust_code)
    else:
        chosen = load(recipe or DEFAULT_RECIPE, settings)
    _check_dedup(chosen, folder)
    _check_begin(chosen)
    read: ReadSettings = chosen.table("read")
    if words:
        inputs = tuple(find_inputs(words, read.sample, read.seed))
    else:
        _check_same_sample(origin or {}, read)
        inputs = _inputs_again(origin or {}, str(place), trust_code)
    if previous is not None:
        _check_same_run(folder, previous, chosen, inputs, update)
    folder.check_no_links(OF_RUN)
    if previous is None:
        folder.check_writable()
    before = _before_update(folder, previous, chosen)
    if other is not None and from_other is not None:
        before = EarlierRun(other, from_other["recipe"])
    return Plan(folder, chosen, inputs, trust_code, before, _asked(previous, asked, only))


def _asked(previous: Mapping[str, Any] | None, asked: Collection[str], only: bool) -> tuple[str, ...]:
    """The commands whose steps a run is made for, those of an earlier run in its folder included; empty if for all."""
    before = asked_in(previous) if previous is not None else ()
    if not (before or (previous is None and only)):
        return ()
    both = tuple(command for command in commands() if command in {*before, *asked})
    return both if len(both) < len(commands()) else ()


def asked_in(run: Mapping[str, Any]) -> tuple[str, ...]:
    """The commands in run.json whose steps the run was made for; empty if for all."""
    named = run.get("asked")
    return tuple(command for command in commands() if command in named) if isinstance(named, list) else ()


def _find_code(run: Mapping[str, Any], trusted: bool) -> None:
    """Let code be imported from the folder of the recipe of an earlier run, if whoever made the run is trusted."""
    folders = run.get("code")
    for folder in folders if trusted and isinstance(folders, list) else ():
        if isinstance(folder, str):
            import_from(folder)


def _recipe_again(document: Mapping[str, Any], file: str, settings: Sequence[str], trusted: bool) -> Recipe:
    """The recipe of an earlier run, from its file; what only `settings` name needs no trust."""
    try:
        chosen = from_document(document, file, trusted=trusted)
    except NotTrusted:
        if not settings:
            raise
    return from_document(document, "--set", settings, trusted=trusted, file=file) if settings else chosen


def _before_update(folder: Folder, previous: dict[str, Any] | None, recipe: Recipe) -> EarlierRun | None:
    """The run in the folder as it was before the recipe changed, now or in an update that was interrupted."""
    if previous is None:
        return None
    if previous["fingerprint"] != recipe.fingerprint():
        return EarlierRun(folder, previous["recipe"])
    if not folder.exists(RECIPE_BEFORE):
        return None
    try:
        return EarlierRun(folder, dict(folder.read_json(RECIPE_BEFORE)))
    except (ValueError, TypeError, RecursionError):
        return None


def _check_same_sample(previous: dict[str, Any], read: ReadSettings) -> None:
    """UsageError if a sample other than that of the earlier run is asked for, but not of what."""
    table = previous["recipe"].get("read", {})
    if (table.get("sample", 1.0), table.get("seed", 0)) != (read.sample, read.seed):
        raise UsageError("read.sample and read.seed choose among inputs that are named: name the inputs again")


def _check_dedup(recipe: Recipe, folder: Folder) -> None:
    """RecipeError if the column or signal of `survivor` does not exist; InputError if an earlier run is unusable."""
    settings: DedupSettings = recipe.table("dedup")
    try:
        survivor_value(settings.survivor, recipe.stages)
    except ParameterError as error:
        raise RecipeError(f"recipe {recipe.name}: [dedup]: {error}") from error
    for earlier, _ in check_earlier(settings):
        if earlier.url == folder.url:
            raise InputError(f"dedup.against: {folder.url} is the output folder itself")


def _check_begin(recipe: Recipe) -> None:
    """RecipeError if documents are to begin with a special token that the tokenizer does not have."""
    if recipe.table("tokens").begin and recipe.table("tokenizer").special_names()["bos_token"] is None:
        raise RecipeError(
            f"recipe {recipe.name}: [tokens]: begin = True: the tokenizer has no token that begins a document; "
            "name one with tokenizer.begin_token"
        )


def open_plan(out: str, *, trust_code: bool = False) -> Plan:
    """The plan of the run in `out`, for commands that only look at it.

    A stage that is not built in is not imported, and decides by the rules that the folder states.

    Args:
        out: The output folder, which may be somebody else's.
        trust_code: Use code, models, variables and special file systems that the folder names.

    Raises:
        OutputError: There is no run.
        NotTrusted: The folder names one of these, and is not trusted.
    """
    folder = Folder(out)
    previous = _run_in(folder)
    stored = previous.get("stages")
    _find_code(previous, trust_code)
    recipe = from_document(previous["recipe"], f"{out}/{RUN}", trusted=trust_code, stored=stored)
    return Plan(folder, recipe, _recorded_inputs(previous, out, trust_code), trust_code, asked=asked_in(previous))


def _run_in(folder: Folder) -> dict[str, Any]:
    """The content of run.json. Raises OutputError if there is none."""
    previous = _previous(folder)
    if previous is None:
        raise OutputError(f"{folder.url}: not a curate run (no {RUN})")
    return previous


def _previous(folder: Folder) -> dict[str, Any] | None:
    try:
        if folder.exists(RUN):
            return read_run(folder, "inputs", "quarantined")
        others = folder.list()
    except Exception as error:
        if isinstance(error, UsageError) or not (isinstance(error, ValueError) or is_io(error)):
            raise
        raise OutputError(f"{folder.url}: {explain(error)}") from error
    if others:
        raise OutputError(f"{folder.url}: not empty and not a curate run (has {others[0]}); choose a new folder")
    return None


def read_run(folder: Folder, *lists: str) -> dict[str, Any]:
    """The content of run.json, checked as far as it is needed.

    Args:
        folder: The output folder.
        lists: Which of its lists are needed: "inputs", "quarantined".

    Raises:
        OutputError: It is not that of a curate run.
    """
    where = f"{folder.url}/{RUN}: not a curate run"
    try:
        run: dict[str, Any] = folder.read_json(RUN)
    except RecursionError as error:
        raise OutputError(f"{where}: nested too deeply") from error
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise OutputError(f"{where}: {error}") from error
    _check_entry(run, {**_CONTENT[RUN], **dict.fromkeys(lists, list)}, where)
    for name in lists:
        for entry in run[name]:
            _check_entry(entry, _CONTENT[name], f"{where}: {name}")
    return run


def _check_entry(entry: Any, kinds: dict[str, type], where: str) -> None:
    for key, kind in kinds.items():
        if not isinstance(entry, dict) or not isinstance(entry.get(key), kind):
            raise OutputError(f"{where}: no {key}, or of another type")


def _recorded_inputs(previous: dict[str, Any], out: str, trust_code: bool) -> tuple[Input, ...]:
    """The inputs as run.json has them. Raises NotTrusted for one that is not simply a file."""
    inputs = tuple(_recorded_input(entry, f"{out}/{RUN}") for entry in previous["inputs"])
    for source in inputs:
        if not trust_code and not is_plain(source.path):
            raise NotTrusted(f"{out}/{RUN}", f"the input {source.path!r} is on a special file system")
    return inputs


def _recorded_input(entry: dict[str, Any], where: str) -> Input:
    start, stop = entry.get("start", 0), entry.get("stop")
    if not isinstance(start, int) or not isinstance(stop, int | None):
        raise OutputError(f"{where}: not a curate run: inputs: no start or stop, or of another type")
    return Input(entry["path"], entry["size"], entry["version"], start, stop)


def _inputs_again(previous: dict[str, Any], out: str, trust_code: bool) -> tuple[Input, ...]:
    recorded = _recorded_inputs(previous, out, trust_code)
    for source in recorded:
        if not trust_code and source.is_special:
            raise NotTrusted(f"{out}/{RUN}", f"the input {source.path!r} is not a regular file")
    return tuple(find_again(source.path for source in recorded))


def _check_same_run(
    folder: Folder, previous: dict[str, Any], recipe: Recipe, inputs: tuple[Input, ...], update: bool
) -> None:
    if previous["fingerprint"] != recipe.fingerprint() and not update:
        changed = differences(previous["recipe"], recipe.resolved())
        before, needed = previous["versions"], recipe.libraries()
        changed += [
            f"{name}: {before.get(name)} → {new}"
            for name, new in sorted(
                versions(recipe).items(), key=lambda entry: (entry[0] not in needed, entry[0] not in before)
            )
            if before.get(name) != new
        ]
        changed = changed or [f"models or lists that {', '.join(recipe.readers())} read"]
        more = f" and {len(changed) - CHANGES_SHOWN} more" if len(changed) > CHANGES_SHOWN else ""
        shown = f"{'; '.join(changed[:CHANGES_SHOWN])}{more}"
        theirs = before.get("curation")
        if theirs != __version__:
            raise OutputError(
                f"{folder.url} was made by curation {theirs}, and {__version__} would give other results; "
                f"changed: {shown}. Choose a new folder, pass --update to redo the affected steps, "
                f"or finish it with curation {theirs}."
            )
        raise OutputError(
            f"{folder.url} was made with another recipe; changed: {shown}. "
            "Choose a new folder, or pass --update to redo only the affected steps."
        )
    here = {source.shard for source in inputs}
    missing = [entry["path"] for entry in previous["inputs"] if shard_of(entry) not in here]
    paths = {source.path for source in inputs}
    if changed_parts := [path for path in missing if path in paths]:
        raise OutputError(
            f"{folder.url} was made when {changed_parts[0]} had another size and was divided into other parts; "
            "choose a new folder"
        )
    if missing:
        raise OutputError(
            f"{folder.url} was made from {len(missing)} inputs that are missing here, such as {min(missing)}. "
            "Name them too (more may be added), or choose a new folder."
        )


def flatten(resolved: dict[str, Any]) -> dict[str, Any]:
    """A resolved recipe as {"language.min_score": 0.65, …}, in order."""
    flat: dict[str, Any] = {"stages": [stage.get("name", stage["use"]) for stage in resolved["stage"]]}
    for stage in resolved["stage"]:
        name = stage.get("name", stage["use"].partition(":")[0].rpartition(".")[2])
        flat |= {f"{name}.{key}": value for key, value in stage.items() if key not in ("use", "name")}
    for name, table in resolved.items():
        if isinstance(table, dict):
            flat |= {f"{name}.{key}": value for key, value in flat_keys(table).items()}
    return flat


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """Keys whose values differ between two resolved recipes, as "key: left → right"."""
    before, after = flatten(left), flatten(right)
    absent = "(absent)"
    return [
        f"{key}: {before.get(key, absent)} → {after.get(key, absent)}"
        for key in [*before, *(key for key in after if key not in before)]
        if before.get(key, absent) != after.get(key, absent)
    ]
