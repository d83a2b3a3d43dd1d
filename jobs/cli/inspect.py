"""Commands that look at a run and change none of its results.

Heavy modules are imported by the commands that need them, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curation.errors import UsageError
from curation.jobs.cli.options import (
    AsJson,
    InspectWorkers,
    LogFile,
    ProgressAsJson,
    Quiet,
    RunFolder,
    Scheduler,
    Settings,
    TrustCode,
    Verbose,
    show_value,
)

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()


@app.command(name="report", rich_help_panel="Single steps")
def report_command(
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Output folder of a run. Required unless --out is given.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Output folder of a run: instead of DIR, as the other steps take it."
        ),
    ] = None,
    workers: InspectWorkers = 0,
    scheduler: Scheduler = None,
    trust_code: TrustCode = False,
    everything: Annotated[
        bool, typer.Option("--all", metavar="", help="Print all tables, not only the funnel and warnings.")
    ] = False,
    as_json: ProgressAsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Write report/index.html and report/stats.json for a run, finished or not, and print its summary."""
    from curation.jobs.steps.plan import open_plan
    from curation.jobs.steps.progress import ProgressOptions
    from curation.jobs.steps.report.report import show, write_report
    from curation.jobs.steps.report.summary import show_summary
    from curation.running.cluster import open_cluster

    if (folder is None) == (out is None):
        raise UsageError("report takes exactly one folder: curate report DIR")
    plan = open_plan(folder or out or "", trust_code=trust_code)
    with open_cluster(workers, scheduler) as cluster:
        progress = ProgressOptions(as_json, quiet, verbose, log_file).open()
        stats = write_report(plan, cluster, progress)

    def print_stats(stats: dict[str, Any], console: Console) -> None:
        show(stats, console) if everything else show_summary(plan, stats, progress.warnings, console)

    show_value(stats, as_json, dict, print_stats)


@app.command(name="status", rich_help_panel="Inspect a run")
def status_command(folder: RunFolder, as_json: AsJson = False) -> None:
    """Show how far a run is, also while it runs, and from any machine: steps, rate, slow and quarantined inputs."""
    from curation.jobs.inspect.status import run_status, show, to_json

    show_value(run_status(folder), as_json, to_json, show)


@app.command(name="verify", rich_help_panel="Inspect a run")
def verify_command(
    folder: RunFolder,
    workers: InspectWorkers = 0,
    scheduler: Scheduler = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Check that an output folder is complete and intact. Lists every fault, and exits with code 3 if there is one."""
    from curation.jobs.inspect.verify.verify import Verdict, verify
    from curation.jobs.inspect.work_folder import work_folder
    from curation.jobs.steps.plan import open_plan
    from curation.running.cluster import open_cluster

    def show(verdict: Verdict, _: object) -> None:
        print("\n".join(verdict.lines()))
        for note in verdict.notes:
            print(f"note: {note}", file=sys.stderr)

    plan = open_plan(folder, trust_code=trust_code)
    with open_cluster(workers, scheduler) as cluster, work_folder(plan.folder, shared=scheduler is not None) as work:
        verdict = verify(plan, cluster, work)
    show_value(verdict, as_json, Verdict.to_json, show)
    raise typer.Exit(0 if verdict.sound else 3)


@app.command(name="explain", rich_help_panel="Inspect a run")
def explain_command(
    folder: RunFolder,
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|URL|INPUT",
            help="A document's WARC-Record-ID or URL, or an input's path. Required unless --token is given.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="SHARD:ROW:POSITION",
            help="Show a token instead, such as train-00000:12:345, and the document it came from.",
        ),
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", metavar="", help="Also print the text, with what decided marked »like this«.")
    ] = False,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Show why a document was kept or removed: every value, threshold and verdict, and the duplicate kept instead."""
    if (key is None) == (token is None):
        raise UsageError("explain takes either an id, a URL or an input's path, or --token SHARD:ROW:POSITION")
    if text and token is not None:
        raise UsageError("--text is for an id or URL; --token shows the text around the token")
    if key is None:
        _explain_token(folder, token or "", trust_code, as_json)
        return
    from curation.jobs.inspect.explain.explain import explain
    from curation.jobs.inspect.explain.lookup import find_inputs
    from curation.jobs.inspect.explain.view import show, show_inputs, to_json
    from curation.jobs.steps.plan import open_plan

    plan = open_plan(folder, trust_code=trust_code)
    inputs = find_inputs(plan, key)
    if inputs:
        show_value(inputs, as_json, lambda found: [asdict(facts) for facts in found], show_inputs)
    else:
        show_value(explain(plan, key, marks=text), as_json, lambda found: [to_json(one) for one in found], show)


def _explain_token(folder: str, place: str, trust_code: bool, as_json: bool) -> None:
    from curation.jobs.inspect.trace import show, to_json
    from curation.store.folder import Folder
    from curation.tokenize.loading.trace import trace

    show_value(trace(Folder(folder), place, trust_code=trust_code), as_json, to_json, show)


@app.command(name="samples", rich_help_panel="Inspect a run")
def samples_command(
    folder: RunFolder,
    reason: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Only documents removed for this reason, such as min_words, or kept for kept ones."
        ),
    ] = None,
    stage: Annotated[str | None, typer.Option(metavar="STAGE", help="Only documents removed by this stage.")] = None,
    domain: Annotated[str | None, typer.Option(metavar="HOST", help="Only documents of this site.")] = None,
    contains: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only documents with this in their text, in any case.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Number of documents to show.")] = 10,
    text: Annotated[bool, typer.Option("--text", metavar="", help="Show whole texts instead of excerpts.")] = False,
    browse: Annotated[
        bool, typer.Option("--open", metavar="", help="Open the report in a browser, at the samples of the reason.")
    ] = False,
    workers: InspectWorkers = 0,
    scheduler: Scheduler = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Show removed or kept documents with what decided marked; without a filter, list the reasons."""
    from curation.jobs.inspect.samples import (
        Selection,
        choose,
        find,
        open_report,
        reasons_of,
        show,
        show_reasons,
        to_json,
    )
    from curation.jobs.steps.plan import open_plan
    from curation.running.cluster import open_cluster

    plan = open_plan(folder, trust_code=trust_code)
    reasons = choose(plan, reason, stage)
    with open_cluster(workers, scheduler) as cluster:
        if browse:
            print(f"opened {open_report(plan, cluster, reasons)}")
            return
        if reasons is None and domain is None and contains is None:
            show_value(reasons_of(plan), as_json, dict, show_reasons)
            return
        answer = find(plan, Selection(reasons, domain, contains, limit), cluster, whole=text)
    show_value(answer, as_json, to_json, lambda found, console: show(found, console, _proceed))


def _proceed() -> bool:
    """Whether to show the next document: asked on a terminal, always elsewhere."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    print("Enter for the next, q to stop: ", end="", flush=True)
    return not sys.stdin.readline().strip().lower().startswith("q")


