"""The cache of compiled kernels."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import curation
from curation.running import compiled, own_process

KERNELS = """
from curation.running.compiled import inner, kernel
from curation.sample_factor import FACTOR

@inner
def scaled(value):
    return FACTOR * value

@kernel
def total(values):
    return scaled(1) + scaled(len(values))
"""

PROGRAM = """
import sys, curation
curation.__path__.append(sys.argv[1])
from curation.sample_kernels import total
print("ready", flush=True)
sys.stdin.readline()
total("ab")
print(sum(total.stats.cache_misses.values()))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules in the namespace of the package, with kernels and a constant that they use."""
    (tmp_path / "sample_kernels.py").write_text(KERNELS)
    (tmp_path / "sample_factor.py").write_text("FACTOR = 2\n")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(curation, "__path__", [*curation.__path__, str(tmp_path)])
    yield tmp_path
    _forget()


def _forget() -> None:
    for name in ("curation.sample_kernels", "curation.sample_factor"):
        sys.modules.pop(name, None)
    compiled._stamp.cache_clear()
    importlib.invalidate_caches()


def _imported() -> Any:
    """The module of kernels as a new process would import it."""
    _forget()
    return importlib.import_module("curation.sample_kernels")


def test_two_processes_compile_a_kernel_once(folder: Path) -> None:
    """Of two processes that need a kernel at the same time, one compiles it and the other waits for its code."""
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in (first, second):
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert sorted(process.communicate()[0] for process in (first, second)) == ["0\n", "1\n"]


def test_a_kernel_is_compiled_once_for_constants_and_variables(folder: Path) -> None:
    """A kernel that is called with a constant and with a variable of the same type is compiled once."""
    module = _imported()
    assert module.total((5, 6, 7)) == 8
    assert len(module.scaled.signatures) == 1


def test_the_cache_survives_a_touched_file(folder: Path) -> None:
    """A file that has another time but the same content does not make the cache outdated, as after an upgrade."""
    assert _imported().total((5, 6, 7)) == 8
    os.utime(folder / "sample_kernels.py", (1, 1))
    os.utime(folder / "sample_factor.py", (1, 1))
    again = _imported()
    assert again.total((5, 6, 7)) == 8
    assert sum(again.total.stats.cache_misses.values()) == 0


def test_a_constant_of_another_file_makes_the_cache_outdated(folder: Path) -> None:
    """A kernel is compiled again if a file of the package that it imports has changed."""
    assert _imported().total((5, 6, 7)) == 8
    (folder / "sample_factor.py").write_text("FACTOR = 30\n")
    assert _imported().total((5, 6, 7)) == 120


def test_a_folder_that_cannot_be_written_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lock, as on storage that cannot lock, a kernel is compiled all the same."""

    def refuse(*words: object) -> None:
        raise OSError

    monkeypatch.setattr(compiled.fcntl, "flock", refuse)
    assert _imported().total((5, 6, 7)) == 8


NUMBA_PROGRAM = """
import sys
import numpy as np
from curation.text.kernels.characters import count_codepoints
import numba.np.arraymath
print("scipy.linalg" in sys.modules)
import numba
one = np.eye(2)
print(numba.njit(lambda a: a @ a)(one).sum(), numba.njit(lambda a: np.cov(a))(one).sum())
"""


def test_scipy_is_loaded_only_when_it_is_needed() -> None:
    """Kernels of this package load none of it in processes of its own; a user's kernel has all of linear algebra."""
    environment = os.environ | {own_process.VARIABLE: "1"}
    done = subprocess.run([sys.executable, "-c", NUMBA_PROGRAM], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "2.0", "0.0"], done.stderr
