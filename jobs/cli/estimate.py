"""The command `curate estimate`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from curation.jobs.cli.options import (
    LogFile,
    Prefix,
    ProgressAsJson,
    Quiet,
    RequiredInputs,
    Settings,
    Verbose,
    print_json,
    recipe_option,
    workers_option,
)

app = typer.Typer()


@app.command(name="estimate", rich_help_panel="Run")
def estimate_command(
    inputs: RequiredInputs,
    recipe: Annotated[str, recipe_option(shown=True)] = "fineweb",
    settings: Settings = None,
    prefix: Prefix = "",
    workers: Annotated[
        int | None, workers_option("one per core", "Number of workers to project wall time for.", 1)
    ] = None,
    sample_bytes: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Bytes to sample.", show_default="64 MiB")
    ] = None,
    sample_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of all bytes to sample, above 0 and at most 1. Mutually exclusive with --sample-bytes.",
        ),
    ] = None,
    files: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Maximum number of inputs to sample from.", show_default="all"),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed for the sample.")] = 0,
    as_json: ProgressAsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Run a sample and project documents, tokens, bytes, hours and memory, with intervals. Writes no output."""
    from curation.archives.path_lists import expand_lists
    from curation.jobs.inspect.estimate.estimate import measure
    from curation.jobs.inspect.estimate.projection import project
    from curation.jobs.inspect.estimate.sampling import sampling_of
    from curation.jobs.inspect.estimate.view import show
    from curation.jobs.steps.progress import ProgressOptions, results
    from curation.recipes.recipe import load
    from curation.running.cluster import cores

    progress = ProgressOptions(as_json, quiet, verbose, log_file).open()
    words = list(expand_lists(inputs, prefix))
    read = load(recipe, settings or []).table("read")
    request = sampling_of(words, read, sample_bytes, sample_share, files, seed)
    found, chosen, _ = measure(words, recipe, settings or [], request, progress)
    projection = project(found, workers or cores())
    if as_json:
        print_json({"recipe": chosen.name, **asdict(projection)})
    else:
        show(projection, chosen.name, results())
    raise typer.Exit(1 if projection.quarantined else 0)
