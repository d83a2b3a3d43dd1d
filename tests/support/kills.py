"""Kills a command in a process of its own, at a moment that does not depend on the speed of the machine."""

from __future__ import annotations

import os
import signal
from typing import Any

from typer.testing import CliRunner

from curation.jobs.cli.main import app

SECONDS = 120
"""After which a child ends that hangs."""


def kill_at_rename(number: int, *words: object) -> bool:
    """Run a command in a fork that is killed before its `number`-th file gets its name.

    Args:
        number: 1 for the first file.
        words: The command. Its code is loaded and compiled already, so that a fork is cheap.

    Returns:
        Whether it was killed; False if it ended by itself, with exit code 0.
    """
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        left, rename = number, os.replace

        def replace(*arguments: Any, **options: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*arguments, **options)

        os.replace = replace  # type: ignore[assignment]
        done = CliRunner().invoke(app, [str(word) for word in words])
        print(done.output, repr(done.exception or ""), flush=True)
        os._exit(done.exit_code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    assert not os.WIFSIGNALED(status) or os.WTERMSIG(status) == signal.SIGKILL
    return os.WIFSIGNALED(status)
