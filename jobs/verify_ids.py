"""The part of `curate verify` that brings equal ids together: in corpus/, removed/, drop lists and token shards.

Every mention of a document travels as 61 bytes to the partition of its id's hash; a partition is looked at by itself,
so memory does not grow with the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from curation.dedup.contracts import URL
from curation.errors import StepFailed
from curation.exchange import Exchange, Sender
from curation.jobs.faults import Fault, some_of
from curation.jobs.verify_files import UNREADABLE
from curation.shards import read_shard
from curation.storage import Folder
from curation.tokenize.clusters import cluster_ids

Numbers = npt.NDArray[np.int64]

CORPUS, REMOVED, DROPPED, CUT, SURVIVOR, URL_SURVIVOR, TRAIN, VALIDATION = range(8)
"""Where an id is mentioned. DROPPED: removed/dedup by deduplication itself; CUT: there by a stage after it."""

Ids = pa.schema(
    [
        ("high", pa.uint64()),
        ("low", pa.uint64()),
        ("kind", pa.uint8()),
        ("spot", pa.uint64()),
        ("file", pa.int32()),
        ("row", pa.int64()),
        ("count", pa.int64()),
        ("cluster_high", pa.uint64()),
        ("cluster_low", pa.uint64()),
    ]
)
"""A mention of an id: its hash, where in which archive the record is (0: unknown), file and row, tokens, and the hash
of its near-duplicate cluster (0: it is alone)."""

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

ROW_BYTES = 61
PARTITION_BYTES = 64 << 20


def partitions_for(rows: int, row_bytes: int = ROW_BYTES) -> int:
    """Partitions for so many rows in all."""
    return max(1, min(4096, -(-rows * row_bytes // PARTITION_BYTES)))


def hash_texts(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """128-bit hashes of strings, shape (texts, 2); a null counts as the empty string."""
    digests = b"".join(xxhash.xxh3_128_digest((text or "").encode()) for text in texts.to_pylist())
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)


def send_ids(
    sender: Sender,
    ids: pa.Array,
    kind: int | npt.NDArray[np.uint8],
    file: int,
    rows: Numbers,
    *,
    spots: npt.NDArray[np.uint64] | None = None,
    counts: Any = None,
    clusters: npt.NDArray[np.uint64] | None = None,
) -> None:
    """Send mentions of ids to their partitions."""
    n = len(ids)
    if not n:
        return
    hashes = hash_texts(ids)
    zeros = np.zeros(n, np.uint64)
    columns = [
        hashes[:, 0],
        hashes[:, 1],
        np.broadcast_to(np.asarray(kind, np.uint8), n),
        zeros if spots is None else spots,
        np.full(n, file, np.int32),
        np.asarray(rows, np.int64),
        np.full(n, -1, np.int64) if counts is None else np.asarray(counts, np.int64),
        *(zeros if clusters is None else clusters[:, side] for side in (0, 1)),
    ]
    batch = pa.RecordBatch.from_arrays([pa.array(np.ascontiguousarray(column)) for column in columns], schema=Ids)
    partitions = sender._exchange.partitions
    sender.send(batch, (hashes[:, 0] % np.uint64(partitions)).astype(np.int64))


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A file with ids: its number among all files, its path, the shard it is of, and how its ids are meant."""

    number: int
    path: str
    shard: str
    kind: int


