"""One archive on all cores: its parts are filtered as shards of their own, then joined to the shard of the archive.

    archive ─ divide ─ one task per part ─ unfinished/… ─ one task per archive ─ documents/, removed/, … as of the whole

The bytes are those of the archive filtered as a whole: rows keep their order, row groups are cut by row number, counts
add up. Parts check where they end (`curation.archives.divide`); if one of them cannot be joined to the next, the
archive is filtered as a whole instead. So is one with a record that was left out for the time it took, because how many
may be left out is limited per archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from curation.archives.divide import divide, is_divisible
from curation.archives.inputs import Input
from curation.archives.ledger import MAX_LOSSES
from curation.jobs.steps.tasks import run_tasks
from curation.running.answers import TaskFailure
from curation.running.performance import Meter
from curation.stages.signals import Histogram, add_histograms, to_json
from curation.stages.tally import StageTally, add_counts, add_stages
from curation.store.folder import Folder
from curation.store.manifest import Manifest, fingerprint, is_done, read_times
from curation.store.paths import UNFINISHED, ShardFiles
from curation.store.shards import ShardWriter, read_shard

if TYPE_CHECKING:
    from curation.jobs.steps.filter import FilterTask
    from curation.jobs.steps.run import Run

LEFT_OUT = ("skipped.too_slow", "skipped.crash")
"""Counts of records that were left out to go on with the others."""


def parts_folder(folder: Folder) -> Folder:
    """The folder of the parts, in which they have the paths that shards have in a run's folder."""
    return Folder(f"{folder.url}/{UNFINISHED}")


def divided(run: Run, tasks: Sequence[FilterTask]) -> list[FilterTask]:
    """The tasks, those of large archives with their parts if there are fewer tasks than workers, or will be."""
    large = [task for task in tasks if task.earlier is None and is_divisible(task.source)]
    if not large or len(tasks) >= max(run.cluster.workers, run.cluster.cores):
        return list(tasks)
    found = run.cluster.gather(divide, [task.source for task in large])
    parts = {task.shard: each for task, each in zip(large, found, strict=True) if len(each) > 1}
    return [replace(task, parts=parts.get(task.shard, ())) for task in tasks]


def make_parts(
    run: Run, step: str, tasks: Sequence[FilterTask], function: Callable[[FilterTask], Mapping[str, int]]
) -> None:
    """Make the parts of these tasks that are not done yet. If one cannot be made, the rest is left to the whole.

    Args:
        run: The run.
        step: Name of the step, in progress.
        tasks: Tasks, some with parts.
        function: Makes a part as if it were an archive.
    """
    parts = [part_task(task, part) for task in tasks for part in task.parts]
    given_up: set[str] = set()

    def give_up(failure: TaskFailure[FilterTask]) -> str:
        given_up.add(failure.item.source.path)
        return ""

    if parts:
        run_tasks(
            step,
            function,
            parts,
            run.cluster,
            run.progress,
            give_up=give_up,
            size=lambda part: part.source.bytes,
            unit="parts of archives",
            is_needed=lambda part: part.source.path not in given_up,
        )


def part_task(task: FilterTask, part: Input) -> FilterTask:
    """The task that makes a part."""
    made_from = fingerprint(task.fingerprint, part.identity)
    return replace(task, folder=parts_folder(task.folder), source=part, fingerprint=made_from, parts=())


def finished_parts(task: FilterTask, step: str) -> list[Manifest]:
    """The manifests of all parts of a task, or none if they cannot be joined."""
    parts = [part_task(task, part) for part in task.parts]
    found = [is_done(part.folder, step, part.shard, part.fingerprint) for part in parts]
    manifests = [manifest for manifest in found if manifest is not None]
    if len(manifests) < len(parts) or any(
        manifest.counts["read"].get(name) for manifest in manifests for name in LEFT_OUT
    ):
        return []
    return manifests


def join(
    folder: Folder, manifests: Sequence[Manifest], writers: Mapping[ShardFiles, ShardWriter], meter: Meter
) -> dict[str, Any]:
    """Copy the rows of all parts, and add up what they counted.

    Args:
        folder: The output folder.
        manifests: Of the parts, in file order.
        writers: Where the rows of each kind of file go.
        meter: Measures the time.

    Returns:
        The counts, as if the archive had been read as a whole.
    """
    read: Counter[str] = Counter()
    stages: dict[str, StageTally] = {}
    signals: dict[str, Histogram] = {}

    def copy(files: ShardFiles) -> None:
        with meter.timed("write"):
            for manifest in manifests:
                for batch in read_shard(parts_folder(folder), files.path(manifest.shard)):
                    writers[files].write(batch)
            writers[files].finish()

    with ThreadPoolExecutor() as pool:  # the other cores have nothing else to do
        for _ in pool.map(copy, writers):
            pass
    for manifest in manifests:
        read.update(manifest.counts["read"])
        stages = add_stages(
            stages, {name: StageTally.from_json(each) for name, each in manifest.counts["stages"].items()}
        )
        counted = {name: Histogram.from_json(each) for name, each in manifest.counts["signals"].items()}
        signals = add_histograms(signals, counted)
    losses = [loss for manifest in manifests for loss in manifest.counts["losses"]]
    return {
        "read": dict(sorted(read.items())),
        "stages": {name: tally.to_json() for name, tally in stages.items()},
        "signals": to_json(signals),
        "losses": losses[:MAX_LOSSES],
    }


def add_times(report: Mapping[str, Any], folder: Folder, manifests: Sequence[Manifest]) -> dict[str, Any]:
    """What joining took, and what making the parts took."""
    total = dict(report)
    for manifest in manifests:
        times = read_times(parts_folder(folder), manifest.step, manifest.shard)
        if times:
            total["seconds"] += times["seconds"]
            total["stages"] = add_counts(total["stages"], times["stages"])
            total["peak_memory"] = max(total["peak_memory"], times["peak_memory"])
    return total
