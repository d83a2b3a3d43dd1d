"""The part of `curate verify` that looks at equal ids together: in corpus/, removed/, drop lists and token shards.

A partition of what was sent (send_ids.py) is looked at by itself. What split each document is in goes on from here,
to where near-duplicate clusters meet and to where the documents of a file do.
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
from curation.store.shards import read_shard

DOCUMENTS = (CORPUS, REMOVED, DROPPED, CUT)
"""Kinds of mention that are documents kept or removed."""

Splits = pa.schema(
    [
        ("cluster_high", pa.uint64()),
        ("cluster_low", pa.uint64()),
        ("split", pa.uint8()),
        ("file", pa.int32()),
        ("row", pa.int64()),
    ]
)
"""A document of the corpus that is in a token set: TRAIN or VALIDATION."""


@dataclass(frozen=True, slots=True)
class IdPartition:
    """What can be asked of a partition. files: the path of each file number.

    has_corpus: all documents were sent. own_tokens: the token set is of the run's corpus alone. whole_tokens: all of it
    was sent, and each document of the corpus stands in it once.
    """

    folder: Folder
    exchange: Exchange
    onward: Exchange
    by_file: Exchange
    files: tuple[str, ...]
    has_corpus: bool
    own_tokens: bool
    whole_tokens: bool


@dataclass(frozen=True, slots=True)
class IdPartitionCheck:
    """What a partition came to. notes: what is strange about the input rather than the run."""

    faults: list[Fault]
    notes: list[str]
    documents: int
    held: int


@dataclass(frozen=True, slots=True)
class CheckPartition:
    """Looks at all mentions of the ids of a partition; a picklable task for the cluster."""

    meeting: IdPartition

    def __call__(self, partition: int) -> IdPartitionCheck:
        """Everything wrong with the partition's ids; what split each document is in is sent onward."""
        meeting = self.meeting
        table = meeting.exchange.receive_table(partition, Ids)
        if not table.num_rows:
            return IdPartitionCheck([], [], 0, 0)
        group = IdGroups(table)
        faults = [fault for kind in group.faults(meeting) for fault in some_of(kind)]
        sent = group.send_splits(meeting, partition)
        return IdPartitionCheck(faults, group.notes(meeting), group.documents, sent)


