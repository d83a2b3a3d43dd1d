"""Running a notebook without Jupyter, to test it and to refresh its outputs.

python tests/support/notebooks.py notebooks/first_hour.ipynb
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from curation.jobs.cli.main import app

ENVIRONMENT = {"CURATE_WORKERS": "0", "COLUMNS": "110"}
"""Everything in this process, for tables of a stated width."""

ROOT = Path(__file__).resolve().parents[2]


def outputs(path: Path) -> list[str]:
    """What each code cell of a notebook prints and shows, as plain text, run in order in the current folder.

    A line `!curate …` runs the command line, with `{name}` replaced by the variable, as in Jupyter.
    """
    names: dict[str, Any] = {"curate": curate}
    texts = [run("".join(cell["source"]), names) for cell in code_cells(json.loads(path.read_text()))]
    return [text.replace(f"{Path.cwd()}/", "/home/ann/curation/") for text in texts]


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def stored(path: Path) -> list[str]:
    """The outputs of each code cell that are stored in a notebook."""
    return [
        "".join(line for output in cell["outputs"] for line in output["text"])
        for cell in code_cells(json.loads(path.read_text()))
    ]


def run(text: str, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        tree = ast.parse(re.sub(r"^!curate (.*)$", r"curate(f'''\1''')", text, flags=re.MULTILINE))
        value = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), names)
        last = eval(compile(value, "cell", "eval"), names) if value else None
    return printed.getvalue() + ("" if last is None else repr(last))


def curate(words: str) -> None:
    """Run the command line in this process, and print what it prints."""
    done = CliRunner().invoke(app, shlex.split(words))
    assert done.exit_code in {0, 1}, f"{words}: {done.output} {done.exception!r}"
    print(done.output, end="")


def refresh(path: Path) -> None:
    """Run a notebook in an empty folder and store its outputs."""
    path, notebook = path.resolve(), json.loads(path.read_text())
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("samples").symlink_to(ROOT / "samples")
        texts = outputs(path)
    for number, (cell, text) in enumerate(zip(code_cells(notebook), texts, strict=True), 1):
        stream = {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}
        cell |= {"execution_count": number, "outputs": [stream] if text else []}
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    os.environ |= ENVIRONMENT
    refresh(Path(sys.argv[1]))
