"""Asks a batch system which jobs of the user there are, and why some have not started."""

from __future__ import annotations

import asyncio
import getpass
import re
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass

ANSWER_SECONDS = 120
"""Seconds to wait for the answer of a program of a batch system."""

NO_JOBS = b"No unfinished job found"
"""What LSF prints, as an error, if there are none."""


@dataclass(frozen=True, slots=True)
class JobList:
    """How a batch system lists jobs: a line of columns for each, the first of which begins with its number.

    Attributes:
        command: The program and its options; {user} stands for the name of the user.
        state: Position of the column with the state.
        waiting: Expression of the states of a job that has not started.
        ended: Expression of the states in which a job is listed that has ended.
        has_reason: Whether the words after the state say why a job waits.
    """

    command: tuple[str, ...]
    state: int
    waiting: str
    ended: str = ""
    has_reason: bool = False

    def parse(self, text: str) -> dict[str, str]:
        """The jobs that have not ended, by number, and why they have not started; empty for those that have."""
        jobs = {}
        for columns in map(str.split, text.splitlines()):
            number = re.match(r"\d+", columns[0], re.ASCII) if len(columns) > self.state else None
            if number is None or re.fullmatch(self.ended, columns[self.state]):
                continue
            state, *words = columns[self.state :]
            reason = " ".join(words) if self.has_reason and words != ["None"] else ""
            jobs[number[0]] = (reason or state) if re.fullmatch(self.waiting, state) else ""
        return jobs


JOB_LISTS = {
    "slurm": JobList(
        ("squeue", "--me", "--noheader", "--format=%A %T %r"),
        1,
        "PENDING|CONFIGURING|REQUEUE.*|.*HOLD",
        has_reason=True,
    ),
    "pbs": JobList(("qstat", "-u", "{user}"), 9, "[HQTW]", ended="[CFX]"),
    "sge": JobList(("qstat", "-u", "{user}"), 4, ".*w.*"),
    "lsf": JobList(("bjobs", "-noheader", "-o", "jobid stat"), 1, "PEND|PSUSP|WAIT", ended="DONE|EXIT"),
}
"""By batch system."""


async def list_jobs(system: str) -> dict[str, str] | None:
    """The jobs of this user, as `JobList.parse` returns them; None if the batch system does not answer.

    Args:
        system: One of JOB_LISTS.
    """
    listing = JOB_LISTS[system]
    try:
        words = [word.format(user=getpass.getuser()) for word in listing.command]
        process = await asyncio.create_subprocess_exec(
            "timeout", str(ANSWER_SECONDS), *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
    except (OSError, KeyError):  # without a program `timeout`, or a name of the user
        return None
    printed, errors = await process.communicate()
    if process.returncode and NO_JOBS not in printed + errors:
        return None
    return listing.parse(printed.decode(errors="replace"))
