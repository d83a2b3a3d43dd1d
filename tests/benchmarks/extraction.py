"""Text extraction: speed compared with plain calls, quality on annotated pages, and the costs of isolation and preview.

Quality is measured as by the annotations' authors (WCXB, arXiv 2605.21097): F1 of the words of a page (`\\w+`, lower
case, as a multiset), averaged over pages, and the shares of required and forbidden snippets in the texts. Both sides
take turns, batch by batch: ours is the stage as the pipeline calls it, including its child process; the peer is a plain
call in its own process. Time is processor time, of both our processes together, so that other load matters little.

    python tests/benchmarks/extraction.py [--quick]
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from curation.archives.reader import ReadSettings, read_batches
from curation.extraction import isolation
from curation.extraction.extract import Extract
from curation.language import identify
from curation.stages.batch import Batch

ROOT = Path(__file__).resolve().parents[2]
WORD = re.compile(r"\w+")
Extractor = Callable[[str], str | None]

SETTINGS: dict[str, tuple[Extract, dict[str, Any]]] = {
    "trafilatura precision": (Extract(favor="precision"), {"favor_precision": True}),
    "trafilatura balanced": (Extract(favor="balanced"), {}),
    "trafilatura recall": (Extract(favor="recall"), {"favor_recall": True}),
    "trafilatura precision fast": (Extract(favor="precision", fast=True), {"favor_precision": True, "fast": True}),
    "trafilatura balanced fast": (Extract(favor="balanced", fast=True), {"fast": True}),
    "resiliparse": (Extract(extractor="resiliparse"), {}),
}
"""Our stage, and the options of the plain call, by the name in the table."""


def shared_data() -> Path:
    """The folder of pages and annotations, as the tests find it."""
    for candidate in (os.environ.get("CURATION_TEST_DATA"), ROOT.parent / "shared" / "data"):
        if candidate and (Path(candidate) / "web").is_dir():
            return Path(candidate)
    sys.exit("no pages: set CURATION_TEST_DATA to the folder that contains web/ and gold/")


def read(data: Path, archives: int) -> Iterator[Batch]:
    """The pages of the first archives, in batches of 64."""
    for path in sorted((data / "web").glob("*.warc.gz"))[:archives]:
        with path.open("rb") as stream:
            yield from read_batches(stream, str(path), ReadSettings(), Counter(), max_documents=64)


def plainly(name: str, options: dict[str, Any], pages: Sequence[str]) -> tuple[list[str], float]:
    """Call the library page by page as documented; returns the texts, and the seconds without start-up."""
    logging.disable(logging.CRITICAL)
    import trafilatura
    from resiliparse.extract.html2text import extract_plain_text

    if name == "resiliparse":
        extract: Extractor = partial(extract_plain_text, main_content=True, preserve_formatting=True, alt_texts=False)
    else:
        extract = partial(trafilatura.extract, include_comments=False, deduplicate=False, **options)
    started = time.process_time()
    texts = [extract(page) or "" for page in pages]
    return texts, time.process_time() - started


def both_processes() -> float:
    """Seconds of processor time used by this process and its child."""
    child = isolation._supervisor().child
    if child is None:
        return time.process_time()
    nanoseconds = Path(f"/proc/{child.process.pid}/schedstat").read_text().split()[0]
    return time.process_time() + int(nanoseconds) / 1e9


def staged(stage: Extract, batch: Batch) -> tuple[list[str | None], float]:
    """The texts that the stage returns (None where it does not extract), and the seconds it took."""
    started = both_processes()
    outcome = stage(batch)
    seconds = both_processes() - started
    return outcome.batch.text.to_pylist(), seconds


class Sides:
    """Texts and times of both sides for one setting, over all batches."""

    def __init__(self, name: str, batches: Sequence[Batch]) -> None:
        stage, options = SETTINGS[name]
        self.ours: list[str] = []
        self.theirs: list[str] = []
        self.milliseconds: list[tuple[float, float]] = []
        staged(stage, batches[0])
        with ProcessPoolExecutor(1) as other:
            other.submit(plainly, name, options, batches[0].column("html").to_pylist()[:8]).result()
            for batch in batches:
                texts, mine = staged(stage, batch)
                pages = batch.column("html").to_pylist()
                plain, theirs = other.submit(plainly, name, options, pages).result()
                self.ours += [text or "" for text in texts]
                self.theirs += plain
                self.milliseconds.append((mine * 1e3 / len(batch), theirs * 1e3 / len(batch)))

    def times(self) -> tuple[float, float, float]:
        """Median milliseconds per page of ours and of the peer, and the median of the ratios of the batches."""
        mine, theirs = zip(*self.milliseconds, strict=True)
        ratio = statistics.median(their / our for our, their in self.milliseconds)
        return statistics.median(mine), statistics.median(theirs), ratio


def word_f1(text: str, gold: str) -> float:
    """F1 of two multisets of words; 1 if both are empty."""
    found, wanted = Counter(WORD.findall(text.lower())), Counter(WORD.findall(gold.lower()))
    if not found and not wanted:
        return 1.0
    return 2 * (found & wanted).total() / (found.total() + wanted.total())


def share(texts: dict[str, str], gold: dict[str, dict[str, Any]], kind: str) -> float:
    """Share of the annotated snippets of a kind that are in the texts."""
    hits = [snippet.lower() in texts[url].lower() for url, page in gold.items() for snippet in page[kind]]
    return statistics.mean(hits)


def quality(texts: dict[str, str], gold: dict[str, dict[str, Any]]) -> dict[str, float]:
    """F1 overall and by page type, and the shares of snippets."""
    by_type = defaultdict(list)
    for url, page in gold.items():
        by_type[page["page_type"]].append(word_f1(texts[url], page["main_content"]))
    mean = statistics.mean(score for scores in by_type.values() for score in scores)
    types = {kind: statistics.mean(scores) for kind, scores in sorted(by_type.items())}
    return {"F1": mean, "required": share(texts, gold, "present"), "forbidden": share(texts, gold, "absent")} | types


def compare(batches: Sequence[Batch], gold: dict[str, dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Print the table of settings; returns a figure of time and one of F1 for each."""
    urls = [url for batch in batches for url in batch.column("url").to_pylist()]
    here = {url: gold[url] for url in dict.fromkeys(urls) if url in gold}
    figures, header = [], True
    for name in names:
        sides = Sides(name, batches)
        mine, theirs, ratio = sides.times()
        ours = quality(dict(zip(reversed(urls), reversed(sides.ours), strict=True)), here)
        plain = quality(dict(zip(reversed(urls), reversed(sides.theirs), strict=True)), here)
        if header:
            print(
                f"{len(urls)} pages, {len(here)} annotated; ms per page of ours and of a plain call; quality of ours\n"
            )
            print(f"{'':<27}{'ours':>6}{'plain':>7}  " + "".join(f"{column[:9]:>10}" for column in ours))
            header = False
        print(
            f"{name:<27}{mine:6.2f}{theirs:7.2f}  " + "".join(f"{value:10.3f}" for value in ours.values()), flush=True
        )
        figures.append(figure(f"extraction.{name}", mine, theirs, ratio, "ms/page", len(urls)))
        f1 = ours["F1"] / plain["F1"]
        figures.append(figure(f"extraction.{name}.f1", ours["F1"], plain["F1"], f1, "word F1", len(here)))
    return figures


