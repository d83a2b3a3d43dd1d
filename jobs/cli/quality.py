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
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A fastText classifier or a linear model.", show_default="none"),
    ] = None,
    sources: Annotated[list[str] | None, typer.Argument(metavar="CORPUS", help=_SOURCES, show_default="none")] = None,
    label: Labels = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXTS",
            help="Good texts in English and other languages, given in the same ways; instead of MODEL. Repeatable.",
            show_default="none",
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", metavar="NAME|FILE", help="Recipe whose thresholds --reference adapts.")
    ] = "fineweb",
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STAGE.RULE=METHOD",
            help="How to adapt a rule: mean-std, quantile, 10-tail, median-ratio or english. Repeatable.",
            show_default="one for each adapted rule",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Recipe to write with --reference.", show_default="none"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Store a quality model's quantiles, or with --reference adapt a recipe's thresholds to languages of good texts."""
    if reference:
        from curation.jobs.inspect.reference_thresholds import derive_thresholds, show

        if model is not None or label:
            raise UsageError("--reference and a MODEL with its --label are mutually exclusive")
        if out is None:
            raise UsageError("--reference needs --out FILE.toml, the recipe to write")
        show_value(derive_thresholds(reference, recipe, method or [], out), as_json, dict, show)
        return
    if model is None or not sources:
        raise UsageError("name a MODEL and a CORPUS, or good texts with --reference")
    if out is not None or method:
        raise UsageError("--out and --method are only for --reference")
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
