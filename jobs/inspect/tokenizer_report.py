"""`curate tokenizer-report`: how well the run's tokenizer fits its corpus, compared with any other tokenizer.json.

The run's own numbers are in tokenizer/report.json once the corpus is encoded. Other tokenizers are measured here on the
same documents, one task per group of shards.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
from rich.console import Console

from curation.errors import InputError, ParameterError
from curation.report.tables import FittedTable
from curation.running.cluster import Cluster
from curation.running.terminal import one_line
from curation.store.folder import Folder
from curation.store.hashing import hash_strings
from curation.store.paths import CORPUS, TOKENIZER, TOKENIZER_REPORT
from curation.store.shards import read_shard
from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.encoding.measure import COLUMNS, CorpusCounter, CorpusCounts, no_counts
from curation.tokenize.encoding.tokenizer_fit import describe_fit

TASKS_PER_WORKER = 4
SHOWN, LONGEST_SHOWN = 12, 8
_SAMPLE_SEED = 0x73616D706C65
"""Seed of the hash of ids that selects the sample."""


@dataclass(frozen=True, slots=True)
class MeasureTask:
    """Shards of a corpus to encode with one tokenizer.

    Attributes:
        folder: Output folder of the run.
        shards: Names of the corpus shards.
        definition: Content of tokenizer.json, because workers may not be able to read the file.
        sample: Share of the documents to encode.
    """

    folder: Folder
    shards: tuple[str, ...]
    definition: bytes
    sample: float


@lru_cache(maxsize=1)
def _encoder(definition: bytes) -> Encoder:
    return Encoder(definition)


def measure_shards(task: MeasureTask) -> CorpusCounts:
    """Encode the shards, or the sample of their documents, and count."""
    encoder = _encoder(task.definition)
    measured = no_counts(encoder.vocabulary)
    for shard in task.shards:
        counter = CorpusCounter(encoder.vocabulary)
        for batch in read_shard(task.folder, CORPUS.path(shard), ["id", *COLUMNS]):
            documents = _sample(batch, task.sample)
            counter.add(documents, encoder(documents.column("text")))
        measured += counter.total()
    return measured


def _sample(batch: pa.RecordBatch, sample: float) -> pa.RecordBatch:
    if sample == 1:
        return batch
    bound = np.uint64(min(int(sample * 2**64), 2**64 - 1))
    return batch.filter(pa.array(hash_strings(batch.column("id"), _SAMPLE_SEED) < bound))


def tokenizer_report(folder: Folder, against: Sequence[str], sample: float, cluster: Cluster) -> dict[str, Any]:
    """Report on the run's tokenizer and on others, on the same documents.

    Args:
        folder: Output folder of the run.
        against: Other tokenizer.json files, as paths or fsspec URLs.
        sample: Share of the documents to measure, chosen by a hash of their ids.
        cluster: Where to measure.

    Returns:
        {"sample": …, "tokenizers": {name: report}}.

    Raises:
        ParameterError: `sample` is not above 0 and at most 1.
        InputError: There is no tokenizer, corpus or file, or a file is not a tokenizer.json.
    """
    if not 0 < sample <= 1:
        raise ParameterError("sample", sample, "above 0, at most 1")
    if not folder.exists(TOKENIZER):
        raise InputError(f"{folder.url}: no {TOKENIZER} yet; run the step train-tokenizer first")
    shards = CORPUS.shards(folder)
    if not shards:
        raise InputError(f"{folder.url}: contains no corpus/*.parquet")
    definitions = {TOKENIZER: folder.read(TOKENIZER), **{name: _read(name) for name in against}}
    encoders = {name: _open(name, definition) for name, definition in definitions.items()}
    reports = {}
    for name, definition in definitions.items():
        stored = _stored(folder, encoders[name]) if name == TOKENIZER and sample == 1 else None
        reports[name] = stored or _measure(folder, shards, definition, encoders[name], sample, cluster)
    return {"sample": sample, "tokenizers": reports}


def _stored(folder: Folder, encoder: Encoder) -> dict[str, Any] | None:
    """tokenizer/report.json, if it is of this tokenizer."""
    report: dict[str, Any] = folder.read_json(TOKENIZER_REPORT) if folder.exists(TOKENIZER_REPORT) else {}
    return report if report.get("tokenizer") == encoder.hash else None


def _measure(
    folder: Folder, shards: Sequence[str], definition: bytes, encoder: Encoder, sample: float, cluster: Cluster
) -> dict[str, Any]:
    parts = max(1, cluster.workers) * TASKS_PER_WORKER
    groups = [tuple(shards[number::parts]) for number in range(min(parts, len(shards)))]
    tasks = [MeasureTask(folder, group, definition, sample) for group in groups]
    return describe_fit(encoder, sum(cluster.gather(measure_shards, tasks), no_counts(encoder.vocabulary)))


def _read(name: str) -> bytes:
    url = name if "://" in name else os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111
    try:
        with fsspec.open(url, "rb") as file:
            return bytes(file.read())
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error}") from error


def _open(name: str, definition: bytes) -> Encoder:
    try:
        encoder = Encoder(definition)
        encoder(pa.array(["a"]))
    except InputError:
        raise
    except Exception as error:  # tokenizers raises bare Exceptions
        raise InputError(f"{name}: not a tokenizer.json that tokenizers can read: {error}") from error
    return encoder


def show(report: dict[str, Any], console: Console) -> None:
    """Print the tokenizers side by side, then details of the run's own."""
    reports: dict[str, dict[str, Any]] = report["tokenizers"]
    share = "" if report["sample"] == 1 else f", {report['sample']:g} of the documents"
    own = reports[TOKENIZER]
    title = f"{own['corpus']['documents']:,} documents{share}"
    table = FittedTable("", *map(one_line, reports), title=title)
    for label, values in _lines(reports):
        table.add_row(one_line(label), *values)
    console.print(table)
    tokens = own["longest_tokens"][:LONGEST_SHOWN]
    longest = ", ".join(f"{_quoted(entry['text'])} ×{entry['count']:,}" for entry in tokens)
    console.print(f"longest tokens: {longest}", soft_wrap=True)
    console.print(f"Words are {own['words']}; the shares exclude special tokens.")


def _lines(reports: dict[str, dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """The lines of the table: a label and the value of each tokenizer."""
    every = [*reports.values()]
    corpus = [one["corpus"] for one in every]
    usage = [one["vocabulary"] for one in every]
    lines = [
        ("vocabulary", [f"{one['size']:,}" for one in usage]),
        ("never used", [f"{one['unused']:,} ({one['unused_share']:.1%})" for one in usage]),
        ("used less than 10 times", [f"{one['used_under_10']:,} ({one['used_under_10_share']:.1%})" for one in usage]),
        ("tokens", [f"{one['tokens']:,}" for one in corpus]),
        ("bytes per token", [_ratio(one["bytes_per_token"]) for one in corpus]),
        ("characters per token", [_ratio(one["characters_per_token"]) for one in corpus]),
        ("tokens per word", [_ratio(one["tokens_per_word"]) for one in corpus]),
    ]
    for dimension, title in (("languages", "language"), ("domains", "domain")):
        for name in list(every[0][dimension])[:SHOWN]:
            values = [_ratio(one[dimension].get(name, {}).get("bytes_per_token")) for one in every]
            lines.append((f"bytes per token, {title} {name or '(none)'}", values))
    return lines


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _quoted(text: str) -> str:
    return one_line(repr(text if len(text) <= 24 else text[:23] + "…"))
