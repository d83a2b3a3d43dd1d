"""Everything that code and docs refer to exists: files, folders, make targets, links, anchors, modules and names."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from source_files import ROOT, sources

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
OTHERS = [*sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "docs").glob("*.py"))]

PATH = re.compile(r"(?<![\w/.-])(?:\.ci|curation|docs|filters|jobs|samples|tests|tokenize)/[\w./*-]*(?P<open>[<{]?)")
"""A path that starts with one of the project's folders. Paths in a run (corpus/, manifests/, …) start differently."""
FILE = re.compile(r"(?<![\w/.*-])[\w-]+\.(?:py|md)\b")
"""The bare name of a file."""
MAKE = re.compile(r"(?:`make ([a-z-]+)|^    make ([a-z-]+)(?= *(?:$|#|&&|[A-Z]+=)))", re.MULTILINE)
"""A make target in backticks, or in an indented command line; not the verb in indented prose."""
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
NAME = re.compile(r"(?<![\w./])curation(?:\.[A-Za-z_]\w*)+(?::\w+)?")
QUOTED_NAME = re.compile(r"`(curation(?:\.[A-Za-z_]\w*)+)")
IMPORT = re.compile(r"^from (curation[\w.]*) import (\w+(?:, \w+)*)$", re.MULTILINE)

IN_EXAMPLES = {
    "filters/questions.py", "questions.py", "tests/filters/test_questions.py", "curation.filters.questions",
    "curation.filters.questions.Questions", "curation.filters.questions:Questions", "jobs/steps/sizes.py",
    "curation.jobs.steps.sizes:COLUMNS", "curation.jobs.steps.sizes:make", "curation.store.paths.SIZES",
}  # fmt: skip
"""Files and names that CONTRIBUTING.md shows how to create."""
OF_OTHER_PROJECTS = {
    "Encodings.md", "encoder.py", "gopher_repetition_filter.py", "sample.py", "thrift-compact-protocol.md", "train.py",
}  # fmt: skip
METADATA = {
    f"curation.{key}"
    for key in (
        "end_id", "fingerprint", "packing", "pad_id", "recipe", "repeats", "seed", "sequence_length", "sources",
        "split", "tail", "tokenizer", "vocabulary",
    )
}  # fmt: skip
"""Keys of Parquet metadata that look like modules."""

Citation = tuple[Path, str]
"""The file that contains the reference, and the reference."""


def cited(pattern: re.Pattern[str], files: list[Path]) -> Iterator[tuple[Path, re.Match[str]]]:
    for path in files:
        for match in pattern.finditer(path.read_text(encoding="utf-8")):
            yield path, match


def paths() -> Iterator[Citation]:
    for path, match in cited(PATH, [*PAGES, *sources(), *OTHERS]):
        yield path, match[0].removesuffix(match["open"]).rstrip(".")


def is_path(_: Path, name: str) -> bool:
    return next(ROOT.glob(name.rstrip("/")), None) is not None


def files() -> Iterator[Citation]:
    for path, match in cited(FILE, [*PAGES, *sources()]):
        yield path, match[0]


@functools.cache
def names_of_files() -> frozenset[str]:
    folders = ("curation", "docs", "filters", "jobs", "tests", "tokenize")
    below = (path.name for folder in folders for path in (ROOT / folder).rglob("*.*"))
    return frozenset({path.name for path in ROOT.iterdir()}.union(below))


def is_file(citing: Path, name: str) -> bool:
    """Code refers to a file next to it or at the root, a page to any file."""
    if name in OF_OTHER_PROJECTS:
        return True
    if citing.suffix == ".md":
        return name in names_of_files()
    return (citing.parent / name).exists() or (ROOT / name).exists()


def targets() -> Iterator[Citation]:
    for path, match in cited(MAKE, [*PAGES, *sources(), *OTHERS, ROOT / "Makefile"]):
        yield path, match[1] or match[2]


def is_target(_: Path, name: str) -> bool:
    return re.search(rf"^{name}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE) is not None


def links() -> Iterator[Citation]:
    for path, match in cited(LINK, PAGES):
        if "://" not in match[1]:
            yield path, match[1]


@functools.cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub generates for the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def is_link(citing: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    page = citing.parent / name if name else citing
    return page.exists() and (not anchor or anchor in anchors(page))


def names() -> Iterator[Citation]:
    for path, match in cited(NAME, PAGES):
        yield path, match[0]
    for path, match in cited(QUOTED_NAME, [*sources(), *OTHERS]):
        yield path, match[1]
    for path, match in cited(IMPORT, PAGES):
        for name in match[2].split(", "):
            yield path, f"{match[1]}.{name}"


def is_name(_: Path, name: str) -> bool:
    """Whether a name is a module or an attribute of one. A module is imported only to look up an attribute."""
    if name in METADATA or (name.endswith(".TokenDataset") and importlib.util.find_spec("torch") is None):
        return True
    parts = name.replace(":", ".").split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.util.find_spec(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue  # its parent is not a package
        if found is not None:
            break
    if length == len(parts):
        return True
    value = importlib.import_module(".".join(parts[:length]))
    for part in parts[length:]:
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True


@pytest.mark.parametrize(
    ("citations", "exists", "least"),
    [
        pytest.param(paths, is_path, 60, id="paths"),
        pytest.param(files, is_file, 20, id="files"),
        pytest.param(targets, is_target, 10, id="targets"),
        pytest.param(links, is_link, 20, id="links"),
        pytest.param(names, is_name, 30, id="names"),
    ],
)
def test_references_exist(
    citations: Callable[[], Iterator[Citation]], exists: Callable[[Path, str], bool], least: int
) -> None:
    """Everything that a docstring, comment, message or page refers to exists, and enough references were checked."""
    found = set(citations())
    assert len(found) >= least
    missing = {(str(path.relative_to(ROOT)), name) for path, name in found if not exists(path, name)}
    assert not {(path, name) for path, name in missing if name not in IN_EXAMPLES}
