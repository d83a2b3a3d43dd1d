"""Personal data: this project compared with presidio's analyzer engine and datatrove's PIIFormatter, on the same texts.

The engine has the same six recognizers, the same regions, a blank spaCy pipeline for its tokens, and no network. It
only finds, while this project finds, validates and replaces. datatrove replaces e-mail and IPv4 addresses, so it is
compared both with these types alone and with all types. Texts are the main content of the test pages, in all their
languages. Blocks of 64 go through the sides in turn, each side in a process of its own, since memory that another one
has used and freed makes work slower. A figure is the median over blocks, in CPU time, which is least affected by other
load. A second table has long texts: prose, an access log with one address per line, and a table
of numbers.

A third table has what both sides find in the annotated texts of presidio-research. Found is the share of the annotated
values that one match covers completely, right the share of the matches that overlap an annotated value of their type.
presidio's matches of every score count; for names it uses the same language model. The last table has the speed on
texts that are made to be slow, of three rounds over all kinds: the median, and the best, since a machine that others
use is slower for some seconds, but never faster than it is.

    python tests/benchmarks/pii.py [--quick] [--long MEGABYTES]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pyarrow as pa
from datatrove.pipeline.formatters import PIIFormatter
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding
from sources import ROOT, shared_data

from curation.filters.pii import REGIONS, Pii
from curation.pii.find import find
from curation.pii.names import MODEL, NameFinder
from curation.stages.batch import Batch
from curation.text.hosts import has_public_suffix

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

BLOCK, ROUNDS = 64, 3
Work = Callable[[list[str]], None]
Matches = list[list[tuple[str, int, int]]]
"""For each text the type, start and end of each match."""
ENTITIES = {
    "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip", "PHONE_NUMBER": "phone", "CREDIT_CARD": "credit_card",
    "IBAN_CODE": "iban", "US_SSN": "us_ssn", "PERSON": "person", "LOCATION": "location",
}  # fmt: skip
"""presidio's types, in which the texts are annotated, and ours."""


