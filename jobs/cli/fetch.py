"""The command `curate fetch`.

Heavy modules are imported by the command, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from curation.archives.commoncrawl.addresses import CONTACT_VARIABLE
from curation.errors import UsageError
from curation.jobs.cli.options import (
    LogFile,
    ProgressAsJson,
    Quiet,
    Scheduler,
    Settings,
    Verbose,
    print_json,
    recipe_option,
    workers_option,
)

if TYPE_CHECKING:
    from rich.console import Console

    from curation.jobs.steps.fetch.fetch import FetchResult

app = typer.Typer()

NOT_FOUND_SHOWN = 10
"""Entries of a list of addresses without a record that are printed; `--json` has all."""


@app.command(name="fetch", rich_help_panel="Run")
def fetch_command(
    crawls: Annotated[
        list[str],
        typer.Argument(metavar="CRAWL", help="Crawls, such as cc:CC-MAIN-2025-08 or cc:latest, or segments of one."),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="DIR", help="Folder for the WARC files: a path or any fsspec URL.")
    ],
    where: Annotated[
        str,
        typer.Option(
            metavar="EXPRESSION",
            help="Condition on the columns of the index, in SQL, such as \"content_languages = 'deu'\".",
            show_default="none",
        ),
    ] = "",
    urls: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Fetch what is listed: an address or a domain per line, plain or gzip.",
            show_default="no list",
        ),
    ] = None,
    recipe: Annotated[str, recipe_option(shown=True)] = "fineweb",
    settings: Settings = None,
    file_size: Annotated[
        int,
        typer.Option(metavar="MB", min=1, help="Size of a WARC file in megabytes; each becomes one shard of a run."),
    ] = 250,
    rate: Annotated[float, typer.Option(metavar="N", min=0.01, help="Maximum number of requests per second.")] = 10.0,
    parallel: Annotated[int, typer.Option(metavar="N", min=1, help="Maximum number of requests at once.")] = 8,
    contact: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            envvar=CONTACT_VARIABLE,
            help="Your e-mail address or web page, sent with every request, so that you can be reached.",
            show_default="none",
        ),
    ] = "",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            metavar="",
            help="Only choose the records, and print their number, bytes, requests and about how long it takes.",
        ),
    ] = False,
    workers: Annotated[int | None, workers_option("one per core, at most --parallel")] = None,
    scheduler: Scheduler = None,
    as_json: ProgressAsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Fetch records of a crawl that are chosen in its index, into WARC files for `curate run`. A rerun resumes."""
    from curation.archives.commoncrawl.client import RequestSettings
    from curation.archives.http_requests import is_contact
    from curation.jobs.steps.fetch.fetch import fetch, make_request
    from curation.jobs.steps.progress import ProgressOptions, results
    from curation.running.cluster import cores, open_cluster
    from curation.store.folder import Folder

    if workers is not None and scheduler is not None:
        raise UsageError("--workers and --scheduler are mutually exclusive")
    if not is_contact(contact):
        raise UsageError(f"--contact {contact}: only printable ASCII characters can be sent")
    if contact:  # for requests that choose no records, such as for the list of crawls
        os.environ[CONTACT_VARIABLE] = contact
    progress = ProgressOptions(as_json, quiet, verbose, log_file).open()
    request = make_request(crawls, where, urls, recipe, settings or [], file_size * 1_000_000)
    count = min(cores(), parallel) if workers is None else workers
    if count and Folder(out).is_in_memory:
        raise UsageError(f"{out} is in the memory of this process, which workers do not share; pass --workers 0")

    def started(number: int, dashboard: str) -> None:
        progress.note(f"{number} workers, dashboard {dashboard}")

    with open_cluster(count, scheduler, started, progress.warn) as cluster:
        number = max(1, cluster.workers if scheduler else count)
        result = fetch(request, out, RequestSettings(rate, parallel, contact), cluster, number, progress, dry_run)
    print_json(result.to_json()) if as_json else _show(result, results())
    raise typer.Exit(result.exit_code)


def _show(result: FetchResult, console: Console) -> None:
    """Print a result."""
    for line in _lines(result):
        console.print(line, soft_wrap=True, markup=False)


def _lines(result: FetchResult) -> Iterator[str]:
    found = result.found
    removed = f" ({_counts(found.removed)})" if found.removed else ""
    yield f"matches    {found.matches:,} records, {sum(found.removed.values()):,} removed{removed}"
    if result.not_found:
        more = ", …" if len(result.not_found) > NOT_FOUND_SHOWN else ""
        yield f"not found  {len(result.not_found):,} of the list: {', '.join(result.not_found[:NOT_FOUND_SHOWN])}{more}"
    yield f"plan       {result.plan.describe()}"
    for entry in found.quarantined:
        yield f"unreadable {entry['path']}: {entry['cause']}"
    if result.written is not None:
        lost = f", {sum(result.lost.values()):,} lost ({_counts(result.lost)})" if result.lost else ""
        yield f"written    {result.written:,} records{lost}"
        failed = f", {sum(result.failures.values()):,} failed ({_counts(result.failures)})" if result.failures else ""
        yield f"requests   {result.requests:,}{failed}; {result.received:,} bytes received, the index included"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{cause} {count:,}" for cause, count in sorted(counts.items()))
