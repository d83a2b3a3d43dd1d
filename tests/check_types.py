"""Run mypy and check that it saw every source file: a wrong layout passes on two files and says nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("curation", "filters", "tokenize", "jobs")


def source_files() -> list[Path]:
    """Every Python file of the package, by its real path."""
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if not _through_link(path))


def namespaces() -> list[Path]:
    """Folders without an __init__.py, which mypy counts as files of their own."""
    folders = [ROOT / folder for folder in FOLDERS]
    folders += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_dir()]
    real = [path for path in folders if not path.is_symlink() and not _through_link(path)]
    return [path for path in real if path.name != "__pycache__" and not (path / "__init__.py").exists()]


def _through_link(path: Path) -> bool:
    return any(parent.is_symlink() for parent in path.parents if parent != ROOT)


def main() -> int:
    """Exit code of mypy, or 1 if it checked fewer files than there are."""
    result = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    print(result.stdout + result.stderr, end="")
    found = re.search(r"(\d+) source files?", result.stdout)
    checked, expected = int(found[1]) if found else 0, len(source_files()) + len(namespaces())
    if checked != expected:
        print(f"mypy checked {checked} files of {expected}")
        return 1
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
