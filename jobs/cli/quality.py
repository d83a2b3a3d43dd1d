"""The commands about quality models.

Heavy modules are imported by the commands, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curation.errors import UsageError
from curation.jobs.cli.options import AsJson, Settings, show_value

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


@app.command(name="train-quality", rich_help_panel="Models")
def train_quality_command(
    positive: Annotated[list[str], typer.Option(metavar="DOCUMENTS", help=f"Good documents. {_SOURCES} Repeatable.")],
    negative: Annotated[list[str], typer.Option(metavar="DOCUMENTS", help="Other documents, given in the same ways.")],
    out: Annotated[
        Path, typer.Option(metavar="MODEL", help="File to write the model to; its card is written beside it.")
    ],
    kind: Annotated[
        str, typer.Option(metavar="linear|fasttext", help="Kind of model; fasttext needs the whole fastText library.")
    ] = "linear",
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", "-r", metavar="NAME|FILE|none", help="Recipe whose stages for texts clean both sides."
        ),
    ] = "fineweb",
    settings: Settings = None,
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Parts of the domains for cross-validation.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Train a quality model from good and other documents, and measure it on domains it has not seen."""
    from curation.jobs.inspect.train_quality import show, train_quality

    if kind not in ("linear", "fasttext"):
        raise UsageError(f"--kind {kind}: must be linear or fasttext")
    chosen: Any = kind
    show_value(train_quality(positive, negative, out, chosen, recipe, settings or [], folds), as_json, dict, show)


@app.command(name="audit-quality", rich_help_panel="Models")
def audit_quality_command(
    model: ModelFile,
    sources: Annotated[list[str], typer.Argument(metavar="RUN", help=_SOURCES)],
    positive: Annotated[
        list[str] | None,
        typer.Option(metavar="DOCUMENTS", help="Documents known to be good. Repeatable.", show_default="no labels"),
    ] = None,
    negative: Annotated[
        list[str] | None,
        typer.Option(metavar="DOCUMENTS", help="Documents known not to be. Repeatable.", show_default="no labels"),
    ] = None,
    label: Labels = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE", min=0, max=1, help="Score at which verdicts are compared.", show_default="the median"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that a quality model follows quality, not source, length, language or formatting, before it removes."""
    from curation.jobs.inspect.audit_quality import audit_quality, show

    result = audit_quality(model, sources, label or [], positive or [], negative or [], threshold)
    show_value(result, as_json, dict, show)
