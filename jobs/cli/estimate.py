"""The command `curate estimate`."""

from __future__ import annotations

from typing import Annotated

import typer

from curation.jobs.cli.options import AsJson, Inputs, RecipeName, Settings, print_json

app = typer.Typer()


@app.command(name="estimate")
def estimate_command(
    inputs: Inputs,
    recipe: RecipeName = None,
    settings: Settings = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="For how many workers to tell the time. [default: cores]"),
    ] = None,
    sample_bytes: Annotated[
        int | None, typer.Option("--sample-bytes", min=1, help="Bytes of archives to read. [default: 64 MiB]")
    ] = None,
    sample_share: Annotated[
        float | None, typer.Option("--sample-share", help="The same as a share of all, such as 0.01.")
    ] = None,
    files: Annotated[
        int | None, typer.Option("--files", min=1, help="Inputs to read from at most. [default: all may be drawn]")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run a sample and foretell documents, tokens, bytes, hours and memory, with intervals. Writes nothing."""
    from curation.jobs.inspect.estimate.estimate import measure
    from curation.jobs.inspect.estimate.projection import project
    from curation.jobs.inspect.estimate.sampling import sampling_of
    from curation.jobs.inspect.estimate.view import show
    from curation.jobs.steps.progress import Progress, default_mode, results
    from curation.running.cluster import cores

    wanted = sampling_of(inputs or [], sample_bytes, sample_share, files, seed)
    found, chosen, _ = measure(inputs or [], recipe, settings or [], wanted, Progress(default_mode(as_json)))
    told = project(found, workers or cores())
    if as_json:
        print_json({"recipe": chosen.name, **told.to_json()})
    else:
        show(told, chosen.name, results())
    raise typer.Exit(1 if told.quarantined else 0)
