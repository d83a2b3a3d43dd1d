"""The file that describes a batch system: what it accepts, and what it says about the rest."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from cluster_tasks import work
from dask.utils import parse_bytes
from dask_processes import SUPPORT
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import MissingExtra, StepFailed, UsageError
from curation.jobs.steps.job_queue import ACCOUNT, WALLTIMES, JobQueue, bytes_of, read_job_queue
from curation.running import clients, dispatch, job_list
from curation.running.clients import SYSTEMS, JobOptions
from curation.running.cluster import open_cluster

PAGE = Path(__file__).resolve().parents[3] / "docs" / "clusters.md"


def write(folder: Path, text: str) -> str:
    path = folder / "cluster.toml"
    path.write_text(text)
    return str(path)


def test_the_file_in_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is valid: one worker per core, as many workers as the jobs have, certificates in the working directory."""
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file = write(tmp_path, text)
    jobs = read_job_queue(file).options(file)
    assert (jobs.system, jobs.minimum, jobs.maximum, jobs.certificates) == ("slurm", 16, 800, str(tmp_path))
    assert jobs.options == {
        "queue": "cpu",
        "walltime": "08:00:00",
        "cores": 16,
        "processes": 16,
        "memory": "64GB",
        "python": sys.executable,
        "job_extra_directives": [],
        "job_script_prologue": [],
    }


def test_every_optional_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each becomes the option of dask-jobqueue that it stands for; the account is called as the system calls it."""
    keys = ["account", "interface", "scratch", "logs", "directives", "prologue"]
    assert all(f"`{key}`" in PAGE.read_text(encoding="utf-8") for key in keys)
    monkeypatch.setenv("HOME", str(tmp_path))
    text = 'system = "lsf"\nmemory = "1GB"\nwalltime = "1:00"\ntls = false\ndirectives = ["-R x"]\nprologue = ["ls"]\n'
    text += 'account = "us"\ninterface = "lo"\nscratch = "$TMPDIR"\nlogs = "~/deep/logs"\n'
    file = write(tmp_path, text)
    jobs = read_job_queue(file).options(file)
    assert jobs.certificates is None
    logs = tmp_path / "deep" / "logs"
    expected = {"project": "us", "interface": "lo", "local_directory": "$TMPDIR", "log_directory": str(logs)}
    assert jobs.options.items() >= expected.items()
    assert jobs.options["job_extra_directives"] == ["-R x"]
    assert jobs.options["job_script_prologue"] == ["ls"]
    assert logs.is_dir()
    assert {*SYSTEMS} == {*ACCOUNT} == {*WALLTIMES}


GOOD = 'system = "slurm"\nmemory = "1GB"\nwalltime = "1:00"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "system is missing"),
        (GOOD.replace("slurm", "cron"), "system = 'cron': must be"),
        (f"{GOOD}partition = 'x'", "unknown key 'partition'; there are account, cores"),
        (f"{GOOD}cores = '8'", "cores = '8': must be a whole number"),
        (f"{GOOD}cores = 0", "cores = 0"),
        (f"{GOOD}minimum = 3\nmaximum = 2", "maximum = 2: must be at least minimum = 3"),
        (f"{GOOD}maximum = 0", "maximum = 0: must be a whole number, at least 1"),
        (f"{GOOD}minimum = -1", "minimum = -1: must be a whole number, at least 0"),
        (f"{GOOD}tls = 'no'", "tls = 'no': must be true or false"),
        (f"{GOOD}queue = 'a b'", "queue = 'a b': must be text without spaces"),
        (f'{GOOD}account = "a\\n#SBATCH -x"', "account = 'a\\n#SBATCH -x': must be text without spaces"),
        (f'{GOOD}directives = ["a\\nb"]', "must be a list, each item one line of text"),
        (f"{GOOD}directives = ['#SBATCH --qos=low']", 'each item one line of text that begins with "-"'),
        (f"{GOOD}prologue = 'ls'", "prologue = 'ls': must be a list, each item one line of text, such as ['ls']"),
        (f"{GOOD}scratch = '/a b'", "scratch = '/a b': must be text without spaces"),
        (f"{GOOD}interface = 'ib9'", "interface = 'ib9': must be one of "),
        (f"{GOOD}logs = '/dev/null/logs'", "logs = '/dev/null/logs': must be a folder that can be made (Not a dir"),
        (f"{GOOD}shared = '/nowhere'", "shared = '/nowhere': must be a folder that exists and can be written"),
        (GOOD.replace("1GB", "lots"), "memory = 'lots': must be a size with a unit, such as \"64GB\""),
        (GOOD.replace("1GB", "64"), "memory = '64': must be a size with a unit"),
        (GOOD.replace("1GB", f"{'9' * 400}GB"), "must be a size with a unit"),
        (f"{GOOD}a = {'[' * 5000}", "nested too deeply"),
        (f"{GOOD}cores = 4", "memory = '1GB': must be at least 800 MB for each of cores = 4"),
        (GOOD.replace('"1:00"', "60"), "walltime = 60: must be text"),
        (GOOD.replace("1:00", "8h"), "walltime = '8h': must be minutes, hours:minutes:seconds or days-"),
        (GOOD.replace("1:00", "-1"), "walltime = '-1': must be"),
        (GOOD.replace("slurm", "lsf").replace("1:00", "8:00:00"), "must be minutes or hours:minutes, as lsf writes it"),
        (GOOD.replace("slurm", "sge"), "must be seconds or hours:minutes:seconds, as sge writes it"),
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
    for name, cause in (("none.toml", "no such file$"), (".", "Is a directory"), ("bytes", "decode")):
        with pytest.raises(UsageError, match=rf"^cluster file {tmp_path / name}: [^\[]*{cause}"):
            read_job_queue(str(tmp_path / name))


@pytest.mark.parametrize(
    ("system", "walltime"),
    [("slurm", "90"), ("slurm", "2-12"), ("slurm", "3-00:00:00"), ("slurm", "08:00:00"), ("pbs", "3600"),
     ("pbs", "48:00:00"), ("sge", "3600"), ("sge", "48:00:00"), ("lsf", "90"), ("lsf", "8:00")],
)  # fmt: skip
def test_time_limits(system: str, walltime: str) -> None:
    """Each system's ways to write one are accepted."""
    assert JobQueue(system, "1GB", walltime).walltime == walltime  # type: ignore[arg-type]


