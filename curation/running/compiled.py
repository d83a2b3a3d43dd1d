"""Compilation of the kernels: numba, without the GIL.

The machine code is kept on disk, so that a worker does not compile what another process compiled before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` on its first call in nopython mode; it releases the GIL while it runs."""
    return cast(Kernel, numba.njit(nogil=True, cache=True)(function))
