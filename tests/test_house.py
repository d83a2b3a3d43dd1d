"""The structure of the project: where code is, what may import what, and that the links work."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from source_files import LINKS, ROOT, module_of, sources

from curation.extraction.acceleration.patches import PROVEN
from curation.recipes.recipe import STAGES, TABLES, import_class

MAY_IMPORT = {
    "curation": {"curation"},
    "filters": {"curation", "filters"},
    "tokenize": {"curation", "tokenize"},
    "jobs": {"curation", "filters", "tokenize", "jobs"},
}


ORDER = {
    "curation": (
        "errors", "arrays", "running", "store", "text", "language", "stages", "recipes", "archives", "extraction",
        "dedup", "pii", "quality", "decontamination", "report",
    ),
    "tokenize": ("training", "encoding", "loading"),
    "jobs": ("steps", "inspect", "cli"),
}  # fmt: skip
"""From low to high: a folder or module imports only itself and what is before it."""


def imports_of(path: Path) -> set[str]:
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path == ROOT / "curation" / "__init__.py":  # names from all folders, for type checkers and lazy imports
        tree.body = [node for node in tree.body if ast.unparse(node).partition("\n")[0] != "if TYPE_CHECKING:"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LINKS else "curation"


@pytest.mark.parametrize("link", LINKS)
def test_links(link: str) -> None:
    """curation/<folder> is a relative link to the real folder next to curation/."""
    path = ROOT / "curation" / link
    assert path.is_symlink()
    assert path.readlink() == Path("..") / link


def test_tokenize_never_shadows_the_standard_library() -> None:
    """Python started at the root finds the standard library's tokenize."""
    assert not (ROOT / "tokenize" / "__init__.py").exists()
    program = "import tokenize, sysconfig; print(tokenize.__file__.startswith(sysconfig.get_path('stdlib')))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    """jobs → filters, tokenize → curation, and every import of the project's own modules begins with `curation.`."""
    allowed = MAY_IMPORT[part_of(module_of(path))]
    for module in imports_of(path):
        first = module.split(".")[0]
        assert first not in ("filters", "jobs"), f"{path} imports {module} without curation."
        if first == "curation":
            assert part_of(module) in allowed, f"{path} imports {module}"


def folder_of(module: str) -> tuple[str, str]:
    """The real folder of a module and its place in that folder's order: ("jobs", "steps"), ("curation", "text")."""
    parts = module.split(".")
    start = 2 if len(parts) > 1 and parts[1] in LINKS else 1
    return part_of(module), parts[start] if len(parts) > start else ""


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_folders_import_only_those_below_them(path: Path) -> None:
    """Within curation/, tokenize/ and jobs/ a folder imports only itself and what is before it in ORDER."""
    own, folder = folder_of(module_of(path))
    order = ORDER.get(own, ())
    if folder not in order:
        return
    for module in imports_of(path):
        other, target = folder_of(module)
        if other == own and target in order:
            assert order.index(target) <= order.index(folder), f"{path} imports {module}"


@pytest.mark.parametrize("folder", ORDER)
def test_every_folder_is_in_order_and_described(folder: str) -> None:
    """Every folder is in ORDER, and its __init__.py says what belongs there."""
    inside = {path.name for path in (ROOT / folder).iterdir() if path.is_dir() and any(path.glob("*.py"))} - {*LINKS}
    assert inside <= {*ORDER[folder]}
    for name in inside:
        assert len(ast.get_docstring(ast.parse((ROOT / folder / name / "__init__.py").read_text())) or "") > 80


def test_the_package_has_few_entries() -> None:
    """curation/ has at most 20 entries, so that a newcomer can grasp them at a glance."""
    assert len([path for path in (ROOT / "curation").iterdir() if path.name != "__pycache__"]) <= 20


def commands() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "jobs" / "inspect").glob("*/__init__.py"))


@pytest.mark.parametrize("command", commands())
def test_folders_of_commands_are_separate(command: str) -> None:
    """A command with several files has one with its own name, and imports no files of other commands."""
    folder = ROOT / "jobs" / "inspect" / command
    assert (folder / f"{command}.py").is_file()
    others = {f"curation.jobs.inspect.{other}" for other in commands() if other != command}
    for path in folder.rglob("*.py"):
        for module in imports_of(path):
            assert ".".join(module.split(".")[:4]) not in others, f"{path} imports {module}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_module_imports_dask(path: Path) -> None:
    """dask and distributed are imported only in curation/running/clients.py."""
    if module_of(path) != "curation.running.clients":
        assert not {name.split(".")[0] for name in imports_of(path)} & {"dask", "distributed"}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_source_imports(path: Path) -> None:
    """Every source file can be imported under curation; the one that needs PyTorch, if that is installed."""
    if module_of(path) == "curation.tokenize.loading.torch_dataset":
        pytest.importorskip("torch")
    assert importlib.import_module(module_of(path)).__name__ == module_of(path)


def distribution_names(requirements: list[str]) -> set[str]:
    names = (re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def test_what_is_imported_is_declared() -> None:
    """Every package that a source imports is a declared dependency, not one of a dependency or of the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = ("torch", "extractor", "fetch", "jobqueue", "languages", "cld2")
    optional = (each for name in names for each in extras[name])
    declared = distribution_names([*project["dependencies"], *optional])
    owners = importlib.metadata.packages_distributions()
    for path in sources():
        for name in {module.split(".")[0] for module in imports_of(path)} - {"curation", *sys.stdlib_module_names}:
            names = distribution_names(owners.get(name, [name]))
            assert names & declared, f"{path} imports {name}, which is not in pyproject.toml"


def test_versions_that_decide_results_are_pinned() -> None:
    """constraints.txt pins each library that a stage or table names, trafilatura at the latest proven version."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    classes = [import_class(path) for path in (*STAGES.values(), *TABLES.values())]
    needed = {library for kind in classes for library in getattr(kind, "libraries", ())}
    assert distribution_names([*needed]) <= distribution_names([*pins])
    assert pins["trafilatura"] == PROVEN[-1]


def test_importing_the_package_does_no_work() -> None:
    """Importing the command line loads no model, no Dask and no compiler, so help and usage errors are fast."""
    heavy = "{'dask', 'distributed', 'numba', 'spacy'}"
    program = f"import sys, curation.jobs.cli.main; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_class_names_are_unique() -> None:
    """No two modules define a class of one name, so that a name says which class is meant."""
    places: dict[str, list[str]] = {}
    for path in sources():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module_of(path))
    assert not {name: modules for name, modules in places.items() if len(modules) > 1}
