"""Text extraction: quality on annotated pages, speed compared with plain calls, costs of isolation and preview.

Quality is measured as by the annotations' authors (WCXB, arXiv 2605.21097): F1 of the words of a page (`\\w+`, lower
case, as a multiset), averaged over pages, and the shares of required and forbidden snippets in the texts. Three sets of
annotations are used: WCXB's development split (1,492 pages of seven kinds), Mozilla's reader tests (130) and
trafilatura's evaluation (snippets of 934 pages in several languages). The model of "blocks" that is measured has not
seen pages of the same registered domain: it is trained five times, each time without a fifth of the domains.

Time is processor time of the stage as the pipeline calls it, including its child process, so that other load matters
little; settings take turns, batch by batch. rs-trafilatura takes part where it is installed (it needs Rust).

    python tests/benchmarks/extraction.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sources import shared_data

from curation.archives.reader import ReadSettings, read_batches
from curation.extraction import isolation
from curation.extraction.blocks.extract import blocks
from curation.extraction.extract import Extract
from curation.extraction.training.fit import Report, cross_validate, prepare
from curation.extraction.training.gold import read_gold
from curation.language import identify
from curation.stages.batch import Batch

Extractor = Callable[[str], str | None]

SETTINGS: dict[str, tuple[Extract, dict[str, Any]]] = {
    "blocks": (Extract(extractor="blocks"), {}),
    "trafilatura precision": (Extract(favor="precision"), {"favor_precision": True}),
    "trafilatura balanced": (Extract(favor="balanced"), {}),
    "trafilatura recall": (Extract(favor="recall"), {"favor_recall": True}),
    "trafilatura precision fast": (Extract(favor="precision", fast=True), {"favor_precision": True, "fast": True}),
    "trafilatura balanced fast": (Extract(favor="balanced", fast=True), {"fast": True}),
    "resiliparse": (Extract(extractor="resiliparse"), {}),
}
"""Our stage, and the options of the plain call, by the name in the table."""


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

    if name == "blocks":
        own = blocks()
        extract: Extractor = lambda page: own(page.encode())  # noqa: E731
    elif name == "resiliparse":
        extract = partial(extract_plain_text, main_content=True, preserve_formatting=True, alt_texts=False)
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


def speed(batches: Sequence[Batch], names: Sequence[str]) -> list[dict[str, Any]]:
    """Print the time per page of each setting; returns a figure for each, and the ratios to blocks."""
    figures, own = [], Sides("blocks", batches)
    count = sum(map(len, batches))
    print(f"{count} pages; ms of processor time per page: of the stage, and of a plain call of the library")
    for name in names:
        sides = own if name == "blocks" else Sides(name, batches)
        mine, theirs, ratio = sides.times()
        print(f"  {name:<27}{mine:7.2f}{theirs:7.2f}", flush=True)
        figures.append(figure(f"extraction.{name}", mine, theirs, ratio, "ms/page", count))
        if name != "blocks":
            pairs = zip(own.milliseconds, sides.milliseconds, strict=True)
            ratio = statistics.median(theirs / ours for (ours, _), (theirs, _) in pairs)
            against = figure(f"extraction.blocks_against_{name}", own.times()[0], mine, ratio, "ms/page", count)
            figures.append(against)
    return figures


def peers(pages: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Name and texts of each library that is installed."""
    for name, (_, options) in SETTINGS.items():
        if name != "blocks":
            yield name, plainly(name, options, pages)[0]
    if find_spec("readability"):
        from lxml.html import document_fromstring
        from readability import Document

        def readable(page: str) -> str:
            try:
                return str(document_fromstring(Document(page).summary()).text_content())
            except Exception:  # whatever it raises for a page, it has no text of it
                return ""

        yield "readability-lxml", [readable(page) for page in pages]
    if find_spec("rs_trafilatura"):
        import rs_trafilatura

        yield "rs-trafilatura", [rs_trafilatura.extract(page).main_content or "" for page in pages]


def quality(data: Path, folds: int) -> list[dict[str, Any]]:
    """Print the quality of all extractors on all annotated pages; returns figures of blocks beside the best peer."""
    gold = data / "gold"
    archives = [*sorted((data / "web").glob("*.warc.gz")), *sorted(gold.glob("*.warc.gz"))]
    annotations = [gold / f"{name}.jsonl.gz" for name in ("extraction", "wcxb-rest", "readability", "snippets")]
    pages, _ = read_gold([*annotations, *archives])
    examples = [prepare(page) for page in pages]
    texts = cross_validate(examples, folds)
    sides = {"blocks": [texts[page.url] for page in pages]}
    sides |= dict(peers([page.html for page in pages]))
    reports = {name: [Report() for _ in SETS] for name in sides}
    languages: dict[str, dict[str, Report]] = {}
    for name, found in sides.items():
        for page, text in zip(pages, found, strict=True):
            which = 2 if page.text is None else 1 if page.kind == "" else 0
            reports[name][which].add(page, text)
    for number, page in enumerate(pages):
        language = identify.detect_language(sides["blocks"][number]).language
        if page.text is None and language:
            sorts = languages.setdefault(language, {name: Report() for name in sides})
            for name, found in sides.items():
                sorts[name].add(page, found[number])
    for which, title in enumerate(SETS):
        _print_table(title, {name: sets[which].figures() for name, sets in reports.items()})
    for language, sorts in sorted(languages.items(), key=lambda item: -len(item[1]["blocks"].wanted)):
        if len(sorts["blocks"].wanted) >= 30:
            _print_table(f"snippets of pages in {language!r}", {name: each.figures() for name, each in sorts.items()})
    figures = []
    for which, key in enumerate(("wcxb", "mozilla")):
        f1 = {name: sets[which].figures()["f1"] for name, sets in reports.items()}
        peer = max(value for name, value in f1.items() if name != "blocks")
        figures.append(figure(f"extraction.f1.{key}", f1["blocks"], peer, f1["blocks"] / peer, "word F1", len(pages)))
    return figures


SETS = ("WCXB, development split: word F1", "Mozilla's reader tests: word F1", "trafilatura's evaluation: snippets")


def _print_table(title: str, figures: dict[str, dict[str, Any]]) -> None:
    first = figures["blocks"]
    kinds = list(first["by_type"])
    print(f"\n{title}\n{'':<27}{'F1':>7}{'wanted':>8}{'unwanted':>9}  " + "".join(f"{kind[:9]:>10}" for kind in kinds))
    for name, values in figures.items():
        cells = [values["f1"], values["wanted_snippets"], values["unwanted_snippets"]]
        shown = "".join(f"{cell:8.3f}" if cell is not None else f"{'':>8}" for cell in cells)
        print(f"{name:<27}{shown}  " + "".join(f"{values['by_type'][kind][0]:10.3f}" for kind in kinds), flush=True)


NOTHING = isolation.Function(
    "curation.extraction.extractors:page_function",
    {
        "extractors": ["builtins:len"],
        "rule": "longest",
        "min_characters": 1,
        "options": {"retry_below": None},
        "languages": [],
        "language_floor": None,
        "model": None,
    },
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
            found = identify.detect_language(full or "")
            wanted = found.language == "en" and found.score > 0.65
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
    data = shared_data("gold")
    batches = list(read(data, 2 if args.quick else 8))
    names = ["blocks", "trafilatura precision", "resiliparse"] if args.quick else list(SETTINGS)
    figures = [*speed(batches, names), isolated(batches[:8]), language_first(batches)]
    figures += quality(data, 2 if args.quick else 5)
    for line in figures:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
