"""A job queue that workers are submitted to, such as Slurm, as a small TOML file describes it."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from curation.errors import ParameterError, UsageError
from curation.running.clients import JobOptions
from curation.stages.parameters import Count, Size, Text, checked

ACCOUNT = {"slurm": "account", "pbs": "account", "sge": "project", "lsf": "project"}
"""What dask-jobqueue calls the account that jobs are charged to, by system."""


@checked
@dataclass(frozen=True, slots=True)
class JobQueue:
    """What a job is and how many there are.

    Attributes:
        system: The batch system.
        queue: Queue or partition; empty for the default one.
        account: Account that jobs are charged to; empty for the default one.
        cores: Cores of a job, on each of which a worker runs.
        memory: Memory of a job, such as "48GB", which its workers share.
        walltime: Time limit of a job, as the system writes it.
        minimum: Jobs to keep while there is little to do.
        maximum: Jobs at most.
        directives: Further directives for the head of the job script, such as "--qos=low".
        prologue: Lines of shell before the worker starts, such as "source venv/bin/activate".
        interface: Network interface of workers and scheduler, such as "ib0"; empty for the default one.
        scratch: Folder on the nodes for what does not fit into memory; empty for the working directory.
        logs: Folder for the output of jobs; empty for the system's default.
        tls: Whether connections are encrypted and only workers of this run are admitted. Needs `shared`.
        shared: Folder that all nodes see, for the certificates; empty for the working directory.
    """

    system: Literal["slurm", "pbs", "sge", "lsf"]
    memory: Text
    walltime: Text
    queue: str = ""
    account: str = ""
    cores: Size = 1
    minimum: Count = 1
    maximum: Size = 1
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    interface: str = ""
    scratch: str = ""
    logs: str = ""
    tls: bool = True
    shared: str = ""

    @property
    def options(self) -> JobOptions:
        """The options as dask-jobqueue names them."""
        named = {
            "queue": self.queue,
            ACCOUNT[self.system]: self.account,
            "walltime": self.walltime,
            "interface": self.interface,
            "local_directory": self.scratch,
            "log_directory": self.logs,
        }
        given: dict[str, Any] = {name: value for name, value in named.items() if value}
        given |= {"cores": self.cores, "processes": self.cores, "memory": self.memory}
        given |= {"job_extra_directives": list(self.directives), "job_script_prologue": list(self.prologue)}
        certificates = (self.shared or os.getcwd()) if self.tls else None  # noqa: PTH109
        return JobOptions(self.system, given, self.minimum * self.cores, self.maximum * self.cores, certificates)


def read_job_queue(path: str) -> JobQueue:
    """Read the description of a job queue.

    Args:
        path: A TOML file with the attributes of `JobQueue`.

    Raises:
        UsageError: It cannot be read, or a key or value in it is wrong.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cluster file {path}: {error}") from error
    known = {each.name for each in fields(JobQueue)}
    for key in values:
        if key not in known:
            raise UsageError(f"cluster file {path}: unknown key {key!r}; there are {', '.join(sorted(known))}")
    for key in ("system", "memory", "walltime"):
        if key not in values:
            raise UsageError(f"cluster file {path}: {key} is missing")
    try:
        queue = JobQueue(**values)
    except ParameterError as error:
        raise UsageError(f"cluster file {path}: {error}") from error
    if queue.minimum > queue.maximum:
        raise UsageError(f"cluster file {path}: minimum = {queue.minimum} is more than maximum = {queue.maximum}")
    return queue
