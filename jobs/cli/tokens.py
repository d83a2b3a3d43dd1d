"""Commands about the tokenizer, the tokens and the corpus: how well it fits, exports, what a training step saw.

Heavy modules are imported by the commands that need them, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from curation.errors import UsageError
from curation.jobs.cli.options import AsJson, InspectWorkers, RunFolder, Scheduler, TrustCode, print_json, show_value
from curation.running.terminal import one_line

if TYPE_CHECKING:
    from curation.store.shards import Output

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

    _print_outputs(export_splits(folder, to, form, split), as_json)


@app.command(name="export-corpus", rich_help_panel="Tokens")
def export_corpus_command(
    folder: RunFolder,
    to: Annotated[str, typer.Option(metavar="DIR", help="New folder to write to: a path or any fsspec URL.")],
    form: Annotated[
        str,
        typer.Option("--format", "-f", metavar="parquet|jsonl", help="Parquet, or JSON Lines compressed with zstd."),
    ] = "parquet",
    by: Annotated[
        str,
        typer.Option(
            metavar="shard|language", help="One file per shard, or folders language=en and so on with one per shard."
        ),
    ] = "shard",
    workers: InspectWorkers = 0,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Export the documents of the corpus, as JSON Lines or by language."""
    from curation.jobs.inspect.export_corpus import export_corpus
    from curation.running.cluster import open_cluster

    with open_cluster(workers, scheduler) as cluster:
        outputs = export_corpus(folder, to, form, by, cluster)
    _print_outputs(outputs, as_json)


def _print_outputs(outputs: list[Output], as_json: bool) -> None:
    if as_json:
        print_json([asdict(output) for output in outputs])
        return
    for output in outputs:
        documents = f", {output.rows:,} document{'' if output.rows == 1 else 's'}" if output.rows else ""
        print(f"{one_line(output.path)}: {output.bytes:,} bytes{documents}")


@app.command(name="seen", rich_help_panel="Tokens")
def seen_command(
    folder: RunFolder,
    batch_size: Annotated[
        int, typer.Option(metavar="N", min=1, help="Rows per step of all ranks together, as in the loader.")
    ],
    step: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="List the documents of this training step, from 0. Required unless --url is given."
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL|ID", help="List the steps that read this document instead.")
    ] = None,
    rank: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Only the rows of this rank.", show_default="all ranks")
    ] = None,
    world_size: Annotated[int, typer.Option(metavar="N", min=1, help="Number of ranks.")] = 1,
    epoch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Count steps from the beginning of this epoch, as a loader with epochs=1 and set_epoch(N) does.",
            show_default="from the beginning of training",
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Number of epochs to list the steps of.")
    ] = 1,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the loader.")] = 0,
    window: Annotated[int, typer.Option(metavar="N", min=1, help="Row groups that the loader shuffles together.")] = 32,
    no_shuffle: Annotated[
        bool, typer.Option("--no-shuffle", metavar="", help="The loader reads rows in the order of the files.")
    ] = False,
    split: Annotated[str, typer.Option(metavar="train|validation", help="Split that the loader reads.")] = "train",
    workers: InspectWorkers = 0,
    scheduler: Scheduler = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Show which documents a training step reads, or the steps that read a document, from the loader's arguments."""
    if (step is None) == (url is None):
        raise UsageError("seen takes either --step or --url")
    from curation.jobs.inspect.seen import documents_of_step, show_step, show_steps, steps_of_document, to_json
    from curation.running.cluster import open_cluster
    from curation.store.folder import Folder
    from curation.tokenize.loading.loader import TokenLoader

    def loader(number: int) -> TokenLoader:
        return TokenLoader(
            folder,
            batch_size,
            split=split,
            seed=seed,
            window=window,
            shuffle=not no_shuffle,
            rank=number,
            world_size=world_size,
        )

    with open_cluster(workers, scheduler) as cluster:
        if step is not None:
            ranks = [loader(number) for number in ([rank] if rank is not None else range(world_size))]
            found = documents_of_step(Folder(folder), ranks, step, epoch, cluster, trust_code)
        else:
            listed = [epoch] if epoch is not None else range(epochs)
            apart = epoch is not None
            found = steps_of_document(Folder(folder), loader(0), url or "", listed, apart, cluster, trust_code)
            if rank is not None:
                found = replace(found, rows=[row for row in found.rows if row.rank == rank])
    show_value(found, as_json, to_json, show_steps if step is None else show_step)
