"""A filter of one's own, in a file beside the recipe: later commands find it, and its errors are shown as such."""

from __future__ import annotations

import json
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


def write_filter(folder: Path, name: str, broken: str = "") -> None:
    """Write a module with a filter."""
    (folder / f"{name}.py").write_text(FILTER.replace("{broken}", broken))


def write(folder: Path, name: str, broken: str = "") -> tuple[Path, Path]:
    """Write an archive, and a recipe with a filter in a module of this name beside it."""
    archive = folder / "a.warc.gz"
    write_archive(archive, [response(f"https://a.org/{seed}", page("good", *prose(seed))) for seed in range(8)])
    write_filter(folder, name, broken)
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
def test_an_error_in_it_stops_the_run(tmp_path: Path, workers: str) -> None:
    """A filter that raises is a fault of the code, not of inputs: one line says where, and nothing is quarantined."""
    name = f"exclaims_broken_{workers}"
    archive, recipe = write(tmp_path, name, " * (1 // 0)")
    other = tmp_path / "b.warc.gz"
    other.write_bytes(archive.read_bytes())
    out = tmp_path / "out"
    settings = ("extract.extractor=resiliparse",)
    command = ("filter", archive, other, "--out", out, "--recipe", recipe, "--workers", workers)
    stopped = curate(*command, settings=settings)
    assert stopped.returncode == 3
    last = stopped.stderr.splitlines()[-1]
    assert last.startswith(
        f"curate: filter: stage {name}: ZeroDivisionError: integer division or modulo by zero "
        f"({name}.py, line 17, in measure); 1 of 2 shards failed, first "
    )
    assert "Traceback" not in stopped.stderr
    assert "quarantined" not in stopped.stderr
    assert "made" not in stopped.stderr.partition("curate: filter:")[0]  # others may still be made when it stops
    assert json.loads((out / "run.json").read_text())["quarantined"] == []
    write_filter(tmp_path, name)
    assert curate_process(*command, settings=settings).returncode == 0


def test_an_error_on_one_document_costs_no_other_shard(tmp_path: Path) -> None:
    """Shards that are made are kept, the others are made first, and a corrected filter makes only what is missing."""
    odd = " if 'https://1.org/1' not in batch.column('url').to_pylist() else None.odd"
    archive, recipe = write(tmp_path, "exclaims_odd", odd)
    others = [tmp_path / f"{name}.warc.gz" for name in "bcd"]
    for number, other in enumerate(others):
        write_archive(other, [response(f"https://{number}.org/{n}", page("good", *prose(n))) for n in range(8)])
    out = tmp_path / "out"
    settings = ("extract.extractor=resiliparse",)
    command = ("filter", archive, *others, "--out", out, "--recipe", recipe, "--workers", "0")
    stopped = curate(*command, settings=settings)
    assert stopped.returncode == 3
    assert "AttributeError: 'NoneType' object has no attribute 'odd' (exclaims_odd.py, line 17" in stopped.stderr
    assert " for https://1.org/1; 1 of 4 shards failed, first c-" in stopped.stderr
    assert len([*(out / "documents").iterdir()]) == 3
    write_filter(tmp_path, "exclaims_odd")
    done = curate_process(*command, settings=settings)
    assert done.returncode == 0
    assert "filter: 1 of 4 shards made, 3 made before" in done.stderr


def test_an_error_in_its_rules_is_one_line(tmp_path: Path) -> None:
    """Rules are asked for before anything runs; an exception there has its place too."""
    archive, recipe = write(tmp_path, "exclaims_rules")
    module = tmp_path / "exclaims_rules.py"
    module.write_text(module.read_text().replace("100", "1 // 0"))
    done = curate("filter", archive, "--out", tmp_path / "out", "--recipe", recipe, "--workers", "0")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert (
        "stage exclaims_rules: ZeroDivisionError: integer division or modulo by zero (exclaims_rules.py" in done.stderr
    )
