from __future__ import annotations

import resource
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from curation.errors import UsageError
from curation.running.limits import require_open_files
try:
    require_open_files(int(sys.argv[1]))
except UsageError as error:
    print(error)
else:
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limited(workers: int, soft: int, hard: int) -> str:
    """What a process with these limits of open files prints."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(workers)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("workers", "soft", "hard", "printed"),
    [(2, 300, 300, "300"), (2, 100, 300, "256"), (20, 300, 2000, "384"), (2, 1000, 1000, "1000")],
)
def test_the_limit_is_raised_as_far_as_needed(workers: int, soft: int, hard: int, printed: str) -> None:
    """A limit that suffices stays as it is, and one that the process may raise is raised to what is needed."""
    assert limited(workers, soft, hard) == printed


def test_a_limit_that_cannot_be_raised_is_an_error() -> None:
    """The error names the limit, what is needed and the command that raises it."""
    assert "at most 100 files" in limited(0, 100, 100)
    assert "`ulimit -n 256`" in limited(0, 100, 100)
    assert "--workers" not in limited(0, 100, 100)
    assert "`ulimit -n 704`" in limited(40, 300, 300)
    assert "--workers" in limited(40, 300, 300)
