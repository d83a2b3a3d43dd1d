"""The process ends with the code of the command, whatever threads of libraries still do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archives import page, prose, response, write_archive
from llvmlite.binding import ExecutionEngine
from processes import curate

from curation.jobs.cli import main
from curation.jobs.cli.main import LOSES_ERRORS
from curation.jobs.steps.progress import Progress
from curation.store.folder import Folder
from curation.store.shards import open_parquet, read_table

LINGERING = """
import sys, threading, time
import pyarrow.dataset as ds
from fsspec.implementations.local import LocalFileSystem
from pyarrow.fs import FSSpecHandler, PyFileSystem
import curation.jobs.cli.main as cli
from curation.errors import InputError

class File:
    closed = False
    def __init__(self, path): self.file = open(path, "rb")
    def read(self, size=-1): return self.file.read(size)
    def seek(self, *place): return self.file.seek(*place)
    def tell(self): return self.file.tell()
    def readable(self): return True
    def seekable(self): return True
    def writable(self): return False
    def close(self): self.closed = True
    def __del__(self):
        if threading.current_thread() is not threading.main_thread():
            print("in another thread", flush=True)
            time.sleep(1)

class Files(LocalFileSystem):
    cachable = False
    def open(self, path, *_, **__): return File(path)

def scan():
    files = PyFileSystem(FSSpecHandler(Files()))
    for _ in ds.dataset(sys.argv[1:], format="parquet", filesystem=files).to_batches(): pass
    raise InputError("absent")

cli.app = scan
cli.main()
"""


def test_a_library_that_still_lets_go_of_files_does_not_abort_it(tmp_path: Path) -> None:
    """An error right after a scan, while Arrow's threads drop Python files, exits with the error's code, not 134."""
    import pyarrow as pa

    paths = [tmp_path / f"{number}.parquet" for number in range(4)]
    for path in paths:
        pq.write_table(pa.table({"id": [str(number) for number in range(5000)]}), path, row_group_size=500)
    seen = ""
    for _ in range(12):
        words = [sys.executable, "-c", LINGERING, *map(str, paths)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2, done.stderr
        assert done.stderr == "curate: absent\n"
        seen += done.stdout
        if seen:
            break
    assert seen, "Arrow dropped every file in the main thread, so nothing was tested"


@pytest.mark.parametrize(
    "code", ["raise SystemExit(3)", "import atexit; atexit.register(print, 'last'); print('first')"]
)
def test_cleanup_runs_and_output_is_complete(code: str) -> None:
    """Functions registered for the exit run, threads are waited for, and buffered output is written."""
    program = (
        "import threading, time, curation.jobs.cli.main as m\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()\n"
        f"def app(): exec({code!r})\n"
        "m.app = app; m.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == (3 if "3" in code else 0)
    assert done.stdout == ("thread\n" if "3" in code else "first\nthread\nlast\n")


def test_output_that_cannot_be_written_is_an_error() -> None:
    """A result that does not fit on the disk is no success."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        words = [sys.executable, "-m", "curation.jobs.cli", "recipe", "list"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "No space left" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["recipe", "show", "fineweb"], ["--version"]])
