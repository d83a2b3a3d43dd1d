"""The command that trains the extractor "blocks".

Heavy modules are imported by the command, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curation.jobs.cli.options import AsJson, show_value

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()


@app.command(name="train-extractor", rich_help_panel="Models")
def train_extractor_command(
    gold: Annotated[
        list[Path],
        typer.Argument(
            metavar="GOLD",
            help="Annotated pages: JSON Lines with url, html and main_content (or snippets: with, without), plain or "
            "gzip; and archives with the pages whose lines have no html.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="MODEL", help="File to write the model to, with the ending .npz.")],
    folds: Annotated[
        int, typer.Option(metavar="N", min=0, help="Parts of the domains for cross-validation; 0 skips it.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Train the extractor "blocks" on annotated pages, and measure it on domains it has not seen."""
    from curation.extraction.training.command import train_extractor

    show_value(train_extractor(gold, out, folds), as_json, dict, _show)


def _show(result: dict[str, Any], console: Console) -> None:
    figures = result["cross_validation"]
    if figures:
        console.print(f"{figures['pages']:,} pages of domains that the model had not seen: word F1 {figures['f1']}")
        for kind, (f1, pages) in figures["by_type"].items():
            console.print(f"  {kind or '(no type)':<16} {f1:.3f}  {pages:>6,} pages")
        for name in ("wanted", "unwanted"):
            if figures[f"{name}_snippets"] is not None:
                console.print(f"share of {name} snippets that are in the text: {figures[f'{name}_snippets']}")
    console.print(
        f"{result['model']}: {result['bytes']:,} bytes, SHA-256 {result['sha256']}, from {result['pages']:,} pages"
    )
    if result["without_html"]:
        console.print(f"left out: {result['without_html']:,} annotated pages that have no html and are in no archive")
    console.print(f"Use it: --set extract.extractor=blocks --set extract.blocks_model={result['model']}")
