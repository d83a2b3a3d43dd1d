"""The part of `curate verify` that compares all mentions of an id: in corpus/, removed/, drop lists and token shards.

Each partition of the ids sent (send_ids.py) is checked by itself. From here the split of each document is sent on to
two other exchanges, partitioned by near-duplicate cluster and by file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.jobs.inspect.verify.faults import Fault, some_of
from curation.jobs.inspect.verify.send_ids import (
    CORPUS,
    CUT,
    DROPPED,
    PLACE_BITS,
    REMOVED,
    SURVIVOR,
    TRAIN,
    URL_SURVIVOR,
    VALIDATION,
    Ids,
)
from curation.store.exchange import Exchange, partition_of
from curation.store.folder import Folder
from curation.store.hashing import hash_texts
from curation.store.shards import rows_at

DOCUMENTS = (CORPUS, REMOVED, DROPPED, CUT)
"""Kinds of mention that are documents, kept or removed."""

Splits = pa.schema(
    [
        ("cluster_high", pa.uint64()),
        ("cluster_low", pa.uint64()),
        ("split", pa.uint8()),
        ("file", pa.int32()),
        ("row", pa.int64()),
    ]
)
"""A corpus document that is in the token set: TRAIN or VALIDATION."""


@dataclass(frozen=True, slots=True)
class IdPartition:
    """What the checks of all partitions share.

    Attributes:
        folder: Output folder of the run.
        exchange: The mentions, partitioned by id.
        onward: Where to send splits, partitioned by near-duplicate cluster.
        by_file: Where to send splits, partitioned by file.
        files: Path of each file number.
        has_corpus: Whether all documents were sent.
        own_tokens: Whether the token set is made from the run's own corpus only.
        whole_tokens: Whether all tokens were sent, and each document of the corpus must be in them once.
        between: Number of special tokens around each document.
    """

    folder: Folder
    exchange: Exchange
    onward: Exchange
    by_file: Exchange
    files: tuple[str, ...]
    has_corpus: bool
    own_tokens: bool
    whole_tokens: bool
    between: int = 1


@dataclass(frozen=True, slots=True)
class IdPartitionCheck:
    """The result of checking a partition.

    Attributes:
        faults: What is wrong.
        notes: Peculiarities of the input that are not faults of the run.
        documents: Number of documents, kept or removed.
        held: Number of documents in validation.
    """

    faults: list[Fault]
    notes: list[str]
    documents: int
    held: int


@dataclass(frozen=True, slots=True)
class CheckPartition:
    """Checks all mentions of the ids of a partition; a picklable task for the cluster."""

    context: IdPartition

    def __call__(self, partition: int) -> IdPartitionCheck:
        """Check the partition's ids, and send on the split of each document."""
        context = self.context
        table = context.exchange.receive_table(partition, Ids)
        if not table.num_rows:
            return IdPartitionCheck([], [], 0, 0)
        group = IdGroups(table)
        faults = [fault for kind in group.faults(context) for fault in some_of(kind)]
        sent = group.send_splits(context, partition)
        return IdPartitionCheck(faults, group.notes(context), group.documents, sent)