class IdGroups:
    """The mentions of a partition, by id: `start` is where an id's begin, `counts[kind]` how many of a kind it has."""

    def __init__(self, table: pa.Table) -> None:
        found = {name: table[name].to_numpy() for name in Ids.names}
        order = np.lexsort((found["row"], found["file"], found["kind"], found["low"], found["high"]))
        self.of = {name: values[order] for name, values in found.items()}
        high, low = self.of["high"], self.of["low"]
        self.start = np.flatnonzero(np.r_[True, (high[1:] != high[:-1]) | (low[1:] != low[:-1])])
        self.size = np.diff(np.r_[self.start, len(high)])
        self.counts = [np.add.reduceat((self.of["kind"] == kind).astype(np.int64), self.start) for kind in range(8)]

    @property
    def documents(self) -> int:
        """Documents kept or removed."""
        return int(sum(self.counts[kind].sum() for kind in DOCUMENTS))

    def places(self, group: int, *kinds: int) -> list[int]:
        """The mentions of these kinds of an id."""
        here = range(self.start[group], self.start[group] + self.size[group])
        return [place for place in here if self.of["kind"][place] in kinds]

    def where(self, place: int, meeting: IdPartition) -> tuple[str, int]:
        """File and row of a mention."""
        return meeting.files[self.of["file"][place]], int(self.of["row"][place])

    def _fault(self, place: int, meeting: IdPartition, what: str, expected: str) -> Fault:
        file, row = self.where(place, meeting)
        hashed = int(self.of["high"][place]), int(self.of["low"][place])
        return Fault(file, what.replace("{id}", read_id(meeting.folder, file, row, hashed)), expected, row)

    def faults(self, meeting: IdPartition) -> Iterator[list[Fault]]:
        """Faults, a list for each kind of them."""
        n = self.counts
        yield list(self._twice(meeting))
        yield list(self._survivors(meeting))
        both = np.flatnonzero((n[TRAIN] > 0) & (n[VALIDATION] > 0))
        yield [
            self._fault(self.places(g, VALIDATION)[0], meeting, "document {id} is also in training", "one split only")
            for g in both.tolist()
        ]
        if meeting.has_corpus and meeting.own_tokens:
            unknown = np.flatnonzero((n[TRAIN] + n[VALIDATION] > 0) & (n[CORPUS] == 0))
            yield [self._unknown(g, meeting) for g in unknown.tolist()]
        if meeting.whole_tokens:
            lost = np.flatnonzero((n[CORPUS] > 0) & (n[TRAIN] + n[VALIDATION] == 0))
            yield [
                self._fault(
                    self.places(g, CORPUS)[0], meeting, "document {id} is in no token shard", "to be there once"
                )
                for g in lost.tolist()
            ]
            yield list(self._miscounted(meeting))

    def _shared(self) -> Iterator[tuple[int, list[int], bool]]:
        """Ids of several documents, those documents, and whether two of them may be one record of the input."""
        for g in np.flatnonzero(sum(self.counts[kind] for kind in DOCUMENTS) > 1).tolist():
            places = self.places(g, *DOCUMENTS)
            spots = [int(self.of["spot"][place]) for place in places]
            yield g, places, len({*spots}) < len(spots) or 0 in spots

    def _twice(self, meeting: IdPartition) -> Iterator[Fault]:
        kept = self.counts[CORPUS]
        for g, places, same in self._shared():
            file, row = self.where(places[0], meeting)
            if kept[g] > 1:
                yield self._fault(places[1], meeting, f"id {{id}} is also that of {file} row {row}", "an id for each")
            elif same and kept[g]:
                told = f"document {{id}} is also kept, in {file} row {row}"
                yield self._fault(places[1], meeting, told, "kept or removed, not both")
            elif same:
                yield self._fault(places[1], meeting, f"document {{id}} is also in {file} row {row}", "removed once")

    def notes(self, meeting: IdPartition) -> list[str]:
        """Ids that two records of the input share."""
        found = []
        for g, places, same in self._shared():
            if not same and self.counts[CORPUS][g] < 2:
                told = [" row ".join(map(str, self.where(place, meeting))) for place in places[:2]]
                found.append(f"{told[0]} and {told[1]}: two records of the input have one id")
        return found

    def _survivors(self, meeting: IdPartition) -> Iterator[Fault]:
        n = self.counts
        if not meeting.has_corpus:
            return
        stays = n[CORPUS] + n[CUT]
        lost = (n[SURVIVOR] > 0) & (stays == 0)
        lost |= (n[URL_SURVIVOR] > 0) & (stays + n[DROPPED] == 0)
        for g in np.flatnonzero(lost).tolist():
            place = self.places(g, SURVIVOR, URL_SURVIVOR)[0]
            file, row = self.where(place, meeting)
            yield Fault(file, "the survivor that it names is not in the corpus", "a document that stays", row)

    def _unknown(self, group: int, meeting: IdPartition) -> Fault:
        removed = self.places(group, REMOVED, DROPPED, CUT)
        told = "document_ids names {id}, which is not in the corpus"
        if removed:
            file, row = self.where(removed[0], meeting)
            told += f" but removed ({file} row {row})"
        return self._fault(self.places(group, TRAIN, VALIDATION)[0], meeting, told, "a document of corpus/")

    def _miscounted(self, meeting: IdPartition) -> Iterator[Fault]:
        n = self.counts
        is_token = (self.of["kind"] == TRAIN) | (self.of["kind"] == VALIDATION)
        tokens = np.add.reduceat(np.where(is_token, self.of["count"], 0), self.start)
        counted = np.add.reduceat(np.where(self.of["kind"] == CORPUS, self.of["count"], 0), self.start)
        wrong = (n[CORPUS] == 1) & (n[TRAIN] + n[VALIDATION] > 0) & (tokens != counted + 1)
        for g in np.flatnonzero(wrong).tolist():
            told = f"token_count of {{id}} is {counted[g]:,}"
            yield self._fault(self.places(g, CORPUS)[0], meeting, told, f"{tokens[g] - 1:,}, the tokens made of it")

    def send_splits(self, meeting: IdPartition, partition: int) -> int:
        """Send what split the corpus' documents are in, by cluster and by file. Returns those in validation."""
        n = self.counts
        inside = np.flatnonzero((n[CORPUS] == 1) & ((n[TRAIN] > 0) ^ (n[VALIDATION] > 0)))
        place = self.start[inside]  # CORPUS is the lowest kind, so its mention comes first
        split = np.where(n[VALIDATION][inside] > 0, VALIDATION, TRAIN).astype(np.uint8)
        names = ("cluster_high", "cluster_low", "file", "row")
        high, low, file, row = (self.of[name][place] for name in names)
        columns = [pa.array(values) for values in (high, low, split, file, row)]
        batch = pa.RecordBatch.from_arrays(columns, schema=Splits)
        onward, by_file = meeting.onward, meeting.by_file
        targets = ((onward, partition_of(high, onward.partitions)), (by_file, file % by_file.partitions))
        for exchange, partitions in targets:
            with exchange.sender(f"splits-{partition:06d}", Splits) as sender:
                sender.send(batch, partitions)
        return int((split == VALIDATION).sum())


def read_id(folder: Folder, file: str, row: int, hashed: tuple[int, int]) -> str:
    """The id of this hash in a row of a file."""
    name = "document_ids" if file.startswith("tokens/") else "id"
    first = 0
    for batch in read_shard(folder, file, [name], 16_384):
        if row < first + batch.num_rows:
            found = batch.column(name)[row - first].as_py()
            known = [value for value in (found if isinstance(found, list) else [found]) if value]
            return next((value for value in known if _has_hash(value, hashed)), "(unknown)")
        first += batch.num_rows
    return "(unknown)"


def _has_hash(text: str, hashed: tuple[int, int]) -> bool:
    high, low = hash_texts(pa.array([text]))[0].tolist()
    return (high, low) == hashed


def check_clusters(task: tuple[Exchange, int, Sequence[str]]) -> list[Fault]:
    """Near-duplicate clusters of a partition of which documents stand on both sides."""
    exchange, partition, files = task
    table = exchange.receive_table(partition, Splits)
    table = table.filter(pc.not_equal(table["cluster_low"], pa.scalar(0, pa.uint64())))
    if not table.num_rows:
        return []
    found = {name: table[name].to_numpy() for name in Splits.names}
    order = np.lexsort(tuple(found[name] for name in ("row", "file", "split", "cluster_low", "cluster_high")))
    high, low, split = (found[name][order] for name in ("cluster_high", "cluster_low", "split"))
    same = (high[1:] == high[:-1]) & (low[1:] == low[:-1]) & (split[1:] != split[:-1])
    faults = []
    for place in np.flatnonzero(same).tolist():
        train, held = ((files[found["file"][n]], int(found["row"][n])) for n in (order[place], order[place + 1]))
        told = f"is in validation, and its near-duplicate {train[0]} row {train[1]} is in training"
        faults.append(Fault(held[0], told, "a cluster on one side only", held[1]))
    return some_of(faults)
