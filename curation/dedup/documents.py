"""The documents of a deduplication, their numbers, and how they are divided into tasks.

A document's number is its position in input order over all shards, earlier runs first: the only identity that does not
change when the same documents are divided into other shards. Tasks work on ranges of numbers, each a sequence of
complete shards.
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
from curation.store.manifest import fingerprint, fingerprints, read_manifests
from curation.store.paths import RUN
from curation.store.shards import shard_of

WORK = "dedup/work"
"""Path of the exchanges in the output folder until the step is done."""

RANGES, MIN_RANGE, MAX_RANGE = 64, 20_000, 500_000
"""Target number of ranges, and the minimum and maximum number of documents in one, unless a single shard has more.

The maximum is 56 MB of sketches. The number of ranges depends only on the number of documents, never on the workers."""

MAX_ROWS, MIN_ROWS, MIN_PARTITIONS = 4_000_000, 100_000, 16
"""Maximum number of rows per partition of an exchange; the minimum applies while there are fewer than 16 partitions."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard and the numbers of its documents.

    Attributes:
        folder: Output folder of the run.
        name: Name of the shard.
        first: Number of its first document.
        documents: Number of documents.
        earlier: URL of the earlier run that the shard belongs to, None for this run.
    """

    folder: Folder
    name: str
    first: int
    documents: int
    earlier: str | None = None

    @property
    def stop(self) -> int:
        """The number after that of its last document."""
        return self.first + self.documents


@dataclass(frozen=True, slots=True)
class Work:
    """What all tasks of a deduplication share.

    Attributes:
        folder: Output folder.
        settings: Table [dedup] of the recipe.
        worth: Value by which survivors are chosen.
        bounds: First document of each range, and the number of documents.
        earlier_documents: Number of documents of earlier runs, which come first.
    """

    folder: Folder
    settings: DedupSettings
    survivor_value: SurvivorValue
    bounds: tuple[int, ...]
    earlier_documents: int

    @property
    def documents(self) -> int:
        """Total number of documents, including those of earlier runs."""
        return self.bounds[-1]

    @property
    def ranges(self) -> int:
        """Number of ranges."""
        return len(self.bounds) - 1

    def range_of(self, documents: Int64s) -> npt.NDArray[np.integer[Any]]:
        """The range of each document."""
        return np.searchsorted(np.asarray(self.bounds[1:-1], np.int64), documents, side="right")

    def by_range(self, name: str) -> Exchange:
        """An exchange with one partition per range."""
        return Exchange(self.folder, f"{WORK}/{name}", self.ranges)

    def by_key(self, name: str, rows: int) -> Exchange:
        """An exchange for `rows` rows in total, partitioned by the upper bits of a hash."""
        return Exchange(self.folder, f"{WORK}/{name}", partitions_for(rows))


@dataclass(frozen=True, slots=True)
class RangeTask:
    """A task for one range, with its number and its shards in order."""

    work: Work
    number: int
    shards: tuple[Shard, ...]

    @property
    def name(self) -> str:
        """Name under which the task sends rows."""
        return f"{self.number:06d}"


@dataclass(frozen=True, slots=True)
class PartitionTask:
    """A task for one partition of an exchange by key."""

    work: Work
    exchange: Exchange
    number: int

    @property
    def name(self) -> str:
        """Name under which the task sends rows."""
        return f"{self.number:06d}"


def partitions_for(rows: int) -> int:
    """Number of partitions for `rows` rows.

    >>> [partitions_for(rows) for rows in (0, 30_000, 1_500_000, 75_000_000)]
    [1, 1, 15, 19]
    """
    return max(1, -(-rows // MAX_ROWS), min(MIN_PARTITIONS, -(-rows // MIN_ROWS)))


def ranges(shards: Sequence[Shard]) -> list[tuple[Shard, ...]]:
    """Group consecutive shards into ranges."""
    documents = shards[-1].stop if shards else 0
    target = min(max(documents // RANGES, MIN_RANGE), MAX_RANGE)
    groups: list[tuple[Shard, ...]] = []
    run: list[Shard] = []
    for shard in shards:
        if run and shard.stop - run[0].first > target:
            groups.append(tuple(run))
            run = []
        run.append(shard)
    return [*groups, tuple(run)] if run else groups


def plan_work(
    folder: Folder, settings: DedupSettings, best: SurvivorValue, shards: Sequence[Shard]
) -> tuple[Work, list[RangeTask]]:
    """Divide numbered shards into ranges; returns what the tasks share, and one task per range."""
    parts = ranges(shards)
    bounds = (*(part[0].first for part in parts), shards[-1].stop if shards else 0)
    earlier = sum(shard.documents for shard in shards if shard.earlier is not None)
    work = Work(folder, settings, best, bounds, earlier)
    return work, [RangeTask(work, number, part) for number, part in enumerate(parts)]


def earlier_shards(settings: DedupSettings) -> list[Shard]:
    """The shards of all runs in `settings.against`, in order, with documents not counted yet.

    Raises:
        InputError: A folder is not a curate run, is not completely filtered, or has incompatible signatures.
    """
    return [
        Shard(folder, name, 0, 0, earlier=folder.url)
        for folder, run in check_earlier(settings)
        for name in _shard_names(folder, run)
    ]


def check_earlier(settings: DedupSettings) -> list[tuple[Folder, dict[str, Any]]]:
    """The folders of the earlier runs with their run.json.

    Raises:
        InputError: As for `earlier_shards`.
    """
    folders = [Folder(url) for url in settings.against] if settings.mode != "within" else []
    return [(folder, _checked(folder, settings)) for folder in folders]


def earlier_fingerprints(shards: Sequence[Shard]) -> list[str]:
    """Fingerprints of the shards of earlier runs, for the fingerprint of a step that reads them."""
    hashes = {
        (url, manifest.shard): [output.hash for output in manifest.outputs]
        for url in dict.fromkeys(shard.folder.url for shard in shards)
        for manifest in read_manifests(Folder(url), "filter")
    }
    return [fingerprint(shard.earlier, shard.name, hashes.get((shard.folder.url, shard.name), [])) for shard in shards]


def _checked(folder: Folder, settings: DedupSettings) -> dict[str, Any]:
    where = f"dedup.against: {folder.url}"
    try:
        run: dict[str, Any] = folder.read_json(RUN)
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: not a curate run ({error})") from error
    try:
        theirs = build(DedupSettings, run["recipe"]["dedup"], where)
        _ = [shard_of(entry) for entry in (*run["inputs"], *run["quarantined"])]
    except CurationError as error:
        raise InputError(str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: not a curate run (run.json: {error!r})") from error
    if theirs.signature != settings.signature:
        raise InputError(
            f"{where}: incompatible signatures: variant, ngram, bands, rows, seed (and scope) are "
            f"{', '.join(map(str, theirs.signature))}, but {', '.join(map(str, settings.signature))} in this run"
        )
    return run


def _shard_names(folder: Folder, run: dict[str, Any]) -> list[str]:
    given_up = set(map(shard_of, run["quarantined"]))
    names = [name for name in map(shard_of, run["inputs"]) if name not in given_up]
    filtered = fingerprints(folder, "filter")
    for name in names:
        if name not in filtered:
            raise InputError(f"dedup.against: {folder.url}: shard {name} has not been filtered; finish that run first")
    return names
