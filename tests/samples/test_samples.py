"""The samples: the archive is reproducible, and every stage of the demo run has something to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def test_the_script_reproduces_the_archive(tmp_path: Path) -> None:
    """Building from the page files gives exactly the committed archive, of less than half a megabyte."""
    shutil.copytree(SAMPLES, tmp_path / "samples")
    (tmp_path / "samples" / "web.warc.gz").unlink()
    subprocess.run([sys.executable, str(tmp_path / "samples" / "build.py")], check=True, capture_output=True)
    built = (tmp_path / "samples" / "web.warc.gz").read_bytes()
    assert built == (SAMPLES / "web.warc.gz").read_bytes()
    assert len(built) < 500_000


def test_every_stage_does_something(tmp_path: Path) -> None:
    """Each stage removes or edits at least one page, damage costs only its record, and a corpus remains."""
    command = [
        sys.executable,
        "-m",
        "curation.jobs.cli",
        "run",
        str(SAMPLES / "web.warc.gz"),
        "--out",
        str(tmp_path / "out"),
    ]
    settings = ["--workers", "0", "--json", "--set", "tokenizer.vocab_size=2048", "--set", "tokens.sequence_length=512"]
    done = subprocess.run([*command, *settings], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr  # some bytes are lost
    stats = json.loads(done.stdout)
    for name, tally in stats["stages"].items():
        if name == "pii":
            assert len(tally["counts"]) >= 3
        else:
            assert tally["documents_out"] < tally["documents_in"], name
    assert stats["stages"]["pii"]["documents_out"] >= 140
    assert stats["read"]["skipped.damaged_gzip"] == 1
    assert stats["read"]["skipped.type.json"] == 1
    assert stats["read"]["pages.html"] == 257