NOTHING = isolation.Function(
    "curation.extraction.extractors:page_function",
    {"extractor": "builtins:len", "favor": "", "fast": False, "languages": [], "language_floor": None, "model": None},
)


def isolated(batches: Sequence[Batch]) -> dict[str, Any]:
    """The cost of isolation per page when nothing goes wrong, with a no-op function, for us and for datatrove."""
    from datatrove.pipeline.extractors.base import ExtractorSandbox

    pages = [batch.column("html") for batch in batches]
    count = sum(map(len, pages))
    ours, theirs = [], []
    isolation.run(NOTHING, pages[0], isolation.PageLimits(10, 1024))
    with ExtractorSandbox(timeout=10, warmup_text="") as sandbox:
        sandbox.process_document("", len)
        for _ in range(5):
            started = time.perf_counter()
            for column in pages:
                isolation.run(NOTHING, column, isolation.PageLimits(10, 1024))
            ours.append((time.perf_counter() - started) / count * 1e3)
            texts = [column.to_pylist() for column in pages]
            started = time.perf_counter()
            for page in (page for column in texts for page in column):
                sandbox.process_document(page, len)
            theirs.append((time.perf_counter() - started) / count * 1e3)
    mine, peer = statistics.median(ours), statistics.median(theirs)
    print(f"\nisolation of a no-op function: {mine:.3f} ms per page, datatrove {peer:.3f}")
    return figure("extraction.isolation", mine, peer, peer / mine, "ms/page", count)


def language_first(batches: Sequence[Batch]) -> dict[str, Any]:
    """Time saved and pages lost by checking the language before extraction."""
    first, after = Extract(languages=("en",)), Extract()
    skipped = lost = english = 0
    milliseconds = []
    staged(first, batches[0])
    for batch in batches:
        texts, with_preview = staged(first, batch)
        everything, without = staged(after, batch)
        milliseconds.append((with_preview * 1e3 / len(batch), without * 1e3 / len(batch)))
        for short, full in zip(texts, everything, strict=True):
            wanted = (found := identify.predict(full or "")) is not None and found[0] == "en" and found[1] > 0.65
            english += wanted
            skipped += short is None
            lost += short is None and wanted
    mine, theirs = (statistics.mean(side) for side in zip(*milliseconds, strict=True))
    count = sum(map(len, batches))
    print(f"language first: {skipped} of {count} pages skipped, {lost} of {english} English ones lost; ", end="")
    print(f"{mine:.2f} ms per page instead of {theirs:.2f}")
    return figure("extraction.language_first", mine, theirs, theirs / mine, "ms/page", count)


def figure(name: str, ours: float, peer: float, ratio: float, unit: str, n: int) -> dict[str, Any]:
    """A figure, to print as JSON."""
    rounded = {"ours": round(ours, 4), "peer": round(peer, 4), "ratio": round(ratio, 4)}
    return {"name": name.replace(" ", "_"), **rounded, "unit": unit, "n": n}


def main() -> None:
    """Print the tables, then one JSON line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two archives, three settings")
    args = parser.parse_args()
    data = shared_data()
    with gzip.open(data / "gold" / "extraction.jsonl.gz", "rt", encoding="utf-8") as lines:
        gold = {page["url"]: page for page in map(json.loads, lines)}
    batches = list(read(data, 2 if args.quick else 8))
    names = ["trafilatura precision", "trafilatura balanced", "resiliparse"] if args.quick else list(SETTINGS)
    figures = compare(batches, gold, names)
    figures += [isolated(batches[:8]), language_first(batches)]
    for line in figures:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
