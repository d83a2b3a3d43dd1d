"""Compilation of kernels with numba, without the GIL.

Machine code is cached on disk, so that workers do not compile it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` in nopython mode on its first call; it releases the GIL while it runs."""
    return cast(Kernel, numba.njit(nogil=True, cache=True)(function))