class IdGroups:
    """The mentions of a partition, grouped by id.

    Attributes:
        of: The columns of all mentions, sorted by id.
        start: int64[ids]. First mention of each id.
        size: int64[ids]. Number of mentions of each id.
        counts: For each kind, the number of such mentions of each id.
    """

    def __init__(self, table: pa.Table) -> None:
        columns = {name: table[name].to_numpy() for name in Ids.names}
        order = np.lexsort((columns["row"], columns["file"], columns["kind"], columns["low"], columns["high"]))
        self.of = {name: values[order] for name, values in columns.items()}
        high, low = self.of["high"], self.of["low"]
        self.start = np.flatnonzero(np.r_[True, (high[1:] != high[:-1]) | (low[1:] != low[:-1])])
        self.size = np.diff(np.r_[self.start, len(high)])
        self.counts = [np.add.reduceat((self.of["kind"] == kind).astype(np.int64), self.start) for kind in range(8)]

    @property
    def documents(self) -> int:
        """Number of documents, kept or removed."""
        return int(sum(self.counts[kind].sum() for kind in DOCUMENTS))

    def mentions(self, group: int, *kinds: int) -> list[int]:
        """The mentions of an id that are of these kinds."""
        mentions = range(self.start[group], self.start[group] + self.size[group])
        return [mention for mention in mentions if self.of["kind"][mention] in kinds]

    def where(self, mention: int, context: IdPartition) -> tuple[str, int]:
        """File and row of a mention."""
        return context.files[self.of["file"][mention]], int(self.of["row"][mention])

    def _fault(self, mention: int, context: IdPartition, what: str, expected: str) -> Fault:
        file, row = self.where(mention, context)
        hashed = int(self.of["high"][mention]), int(self.of["low"][mention])
        return Fault(file, what.replace("{id}", read_id(context.folder, file, row, hashed)), expected, row)

    def faults(self, context: IdPartition) -> Iterator[list[Fault]]:
        """Find faults; yields one list per kind of fault."""
        n = self.counts
        yield list(self._twice(context))
        yield list(self._survivors(context))
        both = np.flatnonzero((n[TRAIN] > 0) & (n[VALIDATION] > 0))
        yield [
            self._fault(self.mentions(g, VALIDATION)[0], context, "document {id} is also in training", "one split only")
            for g in both.tolist()
        ]
        if context.has_corpus and context.own_tokens:
            unknown = np.flatnonzero((n[TRAIN] + n[VALIDATION] > 0) & (n[CORPUS] == 0))
            yield [self._unknown(g, context) for g in unknown.tolist()]
        if context.whole_tokens:
            lost = np.flatnonzero((n[CORPUS] > 0) & (n[TRAIN] + n[VALIDATION] == 0))
            yield [
                self._fault(
                    self.mentions(g, CORPUS)[0], context, "document {id} is in no token shard", "in one of them"
                )
                for g in lost.tolist()
            ]
            yield list(self._miscounted(context))

    def _shared(self) -> Iterator[tuple[int, list[int], bool]]:
        """Ids of several documents, those documents, and whether two of them may be the same record of the input."""
        for g in np.flatnonzero(sum(self.counts[kind] for kind in DOCUMENTS) > 1).tolist():
            mentions = self.mentions(g, *DOCUMENTS)
            yield g, mentions, _may_be_same([int(self.of["spot"][mention]) for mention in mentions])

    def _twice(self, context: IdPartition) -> Iterator[Fault]:
        kept = self.counts[CORPUS]
        for g, mentions, same in self._shared():
            file, row = self.where(mentions[0], context)
            if kept[g] > 1:
                yield self._fault(mentions[1], context, f"id {{id}} is also that of {file} row {row}", "unique ids")
            elif same and kept[g]:
                message = f"document {{id}} is also kept, in {file} row {row}"
                yield self._fault(mentions[1], context, message, "kept or removed, not both")
            elif same:
                yield self._fault(mentions[1], context, f"document {{id}} is also in {file} row {row}", "removed once")

    def notes(self, context: IdPartition) -> list[str]:
        """Notes on ids that two records of the input share."""
        notes = []
        for g, mentions, same in self._shared():
            if not same and self.counts[CORPUS][g] < 2:
                pair = [" row ".join(map(str, self.where(mention, context))) for mention in mentions[:2]]
                notes.append(f"{pair[0]} and {pair[1]}: two records of the input have the same id")
        return notes

    def _survivors(self, context: IdPartition) -> Iterator[Fault]:
        n = self.counts
        if not context.has_corpus:
            return
        kept = n[CORPUS] + n[CUT]
        lost = (n[SURVIVOR] > 0) & (kept == 0)
        lost |= (n[URL_SURVIVOR] > 0) & (kept + n[DROPPED] == 0)
        for g in np.flatnonzero(lost).tolist():
            mention = self.mentions(g, SURVIVOR, URL_SURVIVOR)[0]
            file, row = self.where(mention, context)
            yield Fault(file, "its survivor is not in the corpus", "a document of corpus/", row)

    def _unknown(self, group: int, context: IdPartition) -> Fault:
        removed = self.mentions(group, REMOVED, DROPPED, CUT)
        message = "document_ids names {id}, which is not in the corpus"
        if removed:
            file, row = self.where(removed[0], context)
            message += f" but removed ({file} row {row})"
        return self._fault(self.mentions(group, TRAIN, VALIDATION)[0], context, message, "a document of corpus/")

    def _miscounted(self, context: IdPartition) -> Iterator[Fault]:
        n = self.counts
        is_token = (self.of["kind"] == TRAIN) | (self.of["kind"] == VALIDATION)
        tokens = np.add.reduceat(np.where(is_token, self.of["count"], 0), self.start)
        counted = np.add.reduceat(np.where(self.of["kind"] == CORPUS, self.of["count"], 0), self.start)
        wrong = (n[CORPUS] == 1) & (n[TRAIN] + n[VALIDATION] > 0) & (tokens != counted + context.between)
        for g in np.flatnonzero(wrong).tolist():
            message = f"token_count of {{id}} is {counted[g]:,}"
            yield self._fault(
                self.mentions(g, CORPUS)[0], context, message, f"{tokens[g] - context.between:,}, its encoded tokens"
            )

    def send_splits(self, context: IdPartition, partition: int) -> int:
        """Send on the split of each corpus document, by cluster and by file; returns how many are in validation."""
        n = self.counts
        inside = np.flatnonzero((n[CORPUS] == 1) & ((n[TRAIN] > 0) ^ (n[VALIDATION] > 0)))
        mention = self.start[inside]  # CORPUS is the lowest kind, so its mention comes first
        split = np.where(n[VALIDATION][inside] > 0, VALIDATION, TRAIN).astype(np.uint8)
        names = ("cluster_high", "cluster_low", "file", "row")
        high, low, file, row = (self.of[name][mention] for name in names)
        columns = [pa.array(values) for values in (high, low, split, file, row)]
        batch = pa.RecordBatch.from_arrays(columns, schema=Splits)
        onward, by_file = context.onward, context.by_file
        targets = ((onward, partition_of(high, onward.partitions)), (by_file, file % by_file.partitions))
        for exchange, partitions in targets:
            with exchange.sender(f"splits-{partition:06d}", Splits) as sender:
                sender.send(batch, partitions)
        return int((split == VALIDATION).sum())


