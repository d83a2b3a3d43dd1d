"""Memory of a filter worker on archives of increasing size: it must stay below 1 GB and must not grow.

The test pages, repeated and altered, are joined into one archive of each size, which one worker filters. The memory of
the worker, of its processes for reading and extraction and of those that they are forked from is sampled, each page of
memory once (PSS). The peer of each size is the peak at the smallest size, so a ratio of 1 means no growth.

    python tests/benchmarks/memory.py [--quick] [--megabytes 60,250,1000] [--recipe web|fineweb]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
from pipeline import RECIPES, altered
from sources import shared_data


def join_up_to(source: Path, target: Path, size: int) -> None:
    """Write one archive of at least `size` bytes."""
    archives = sorted(source.glob("*.warc.gz"))
    target.parent.mkdir(parents=True)
    with target.open("wb") as joined:
        salt = 0
        while joined.tell() < size:
            for archive in archives:
                if joined.tell() < size:
                    joined.write(altered(archive, salt) if salt else archive.read_bytes())
            salt += 1


def peak_of_worker(command: list[str]) -> tuple[int, float]:
    """Peak memory in bytes of all processes that a command starts, without its own, and the seconds it took."""
    started = time.perf_counter()
    run = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while run.poll() is None:
        peak = max(peak, memory_below(run))
        time.sleep(0.2)
    if run.returncode:
        sys.exit(run.stderr.read().decode()[-3000:])
    return peak, time.perf_counter() - started


def memory_below(process: psutil.Process) -> int:
    """Bytes of memory of all descendants of a process; what several share is counted once."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for each in process.children(recursive=True):
            with suppress(OSError):  # it has ended
                values = Path(f"/proc/{each.pid}/smaps_rollup").read_text().split()
                total += int(values[values.index("Pss:") + 1]) << 10
    return total


def main() -> None:
    """Print one line per size, then the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small sizes")
    parser.add_argument("--megabytes", default="60,250,1000")
    parser.add_argument("--recipe", choices=RECIPES, default="web")
    args = parser.parse_args()
    sizes = [20, 60] if args.quick else [int(size) for size in args.megabytes.split(",")]
    figures, first = [], 0
    for megabytes in sizes:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "web" / "pages.warc.gz"
            join_up_to(shared_data() / "web", archive, megabytes << 20)
            command = [sys.executable, "-m", "curation.jobs.cli", "filter", str(archive), "--out", f"{folder}/out"]
            peak, seconds = peak_of_worker([*command, "--workers", "1", "--recipe", args.recipe])
        first = first or peak
        print(f"{megabytes:>6} MB of WARC: {peak / 1e6:8.0f} MB peak, {seconds:8.1f} s", flush=True)
        figures.append(
            {
                "name": f"memory.worker.{megabytes}_MB",
                "ours": round(peak / 1e6, 1),
                "peer": round(first / 1e6, 1),
                "ratio": round(first / peak, 3),
                "unit": "MB",
                "n": megabytes,
            }
        )
    for figure in figures:
        print(json.dumps(figure))


if __name__ == "__main__":
    main()
