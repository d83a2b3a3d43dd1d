"""`curate compare`: which documents one run has in its corpus and the other has not, and why.

Documents are matched by id. Every mention of one, kept or removed, goes to the partition of its id's hash, where the
two runs meet; a partition is looked at by itself, so memory does not grow with the runs. An id that stands twice in a
run counts once, as kept if it is kept anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from curation.cluster import Cluster
from curation.dedup.layout import partition_of
from curation.exchange import Exchange
from curation.jobs.meeting import hash_texts, partitions_for
from curation.jobs.plan import Plan
from curation.jobs.recipe_diff import compare_sides, open_side
from curation.manifest import WHOLE, read_manifest, step_counts
from curation.report.funnel import Row, funnel_rows
from curation.shards import read_shard, rows_at
from curation.storage import Folder
from curation.tally import StageTally, add_counts, add_stages, stages_from_json

EXAMPLES = 3
"""Documents shown of each reason: those of the lowest hashes."""

NOT_READ = "not read"
"""In place of a reason: the run did not read the record, or did not take it for a page."""

MENTION = pa.schema(
    [
        ("high", pa.uint64()),
        ("low", pa.uint64()),
        ("side", pa.uint8()),
        ("reason", pa.string()),
        ("text", pa.uint64()),
        ("characters", pa.int64()),
        ("tokens", pa.int64()),
        ("file", pa.int32()),
        ("row", pa.int64()),
    ]
)
"""A document in a run: the hash of its id, the run (0, 1), why it was removed (null: it was kept), the hash of its
text, its size, where it stands."""

ROW_BYTES = 96


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A file of documents: which run's (0, 1), its number among all files, its path; kept or removed."""

    side: int
    number: int
    folder: Folder
    path: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Send:
    """Sends the documents of a file to their partitions; a picklable task for the cluster."""

    exchange: Exchange

    def __call__(self, file: DocumentFile) -> int:
        """Documents sent."""
        first = 0
        columns = ["id", "token_count", "text"] if file.kept else ["id", "token_count", "reason"]
        with self.exchange.sender(f"documents-{file.number:06d}", MENTION) as sender:
            for batch in read_shard(file.folder, file.path, columns, 2048):
                rows = _mentions(file, batch, first)
                sender.send(rows, partition_of(rows.column("high").to_numpy(), sender.partitions))
                first += batch.num_rows
        return first


