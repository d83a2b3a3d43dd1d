"""Tasks of a step: those whose manifest is not there yet are run, and progress is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from curation.errors import StepFailed
from curation.jobs.steps.progress import Progress
from curation.running.cluster import Cluster, TaskFailure
from curation.running.overlap import overlapped
from curation.store.folder import Folder
from curation.store.manifest import READERS, is_done


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
    give_up: Callable[[AnyTask, str], str] | None = None,
    starting: Callable[[], None] = lambda: None,
) -> None:
    """Run the tasks that are not done yet.

    Args:
        step: the name under which their manifests are, and progress is shown.
        function: makes one part; returns `documents_in` and `documents_out`, or nothing.
        tasks: all parts of the step.
        cluster: where they run.
        progress: where it is told how many are done.
        is_finished: whether a task need not be run; by default, whether its manifest has its fingerprint.
        give_up: called with a task that failed and the cause, returns what to call it; by default, a failure raises.
        starting: called before the first task, if there is one to run.

    Raises:
        StepFailed: a task failed and `give_up` is not given, or its output could not be written.
    """

    def is_there(task: AnyTask) -> bool:
        return is_done(task.folder, step, task.shard, task.fingerprint) is not None

    finished = overlapped(is_finished or is_there, tasks, READERS)
    left = [task for task, done in zip(tasks, finished, strict=True) if not done]
    if left:
        starting()
    with progress.step(step, len(tasks), len(tasks) - len(left)) as bar:
        for result in cluster.map(function, left):
            if not isinstance(result, TaskFailure):
                bar.advance(**result.value)
            elif give_up is None or result.writing:
                raise StepFailed(f"{step}: {result.cause}")
            else:
                bar.failed(give_up(result.item, result.cause), result.cause)