@app.command(name="what-if", rich_help_panel="Inspect a run")
def what_if_command(
    folder: RunFolder,
    settings: Settings = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A:B:STEP",
            help="Also change this key to each value from A to B in steps of STEP, and draw what would be kept.",
        ),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", metavar="", help="Measure missing signals from the stored texts: slower, but exact."),
    ] = False,
    workers: InspectWorkers = 0,
    scheduler: Scheduler = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Count what other thresholds (--set) would keep, from stored signals; without --set, what each one removes."""
    from curation.jobs.inspect.what_if import sweep as sweeps
    from curation.jobs.inspect.what_if import thresholds as listing
    from curation.jobs.inspect.what_if.view import show, to_json
    from curation.jobs.inspect.what_if.what_if import what_if
    from curation.jobs.steps.plan import open_plan
    from curation.running.cluster import open_cluster

    if len(sweep or []) > 1:
        raise UsageError("--sweep takes one key; give the others with --set, or sweep them one after the other")
    plan = open_plan(folder, trust_code=trust_code)
    with open_cluster(workers, scheduler) as cluster:
        if sweep:
            curve = sweeps.sweep(plan, sweep[0], settings or [], cluster, measure=measure)
            show_value(curve, as_json, sweeps.to_json, sweeps.show)
            return
        if not settings and not measure:
            show_value(listing.thresholds(plan, cluster), as_json, listing.to_json, listing.show)
            return
        answer = what_if(plan, settings or [], cluster, measure=measure)
    show_value(answer, as_json, to_json, show)


@app.command(name="compare", rich_help_panel="Inspect a run")
def compare_command(
    left: Annotated[str, typer.Argument(metavar="DIR_A", help="Output folder of a run.")],
    right: Annotated[str, typer.Argument(metavar="DIR_B", help="Output folder of the run to compare it with.")],
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Also write the comparison as an HTML page.")] = None,
    workers: InspectWorkers = 0,
    scheduler: Scheduler = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: recipes, funnels, and the documents that only one corpus has, by reason."""
    from curation.jobs.inspect.compare.compare import compare
    from curation.jobs.inspect.compare.view import show, to_json, write_page
    from curation.jobs.inspect.work_folder import work_folder
    from curation.jobs.steps.plan import open_plan
    from curation.running.cluster import open_cluster

    plans = open_plan(left, trust_code=trust_code), open_plan(right, trust_code=trust_code)
    with (
        open_cluster(workers, scheduler) as cluster,
        work_folder(plans[0].folder, shared=scheduler is not None) as work,
    ):
        comparison = compare(*plans, cluster, work)
    if html is not None:
        write_page(comparison, html)
    show_value(comparison, as_json, to_json, show)
