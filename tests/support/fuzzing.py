"""A mutating fuzzer: runs a check on changed inputs for some seconds and reports the first one that fails.

The inputs depend on the seed alone. `CURATION_FUZZ_SECONDS` sets how long each target runs (5 by default, or less) and
`CURATION_FUZZ_SEED` the seed (0 by default), so that a longer run with another seed covers new ground.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import pytest

MAX_CPU_SECONDS = 3.0
"""CPU time after which an input counts as a hang: what takes half a second on a quiet machine takes three times as long
on a busy one, and quadratic time, at the lengths that are made, much longer."""

COMPILE_CPU_SECONDS = 60.0
"""CPU time for kernels that an input is the first to use."""

MAX_BYTES = 1 << 17
"""Longest input that is made: long enough for quadratic time to show."""


class Hang(BaseException):
    """An input takes too long; no handler of the code under test may catch it."""


def fuzz(
    check: Callable[[bytes], object],
    seeds: Sequence[bytes],
    words: Sequence[bytes] = (),
    *,
    max_bytes: int = MAX_BYTES,
    seconds: float = 5.0,
) -> None:
    """Run a check on the seeds, then on mutations of them until the time is over.

    Args:
        check: Raises for a wrong result. Any exception, or more than `MAX_CPU_SECONDS` of CPU time, fails the test.
        seeds: Inputs to start from.
        words: Byte strings that matter to the parser, to be inserted.
        max_bytes: Longest input that is made, in bytes.
        seconds: How long to run, unless `CURATION_FUZZ_SECONDS` says so.
    """
    chance = random.Random(int(os.environ.get("CURATION_FUZZ_SEED", "0")))
    check(seeds[0])  # first use: imports and compiled kernels
    end = time.monotonic() + float(os.environ.get("CURATION_FUZZ_SECONDS", seconds))
    before = signal.signal(signal.SIGPROF, _raise_hang)
    try:
        for number, data in enumerate(chain(seeds, _mutations(chance, seeds, words, max_bytes))):
            if time.monotonic() > end:
                break
            _run(check, data, number)
    finally:
        signal.signal(signal.SIGPROF, before)


def _raise_hang(number: int, frame: object) -> None:
    raise Hang


def _run(check: Callable[[bytes], object], data: bytes, number: int) -> None:
    """Run one input; what hangs must do so again after it had time to compile kernels, which their first use does."""
    cause = _cause(check, data)
    if cause == "hangs":
        _cause(check, data, COMPILE_CPU_SECONDS)
        cause = _cause(check, data)
    if cause:
        kept = Path(tempfile.mkdtemp(prefix="fuzz-")) / "input"
        kept.write_bytes(data)
        pytest.fail(f"input {number} ({len(data):,} bytes, kept as {kept}) {cause}\n{data[:400]!r}")


def _cause(check: Callable[[bytes], object], data: bytes, seconds: float = 2 * MAX_CPU_SECONDS) -> str:
    """What is wrong with an input, which is stopped after some seconds of CPU time; "" if nothing is."""
    began = time.process_time()
    # The timer ends a loop in Python or in `re`; the comparison afterwards sees one in compiled code.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        check(data)
        cause = "" if time.process_time() - began <= MAX_CPU_SECONDS else "hangs"
    except Hang:
        cause = "hangs"
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        if not isinstance(error, AssertionError):
            cause = f"raises {cause}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return cause


def _mutations(
    chance: random.Random, seeds: Sequence[bytes], words: Sequence[bytes], max_bytes: int
) -> Iterator[bytes]:
    """Endless mutations: one to eight changes of one seed."""
    changes = [_flip, _delete, _double, _repeat, _number, _splice, _insert]
    while True:
        data = chance.choice(seeds)
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4, 8))):
            data = chance.choice(changes)(chance, data, seeds, words)[:max_bytes]
        yield data


def _range(chance: random.Random, data: bytes) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + int(chance.paretovariate(0.6)))


def _flip(chance: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    if not data:
        return bytes([chance.randrange(256)])
    place = chance.randrange(len(data))
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def _delete(chance: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    start, stop = _range(chance, data)
    return data[:start] + data[stop:]


def _double(chance: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    start, stop = _range(chance, data)
    place = chance.randint(0, len(data))
    return data[:place] + data[start:stop] + data[place:]


def _repeat(chance: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Repeat a short range many times: what makes a regular expression backtrack."""
    start, stop = _range(chance, data)
    part = chance.choice(words) if words and chance.random() < 0.5 else data[start : min(stop, start + 40)]
    return data[:stop] + part * int(min(40_000, 2 + chance.paretovariate(0.4))) + data[stop:]


def _number(chance: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Replace a run of digits by another number."""
    digits = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
    if not digits:
        return data
    start = stop = chance.choice(digits)
    while stop < len(data) and 48 <= data[stop] <= 57:
        stop += 1
    value = str(chance.choice((0, 1, 2, 10, 255, 65_536, 1 << 31, 1 << 40, 1 << 63, chance.randrange(10_000))))
    return data[:start] + (value.encode() if chance.random() < 0.9 else b"9" * 5_000) + data[stop:]


def _splice(chance: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Take the beginning of one input and the end of another."""
    other = chance.choice(seeds)
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _insert(chance: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    place = chance.randint(0, len(data))
    word = chance.choice(words) if words else bytes([chance.randrange(256)])
    return data[:place] + word + data[place:]
