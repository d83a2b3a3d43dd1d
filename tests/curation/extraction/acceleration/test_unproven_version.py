"""A version of trafilatura that is not proven is used unchanged, with one warning per run and a record in run.json."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from processes import curate_process

from curation.extraction.acceleration import patches
from curation.jobs.steps.acceleration import warn_about_slow_extraction
from curation.jobs.steps.progress import Progress
from curation.recipes.recipe import load
from curation.running.cluster import Cluster

ROOT = Path(__file__).resolve().parents[4]
TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
SAMPLE = ROOT / "samples" / "web.warc.gz"
SAMPLE_BYTES = 60_000
"""Bytes that are read of it: some fifty pages, the last of which is cut off."""
UNPROVEN = "99.1"

MESSAGE = (
    f"trafilatura {UNPROVEN} runs without acceleration, which is proven for {', '.join(patches.PROVEN)} only: "
    f"extraction takes about twice the time per page. For full speed: pip install trafilatura=={patches.PROVEN[-1]}"
)


@pytest.fixture
def unproven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes started from here on treat the installed trafilatura as a version that is not proven."""
    metadata = tmp_path / "path" / f"trafilatura-{UNPROVEN}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: trafilatura\nVersion: {UNPROVEN}\n")
    monkeypatch.setenv("PYTHONPATH", f"{metadata.parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@pytest.fixture(scope="module", autouse=True)
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The beginning of the sample is what `filtered` reads."""
    folder = tmp_path_factory.mktemp("crawl")
    (folder / SAMPLE.name).write_bytes(SAMPLE.read_bytes()[:SAMPLE_BYTES])
    with chdir(folder):
        yield


def filtered(out: Path, *options: str, settings: tuple[str, ...] = ()) -> tuple[list[str], dict[str, Any]]:
    """The lines on stderr of `curate filter` on the sample, but for the one about damage, and run.json."""
    done = curate_process("filter", SAMPLE.name, "--out", out, *options, settings=settings)
    assert done.returncode == 1, done.stderr  # a record is cut off
    lines = [TIME.sub("", line) for line in done.stderr.splitlines() if " lost " not in line]
    return lines, json.loads((out / "run.json").read_text())


@pytest.fixture(scope="module")
def proven_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], dict[str, Any]]:
    """A run with the installed version: its folder, its lines on stderr, and run.json."""
    out = tmp_path_factory.mktemp("proven") / "out"
    return (out, *filtered(out, "--workers", "1"))


def test_a_run_with_a_proven_version_does_not_warn(proven_run: tuple[Path, list[str], dict[str, Any]]) -> None:
    """There are only two lines of progress, and run.json says that extraction is accelerated."""
    _, lines, run = proven_run
    assert [line.split(",")[0] for line in lines] == ["1 worker", "filter: 1 shard made"]
    assert run["accelerated"] == {"trafilatura": True}


@pytest.mark.usefixtures("unproven")
def test_a_run_with_an_unproven_version_warns_once(
    tmp_path: Path, proven_run: tuple[Path, list[str], dict[str, Any]]
) -> None:
    """There is one line on stderr for any number of workers, run.json says it, and documents are those of the library.

    If all is done already, nothing is extracted and there is no warning.
    """
    out = tmp_path / "out"
    lines, run = filtered(out, "--workers", "2")
    assert [line for line in lines if "trafilatura" in line] == [f"warning: {MESSAGE}"]
    assert len(lines) == 3
    assert run["versions"]["trafilatura"] == UNPROVEN
    assert run["accelerated"] == {"trafilatura": False}
    (ours,), (plain,) = (sorted((folder / "documents").iterdir()) for folder in (proven_run[0], out))
    assert pq.read_table(ours) == pq.read_table(plain)
    again, _ = filtered(out, "--workers", "2")
    assert not [line for line in again if "trafilatura" in line]


@pytest.mark.usefixtures("unproven")
def test_json_progress_has_the_warning(tmp_path: Path) -> None:
    """With --json the warning is one event among the others, and each line is JSON."""
    lines, _ = filtered(tmp_path / "out", "--json", "--workers", "0")
    events = [json.loads(line) for line in lines if "trafilatura" in line]
    assert [event | {"time": ""} for event in events] == [{"time": "", "event": "warning", "message": MESSAGE}]


@pytest.mark.usefixtures("unproven")
def test_a_recipe_without_trafilatura_has_no_warning(tmp_path: Path) -> None:
    """With another extractor there is no warning, and run.json does not mention acceleration."""
    lines, run = filtered(tmp_path / "out", "--workers", "0", settings=("extract.extractor=resiliparse",))
    assert not [line for line in lines if "trafilatura" in line]
    assert run["accelerated"] == {}


@pytest.mark.usefixtures("unproven")
def test_explaining_a_page_does_not_warn(proven_run: tuple[Path, list[str], dict[str, Any]]) -> None:
    """`curate explain` extracts only one page again, for which speed does not matter, so it does not warn."""
    (documents,) = (proven_run[0] / "documents").iterdir()
    done = curate_process("explain", proven_run[0], pq.read_table(documents)["id"][0].as_py(), settings=())
    assert done.returncode == 0, done.stderr
    assert "no_text" in done.stdout
    assert done.stderr == ""


def test_the_versions_of_the_workers_decide(capsys: pytest.CaptureFixture[str]) -> None:
    """The versions on the workers decide, not the driver's: one line for each version found there."""

    class Workers(Cluster):
        def everywhere(self, function: Any) -> list[Any]:
            return ["two is slow", None, "one is slow", "two is slow"]

    warn_about_slow_extraction(load("fineweb"), Workers(), Progress("plain"))
    lines = [TIME.sub("", line) for line in capsys.readouterr().err.splitlines()]
    assert lines == ["warning: one is slow", "warning: two is slow"]


PROGRAMS = {
    "the extractor": (
        "from lxml.etree import XPath\n"
        "from trafilatura import xpaths\n"
        "from curation.extraction.extractors import trafilatura\n"
        "trafilatura('precision', fast=False)\n"
        "trafilatura('recall', fast=False)\n"
        "assert isinstance(xpaths.BODY_XPATH[0], XPath)\n"
    ),
    "the stage": (
        "import pyarrow as pa\n"
        "from curation.extraction.extract import Extract\n"
        "from curation.stages.batch import Batch\n"
        "rows = pa.RecordBatch.from_pydict({'html': ['<p>a</p>'], 'text': pa.nulls(1, pa.string())})\n"
        "Extract()(Batch(rows))\n"
        "Extract()(Batch(rows))\n"
    ),
}


@pytest.mark.usefixtures("unproven")
@pytest.mark.parametrize("called", PROGRAMS)
def test_python_programs_are_warned_once(called: str) -> None:
    """Called from Python outside of a run, extraction by the unchanged library warns once per process."""
    done = subprocess.run([sys.executable, "-c", PROGRAMS[called]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"NotAccelerated: {MESSAGE}\n") == 1
    assert done.stderr.count("NotAccelerated") == 1
