"""Runs the command line in this process or in a separate one, and hashes the files that it writes."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import psutil

from curation.jobs.cli import main
from curation.running.terminal import protect

SETTINGS = ("tokenizer.vocab_size=600", "tokens.sequence_length=64", "extract.extractor=resiliparse")


def command(*arguments: str | Path, settings: tuple[str, ...] | list[str] = SETTINGS) -> list[str]:
    """The command that starts `curate` with these arguments and settings."""
    sets = [word for setting in settings for word in ("--set", setting)]
    return [sys.executable, "-m", "curation.jobs.cli", *map(str, arguments), *sets]


def curate(
    *arguments: str | Path, settings: tuple[str, ...] | list[str] = SETTINGS
) -> subprocess.CompletedProcess[str]:
    """Run `curate` in this process, which saves the seconds in which a new one imports packages.

    Returns:
        As of a process: the exit code, and the output as text.
    """
    words = command(*arguments, settings=settings)[3:]
    with (
        patch.object(sys, "argv", ["curate", *words]),
        redirect_stdout(io.StringIO()) as output,
        redirect_stderr(io.StringIO()) as errors,
    ):
        protect()
        code = main._exit_code()
    return subprocess.CompletedProcess(words, code, output.getvalue(), errors.getvalue())


def curate_process(
    *arguments: str | Path, settings: tuple[str, ...] | list[str] = SETTINGS
) -> subprocess.CompletedProcess[str]:
    """Run `curate` in a separate process until it ends, with its output as text."""
    words = command(*arguments, settings=settings)
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)


def contents(out: Path, *folders: str) -> dict[str, str]:
    """Hash of every file, or of those in these folders; files with times are left out."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
        and path.relative_to(out).parts[0] != "performance"
        and path.name not in ("index.html", "metrics.txt")
        if not folders or path.relative_to(out).parts[0] in folders
    }


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes that a process has started, or its fork server, whose other children have no threads."""
    found = []
    for child in psutil.Process(pid).children():
        command = " ".join(child.cmdline())
        if "spawn_main" in command:
            found.append(child)
        elif "forkserver" in command:
            found += [fork for fork in child.children() if fork.num_threads() > 1]
    return found
