"""The four heuristic filters and their words, compared with datatrove's on the same texts.

Texts are the main content of the test pages, in all their languages. Blocks of 64 texts go through both sides in turn.
Every text goes through every filter, in the order of the recipe; FineWeb's filter gets the text as rewritten by C4's.
Our side starts with an empty cache of chunks, so its figures are those of a worker's first pages; a second pass shows a
warm cache. Words are timed apart from the filter that would compute them first. First use (compilation, or loading from
the disk cache) is timed in separate processes.

    python tests/benchmarks/heuristics.py [--quick]
"""

from __future__ import annotations

import argparse
import importlib.metadata  # noqa: F401  (datatrove's word tokenizers expect it to be imported)
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_words
from sources import ROOT, page_texts

from curation.filters.c4 import C4
from curation.filters.fineweb import FineWeb
from curation.filters.gopher_quality import GopherQuality
from curation.filters.gopher_repetition import GopherRepetition
from curation.stages.batch import Batch
from curation.text import words
from curation.text.word_memo import Memo

BLOCK = 64
STAGES: dict[str, tuple[Any, Callable[[], Any]]] = {
    "gopher_repetition": (GopherRepetition(), GopherRepetitionFilter),
    "gopher_quality": (GopherQuality(), GopherQualityFilter),
    "c4": (C4(), lambda: C4QualityFilter(filter_no_terminal_punct=False)),
    "fineweb": (FineWeb(), FineWebQualityFilter),
}
Times = dict[str, float]

FIRST_USE = """
import time
started = time.perf_counter()
from curation.filters.gopher_repetition import GopherRepetition
from curation.filters.gopher_quality import GopherQuality
from curation.filters.c4 import C4
from curation.filters.fineweb import FineWeb
from curation.stages.batch import Batch
import pyarrow as pa
batch = Batch(pa.record_batch({"id": ["0", "1"], "text": ["One line.\\n\\nAnd (so) [1] on.", "x" * 100 + "."]}))
for stage in (GopherRepetition(), GopherQuality(), C4(), FineWeb()):
    batch = stage(batch).batch
print(time.perf_counter() - started)
"""


def main() -> None:
    """Time both sides and print the table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="every eighth page, under two minutes")
    quick = options.parse_args().quick
    texts = list(page_texts(step=8 if quick else 1))
    references = {name: make() for name, (_, make) in STAGES.items()}
    run_ours(texts[:2])
    run_theirs(texts[:2], references)
    words._MEMO = Memo()
    ours, theirs, warm = [], [], []
    for begin in range(0, len(texts), BLOCK):
        block = texts[begin : begin + BLOCK]
        ours.append(run_ours(block))
        theirs.append(run_theirs(block, references))
        warm.append(run_ours(block))
    size = sum(map(len, texts)) // len(texts)
    print(f"{len(texts)} texts of {size} characters on average; ms per text: median of {len(ours)} blocks, and mean")
    report(len(texts), ours, theirs, warm)


def run_ours(texts: list[str]) -> Times:
    """Milliseconds per text, by step; `all` is the total, starting from a column of texts."""
    ids = [str(row) for row in range(len(texts))]
    table = pa.record_batch({"id": pa.array(ids), "text": pa.array(texts)})
    times: Times = {}
    started = last = time.perf_counter()
    batch = Batch(table)
    batch.words  # noqa: B018  (computes the view)
    last = lap(times, "words", last, texts)
    for name, (stage, _) in STAGES.items():
        batch = stage(batch).batch
        last = lap(times, name, last, texts)
    lap(times, "all", started, texts)
    return times


def run_theirs(texts: list[str], references: dict[str, Any]) -> Times:
    """The same for datatrove's filters; a text's words are computed first, and cached for the filters."""
    times: Times = defaultdict(float)
    started = time.perf_counter()
    for text in texts:
        document = Document(text=text, id="0")
        last = time.perf_counter()
        split_into_words(text)
        last = lap(times, "words", last, texts)
        for name, reference in references.items():
            reference.filter(document)
            last = lap(times, name, last, texts)
    lap(times, "all", started, texts)
    return times


def lap(times: Times, name: str, since: float, texts: list[str]) -> float:
    """Add the time since `since` under `name`; returns the current time."""
    now = time.perf_counter()
    times[name] = times.get(name, 0.0) + (now - since) * 1e3 / len(texts)
    return now


def report(count: int, ours: list[Times], theirs: list[Times], warm: list[Times]) -> None:
    """Print the table, then one JSON line per figure."""
    figures = []
    print(f"{'':20}{'ours':>9}{'mean':>9}{'warm':>9}{'datatrove':>11}{'mean':>9}{'ratio':>8}")
    for name in ("words", *STAGES, "all"):
        columns = [[block[name] for block in side] for side in (ours, warm, theirs)]
        cold, hot, peer = (statistics.median(column) for column in columns)
        means = [statistics.mean(column) for column in columns]
        print(f"{name:20}{cold:9.3f}{means[0]:9.3f}{hot:9.3f}{peer:11.2f}{means[2]:9.2f}{peer / cold:8.1f}")
        figures.append((f"heuristics.{name}", cold, peer, "ms/document", count))
    compiled, cached = first_use()
    print(f"first use of all four: {compiled:.1f} s with compilation, {cached:.1f} s from the disk cache")
    figures.append(("heuristics.first_use", cached, compiled, "s", 1))
    for name, mine, peer, unit, n in figures:
        ratio = round(peer / mine, 2)
        print(
            json.dumps(
                {"name": name, "ours": round(mine, 4), "peer": round(peer, 4), "ratio": ratio, "unit": unit, "n": n}
            )
        )


def first_use() -> tuple[float, float]:
    """Seconds from the first import to the first verdict: without and with compiled kernels in the cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        compiled, cached = (
            float(
                subprocess.run(
                    [sys.executable, "-c", FIRST_USE],
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                    cwd=ROOT,
                ).stdout
            )
            for _ in range(2)
        )
    return compiled, cached


if __name__ == "__main__":
    main()
