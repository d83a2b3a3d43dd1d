"""Every help page is complete and true: defaults, what is required, and what it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
from processes import curate
from typer.main import get_command
from typer.testing import CliRunner

from curation.dedup.settings import DedupSettings
from curation.errors import UsageError
from curation.jobs.cli.main import app
from curation.jobs.inspect.estimate.sampling import SAMPLE_BYTES, SampleRequest
from curation.jobs.steps.plan import DEFAULT_RECIPE, flatten, make_plan
from curation.jobs.steps.table import commands
from curation.recipes.recipe import built_in, load
from curation.running.cluster import cores, open_cluster
from curation.store.paths import REPORT_PAGE, STATS
from curation.tokenize.encoding.token_shards import SPLITS
from curation.tokenize.loading.exports import FORMATS

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "web.warc.gz"
STEP_COMMANDS = ("run", "filter", "dedup", "train-tokenizer", "tokenize")
INSPECTING = {"report": "o", "verify": "o", "samples": "o", "compare": "o o", "what-if": "o", "tokenizer-report": "o"}

WITHOUT_DEFAULT = {
    "settings", "scheduler", "report out", "report folder", "explain key", "explain token", "compare html",
    "log_file", "run earlier", "what-if sweep", "task_timeout", "cluster_file",
    "seen step", "seen url", "samples reason", "samples stage", "samples domain", "samples contains",
    "tokenizer-report against", "estimate sample_share", "install_completion", "show_completion",
}  # fmt: skip
"""Parameters that do nothing unless given, by name, or by command and name."""

PANELS = {
    "Run": ["run", "estimate", "fetch", "cluster"],
    "Single steps": [*commands()[:-1], "decontaminate", "report"],
    "Inspect a run": ["status", "verify", "explain", "samples", "what-if", "compare"],
    "Tokens": ["tokenizer-report", "export", "export-corpus", "seen"],
    "Models": ["train-extractor", "calibrate", "train-quality", "audit-quality"],
    "Recipes": ["recipe"],
}


def walk(command: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    """Each command with its words: "", "run", …, "recipe", "recipe list", …."""
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, f"{words} {name}".strip())


COMMANDS = dict(walk(get_command(app)))


def render(words: str, width: int) -> list[str]:
    """The lines of a help page as it is shown `width` columns wide."""
    done = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": str(width)})
    assert done.exit_code == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines()


def compact(text: str) -> str:
    return "".join(text.split())


def name_of(parameter: Any) -> str:
    """What a parameter's row begins with: the long option, or an argument's metavar."""
    return str(parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0])


def row(lines: list[str], parameter: Any) -> tuple[str, str]:
    """What stands left of a parameter's help, and the help itself without white space."""
    begins = re.compile(rf"│ +(\* +)?{re.escape(name_of(parameter))} ")
    first = next(number for number, line in enumerate(lines) if begins.match(line))
    start = lines[first].index(f"  {parameter.help.split()[0]}") + 2
    last = first + 1
    while not lines[last][: lines[first].index(name_of(parameter)) + 1].strip("│ *"):  # where names begin
        last += 1
    return lines[first][:start], compact("".join(line[start:-1] for line in lines[first:last]))


def shown_default(parameter: Any) -> str:
    """The default that a parameter's help is to show, as it is shown; "" for none."""
    if isinstance(parameter.show_default, str):
        return f"[default: ({parameter.show_default})]"
    hidden = parameter.required or parameter.default is None or parameter.default is False
    return "" if hidden else f"[default: {parameter.default}]"


def find(words: str, name: str) -> Any:
    return next(parameter for parameter in COMMANDS[words].params if name in (parameter.name, *parameter.opts))


def parameters() -> list[Any]:
    return [
        pytest.param(words, parameter, id=f"{words} {name_of(parameter)}")
        for words, command in COMMANDS.items()
        for parameter in command.params
    ]


def texts() -> list[tuple[str, str]]:
    """Everything that is written to be shown: descriptions and helps, each with the words of its command."""
    described = [(words, command.help) for words, command in COMMANDS.items()]
    return described + [(words, p.help) for words, command in COMMANDS.items() for p in command.params]


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("words", COMMANDS)
def test_nothing_written_is_lost(words: str, width: int) -> None:
    """A page shows its description, each help, default and mark of what is required, whole and nothing else."""
    command, lines = COMMANDS[words], render(words, width)
    page = compact("".join(line.strip("│ ") for line in lines))
    assert compact(command.help) in page
    for parameter in command.params:
        left, shown = row(lines, parameter)
        assert shown == compact(parameter.help + shown_default(parameter) + "[required]" * parameter.required)
        assert ("*" in left) == parameter.required
        for short in parameter.opts[1:]:
            assert f" {short} " in left
    for name, child in getattr(command, "commands", {}).items():
        assert compact(f"{name} {child.help}") in page


