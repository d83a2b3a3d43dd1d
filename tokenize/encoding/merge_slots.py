"""Merges the files of the first pass in tiers, so that a token shard is made from few files, however many shards exist.

With n corpus shards and about as many token shards, reading every file for every token shard would open n² files. A
merge reads the same range of slots from up to `MERGE_FILES` files and writes it in as many narrower ranges, so after
each tier there are fewer groups of shards, more ranges of slots, and about as many files as before:

    n shards × 1 range  →  n/f groups × f ranges  →  n/f² groups × f² ranges  →  …  →  at most PACK_FILES groups

Every file is written and opened once per tier, and a token shard opens `PACK_FILES` files for each range of slots it
lies in: O(n log n) in all. Each tier also reads and writes all tokens again, so the fewest tiers are made that suffice:
none up to 32 shards, one up to 4,096, two up to half a million.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.store.folder import Folder
from curation.tokenize.encoding.shuffle import SlotReader

PACK_FILES = 32
"""Groups of shards that are not merged any further: files that a token shard reads."""

MERGE_FILES = 128
"""Largest number of files that one merge reads or writes; well below 256, the lowest usual limit of open files."""


@dataclass(frozen=True, slots=True)
class SlotFiles:
    """The files that hold the documents of a split: one per group of shards and range of slots.

    Attributes:
        folder: Folder of the files in the output folder.
        slots: Number of slots.
        groups: Number of groups of shards.
        ranges: Number of ranges of slots, a power of two.
        names: Names of the files if each holds one shard, in the order of their paths; else empty.
    """

    folder: str
    slots: int
    groups: int
    ranges: int = 1
    names: tuple[str, ...] = ()

    def path(self, group: int, part: int) -> str:
        """Path of the file with a range of slots of a group of shards."""
        name = self.names[group] if self.names else f"{part:05d}-{group:05d}"
        return f"{self.folder}/{name}.arrow"

    def paths(self, first: int, last: int) -> list[str]:
        """The files that hold slots `first` to `last` (exclusive), those of earlier shards first within a range."""
        width = self.slots // self.ranges
        parts = range(first // width, -(-last // width))
        return [self.path(group, part) for part in parts for group in range(self.groups)]


@dataclass(frozen=True, slots=True)
class MergeSlotsTask:
    """One range of slots of one group of shards.

    Attributes:
        folder: Output folder.
        sources: Files to read, in the order of their shards.
        outputs: Files to write, each with an equal part of the slots.
        first: First slot.
        last: Last slot, exclusive.
        slots: Number of slots of the whole set.
        dtype: Type of the token ids.
    """

    folder: Folder
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    first: int
    last: int
    slots: int
    dtype: np.dtype[Any]


def plan_tiers(files: SlotFiles) -> list[SlotFiles]:
    """The files after each tier of merges, the last with at most `PACK_FILES` groups; empty if there are no more now.

    >>> [(tier.groups, tier.ranges) for tier in plan_tiers(SlotFiles("train", 65536, 90000))]
    [(1667, 32), (31, 1024)]
    """
    count = 0
    while files.groups > PACK_FILES * MERGE_FILES**count:
        count += 1
    fan_in = math.ceil((files.groups / PACK_FILES) ** (1 / count)) if count else 1
    split = 1 << fan_in.bit_length() - 1
    tiers = []
    groups, ranges = files.groups, files.ranges
    for number in range(1, count + 1):
        groups, ranges = -(-groups // fan_in), min(files.slots, ranges * split)
        tiers.append(SlotFiles(f"{files.folder}-{number}", files.slots, groups, ranges))
    return tiers


def merge_tasks(folder: Folder, source: SlotFiles, target: SlotFiles, dtype: np.dtype[Any]) -> Iterator[MergeSlotsTask]:
    """The tasks that make one tier from the one before it, `source.ranges * target.groups` in number."""
    fan_in, split, width = -(-source.groups // target.groups), target.ranges // source.ranges, source.slots
    width //= source.ranges
    for part in range(source.ranges):
        for group in range(target.groups):
            members = range(group * fan_in, min((group + 1) * fan_in, source.groups))
            sources = tuple(source.path(member, part) for member in members)
            outputs = tuple(target.path(group, number) for number in range(part * split, (part + 1) * split))
            yield MergeSlotsTask(folder, sources, outputs, part * width, (part + 1) * width, source.slots, dtype)


def merge_or_reuse(task: MergeSlotsTask) -> None:
    """Write the files of a task, unless they are there and can be read."""
    task.folder.fs.invalidate_cache()  # fsspec caches listings, perhaps one from before the files were written
    try:
        for path in task.outputs:
            with SlotReader(task.folder, [path], task.dtype):
                pass
        return
    except (OSError, ValueError):  # missing, or torn by a power failure: intermediate files are not synced
        pass
    width = (task.last - task.first) // len(task.outputs)
    with SlotReader(task.folder, task.sources, task.dtype) as reader:
        for number, path in enumerate(task.outputs):
            first = task.first + number * width
            reader.merge(path, first, first + width, task.slots)
