"""Memory for large blocks is used again."""

from __future__ import annotations

import gzip
import os
import platform
import random
import subprocess
import sys
from pathlib import Path

import pytest
from archives import response

PROGRAM = """
import resource, sys
from collections import Counter
from curation.archives.reader import ReadSettings, read_batches
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with open(sys.argv[1], "rb") as stream:
        for batch in read_batches(stream, "a.warc.gz", ReadSettings(), Counter()):
            pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(3)][-1])
"""

PAGES, BYTES = 100, 300_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="says how glibc behaves")
def test_an_archive_is_read_again_without_new_pages_of_memory(tmp_path: Path) -> None:
    """Contents and batches, of 60 MB in all, are written to memory that the process has."""
    chosen = random.Random(1)
    records = []
    for number in range(PAGES):
        words = b" ".join(b"%x" % chosen.getrandbits(24) for _ in range(chosen.randrange(BYTES // 8, BYTES // 2)))
        records.append(gzip.compress(response(f"https://a.org/{number}", f"<html><p>{words.decode()}"), 1))
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(records))
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", PROGRAM, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=plain)
    assert int(done.stdout) < 3000