@pytest.mark.parametrize(("words", "parameter"), parameters())
def test_every_parameter_has_a_default_or_none(words: str, parameter: Any) -> None:
    """What is neither required nor a flag shows a default, unless it does nothing by itself."""
    assert parameter.help
    if parameter.required:
        assert not re.search("left out|omitted|optional", parameter.help)
    elif not getattr(parameter, "is_flag", False):
        alone = {parameter.name, f"{words} {parameter.name}"} & WITHOUT_DEFAULT
        assert bool(shown_default(parameter)) != bool(alone)


@pytest.mark.parametrize(("words", "parameter"), parameters())
def test_metavars_say_what_is_accepted(words: str, parameter: Any) -> None:
    """A flag shows no value to give; every other parameter names its value, and an argument has no dots of its own."""
    if parameter.name in ("install_completion", "show_completion"):
        return
    assert (parameter.metavar == "") == getattr(parameter, "is_flag", False)
    assert parameter.metavar is not None
    assert parameter.param_type_name == "option" or "..." not in parameter.metavar


def test_choices_are_all_that_are_accepted() -> None:
    """Formats, splits, modes and steps are those that the code knows."""
    assert find("export", "--format").metavar == "|".join(FORMATS)
    assert find("export", "--split").metavar == "|".join(SPLITS)
    assert {*find("dedup", "--mode").metavar.split("|")} == {*get_args(get_type_hints(DedupSettings)["mode"])}
    assert ", ".join(commands()) in COMMANDS["run"].help
    assert ", ".join(commands()) in find("run", "--steps").help
    assert {*commands()} < {*COMMANDS}


def test_what_a_help_names_exists() -> None:
    """Options, recipe keys, settings and files named in a help exist, and no name of the code is in one."""
    keys = flatten(load(DEFAULT_RECIPE).resolved())
    for words, text in texts():
        for option in re.findall(r"--[a-z-]+", text):
            assert find(words or "run", option)
        for setting in re.findall(r"[a-z_]+\.[a-z_]+=[^\s.]+(?:\.\d+)?", text):
            assert load(DEFAULT_RECIPE, [setting])
        for key in re.findall(r"\b[a-z]+_?[a-z]+\.(?!json|txt|html|idx|c\b)[a-z_]+", text):
            assert key in keys
        assert {*re.findall(r"report/\w+\.\w+", text)} <= {REPORT_PAGE, STATS}
        assert not re.search(r"\b[A-Z][a-z]+[A-Z]\w*", text)


def test_commands_named_in_a_help_exist() -> None:
    """A command between backticks exists, and --set names the one that lists its keys."""
    for _, text in texts():
        for words in re.findall(r"`curate ([a-z -]+[a-z])", text):
            assert words in COMMANDS
    assert "`curate recipe show NAME`" in find("run", "--set").help


def test_commands_are_grouped() -> None:
    """`curate --help` has the commands in panels, in the order in which they are used."""
    found: dict[str, list[str]] = {}
    for line in render("", 160):
        if title := re.match(r"╭─ (.*?) ─", line):
            panel = found.setdefault(title[1], [])
        elif name := re.match(r"│ ([a-z-]+) ", line):
            panel.append(name[1])
    del found["Options"]
    assert found == PANELS


class StopError(Exception):
    """Ends a command where it calls what is recorded."""


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function: the arguments, by name, with which a command line calls the function `target`."""

    def recorded(target: str, words: str) -> dict[str, Any]:
        module, _, name = target.rpartition(".")
        parameters = signature(getattr(import_module(module), name))
        seen: dict[str, Any] = {}

        def stop(*values: Any, **named: Any) -> None:
            seen.update(parameters.bind(*values, **named).arguments)
            raise StopError

        monkeypatch.setattr(target, stop)
        assert isinstance(CliRunner().invoke(app, words.split()).exception, StopError)
        return seen

    return recorded


@pytest.mark.parametrize("words", INSPECTING)
def test_looking_at_a_run_starts_no_workers(words: str, record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default of --workers is shown, and works in this process."""
    monkeypatch.setattr("curation.jobs.steps.plan.open_plan", lambda folder, **_: SimpleNamespace(folder=folder))
    asked = record("curation.running.cluster.open_cluster", f"{words} {INSPECTING[words]}")
    assert asked["workers"] == 0
    assert shown_default(find(words, "--workers")) == "[default: 0]"