def main() -> None:
    """Time all sides and print the tables."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="every twelfth page, long texts of one megabyte")
    options.add_argument("--long", type=float, default=10, help="size of each long text in megabytes")
    arguments = options.parse_args()
    sides = {name: Side(name) for name in WORK}
    texts = list(pages())[:: 12 if arguments.quick else 1]
    blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
    rates = timed(sides, blocks)
    size = sum(map(len, texts)) / 1e6
    print(f"{len(texts)} pages, {size:.1f} million characters; medians over {len(blocks)} blocks\n")
    print(f"{'':12}{'MB/s':>10}{'documents/s':>14}")
    for name, rate in rates.items():
        print(f"{name:12}{rate:10.2f}{rate * len(texts) / size:14.0f}")
    long_texts(sides, 1 if arguments.quick else arguments.long)
    figures = quality()
    figures += slow_texts(100_000 if arguments.quick else 1_000_000)
    print()
    for ours, peer in (("all", "presidio"), ("all", "datatrove"), ("email+ip", "datatrove")):
        figure = {"name": f"pii.{ours}.{peer}", "ours": round(rates[ours], 3), "peer": round(rates[peer], 3)}
        print(json.dumps({**figure, "ratio": round(rates[ours] / rates[peer], 2), "unit": "MB/s", "n": len(texts)}))
    for figure in figures:
        print(json.dumps(figure))


def quality() -> list[dict[str, Any]]:
    """Print what both sides find in the annotated texts, and return it as figures."""
    entries = json.loads((shared_data("pii") / "pii" / "presidio-research-generated.json").read_text(encoding="utf-8"))
    texts = [entry["full_text"] for entry in entries]
    gold: Matches = [
        [
            (ENTITIES[span["entity_type"]], span["start_position"], span["end_position"])
            for span in entry["spans"]
            if span["entity_type"] in ENTITIES
        ]
        for entry in entries
    ]
    sides = (found_here(texts), found_by_presidio(texts))
    print(f"\n{len(texts)} annotated texts     ours            presidio")
    print(f"{'':14}{'values':>8}{'found':>10}{'right':>8}{'found':>10}{'right':>8}")
    figures = []
    for kind in dict.fromkeys(ENTITIES.values()):
        scores = [shares(kind, gold, matches) for matches in sides]
        values = sum(one[0] == kind for row in gold for one in row)
        print(f"{kind:14}{values:8}" + "".join(f"{found:10.3f}{right:8.3f}" for found, right in scores))
        for name, ours, peer in zip(("found", "right"), *scores, strict=True):
            ratio = round(ours / peer, 2) if peer else None
            figure = {"name": f"pii.{name}.{kind}", "ours": round(ours, 3), "peer": round(peer, 3), "ratio": ratio}
            figures.append({**figure, "unit": "share", "n": values})
    return figures


def shares(kind: str, gold: Matches, matches: Matches) -> tuple[float, float]:
    """The share of annotated values that are found, and the share of matches that are right."""
    values = found = right = made = 0
    for spans, ours in zip(gold, matches, strict=True):
        wanted = [span[1:] for span in spans if span[0] == kind]
        here = [match[1:] for match in ours if match[0] == kind]
        values, made = values + len(wanted), made + len(here)
        found += sum(any(start <= first and last <= end for start, end in here) for first, last in wanted)
        right += sum(any(start < last and first < end for first, last in wanted) for start, end in here)
    return found / max(1, values), right / max(1, made)


def found_here(texts: list[str]) -> Matches:
    """What this project finds, kept values included, and the names in what is left, as the stage does."""
    pii = Pii(names=True, places=True)
    column = pa.array(texts, pa.string())
    found = find(column, pii._search())
    hidden = dict(enumerate(texts))
    for row, matches in found.items():
        for match in matches:
            # A name never contains a line end.
            hidden[row] = hidden[row][: match.start] + "\n" * (match.end - match.start) + hidden[row][match.end :]
    names = NameFinder(frozenset(("person", "location"))).find(hidden)
    return [
        [(match.kind, match.start, match.end) for match in (*found.get(row, []), *names.get(row, []))]
        for row in range(len(texts))
    ]


def found_by_presidio(texts: list[str]) -> Matches:
    """What presidio's engine finds, with its recognizer of names and the same language model."""
    from presidio_analyzer import predefined_recognizers as known
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    numbers = presidio_engine()
    names = SpacyNlpEngine([{"lang_code": "en", "model_name": MODEL}])
    names.load()
    recognizer = known.SpacyRecognizer()
    matches: Matches = []
    for text in texts:
        results = list(numbers.analyze(text, "en"))
        results += recognizer.analyze(text, ["PERSON", "LOCATION"], names.process_text(text, "en"))
        matches.append([(ENTITIES[one.entity_type], one.start, one.end) for one in results])
    return matches


