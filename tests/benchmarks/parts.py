"""One archive on several cores: `curate filter` divides it into parts, here for one worker and for two.

One archive of about 60 MB is filtered by one worker on one core, by one worker that may use two, since it reads and
extracts in processes of its own, and by two workers on two cores. All are whole commands, timed from outside, and make
the same bytes.

    python tests/benchmarks/parts.py [--quick] [--runs N] [--recipe fineweb|web]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from pipeline import RECIPES, fresh, join, timed
from quiet import say_load
from sources import shared_data

SIDES = {"1 worker, 1 core": (1, 1), "1 worker, 2 cores": (1, 2), "2 workers, 2 cores": (2, 2)}
"""Workers and cores."""


def main() -> None:
    """Print the seconds of each, and how many times as fast two workers are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--recipe", choices=RECIPES, action="append")
    args = parser.parse_args()
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        join(shared_data() / "web", base / "crawl", 1, 1)
        for recipe in args.recipe or RECIPES:
            seconds: dict[str, list[float]] = {name: [] for name in SIDES}
            for _ in range(1 if args.quick else args.runs):
                for name, (workers, cores) in SIDES.items():
                    seconds[name].append(fresh(base / "out", partial(run, base / "crawl", recipe, workers, cores)))
            show(recipe, seconds)
    say_load()


def run(source: Path, recipe: str, workers: int, cores: int, out: Path) -> float:
    """Seconds of the command on the first cores of this process."""
    allowed = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "curation.jobs.cli", "filter", str(source), "--out", str(out)]
    os.sched_setaffinity(0, allowed[:cores])
    try:
        return timed([*command, "--workers", str(workers), "--recipe", recipe], dict(os.environ))
    finally:
        os.sched_setaffinity(0, allowed)
        time.sleep(1)


def show(recipe: str, seconds: dict[str, list[float]]) -> None:
    """Print the medians, then two workers beside each of the others as JSON lines."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{recipe}: " + ", ".join(f"{name} {value:.1f} s" for name, value in medians.items()))
    *others, two = medians
    for name, figure in zip(others, ("over_one_core", "over_one_worker"), strict=True):
        ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds[two], strict=True))
        figures = {"ours": round(medians[two], 2), "peer": round(medians[name], 2), "ratio": round(ratio, 3)}
        print(json.dumps({"name": f"parts.{recipe}.{figure}", **figures, "unit": "s", "n": 1}))


if __name__ == "__main__":
    main()