@pytest.mark.parametrize("words", STEP_COMMANDS)
def test_defaults_of_steps(words: str, record: Any) -> None:
    """Steps leave workers, recipe and inputs to the run; `run` takes all steps, a step its own."""
    asked = record("curation.jobs.steps.run.run_commands", f"{words} --out o")
    assert asked["commands"] == (commands() if words == "run" else (words,))
    assert (asked["workers"], asked["recipe"], asked["inputs"], asked["settings"]) == (None, None, [], [])
    assert "one per core" in shown_default(find(words, "--workers"))
    with open_cluster(asked["workers"]) as cluster:
        assert cluster.cores == cores()
    assert shown_default(find(words, "--recipe")) == f"[default: (the run's own, else {DEFAULT_RECIPE})]"
    assert "the run in --out" in shown_default(find(words, "inputs"))
    first = words in ("run", "filter")
    assert ("Required for a new run." in find(words, "inputs").help) == first
    assert ("The steps before this one are not run" in find(words, "inputs").help) != first
    assert words != "run" or "all" in shown_default(find(words, "--steps"))


def test_a_run_has_its_own_recipe_and_inputs(tmp_path: Path) -> None:
    """Without a recipe or inputs those of the run in the folder are used; a new one has a recipe but needs inputs."""
    out = str(tmp_path / "out")
    assert make_plan([str(SAMPLE)], out, None, []).recipe.name == DEFAULT_RECIPE
    with pytest.raises(UsageError, match="no input"):
        make_plan([], out, None, [])
    other = next(name for name in built_in() if name != DEFAULT_RECIPE)
    made = make_plan([str(SAMPLE)], out, other, [])
    made.write([])
    again = make_plan([], out, None, [])
    assert (again.recipe, again.inputs) == (made.recipe, made.inputs)


def test_defaults_of_dedup(record: Any) -> None:
    """--mode and --against are left to the recipe; the built-in ones remove both kinds, against no run."""
    assert record("curation.jobs.steps.run.run_commands", "dedup --out o")["settings"] == []
    for settings in (DedupSettings(), *(load(name).table("dedup") for name in built_in())):
        assert (settings.mode, settings.against) == ("both", ())
    assert shown_default(find("dedup", "--mode")) == "[default: (both, unless the recipe sets dedup.mode)]"
    assert shown_default(find("dedup", "--against")) == "[default: (none, unless the recipe sets dedup.against)]"


def test_defaults_of_estimate(record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample, the recipe and the number of workers are those shown."""
    asked = record("curation.jobs.inspect.estimate.estimate.measure", "estimate x")
    assert asked["sampling"] == SampleRequest(SAMPLE_BYTES, None, 0)
    assert shown_default(find("estimate", "--sample-bytes")) == f"[default: ({SAMPLE_BYTES >> 20} MiB)]"
    assert shown_default(find("estimate", "--files")) == "[default: (all)]"
    assert shown_default(find("estimate", "--seed")) == "[default: 0]"
    assert asked["recipe"] == DEFAULT_RECIPE
    assert shown_default(find("estimate", "--recipe")) == f"[default: {DEFAULT_RECIPE}]"
    sampled = (None, SimpleNamespace(name="x"), [])
    monkeypatch.setattr("curation.jobs.inspect.estimate.estimate.measure", lambda *values: sampled)
    asked = record("curation.jobs.inspect.estimate.projection.project", "estimate x")
    assert asked["workers"] == cores()
    assert shown_default(find("estimate", "--workers")) == "[default: (one per core)]"


def test_defaults_of_token_commands(record: Any) -> None:
    """The whole corpus is measured, and every split exported."""
    asked = record("curation.jobs.inspect.tokenizer_report.tokenizer_report", "tokenizer-report o")
    assert asked["sample"] == 1
    assert shown_default(find("tokenizer-report", "--sample")) == "[default: 1.0]"
    assert record("curation.jobs.inspect.export.export_splits", "export o --to t --format bin")["split"] is None
    assert shown_default(find("export", "--split")) == "[default: (every split of the run)]"


@pytest.mark.parametrize("words", ["report", "explain o", "run --out o --workers 1 --scheduler tcp://x:1"])
def test_what_options_require_of_each_other(words: str) -> None:
    """One of DIR and --out, one of a document and --token, at most one of --workers and --scheduler."""
    assert isinstance(CliRunner().invoke(app, words.split()).exception, UsageError)


def test_a_value_that_is_not_accepted_is_bad_usage(tmp_path: Path) -> None:
    """A format that does not exist exits with 2 and a line that lists the formats, without a traceback."""
    done = curate("export", str(tmp_path), "--format", "tfrecord", "--to", str(tmp_path / "out"), settings=())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [f"curate: format = 'tfrecord': must be one of {', '.join(FORMATS)}"]
