"""Crashes cost nothing: after a kill, a signal or a full disk, a rerun gives the same bytes."""

from __future__ import annotations

import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from archives import page, prose, response, write_archive
from processes import command, contents, curate, workers_of
from signed import clusters, documents, dropped, run

from curation.dedup.settings import DedupSettings
from curation.running.cluster import Cluster
from curation.store.folder import TEMPORARY

STEPS = "filter,dedup,train-tokenizer,tokenize"
PATIENCE = 120.0


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three archives, a third of whose pages have a copy in another."""
    folder = tmp_path_factory.mktemp("crawl")
    for number, name in enumerate("abc"):
        seeds = range(20 * number, 20 * number + 30)
        write_archive(
            folder / f"{name}.warc.gz",
            [response(f"https://{name}.org/{seed}", page("good", *prose(seed))) for seed in seeds],
        )
    return folder


@pytest.fixture(scope="module")
def whole(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a fault."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = curate("run", crawl, "--out", out, "--steps", STEPS, "--workers", "0")
    assert done.returncode == 0, done.stderr
    return out


TOKENS = ("tokens", "manifests/tokens", "manifests/encode")
TRAINED = ("tokenizer", "manifests/train-tokenizer", "manifests/count", *TOKENS)
AFTER = {
    "dedup": ("dedup", "corpus", "removed/dedup", "manifests/dedup", "manifests/corpus", *TRAINED),
    "train-tokenizer": TRAINED,
    "tokenize": TOKENS,
}
"""Outputs of each step and those after it."""


def before(step: str, whole: Path, out: Path) -> Path:
    """A copy of the run as it was before the step."""
    shutil.copytree(whole, out)
    for name in AFTER[step]:
        shutil.rmtree(out / name, ignore_errors=True)
    return out


def start(*arguments: str | Path, workers: str = "0", limit: int | None = None) -> subprocess.Popen[str]:
    """Start a run in the background; `limit` is the maximum size of a file in bytes, to simulate a full disk."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit or 0, limit or 0))

    words = command("run", *arguments, "--steps", STEPS, "--workers", workers)
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, preexec_fn=limited if limit is not None else None, **pipes)


def wait_for(process: subprocess.Popen[str], there: Callable[[], bool]) -> None:
    """Wait until something is there; the process must not end before that."""
    until = time.monotonic() + PATIENCE
    while not there():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.001)


def resumes(crawl: Path, out: Path, whole: Path) -> None:
    """Assert that the same command succeeds, with the bytes of a run without a fault and no partial files."""
    done = curate("run", crawl, "--out", out, "--steps", STEPS, "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert contents(out) == contents(whole)
    assert not [path for path in out.rglob(".*") if path.name.endswith(TEMPORARY)]


def some(out: Path, pattern: str) -> Callable[[], bool]:
    return lambda: any(out.glob(pattern))


@pytest.mark.parametrize(
    ("step", "sign"),
    [
        ("dedup", "dedup/work/phases/*"),
        ("train-tokenizer", "tokenizer/counts/**/*"),
        ("tokenize", "manifests/encode/*"),
    ],
)
def test_the_driver_is_killed(crawl: Path, whole: Path, tmp_path: Path, step: str, sign: str) -> None:
    """After SIGKILL in the middle of each step after the filters, finished work is kept and the result is the same."""
    out = before(step, whole, tmp_path / "out")
    with start(crawl, "--out", out) as process:
        wait_for(process, some(out, sign))
        process.send_signal(signal.SIGKILL)
    assert not (out / "manifests" / "tokens" / "all.json").exists()
    resumes(crawl, out, whole)


def test_a_worker_is_killed_in_the_exchange(crawl: Path, whole: Path, tmp_path: Path) -> None:
    """After SIGKILL of a worker while rows are exchanged, the run itself succeeds, with the same drop lists."""
    out = before("dedup", whole, tmp_path / "out")
    with start(crawl, "--out", out, workers="2") as process:
        wait_for(process, some(out, "dedup/work/**/*.arrow"))
        workers_of(process.pid)[0].kill()
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert contents(out) == contents(whole)


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, "0"), (signal.SIGINT, "2")])
def test_a_signal_ends_it(crawl: Path, whole: Path, tmp_path: Path, number: signal.Signals, workers: str) -> None:
    """On SIGTERM, and on Ctrl-C, which a terminal sends to workers too, it exits with code 3 and says in one line how
    to resume, no worker is left; then the run resumes."""
    out = before("dedup", whole, tmp_path / "out")
    with start(crawl, "--out", out, workers=workers) as process:
        wait_for(process, some(out, "dedup/work/phases/*"))
        children = psutil.Process(process.pid).children(recursive=True)
        for each in (*children, process) if number == signal.SIGINT else (process,):
            each.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert number.name in errors
    assert "resumes" in errors
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    resumes(crawl, out, whole)


