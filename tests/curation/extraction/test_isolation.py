"""A page that hangs, crashes or exhausts memory affects only itself."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import isolation_faults
import psutil
import pyarrow as pa
import pytest

from curation.errors import StepFailed, WriteFailed
from curation.extraction import isolation
from curation.extraction.isolation import Answer, Function, PageLimits

FAULTS = Function(f"{isolation_faults.__name__}:make")
LIMITS = PageLimits(seconds=0.5, megabytes=170)

EXPECTED = {
    "loop": Answer(failure="timeout", cause="processor time"),
    "regex": Answer(failure="timeout", cause="processor time"),
    "sleep": Answer(failure="timeout", cause="clock time"),
    "signal": Answer(failure="crash", cause="SIGSEGV"),
    "null": Answer(failure="crash", cause="SIGSEGV"),
    "exit": Answer(failure="crash", cause="exit code 75"),
    "memory": Answer(failure="memory", cause="MemoryError"),
    "error": Answer(failure="error", cause="KeyError"),
    "leave": Answer(failure="error", cause="SystemExit"),
}


@pytest.fixture(autouse=True)
def _no_child_left() -> Iterator[None]:
    isolation.close()
    yield
    isolation.close()
    assert not children()


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "curation.extraction.isolated_child" in " ".join(child.cmdline())
    ]


def run(*pages: str | None) -> list[Answer]:
    return isolation.run(FAULTS, pa.array(pages, pa.string()), LIMITS)


@pytest.mark.parametrize("fault", EXPECTED)
def test_only_the_failing_page_is_lost(fault: str) -> None:
    """Pages before and after a page that fails have their answers; the page that fails has the cause."""
    answers = run("a", "b", f"FAULT {fault}", "c", "d")
    assert answers == [Answer("a"), Answer("b"), EXPECTED[fault], Answer("c"), Answer("d")]


@pytest.mark.parametrize("is_child", [True, False])
def test_memory_that_cannot_be_written(is_child: bool) -> None:
    """A limit on files, which holds for files in memory too, is not the page's fault: the step ends in one line."""
    assert run("a") == [Answer("a")]
    (child,) = children()
    process = child.pid if is_child else 0
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(WriteFailed, match=r"^cannot write to memory that processes share: File too large$"):
            run("a", "b" * (10_000 if not is_child else 4000), "c" * 4000)
    finally:
        if not is_child:
            resource.prlimit(process, resource.RLIMIT_FSIZE, before)
    assert run("a", "c" * 10_000) == [Answer("a"), Answer("c" * 10_000)]


def test_every_fault_in_one_batch() -> None:
    """Faults in a row, including the first and last page, are each assigned to their own page."""
    faults = [fault for fault in EXPECTED if fault != "sleep"]
    pages = [page for fault in faults for page in (f"FAULT {fault}", "good")]
    wanted = [answer for fault in faults for answer in (EXPECTED[fault], Answer("good"))]
    assert run(*pages, "FAULT signal") == [*wanted, EXPECTED["signal"]]


def test_a_batch_without_faults_uses_one_process() -> None:
    """The same process handles every page of every batch, and it is not this one."""
    pids = {answer.value for _ in range(3) for answer in run("who", "who")}
    assert len(pids) == 1
    assert pids != {str(os.getpid())}


def test_text_goes_there_and_back_unchanged() -> None:
    """Any string, of any length, sliced or null in its array, is passed and returned unchanged."""
    pages = ["skipped", "", "ß漢字🎉\x00\n", None, "x" * 3_000_000, "end"]
    assert [answer.value for answer in run(*pages)] == ["" if page is None else page for page in pages]
    sliced = pa.array(pages, pa.string()).slice(1, 3)
    assert [answer.value for answer in isolation.run(FAULTS, sliced, LIMITS)] == ["", "ß漢字🎉\x00\n", ""]
    assert isolation.run(FAULTS, pa.array([], pa.string()), LIMITS) == []


@pytest.mark.parametrize("seconds", [1e-300, 1e300, math.inf])
@pytest.mark.parametrize("megabytes", [170, 10**18])
def test_limits_may_have_any_size(seconds: float, megabytes: int) -> None:
    """What is beyond the system's timers and limits is no limit, and not an error of every page."""
    answers = isolation.run(FAULTS, pa.array(["a", "b"]), PageLimits(seconds, megabytes))
    assert [answer.value or answer.failure for answer in answers] in (["a", "b"], ["timeout"] * 2)
    assert seconds < 1 or [answer.value for answer in answers] == ["a", "b"]


def test_lists_that_begin_with_a_text_come_back_unchanged() -> None:
    """Such lists, which travel in a form of their own, have any text and any rest; a surrogate becomes "?"."""
    pages = pa.array(["", 'a"\\\n\x00ß漢🎉', "x" * 100_000, "SURROGATE"], pa.string())
    answers = isolation.run(Function(f"{isolation_faults.__name__}:make_list"), pages, LIMITS)
    assert [answer.value for answer in answers] == [[text, 0.5, None, "more"] for text in [*pages.to_pylist()[:3], "?"]]


def test_a_kill_from_outside_costs_no_page(tmp_path: Path) -> None:
    """A page at which the child died is retried in a fresh child, so an operator's kill removes nothing."""
    page = f"FAULT once {tmp_path / 'mark'}"
    assert run("a", page, "b") == [Answer("a"), Answer(page), Answer("b")]


