"""The commands about quality models.

Heavy modules are imported by the commands, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from curation.jobs.cli.options import AsJson, show_value

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()

_SOURCES = "Run folders, folders, Parquet, JSON Lines (plain, gzip, zstd) or text files with one document per line."

Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="LABEL",
        help="Label of a fastText model that counts as good. Repeatable: their probabilities add up.",
        show_default="those on the model's card",
    ),
]
ModelFile = Annotated[str, typer.Argument(metavar="MODEL", help="A fastText classifier or a linear model.")]


@app.command(name="calibrate", rich_help_panel="Models")
def calibrate_command(
    model: ModelFile,
    sources: Annotated[list[str], typer.Argument(metavar="CORPUS", help=_SOURCES)],
    label: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Score a corpus with a quality model and store the quantiles beside it, for thresholds by percentile."""
    from curation.quality.calibrate import calibrate

    show_value(calibrate(model, sources, label or []), as_json, dict, _show_calibration)


def _show_calibration(result: dict[str, Any], console: Console) -> None:
    console.print(f"{result['documents']:,} documents; score at each percentile:")
    for percent, score in result["percentiles"].items():
        console.print(f"  {percent:>3} %  {score:.4f}")
    for language, documents in result["languages"].items():
        console.print(f"  own quantiles for {language}: {documents:,} documents")
    console.print(f"{result['card']}: written. Use it: --set quality.min_percentile=50")