def test_a_reader_that_has_seen_enough_is_no_error(words: list[str]) -> None:
    """If the reader of a result has closed its pipe, as `head` does, the command ends quietly with code 0."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "curation.jobs.cli", *words]
    with open(writer, "w") as closed:  # noqa: PTH123
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_exit_code_does_not_depend_on_the_reader(tmp_path: Path, form: list[str]) -> None:
    """A run that quarantined an input exits with 1, also if nobody reads its summary."""
    write_archive(tmp_path / "a.warc.gz", [response("https://a.org/", page("good", *prose(1)))])
    (tmp_path / "b.warc.gz").write_bytes(b"no archive" * 99)
    words = ["run", str(tmp_path), "--out", str(tmp_path / "out"), "--steps", "filter,report", "--workers", "0", *form]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed:  # noqa: PTH123
        command = [sys.executable, "-m", "curation.jobs.cli", *words]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_says_what_was_made(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C says how far the step was, and claims nothing about commands that make nothing."""

    def stopped(total: int = 0, done: int = 0) -> None:
        with Progress("silent").step("filter", total, done) if total else nullcontext():
            raise main.Interrupt("stopped by SIGINT")

    said = []
    for values in ((), (1, 0), (8, 3)):
        monkeypatch.setattr(main, "app", partial(stopped, *values))
        assert main._exit_code() == 3
        said.append(capsys.readouterr().err.strip())
    assert said == [
        "curate: stopped by SIGINT",
        "curate: stopped by SIGINT in filter, with 0 of 1 shard made; the same command resumes",
        "curate: stopped by SIGINT in filter, with 3 of 8 shards made; the same command resumes",
    ]


def test_local_files_are_opened_by_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow's threads get no Python object to let go of when a local shard is read."""
    import pyarrow as pa

    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "x.parquet")
    monkeypatch.setattr(Folder, "open", None)
    with open_parquet(Folder(str(tmp_path)), "x.parquet") as parquet:
        assert parquet.metadata.num_rows == 1
    assert read_table(Folder(str(tmp_path)), "x.parquet", ["id"]).to_pylist() == [{"id": "a"}]


def test_a_signal_where_exceptions_are_ignored() -> None:
    """A signal that arrives in a finalizer, or while LLVM calls back, ends the command once that is left."""
    assert all(hasattr(ExecutionEngine, name) for name in LOSES_ERRORS - {"__del__"})
    code = (
        "import os, signal, time\n"
        "from curation.jobs.cli import main\n"
        "signal.signal(signal.SIGTERM, main._interrupt)\n"
        "class Finalized:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGTERM)\n"
        "main.app = lambda: (Finalized() and None, print('goes on', flush=True), time.sleep(30))\n"
        "raise SystemExit(main._exit_code())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (3, "goes on\n")
    assert done.stderr.startswith("curate: stopped by SIGTERM")


@pytest.mark.parametrize(("seconds", "code"), [(60, 0), (0, -signal.SIGTERM)], ids=["doubled", "later"])
def test_a_doubled_signal_counts_once(seconds: int, code: int) -> None:
    """A signal that comes twice at once, as from `timeout`, lets everything be closed; a later one ends the process."""
    program = (
        "import os, signal\n"
        "from curation.jobs.cli import main\n"
        f"main.SAME_SIGNAL_SECONDS = {seconds}\n"
        "signal.signal(signal.SIGTERM, main._interrupt)\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "except main.Interrupt:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('closed')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "closed\n" if code == 0 else "")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["run", ""], "INPUT"),
        (["run", "a", "--out", ""], "--out"),
        (["export", "d", "--format", "bin", "--to", ""], "--to"),
        (["run", "a", "--out", "b", "--set", ""], "--set"),
        (["recipe", "show", ""], "NAME|FILE"),
    ],
)
def test_nothing_may_be_empty(words: list[str], name: str) -> None:
    """An empty argument or option is refused by name: as a path it would be the current folder."""
    done = curate(*words, settings=())
    assert (done.returncode, done.stderr) == (2, f"curate: {name}: must not be empty\n")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["run", "caf\udce9"], "INPUT"),
        (["run", "a", "--out", "\udce9"], "--out"),
        (["run", "a", "--out", "b", "--set", "read.dump=\udce9"], "--set"),
        (["explain", "out", "\udce9"], "ID|URL|INPUT"),
    ],
)
def test_what_is_not_utf_8_is_refused(words: list[str], name: str) -> None:
    """An argument or option that no file can hold is refused by name, before anything is written."""
    done = curate(*words, settings=())
    assert done.returncode == 2
    assert done.stderr.startswith(f"curate: {name}: not UTF-8: ")
    assert "\\udce9\n" in done.stderr
