"""What commands print at 80 and 120 columns, with and without colors, compared with the stored transcripts.

After an intended change, `CURATION_WRITE_OUTPUT=1` writes the transcripts again; read their diff.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from planted import run, write_crawl
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.report.tables import NARROW, FittedTable, units
from curation.report.terminal import SafeConsole

STORED = Path(__file__).parent / "output"

COMMANDS = (
    ("run", "--out", "out", "--workers", "0"),
    ("report", "out", "--all"),
    ("explain", "out", "https://b.org/thin", "--text"),
    ("explain", "out", "https://b.org/edited", "--text"),
    ("samples", "out"),
    ("samples", "out", "--reason", "kept", "--limit", "1"),
    ("what-if", "out"),
    ("what-if", "out", "--set", "gopher_quality.min_words=1"),
    ("what-if", "out", "--sweep", "gopher_quality.min_words=50:350:100"),
    ("compare", "out", "out"),
    ("tokenizer-report", "out"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of a small crawl in `out`."""
    folder = tmp_path_factory.mktemp("output")
    run(write_crawl(folder / "crawl"), folder / "out")
    return folder


@pytest.mark.parametrize("color", [False, True], ids=["plain", "color"])
@pytest.mark.parametrize("width", [80, 120])
def test_the_output_is_as_stored(folder: Path, width: int, color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command prints what is stored, and no line of a table is wider than the terminal."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "" if color else "1")
    monkeypatch.delenv("COLORTERM", raising=False)
    parts = []
    for words in COMMANDS:
        shown = io.StringIO()
        for module in ("curation.jobs.steps.progress", "curation.jobs.steps.run"):
            monkeypatch.setattr(f"{module}.results", lambda shown=shown: SafeConsole(shown, width=width))
        done = CliRunner().invoke(app, [*words])
        assert done.exit_code == 0, done.output
        text = re.sub(r"\b([ab])-[0-9a-f]{10}\b", r"\1-0123456789", shown.getvalue().replace(str(folder), "/FOLDER"))
        lines = [line.rstrip() for line in text.splitlines()]
        parts.append("\n".join([f"$ curate {' '.join(words)}", *lines]))
    text = "\n\n".join(parts) + "\n"
    assert ("\x1b[" in text) == color
    assert "…" not in re.sub(r"\[… [\d,]+ characters …\]", "", text)
    path = STORED / f"{width}-{'color' if color else 'plain'}.txt"
    if os.environ.get("CURATION_WRITE_OUTPUT"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def printed(table: FittedTable, width: int) -> list[str]:
    """The lines of a table at a width."""
    shown = io.StringIO()
    SafeConsole(shown, width=width).print(table)
    return [line.rstrip() for line in shown.getvalue().splitlines()]


def example(**options: object) -> FittedTable:
    table = FittedTable("stage", "documents in", "out", "because", left=(0, 3), **options)  # type: ignore[arg-type]
    table.add_row("gopher_repetition", "1,234,567,890", "123", units("max_dup_line_characters 1,234,567", "empty 2"))
    table.add_row("c4", "123", "1", units())
    return table


@pytest.mark.parametrize("width", range(20, 200, 3))
def test_no_width_loses_anything(width: int) -> None:
    """Whatever the width, no line is wider and every character of a name, a number and a reason is there."""
    lines = printed(example(), width)
    assert max(map(len, lines)) <= width
    text = "".join(sorted("".join(lines)))
    for letter in set("gopher_repetition1,234,567,890max_dup_line_characters"):
        assert text.count(letter) >= sum(map(str(example_text()).count, letter))


def example_text() -> str:
    return "gopher_repetition 1,234,567,890 123 max_dup_line_characters 1,234,567 empty 2 c4 123 1"


def test_optional_columns_are_left_out_on_narrow_terminals() -> None:
    """Below NARROW columns, optional columns are left out."""
    assert "documents in" in printed(example(optional=(1,)), NARROW)[1]
    assert printed(example(optional=(1,)), NARROW - 1)[0].split() == ["stage", "out", "because"]


def test_groups_are_lines_of_their_own_on_narrow_terminals() -> None:
    """The first column becomes a line above its rows, which are indented."""
    lines = printed(example(grouped=True), 70)
    assert lines[0].split() == ["documents", "in", "out", "because"]
    assert lines[2] == "gopher_repetition"
    assert lines[3].split()[0] == "1,234,567,890"
    assert lines[3].startswith("  ")


def test_units_are_not_broken() -> None:
    """A reason and its number stay in one line."""
    table = FittedTable("stage", "because", left=(0, 1))
    table.add_row("c4", units(*(f"reason_{number} {number}" for number in range(9))))
    lines = printed(table, 40)
    assert sum(len(re.findall(r"reason_(\d) \1", line)) for line in lines) == 9