def _mentions(file: DocumentFile, batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
    n = batch.num_rows
    hashes = hash_texts(batch.column("id"))
    texts, characters, reasons = np.zeros(n, np.uint64), np.zeros(n, np.int64), pa.nulls(n, pa.string())
    if file.kept:
        column = batch.column("text")
        digests = (xxhash.xxh3_64_intdigest((text or "").encode()) for text in column.to_pylist())
        texts = np.fromiter(digests, np.uint64, n)
        characters = pc.utf8_length(column).fill_null(0).to_numpy().astype(np.int64)
    else:
        reasons = batch.column("reason")
    columns = [
        pa.array(np.ascontiguousarray(hashes[:, 0])),
        pa.array(np.ascontiguousarray(hashes[:, 1])),
        pa.array(np.full(n, file.side, np.uint8)),
        reasons,
        pa.array(texts),
        pa.array(characters),
        batch.column("token_count").fill_null(0),
        pa.array(np.full(n, file.number, np.int32)),
        pa.array(np.arange(first, first + n, dtype=np.int64)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=MENTION)


Outcome = tuple[str | None, str | None, bool]
"""What became of a document: in A and in B the reason, null if it was kept; whether both have the same text."""

Place = tuple[int, int]
"""File and row."""

Example = tuple[int, Place | None, Place | None]
"""The hash by which examples are drawn, and where the document stands in A and in B."""


@dataclass
class Tally:
    """Documents of one outcome; characters and tokens as in the corpus that has them, A's where both do."""

    documents: int = 0
    characters: int = 0
    tokens: int = 0
    examples: list[Example] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        examples = sorted([*self.examples, *other.examples], key=lambda example: example[0])[:EXAMPLES]
        return Tally(
            self.documents + other.documents,
            self.characters + other.characters,
            self.tokens + other.tokens,
            examples,
        )


@dataclass(frozen=True, slots=True)
class Meet:
    """Compares the documents of a partition; a picklable task for the cluster."""

    exchange: Exchange

    def __call__(self, partition: int) -> tuple[dict[Outcome, Tally], tuple[int, int]]:
        """Tallies by outcome, and how many mentions of an id each run has beyond the first."""
        table = self.exchange.receive_table(partition, MENTION)
        if not table.num_rows:
            return {}, (0, 0)
        order = [(name, "ascending") for name in ("high", "low", "side", "file", "row")]
        table = table.sort_by(order)
        found: dict[Outcome, Tally] = {}
        repeated = [0, 0]
        for (high, _), mentions in _by_id(table):
            sides: list[dict[str, Any] | None] = [None, None]
            for mention in mentions:
                known = sides[mention["side"]]
                repeated[mention["side"]] += known is not None
                if known is None or (known["reason"] is not None and mention["reason"] is None):
                    sides[mention["side"]] = mention
            outcome, tally = _judge(high, *sides)
            found[outcome] = found.get(outcome, Tally()) + tally
        return found, (repeated[0], repeated[1])


def _by_id(table: pa.Table) -> Iterator[tuple[tuple[int, int], list[dict[str, Any]]]]:
    """Mentions by id, a block of rows at a time as Python objects."""
    key, group = (-1, -1), list[dict[str, Any]]()
    for batch in table.to_batches(max_chunksize=8192):
        for mention in batch.to_pylist():
            here = (mention["high"], mention["low"])
            if here != key and group:
                yield key, group
                group = []
            key = here
            group.append(mention)
    if group:
        yield key, group


def _judge(high: int, a: dict[str, Any] | None, b: dict[str, Any] | None) -> tuple[Outcome, Tally]:
    reasons = [NOT_READ if side is None else side["reason"] for side in (a, b)]
    kept = [side for side in (a, b) if side is not None and side["reason"] is None]
    same = len(kept) == 2 and kept[0]["text"] == kept[1]["text"]
    places = [None if side is None else (side["file"], side["row"]) for side in (a, b)]
    size = kept[0] if kept else {"characters": 0, "tokens": 0}
    return (reasons[0], reasons[1], same), Tally(1, size["characters"], size["tokens"], [(high, places[0], places[1])])


@dataclass(frozen=True, slots=True)
class Shown:
    """An example: id and URL, and its text in A and B where it is in their corpus."""

    id: str
    url: str | None
    texts: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Line:
    """Documents of one outcome, with examples. a, b: the reason in each run, null where it was kept."""

    a: str | None
    b: str | None
    same_text: bool
    documents: int
    characters: int
    tokens: int
    examples: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `curate compare` tells. notes: what limits the comparison."""

    names: tuple[str, str]
    recipe: tuple[str, ...]
    funnels: tuple[list[Row], list[Row]]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def kept_by(self, side: int) -> list[Line]:
        """Documents in the corpus of one run (0: A) and not in the other's, the most frequent reason first."""
        lines = [
            line for line in self.lines if (line.a, line.b)[side] is None and (line.a, line.b)[1 - side] is not None
        ]
        return sorted(lines, key=lambda line: (-line.documents, (line.a, line.b)[1 - side] or ""))

    def both(self, same_text: bool) -> Line:
        """Documents in both, with the same text or another."""
        wanted = (None, None, same_text)
        found = (line for line in self.lines if (line.a, line.b, line.same_text) == wanted)
        return next(found, Line(*wanted, 0, 0, 0, ()))

    @property
    def other_reason(self) -> list[Line]:
        """Documents that both removed, for different reasons, or that one removed and the other never read."""
        lines = [line for line in self.lines if line.a is not None and line.b is not None and line.a != line.b]
        return sorted(lines, key=lambda line: (-line.documents, line.a or "", line.b or ""))

    @property
    def same_reason(self) -> int:
        """Documents that both removed for the same reason."""
        return sum(line.documents for line in self.lines if line.a is not None and line.a == line.b)

    def corpus(self, side: int) -> int:
        """Documents in a corpus, an id counted once."""
        return sum(line.documents for line in self.lines if (line.a, line.b)[side] is None)


def compare(a: Plan, b: Plan, cluster: Cluster, work: Folder) -> Comparison:
    """Compare two runs. work: a folder that all workers reach."""
    plans = (a, b)
    files, notes = _files(plans)
    rows = 0
    for file in files:
        with file.folder.open(file.path) as stream:
            rows += pq.read_metadata(stream).num_rows
    exchange = Exchange(work, "documents", partitions_for(max(rows, 1), ROW_BYTES))
    for _ in cluster.each(Send(exchange), files):
        pass
    found: dict[Outcome, Tally] = {}
    repeated: Counter[int] = Counter()
    for part, twice in cluster.gather(Meet(exchange), list(range(exchange.partitions))):
        for outcome, tally in part.items():
            found[outcome] = found.get(outcome, Tally()) + tally
        repeated.update({0: twice[0], 1: twice[1]})
    for side, name in enumerate("AB"):
        if repeated[side]:
            notes.append(f"{name} names {repeated[side]:,} documents by an id that another has; an id counts once")
    lines = tuple(_line(outcome, found[outcome], files) for outcome in sorted(found, key=str))
    names = (a.folder.url, b.folder.url)
    recipe = tuple(difference.words for difference in compare_sides(open_side(names[0]), open_side(names[1])))
    return Comparison(names, recipe, (funnel(a), funnel(b)), lines, tuple(notes))


def _files(plans: tuple[Plan, Plan]) -> tuple[list[DocumentFile], list[str]]:
    """Every file of documents of both runs, as far as they got."""
    files: list[DocumentFile] = []
    notes = []
    for side, plan in enumerate(plans):
        early = late = 0
        for source in plan.inputs:
            places = _places(plan.folder, source.shard)
            early += places == _FILTERED
            late += not places
            for place, kept in places:
                path = f"{place}/{source.shard}.parquet"
                files.append(DocumentFile(side, len(files), plan.folder, path, kept))
        name = "AB"[side]
        if early:
            notes.append(f"{name}: {early:,} inputs are filtered only; what deduplication will remove counts as kept")
        if late:
            notes.append(f"{name}: {late:,} inputs are not filtered, and count as not read")
    return files, notes


_FILTERED = (("documents", True), ("removed/filter", False))
_FINISHED = (("corpus", True), ("removed/filter", False), ("removed/dedup", False))


def _places(folder: Folder, shard: str) -> tuple[tuple[str, bool], ...]:
    if read_manifest(folder, "filter", shard) is None:
        return ()
    return _FINISHED if read_manifest(folder, "corpus", shard) is not None else _FILTERED


def funnel(plan: Plan) -> list[Row]:
    """The funnel of a run from its manifests."""
    read: dict[str, int] = {}
    steps: list[Mapping[str, StageTally]] = []
    for step in ("filter", "corpus"):
        stages: dict[str, StageTally] = {}
        for made in step_counts(plan.folder, step, [source.shard for source in plan.inputs]):
            read = add_counts(read, made.get("read", {}))
            stages = add_stages(stages, stages_from_json(made["stages"]))
        steps.append(stages)
    tokens = read_manifest(plan.folder, "tokens", WHOLE)
    told = {name: tally.to_json() for stages in steps for name, tally in stages.items()}
    shards = {"inputs": len(plan.inputs), "filtered": len(plan.inputs), "corpus": len(plan.inputs)}
    counts = dict(tokens.counts) if tokens else {}
    return funnel_rows({"read": read, "stages": told, "tokens": counts, "shards": shards})


def _line(outcome: Outcome, tally: Tally, files: list[DocumentFile]) -> Line:
    examples = tuple(_show(example, files) for example in tally.examples)
    return Line(*outcome, tally.documents, tally.characters, tally.tokens, examples)


def _show(example: Example, files: list[DocumentFile]) -> Shown:
    """An example's id, URL and texts; a text is shown from corpus/ alone, where personal data is replaced."""
    known: dict[str, Any] = {}
    texts: list[str | None] = []
    for place in example[1:]:
        row = None if place is None else _read_row(files[place[0]], place[1])
        known = known or row or {}
        shown = row is not None and place is not None and files[place[0]].path.startswith("corpus/")
        texts.append(row["text"] if row is not None and shown else None)
    return Shown(known.get("id") or "", known.get("url"), (texts[0], texts[1]))


def _read_row(file: DocumentFile, row: int) -> dict[str, Any]:
    found: dict[str, Any] = rows_at(file.folder, file.path, [row], ["id", "url", "text"]).to_pylist()[0]
    return found
