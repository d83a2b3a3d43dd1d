"""Schedulers and workers of Dask as processes, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

SUPPORT = Path(__file__).resolve().parent

OTHER_CODE = (
    "import curation.running.versions as versions\n"
    "versions.code_version = lambda: '9.9 (00000000)'\n"
    "from distributed.cli.dask_worker import main\n"
    "main()\n"
)
"""A worker whose code differs from that of the driver."""


def start(stack: ExitStack, *words: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start a process that can import the modules of this folder and is killed with the stack."""
    path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path, **variables},
    )
    stack.callback(lambda: (process.kill(), process.wait()))
    return process


def start_scheduler(stack: ExitStack, port: int, protocol: str = "tcp", **variables: str) -> subprocess.Popen[bytes]:
    """Start a scheduler on a port of this machine, in an environment with these variables."""
    words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    return start(stack, sys.executable, "-m", *words, "--protocol", protocol, **variables)


def start_worker(
    stack: ExitStack, port: int, *before: str, other_code: bool = False, protocol: str = "tcp", **variables: str
) -> subprocess.Popen[bytes]:
    """Start a worker of one thread without a nanny.

    Args:
        stack: Ends it.
        port: Of the scheduler.
        before: Words of a command that runs it.
        other_code: Whether it has another version of the package.
        protocol: "tcp" or "tls".
        variables: More of its environment.
    """
    program = ["-c", OTHER_CODE] if other_code else ["-m", "distributed.cli.dask_worker"]
    words = [
        f"{protocol}://127.0.0.1:{port}",
        "--nthreads",
        "1",
        "--no-dashboard",
        "--no-nanny",
        "--death-timeout",
        "60",
    ]
    return start(stack, *before, sys.executable, *program, *words, **variables)


def wait_for_workers(port: int, count: int) -> None:
    """Wait until the scheduler has so many workers."""
    from distributed import Client

    with Client(f"tcp://127.0.0.1:{port}", timeout=60) as client:
        client.wait_for_workers(count, timeout=120)