def test_a_child_that_died_between_batches_is_replaced() -> None:
    """The death of an idle child is not assigned to any page."""
    run("a")
    (child,) = children()
    child.send_signal(signal.SIGKILL)
    assert run("b", "c") == [Answer("b"), Answer("c")]


def test_a_child_that_uses_too_much_memory_is_replaced() -> None:
    """A child that uses too much memory ends between two pages, and no page is lost."""
    before, *grown, after = run("who", *["FAULT grow"] * 4, "who")
    assert [answer.value for answer in grown] == ["FAULT grow"] * 4
    assert before.value != after.value


def test_what_a_page_prints_is_discarded(capfd: pytest.CaptureFixture[str]) -> None:
    """What the extraction of a page writes is on neither stdout nor stderr of this process."""
    assert run("FAULT print") == [Answer("FAULT print")]
    assert capfd.readouterr() == ("", "")


def test_threads_take_turns() -> None:
    """Concurrent calls from several threads each get their own answers, faults included, from one child."""
    batches = [[f"{batch} {page}" for page in range(50)] + ["FAULT signal", "FAULT wait"] for batch in range(6)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda batch: run(*batch), batches))
    for batch, answers in zip(batches, results, strict=True):
        assert [answer.value for answer in answers] == [*batch[:-2], None, "FAULT wait"]
    assert len(children()) == 1


def test_other_threads_run_meanwhile() -> None:
    """While a batch is processed, other threads of this process can compute."""
    done = threading.Event()
    worker = threading.Thread(target=lambda: (run("FAULT regex"), done.set()))
    worker.start()
    turns = 0
    while not done.is_set():
        time.sleep(0.001)
        turns += 1
    worker.join()
    assert turns > 20


def test_an_interrupt_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an exception in the middle of a batch, the next batch gets its own answers, not the rest of the last."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(isolation._Supervisor, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("a", "FAULT wait")
    assert run("b", "c", "d") == [Answer("b"), Answer("c"), Answer("d")]


def test_a_child_that_handles_no_signals_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that its own timers cannot end is killed from here, at the cost of the page in progress."""
    monkeypatch.setattr(isolation, "STUCK_SECONDS", 0.2)
    pages = pa.array(["a", "FAULT stop", "b"])
    answers = isolation.run(FAULTS, pages, PageLimits(seconds=0.1, megabytes=170))
    assert answers == [Answer("a"), Answer(failure="timeout", cause="no sign of life"), Answer("b")]


def test_files_in_memory_are_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system has no files in memory, temporary files are used."""
    isolation._forget()
    monkeypatch.delattr(os, "memfd_create")
    assert run("a", "FAULT null", "b") == [Answer("a"), EXPECTED["null"], Answer("b")]
    isolation.close()
    isolation._forget()


def test_a_child_that_cannot_start_says_why() -> None:
    """A function that cannot be created raises StepFailed with the last line of the traceback."""
    with pytest.raises(StepFailed, match="RuntimeError: no model to load"):
        isolation.run(Function("isolation_faults:broken"), pa.array(["a"]), LIMITS)
    with pytest.raises(StepFailed, match="No module named 'nowhere'"):
        isolation.run(Function("nowhere:make"), pa.array(["a"]), LIMITS)
    assert run("a") == [Answer("a")]


def test_a_prepared_child_is_used() -> None:
    """`prepare` starts the child that `run` then uses; preparing again starts no other."""
    isolation.prepare(FAULTS)
    isolation.prepare(FAULTS)
    (child,) = children()
    assert [answer.value for answer in run("who")] == [str(child.pid)]


def test_a_child_that_cannot_be_prepared_says_why_when_it_is_needed() -> None:
    """`prepare` with a function that cannot be created raises nothing; `run` raises StepFailed."""
    broken = Function("isolation_faults:broken")
    isolation.prepare(broken)
    with pytest.raises(StepFailed, match="RuntimeError: no model to load"):
        isolation.run(broken, pa.array(["a"]), LIMITS)


def _in_a_fork(queue: multiprocessing.Queue[list[object]]) -> None:
    queue.put([answer.value for answer in run("who", "b")])
    isolation.close()


def test_a_forked_process_has_its_own_child() -> None:
    """A process forked from one that has a child does not use that child."""
    (mine,) = run("who")
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[list[object]] = context.Queue()
    process = context.Process(target=_in_a_fork, args=(queue,))
    process.start()
    theirs, b = queue.get(timeout=60)
    process.join()
    assert (b, theirs != mine.value) == ("b", True)
    assert run("who") == [mine]


@pytest.mark.parametrize("end", ["pass", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_the_child_does_not_outlive_its_parent(end: str) -> None:
    """However the parent ends, its child ends soon after, and a normal end writes nothing to stderr."""
    script = (
        "import os, sys, pyarrow as pa; from curation.extraction import isolation\n"
        "function = isolation.Function('isolation_faults:make')\n"
        "(answer,) = isolation.run(function, pa.array(['who']), isolation.PageLimits(1, 300))\n"
        f"print(answer.value, flush=True); {end}"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{script}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    psutil.wait_procs([psutil.Process(pid) for pid in [int(ended.stdout)] if psutil.pid_exists(pid)], timeout=10)
    assert not psutil.pid_exists(int(ended.stdout)) or psutil.Process(int(ended.stdout)).status() == "zombie"
