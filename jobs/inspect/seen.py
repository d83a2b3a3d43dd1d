"""`curate seen`: the documents that a training step reads, and the steps that read a document.

Which rows a step reads follows from the loader's arguments alone, so that nothing has to be recorded during training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from curation.errors import InputError
from curation.report.tables import FittedTable
from curation.running.cluster import Cluster
from curation.running.terminal import one_line
from curation.store.folder import Folder
from curation.store.paths import CORPUS, SIGNALS
from curation.store.shards import open_parquet, read_numbered, read_table, rows_at
from curation.text.hosts import registered_domain
from curation.tokenize.loading.loader import TokenLoader
from curation.tokenize.loading.token_set import TokenSet
from curation.tokenize.loading.trace import corpora

SHOWN = 30
"""Rows of a table that are printed; --json has all."""

_COLUMNS = ["id", "url", "language", "language_score"]


@dataclass(frozen=True, slots=True)
class SeenDocument:
    """A document of a step.

    Attributes:
        id: Its id.
        tokens: Number of its tokens in the step.
        url: Its URL; None if its corpus no longer exists.
        language: Its language.
        language_score: The confidence of that.
        quality: The signals of the stage `quality`, by name; empty if the run had none.
    """

    id: str
    tokens: int
    url: str | None = None
    language: str | None = None
    language_score: float | None = None
    quality: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A row that a step reads.

    Attributes:
        step: Number of the step, from 0.
        rank: The rank that reads it.
        row: File and row, such as "train-00003:17".
        tokens: Number of tokens of the documents that were asked for, without padding.
    """

    step: int
    rank: int
    row: str
    tokens: int


@dataclass(frozen=True, slots=True)
class SeenData:
    """Rows that are read, and the documents in them.

    Attributes:
        rows: The rows, first step first, then by rank.
        documents: The documents, most tokens first.
    """

    rows: list[SeenRow]
    documents: list[SeenDocument]

    def domains(self) -> list[dict[str, Any]]:
        """Number of documents and tokens of each registered domain, most tokens first."""
        found: dict[str, list[int]] = {}
        for document in self.documents:
            found.setdefault(registered_domain(document.url or ""), []).append(document.tokens)
        sums = [{"domain": name, "documents": len(counts), "tokens": sum(counts)} for name, counts in found.items()]
        return sorted(sums, key=lambda domain: (-domain["tokens"], domain["domain"]))


@dataclass(frozen=True, slots=True)
class LookupTask:
    """A shard of a corpus in which to look for documents.

    Attributes:
        corpus: Output folder of the run whose corpus it is.
        shard: Name of the shard.
        keys: Ids or URLs.
        column: Which of both: "id" or "url".
    """

    corpus: Folder
    shard: str
    keys: tuple[str, ...]
    column: str


def documents_of_step(
    folder: Folder, ranks: Sequence[TokenLoader], step: int, epoch: int | None, cluster: Cluster, trust_code: bool
) -> SeenData:
    """What a step reads.

    Args:
        folder: Output folder of the run.
        ranks: The loader of each rank to show.
        step: Number of the step, from 0.
        epoch: The epoch from whose beginning steps are counted; None for the beginning of training.
        cluster: Where to look for the documents.
        trust_code: Whether to look in corpora on special file systems that the tokens name.

    Raises:
        InputError: The epoch has no such step.
    """
    size, length = ranks[0].batch_size, len(ranks[0].sets[0])
    if epoch is not None and (step + 1) * size > length:
        raise InputError(f"step {step}: an epoch has {length // size} full steps of {size} rows, counted from 0")
    start = (epoch or 0) * length + step * size
    if start >= 2**62:
        raise InputError(f"step {step}: too large, rows are counted in 64 bits")
    rows, tokens = [], Counter[str]()
    for loader in ranks:
        for source, row in loader.locate(start):
            inside = _tokens_by_document(source, row)
            rows.append(SeenRow(step, loader.rank, source.place(row), inside.total()))
            tokens += inside
    return SeenData(rows, _describe(tokens, _look_up(folder, ranks[0], [*tokens], "id", cluster, trust_code)))