@given(st.floats(1, 1e6).map(lambda number: f"{number:.3f}"), st.sampled_from(["kMGT", "KmgT"]), st.booleans())
def test_sizes_are_those_of_dask(number: str, units: str, has_space: bool) -> None:
    """A size is as many bytes as Dask reads in it."""
    for unit in units:
        for ending in ("", "B", "i", "iB"):
            size = f"{number}{' ' * has_space}{unit}{ending}"
            assert bytes_of(size) == parse_bytes(size)


def test_a_working_directory_with_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot hold the certificates, which Dask names in a line of shell; without TLS it is not asked for."""
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    with pytest.raises(UsageError, match=r"shared = '.*a b': must be .*; by default it is the working directory"):
        read_job_queue(write(tmp_path, GOOD))
    assert not read_job_queue(write(tmp_path, f"{GOOD}tls = false")).tls


def options(folder: Path, text: str = GOOD) -> JobOptions:
    """The options of a file, whose certificates are in its folder."""
    file = write(folder, f"{text}shared = {str(folder)!r}\n")
    return read_job_queue(file).options(file)


def test_without_the_extra_or_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install, or which program is not on this machine."""
    jobs = options(tmp_path, GOOD.replace("slurm", "lsf"))
    monkeypatch.setattr(clients, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'curation\[jobqueue\]'"), open_cluster(jobs=jobs):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UsageError, match=r"cluster.toml: .*the program bsub is not inst"), open_cluster(jobs=jobs):
        pass


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put programs for a batch system first on the path: an `sbatch` of these lines, `scancel` and `squeue`."""
    queue = f"for file in {folder}/*.pid; do echo $(basename $file .pid) RUNNING None; done"
    for name, lines in (("sbatch", script), ("scancel", f"kill $(cat {folder}/$1.pid)"), ("squeue", queue)):
        path = folder / name
        path.write_text(f"#!/bin/bash\n{lines}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


QSTAT = """
server.example:
                                                            Req'd  Req'd   Elap
Job ID          Username Queue    Jobname    SessID NDS TSK Memory Time  S Time
--------------- -------- -------- ---------- ------ --- --- ------ ----- - -----
71.server       us       workq    dask-worke    --    1   4    8gb 00:20 Q   --
72.long-server* us       workq    dask-worke   4711   1   4    8gb 00:20 R 00:01
73.server       us       workq    dask-worke    --    1   4    --  00:20 H   --
   held by its owner
74.server       us       workq    dask-worke   4712   1   4    8gb 00:20 C   --
"""
GRID_ENGINE = f"""job-ID  prior   name       user         state submit/start at     queue                 slots
{"-" * 100}
     71 0.00000 dask-worke us           qw    11/28/2026 10:42:52                           4
     72 0.55500 dask-worke us           r     11/28/2026 10:42:55 all.q@node01              4
     73 0.55500 dask-worke us           Eqw   11/28/2026 10:42:55                           4
"""


@pytest.mark.parametrize(
    ("system", "printed", "reasons"),
    [
        ("slurm", "71 PENDING None\n72 RUNNING None\n73 PENDING Nodes required for job are DOWN\n74 COMPLETING None\n",
         ("PENDING", "", "Nodes required for job are DOWN", "")),
        ("pbs", QSTAT, ("Q", "", "H")),
        ("sge", GRID_ENGINE, ("qw", "", "Eqw")),
        ("lsf", "71 PEND\n72 RUN\n73 PSUSP\n74 SSUSP\n75 EXIT\n", ("PEND", "", "PSUSP", "")),
    ],
)  # fmt: skip
def test_lists_of_jobs(system: str, printed: str, reasons: tuple[str, ...]) -> None:
    """Of each system's list, the jobs that have not ended are read, and why they have not started."""
    jobs = job_list.JOB_LISTS[system].parse(printed)
    assert jobs == {str(number): reason for number, reason in enumerate(reasons, start=71)}


@pytest.mark.parametrize(
    ("system", "program", "lines", "jobs"),
    [
        ("lsf", "bjobs", "echo No unfinished job found >&2; exit 255", {}),
        ("lsf", "bjobs", "echo Failed in an LSF library call >&2; exit 255", None),
        ("pbs", "qstat", 'echo "$2" > $(dirname $0)/user', {}),
        ("slurm", "squeue", "exec sleep 60", None),
        ("slurm", "squeue", "printf '7 PENDING \\xff'", {"7": "\ufffd"}),
    ],
)
def test_what_a_list_of_jobs_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, program: str, lines: str, jobs: dict[str, str] | None
) -> None:
    """No job is no error, and a system that does not answer has no list."""
    monkeypatch.setattr(job_list, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(getpass, "getuser", lambda: "us")
    (tmp_path / program).write_text(f"#!/bin/bash\n{lines}\n")
    (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert asyncio.run(job_list.list_jobs(system)) == jobs
    assert program != "qstat" or (tmp_path / "user").read_text() == "us\n"


def test_a_job_of_several_workers_that_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dropped, so that another is submitted; those with a worker or in the queue stay."""

    class FakeJob:
        def __init__(self, job_id: str) -> None:
            self.job_id, self.has_worker, self.missing, self.is_closed = job_id, False, 0, False

        async def close(self) -> None:
            self.is_closed = True

    async def list_jobs(system: str) -> dict[str, str]:
        return {"3": "Priority"}

    said: list[str] = []
    monkeypatch.setattr(job_list, "list_jobs", list_jobs)
    kind = clients._demand_class(
        options(tmp_path), lambda: 3, {}, lambda cause, is_final: said.append(cause), said.append
    )
    jobs = {"a": FakeJob("1"), "b": FakeJob("2"), "c": FakeJob("3")}
    ended, kept, waiting = jobs.values()

    async def look() -> None:
        demand = kind.__new__(kind)
        demand.state = "inactive"
        demand.cluster = SimpleNamespace(workers=jobs, observed={"a-0", "a-1", "b-0"}, _futures=set())
        await demand._look()
        demand.cluster.observed = {"b-1"}
        for _ in range(clients.LOOKS):
            assert [*jobs.values()] == [ended, kept, waiting]
            await demand._look()
        await asyncio.gather(*demand.cluster._futures)

    asyncio.run(look())
    assert [*jobs.values()] == [kept, waiting]
    assert (ended.is_closed, kept.is_closed, waiting.is_closed) == (True, False, False)
    assert {*said} == {"job 3 is in the queue (Priority)"}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'sbatch: error: invalid partition: cpu' >&2; echo 'sbatch: error: no job' >&2; exit 1",
         "sbatch: error: invalid partition: cpu; error: no job"),
        ("exit 3", "sbatch: it exits with code 3 and no message"),
        ("echo welcome", "sbatch: Could not parse job id .* welcome "),
        ("exec sleep 60", "sbatch: no answer in 1 seconds"),
        ("echo Submitted batch job 7",
         r"job 7 was cancelled, or ended before it had a worker; there is no output of it in /.*"),
        ("cd $(dirname $0); echo why > job-7.err; touch job-7.out job-77.err a-7; echo Submitted batch job 7",
         r"job 7 ended before it had a worker; .*/job-7.err says why"),
    ],
)  # fmt: skip
def test_jobs_that_all_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    """The run ends at once with what the batch system printed; so it does if jobs end at once."""
    monkeypatch.setattr(job_list, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(clients, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(clients, "REFUSED_SECONDS", 600.0)  # the run does not wait for another try
    install(tmp_path, monkeypatch, script)
    began = time.monotonic()
    with (
        open_cluster(jobs=options(tmp_path, f"{GOOD}maximum = 3\nlogs = {str(tmp_path)!r}\n")) as cluster,
        pytest.raises(StepFailed, match=rf"^cluster file .*/cluster.toml: {message}$"),
    ):
        cluster.gather(work, ["a"])
    assert time.monotonic() - began < 60
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".curate-")]


def test_jobs_that_wait_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run waits for them however long, and says why they have not started; it ends once they are gone."""
    monkeypatch.setattr(clients, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(clients, "ADAPT_SECONDS", 0.1)
    monkeypatch.setattr(dispatch, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(dispatch, "WAITING_SECONDS", 1.0)
    monkeypatch.setattr(dispatch, "WORKERLESS_SECONDS", 1.0)
    install(tmp_path, monkeypatch, "echo Submitted batch job 7")
    queue = tmp_path / "squeue"
    queue.write_text("#!/bin/bash\necho 7 PENDING ReqNodeNotAvail\n")
    said: list[str] = []

    def warned(line: str, **fields: object) -> None:
        said.append(line)
        if len(said) == 3:
            queue.write_text("#!/bin/bash\n")

    with (
        open_cluster(jobs=options(tmp_path, f"{GOOD}tls = false\n"), warned=warned) as cluster,
        pytest.raises(StepFailed, match=r"job 7 was cancelled|no worker for 1 seconds"),
    ):
        cluster.gather(work, ["a"])
    assert re.fullmatch(r"no worker for \d s; job 7 is in the queue \(ReqNodeNotAvail\)", said[2])


def test_the_end_while_jobs_are_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the jobs that are being cancelled because they ended early."""
    monkeypatch.setattr(clients, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(clients, "ADAPT_SECONDS", 0.1)
    monkeypatch.setattr(clients, "EARLY_ENDS", 1000)
    install(tmp_path, monkeypatch, "echo Submitted batch job 7")
    (tmp_path / "scancel").write_text(f"#!/bin/bash\ntouch {tmp_path}/begun\nsleep 2\n")
    with open_cluster(jobs=options(tmp_path, f"{GOOD}minimum = 1\nmaximum = 1\n")) as cluster:
        until = time.monotonic() + 60
        while cluster.workers or not (tmp_path / "begun").exists():
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_later_job_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a job was accepted, a refusal is a warning, and the job is submitted again."""
    monkeypatch.setattr(clients, "REFUSED_SECONDS", 1.0)
    monkeypatch.setattr(clients, "ADAPT_SECONDS", 0.2)
    monkeypatch.setenv("PYTHONPATH", f"{SUPPORT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    lines = [
        f"cd {tmp_path}; for n in 1 2 3; do mkdir $n 2> /dev/null && break; done",
        "[ $n = 2 ] && { sleep 1; echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1; }",
        'cp $1 $n.sh; setsid bash $n.sh > $n.log 2>&1 & echo $! > $n.pid; echo "Submitted batch job $n"',
    ]
    install(tmp_path, monkeypatch, "\n".join(lines))
    said: list[str] = []
    text = f"{GOOD}minimum = 2\nmaximum = 2\n"
    with open_cluster(jobs=options(tmp_path, text), warned=lambda line, **fields: said.append(line)) as cluster:
        until = time.monotonic() + 180
        while cluster.workers < 2:
            assert time.monotonic() < until, [path.read_text() for path in tmp_path.glob("*.log")]
            time.sleep(0.1)
        assert cluster.gather(work, ["a", "b"]) == ["A", "B"]
    assert said == [
        f"cluster file {tmp_path}/cluster.toml: sbatch: error: QOSMaxSubmitJobPerUserLimit; it will be submitted again"
    ]
