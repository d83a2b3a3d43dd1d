"""Every `>>>` example in the sources and in the docs gives the output shown."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest
from source_files import ROOT, module_of, sources

NEEDS_TORCH = {"curation.tokenize.loading.torch_dataset"}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def examples_in(path: Path) -> int:
    return sum(line.lstrip().startswith(">>> ") for line in path.read_text(encoding="utf-8").splitlines())


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", filter(examples_in, sources()), ids=relative)
def test_examples_of_a_module(path: Path) -> None:
    """Each example in the docstrings of a module gives the output shown, and none is skipped."""
    if module_of(path) in NEEDS_TORCH:
        pytest.importorskip("torch")
    found = doctest.testmod(importlib.import_module(module_of(path)))
    assert found == (0, examples_in(path))


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_examples_of_a_page(path: Path) -> None:
    """Each example on a page of the docs gives the output shown."""
    assert doctest.testfile(str(path), module_relative=False, encoding="utf-8") == (0, examples_in(path))


def test_there_are_examples() -> None:
    """Examples are found; otherwise the tests above would pass without checking anything."""
    assert sum(map(examples_in, sources())) > 10
