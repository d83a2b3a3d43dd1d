"""`curate train-quality`: trains a quality model from good and other documents, and writes its card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console

from curation.errors import InputError, OutputError, UsageError
from curation.quality.model import ALL, Card, file_hash, quantiles_of, write_card
from curation.quality.train import GOOD, Examples, Kind, cross_validate, fasttext_trainer, figures, fit
from curation.recipes.recipe import load
from curation.stages.batch import Batch
from curation.stages.stage import Stage, apply, signal_type
from curation.store import schema
from curation.text.hosts import registered_domain
from curation.text.text_files import read_texts, text_files

NOT_FOR_TEXTS = ("url", "extract", "language", "quality")
"""Stages that do not clean: they need pages, or judge by something else than the text."""
NONE = "none"
LEAST = 20
"""Documents of each class without which nothing is learned."""
LEAST_DOMAINS = 10
"""Domains of each class without which domains cannot be held out."""


@dataclass(slots=True)
class TrainingSide:
    """The documents of one class: texts and domains, and how many were read, were removed, and have no domain."""

    texts: list[str] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    read: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    without_domain: int = 0


def train_quality(
    positive: Sequence[str],
    negative: Sequence[str],
    out: Path,
    kind: Kind,
    recipe: str,
    settings: Sequence[str],
    folds: int,
) -> dict[str, Any]:
    """Train a model, measure it on domains that it has not seen, and write it with its card.

    Args:
        positive: Run folders, folders and files of good documents.
        negative: The same of other documents.
        out: The file to write; replaced only when the model is complete.
        kind: "linear" or "fasttext".
        recipe: The recipe whose stages for texts clean both sides; NONE for none.
        settings: `key=value` for keys of the recipe.
        folds: Parts of the domains for cross-validation.

    Returns:
        `model` (path), `sha256`, `bytes`, `kind`, and by side `documents`, `read`, `removed` (by reason), `domains` and
        `without_domain` (documents without a URL, which count as a domain each); `cross_validation`, of documents that
        are no near-duplicates, with `documents`, `domains`, `auc` and `calibration`.

    Raises:
        UsageError: The model cannot be written under this name, fastText cannot train, or the domains do not suffice.
        InputError: A side cannot be read or has too few documents.
        OutputError: The model cannot be written.
    """
    if not out.parent.is_dir():
        raise OutputError(f"--out {out}: the folder does not exist")
    if out.is_dir():
        raise OutputError(f"--out {out} is a folder: name a file")
    if kind == "fasttext":
        fasttext_trainer()
    stages = cleaning_stages(recipe, settings)
    if any(Path(file).resolve() == out.resolve() for file in text_files([*positive, *negative])):
        raise OutputError(f"--out {out} is a file of documents: name another one")
    sides = {"positive": read_side(positive, stages), "negative": read_side(negative, stages)}
    for name, side in sides.items():
        if len(side.texts) < LEAST:
            lost = f"; of {side.read:,} read, {side.removed.total():,} were removed by the recipe" if side.read else ""
            raise InputError(f"--{name}: {len(side.texts)} documents, and training needs {LEAST}{lost}")
        if len(set(side.domains)) < max(folds, LEAST_DOMAINS):
            raise UsageError(
                f"--{name}: its documents are of {len(set(side.domains))} domains, too few to hold {folds} parts out"
            )
    good, other = sides["positive"], sides["negative"]
    # In the order of their texts, so that the names and the order of files do not matter.
    rows = sorted(
        [(text, domain, True) for text, domain in zip(good.texts, good.domains, strict=True)]
        + [(text, domain, False) for text, domain in zip(other.texts, other.domains, strict=True)]
    )
    texts, domains, labels = zip(*rows, strict=True)
    examples = Examples(pa.array(texts, pa.string()), np.array(labels, np.bool_), np.array(domains, object))
    distinct = examples.without_copies()
    scores = cross_validate(distinct, kind, folds)
    measured = figures(scores, distinct)
    counts = {
        name: {
            "documents": len(side.texts),
            "read": side.read,
            "removed": dict(sorted(side.removed.items())),
            "domains": len(set(side.domains)),
            "without_domain": side.without_domain,
        }
        for name, side in sides.items()
    }
    training = {"kind": kind, "recipe": recipe, "folds": folds, **counts, "cross_validation": measured}
    try:
        partial = out.with_name(f"{out.name}.partial")
        fit(examples, kind, partial)
        sha256, held = file_hash(str(partial)), scores[np.isfinite(scores)]
        quantiles = {ALL: quantiles_of(held)} if len(held) else {}
        # The card first: a model is never seen without its card, and a card without its model is refused.
        write_card(str(out), sha256, Card(() if kind == "linear" else (GOOD,), quantiles, training))
        partial.replace(out)
    except OSError as error:
        raise OutputError(f"--out {out}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return {"model": str(out), "sha256": sha256, "bytes": out.stat().st_size, **training}


def cleaning_stages(recipe: str, settings: Sequence[str]) -> list[tuple[str, Stage]]:
    """The stages of a recipe that judge texts."""
    if recipe == NONE:
        return []
    chosen = load(recipe, settings)
    return [(name, stage) for name, stage in chosen.stages if name not in NOT_FOR_TEXTS]


def read_side(sources: Sequence[str], stages: Sequence[tuple[str, Stage]]) -> TrainingSide:
    """Read and clean the documents of one class; each text counts once."""
    side, seen = TrainingSide(), set()
    signals = signal_type(stages, Batch(pa.RecordBatch.from_pylist([], schema=schema.DOCUMENT)))
    for batch in read_documents(sources):
        applied = apply(stages, Batch(batch), signals)
        side.read += batch.num_rows
        for tally in applied.tallies:
            side.removed.update(
                {f"{tally}.{reason}": count for reason, count in applied.tallies[tally].reasons.items() if count}
            )
        kept = applied.kept
        for text, url, key in zip(*(kept.column(name).to_pylist() for name in ("text", "url", "id")), strict=True):
            if text.strip() and text not in seen:
                seen.add(text)
                side.texts.append(text)
                domain = registered_domain(url) if url else None
                side.domains.append(domain or str(key))
                side.without_domain += not domain
    return side


def read_documents(sources: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The documents of run folders, folders and files, with the columns that stages read."""
    for file in text_files(sources):
        for batch in read_texts(file):
            columns = [
                batch.column(part.name) if part.name in batch.schema.names else pa.nulls(batch.num_rows, part.type)
                for part in schema.DOCUMENT
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema.DOCUMENT)


def show(result: dict[str, Any], console: Console) -> None:
    """Print the figures."""
    for name in ("positive", "negative"):
        side = result[name]
        console.print(
            f"{name}: {side['documents']:,} documents of {side['domains']:,} domains; "
            f"{side['read'] - side['documents']:,} of {side['read']:,} removed by the recipe or as copies"
        )
        if side["without_domain"]:
            console.print(
                f"  {side['without_domain']:,} of them have no URL: each counts as a domain, so the AUC may be too high"
            )
    held = result["cross_validation"]
    console.print(f"AUC {held['auc']} on {held['documents']:,} documents of domains that the model had not seen")
    console.print("score      documents  mean score  share of good ones")
    for each in _rows(held["calibration"]):
        console.print(each)
    console.print(f"{result['model']}: {result['bytes']:,} bytes, SHA-256 {result['sha256']}")
    console.print("Audit it before it removes anything: curate audit-quality MODEL RUN")


def _rows(bins: Iterable[dict[str, Any]]) -> Iterator[str]:
    for each in bins:
        band = f"{each['from']:.1f} to {each['from'] + 0.1:.1f}"
        yield f"{band} {each['documents']:>10,} {each['score']:>11.2f} {each['good']:>19.2f}"
