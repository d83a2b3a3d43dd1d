"""docs/walkthrough.md works as written; docs/index.md leads to every page."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from source_files import ROOT
from typer.testing import CliRunner

from curation.jobs.cli.main import app

DOCS = ROOT / "docs"
FAILING = {"run": 1, "filter": 1}
"""Exit codes other than 0: samples/web.warc.gz has damaged records."""


def test_the_walkthrough_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command, the recipe, the filter and the loader work one after the other in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATE_WORKERS", "0")
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    printed = {}
    for language, text in re.findall(
        r"```(sh|toml|python)\n(.*?)```", (DOCS / "walkthrough.md").read_text(), re.DOTALL
    ):
        if language == "toml":
            (tmp_path / "mine.toml").write_text(text)
        elif "class Asking" in text:
            (tmp_path / "asking.py").write_text(text)
        elif language == "python":
            exec(compile(text, "walkthrough.md", "exec"), {})
        else:
            for line in text.splitlines():
                program, command, *words = shlex.split(line)
                assert program == "curate"
                done = CliRunner().invoke(app, [command, *words])
                assert done.exit_code == FAILING.get(command, 0), f"{line}: {done.output} {done.exception!r}"
                printed[line] = done.stdout
    sys.modules.pop("asking", None)
    text = "".join(printed.values())
    assert "body »{« margin" in text
    assert "asking" in printed["curate recipe diff fineweb mine.toml"]
    assert "complete and intact" in text
    assert (tmp_path / "tokens-for-nanogpt" / "train.json").exists()


def test_the_index_names_every_page() -> None:
    """Each page in docs/ is linked from docs/index.md, and the README leads there."""
    linked = set(re.findall(r"\]\(([\w.-]+)\)", (DOCS / "index.md").read_text()))
    assert {path.name for path in DOCS.glob("*.md")} - {"index.md"} <= linked
    assert "(docs/index.md)" in (ROOT / "README.md").read_text()
