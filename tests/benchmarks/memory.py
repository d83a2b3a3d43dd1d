"""Memory of a filter worker over archives of growing size: it has to stay under 1 GB, and flat.

The shared pages, repeated and altered, are joined into one archive of each size, which one worker filters; the memory
of the worker and of its extraction child is sampled, resident pages that they share counted in both. The peer of each
size is the smallest one's peak, so that a ratio of 1 is flat.

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
from pipeline import EXTRACTORS, altered, shared_data


def join_up_to(source: Path, target: Path, size: int) -> None:
    """One archive of at least `size` bytes."""
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
    """Most memory, in bytes, of any process that the command started, its own children included, and the seconds."""
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
    """The processes that a process started itself."""
    try:
        found: list[psutil.Process] = process.children()
    except psutil.NoSuchProcess:
        found = []
    return found


def tree(process: psutil.Process) -> int:
    """Resident bytes of a process and of all under it."""
    total = 0
    for one in [process, *process.children(recursive=True)] if process.is_running() else []:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def main() -> None:
    """A line a size, then the figures."""
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
        print(f"{megabytes:>6} MB of WARC: {peak / 1e6:8.0f} MB at most, {seconds:8.1f} s", flush=True)
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
