"""notebooks/first_hour.ipynb runs from top to bottom, with the outputs that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_files import ROOT

from notebooks import ENVIRONMENT, outputs, stored

NOTEBOOK = ROOT / "notebooks" / "first_hour.ipynb"


def test_the_notebook_shows_what_it_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, each cell gives what is stored (python tests/support/notebooks.py stores it anew)."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    assert outputs(NOTEBOOK) == stored(NOTEBOOK)