@dataclass(frozen=True, slots=True)
class SendIds:
    """Sends the ids of one file; a picklable task for the cluster."""

    folder: Folder
    exchange: Exchange
    clustered: bool

    def __call__(self, file: DocumentFile) -> Fault | None:
        """Why the file cannot be read, or None."""
        try:
            self._send_file(file)
        except UNREADABLE as error:
            return Fault(file.path, f"cannot be read ({str(error).splitlines()[0]})")
        return None

    def _send_file(self, file: DocumentFile) -> None:
        first = 0
        with self.exchange.sender(f"ids-{file.number:06d}", Ids) as sender:
            if file.kind == SURVIVOR:
                self._send_survivors(sender, file)
                return
            clusters = self._clusters(file) if file.kind == CORPUS and self.clustered else None
            columns = ["id", "file_path", "warc_offset", "token_count", *(["stage"] if file.kind == DROPPED else [])]
            for batch in read_shard(self.folder, file.path, columns, 16_384):
                rows = np.arange(first, first + batch.num_rows)
                mine = None if clusters is None else clusters[first : first + batch.num_rows]
                first += batch.num_rows
                self._send(sender, file, batch, rows, mine)

    def _send(self, sender: Sender, file: DocumentFile, batch: pa.RecordBatch, rows: Numbers, clusters: Any) -> None:
        kind: Any = file.kind
        if file.kind == DROPPED:
            dropped = pc.equal(batch.column("stage"), "dedup").to_numpy(zero_copy_only=False)
            kind = np.where(dropped, DROPPED, CUT).astype(np.uint8)
        counts = batch.column("token_count").fill_null(-1).to_numpy()
        send_ids(
            sender, batch.column("id"), kind, file.number, rows, spots=_spots(batch), counts=counts, clusters=clusters
        )

    def _send_survivors(self, sender: Sender, file: DocumentFile) -> None:
        first = 0
        for batch in read_shard(self.folder, file.path, ["survivor_id", "survivor_run", "reason"], 16_384):
            here = batch.column("survivor_run").is_null().to_numpy(zero_copy_only=False)
            by_url = pc.equal(batch.column("reason"), URL).to_numpy(zero_copy_only=False)
            kind = np.where(by_url, URL_SURVIVOR, SURVIVOR).astype(np.uint8)
            ids = batch.column("survivor_id").filter(pa.array(here))
            send_ids(sender, ids, kind[here], file.number, np.flatnonzero(here) + first)
            first += batch.num_rows

    def _clusters(self, file: DocumentFile) -> npt.NDArray[np.uint64]:
        """Hashes of the clusters of a corpus shard's documents, zeros for those that are alone."""
        ids = pa.concat_arrays(
            [pa.array([], pa.string()), *(b.column("id") for b in read_shard(self.folder, file.path, ["id"], 16_384))]
        )
        try:
            clusters = cluster_ids(self.folder, file.shard, ids)
        except StepFailed:  # rows that are missing or too many, which the shard's own check tells
            return np.zeros((len(ids), 2), np.uint64)
        hashes = hash_texts(clusters).copy()
        listed = _listed(self.folder, file.shard, len(ids))
        hashes[~listed] = 0
        return hashes


def _listed(folder: Folder, shard: str, rows: int) -> npt.NDArray[np.bool_]:
    """Corpus rows that dedup/kept/ names."""
    kept = [b.column("row").to_numpy() for b in read_shard(folder, f"dedup/kept/{shard}.parquet", ["row"])]
    gone = [b.column("row").to_numpy() for b in read_shard(folder, f"dedup/drop/{shard}.parquet", ["row"])]
    place = np.concatenate([np.empty(0, np.int64), *kept])
    dropped = np.concatenate([np.empty(0, np.int64), *gone])
    listed = np.zeros(rows, np.bool_)
    listed[place - np.searchsorted(dropped, place)] = True
    return listed


