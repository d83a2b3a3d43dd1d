"""How far a run is, from its output folder alone: its manifests, and the lease of the driver that works there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from typing import Any, Literal

from rich.console import Console

from curation.errors import OutputError
from curation.jobs.steps.plan import asked_in, read_run
from curation.jobs.steps.progress import SLOWEST, duration
from curation.jobs.steps.table import Step, commands, steps
from curation.report.tables import FittedTable
from curation.running.terminal import one_line
from curation.store.bundles import bundle_path, list_step, read_bundle
from curation.store.folder import Folder
from curation.store.lease import RENEW_SECONDS, describe_lease, is_alive_here, read_lease
from curation.store.manifest import WHOLE, step_times
from curation.store.paths import RUN
from curation.store.shards import shard_of

SILENT_RENEWALS = 6
"""Renewals that a driver on another machine has missed when it is taken for ended."""

QUARANTINED_SHOWN = 10
"""Quarantined inputs that are named."""

State = Literal["running", "silent", "ended", "none"]
"""Of the driver: working, not heard of for some time, ended without removing its lease, or none is there."""


@dataclass(frozen=True, slots=True)
class StepCount:
    """How far a step is.

    Attributes:
        step: Its name.
        done: Number of its shards that have a manifest, or 1 if it is made at once and is done.
        total: Number of its shards, or 1.
        left: Number of those that are not made and not quarantined.
        asked: Whether the run was made for it.
    """

    step: str
    done: int
    total: int
    left: int
    asked: bool


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far a run is.

    Attributes:
        folder: Address of the output folder.
        state: Of its driver.
        driver: Whose the lease is, in words; empty if there is none.
        renewed: When the driver last wrote the lease; None if there is none.
        steps: The steps, in order.
        current: What the driver says of the step that runs: see `StepProgress.status`.
        workers: Number of workers.
        queued: Which jobs wait in the queue of a batch system, and why.
        running: The tasks that run longest, each with shard, worker and seconds.
        slowest: The slowest shards of the step that runs, or of the last one that was measured.
        quarantined: The quarantined inputs, as in run.json.
        damaged: Number of inputs that lost bytes.
        asked: The commands whose steps the run was made for; empty if for all.
    """

    folder: str
    state: State
    driver: str = ""
    renewed: datetime | None = None
    steps: tuple[StepCount, ...] = ()
    current: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 0
    queued: str = ""
    running: tuple[Mapping[str, Any], ...] = ()
    slowest: tuple[Mapping[str, Any], ...] = ()
    quarantined: tuple[Mapping[str, Any], ...] = ()
    damaged: int = 0
    asked: tuple[str, ...] = ()

    @property
    def is_done_as_asked(self) -> bool:
        """Whether the run was made for some steps only, and these are made of all inputs that are not quarantined."""
        return bool(self.asked) and not any(each.left for each in self.steps if each.asked)

    @property
    def shards_per_hour(self) -> float | None:
        """Shards or other units per hour of the step that runs; None before the first one is done."""
        made = _number(self.current, "done") - _number(self.current, "already")
        seconds = _number(self.current, "seconds")
        return 3600 * made / seconds if made > 0 and seconds > 0 else None

    @property
    def step_ends(self) -> datetime | None:
        """When the step that runs will end at the present rate; None if that is unknown."""
        left = self.current.get("seconds_left")
        if self.renewed is None or self.state != "running" or not isinstance(left, int | float):
            return None
        return self.renewed + timedelta(seconds=min(max(left, 0), 1e9))


def run_status(url: str) -> RunStatus:
    """How far the run in a folder is; nothing is written there.

    Args:
        url: The output folder, which may be somebody else's, and on another machine.

    Raises:
        OutputError: There is no run.
    """
    folder = Folder(url)
    if not folder.exists(RUN):
        raise OutputError(f"{url}: not a curate run (no {RUN})")
    run = read_run(folder, "inputs", "quarantined")
    quarantined = tuple(run["quarantined"])
    asked = asked_in(run)
    shards = ({shard_of(entry) for entry in run["inputs"]}, {shard_of(entry) for entry in quarantined})
    counts = tuple(
        _count(folder, step, *shards, step.command in (asked or commands())) for step in steps() if step.make
    )
    lease = read_lease(folder)
    step = (lease or {}).get("step")
    current = step if isinstance(step, dict) else {}
    slowest = _entries(current.get("slowest")) or _slowest(folder, counts)
    damaged = run.get("damaged")
    return RunStatus(
        folder.url,
        _state(lease),
        "" if lease is None else describe_lease(lease),
        _renewed(lease),
        counts,
        current,
        int(_number(lease or {}, "workers")),
        str((lease or {}).get("queued") or ""),
        _entries((lease or {}).get("running")),
        slowest,
        quarantined,
        len(damaged) if isinstance(damaged, list) else 0,
        asked,
    )


