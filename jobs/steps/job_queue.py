"""A job queue that workers are submitted to, such as Slurm, as a small TOML file describes it."""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from annotated_types import Predicate

from curation.errors import ParameterError, UsageError, require
from curation.recipes.recipe import parse_toml
from curation.running.clients import JobOptions
from curation.stages.parameters import Count, Size, checked
from curation.store.storage import explain

ACCOUNT = {"slurm": "account", "pbs": "account", "sge": "project", "lsf": "project"}
"""What dask-jobqueue calls the account that jobs are charged to, by system."""

WALLTIMES = {
    "slurm": (r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}", "minutes, hours:minutes:seconds or days-hours:minutes:seconds"),
    "pbs": (r"\d+(:\d+){0,3}", "seconds or hours:minutes:seconds"),
    "sge": (r"\d+(:\d+){2}|\d+", "seconds or hours:minutes:seconds"),
    "lsf": (r"\d+(:\d+)?", "minutes or hours:minutes"),
}
"""How each system writes a time limit: an expression, and words for messages."""

LEAST_MEMORY = 800_000_000
"""Bytes of memory that a worker needs at least: one that filters takes 0.4 GB and more, and Dask starts no task on one
that uses more than four fifths of its limit."""

_UNITS = {"k": 1, "m": 2, "g": 3, "t": 4}


def bytes_of(size: str) -> int:
    """A size in bytes: "64GB" is 64,000,000,000 and "64GiB" 68,719,476,736; 0 if it is not a size with a unit."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?) ?([kmgt])(i?)b?", size, re.ASCII | re.IGNORECASE)
    if found is None:
        return 0
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _UNITS[unit.lower()])


def _is_word(text: str) -> bool:
    return text.isprintable() and " " not in text


def _is_line(text: str) -> bool:
    return text.replace("\t", " ").isprintable()


Word = Annotated[str, Predicate(_is_word), "text without spaces"]
Line = Annotated[str, Predicate(_is_line), "one line of text"]
Directive = Annotated[
    str, Predicate(lambda text: _is_line(text) and text.startswith("-")), 'one line of text that begins with "-"'
]
MemorySize = Annotated[str, Predicate(bytes_of), 'a size with a unit, such as "64GB"']


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
    memory: MemorySize
    walltime: Word
    queue: Word = ""
    account: Word = ""
    cores: Size = 1
    minimum: Count = 1
    maximum: Size = 1
    directives: tuple[Directive, ...] = ()
    prologue: tuple[Line, ...] = ()
    interface: Word = ""
    scratch: Word = ""
    logs: Word = ""
    tls: bool = True
    shared: Word = ""

    def __post_init__(self) -> None:
        """Check what the type of one key does not tell."""
        pattern, words = WALLTIMES[self.system]
        is_walltime = re.fullmatch(pattern, self.walltime, re.ASCII) is not None
        require(is_walltime, "walltime", self.walltime, f"{words}, as {self.system} writes it")
        least = f"at least {LEAST_MEMORY // 1_000_000} MB for each of cores = {self.cores}"
        require(bytes_of(self.memory) >= LEAST_MEMORY * self.cores, "memory", self.memory, least)
        require(self.maximum >= self.minimum, "maximum", self.maximum, f"at least minimum = {self.minimum}")

    def options(self, file: str) -> JobOptions:
        """The options as dask-jobqueue names them.

        Args:
            file: Where they are from, for messages.
        """
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
        given |= {"python": shlex.quote(sys.executable)}
        certificates = self.shared if self.tls else None
        return JobOptions(file, self.system, given, self.minimum * self.cores, self.maximum * self.cores, certificates)


def read_job_queue(path: str) -> JobQueue:
    """Read the description of a job queue, and look for what it names on this machine. Makes the folder `logs`.

    Args:
        path: A TOML file with the attributes of `JobQueue`.

    Raises:
        UsageError: It cannot be read, a key or value in it is wrong, or a folder or interface is not there.
    """
    try:
        values = parse_toml(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UsageError(f"cluster file {path}: no such file") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cluster file {path}: {explain(error)}") from error
    known = {each.name for each in fields(JobQueue)}
    for key in values:
        if key not in known:
            raise UsageError(f"cluster file {path}: unknown key {key!r}; there are {', '.join(sorted(known))}")
    for key in ("system", "memory", "walltime"):
        if key not in values:
            raise UsageError(f"cluster file {path}: {key} is missing")
    try:
        return _with_folders(JobQueue(**values))
    except ParameterError as error:
        raise UsageError(f"cluster file {path}: {error}") from error


def _with_folders(queue: JobQueue) -> JobQueue:
    """The description with the paths of folders that exist on this machine.

    Raises:
        ParameterError: `logs` cannot be made, nothing can be written to `shared`, or there is no such interface.
    """
    logs = os.path.expanduser(queue.logs)  # noqa: PTH111
    shared = os.path.expanduser(queue.shared or os.getcwd()) if queue.tls else ""  # noqa: PTH109, PTH111
    if logs:
        try:
            Path(logs).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ParameterError("logs", queue.logs, f"a folder that can be made ({error.strerror})") from error
    if queue.tls:
        default = "" if queue.shared else "; by default it is the working directory"
        is_usable = _is_word(shared) and Path(shared).is_dir() and os.access(shared, os.W_OK)
        require(is_usable, "shared", shared, f"a folder that exists and can be written, without spaces{default}")
    interfaces = sorted(psutil.net_if_addrs())
    is_there = not queue.interface or queue.interface in interfaces
    require(is_there, "interface", queue.interface, f"one of {', '.join(interfaces)}")
    return replace(queue, logs=logs, shared=shared)
