"""The samples: the archive is reproducible, and every stage of the demo run has something to do."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import command
from rich.console import Console
from source_files import ROOT

from curation.jobs.steps.report.report import funnel

ONLY_TESTS = (
    "datasets",
    "duckdb",
    "fastwarc",
    "hypothesis",
    "pandas",
    "playwright",
    "polars",
    "pytest",
    "transformers",
)
"""Packages that only tests install."""
SAMPLES = ROOT / "samples"


def test_the_script_reproduces_the_archive(tmp_path: Path) -> None:
    """Building from the page files gives exactly the committed archive, of less than half a megabyte."""
    shutil.copytree(SAMPLES, tmp_path / "samples")
    (tmp_path / "samples" / "web.warc.gz").unlink()
    subprocess.run([sys.executable, str(tmp_path / "samples" / "build.py")], check=True, capture_output=True)
    built = (tmp_path / "samples" / "web.warc.gz").read_bytes()
    assert built == (SAMPLES / "web.warc.gz").read_bytes()
    assert len(built) < 500_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A run of the archive, in a process without the packages that only tests install."""
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({ONLY_TESTS})); from curation.jobs.cli.main import main; main()"
    )
    words = ("run", SAMPLES / "web.warc.gz", "--out", tmp_path_factory.mktemp("demo"), "--workers", "0", "--json")
    words = command(*words, settings=("tokenizer.vocab_size=2048", "tokens.sequence_length=512"))[3:]
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)


def test_the_main_job_needs_no_test_dependencies(demo: subprocess.CompletedProcess[str]) -> None:
    """All steps run without the packages that only tests install, such as pandas."""
    assert demo.returncode == 1, demo.stderr  # two records are damaged on purpose
    assert "Traceback" not in demo.stderr


def test_every_stage_does_something(demo: subprocess.CompletedProcess[str]) -> None:
    """Each stage removes or edits at least one page, damage costs only its record, and a corpus remains."""
    stats = json.loads(demo.stdout)
    for name, tally in stats["stages"].items():
        if name == "pii":
            assert len(tally["counts"]) >= 3
        else:
            assert tally["documents_out"] < tally["documents_in"], name
    assert stats["stages"]["pii"]["documents_out"] >= 140
    assert stats["read"]["skipped.damaged_gzip"] == 1
    assert stats["read"]["skipped.type.json"] == 1
    assert stats["read"]["pages.html"] == 257


def test_the_picture_in_the_readme_shows_the_demo(demo: subprocess.CompletedProcess[str]) -> None:
    """docs/funnel.svg has the numbers and names of the funnel of the demo run."""
    console = Console(record=True, width=138, file=io.StringIO())
    console.print(funnel(json.loads(demo.stdout)), markup=False)
    made, stored = (
        "".join(re.findall(r"<text[^>]*>(.*?)</text>", picture)).replace("&#160;", "")
        for picture in (console.export_svg(title="curate report demo"), (ROOT / "docs" / "funnel.svg").read_text())
    )
    assert made == stored
