"""docs/python.md is correct: its code runs from top to bottom and gives the output shown."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import curation

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
SHOWN = "  # -> "


def run(source: str, names: dict[str, Any]) -> tuple[int, str]:
    """Run a block; returns the number of values compared with those shown, and the printed output."""
    lines, checked, printed = source.splitlines(), 0, io.StringIO()
    with contextlib.redirect_stdout(printed):
        for statement in ast.parse(source).body:
            _, shows, expected = lines[(statement.end_lineno or 0) - 1].partition(SHOWN)
            if shows:
                assert isinstance(statement, ast.Expr)
                value = eval(compile(ast.Expression(statement.value), "python.md", "eval"), names)
                assert repr(value) == expected
                checked += 1
            else:
                exec(compile(ast.Module([statement], []), "python.md", "exec"), names)
    return checked, printed.getvalue()


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks and commands, run in order in an empty folder, give the values and the output shown."""
    pytest.importorskip("dask.dataframe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    names: dict[str, Any] = {"__name__": "python_page"}
    monkeypatch.setitem(sys.modules, "python_page", type(sys)("python_page"))
    checked, printed = 0, ""
    for language, source in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        if language == "python":
            more, printed = run(source, names)
            checked += more
        elif language == "sh":
            subprocess.run([*source.split(), "--workers", "0"], check=True, capture_output=True)
        else:
            assert language == "text"
            assert printed == source
    assert checked == PAGE.count(SHOWN) > 20


def test_every_name_is_on_the_page() -> None:
    """The page mentions every export except result types, and imports nothing else from the package."""
    results = {"Recipe", "StageExplanation", "DetectedLanguage", "RedactedText", "__version__"}
    for name in set(curation.__all__) - results:
        assert re.search(rf"\b{name}\b", PAGE), name
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("curation"):
                assert node.module == "curation"
                assert {alias.name for alias in node.names} <= set(curation.__all__)
