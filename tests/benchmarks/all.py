"""Run every benchmark and write docs/benchmarks.md: each figure with the machine it was taken on.

python tests/benchmarks/all.py [--quick]
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
HELPERS = {"all", "made", "near_duplicates"}


def main() -> int:
    """Exit code 1 if a benchmark failed; the figures of the others are written all the same."""
    figures, failed = [], []
    for path in sorted(HERE.glob("*.py")):
        if path.stem in HELPERS:
            continue
        print(f"== {path.stem}", flush=True)
        done = subprocess.run(
            [sys.executable, str(path), *sys.argv[1:]], stdout=subprocess.PIPE, text=True, check=False
        )
        print(done.stdout)
        figures += [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
        failed += [path.stem] if done.returncode else []
    rows = [f"| {f['name']} | {f['ours']} | {f['peer']} | {f['ratio']} | {f['unit']} | {f['n']} |" for f in figures]
    head = (
        f"# Benchmarks\n\nTaken on {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}.\n"
    )
    table = "| figure | ours | the other side | ratio | unit | n |\n|---|---|---|---|---|---|"
    PAGE.write_text("\n".join([head, table, *rows]) + "\n", encoding="utf-8")
    print(f"{len(figures)} figures in {PAGE}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
