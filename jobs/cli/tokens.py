"""Commands about the tokenizer and the tokens: how well it fits, and exports for other trainers.

Heavy modules are imported by the commands that need them, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from curation.jobs.cli.options import AsJson, InspectWorkers, RunFolder, Scheduler, print_json, show_value

app = typer.Typer()


@app.command(name="tokenizer-report", rich_help_panel="Tokens")
def tokenizer_report_command(
    folder: RunFolder,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Another tokenizer.json to compare with, a path or any fsspec URL. Repeatable."
        ),
    ] = None,
    sample: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the documents to measure, up to 1, by a hash of their ids.")
    ] = 1.0,
    workers: InspectWorkers = 0,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Show how well the tokenizer fits the corpus: bytes per token by language and domain, unused vocabulary."""
    from curation.jobs.inspect.tokenizer_report import show, tokenizer_report
    from curation.running.cluster import open_cluster
    from curation.store.folder import Folder

    with open_cluster(workers, scheduler) as cluster:
        report = tokenizer_report(Folder(folder), against or [], sample, cluster)
    show_value(report, as_json, dict, show)


@app.command(name="export", rich_help_panel="Tokens")
def export_command(
    folder: RunFolder,
    to: Annotated[str, typer.Option(metavar="DIR", help="Folder to write to: a path or any fsspec URL.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="megatron|bin|nanogpt|llmc|olmo|mds|litdata|jsonl",
            help="Format of Megatron-LM, nanoGPT, llm.c, OLMo-core, mosaicml-streaming (mds) or litdata; or bare ids "
            "(bin), or JSON Lines.",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(metavar="train|validation", help="Split to export.", show_default="every split of the run"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export the tokens for another trainer, in the same order."""
    from curation.jobs.inspect.export import export_splits

    outputs = export_splits(folder, to, form, split)
    if as_json:
        print_json([asdict(output) for output in outputs])
    else:
        for output in outputs:
            documents = f", {output.rows:,} documents" if output.rows else ""
            print(f"{output.path}: {output.bytes:,} bytes{documents}")
