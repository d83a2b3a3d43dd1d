"""Compilation of kernels with numba, without the GIL.

Machine code is cached on disk, so that workers do not compile it again. In processes that only this package uses, numba
loads no extensions of other packages, such as awkward: no kernel needs them, and loading takes a quarter of a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numba.core.entrypoints
import numpy as np

OWN_PROCESS = "CURATION_OWN_PROCESS"
"""Environment variable that is set in processes that only this package uses: commands, their workers and children."""

if OWN_PROCESS in os.environ:
    numba.core.entrypoints._already_initialized = True

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` in nopython mode on its first call; it releases the GIL while it runs."""
    return cast(Kernel, numba.njit(nogil=True, cache=True, no_cfunc_wrapper=True)(function))


def inner(function: Kernel) -> Kernel:
    """Like `kernel`, for a function that only kernels call: compiling how Python calls it takes a fifth of the time."""
    bare: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Kernel, numba.njit(nogil=True, cache=True, **bare)(function))


def leaf(function: Kernel) -> Kernel:
    """Like `inner`, for a function that allocates nothing: it counts no references."""
    bare: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Kernel, numba.njit(nogil=True, cache=True, **bare)(function))


@inner
def sorted_rows(keys: Any, rows: Any) -> Any:
    """Rows in ascending order of their keys; of equal keys, in the given order.

    A merge sort. Those of numba take a second to compile for each type of key.

    Args:
        keys: The key of each row.
        rows: Numbers of rows; overwritten.
    """
    count, width = len(rows), 1
    target = np.empty(count, np.int64)
    while width < count:
        for begin in range(0, count, 2 * width):
            middle, end = min(begin + width, count), min(begin + 2 * width, count)
            left, right = begin, middle
            for place in range(begin, end):
                if left < middle and (right >= end or keys[rows[left]] <= keys[rows[right]]):
                    target[place] = rows[left]
                    left += 1
                else:
                    target[place] = rows[right]
                    right += 1
        rows, target = target, rows
        width *= 2
    return rows
