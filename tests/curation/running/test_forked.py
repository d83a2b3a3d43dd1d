"""Children that are forked from a process that has imported what they need."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys, tempfile
from curation.running import forked
from curation.running.child import Child

forked.serve()
sys.path.insert(0, {folder!r})
os.environ["TOLD"] = "told"
read, write = os.pipe()
child = Child("told_child", "testing", (write,))
os.close(write)
{rest}
"""

CHILD = """
import os, sys, time

def main():
    what = os.read(0, 10)
    out = int(sys.argv[2])
    os.write(out, f"{os.getppid()} {what} {len(os.listdir('/proc/self/fd'))} {os.environ['TOLD']}".encode())
    print("not shown")
    if os.path.exists(__file__ + ".fail"):
        raise ValueError("it failed")
    if os.path.exists(__file__ + ".hang"):
        time.sleep(600)
"""


def run(folder: Path, rest: str) -> str:
    """What a program prints that starts a child by `Child`, after `rest`."""
    (folder / "told_child.py").write_text(CHILD)
    program = PROGRAM.format(folder=str(folder), rest=rest)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def test_a_child_is_forked_with_its_descriptors_and_nothing_else(tmp_path: Path) -> None:
    """It has the given descriptors, the null device, its stderr and the environment; its parent is not the caller."""
    out = run(tmp_path, "print(os.getpid(), child.process.wait(), os.read(read, 100).decode())")
    caller, code, parent, read, descriptors, told = out.split()
    assert (code, read, told) == ("0", "b''", "told")
    assert parent != caller
    assert int(descriptors) == 5  # of which one lists them


def test_how_it_ended_is_known(tmp_path: Path) -> None:
    """An exception is exit code 1 and in `error_line`; a signal is a negative number; it can be killed."""
    (tmp_path / "told_child.py.fail").touch()
    assert run(tmp_path, "print(child.process.wait(), child.error_line())") == "1 ValueError: it failed\n"
    (tmp_path / "told_child.py.fail").unlink()
    (tmp_path / "told_child.py.hang").touch()
    rest = "os.read(read, 1); print(child.process.poll()); print(child.end(), child.process.poll())"
    assert run(tmp_path, rest) == f"None\n{-signal.SIGKILL} {-signal.SIGKILL}\n"


def test_it_ends_with_the_last_that_can_ask(tmp_path: Path) -> None:
    """The process that forks ends when no process can make a request any more."""
    rest = "child.process.wait(); print(os.read(read, 100).decode().split()[0])"
    assert not Path("/proc", run(tmp_path, rest).strip(), "exe").exists()


def test_without_it_children_start_from_nothing(tmp_path: Path) -> None:
    """If the process that forks is killed, its children are killed too, and the next one starts all the same."""
    (tmp_path / "told_child.py.hang").touch()
    rest = """
first = os.read(read, 100).decode().split()[0]
os.kill(int(first), signal.SIGKILL)
print(child.process.wait())
while os.path.exists(state := f"/proc/{child.process.pid}/stat") and ") Z " not in open(state).read():
    pass
os.remove(sys.path[0] + "/told_child.py.hang")
read, write = os.pipe()
child = Child("told_child", "testing", (write,))
print(child.process.wait(), os.read(read, 100).decode().split()[0] == str(os.getpid()))
"""
    assert run(tmp_path, rest) == "255\n0 True\n"


FAULTS_PROGRAM = """
import pyarrow as pa
from curation.extraction import isolation
from curation.running import forked

forked.serve()
faults = ["loop", "signal", "exit", "memory", "error"]
pages = pa.array([page for fault in faults for page in (f"FAULT {fault}", "good")])
for answer in isolation.run(isolation.Function("isolation_faults:make"), pages, isolation.PageLimits(0.5, 170)):
    print(answer.value or answer.cause)
"""


def test_pages_that_fail_in_a_forked_child() -> None:
    """Limits and crashes are noticed as in a child that is started from nothing."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    program = [sys.executable, "-c", FAULTS_PROGRAM]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)
    causes = ["processor time", "SIGSEGV", "exit code 75", "MemoryError", "KeyError"]
    assert done.stdout.splitlines() == [line for cause in causes for line in (cause, "good")], done.stderr


def test_what_is_preloaded_has_no_threads() -> None:
    """What the fork server imports starts no thread, which a fork would lose, and includes what workers need."""
    from curation.running.fork_server import ENVIRONMENT

    program = """
import curation.jobs.cli.preloaded, os, sys
print(len(os.listdir("/proc/self/task")), "curation.jobs.steps.filter" in sys.modules)
"""
    environment = os.environ | ENVIRONMENT
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "1 True\n", done.stderr
