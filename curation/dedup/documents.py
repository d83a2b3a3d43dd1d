"""Which documents deduplication is about, how they are numbered, and where its tasks leave rows for one another.

A document's number is its place in input order over all shards, earlier runs first: the one identity that does not
change when the same documents are cut into other shards. Tasks work on ranges of numbers, each a run of whole shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.arrays import Int64s
from curation.dedup.settings import DedupSettings
from curation.dedup.survivor_rules import SurvivorValue
from curation.errors import CurationError, InputError
from curation.stages.parameters import build
from curation.store.exchange import Exchange
from curation.store.folder import Folder
from curation.store.manifest import fingerprint, read_manifest
from curation.store.shards import shard_name

WORK = "dedup/work"
"""Where exchanges stand in the output folder until the step is done."""

RANGES, RANGE_LEAST, RANGE_MOST = 64, 20_000, 500_000
"""Ranges aimed at, and the documents that one holds at least and at most (but for a shard that has more by itself).

At most: 56 MB of sketches. Their number depends on the number of documents alone, never on the workers."""

ROWS_MOST, ROWS_LEAST, PARTITIONS_LEAST = 4_000_000, 100_000, 16
"""Rows that a partition of an exchange is to hold at most, and at least while there are fewer than 16 partitions."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard and its documents' numbers, `first` up to `first + documents`. `earlier`: the URL of another run."""

    folder: Folder
    name: str
    first: int
    documents: int
    earlier: str | None = None

    @property
    def stop(self) -> int:
        """The number after its last document's."""
        return self.first + self.documents


@dataclass(frozen=True, slots=True)
class Work:
    """What every task of a run of the step knows. `bounds`: where each range begins, and the number of documents."""

    folder: Folder
    settings: DedupSettings
    survivor_value: SurvivorValue
    bounds: tuple[int, ...]
    earlier_documents: int

    @property
    def documents(self) -> int:
        """Documents in all, those of earlier runs included."""
        return self.bounds[-1]

    @property
    def ranges(self) -> int:
        """Number of ranges."""
        return len(self.bounds) - 1

    def range_of(self, documents: Int64s) -> npt.NDArray[np.integer[Any]]:
        """The range that each document is in."""
        return np.searchsorted(np.asarray(self.bounds[1:-1], np.int64), documents, side="right")

    def by_range(self, name: str) -> Exchange:
        """An exchange with one partition a range."""
        return Exchange(self.folder, f"{WORK}/{name}", self.ranges)

    def by_key(self, name: str, rows: int) -> Exchange:
        """An exchange with partitions for `rows` rows in all, which go where the upper bits of a hash send them."""
        return Exchange(self.folder, f"{WORK}/{name}", partitions_for(rows))


@dataclass(frozen=True, slots=True)
class RangeTask:
    """One range: its number and its shards, in order."""

    work: Work
    number: int
    shards: tuple[Shard, ...]

    @property
    def name(self) -> str:
        """Names what the task sends."""
        return f"{self.number:06d}"


@dataclass(frozen=True, slots=True)
class PartitionTask:
    """One partition of an exchange by key."""

    work: Work
    exchange: Exchange
    number: int

    @property
    def name(self) -> str:
        """Names what the task sends."""
        return f"{self.number:06d}"


def partitions_for(rows: int) -> int:
    """How many partitions `rows` rows are spread over.

    >>> [partitions_for(rows) for rows in (0, 30_000, 1_500_000, 75_000_000)]
    [1, 1, 15, 19]
    """
    return max(1, -(-rows // ROWS_MOST), min(PARTITIONS_LEAST, -(-rows // ROWS_LEAST)))


def ranges(shards: Sequence[Shard]) -> list[tuple[Shard, ...]]:
    """Shards in runs of at least as many documents as a range is to have."""
    documents = shards[-1].stop if shards else 0
    target = min(max(documents // RANGES, RANGE_LEAST), RANGE_MOST)
    found: list[tuple[Shard, ...]] = []
    run: list[Shard] = []
    for shard in shards:
        if run and shard.stop - run[0].first > target:
            found.append(tuple(run))
            run = []
        run.append(shard)
    return [*found, tuple(run)] if run else found


def plan_work(
    folder: Folder, settings: DedupSettings, best: SurvivorValue, shards: Sequence[Shard]
) -> tuple[Work, list[RangeTask]]:
    """The work on these shards, numbered one after the other, and its ranges."""
    parts = ranges(shards)
    bounds = (*(part[0].first for part in parts), shards[-1].stop if shards else 0)
    earlier = sum(shard.documents for shard in shards if shard.earlier is not None)
    work = Work(folder, settings, best, bounds, earlier)
    return work, [RangeTask(work, number, part) for number, part in enumerate(parts)]


def earlier_shards(settings: DedupSettings) -> list[Shard]:
    """The signed shards of all runs of `settings.against`, in their order, not yet counted.

    Raises InputError if a folder holds no run, one that is not filtered whole, or signatures of another kind.
    """
    return [
        Shard(folder, name, 0, 0, earlier=folder.url)
        for folder, run in check_earlier(settings)
        for name in _shard_names(folder, run)
    ]


def check_earlier(settings: DedupSettings) -> list[tuple[Folder, dict[str, Any]]]:
    """The folders of the earlier runs, and what their run.json says. InputError as for `earlier_shards`."""
    folders = [Folder(url) for url in settings.against] if settings.mode != "within" else []
    return [(folder, _checked(folder, settings)) for folder in folders]


def earlier_fingerprints(shards: Sequence[Shard]) -> list[str]:
    """What the shards of earlier runs are, for the fingerprint of a step that reads them."""
    marks = []
    for shard in shards:
        manifest = read_manifest(shard.folder, "filter", shard.name)
        outputs = [output.hash for output in manifest.outputs] if manifest is not None else []
        marks.append(fingerprint(shard.earlier, shard.name, outputs))
    return marks


def _checked(folder: Folder, settings: DedupSettings) -> dict[str, Any]:
    where = f"dedup.against: {folder.url}"
    try:
        run: dict[str, Any] = folder.read_json("run.json")
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: no run of curate ({error})") from error
    try:
        theirs = build(DedupSettings, run["recipe"]["dedup"], where)
    except CurationError as error:
        raise InputError(str(error)) from error
    if theirs.signature != settings.signature:
        raise InputError(
            f"{where}: its signatures are of another kind: variant, ngram, bands, rows, seed are "
            f"{', '.join(map(str, theirs.signature))}, here {', '.join(map(str, settings.signature))}"
        )
    return run


def _shard_names(folder: Folder, run: dict[str, Any]) -> list[str]:
    given_up = {entry["path"] for entry in run["quarantined"]}
    names = [shard_name(entry["path"]) for entry in run["inputs"] if entry["path"] not in given_up]
    for name in names:
        if read_manifest(folder, "filter", name) is None:
            raise InputError(f"dedup.against: {folder.url}: shard {name} is not filtered; finish that run first")
    return names