def slow_texts(size: int) -> list[dict[str, Any]]:
    """Print the speed on texts that are made to be slow, and return the lowest as a figure."""
    from personal_texts import LINES, adversarial

    side = Side("all")
    found: dict[str, list[float]] = {kind: [] for kind in LINES}
    for kind in LINES:
        side([adversarial(kind, size // 10, ROUNDS)])
    for seed in range(ROUNDS):
        print(f"\rround {seed + 1} of {ROUNDS}", end="", file=sys.stderr, flush=True)
        for kind, rates in found.items():
            text = adversarial(kind, size, seed)
            rates.append(len(text.encode()) / side([text]) / 1e6)
    print(file=sys.stderr)
    print(f"\n{'texts that are made to be slow, MB/s':36}{'median':>8}{'best':>8}")
    for kind, rates in found.items():
        print(f"{kind:36}{statistics.median(rates):8.2f}{max(rates):8.2f}")
    slowest = {"median": min(map(statistics.median, found.values())), "best": min(map(max, found.values()))}
    return [
        {
            "name": f"pii.slowest_text.{name}",
            "ours": round(rate, 2),
            "peer": None,
            "ratio": None,
            "unit": "MB/s",
            "n": len(found),
        }
        for name, rate in slowest.items()
    ]


def timed(sides: dict[str, Side], blocks: list[list[str]]) -> dict[str, float]:
    """Median rate of each side, in millions of characters per CPU second."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number, block in enumerate(blocks):
        print(f"\rblock {number + 1} of {len(blocks)}", end="", file=sys.stderr, flush=True)
        for name, side in sides.items():
            rates[name].append(sum(map(len, block)) / side(block) / 1e6)
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
        seconds = [sides[side]([text]) for side in ("all", "datatrove")]
        print(f"{name:20}{megabytes:6.1f}" + "".join(f"{value:12.2f}" for value in seconds), end="")
        print(f"{sides['presidio']([part]) * megabytes / 0.1:12.2f}")
    print("* extrapolated from 0.1 MB of the same text")


def repeated(line: Callable[[], str], megabytes: float) -> str:
    """A text of lines, of the given size in megabytes."""
    lines, size = [], 0
    while size < megabytes * 1e6:
        lines.append(line())
        size += len(lines[-1])
    return "".join(lines)


class Side:
    """One of the sides, in a process of its own.

    Args:
        name: Its name in WORK.
    """

    def __init__(self, name: str) -> None:
        self._process = ProcessPoolExecutor(1, get_context("spawn"), initializer=begin, initargs=(name,))

    def __call__(self, texts: list[str]) -> float:
        """The CPU seconds that it takes for some texts."""
        return self._process.submit(once, texts).result()


def begin(name: str) -> None:
    """Get ready to do the work of a side in this process."""
    global work
    work = WORK[name]()
    work(["first use: a@b.com (212) 736-5000"])


def once(texts: list[str]) -> float:
    """Do the work of this process once, and return its CPU seconds."""
    started = time.process_time()
    work(texts)
    return time.process_time() - started


def stage(pii: Pii) -> Work:
    """This project's stage, from texts to redacted texts."""

    def run(texts: list[str]) -> None:
        pii(Batch(pa.record_batch({"id": pa.array(map(str, range(len(texts)))), "text": pa.array(texts, pa.string())})))

    return run


def presidio() -> Work:
    """presidio's engine with the same recognizers."""
    analyzer = presidio_engine()

    def run(texts: list[str]) -> None:
        for text in texts:
            analyzer.analyze(text, "en")

    return run


def presidio_engine() -> Any:
    """presidio's analyzer with the same six recognizers and a pipeline that only makes tokens."""
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
    # presidio downloads a list of suffixes on first use, and takes the complete address for a URL.
    recognizers[0].validate_result = lambda address: has_public_suffix(address.rpartition("@")[2])
    engine = SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    engine.nlp["en"].max_length = 1 << 30
    return AnalyzerEngine(RecognizerRegistry(recognizers), engine)


def datatrove() -> Work:
    """datatrove's formatter with its defaults."""
    formatter = PIIFormatter()

    def run(texts: list[str]) -> None:
        for text in texts:
            formatter.format(text)

    return run


WORK: dict[str, Callable[[], Work]] = {
    "all": lambda: stage(Pii()),
    "email+ip": lambda: stage(Pii(types=("email", "ip"))),
    "presidio": presidio,
    "datatrove": datatrove,
}
"""How each side prepares its work."""
work: Work


def pages() -> Iterator[str]:
    """The main text of every test page."""
    for path in sorted((shared_data("pii") / "web").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response, parse_http=True):
                body = record.reader.read()
                if "html" in (record.http_content_type or "html"):
                    yield extract_plain_text(bytes_to_str(body, detect_encoding(body)), main_content=True)


if __name__ == "__main__":
    main()
