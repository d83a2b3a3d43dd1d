"""Commands about tokenizer and tokens: how well the one fits, and the others in the formats of other trainers.

Heavy modules are imported by the commands that need them, so that `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from curation.jobs.cli.options import AsJson, RunFolder, Scheduler, Workers, print_json

app = typer.Typer()


@app.command(name="tokenizer-report")
def tokenizer_report_command(
    folder: RunFolder,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="Another tokenizer.json, a path or any fsspec URL, measured on the same documents. Repeatable.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        float, typer.Option("--sample", metavar="SHARE", help="Share of the documents to measure on, by a hash of ids.")
    ] = 1.0,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Show how well the tokenizer fits the corpus: bytes a token by language and domain, vocabulary never used."""
    from curation.jobs.inspect.tokenizer_report import show, tokenizer_report
    from curation.jobs.steps.progress import results
    from curation.running.cluster import open_cluster
    from curation.store.folder import Folder

    with open_cluster(workers if workers is not None or scheduler else 0, scheduler) as cluster:
        report = tokenizer_report(Folder(folder), against or [], sample, cluster)
    if as_json:
        print_json(report)
    else:
        show(report, results())


@app.command(name="export")
def export_command(
    folder: RunFolder,
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="RunFolder to write to: a path or any fsspec URL.")],
    form: Annotated[
        str,
        typer.Option("--format", "-f", metavar="NAME", help="megatron (.bin, .idx), bin (nanoGPT) or llmc (llm.c)."),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME", help="train or validation. [default: each there is]", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the tokens, in the same order and without padding, in a format that another trainer reads."""
    from curation.jobs.inspect.export import export_splits

    outputs = export_splits(folder, to, form, split)
    if as_json:
        print_json([asdict(output) for output in outputs])
    else:
        for output in outputs:
            documents = f", {output.rows:,} documents" if output.rows else ""
            print(f"{output.path}: {output.bytes:,} bytes{documents}")
