"""Trains a model from files, and reports its quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curation.errors import OutputError, UsageError
from curation.extraction.blocks.model import model_hash, save
from curation.extraction.training.fit import LabeledPage, Report, cross_validate, prepare, train
from curation.extraction.training.gold import read_gold


def train_extractor(gold: Sequence[Path], out: Path, folds: int) -> dict[str, Any]:
    """Train a model and write it.

    Args:
        gold: Annotated pages (see `read_gold`).
        out: The file to write; replaced only when the model is complete.
        folds: Parts of the domains for cross-validation; 0 skips it.

    Returns:
        `model` (path), `sha256`, `bytes`, `pages`, `without_html` (annotated pages that were not found), and
        `cross_validation` (see `Report.figures`; None if skipped).

    Raises:
        InputError: The annotated pages cannot be read.
        OutputError: The model cannot be written.
        UsageError: LightGBM is not installed, there are too few domains, or nothing to learn.
    """
    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: the name of a model ends in .npz")
    if not out.parent.is_dir():
        raise OutputError(f"--out {out}: the folder does not exist")
    pages, missing = read_gold(gold)
    examples = [prepare(page) for page in pages]
    figures = _measured(examples, folds) if folds else None
    model = train(examples)
    partial = out.with_name(f".{out.name}.partial")
    try:
        save(model, partial)
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"--out {out}: {error.strerror or error}") from error
    return {
        "model": str(out),
        "sha256": model_hash(str(out)),
        "bytes": out.stat().st_size,
        "pages": len(examples),
        "without_html": missing,
        "cross_validation": figures,
    }


def _measured(examples: Sequence[LabeledPage], folds: int) -> dict[str, Any]:
    domains = len({example.domain for example in examples})
    if domains < 2:
        raise UsageError(f"--folds {folds}: all pages are of one domain, so none can be held out: pass --folds 0")
    if not 2 <= folds <= domains:
        raise UsageError(f"--folds {folds}: the pages are of {domains:,} domains, so pass 2 to {domains}, or 0")
    texts, report = cross_validate(examples, folds), Report()
    for example in examples:
        report.add(example.gold, texts[example.gold.url])
    return report.figures()
