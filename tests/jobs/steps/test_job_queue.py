"""The file that describes a batch system: what it accepts, and what it says about the rest."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from curation.errors import MissingExtra, UsageError
from curation.jobs.steps.job_queue import ACCOUNT, read_job_queue
from curation.running import clients
from curation.running.clients import SYSTEMS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "clusters.md"


def write(folder: Path, text: str) -> str:
    path = folder / "cluster.toml"
    path.write_text(text)
    return str(path)


def test_the_file_in_the_docs(tmp_path: Path) -> None:
    """It is valid: one worker per core, and as many workers as the jobs have."""
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    jobs = read_job_queue(write(tmp_path, text)).options
    assert (jobs.system, jobs.minimum, jobs.maximum) == ("slurm", 16, 800)
    assert jobs.options == {
        "queue": "cpu",
        "walltime": "08:00:00",
        "cores": 16,
        "processes": 16,
        "memory": "64GB",
        "job_extra_directives": [],
        "job_script_prologue": [],
    }


def test_every_optional_key(tmp_path: Path) -> None:
    """Each becomes the option of dask-jobqueue that it stands for; the account is called as the system calls it."""
    keys = ["account", "interface", "scratch", "logs", "directives", "prologue"]
    assert all(f"`{key}`" in PAGE.read_text(encoding="utf-8") for key in keys)
    text = 'system = "lsf"\nmemory = "1GB"\nwalltime = "1:00"\ntls = false\ndirectives = ["-R x"]\nprologue = ["ls"]\n'
    text += "".join(f'{key} = "{key}"\n' for key in keys[:4])
    jobs = read_job_queue(write(tmp_path, text)).options
    assert jobs.certificates is None
    expected = {"project": "account", "interface": "interface", "local_directory": "scratch", "log_directory": "logs"}
    assert jobs.options.items() >= expected.items()
    assert jobs.options["job_extra_directives"] == ["-R x"]
    assert jobs.options["job_script_prologue"] == ["ls"]
    assert {*SYSTEMS} == {*ACCOUNT}


GOOD = 'system = "slurm"\nmemory = "1GB"\nwalltime = "1:00"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "system is missing"),
        (GOOD.replace("slurm", "cron"), "system = 'cron': must be"),
        (f"{GOOD}partition = 'x'", "unknown key 'partition'; there are account, cores"),
        (f"{GOOD}cores = '8'", "cores = '8': must be a whole number"),
        (f"{GOOD}cores = 0", "cores = 0"),
        (f"{GOOD}minimum = 3\nmaximum = 2", "minimum = 3 is more than maximum = 2"),
        (f"{GOOD}directives = [1]", "directives = "),
        ("system = ", "Invalid value"),
        (GOOD.replace('"1GB"', "8"), "memory = 8"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    """In one line that names the file, the key and the value."""
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        read_job_queue(path)
    assert str(error.value).startswith(f"cluster file {path}: ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no text are errors too."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("none.toml", ".", "bytes"):
        with pytest.raises(UsageError, match="cluster file"):
            read_job_queue(str(tmp_path / name))


def test_without_the_extra_or_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install, or which program is not on this machine."""
    jobs = read_job_queue(write(tmp_path, GOOD.replace("slurm", "lsf"))).options
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(MissingExtra, match=r"pip install 'curation\[jobqueue\]'"), clients.submit(jobs, lambda: 0):
        pass
    monkeypatch.setitem(sys.modules, "dask_jobqueue", sys)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UsageError, match="the program bsub is not installed"), clients.submit(jobs, lambda: 0):
        pass
