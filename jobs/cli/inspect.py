"""Commands that ask what a run did and change none of its results.

Heavy modules are imported by the commands that need them, so that `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from curation.errors import UsageError
from curation.jobs.cli.options import AsJson, RunFolder, Scheduler, Settings, Workers, print_json

app = typer.Typer()


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
    """Count what a run did, finished or not: tables here, report/index.html and stats.json in the folder."""
    from curation.jobs.steps.plan import open_plan
    from curation.jobs.steps.progress import Progress, default_mode, results
    from curation.jobs.steps.report.report import show, write_report
    from curation.running.cluster import open_cluster

    if (folder is None) == (out is None):
        raise UsageError("report takes one folder: curate report DIR")
    plan = open_plan(folder or out or "")
    with open_cluster(workers if workers is not None or scheduler else 0, scheduler) as cluster:
        stats = write_report(plan, cluster, Progress(default_mode(as_json)))
    if as_json:
        print_json(stats)
    else:
        show(stats, results())


@app.command(name="verify")
def verify_command(
    folder: RunFolder, workers: Workers = None, scheduler: Scheduler = None, as_json: AsJson = False
) -> None:
    """Prove that an output folder is complete and intact; names what is wrong and leaves with code 3."""
    from curation.jobs.inspect.verify.verify import verify
    from curation.jobs.inspect.work_folder import work_folder
    from curation.jobs.steps.plan import open_plan
    from curation.running.cluster import open_cluster

    plan = open_plan(folder)
    with (
        open_cluster(workers if workers is not None or scheduler else 0, scheduler) as cluster,
        work_folder(plan.folder, shared=scheduler is not None) as work,
    ):
        verdict = verify(plan, cluster, work)
    if as_json:
        print_json(verdict.to_json())
    else:
        print("\n".join(verdict.lines()))
        for note in verdict.notes:
            print(f"note: {note}", file=sys.stderr)
    raise typer.Exit(0 if verdict.sound else 3)


@app.command(name="compare")
def compare_command(
    left: Annotated[str, typer.Argument(metavar="OUT_A", help="Output folder of a run.")],
    right: Annotated[str, typer.Argument(metavar="OUT_B", help="Output folder of another.")],
    html: Annotated[str | None, typer.Option("--html", metavar="FILE", help="Write the same as a page, too.")] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: recipes, funnels, and the documents that one corpus has and the other has not, by reason."""
    from curation.jobs.inspect.compare.compare import compare
    from curation.jobs.inspect.compare.view import show, to_json, write_page
    from curation.jobs.inspect.work_folder import work_folder
    from curation.jobs.steps.plan import open_plan
    from curation.jobs.steps.progress import results
    from curation.running.cluster import open_cluster

    plans = open_plan(left), open_plan(right)
    with (
        open_cluster(workers if workers is not None or scheduler else 0, scheduler) as cluster,
        work_folder(plans[0].folder, shared=scheduler is not None) as work,
    ):
        comparison = compare(*plans, cluster, work)
    if html is not None:
        write_page(comparison, html)
    if as_json:
        print_json(to_json(comparison))
    else:
        show(comparison, results())


@app.command(name="explain")
def explain_command(
    folder: RunFolder,
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|URL", help="A document's WARC-Record-ID or URL, or an input's path.", show_default=False
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="SHARD:ROW:POSITION",
            help="Instead: a token, such as train-00000:12:345, and the document it came from.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a document's path: every value measured, every threshold, the verdict, the duplicate it lost to."""
    if (key is None) == (token is None):
        raise UsageError("explain takes an id, a URL or an input's path, or --token SHARD:ROW:POSITION")
    if key is None:
        _explain_token(folder, token or "", as_json)
        return
    from curation.jobs.inspect.explain.explain import explain
    from curation.jobs.inspect.explain.lookup import find_inputs
    from curation.jobs.inspect.explain.view import show, show_inputs, to_json
    from curation.jobs.steps.plan import open_plan
    from curation.jobs.steps.progress import results

    plan = open_plan(folder)
    inputs = find_inputs(plan, key)
    explanations = [] if inputs else explain(plan, key)
    if as_json:
        print_json([asdict(facts) for facts in inputs] or [to_json(explanation) for explanation in explanations])
    elif inputs:
        show_inputs(inputs, results())
    else:
        show(explanations, results())


def _explain_token(folder: str, place: str, as_json: bool) -> None:
    from curation.jobs.inspect.trace import show, to_json
    from curation.jobs.steps.progress import results
    from curation.store.folder import Folder
    from curation.tokenize.loading.trace import trace

    found = trace(Folder(folder), place)
    if as_json:
        print_json(to_json(found))
    else:
        show(found, results())


@app.command(name="what-if")
def what_if_command(
    folder: RunFolder,
    settings: Settings = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Measure what stored signals leave open, from stored texts: slower, exact."),
    ] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Count what moved thresholds would keep, from stored signals: --set gopher_quality.min_words=80."""
    from curation.jobs.inspect.what_if.view import show, to_json
    from curation.jobs.inspect.what_if.what_if import what_if
    from curation.jobs.steps.plan import open_plan
    from curation.jobs.steps.progress import results
    from curation.running.cluster import open_cluster

    plan = open_plan(folder)
    with open_cluster(workers if workers is not None or scheduler else 0, scheduler) as cluster:
        answer = what_if(plan, settings or [], cluster, measure=measure)
    if as_json:
        print_json(to_json(answer))
    else:
        show(answer, results())
