"""The project's own Python files and their modules, for tests that cover all of them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("curation", "filters", "tokenize", "jobs")
LINKS = ("filters", "tokenize", "jobs")


def sources() -> list[Path]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in files if not any((ROOT / "curation" / link) in path.parents for link in LINKS))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "curation" else ("curation", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
