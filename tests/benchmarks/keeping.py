"""Which pages each recipe keeps, against labels: would a pretraining team want this page's text?

Labels are keep, drop or borderline, given by two readers who knew no verdict (KEEP.md in the test data, and
labels/README.md here). Each recipe runs as a whole command, `curate filter`; datatrove's FineWeb steps run in their own
environment (`make peers`). Keeping is judged on labeled pages (Wilson's 95 % intervals), extraction and kinds of page
on pages with annotated main text (WCXB). `--third` limits both to a third of the registered domains.

    python tests/benchmarks/keeping.py [--recipe NAME|FILE ...] [--third 1|2|3] [--no-peer] [--no-rest]
        [--out DIR] [--rules]
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import math
import os
import re
import sys
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pipeline import peers, timed
from sources import PEER, shared_data

from curation.text.hosts import registered_domain

LABELS = Path(__file__).with_name("labels")
MIN_WORDS, MIN_F1 = 100, 0.8
"""Pages of at least so many words of main text, extracted at least so well, are the ones a rule should keep."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a recipe did with a page.

    Attributes:
        text: The page's text.
        rule: The rule that removed it; None if it was kept.
        archive: Path of the archive that has the page.
    """

    text: str
    rule: str | None
    archive: str


Verdicts = Mapping[str, Verdict]
"""By URL."""


def main() -> None:
    """Run the recipes and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", help="recipe to run, several times [default: fineweb and web]")
    parser.add_argument("--third", type=int, choices=(1, 2, 3), help="only this third of the registered domains")
    parser.add_argument("--no-peer", action="store_true", help="leave out datatrove")
    parser.add_argument("--no-rest", action="store_true", help="leave out WCXB's pages that are not in web/")
    parser.add_argument("--out", type=Path, help="folder of the runs, which resume [default: a temporary one]")
    parser.add_argument("--rules", action="store_true", help="also print an example of each rule")
    args = parser.parse_args()
    data = shared_data()
    archives = [data / "web", data / "gold" / "keep-archives.warc.gz", data / "gold" / "wcxb-rest.warc.gz"]
    archives = archives[:-1] if args.no_rest else archives
    labels = {
        "web/ and archives": read_labels(data / "gold" / "keep.jsonl"),
        "listings": read_labels(LABELS / "listings.jsonl"),
    }
    gold = read_gold(data / "gold")
    if args.third:
        labels = {
            name: {url: row for url, row in rows.items() if third(url) == args.third} for name, rows in labels.items()
        }
        gold = {url: row for url, row in gold.items() if third(url) == args.third}
    with contextlib.nullcontext(args.out) if args.out else tempfile.TemporaryDirectory() as folder:
        recipes = args.recipe or ["fineweb", "web"]
        found = {Path(recipe).stem: run_recipe(archives, recipe, Path(folder)) for recipe in recipes}
        if not args.no_peer and PEER.exists():
            found = {"datatrove": run_peer(archives, Path(folder)), **found}
    print_sizes(found, data / "web")
    print_labels(found, labels)
    if not args.no_rest:
        print_gold("WCXB", found, gold)
    print_gold("in web/", found, {url: row for url, row in gold.items() if row["is_in_web"]})
    for name, verdicts in found.items():
        if name != "datatrove":
            print_rules(name, verdicts, labels, gold, examples=args.rules)


def third(url: str) -> int:
    """The third, 1 to 3, in which the registered domain of a URL is."""
    return zlib.crc32(registered_domain(url).encode()) % 3 + 1


def read_labels(path: Path) -> dict[str, dict[str, Any]]:
    """Labeled pages by URL."""
    return {row["url"]: row for row in map(json.loads, path.read_text().splitlines())}


def read_gold(folder: Path) -> dict[str, dict[str, Any]]:
    """Pages with annotated main text by URL: WCXB's."""
    rows = {}
    for name in ("extraction.jsonl.gz", "wcxb-rest.jsonl.gz"):
        with gzip.open(folder / name, "rt") as lines:
            for row in map(json.loads, lines):
                rows[row["url"]] = row | {"is_in_web": name.startswith("extraction")}
    return rows