def _may_be_same(spots: Sequence[int]) -> bool:
    """Whether two documents may be the same record: they are of one file, and of one place or an unknown one."""
    places: dict[int, list[int]] = {}
    for spot in spots:
        file, place = divmod(spot, 1 << PLACE_BITS)
        places.setdefault(file, []).append(place)
    return any(len({*known}) < len(known) or (len(known) > 1 and 0 in known) for known in places.values())


def read_id(folder: Folder, file: str, row: int, hashed: tuple[int, int]) -> str:
    """The id with this hash in a row of a file, or "(unknown)"."""
    name = "document_ids" if file.startswith("tokens/") else "id"
    values = rows_at(folder, file, [row], [name])[name].to_pylist()
    ids = values[0] if values and isinstance(values[0], list) else values
    return next((value for value in ids if value and _has_hash(value, hashed)), "(unknown)")


def _has_hash(text: str, hashed: tuple[int, int]) -> bool:
    high, low = hash_texts(pa.array([text]))[0].tolist()
    return (high, low) == hashed


def check_clusters(task: tuple[Exchange, int, Sequence[str]]) -> list[Fault]:
    """Find near-duplicate clusters with documents in both splits. `task`: exchange, partition, path of each file."""
    exchange, partition, files = task
    table = exchange.receive_table(partition, Splits)
    table = table.filter(pc.not_equal(table["cluster_low"], pa.scalar(0, pa.uint64())))
    if not table.num_rows:
        return []
    columns = {name: table[name].to_numpy() for name in Splits.names}
    order = np.lexsort(tuple(columns[name] for name in ("row", "file", "split", "cluster_low", "cluster_high")))
    high, low, split = (columns[name][order] for name in ("cluster_high", "cluster_low", "split"))
    same = (high[1:] == high[:-1]) & (low[1:] == low[:-1]) & (split[1:] != split[:-1])
    faults = []
    for at in np.flatnonzero(same).tolist():
        train, held = ((files[columns["file"][n]], int(columns["row"][n])) for n in (order[at], order[at + 1]))
        message = f"is in validation, and its near-duplicate {train[0]} row {train[1]} is in training"
        faults.append(Fault(held[0], message, "a cluster in one split only", held[1]))
    return some_of(faults)
