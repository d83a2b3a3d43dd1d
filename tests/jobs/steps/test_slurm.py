"""Runs on a real Slurm, where CURATION_SLURM is set: jobs that are killed change no byte."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import write_crawl
from processes import SETTINGS, command, contents, curate
from slurm import ask, is_installed, slurm

if not os.environ.get("CURATION_SLURM"):
    pytest.skip("set CURATION_SLURM=1 to run Slurm here, with slurm-wlm and munge", allow_module_level=True)
if not is_installed():
    pytest.skip("slurm-wlm and munge are not installed, or this is not root", allow_module_level=True)

ARCHIVES = 400
PATIENCE = 600.0


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm(Path(folder)) as values:
        yield values


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough archives for one worker to need more than a minute."""
    folder = tmp_path_factory.mktemp("crawl")
    write_crawl(folder, ARCHIVES)
    return folder


@pytest.fixture(scope="module")
def whole(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The filter step without Slurm."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = curate("filter", crawl, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def describe(folder: Path, **values: str | int) -> Path:
    """A cluster file."""
    values = {"system": "slurm", "queue": "cpu", "memory": "2GB", "logs": str(folder / "logs"), **values}
    path = folder / "slurm.toml"
    path.write_text("".join(f"{key} = {value!r}\n" for key, value in values.items()))
    return path


def test_the_check_shows_a_worker(environment: dict[str, str], tmp_path: Path) -> None:
    """`curate cluster check` submits one job, shows what its worker has, and leaves no job and no certificate."""
    file = describe(tmp_path, walltime="00:05:00")
    words = command("cluster", "check", file, settings=())
    done = subprocess.run(
        words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a worker on ")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    until = time.monotonic() + 60
    while ask(environment, "squeue", "--noheader").strip():
        assert time.monotonic() < until
        time.sleep(1)


def test_jobs_that_reach_their_time_limit(
    environment: dict[str, str], crawl: Path, whole: Path, tmp_path: Path
) -> None:
    """Each job ends after a minute, before the work is done, and another one is submitted; no byte is different."""
    file = describe(tmp_path, walltime="00:01:00", maximum=1, cores=2)
    file.write_text(f'{file.read_text()}prologue = ["sleep 45"]\n')
    words = command("filter", crawl, "--out", tmp_path / "out", "--cluster", file, settings=SETTINGS)
    done = subprocess.run(
        words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert any("DUE TO TIME LIMIT" in path.read_text() for path in (tmp_path / "logs").glob("*.err"))
    assert contents(tmp_path / "out") == contents(whole)


def test_a_driver_in_a_job_that_is_requeued(
    environment: dict[str, str], crawl: Path, whole: Path, tmp_path: Path
) -> None:
    """The driver as the job in docs/clusters.md is preempted in the middle, and resumes."""
    file = describe(tmp_path, walltime="00:10:00", maximum=2)
    words = command("filter", crawl, "--out", tmp_path / "out", "--cluster", file, settings=SETTINGS)
    script = tmp_path / "driver.sh"
    page = (Path(__file__).resolve().parents[3] / "docs" / "clusters.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", page, re.DOTALL)
    script.write_text(text.replace("curate run @inputs.txt --out /shared/out --cluster slurm.toml", shlex.join(words)))
    job = ask(environment, "sbatch", "--parsable", f"--chdir={tmp_path}", str(script)).strip()
    until = time.monotonic() + PATIENCE
    while len([*tmp_path.glob("out/manifests/filter/*.json")]) < ARCHIVES // 8:
        assert time.monotonic() < until, (tmp_path / "curate.log").read_text()
        time.sleep(0.1)
    ask(environment, "scontrol", "requeue", job)
    while ask(environment, "squeue", "--noheader", f"--jobs={job}").strip():
        assert time.monotonic() < until
        time.sleep(1)
    said = (tmp_path / "curate.log").read_text()
    assert "stopped by SIGTERM" in said
    assert f"of {ARCHIVES} shards made" in said
    assert contents(tmp_path / "out") == contents(whole)
