"""Asserts that a function's time grows no faster than its input."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SLACK = 3.0
"""How much slower per unit of input the larger input may be: caches and other load cost some, a quadratic one costs the
ratio of the sizes."""

MEASURABLE = 0.02
"""CPU seconds below which a time says nothing."""


def assert_linear(run: Callable[[T], object], make: Callable[[int], T], size: int, *, factor: int = 16) -> None:
    """Assert that the CPU time of `run(make(n))` is at most linear in n between `size` and `factor` times `size`.

    Args:
        run: What is measured; the fastest of three runs counts.
        make: Makes an input of about n units.
        size: The smaller n: large enough that the larger input takes a second if the time is quadratic.
        factor: The larger n divided by the smaller one.
    """
    small, large = (_fastest(run, make(n)) for n in (size, factor * size))
    limit = max(small * factor * SLACK, MEASURABLE * SLACK)
    assert large <= limit, (
        f"{size} units take {small:.4f} s, {factor * size} take {large:.4f} s: more than {limit:.4f} s"
    )


def _fastest(run: Callable[[T], object], value: T) -> float:
    times = []
    for _ in range(3):
        began = time.process_time()
        run(value)
        times.append(time.process_time() - began)
        if times[-1] > 1:
            break
    return min(times)
