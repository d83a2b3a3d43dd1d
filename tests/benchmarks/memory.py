"""Memory of a filter worker on archives of increasing size: it must stay below 1 GB and must not grow.

The test pages, repeated and altered, are joined into one archive of each size, which one worker filters. The memory of
the worker and its extraction process is sampled; shared resident pages are counted in both. The peer of each size is
the peak at the smallest size, so a ratio of 1 means no growth.

    python tests/benchmarks/memory.py [--quick] [--megabytes 60,250,1000] [--extractor trafilatura|resiliparse]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from pipeline import altered
from sources import shared_data

EXTRACTORS = ("trafilatura", "resiliparse")


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
    """Peak memory in bytes of any process the command starts, with its children, and the seconds it took."""
    started = time.perf_counter()
    run = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while run.poll() is None:
        peak = max([peak, *(tree(child) for child in children(run))])
        time.sleep(0.2)
    if run.returncode:
        sys.exit(run.stderr.read().decode()[-3000:])
    return peak, time.perf_counter() - started


def children(process: psutil.Process) -> list[psutil.Process]:
    """The direct child processes of a process."""
    try:
        found: list[psutil.Process] = process.children()
    except psutil.NoSuchProcess:
        found = []
    return found


def tree(process: psutil.Process) -> int:
    """Resident bytes of a process and its descendants."""
    total = 0
    for one in [process, *process.children(recursive=True)] if process.is_running() else []:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def main() -> None:
    """Print one line per size, then the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small sizes")
    parser.add_argument("--megabytes", default="60,250,1000")
    parser.add_argument("--extractor", choices=EXTRACTORS, default="resiliparse")
    args = parser.parse_args()
    sizes = [20, 60] if args.quick else [int(size) for size in args.megabytes.split(",")]
    figures, first = [], 0
    for megabytes in sizes:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "web" / "pages.warc.gz"
            join_up_to(shared_data() / "web", archive, megabytes << 20)
            command = [sys.executable, "-m", "curation.jobs.cli", "filter", str(archive), "--out", f"{folder}/out"]
            settings = ["--workers", "1", "--set", f"extract.extractor={args.extractor}"]
            peak, seconds = peak_of_worker([*command, *settings])
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
