"""A clean child process for work on untrusted bytes: not forked from this one, since a Dask worker has threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress

from curation.errors import StepFailed, WriteFailed
from curation.running.forked import ForkedProcess, can_fork, fork

_BOOT = """import sys, json; sys.path[:] = json.loads(sys.argv[1])
from curation.running.own_process import begin; begin()
from {} import main; main()"""


class Child:
    """A Python process that runs the function `main` of a module. It gets file descriptors as arguments from 2 on.

    Where `forked.can_fork`, it is forked from a process that has imported what it needs.
    """

    def __init__(self, module: str, purpose: str, descriptors: Sequence[int]) -> None:
        """Start it.

        Args:
            module: Full name of the module.
            purpose: What it is for, for the error.
            descriptors: File descriptors that it inherits.

        Raises:
            StepFailed: The system cannot start a process.
        """
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        if can_fork():
            with suppress(OSError):  # the process that forks has ended
                self.process: ForkedProcess | subprocess.Popen[bytes] = fork(module, self.errors, descriptors)
                return
        command = [sys.executable, "-P", "-c", _BOOT.format(module), json.dumps(sys.path), *map(str, descriptors)]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
                pass_fds=tuple(descriptors),
                env=os.environ | {"PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"},
            )
        except OSError as error:
            raise StepFailed(f"cannot start a process for {purpose}: {error}") from error

    def end(self) -> int:
        """Kill the process if it is still running; returns its exit code, negative for a signal."""
        self.process.kill()
        return self.process.wait()

    def error_line(self) -> str:
        """The last line that it wrote to stderr."""
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no message")


def shared_file(name: str) -> int:
    """Descriptor of a file in memory, or of a temporary file if the system has no files in memory."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def not_shared(error: OSError) -> WriteFailed:
    """The error to raise if a shared file cannot be written: memory or a limit of this machine, not the input."""
    return WriteFailed(
        f"cannot write to memory that processes share: {os.strerror(error.errno) if error.errno else error}"
    )


def describe_exit(code: int) -> str:
    """How a process ended: the name of a signal, or an exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
