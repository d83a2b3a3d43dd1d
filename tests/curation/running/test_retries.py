from __future__ import annotations

import pytest

from curation.running import retries
from curation.running.retries import Attempt, WorkerHealth

ALL = ["a", "b", "c"]


def test_pauses_double_and_end_with_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pause is twice the one before, within half of it, up to the longest; after the budget there is none."""
    monkeypatch.delenv("CURATION_RETRY_SECONDS", raising=False)
    attempt, now, pauses = Attempt("x"), 1000.0, list[float]()
    while (pause := attempt.pause("w", now)) is not None:
        pauses.append(pause)
        now += pause
    for number, pause in enumerate(pauses):
        assert 0.5 <= pause / min(2.0**number, retries.LONGEST_PAUSE) <= 1.5
    assert 60 < now - 1000 <= retries.RETRY_SECONDS
    assert attempt.failed_on == {"w"}


def test_pauses_of_two_items_differ() -> None:
    """Items that failed together are not tried again at the same time."""
    assert len({Attempt(number).pause("w", 0.0) for number in range(20)}) > 10


def test_slow_tries_are_repeated_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item whose tries take longer than the budget gets three of them; with a budget of 0 it gets one."""
    attempt = Attempt("x")
    assert [attempt.pause("w", now) is None for now in (0.0, 1e4, 2e4)] == [False, False, True]
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "0")
    assert Attempt("x").pause("w", 0.0) is None


def test_a_worker_that_fails_where_others_succeed_is_suspended() -> None:
    """It takes three failures in a row, and a success of another worker since the first of them."""
    health = WorkerHealth()
    health.succeeded("b")
    assert [health.failed("a", ALL) for _ in range(5)] == [False] * 5  # b may be unable to read now too
    health.succeeded("b")
    assert health.failed("a", ALL)
    assert not health.failed("a", ALL)  # it is named once
    assert health.allowed(ALL) == ["b", "c"]


def test_a_success_ends_a_row_of_failures() -> None:
    """A worker that fails now and then is not suspended."""
    health = WorkerHealth()
    for _ in range(20):
        assert not health.failed("a", ALL)
        assert not health.failed("a", ALL)
        health.succeeded("b")
        health.succeeded("a")


def test_the_last_worker_is_never_suspended() -> None:
    """A worker is not suspended if no other is left, and all are forgiven once only suspended ones are left."""
    health = WorkerHealth()
    health.succeeded("b")
    for _ in range(4):
        assert not health.failed("a", ["a"])
    health.succeeded("b")
    assert health.failed("a", ["a", "b"])
    assert health.allowed(["a", "b"]) == ["b"]
    assert health.allowed(["a"]) == ["a"]
    assert health.allowed(["a", "b"]) == ["a", "b"]