def run_recipe(archives: Iterable[Path], recipe: str, folder: Path) -> Verdicts:
    """Verdicts of `curate filter` with a recipe. Of copies under one URL, one that is kept counts."""
    out = folder / Path(recipe).stem
    command = [sys.executable, "-m", "curation.jobs.cli", "filter", *map(str, archives), "--out", str(out)]
    timed([*command, "--recipe", recipe, "--workers", str(os.cpu_count())], dict(os.environ))
    found: dict[str, Verdict] = {}
    for path in (out / "removed" / "filter").glob("*.parquet"):
        for row in pq.read_table(path, columns=["url", "text", "reason", "file_path"]).to_pylist():
            found[row["url"]] = Verdict(row["text"] or "", row["reason"], row["file_path"])
    for path in (out / "documents").glob("*.parquet"):
        for row in pq.read_table(path, columns=["url", "text", "file_path"]).to_pylist():
            found[row["url"]] = Verdict(row["text"], None, row["file_path"])
    return found


def run_peer(archives: Iterable[Path], folder: Path) -> Verdicts:
    """Verdicts of datatrove's FineWeb steps."""
    source, out = folder / "archives", folder / "datatrove"
    source.mkdir()
    for path in archives:
        for archive in sorted(path.glob("*.warc.gz")) if path.is_dir() else [path]:
            (source / archive.name).symlink_to(archive.resolve())
    peers(source, out, os.cpu_count() or 1)
    found: dict[str, Verdict] = {}
    for path in [*sorted(out.glob("removed/*/*.jsonl.gz")), *sorted(out.glob("output/*.jsonl.gz"))]:
        rule = None if path.parent.name == "output" else path.parent.name
        with gzip.open(path, "rt") as lines:
            for row in map(json.loads, lines):
                metadata = row["metadata"]
                found[metadata["url"]] = Verdict(row["text"], rule, metadata["file_path"])
    return found


def is_kept(verdicts: Verdicts, url: str) -> bool:
    """Whether a recipe keeps a page."""
    return url in verdicts and verdicts[url].rule is None


def share(part: int, whole: int) -> str:
    """A share with Wilson's interval of 95 %."""
    if not whole:
        return "-"
    z, p = 1.96, part / whole
    center, spread = p + z * z / (2 * whole), z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole))
    low, high = ((center + sign * spread) / (1 + z * z / whole) for sign in (-1, 1))
    return f"{p:.3f} [{low:.2f}, {high:.2f}] of {whole}"


def print_sizes(found: Mapping[str, Verdicts], folder: Path) -> None:
    """How many pages of the archives in a folder each recipe keeps, and how many characters of text, by URL."""
    archives = {archive.name for archive in folder.glob("*.warc.gz")}
    print(f"{folder.name + '/':12s} {'pages':>6s} {'kept':>6s} {'characters':>12s} {'per page':>9s}")
    for name, verdicts in found.items():
        of_folder = [verdict for verdict in verdicts.values() if Path(verdict.archive).name in archives]
        texts = [verdict.text for verdict in of_folder if verdict.rule is None]
        size = sum(map(len, texts))
        print(f"{name:12s} {len(of_folder):6d} {len(texts):6d} {size:12d} {size // max(1, len(texts)):9d}")
    print()


def print_labels(found: Mapping[str, Verdicts], labels: Mapping[str, Mapping[str, Any]]) -> None:
    """Precision and recall of keeping, by part of the labels and by kind of page."""
    print(f"{'labels':18s} {'recipe':12s} {'keep: kept':28s} {'drop: removed':28s} {'kept that are keep':28s}")
    for part, rows in _parts(labels).items():
        for name, verdicts in found.items():
            kept: Counter[str] = Counter(row["label"] for url, row in rows.items() if is_kept(verdicts, url))
            all_of = Counter(row["label"] for row in rows.values())
            cells = (
                share(kept["keep"], all_of["keep"]),
                share(all_of["drop"] - kept["drop"], all_of["drop"]),
                share(kept["keep"], kept["keep"] + kept["drop"]),
            )
            print(f"{part:18s} {name:12s} " + " ".join(f"{cell:28s}" for cell in cells))
    print()
    names = list(found)
    print(f"{'kind':18s} {'keep':>5s} " + " ".join(f"{name:>12s}" for name in names) + "   kept of those labeled keep")
    kinds: dict[str, list[str]] = defaultdict(list)
    for rows in labels.values():
        for url, row in rows.items():
            if row["label"] == "keep":
                kinds[row["kind"]].append(url)
    for kind, urls in sorted(kinds.items(), key=lambda item: -len(item[1])):
        if len(urls) >= 5:
            counts = " ".join(f"{sum(is_kept(found[name], url) for url in urls):12d}" for name in names)
            print(f"{kind:18s} {len(urls):5d} {counts}")
    print()


