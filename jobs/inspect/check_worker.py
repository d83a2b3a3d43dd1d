"""What a worker has that a batch system starts."""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from typing import Any

import psutil
from rich.console import Console

from curation.jobs.steps.progress import Progress, duration
from curation.running.clients import JobOptions
from curation.running.cluster import cores, open_cluster
from curation.running.versions import code_version


def describe_worker(asked: float) -> dict[str, Any]:
    """What this process has; runs on the worker.

    Args:
        asked: When it was asked for, in seconds since 1970.
    """
    return {
        "host": socket.gethostname(),
        "waited_seconds": round(time.time() - asked, 1),
        "python": f"{sys.executable} ({platform.python_version()})",
        "curation": code_version(),
        "cores": cores(),
        "memory": psutil.virtual_memory().total,
        "folder": os.getcwd(),  # noqa: PTH109
    }


def check_worker(jobs: JobOptions) -> dict[str, Any]:
    """Submit workers and return what the first one has.

    Args:
        jobs: What to submit.

    Raises:
        StepFailed: None came, or none that runs the same code.
    """
    with open_cluster(jobs=jobs, warned=Progress("plain").warn) as cluster:
        (facts,) = cluster.gather(describe_worker, [time.time()])
    return facts


def show(facts: dict[str, Any], console: Console) -> None:
    """Print what a worker has."""
    console.print(f"a worker on {facts['host']} answered after {duration(facts['waited_seconds'])}")
    console.print(f"it runs curation {facts['curation']} with {facts['python']} in {facts['folder']}", soft_wrap=True)
    console.print(
        f"its job may use {facts['cores']} cores; the machine has {facts['memory'] / (1 << 30):.0f} GiB of memory"
    )
