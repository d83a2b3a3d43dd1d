"""Worker processes are forked from one that has imported what they need, the fork server, in a tenth of the time.

A command starts it before anything else, so that it imports while the command plans. It has no threads, which is what
makes a fork safe, and it ends with the block that it was started for. On Linux only: elsewhere libraries do not survive
a fork, and workers are started from nothing, as are those in jobs of a batch system.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from typing import Any

IS_SERVER = "CURATION_FORK_SERVER"
"""Environment variable that is set in the fork server, and inherited."""

ENVIRONMENT = {
    IS_SERVER: "1",
    "DASK_LOGGING__DISTRIBUTED": "critical",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}
"""Environment of workers, read when Python starts and libraries are imported: no warnings of Dask's, no threads, and
the same order of sets in each process."""


@contextmanager
def forking(module: str) -> Iterator[None]:
    """Have a fork server during the block, if the system allows it and there is none.

    Args:
        module: Full name of a module that imports what workers need.
    """
    if sys.platform != "linux" or is_running():
        yield
        return
    forkserver.set_forkserver_preload([module])
    before = {**os.environ}
    try:
        os.environ.update(ENVIRONMENT)
        with without_interrupts(), suppress(OSError):  # such as a temporary folder with too long a name for a socket
            forkserver.ensure_running()
    finally:
        for name in ENVIRONMENT.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
    try:
        yield
    finally:
        if is_running():
            with suppress(ProcessLookupError):
                os.kill(_SERVER._forkserver_pid, signal.SIGKILL)
            _SERVER._stop()


def is_running() -> bool:
    """Whether this process has a fork server."""
    return _SERVER._forkserver_pid is not None


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Block SIGINT in this thread during the block, and so in processes and threads that are started in it.

    A terminal sends Ctrl-C to all processes, and each worker would print a traceback. It ends with its parent anyway.
    """
    resource_tracker.ensure_running()  # unblocks the signal in the thread that starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_SERVER: Any = forkserver._forkserver
"""Python's own, which has no public way to be ended."""
