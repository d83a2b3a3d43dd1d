"""The command line. Results go to stdout, everything else to stderr; exit codes are those of curation.errors.

Heavy modules are imported by the commands that need them, so that `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Annotated, Any

import typer

from curation import __version__
from curation.errors import CurationError, UsageError

app = typer.Typer(
    name="curate",
    help="From web-crawl dumps to a pretraining corpus, a tokenizer and packed token shards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
recipes = typer.Typer(help="List, show and compare recipes.", no_args_is_help=True)
app.add_typer(recipes, name="recipe")

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT...",
        help="WARC, ARC or WET files, folders, globs, fsspec URLs, or @list.txt (one a line). "
        "May be left out where the output folder already holds a run.",
        show_default=False,
    ),
]
Out = Annotated[str, typer.Option("--out", "-o", metavar="DIR", help="Output folder: a path or any fsspec URL.")]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe", "-r", metavar="NAME|FILE", help="Built-in recipe or TOML file. [default: fineweb, or the run's own]"
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Set a key of the recipe, such as language.min_score=0.8. Repeatable."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-w", min=0, help="Worker processes to start here; 0 works in this process. [default: one a core]"
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", help="Address or scheduler file of a running Dask scheduler to use instead."
    ),
]
Update = Annotated[bool, typer.Option("--update", help="Accept a changed recipe and redo only the steps it touches.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="For machines: progress as JSON lines on stderr, the result as JSON on stdout.")
]
Folder = Annotated[str, typer.Argument(metavar="DIR", help="Output folder of a run.")]


def _version(value: bool) -> None:
    if value:
        print(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """From web-crawl dumps to a pretraining corpus, a tokenizer and packed token shards."""


def _run(steps: tuple[str, ...], request: dict[str, Any]) -> None:
    from curation.jobs.run import run_steps

    raise typer.Exit(run_steps(steps=steps, **request))


@app.command()
def run(
    out: Out,
    inputs: Inputs = None,
    recipe: RecipeName = None,
    settings: Settings = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    steps: Annotated[
        str | None,
        typer.Option("--steps", metavar="A,B", help="Only these steps. [default: all]", show_default=False),
    ] = None,
    update: Update = False,
    as_json: AsJson = False,
) -> None:
    """All steps: filter, dedup, train-tokenizer, tokenize, report. What is done already is not done again."""
    from curation.jobs.run import STEPS, check_steps

    chosen = check_steps([name.strip() for name in steps.split(",")]) if steps else STEPS
    _run(chosen, _request(out, inputs, recipe, settings, workers, scheduler, update, as_json))


def _request(
    out: str,
    inputs: list[str] | None,
    recipe: str | None,
    settings: list[str] | None,
    workers: int | None,
    scheduler: str | None,
    update: bool,
    as_json: bool,
) -> dict[str, Any]:
    if workers is not None and scheduler is not None:
        raise UsageError("--workers and --scheduler exclude each other")
    return {
        "out": out,
        "inputs": inputs or [],
        "recipe": recipe,
        "settings": settings or [],
        "workers": workers,
        "scheduler": scheduler,
        "update": update,
        "as_json": as_json,
    }


def _step_command(step: str, help_text: str) -> None:
    @app.command(name=step, help=help_text)
    def command(
        out: Out,
        inputs: Inputs = None,
        recipe: RecipeName = None,
        settings: Settings = None,
        workers: Workers = None,
        scheduler: Scheduler = None,
        update: Update = False,
        as_json: AsJson = False,
    ) -> None:
        _run((step,), _request(out, inputs, recipe, settings, workers, scheduler, update, as_json))


_step_command("filter", "Archives to documents: read, filter URLs, extract, identify language, apply the heuristics.")


@app.command(name="dedup")
def dedup_command(
    out: Out,
    inputs: Inputs = None,
    recipe: RecipeName = None,
    settings: Settings = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="DIR",
            help="Output folder of an earlier run: drop what it has already, without touching it. Repeatable.",
            show_default=False,
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            help="With --against, which duplicates go: both, against (earlier runs' only), within (this run's only).",
            show_default=False,
        ),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    update: Update = False,
    as_json: AsJson = False,
) -> None:
    """Documents to corpus: remove near-duplicates, then replace personal data."""
    from curation.storage import Folder

    extra = [f"dedup.against={json.dumps([Folder(url).url for url in against])}"] if against else []
    extra += [f"dedup.mode={mode}"] if mode else []
    request = _request(out, inputs, recipe, [*(settings or []), *extra], workers, scheduler, update, as_json)
    _run(("dedup",), {**request, "update": update or bool(extra)})


_step_command("train-tokenizer", "Train the byte-level BPE tokenizer on the corpus.")
_step_command("tokenize", "Encode the corpus, shuffle, and pack it into token shards.")


@app.command(name="report")
def report_command(
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Output folder of a run.", show_default=False)
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="DIR", help="The same, as the other steps take it.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Count what a run did, finished or not: tables here, report/stats.json in the folder."""
    from curation.cluster import open_cluster
    from curation.jobs.plan import open_plan
    from curation.jobs.progress import Progress, default_mode, results
    from curation.jobs.report import show, write_report

    if (folder is None) == (out is None):
        raise UsageError("report takes one folder: curate report DIR")
    plan = open_plan(folder or out or "")
    with open_cluster(workers if workers is not None or scheduler else 0, scheduler) as cluster:
        stats = write_report(plan, cluster, Progress(default_mode(as_json)))
    if as_json:
        _print_json(stats)
    else:
        show(stats, results())


