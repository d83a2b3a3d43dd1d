"""Asserts that a function is fast, and that its time grows no faster than its input."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

TRIES = 5
"""How many times something is measured before it is too slow: a busy machine may slow down any one run."""

MEASURABLE = 0.06
"""CPU seconds below which a time says nothing."""


def assert_linear(run: Callable[[T], object], make: Callable[[int], T], size: int, *, factor: int = 16) -> None:
    """Assert that the CPU time of `run(make(n))` is at most linear in n between `size` and `factor` times `size`.

    Args:
        run: What is measured; of the smaller input, the fastest of three runs counts.
        make: Makes an input of about n units.
        size: The smaller n: large enough that the larger input takes a second if the time is quadratic.
        factor: The larger n divided by the smaller one. A quadratic input takes this many times longer per unit; half
            way, its square root, is allowed, since memory that no cache holds costs some: 5 times in compiled code.
    """
    values = make(size), make(factor * size)
    for _ in range(TRIES):
        small = min(_seconds(run, values[0]) for _ in range(3))
        large = _seconds(run, values[1])
        limit = max(small * factor**1.5, MEASURABLE)
        if large <= limit:
            return
    pytest.fail(f"{size} units take {small:.4f} s, {factor * size} take {large:.4f} s: more than {limit:.4f} s")


def assert_fast(run: Callable[[T], object], value: T, seconds: float = 1.0) -> None:
    """Assert that the fastest of a few runs takes less than some seconds of CPU time."""
    taken = next((one for one in (_seconds(run, value) for _ in range(TRIES)) if one < seconds), None)
    assert taken is not None, f"takes more than {seconds} s"


def _seconds(run: Callable[[T], object], value: T) -> float:
    began = time.process_time()
    run(value)
    return time.process_time() - began