def _count(folder: Folder, step: Step, shards: set[str], quarantined: set[str], asked: bool) -> StepCount:
    files = list_step(folder, step.name)
    done = set(files.single)
    for number in files.bundles:
        done.update(read_bundle(folder, bundle_path(step.name, number), ["shard"])["shard"].to_pylist())
    wanted = shards if step.unit == "shard" else {WHOLE}
    return StepCount(step.name, len(done & wanted), len(wanted), len(wanted - done - quarantined), asked)


def _slowest(folder: Folder, counts: tuple[StepCount, ...]) -> tuple[Mapping[str, Any], ...]:
    """From performance/: of the last step that has any manifest of a shard."""
    last = next((each.step for each in reversed(counts) if each.total > 1 and each.done), None)
    if last is None:
        return ()
    times = ({"shard": shard, "seconds": _number(values, "seconds")} for shard, values in step_times(folder, last))
    return tuple(nlargest(SLOWEST, times, key=lambda entry: entry["seconds"]))


def _state(lease: Mapping[str, Any] | None) -> State:
    if lease is None:
        return "none"
    alive = is_alive_here(lease)
    if alive is not None:
        return "running" if alive else "ended"
    renewed = _renewed(lease)
    is_silent = renewed is None or datetime.now(UTC) - renewed > timedelta(seconds=SILENT_RENEWALS * RENEW_SECONDS)
    return "silent" if is_silent else "running"


def _renewed(lease: Mapping[str, Any] | None) -> datetime | None:
    try:
        renewed = datetime.fromisoformat((lease or {})["renewed"])
    except (KeyError, TypeError, ValueError):
        return None
    return renewed if renewed.tzinfo else renewed.replace(tzinfo=UTC)


def _number(values: Mapping[str, Any], name: str) -> float:
    """A number in a file that anybody may have written; 0 if it is none."""
    value = values.get(name)
    return value if isinstance(value, int | float) and abs(value) < 1e15 else 0


def _entries(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The entries of a list of mappings; empty if it is none."""
    return tuple(entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def to_json(status: RunStatus) -> dict[str, Any]:
    """The status as plain values."""
    return {
        "folder": status.folder,
        "state": status.state,
        "driver": status.driver,
        "renewed": status.renewed and status.renewed.isoformat(),
        "steps": [{"step": each.step, "done": each.done, "total": each.total} for each in status.steps],
        "current": dict(status.current),
        "shards_per_hour": status.shards_per_hour,
        "step_ends": status.step_ends and status.step_ends.isoformat(timespec="seconds"),
        "workers": status.workers,
        "queued": status.queued,
        "running": list(status.running),
        "slowest": list(status.slowest),
        "quarantined": list(status.quarantined),
        "damaged": status.damaged,
        "asked": list(status.asked or commands()),
    }


def show(status: RunStatus, console: Console) -> None:
    """Print the status as lines and tables."""
    said = {
        "running": f"running: {status.driver}",
        "silent": f"no sign of life from {status.driver}; the next run waits a minute for one, then takes over",
        "ended": f"stopped before it was finished: {status.driver}; run the same command again to resume",
        "none": "no run is active here" + ", and the steps asked for are done" * status.is_done_as_asked,
    }
    console.print(one_line(f"{status.folder}: {said[status.state]}"), soft_wrap=True)
    table = FittedTable("step", "done", "of", "", left=(0,))
    for each in status.steps:
        share = f"{each.done / max(each.total, 1):.0%}" if each.asked or each.done else "not asked for"
        table.add_row(each.step, f"{each.done:,}", f"{each.total:,}", share)
    console.print(table)
    is_over = status.state != "running"
    if status.current and status.state != "none":
        console.print(one_line(f"{'last heard of: ' * is_over}{_current_line(status)}"), soft_wrap=True)
    running = "was running" if is_over else "running longest"
    for title, entries in ((running, status.running), ("slowest", status.slowest)):
        for entry in entries:
            where = f" on {entry['worker']}" if entry.get("worker") else ""
            line = f"{title}: {entry.get('shard') or 'a task'}, {duration(_number(entry, 'seconds'))}{where}"
            console.print(one_line(line), soft_wrap=True)
    for entry in status.quarantined[:QUARANTINED_SHOWN]:
        console.print(one_line(f"quarantined: {entry['path']}: {entry['cause']}"), soft_wrap=True)
    if len(status.quarantined) > QUARANTINED_SHOWN:
        console.print(f"and {len(status.quarantined) - QUARANTINED_SHOWN} more quarantined inputs")
    if status.damaged:
        console.print(f"inputs that lost bytes: {status.damaged}; `curate report` names them")


def _current_line(status: RunStatus) -> str:
    step = status.current
    parts = [f"{step.get('step')}: {_number(step, 'done'):,.0f} of {_number(step, 'total'):,.0f} {step.get('unit')}"]
    if status.shards_per_hour is not None:
        parts.append(f"{status.shards_per_hour:,.0f} per hour")
    if status.workers:
        parts.append(f"{status.workers} workers")
    if status.queued:
        parts.append(status.queued)
    if status.step_ends is not None:
        parts.append(f"ends about {status.step_ends.astimezone():%Y-%m-%d %H:%M}")
    return ", ".join(parts)
