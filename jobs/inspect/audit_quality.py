"""`curate audit-quality`: audits a model on a corpus and writes the findings on its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console

from curation.errors import InputError
from curation.quality.audit import LEAST, AuditDocuments, audit
from curation.quality.calibrate import open_model, save_card
from curation.report.tables import FittedTable
from curation.running.terminal import one_line
from curation.text.hosts import registered_domain
from curation.text.text_files import read_texts, text_files

MOST = 50_000
"""Documents of the corpus that are read, at most."""


def audit_quality(
    path: str,
    sources: Sequence[str],
    labels: Sequence[str],
    positive: Sequence[str],
    negative: Sequence[str],
    threshold: float | None,
) -> dict[str, Any]:
    """Audit a model and store the findings on its card, next to what is there.

    Args:
        path: The model.
        sources: Run folders, folders and files of documents.
        labels: Labels of a fastText model that count as good.
        positive: Documents known to be good, audited too.
        negative: Documents known not to be.
        threshold: The score at which verdicts are compared; None takes the median.

    Returns:
        The result of `curation.quality.audit.audit`, and `model` and `sha256`.

    Raises:
        UsageError: The model cannot be used.
        InputError: The documents cannot be read, or are too few.
        OutputError: The card cannot be written.
    """
    model = open_model(path, labels)
    parts = [_read(sources, np.nan, MOST), _read(positive, 1.0, MOST), _read(negative, 0.0, MOST)]
    documents = AuditDocuments(
        pa.array([text for part in parts for text in part.texts.to_pylist()], pa.string()),
        [name for part in parts for name in part.names],
        [name for part in parts for name in part.sources],
        [name for part in parts for name in part.languages],
        np.concatenate([part.good for part in parts]),
    )
    if len(documents.names) < LEAST:
        raise InputError(f"{', '.join(sources)}: {len(documents.names)} documents, and an audit needs {LEAST}")
    result = audit(model, documents, threshold)
    save_card(model, replace(model.card, labels=model.labels, audit=result))
    return {"model": path, "sha256": model.sha256, **result}


def _read(sources: Sequence[str], label: float, most: int) -> AuditDocuments:
    texts: list[str] = []
    names: list[str] = []
    origins: list[str] = []
    languages: list[str] = []
    for file in text_files(sources) if sources else ():
        for batch in read_texts(file):
            for row in batch.to_pylist():
                texts.append(row["text"])
                names.append(row["url"] or row["id"])
                origins.append((row["url"] and registered_domain(row["url"])) or file)
                languages.append(row["language"] or "")
        if len(texts) >= most:
            break
    texts, names, origins, languages = texts[:most], names[:most], origins[:most], languages[:most]
    return AuditDocuments(pa.array(texts, pa.string()), names, origins, languages, np.full(len(texts), label))


def findings_table(title: str, findings: Sequence[dict[str, Any]]) -> FittedTable:
    """The findings of an audit."""
    table = FittedTable("finding", "value", "limit", "result", "limit from", title=title, left=(0, 3, 4))
    for each in findings:
        value = "-" if each["value"] is None else f"{each['value']:.3f}"
        result = "failed" if each["failed"] else "not measured" if each["value"] is None else "passed"
        limit = f"{'at least' if each['below'] else 'at most'} {each['limit']:g}"
        table.add_row(one_line(each["text"]), value, limit, result, one_line(each["source"]))
    return table


def show(result: dict[str, Any], console: Console) -> None:
    """Print the findings, and what the model likes most and least."""
    console.print(
        f"{result['documents']:,} documents of {result['sources']:,} sources, "
        f"verdicts at score {result['threshold']:.4f}"
    )
    if result["auc"] is not None:
        console.print(f"AUC {result['auc']} on the labeled documents")
    console.print(findings_table("Findings", result["findings"]))
    for note in result["notes"]:
        console.print(f"note: {note}")
    table = FittedTable("score", "most liked", "score", "least liked", title="Samples", left=(1, 3))
    for most, least in zip(result["samples"]["most"], result["samples"]["least"], strict=True):
        cells = (f"{most['score']:.3f}", _short(most), f"{least['score']:.3f}", _short(least))
        table.add_row(*cells)
    console.print(table)
    failed = ", ".join(result["failed"])
    console.print(f"The audit failed: {failed}." if failed else "The audit passed.")


def _short(sample: dict[str, Any]) -> str:
    return one_line(f"{sample['name']}: {sample['text']}")[:100]
