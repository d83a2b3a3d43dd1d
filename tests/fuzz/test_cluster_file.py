"""Fuzzes the files that describe a job queue."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing import fuzz

from curation.errors import UsageError
from curation.jobs.steps import job_queue
from curation.jobs.steps.job_queue import JobQueue, read_job_queue

SEEDS = [
    b'system = "slurm"\nmemory = "64GB"\nwalltime = "2-00:00:00"\nqueue = "long"\naccount = "nlp"\ncores = 8\n'
    b'minimum = 0\nmaximum = 20\ndirectives = ["--qos=low"]\nprologue = ["source venv/bin/activate"]\n',
    b'system = "pbs"\nmemory = "1.5 TiB"\nwalltime = "1:00:00"\ninterface = "lo"\nscratch = "/scratch"\ntls = false\n',
    b'system = "sge"\nmemory = "4g"\nwalltime = "3600"\nlogs = "~/logs"\nshared = "/home/a"\n',
    b'system = "lsf"\nmemory = "256MB"\nwalltime = "90"\n',
]
WORDS = [
    *(
        b'"',
        b"'",
        b"=",
        b"[",
        b"]",
        b"\n",
        b"#",
        b"true",
        b"-1",
        b"0",
        b"1e999",
        b"nan",
        b"0x" + b"f" * 5000,
        b"9" * 5000,
    ),
    *(b"GB", b"KiB", b"9999999999 TB", b":00", b"-", b"1979-05-27", b"[a]\n", b"cores = ", b"maximum = ", b"tls = "),
    *(
        b"\\u0000",
        b"\\n",
        b"\t",
        b"\xff",
        b"\0",
        "é".encode(),
        "٣".encode(),
        b"system = ",
        b"memory = ",
        b"walltime = ",
    ),
]


def read_or_refuse(path: Path) -> JobQueue | UsageError:
    try:
        return read_job_queue(str(path))
    except UsageError as error:
        return error


def test_any_file_is_a_job_queue_or_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any file describes a job queue, whose options are sound, or is an error of one line."""
    monkeypatch.setattr(job_queue, "_with_folders", lambda queue: queue)  # no folder is made
    path = tmp_path / "queue.toml"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        queue = read_or_refuse(path)
        if isinstance(queue, UsageError):
            assert str(queue).startswith("cluster file ")
            assert "\n" not in str(queue)
            return
        options = queue.options("queue.toml")
        assert options.minimum <= options.maximum
        lines = (*options.options["job_extra_directives"], *options.options["job_script_prologue"])
        assert not any("\n" in line for line in lines)

    fuzz(check, SEEDS, WORDS, max_bytes=1 << 14, seconds=1.5)
