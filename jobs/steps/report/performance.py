"""Time and memory of a run, summed over performance/ by step and by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.jobs.steps.table import steps
from curation.store.folder import Folder
from curation.store.manifest import counts_by_shard, manifest_steps, step_times


@dataclass
class StepTime:
    """Time and memory of a step.

    Attributes:
        shards: Number of measured shards.
        seconds: Wall seconds of its tasks, summed over shards.
        documents: Documents in the measured shards.
        memory: Peak bytes of memory of its workers.
    """

    shards: int = 0
    seconds: float = 0.0
    documents: int = 0
    memory: int = 0


@dataclass
class Performance:
    """Time and memory of a run.

    Attributes:
        steps: By step, in order.
        stages: CPU seconds and documents by stage.
        slowest: Name, wall seconds and peak memory of the slowest tasks.
    """

    steps: dict[str, StepTime] = field(default_factory=dict)
    stages: dict[str, tuple[float, int]] = field(default_factory=dict)
    slowest: list[tuple[str, float, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Wall seconds of all steps."""
        return sum(step.seconds for step in self.steps.values())


def measure(folder: Folder, stats: Mapping[str, Any]) -> Performance:
    """Sum up performance/; `stats`, the content of stats.json, gives the documents that entered each stage."""
    total = Performance()
    seconds: Counter[str] = Counter()
    slowest: list[tuple[str, float, int]] = []
    for step, shard, values, entered in _tasks(folder):
        time = step_seconds(values)
        entry = total.steps.setdefault(step, StepTime())
        entry.shards += 1
        entry.seconds += time
        entry.memory = max(entry.memory, values.get("peak_memory", 0))
        entry.documents += entered
        parts = values.get("stages")
        seconds.update(parts if isinstance(parts, dict) else {})
        slowest.append((f"{step} {shard}", time, values.get("peak_memory", 0)))
    documents = {name: tally["documents_in"] for name, tally in stats["stages"].items()}
    order = [name for name in documents if name in seconds] + sorted(set(seconds) - set(documents))
    total.stages = {name: (seconds[name], documents.get(name, 0)) for name in order}
    total.slowest = sorted(slowest, key=lambda task: (-task[1], task[0]))[:10]
    return total


def _rank(name: str) -> int:
    """The place of a step, or of a phase of one, in the order of the run."""
    order = [each for step in steps() for each in (*step.phases, step.name)]
    return order.index(name) if name in order else len(order)


def step_seconds(values: Mapping[str, Any]) -> float:
    """Seconds of a task, or of all phases of a step together."""
    time = values.get("seconds", 0.0)
    return float(sum(time.values()) if isinstance(time, dict) else time)


def _tasks(folder: Folder) -> Iterator[tuple[str, str, Mapping[str, Any], int]]:
    """Step, shard, content of performance/ and the documents that entered, of every task that was measured."""
    for step in sorted(manifest_steps(folder, "performance"), key=_rank):
        times = sorted(step_times(folder, step), key=lambda entry: entry[0])
        entered = dict(_entered(folder, step, [shard for shard, _ in times]))
        for shard, values in times:
            yield step, shard, values, entered.get(shard, 0) if values else 0


def _entered(folder: Folder, step: str, shards: Sequence[str]) -> Iterator[tuple[str, int]]:
    for shard, counts in counts_by_shard(folder, step, shards):
        if "stages" in counts:
            yield shard, int(next((tally["documents_in"] for tally in counts["stages"].values()), 0))
        else:
            yield shard, int(counts.get("documents", 0))
