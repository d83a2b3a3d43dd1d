"""Options that several commands take, each stated once."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

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
RunFolder = Annotated[str, typer.Argument(metavar="DIR", help="Output folder of a run.")]


def print_json(value: Any) -> None:
    """Print a result as JSON on stdout; what could steer a terminal is written as an escape of JSON's."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    print("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))
