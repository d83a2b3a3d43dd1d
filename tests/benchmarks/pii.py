"""Personal data: this project compared with presidio's analyzer engine and datatrove's PIIFormatter, on the same texts.

The engine has the same six recognizers, the same regions, a blank spaCy pipeline for its tokens, and no network. It
only finds, while this project finds, validates and replaces. datatrove replaces e-mail and IPv4 addresses, so it is
compared both with these types alone and with all types. Texts are the main content of the test pages, in all their
languages. Blocks of 64 go through the sides in turn, and a figure is the median over blocks, which is least affected by
other load. A second table has long texts: prose, an access log with one address per line, and a table of numbers.

    python tests/benchmarks/pii.py [--quick] [--long MEGABYTES]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove.pipeline.formatters import PIIFormatter
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding

from curation.filters.pii import REGIONS, Pii
from curation.pii.recognizers import has_public_suffix
from curation.stages.batch import Batch

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 64
Side = Callable[[list[str]], None]


def main() -> None:
    """Time all sides and print the tables."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="every twelfth page, long texts of one megabyte")
    options.add_argument("--long", type=float, default=10, help="size of each long text in megabytes")
    arguments = options.parse_args()
    sides = {
        "all": stage(Pii()),
        "email+ip": stage(Pii(types=("email", "ip"))),
        "presidio": presidio(),
        "datatrove": datatrove(),
    }
    texts = list(pages())[:: 12 if arguments.quick else 1]
    blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
    for side in sides.values():
        side(["first use: a@b.com (212) 736-5000"])
    rates = timed(sides, blocks)
    size = sum(map(len, texts)) / 1e6
    print(f"{len(texts)} pages, {size:.1f} million characters; medians over {len(blocks)} blocks\n")
    print(f"{'':12}{'MB/s':>10}{'documents/s':>14}")
    for name, rate in rates.items():
        print(f"{name:12}{rate:10.2f}{rate * len(texts) / size:14.0f}")
    long_texts(sides, 1 if arguments.quick else arguments.long)
    print()
    for ours, peer in (("all", "presidio"), ("all", "datatrove"), ("email+ip", "datatrove")):
        figure = {"name": f"pii.{ours}.{peer}", "ours": round(rates[ours], 3), "peer": round(rates[peer], 3)}
        print(json.dumps({**figure, "ratio": round(rates[ours] / rates[peer], 2), "unit": "MB/s", "n": len(texts)}))


def timed(sides: dict[str, Side], blocks: list[list[str]]) -> dict[str, float]:
    """Median rate of each side, in millions of characters per second."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number, block in enumerate(blocks):
        print(f"\rblock {number + 1} of {len(blocks)}", end="", file=sys.stderr, flush=True)
        for name, side in sides.items():
            started = time.perf_counter()
            side(block)
            rates[name].append(sum(map(len, block)) / (time.perf_counter() - started) / 1e6)
    print(file=sys.stderr)
    return {name: statistics.median(values) for name, values in rates.items()}


def long_texts(sides: dict[str, Side], megabytes: float) -> None:
    """Print the seconds that one long text takes on each side; presidio's are extrapolated, as it takes too long."""
    maker = random.Random(0)
    address = lambda: ".".join(str(maker.randrange(1, 255)) for _ in range(4))  # noqa: E731
    made = {
        "prose": lambda: "The quick brown fox jumps over the lazy dog, and after that it sleeps. ",
        "access log": lambda: f'{address()} - - [27/Nov/2020:10:11:12 +0100] "GET /page.html HTTP/1.1" 200 1832\n',
        "figures": lambda: " ".join(str(maker.randrange(10**6)) for _ in range(8)) + "\n",
    }
    print(f"\n{'one text, seconds':20}{'MB':>6}" + "".join(f"{name:>12}" for name in ("all", "datatrove", "presidio*")))
    for name, line in made.items():
        text, part = repeated(line, megabytes), repeated(line, 0.1)
        seconds = [once(sides[side], text) for side in ("all", "datatrove")]
        print(f"{name:20}{megabytes:6.1f}" + "".join(f"{value:12.2f}" for value in seconds), end="")
        print(f"{once(sides['presidio'], part) * megabytes / 0.1:12.2f}")
    print("* extrapolated from 0.1 MB of the same text")


def repeated(line: Callable[[], str], megabytes: float) -> str:
    """A text of lines, of the given size in megabytes."""
    lines, size = [], 0
    while size < megabytes * 1e6:
        lines.append(line())
        size += len(lines[-1])
    return "".join(lines)


def once(side: Side, text: str) -> float:
    """Seconds for one text."""
    started = time.perf_counter()
    side([text])
    return time.perf_counter() - started


def stage(pii: Pii) -> Side:
    """This project's stage, from texts to redacted texts."""

    def run(texts: list[str]) -> None:
        pii(Batch(pa.record_batch({"id": pa.array(map(str, range(len(texts)))), "text": pa.array(texts, pa.string())})))

    return run


def presidio() -> Side:
    """presidio's engine with the same recognizers."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer import predefined_recognizers as known
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    recognizers: list[Any] = [
        known.EmailRecognizer(),
        known.IpRecognizer(),
        known.CreditCardRecognizer(),
        known.IbanRecognizer(),
        known.UsSsnRecognizer(),
        known.PhoneRecognizer(supported_regions=REGIONS),
    ]
    recognizers[0].validate_result = has_public_suffix
    engine = SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    engine.nlp["en"].max_length = 1 << 30
    analyzer = AnalyzerEngine(RecognizerRegistry(recognizers), engine)

    def run(texts: list[str]) -> None:
        for text in texts:
            analyzer.analyze(text, "en")

    return run


def datatrove() -> Side:
    """datatrove's formatter with its defaults."""
    formatter = PIIFormatter()

    def run(texts: list[str]) -> None:
        for text in texts:
            formatter.format(text)

    return run


def pages() -> Iterator[str]:
    """The main text of every test page."""
    for candidate in (os.environ.get("CURATION_TEST_DATA"), ROOT.parent / "shared" / "data"):
        if candidate and (Path(candidate) / "web").is_dir():
            archives = sorted((Path(candidate) / "web").glob("*.warc.gz"))
            break
    else:
        sys.exit("no pages: set CURATION_TEST_DATA to the folder that contains web/")
    for path in archives:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response, parse_http=True):
                body = record.reader.read()
                if "html" in (record.http_content_type or "html"):
                    yield extract_plain_text(bytes_to_str(body, detect_encoding(body)), main_content=True)


if __name__ == "__main__":
    main()