def steps_of_document(
    folder: Folder,
    loader: TokenLoader,
    key: str,
    epochs: Sequence[int],
    apart: bool,
    cluster: Cluster,
    trust_code: bool,
) -> SeenData:
    """When a document is read.

    Args:
        folder: Output folder of the run.
        loader: A loader of any rank.
        key: URL or id of the document.
        epochs: The epochs to look at.
        apart: Whether steps are counted from the beginning of each epoch, and its last step is left out if not full.
        cluster: Where to look for the document.
        trust_code: As in `documents_of_step`.

    Raises:
        InputError: The corpus has no such document, or no token of it is in this split.
    """
    found = [row for column in ("url", "id") for row in _look_up(folder, loader, [key], column, cluster, trust_code)]
    if not found:
        raise InputError(
            f"{key}: no document in the corpus of {folder.url} has this URL or id; `curate explain` shows removed ones"
        )
    source, names = loader.sets[0], {row["id"] for row in found}
    numbers = np.fromiter(source.rows_of(sorted(names)), np.int64)
    if not len(numbers):
        raise InputError(f"{key}: is in the corpus, but no token of it is in the split {source.split}")
    size, rows, tokens = loader.batch_size, [], Counter[str]()
    for row in numbers.tolist():
        inside = Counter({name: count for name, count in _tokens_by_document(source, row).items() if name in names})
        tokens += inside
        for epoch in epochs:
            first = epoch * len(source)
            at = int(loader.positions(np.array([row]), epoch)[0]) - (first if apart else 0)
            if not apart or at < len(source) // size * size:
                rank = at % size * loader.world_size // size
                rows.append(SeenRow(at // size, rank, source.place(row), inside.total()))
    rows.sort(key=lambda row: (row.step, row.rank, row.row))
    return SeenData(rows, _describe(tokens, found))


def _tokens_by_document(source: TokenSet, row: int) -> Counter[str]:
    counts = Counter[str]()
    for name, count in source.pieces(row):
        if name is not None:
            counts[name] += count
    return counts


def _describe(tokens: Mapping[str, int], found: Iterable[dict[str, Any]]) -> list[SeenDocument]:
    """The documents with these numbers of tokens; those that were not found have an id only."""
    known = {row["id"]: row for row in found}
    documents = [SeenDocument(tokens=count, **known.get(name, {"id": name})) for name, count in tokens.items()]
    return sorted(documents, key=lambda document: (-document.tokens, document.id))


def _look_up(
    folder: Folder, loader: TokenLoader, keys: Sequence[str], column: str, cluster: Cluster, trust_code: bool
) -> list[dict[str, Any]]:
    """The documents with these ids or URLs, in the corpora that the tokens were made from."""
    places = corpora(folder, loader.sets[0].metadata.get("curation.sources", "[]"), trust_code)
    tasks = [LookupTask(place, shard, tuple(keys), column) for place in places for shard in CORPUS.shards(place)]
    return [row for rows in cluster.gather(look_up, tasks) for row in rows]


def look_up(task: LookupTask) -> list[dict[str, Any]]:
    """The documents of a shard with the keys of the task, as arguments of SeenDocument. Runs in a worker."""
    path, wanted = CORPUS.path(task.shard), pa.array(task.keys, pa.string())
    found: list[int] = []
    for numbers, batch in read_numbered(task.corpus, path, [task.column]):
        found += numbers[pc.is_in(batch[task.column], wanted).to_numpy(zero_copy_only=False)].tolist()
    rows: list[dict[str, Any]] = rows_at(task.corpus, path, found, _COLUMNS).to_pylist() if found else []
    quality = _quality(task.corpus, task.shard, [row["id"] for row in rows])
    return [{**row, "quality": quality.get(row["id"], {})} for row in rows]


def _quality(corpus: Folder, shard: str, ids: list[str]) -> dict[str, dict[str, Any]]:
    """The signals of the stage `quality` of these documents, by id, where they are stored."""
    path = SIGNALS.path(shard)
    if not ids or not corpus.exists(path):
        return {}
    with open_parquet(corpus, path) as parquet:
        names = [name for name in parquet.schema_arrow.names if name.startswith("quality.")]
    if not names:
        return {}
    table = read_table(corpus, path, ["id", *names])
    rows = table.filter(pc.is_in(table["id"], pa.array(ids, pa.string()))).to_pylist()
    return {row.pop("id"): {name.removeprefix("quality."): value for name, value in row.items()} for row in rows}


def to_json(seen: SeenData) -> dict[str, Any]:
    """Convert to plain values for JSON."""
    return {**asdict(seen), "domains": seen.domains()}


def show_step(seen: SeenData, console: Console) -> None:
    """Print the domains and documents of a step."""
    total = sum(document.tokens for document in seen.documents)
    step = seen.rows[0].step
    console.print(f"step {step:,}: {len(seen.rows):,} rows, {total:,} tokens of {len(seen.documents):,} documents\n")
    domains = FittedTable("domain", "documents", "tokens")
    listed = seen.domains()
    for domain in listed[:SHOWN]:
        domains.add_row(one_line(domain["domain"] or "none"), f"{domain['documents']:,}", f"{domain['tokens']:,}")
    _print(domains, len(listed), console)
    _show_documents(seen.documents, console)


def show_steps(seen: SeenData, console: Console) -> None:
    """Print the steps that read a document."""
    _show_documents(seen.documents, console)
    table = FittedTable("row", "step", "rank", "tokens")
    for row in seen.rows[:SHOWN]:
        table.add_row(row.row, f"{row.step:,}", str(row.rank), f"{row.tokens:,}")
    _print(table, len(seen.rows), console)


def _show_documents(documents: Sequence[SeenDocument], console: Console) -> None:
    table = FittedTable("document", "language", "quality", "tokens", left=(0, 1, 2))
    for document in documents[:SHOWN]:
        score = "" if document.language_score is None else f" {document.language_score:.2f}"
        numbers = {name: value for name, value in document.quality.items() if isinstance(value, float)}
        quality = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        name = one_line(document.url or document.id)
        table.add_row(name, f"{one_line(document.language or '')}{score}", one_line(quality), f"{document.tokens:,}")
    _print(table, len(documents), console)


def _print(table: FittedTable, count: int, console: Console) -> None:
    if count > SHOWN:
        table.caption = f"and {count - SHOWN:,} more: --json lists all"
    console.print(table)
