"""Commands about the batch system that a run submits its workers to."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from curation.jobs.cli.options import AsJson, show_value

app = typer.Typer(no_args_is_help=True, help="Try the batch system that workers are submitted to.")


@app.command(name="check")
def check_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="TOML file of the batch system, as for `curate run`.")],
    as_json: AsJson = False,
) -> None:
    """Submit one worker, wait until it has answered, and show what it has. Exits with code 3 if none comes."""
    from curation.jobs.inspect.check_worker import check_worker, show
    from curation.jobs.steps.job_queue import read_job_queue

    queue = read_job_queue(file)
    one = replace(queue, minimum=1, maximum=1)
    show_value(check_worker(one.options(file)), as_json, dict, show)
