"""The command `curate decontaminate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curation.errors import UsageError
from curation.jobs.cli.options import (
    ProgressAsJson,
    Scheduler,
    Settings,
    TrustCode,
    Workers,
    print_json,
)

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()


@app.command(name="decontaminate", rich_help_panel="Single steps")
def decontaminate_command(
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Output folder of a run, whose corpus is made again without the items; or a new folder, with CORPUS.",
        ),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVALS",
            help="File or folder of benchmark items, JSON Lines or Parquet, with question, answer, passage, choices. "
            "Fields with other names: FILE#question=NAME&answer=NAME. Repeatable.",
            show_default="those of the run's recipe",
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Parquet, JSON Lines or text files, or folders of them, to decontaminate into DIR.",
            show_default="the run in DIR",
        ),
    ] = None,
    plant: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=1_000_000,
            help="Instead, plant N items into copies of the documents and print recall by kind, and precision. Writes "
            "nothing.",
            show_default="no measurement",
        ),
    ] = None,
    settings: Settings = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    trust_code: TrustCode = False,
    as_json: ProgressAsJson = False,
) -> None:
    """Find benchmark items in documents: drop the document, cut the item out, or mark it."""
    from curation.store.folder import Folder
    from curation.store.paths import RUN

    chosen = [*([f"decontaminate.against={json.dumps(against)}"] if against else []), *(settings or [])]
    is_run = Folder(out).exists(RUN)
    if not corpus and not is_run:
        raise UsageError(f"{out} holds no run: name a CORPUS to decontaminate into it")
    if plant is not None:
        from curation.jobs.inspect.recall import measure_recall, show
        from curation.jobs.steps.progress import results

        result = measure_recall(corpus or [out], _matcher(out, is_run and not corpus, chosen, trust_code), plant)
        print_json(result) if as_json else show(result, results())
        return
    if corpus:
        shards, code = _files(corpus, out, chosen, workers, scheduler, as_json), 0
    else:
        shards, code = _run(out, chosen, workers, scheduler, trust_code, as_json)
    from curation.jobs.steps.progress import results
    from curation.jobs.steps.report.contamination import contamination

    found = contamination(Folder(out), shards)
    print_json(found) if as_json else _show(found, results())
    raise typer.Exit(code)


def _matcher(out: str, is_run: bool, settings: list[str], trust_code: bool) -> Any:
    """The settings of decontamination, from the run's recipe or the defaults, and the options."""
    from curation.jobs.steps.plan import make_plan
    from curation.recipes.recipe import load

    recipe = make_plan([], out, None, settings, update=True, trust_code=trust_code).recipe if is_run else None
    table = (recipe or load("fineweb", settings)).table("decontaminate")
    if table.is_off:
        raise UsageError("name files of benchmark items with --against")
    return table


def _files(
    corpus: list[str], out: str, settings: list[str], workers: int | None, scheduler: str | None, as_json: bool
) -> list[str]:
    from curation.jobs.steps.decontaminate_files import decontaminate_files
    from curation.jobs.steps.progress import Progress, default_mode
    from curation.running.cluster import open_cluster

    matcher, progress = _matcher(out, False, settings, False), Progress(default_mode(as_json))
    with open_cluster(workers, scheduler, warned=progress.warn) as cluster:
        return decontaminate_files(corpus, out, matcher, cluster, progress)


def _run(
    out: str, settings: list[str], workers: int | None, scheduler: str | None, trust_code: bool, as_json: bool
) -> tuple[list[str], int]:
    from curation.jobs.steps.run import run_commands
    from curation.store.folder import Folder
    from curation.store.manifest import fingerprints

    _matcher(out, True, settings, trust_code)
    code = run_commands(
        ("dedup",), out, [], None, settings, workers, scheduler, update=True, as_json=as_json, trust_code=trust_code
    )
    return sorted(fingerprints(Folder(out), "corpus")), code


def _show(found: dict[str, Any], console: Console) -> None:
    from curation.jobs.steps.report.contamination import tables

    if not found:
        console.print("no benchmark item was found")
    for table in tables(found):
        console.print(table)
