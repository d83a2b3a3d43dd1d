"""Options that several commands take, each stated once.

A default that a command works out itself is given as `show_default`: rich would take "[default: …]" in a help text for
markup and drop it. Flags have an empty metavar, because Typer would show `<bool>` although they take no value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from curation.running.terminal import to_json

_INPUT_HELP = (
    "WARC, ARC, WET, Parquet, JSON Lines or text files, folders, globs, fsspec URLs, crawls such as "
    "cc:CC-MAIN-2025-08, or @list.txt with one per line."
)


def recipe_option(shown: str | bool) -> Any:
    """`--recipe`. shown: its default as the help shows it, or True to show the parameter's own."""
    return typer.Option("--recipe", "-r", metavar="NAME|FILE", help="Built-in recipe or TOML file.", show_default=shown)


def workers_option(
    shown: str | bool, use: str = "Worker processes to start here; 0 runs everything in this process.", least: int = 0
) -> Any:
    """`--workers`, of which there are at least `least`. shown: as in recipe_option; use: its help."""
    return typer.Option("--workers", "-w", metavar="N", min=least, help=use, show_default=shown)


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT", help=f"{_INPUT_HELP} Required for a new run.", show_default="the inputs of the run in --out"
    ),
]
RunInputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="The inputs of the run, which need not be given again. The steps before this one are not run: they must "
        "be done.",
        show_default="the inputs of the run in --out",
    ),
]
RequiredInputs = Annotated[list[str], typer.Argument(metavar="INPUT", help=_INPUT_HELP)]
Prefix = Annotated[
    str,
    typer.Option(
        metavar="PATH|URL",
        help="Put before the relative paths in an @list, such as s3://commoncrawl/ for the path list of a crawl.",
        show_default="none",
    ),
]
Out = Annotated[
    str, typer.Option("--out", "-o", metavar="DIR", help="Output folder of the run: a path or any fsspec URL.")
]
RecipeName = Annotated[str | None, recipe_option("the run's own, else fineweb")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Set a key of the recipe, such as language.min_score=0.8; `curate recipe show NAME` lists all keys. "
        "Repeatable.",
    ),
]
Workers = Annotated[int | None, workers_option("one per core")]
InspectWorkers = Annotated[int, workers_option(True)]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS|FILE",
        help="Use a running Dask cluster instead of --workers: its scheduler's address or scheduler file.",
    ),
]
ClusterFile = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="FILE",
        help="Submit workers to Slurm, PBS, SGE or LSF instead, as a TOML file says; `curate cluster check` tries one.",
    ),
]
TaskTimeout = Annotated[
    int | None,
    typer.Option(
        "--task-timeout",
        metavar="SECONDS",
        min=1,
        help="Longest time for one task on a worker, such as for one input. After that its worker is ended and the "
        "task tried again, three times in all.",
    ),
]
Update = Annotated[
    bool, typer.Option("--update", metavar="", help="Accept a changed recipe and redo only the steps it affects.")
]


def against_option(more: str = "") -> Any:
    """`--against`. more: what else its help says."""
    text = "Output folder of an earlier run: remove what it already has, without changing it. Repeatable."
    shown = "none, unless the recipe sets dedup.against"
    return typer.Option(metavar="DIR", help=f"{text}{more}", show_default=shown)


def dedup_mode_option(more: str = "") -> Any:
    """`--mode`. more: what else its help says."""
    text = "Duplicates to remove: of documents in earlier runs (against), within this run (within), or both."
    shown = "both, unless the recipe sets dedup.mode"
    return typer.Option(metavar="both|against|within", help=f"{text}{more}", show_default=shown)


AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print the result as JSON.")]
ProgressAsJson = Annotated[
    bool,
    typer.Option("--json", metavar="", help="Print progress as JSON lines on stderr and any result as JSON on stdout."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Show no progress, only warnings and results.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", metavar="", help="Print a line for every part of a step that is done.")
]
LogFile = Annotated[
    str | None,
    typer.Option("--log-file", metavar="FILE", help="Also append progress and warnings to a file, with times."),
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        metavar="",
        help="Use code, models, files and environment variables that the run's folder names, if any. Only for runs by "
        "people you trust.",
    ),
]
RunFolder = Annotated[str, typer.Argument(metavar="DIR", help="Output folder of a run.")]


def show_value(value: Any, as_json: bool, to_json: Callable[[Any], Any], show: Callable[[Any, Any], None]) -> None:
    """Print a command's result as JSON, or as tables.

    Args:
        value: The result.
        as_json: Whether to print JSON.
        to_json: Converts the result to plain values.
        show: Prints the result to a rich console.
    """
    from curation.jobs.steps.progress import results

    if as_json:
        print_json(to_json(value))
    else:
        show(value, results())


def print_json(value: Any) -> None:
    """Print a result as JSON on stdout."""
    print(to_json(value, indent=1))
