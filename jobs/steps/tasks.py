"""Runs the tasks of a step that do not have an up-to-date manifest yet, and reports progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Protocol, TypeVar

from curation.errors import StepFailed, WriteFailed
from curation.jobs.steps.progress import Progress, units
from curation.running.answers import TaskFailure
from curation.running.cluster import Cluster
from curation.store.folder import Folder
from curation.store.manifest import fingerprints, is_done

DOWN = 16
"""Tasks given up in a row, each after minutes of retries, after which storage is down rather than some inputs; and
tasks in a row on which code of the user's fails, after which it fails on all."""


class Task(Protocol):
    """One part of a step, which writes its manifest last."""

    @property
    def folder(self) -> Folder:
        """The output folder."""
        ...

    @property
    def shard(self) -> str:
        """Its name in manifests/<step>/."""
        ...

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its manifest."""
        ...


AnyTask = TypeVar("AnyTask", bound=Task)


def run_tasks(
    step: str,
    function: Callable[[AnyTask], Mapping[str, int]],
    tasks: Sequence[AnyTask],
    cluster: Cluster,
    progress: Progress,
    is_finished: Callable[[AnyTask], bool] | None = None,
    give_up: Callable[[TaskFailure[AnyTask]], str] | None = None,
    starting: Callable[[Sequence[AnyTask]], Sequence[AnyTask]] = lambda tasks: tasks,
    stop_when_down: bool = False,
    size: Callable[[AnyTask], int] | None = None,
    unit: str = "shards",
    is_needed: Callable[[AnyTask], bool] = lambda task: True,
) -> None:
    """Run the tasks that are not done yet.

    If code of the user's fails, the step fails: at once if no task has succeeded before, or DOWN in a row have failed,
    else at its end, so that one odd document does not cost the time until somebody looks.

    Args:
        step: Name of the step, in manifests and in progress.
        function: Makes one part; returns counts for `StepProgress.advance`, `documents_in` and `documents_out`, or an
            empty mapping.
        tasks: All parts of the step, of one folder.
        cluster: Where they run.
        progress: Where progress is reported.
        is_finished: Whether a task need not be run; by default, whether its manifest has its fingerprint.
        give_up: Called with the failure of a task; returns a name for it to report, empty to report nothing. By
            default, a failure raises StepFailed.
        starting: Called with the tasks that are not done, if there are any, before the first of them; returns what to
            run for them.
        stop_when_down: Whether to stop once DOWN tasks in a row were given up for causes that are not their own.
        size: Bytes that a task reads, if the tasks `tell` how many they have read.
        unit: What a task makes, in the plural, for progress.
        is_needed: Asked before a task starts; without it, the task is left out.

    Raises:
        StepFailed: A task failed and there is no `give_up`; nothing can be read for now; or code of the user's failed.
        WriteFailed: The output of a task could not be written.
    """

    def made(task: AnyTask) -> Mapping[str, int] | None:
        """Whether a task that was lost is done after all."""
        is_made = is_finished or (lambda task: is_done(task.folder, step, task.shard, task.fingerprint) is not None)
        return {} if is_made(task) else None

    current = fingerprints(tasks[0].folder, step) if tasks and is_finished is None else {}
    finished = is_finished or (lambda task: current.get(task.shard) == task.fingerprint)
    unfinished = [task for task in tasks if not finished(task)]
    if unfinished:
        unfinished = [*starting(unfinished)]
    row, made_some = 0, False
    broken: list[TaskFailure[AnyTask]] = []
    total = sum(map(size, unfinished)) if size else 0
    with (
        progress.step(step, len(tasks), len(tasks) - len(unfinished), unit, total) as bar,
        cluster.listening(tasks[0].folder.url, bar.heard) if total else nullcontext(),
    ):
        for result in cluster.map(function, filter(is_needed, unfinished), made, copies=True):
            if size:
                bar.read(result.item.shard, size(result.item))
            row = row + 1 if isinstance(result, TaskFailure) and result.kind != "input" else 0
            if not isinstance(result, TaskFailure):
                made_some = True
                bar.advance(**result.value, shard=result.item.shard, worker=result.worker, seconds=result.seconds)
            elif result.writing:
                raise WriteFailed(f"{step}: {result.cause}")
            elif result.kind == "code":
                broken.append(result)
                if not made_some or row >= DOWN:  # tasks that run now may still be made, so their number is not told
                    raise _failure(step, broken, len(tasks), unit)
                bar.broken(result.item.shard, result.cause)
            elif give_up is None:
                raise StepFailed(f"{step}: {result.cause}")
            else:
                if name := give_up(result):
                    bar.failed(name, result.cause)
                if stop_when_down and row >= DOWN:
                    raise StepFailed(f"{step}: nothing can be read for now, {row} times in a row: {result.cause}")
    if broken:
        raise _failure(step, broken, len(tasks), unit)


def _failure(step: str, broken: Sequence[TaskFailure[AnyTask]], tasks: int, unit: str) -> StepFailed:
    """The error for tasks on which code of the user's failed."""
    causes = "; ".join([*dict.fromkeys(result.cause for result in broken)][:3])
    count = f"{len(broken)} of {tasks} {units(unit, tasks)} failed, first {broken[0].item.shard}"
    return StepFailed(
        f"{step}: {causes}; {count}; correct the code and run the same command again, which keeps what is made"
    )
