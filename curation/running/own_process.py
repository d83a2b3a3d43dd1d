"""Processes that only this package uses: commands, their workers and children. No code of others runs in them first."""

from __future__ import annotations

import gc
import os

VARIABLE = "CURATION_OWN_PROCESS"
"""Environment variable that is set in such a process, and inherited."""

OBJECTS = 50_000
"""Objects made since the last garbage collection that cause the next: Python's 700 takes a fifth of the time of
imports, which make many objects and no garbage."""


def begin() -> None:
    """Declare this process to be one, as the first thing that it does."""
    os.environ.setdefault(VARIABLE, "1")
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])


def is_own() -> bool:
    """Whether this process is one."""
    return VARIABLE in os.environ