def _parts(labels: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The labeled pages by where they are from."""
    parts: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, rows in labels.items():
        for url, row in rows.items():
            parts[row.get("pages", name).removeprefix("gold/").removesuffix(".warc.gz")][url] = row
    return parts


def word_overlap(text: str, gold: str) -> tuple[float, int, int]:
    """F1 of words, words of the text that are in the gold, and words of the text."""
    mine, theirs = Counter(_WORD.findall(text.lower())), Counter(_WORD.findall(gold.lower()))
    common, total = (mine & theirs).total(), mine.total() + theirs.total()
    return 2 * common / total if total else 0.0, common, mine.total()


def is_well_extracted(text: str, row: Mapping[str, Any]) -> bool:
    """Whether a page has enough main text, and the text enough of it."""
    gold = row["main_content"]
    return len(gold.split()) >= MIN_WORDS and word_overlap(text, gold)[0] >= MIN_F1


def print_gold(title: str, found: Mapping[str, Verdicts], gold: Mapping[str, Any]) -> None:
    """How many pages with main text are kept, by type of page, and how much of what is kept is not main text."""
    types = Counter(row["page_type"] for row in gold.values())
    print(
        f"{title:12s} {'well extracted, kept':28s} {'words not in gold':>17s} "
        + " ".join(f"{kind:>13s}" for kind in types)
    )
    for name, verdicts in found.items():
        good = good_kept = words = right = 0
        kept: Counter[str] = Counter()
        for url, row in gold.items():
            if url not in verdicts:
                continue
            _, common, total = word_overlap(verdicts[url].text, row["main_content"])
            if is_kept(verdicts, url):
                kept[row["page_type"]] += 1
                words, right = words + total, right + common
            if is_well_extracted(verdicts[url].text, row):
                good += 1
                good_kept += is_kept(verdicts, url)
        cells = " ".join(f"{kept[kind]:>6d} of {types[kind]:3d}" for kind in types)
        print(f"{name:12s} {share(good_kept, good):28s} {1 - right / max(words, 1):17.4f} {cells}")
    print()


def print_rules(
    name: str, verdicts: Verdicts, labels: Mapping[str, Mapping[str, Any]], gold: Mapping[str, Any], *, examples: bool
) -> None:
    """What each rule removes: labeled pages, and well-extracted pages with main text."""
    removed: dict[str, Counter[str]] = defaultdict(Counter)
    urls: dict[str, dict[str, str]] = defaultdict(dict)
    for rows in labels.values():
        for url, row in rows.items():
            rule = verdicts[url].rule if url in verdicts else "not read"
            if rule:
                removed[rule][row["label"]] += 1
                urls[rule].setdefault(row["label"], url)
    for url, row in gold.items():
        if url in verdicts and (rule := verdicts[url].rule) and is_well_extracted(verdicts[url].text, row):
            removed[rule]["good"] += 1
    print(f"{name + ': removed by':48s} {'keep':>5s} {'border':>6s} {'drop':>5s} {'WCXB, good':>11s}")
    for rule, counts in sorted(removed.items(), key=lambda item: -item[1].total()):
        print(f"{rule:48s} {counts['keep']:5d} {counts['borderline']:6d} {counts['drop']:5d} {counts['good']:11d}")
        if examples:
            for label, url in urls[rule].items():
                print(f"    {label}: {url}")
    print()


if __name__ == "__main__":
    main()