def _spots(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """A hash of where each record stands, 0 where that is not known."""
    pairs = zip(batch.column("file_path").to_pylist(), batch.column("warc_offset").to_pylist(), strict=True)
    hashed = (
        0 if offset is None else xxhash.xxh3_64_intdigest(f"{path} {offset}".encode()) | 1 for path, offset in pairs
    )
    return np.fromiter(hashed, np.uint64, batch.num_rows)


@dataclass(frozen=True, slots=True)
class Meeting:
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
class Met:
    """What a partition came to. notes: what is strange about the input rather than the run."""

    faults: list[Fault]
    notes: list[str]
    documents: int
    held: int


@dataclass(frozen=True, slots=True)
class CheckPartition:
    """Looks at all mentions of the ids of a partition; a picklable task for the cluster."""

    meeting: Meeting

    def __call__(self, partition: int) -> Met:
        """Everything wrong with the partition's ids; what split each document is in is sent onward."""
        meeting = self.meeting
        table = meeting.exchange.receive_table(partition, Ids)
        if not table.num_rows:
            return Met([], [], 0, 0)
        group = Group(table)
        faults = [fault for kind in group.faults(meeting) for fault in some_of(kind)]
        sent = group.send_splits(meeting, partition)
        return Met(faults, group.notes(meeting), group.documents, sent)


class Group:
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
        return int(sum(self.counts[kind].sum() for kind in (CORPUS, REMOVED, DROPPED, CUT)))

    def places(self, group: int, *kinds: int) -> list[int]:
        """The mentions of these kinds of an id."""
        here = range(self.start[group], self.start[group] + self.size[group])
        return [place for place in here if self.of["kind"][place] in kinds]

    def where(self, place: int, meeting: Meeting) -> tuple[str, int]:
        """File and row of a mention."""
        return meeting.files[self.of["file"][place]], int(self.of["row"][place])

    def _fault(self, place: int, meeting: Meeting, what: str, expected: str) -> Fault:
        file, row = self.where(place, meeting)
        hashed = int(self.of["high"][place]), int(self.of["low"][place])
        return Fault(file, what.replace("{id}", read_id(meeting.folder, file, row, hashed)), expected, row)

    def faults(self, meeting: Meeting) -> Iterator[list[Fault]]:
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

    def _twice(self, meeting: Meeting) -> Iterator[Fault]:
        n = self.counts
        documents = n[CORPUS] + n[REMOVED] + n[DROPPED] + n[CUT]
        for g in np.flatnonzero(documents > 1).tolist():
            places = self.places(g, CORPUS, REMOVED, DROPPED, CUT)
            spots = [int(self.of["spot"][place]) for place in places]
            same = len({*spots}) < len(spots) or 0 in spots
            file, row = self.where(places[0], meeting)
            if n[CORPUS][g] > 1:
                yield self._fault(places[1], meeting, f"id {{id}} is also that of {file} row {row}", "an id for each")
            elif same and n[CORPUS][g]:
                told = f"document {{id}} is also kept, in {file} row {row}"
                yield self._fault(places[1], meeting, told, "kept or removed, not both")
            elif same:
                yield self._fault(places[1], meeting, f"document {{id}} is also in {file} row {row}", "removed once")

    def notes(self, meeting: Meeting) -> list[str]:
        """Ids that two records of the input share."""
        n = self.counts
        found = []
        for g in np.flatnonzero((n[CORPUS] + n[REMOVED] + n[DROPPED] + n[CUT] > 1) & (n[CORPUS] < 2)).tolist():
            places = self.places(g, CORPUS, REMOVED, DROPPED, CUT)
            spots = [int(self.of["spot"][place]) for place in places]
            if len({*spots}) == len(spots) and 0 not in spots:
                told = [" row ".join(map(str, self.where(place, meeting))) for place in places[:2]]
                found.append(f"{told[0]} and {told[1]}: two records of the input have one id")
        return found

    def _survivors(self, meeting: Meeting) -> Iterator[Fault]:
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

    def _unknown(self, group: int, meeting: Meeting) -> Fault:
        removed = self.places(group, REMOVED, DROPPED, CUT)
        told = "document_ids names {id}, which is not in the corpus"
        if removed:
            file, row = self.where(removed[0], meeting)
            told += f" but removed ({file} row {row})"
        return self._fault(self.places(group, TRAIN, VALIDATION)[0], meeting, told, "a document of corpus/")

    def _miscounted(self, meeting: Meeting) -> Iterator[Fault]:
        n = self.counts
        is_token = (self.of["kind"] == TRAIN) | (self.of["kind"] == VALIDATION)
        tokens = np.add.reduceat(np.where(is_token, self.of["count"], 0), self.start)
        counted = np.add.reduceat(np.where(self.of["kind"] == CORPUS, self.of["count"], 0), self.start)
        wrong = (n[CORPUS] == 1) & (n[TRAIN] + n[VALIDATION] > 0) & (tokens != counted + 1)
        for g in np.flatnonzero(wrong).tolist():
            told = f"token_count of {{id}} is {counted[g]:,}"
            yield self._fault(self.places(g, CORPUS)[0], meeting, told, f"{tokens[g] - 1:,}, the tokens made of it")

    def send_splits(self, meeting: Meeting, partition: int) -> int:
        """Send what split the corpus' documents are in, by cluster and by file. Returns those in validation."""
        n = self.counts
        inside = np.flatnonzero((n[CORPUS] == 1) & ((n[TRAIN] > 0) ^ (n[VALIDATION] > 0)))
        place = self.start[inside]  # CORPUS is the lowest kind, so its mention comes first
        split = np.where(n[VALIDATION][inside] > 0, VALIDATION, TRAIN).astype(np.uint8)
        names = ("cluster_high", "cluster_low", "file", "row")
        high, low, file, row = (self.of[name][place] for name in names)
        columns = [pa.array(values) for values in (high, low, split, file, row)]
        batch = pa.RecordBatch.from_arrays(columns, schema=Splits)
        for exchange, keys in ((meeting.onward, high), (meeting.by_file, file)):
            with exchange.sender(f"splits-{partition:06d}", Splits) as sender:
                sender.send(batch, keys.astype(np.uint64) % np.uint64(exchange.partitions))
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
