"""Check whether a release of trafilatura gives the same texts when accelerated, and can be added to `PROVEN`.

Copies this checkout, lets the release count as proven in the copy, and installs both in a throw-away environment with
the other packages as in constraints.txt. Then compares the texts of all test pages with those of the plain library, and
the time. Needs the package index and the pages (CURATION_TEST_DATA).

    python tests/check_trafilatura.py            # the newest release; nothing to do if it is proven already
    python tests/check_trafilatura.py 2.2.0      # this one
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from conftest import ROOT, find_shared_data

from curation.extraction.acceleration.patches import PROVEN

PATCHES = Path("curation/extraction/acceleration/patches.py")
TESTS = Path("tests/curation/extraction/acceleration")
NOT_ABOUT_IT = TESTS / "test_unproven_version.py"
"""Tests of what happens without acceleration, which are the same for every release."""

NOT_COPIED = (".git", ".venv*", "*cache*", "*.egg-info", "demo", "build", "dist")

WORTHWHILE = 1.5
"""Times as fast as the plain library at least, or the patches no longer reach what they are to replace."""

LINES_SHOWN = 12
"""Of each failed test."""

TIMING = """
import logging, sys, time
from pathlib import Path
from web_pages import web_pages
from curation.extraction import extractors
from curation.extraction.acceleration import patches

logging.disable(logging.CRITICAL)
if sys.argv[2] == "plain":
    patches.PROVEN = ("none",)
pages = [html for _, html in web_pages(Path(sys.argv[1]))[::15]]
extract = extractors.trafilatura("precision", fast=False)
extract(pages[0])
started = time.process_time()
for page in pages:
    extract(page)
print(1000 * (time.process_time() - started) / len(pages))
"""


class CheckFailed(Exception):
    """The check could not be made, and why."""


def main(words: list[str]) -> int:
    """The exit code: 0 if the release is proven, 1 if it is not, 2 if that could not be found out."""
    try:
        data = find_shared_data()
        if data is None:
            raise CheckFailed("no test pages: set CURATION_TEST_DATA to the folder that holds web/ and gold/")
        with tempfile.TemporaryDirectory() as folder:
            version = words[0] if words else newest_release(Path(folder))
            if version in PROVEN and not words:
                print(f"trafilatura {version}, the newest release, is proven already")
                return 0
            return check(version, data, Path(folder))
    except CheckFailed as error:
        print(error, file=sys.stderr)
        return 2


def check(version: str, data: Path, folder: Path) -> int:
    """Install `version` in `folder`, compare and report; the exit code."""
    copy = copy_with_proven(version, folder / "checkout")
    print(f"installing trafilatura {version}", flush=True)
    python = install(version, copy, folder / "venv")
    print("comparing the texts of all pages in all modes: this takes minutes", flush=True)
    failures, passed = compare(python, copy, data)
    if failures:
        print(f"trafilatura {version} cannot be accelerated as it is: {len(failures)} tests failed, {passed} passed")
        print("\n".join(failures))
        return 1
    plain, ours = (milliseconds(python, copy, data, kind) for kind in ("plain", "accelerated"))
    speed = f"{ours:.1f} ms per page, {plain:.1f} ms by the plain library, {plain / ours:.1f} times as fast"
    if plain / ours < WORTHWHILE:
        print(f"trafilatura {version} gives the same texts, but {speed}: its internals have moved away from {PATCHES}")
        return 1
    print(f'proven: add "{version}" to PROVEN in {PATCHES} ({passed} tests passed; {speed})')
    return 0


def newest_release(folder: Path) -> str:
    """The version of the newest release on the package index."""
    run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "trafilatura"])
    (file,) = folder.glob("trafilatura-*")
    return re.sub(r"\.tar\.gz$", "", file.name).split("-")[1]


def copy_with_proven(version: str, copy: Path) -> Path:
    """A copy of this checkout that takes `version`, and no other, for proven."""
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    source = (copy / PATCHES).read_text(encoding="utf-8")
    source, replaced = re.subn(r"^PROVEN = .*$", f'PROVEN = ("{version}",)', source, flags=re.MULTILINE)
    if replaced != 1:
        raise CheckFailed(f"{PATCHES} has no line that begins with PROVEN =")
    (copy / PATCHES).write_text(source, encoding="utf-8")
    return copy


def install(version: str, copy: Path, environment: Path) -> Path:
    """The Python of a new environment that has the copied checkout and trafilatura in this version."""
    lines = (copy / "constraints.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    others = copy / "constraints.txt"
    others.write_text("".join(line for line in lines if not line.startswith("trafilatura==")), encoding="utf-8")
    run([sys.executable, "-m", "venv", environment])
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", others]
    run([*pip, "--editable", f"{copy}[dev]", f"trafilatura=={version}"])
    return python


def compare(python: Path, copy: Path, data: Path) -> tuple[list[str], int]:
    """What the acceleration's tests say over all pages: a few lines for each that failed, and how many passed."""
    result = copy / "result.xml"
    command = [python, "-m", "pytest", "-n", "auto", f"--junitxml={result}", TESTS, f"--ignore={NOT_ABOUT_IT}"]
    done = subprocess.run(
        command, cwd=copy, env=variables(data), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if not result.exists():
        raise CheckFailed(f"the tests did not run:\n{done.stdout}")
    failures, passed = [], 0
    for case in ElementTree.parse(result).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("skipped") is not None:
            raise CheckFailed(f"{name} was skipped, so nothing is proven")
        found = [child for child in case if child.tag in ("failure", "error")]
        passed += not found
        failures += [f"\n{name}\n{shown(child)}" for child in found]
    if not failures and done.returncode != 0:
        raise CheckFailed(f"the tests did not end well:\n{done.stdout}")
    return failures, passed


def shown(failure: ElementTree.Element) -> str:
    """The beginning of what pytest says of a failed test, indented; the lines that it marks with E."""
    lines = [line[1:].strip() for line in (failure.text or "").splitlines() if line.startswith("E ")]
    more = [f"… and {len(lines) - LINES_SHOWN} lines more"] if len(lines) > LINES_SHOWN else []
    return "\n".join(f"    {line}" for line in [*lines[:LINES_SHOWN], *more])


def milliseconds(python: Path, copy: Path, data: Path, kind: str) -> float:
    """Processor time per page, `kind` being "plain" or "accelerated"."""
    environment = variables(data) | {"PYTHONPATH": str(copy / "tests" / "support"), "PYTHONWARNINGS": "ignore"}
    return float(run([python, "-c", TIMING, data, kind], cwd=copy, env=environment).splitlines()[-1])


def variables(data: Path) -> dict[str, str]:
    """Environment variables under which the copy is imported, not this checkout, and all pages are compared."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return own | {"CURATION_TEST_DATA": str(data), "CURATION_FULL_PARITY": "1"}


def run(command: list[str | Path], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a command prints; CheckFailed with its last lines if it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CheckFailed("\n".join([f"failed: {' '.join(map(str, command[:6]))} …", *done.stderr.splitlines()[-8:]]))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