@pytest.mark.parametrize(("step", "limit"), [("filter", 4096), ("dedup", 2048)])
def test_the_disk_is_full(crawl: Path, whole: Path, tmp_path: Path, step: str, limit: int) -> None:
    """If no file can grow, it exits with code 3 and the cause, without quarantine or partial files; then it resumes."""
    out = tmp_path / "out"
    if step != "filter":
        before(step, whole, out)
    with start(crawl, "--out", out, limit=limit) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, errors
    assert "File too large" in errors
    assert "Traceback" not in errors
    assert "quarantined" not in errors
    resumes(crawl, out, whole)


def test_the_folder_cannot_be_written(crawl: Path, whole: Path, tmp_path: Path) -> None:
    """A file in place of a folder of the run: it exits with code 3 and its name; without it, the run resumes."""
    out = before("dedup", whole, tmp_path / "out")
    (out / "corpus").write_text("in the way")
    with start(crawl, "--out", out) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, errors
    assert "corpus" in errors
    assert "Traceback" not in errors
    (out / "corpus").unlink()
    resumes(crawl, out, whole)


class AnyOrder(Cluster):
    """Runs tasks in this process, in another order."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Like Cluster.map, in reverse or random order."""
        shuffled = list(items)
        random.Random(len(shuffled)).shuffle(shuffled)
        yield from super().map(function, shuffled)


def texts() -> list[str]:
    made = [" ".join(prose(seed, 40)) for seed in [*range(40), *range(20)]]
    random.Random(5).shuffle(made)
    return made


@pytest.mark.parametrize("parts", [1, 6, 31])
def test_the_order_of_tasks_changes_no_drop_list(tmp_path: Path, parts: int) -> None:
    """In any order of tasks and any number of shards, the same rows are removed for the same survivors."""
    rows = documents(texts())
    one, names, _ = run(tmp_path / "one", rows, DedupSettings(), parts)
    other, _, _ = run(tmp_path / "other", rows, DedupSettings(), parts, AnyOrder())
    lists = [{path: folder.read(path) for path in folder.list("dedup", ".parquet")} for folder in (one, other)]
    assert lists[0] == lists[1]
    single, single_names, _ = run(tmp_path / "single", rows, DedupSettings(), 1)
    drop_lists = [
        {name: row["survivor_id"] for name, row in dropped(*where).items()}
        for where in ((one, names), (single, single_names))
    ]
    assert drop_lists[0] == drop_lists[1]
    assert len(drop_lists[0]) == 20


def test_the_order_of_inputs_changes_no_cluster(tmp_path: Path) -> None:
    """Inputs in another order give the same clusters, with other survivors by the rule `first`."""
    rows = documents(texts())
    one = run(tmp_path / "one", rows, DedupSettings(), 4)
    other = run(tmp_path / "other", rows[::-1], DedupSettings(), 7)
    assert clusters(*one[:2]) == clusters(*other[:2])
    assert len(dropped(*one[:2])) == len(dropped(*other[:2])) == 20
    longest = DedupSettings(survivor="longest")
    assert clusters(*run(tmp_path / "longest", rows[::-1], longest, 3)[:2]) == clusters(*one[:2])