@app.command(name="verify")
def verify_command(
    folder: Folder, workers: Workers = None, scheduler: Scheduler = None, as_json: AsJson = False
) -> None:
    """Prove that an output folder is complete and intact; names what is wrong and leaves with code 3."""
    from curation.cluster import open_cluster
    from curation.jobs.plan import open_plan
    from curation.jobs.verify import verify

    plan = open_plan(folder)
    with open_cluster(workers if workers is not None or scheduler else 0, scheduler) as cluster:
        wrong = list(verify(plan, cluster))
    if as_json:
        _print_json({"intact": not wrong, "wrong": wrong})
    else:
        print("\n".join(wrong) if wrong else "complete and intact")
    raise typer.Exit(3 if wrong else 0)


@app.command(name="explain")
def explain_command(
    folder: Folder,
    key: Annotated[str, typer.Argument(metavar="ID|URL", help="A document's id (its WARC-Record-ID) or URL.")],
    as_json: AsJson = False,
) -> None:
    """Show a document's path: every value measured, every threshold, the verdict, the duplicate it lost to."""
    from curation.jobs.explain import as_plain, explain, show
    from curation.jobs.plan import open_plan
    from curation.jobs.progress import results

    explanations = explain(open_plan(folder), key)
    if as_json:
        _print_json([as_plain(explanation) for explanation in explanations])
    else:
        for explanation in explanations:
            show(explanation, results())


@recipes.command(name="list")
def recipe_list() -> None:
    """The built-in recipes."""
    from curation.recipe import built_in, load

    for name in built_in():
        print(f"{name}: {load(name).description}")


@recipes.command(name="show")
def recipe_show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE")],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """A recipe with every key and its value, defaults filled in, as TOML that can be saved and edited."""
    from curation.recipe import load, to_toml

    resolved = load(name, settings or []).resolved()
    if as_json:
        _print_json(resolved)
    else:
        print(to_toml(resolved), end="")


@recipes.command(name="diff")
def recipe_diff(
    left: Annotated[str, typer.Argument(metavar="A", help="Recipe name, TOML file, or output folder of a run.")],
    right: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    as_json: AsJson = False,
) -> None:
    """Keys in which two recipes, or the recipes of two runs, differ."""
    from curation.jobs.plan import differences, resolve

    found = differences(resolve(left), resolve(right))
    if as_json:
        _print_json(found)
    else:
        print("\n".join(found) if found else "no difference")


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))


def main() -> None:
    """Run the command line; an error leaves with its exit code, one that nobody foresaw with 3 and its traceback."""
    try:
        app()
    except CurationError as error:
        print(f"curate: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception:  # an uncaught exception would leave with 1, which means "finished, some input quarantined"
        traceback.print_exc()
        sys.exit(CurationError.exit_code)


if __name__ == "__main__":
    main()
