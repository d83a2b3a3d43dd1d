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

OWN_PROCESS = "CURATION_OWN_PROCESS"
"""Environment variable that is set in processes that only this package uses: commands, their workers and children."""

if OWN_PROCESS in os.environ:
    numba.core.entrypoints._already_initialized = True

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` in nopython mode on its first call; it releases the GIL while it runs."""
    return cast(Kernel, numba.njit(nogil=True, cache=True)(function))


def leaf(function: Kernel) -> Kernel:
    """Like `kernel`, for a function that allocates nothing and that only kernels call: it counts no references."""
    bare: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Kernel, numba.njit(nogil=True, cache=True, **bare)(function))
