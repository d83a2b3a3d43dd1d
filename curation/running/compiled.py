"""Compilation of kernels with numba, without the GIL.

Machine code is cached on disk, so that workers do not compile it again. In processes that only this package uses, numba
loads no extensions of other packages, such as awkward, and no SciPy before it is needed: no kernel of this package uses
them, and loading takes half a second.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.core.entrypoints
import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from curation.running.own_process import is_own

_BLAS = "scipy.linalg.cython_blas"

if is_own():
    numba.core.entrypoints._already_initialized = True
    if _BLAS not in sys.modules:
        sys.modules[_BLAS] = None  # type: ignore[assignment]
        try:
            import numba.np.arraymath  # tries to load SciPy, only to know whether it is there
        finally:
            del sys.modules[_BLAS]
        numba.np.arraymath._HAVE_BLAS = find_spec("scipy") is not None

_NUMBA: Any = numba
"""Numba, whose types for mypy lack what is used here."""

_IMPORT = re.compile(r"^from (curation\.[\w.]+) import (\([^)]*\)|.*)", re.MULTILINE)
"""An import from this package."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` in nopython mode on its first call; it releases the GIL while it runs."""
    return cast(Kernel, _compiled(function))


def inner(function: Kernel) -> Kernel:
    """Like `kernel`, for a function that only kernels call: compiling how Python calls it takes a fifth of the time."""
    return cast(Kernel, _compiled(function, no_cpython_wrapper=True))


def leaf(function: Kernel) -> Kernel:
    """Like `inner`, for a function that allocates nothing: it counts no references."""
    return cast(Kernel, _compiled(function, no_cpython_wrapper=True, _nrt=False))


def _compiled(function: Callable[..., Any], **options: bool) -> Any:
    """A function compiled by numba, once for each type of arguments: numba would do it for each constant, too."""
    compiled = _NUMBA.njit(nogil=True, cache=True, no_cfunc_wrapper=True, **options)(function)
    if _NUMBA.config.DISABLE_JIT:
        return compiled
    compiled._cache._cache_file._source_stamp = _stamp(function.__code__.co_filename)
    template, compile_once = compiled.get_call_template, compiled.compile
    lock = Path(compiled.stats.cache_path, f"{function.__module__}.{function.__qualname__}.lock")

    def call_template(args: Any, kws: Any) -> Any:
        return template(
            [*map(_NUMBA.types.unliteral, args)], {name: _NUMBA.types.unliteral(kind) for name, kind in kws.items()}
        )

    def compile_alone(signature: Any) -> Any:
        with global_compiler_lock, _locked(lock):
            return compile_once(signature)

    compiled.get_call_template, compiled.compile = call_template, compile_alone
    return compiled


def is_cached(function: Callable[..., Any]) -> bool:
    """Whether the cache has machine code of a kernel, which then need not be compiled."""
    return bool(cast(Any, function)._cache._cache_file._load_index())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let no other process compile the same function meanwhile: the one that waits finds its code in the cache.

    Without a file system that can write and lock, each compiles for itself.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            fcntl.flock(stack.enter_context(path.open("wb")), fcntl.LOCK_EX)
        yield


@functools.cache
def _stamp(source: str) -> bytes:
    """What machine code in the cache was made from: the source and all that it imports of this package.

    Numba looks only at the source, and would use functions and constants of other files as they were before. Neither
    the times of files nor the version of the package matter, so the cache survives an upgrade.
    """
    text = Path(source).read_bytes()
    stamp = hashlib.sha256(text)
    for package, names in _IMPORT.findall(text.decode()):
        for name in (package, *(f"{package}.{word}" for word in re.findall(r"\w+", names))):
            module = sys.modules.get(name)
            if module is not None and module.__file__ not in (None, source):
                stamp.update(_stamp(module.__file__))
    return stamp.digest()


@inner
def doubled(rows: Any) -> Any:
    """The same rows in an array with room for twice as many."""
    larger = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    for row in range(len(rows)):
        for column in range(rows.shape[1]):
            larger[row, column] = rows[row, column]
    return larger


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
