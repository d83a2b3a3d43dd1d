"""Limits of the operating system that a run needs, checked before it starts instead of met in the middle."""

from __future__ import annotations

import sys

from curation.errors import UsageError

OPEN_FILES, OPEN_FILES_PER_WORKER = 256, 16
"""Files and sockets that a process needs at once: a merge reads 128 files. The driver holds some 10 for every worker
that it starts (measured with up to 8), and about 20 of its own."""


def require_open_files(workers: int) -> None:
    """Raise this process's limit of open files to what a run needs, as far as the system lets it.

    Args:
        workers: Number of worker processes that the run starts on this machine.

    Raises:
        UsageError: The system's limit is lower than that.
    """
    if sys.platform == "win32":
        return
    import resource

    needed = max(OPEN_FILES, 4 * OPEN_FILES_PER_WORKER + OPEN_FILES_PER_WORKER * workers)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return
    if hard == unlimited or hard >= needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        return
    fewer = ", or start fewer workers with --workers" if hard >= OPEN_FILES else ""
    raise UsageError(
        f"at most {hard} files may be open at once, but this run needs {needed}: "
        f"raise the limit with `ulimit -n {needed}` before you start it{fewer}"
    )
