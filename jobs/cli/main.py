"""The command line. Results go to stdout, everything else to stderr; exit codes are those of curation.errors.

Heavy modules are imported by the commands that need them, so that `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer

from curation import __version__
from curation.errors import CurationError, UsageError
from curation.extraction.acceleration.patches import NotAccelerated
from curation.jobs.cli import estimate as estimate
from curation.jobs.cli import inspect, tokens
from curation.jobs.cli.options import AsJson, Inputs, Out, RecipeName, Scheduler, Settings, Update, Workers
from curation.jobs.cli.recipes import recipes

app = typer.Typer(
    name="curate",
    help="From web-crawl dumps to a pretraining corpus, a tokenizer and packed token shards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    from curation.jobs.steps.run import run_steps

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
    from curation.jobs.steps.run import STEPS, check_steps

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
    from curation.store.folder import Folder

    extra = [f"dedup.against={json.dumps([Folder(url).url for url in against])}"] if against else []
    extra += [f"dedup.mode={mode}"] if mode else []
    request = _request(out, inputs, recipe, [*(settings or []), *extra], workers, scheduler, update, as_json)
    _run(("dedup",), {**request, "update": update or bool(extra)})


_step_command("train-tokenizer", "Train the byte-level BPE tokenizer on the corpus.")
_step_command("tokenize", "Encode the corpus, shuffle, and pack it into token shards.")


app.add_typer(inspect.app)
app.add_typer(estimate.app)
app.add_typer(tokens.app)
app.add_typer(recipes, name="recipe")


class Interrupt(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which would leave with 1: "finished, some input quarantined"."""


def _interrupt(number: int, frame: object) -> None:
    """Let every `with` block on the way out close what it holds; a second signal ends the process at once."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    raise Interrupt(f"stopped by {signal.Signals(number).name}")


def main() -> None:
    """Run the command line; an error leaves with its exit code, one that nobody foresaw with 3 and its traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    warnings.simplefilter("ignore", NotAccelerated)  # the filter step says it in the form of its progress
    try:
        app()
    except Interrupt as error:
        print(f"curate: {error}; what is finished is kept, the same command goes on from there", file=sys.stderr)
        sys.exit(CurationError.exit_code)
    except CurationError as error:
        print(f"curate: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception:  # an uncaught exception would leave with 1, which means "finished, some input quarantined"
        traceback.print_exc()
        sys.exit(CurationError.exit_code)


if __name__ == "__main__":
    main()
