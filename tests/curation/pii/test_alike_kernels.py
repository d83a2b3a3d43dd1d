"""Stretches of values are numbered as a dictionary would number them."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.pii import alike_kernels
from curation.pii.alike_kernels import number_alike

STRETCHES = st.lists(st.lists(st.sampled_from([0, 1, 97, 2**32 - 1]), max_size=4), max_size=200)


def as_by_dictionary(stretches: list[list[int]]) -> tuple[list[int], list[int]]:
    known: dict[tuple[int, ...], int] = {}
    numbers = [known.setdefault(tuple(one), len(known)) for one in stretches]
    return numbers, [numbers.index(number) for number in range(len(known))]


def as_by_kernel(stretches: list[list[int]]) -> tuple[list[int], list[int]]:
    """What the kernel says of stretches that have other values between them."""
    values = np.array([value for one in stretches for value in (*one, 5)], np.uint32)
    edges = np.cumsum([0, *(len(one) + 1 for one in stretches)])
    numbers, firsts = number_alike(values, edges[:-1], edges[1:] - 1)
    return numbers.tolist(), firsts.tolist()


@settings(deadline=None)
@given(STRETCHES)
@example([])
@example([[]])
def test_numbers(stretches: list[list[int]]) -> None:
    """Alike stretches have the same number, others another one, in the order in which they come."""
    assert as_by_kernel(stretches) == as_by_dictionary(stretches)


def test_equal_hashes() -> None:
    """Stretches that have the same place in the table are told apart."""
    stretches = [[value, other] for value in range(60) for other in range(60)]
    assert as_by_kernel(stretches * 2) == as_by_dictionary(stretches * 2)


def test_hashes_differ_between_processes() -> None:
    """The hash of a stretch depends on a seed, so that nobody can write stretches of the same hash."""
    values = np.arange(8, dtype=np.uint32)
    with np.errstate(over="ignore"):
        hashes = {alike_kernels._hash.py_func(values.astype(np.int64), 0, 8, seed) & 0xFFFF for seed in range(50)}
    assert len(hashes) > 40
