"""A filter of one's own, in a file beside the recipe: later commands find it, and its errors are shown as such."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import page, prose, response, write_archive
from processes import curate, curate_process

URL = "https://a.org/3"

FILTER = """
from typing import ClassVar
from dataclasses import dataclass
import pyarrow as pa
import pyarrow.compute as pc
from curation import Batch, Filter, Rule, struct

@dataclass(frozen=True)
class Exclaims(Filter):
    version: ClassVar[int] = 1

    @property
    def rules(self):
        return (Rule("marks", ">", 100, "exclaims"),)

    def measure(self, batch: Batch) -> pa.StructArray:
        return struct(marks=pc.count_substring(batch.text, "!"{broken}))
"""


def write(folder: Path, name: str, broken: str = "") -> tuple[Path, Path]:
    """Write an archive, and a recipe with a filter in a module of this name beside it."""
    archive = folder / "a.warc.gz"
    write_archive(archive, [response(f"https://a.org/{seed}", page("good", *prose(seed))) for seed in range(8)])
    (folder / f"{name}.py").write_text(FILTER.replace("{broken}", broken))
    recipe = folder / "mine.toml"
    recipe.write_text(f'extends = "fineweb"\n[[stage]]\nuse = "{name}:Exclaims"\nafter = "c4"\n')
    return archive, recipe


def test_later_commands_find_the_code(tmp_path: Path) -> None:
    """Trusted commands that know only the run import the filter from its folder; others say what they cannot do."""
    archive, recipe = write(tmp_path, "exclaims_found")
    out = tmp_path / "out"
    settings = ("extract.extractor=resiliparse",)
    done = curate("filter", archive, "--out", out, "--recipe", recipe, "--workers", "0", settings=settings)
    assert done.returncode == 0, done.stderr
    shown = curate_process("explain", out, URL, "--trust-code", settings=())
    assert "marks" in shown.stdout, shown.stderr
    assert "archive cannot be read" not in shown.stdout
    assert curate_process("dedup", "--out", out, "--workers", "0", "--trust-code", settings=()).returncode == 0
    stored = curate_process("explain", out, URL, settings=())
    assert "with --trust-code, code that is not built in is run (exclaims_found)" in stored.stdout


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_error_in_it_names_its_place(tmp_path: Path, workers: str) -> None:
    """The cause of the quarantine says in which file, line and function it was raised."""
    archive, recipe = write(tmp_path, f"exclaims_broken_{workers}", " * (1 // 0)")
    out = tmp_path / "out"
    settings = ("extract.extractor=resiliparse",)
    done = curate("filter", archive, "--out", out, "--recipe", recipe, "--workers", workers, settings=settings)
    assert done.returncode == 1
    assert (
        f"ZeroDivisionError: integer division or modulo by zero (exclaims_broken_{workers}.py, line 17, in measure)"
        in (done.stderr)
    )
