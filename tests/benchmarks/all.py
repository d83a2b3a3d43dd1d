"""Run benchmarks and update docs/benchmarks.md: the output and figures of each; the others keep their sections.

python tests/benchmarks/all.py [NAME...] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
HELPERS = {"all", "near_duplicates", "quiet", "sources", "synthetic_signatures"}

HEAD = """# Benchmarks

Both sides run in turn on the same machine. A ratio above 1 means that curation is better than its peer. `make bench`
runs all benchmarks, `python tests/benchmarks/all.py NAME` runs one.
"""

COLUMNS = "| figure | ours | peer | ratio | unit | n |\n|---|---|---|---|---|---|"


def main() -> int:
    """Run the benchmarks. The exit code is 1 if one failed; the sections of the others are written anyway."""
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in HELPERS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)} [default: all]")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.names) - set(names):
        parser.error(f"unknown benchmark {min(unknown)}; choose from {', '.join(names)}")
    sections = read_sections()
    failed = []
    for name in args.names or names:
        print(f"== {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *(["--quick"] if args.quick else [])]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
        )
        print(done.stdout, flush=True)
        if done.returncode:
            failed.append(name)
            continue
        sections[name] = section(name, done.stdout, args.quick)
        PAGE.write_text("\n".join([HEAD, *(sections[key] for key in sorted(sections))]), encoding="utf-8")
    print(f"{len(sections)} sections in {PAGE}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def read_sections() -> dict[str, str]:
    """The current sections of the page, by name."""
    if not PAGE.exists():
        return {}
    parts = re.split(r"^## (\w+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: f"## {name}\n{text.rstrip()}\n" for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def section(name: str, printed: str, quick: bool) -> str:
    """A benchmark's section of the page."""
    lines = printed.strip().splitlines()
    figures: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith('{"name"')]
    text = "\n".join(line.rstrip() for line in lines if not line.startswith('{"name"')).strip()
    rows = [f"| {f['name']} | {f['ours']} | {f['peer']} | {f['ratio']} | {f['unit']} | {f['n']} |" for f in figures]
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    measured = f"Measured on {machine}{', with `--quick`' if quick else ''}."
    return "\n".join([f"## {name}\n", measured, "", "```text", text, "```", "", COLUMNS, *rows]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
