"""Encoding: corpus Parquet to token Parquet, compared with tokenizers and with gigatoken alone, on the same text.

The text is that of the pages in the test data's web/ (the whole page with boilerplate, to have more of it), four times,
with the copies altered; or that of the HTML files below --html, such as Debian's documentation packages. Ours is the
whole step on two workers: read the corpus, encode, fill token_count, measure the tokenizer, shuffle, pack, write. Its
first pass, everything except packing, is also shown alone. tokenizers runs `encode_batch_fast` on Python strings with
all cores, gigatoken runs `encode_batch` on the same; neither writes anything. Every side starts with its tokenizer
loaded and its caches empty.

    python tests/benchmarks/encoding.py [--quick] [--runs N] [--html DIR] [--vocabulary N] [--repeat N]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "support")]

import pyarrow as pa  # noqa: E402
import tokenizers  # noqa: E402
from conftest import find_shared_data  # noqa: E402
from tokenized import END, train_tokenizer, write_corpus  # noqa: E402

from curation.jobs.steps.progress import Progress, StepProgress  # noqa: E402
from curation.jobs.steps.tokenize import ENCODE, make_tokens  # noqa: E402
from curation.running.cluster import Cluster, open_cluster  # noqa: E402
from curation.store.folder import Folder  # noqa: E402
from curation.tokenize.encoding.encode_shards import read_encoder  # noqa: E402
from curation.tokenize.encoding.token_shards import TokensSettings  # noqa: E402

SHARDS = 8
TRAINING_CHARACTERS = 10_000_000
BATCH = 1024
LONG_WORD, LETTERS = re.compile(r"[a-z]{6,20}"), "abcdefghijklmnopqrstuvwxyz"


def web_texts(archives: Sequence[Path]) -> Iterator[str]:
    """The whole text of every page of the archives."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    for path in archives:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response, parse_http=True):
                yield extract_plain_text(record.reader.read().decode("utf-8", "replace"), main_content=False)


def html_texts(folder: Path) -> Iterator[str]:
    """The whole text of every HTML file below a folder."""
    from resiliparse.extract.html2text import extract_plain_text

    for path in sorted(folder.rglob("*.html")):
        if path.is_file():
            yield extract_plain_text(path.read_bytes().decode("utf-8", "replace"), main_content=False)


def altered(text: str, copy: int) -> str:
    """The text with a tenth of its longer words respelled, so that no copy is in a cache."""

    def respell(match: re.Match[str]) -> str:
        word = match[0]
        drawn = zlib.crc32(f"{copy} {word}".encode())
        other = f"{word[:-2]}{LETTERS[drawn % 26]}{LETTERS[drawn // 26 % 26]}"
        return other if drawn // 676 % 10 == 0 else word

    return LONG_WORD.sub(respell, text)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def load_afresh(url: str, tokenizer: str) -> None:
    """Load the encoder that tasks on this worker will use, with empty caches."""
    read_encoder.cache_clear()
    read_encoder(url, tokenizer)(pa.array(["a"]))


class TimedProgress(Progress):
    """Records the seconds of each part of the step, and prints nothing."""

    def __init__(self) -> None:
        super().__init__("silent")
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, total: int, done: int = 0, unit: str = "shards") -> Iterator[StepProgress]:
        """Time one part of the step."""
        with super().step(name, total, done, unit) as step:
            yield step
        self.seconds[name] = step.seconds


class Sides:
    """The sides to time, each over all texts."""

    def __init__(self, texts: Sequence[str], folder: Folder, cluster: Cluster) -> None:
        self.texts, self.folder, self.cluster, self.runs = texts, folder, cluster, 0
        self.progress = TimedProgress()
        self.definition = folder.read("tokenizer/tokenizer.json")
        self.reference = tokenizers.Tokenizer.from_str(self.definition.decode())
        self.reference.encode_special_tokens = True
        self.tokens = 0

    def by_tokenizers(self) -> None:
        """Run encode_batch_fast with 1,024 documents per call."""
        self.tokens = 0
        for first in range(0, len(self.texts), BATCH):
            encoded = self.reference.encode_batch_fast(self.texts[first : first + BATCH], add_special_tokens=False)
            self.tokens += sum(map(len, encoded))

    def by_gigatoken(self) -> None:
        """Call encode_batch of a fresh tokenizer once, on both cores."""
        self.fresh.encode_batch(self.texts, parallel=True)

    def prepare_gigatoken(self) -> None:
        """Load a tokenizer with empty caches."""
        from gigatoken.gigatoken_rs import load_hf_json

        self.fresh = load_hf_json(self.definition.decode())

    def prepare_step(self) -> None:
        """Remove the token set, and empty the workers' caches: gigatoken caches words."""
        for path in ("tokens", "manifests", "performance", "tokenizer/report.json"):
            self.folder.remove(path)
        if self.cluster.client is not None:
            self.cluster.client.run(load_afresh, self.folder.url, self.folder.hash("tokenizer/tokenizer.json")[1])

    def by_step(self) -> None:
        """Run the whole step, with a new fingerprint each time so that nothing counts as done."""
        self.runs += 1
        shards = [f"s{number}" for number in range(SHARDS)]
        fingerprint = f"run {self.runs}"
        made = make_tokens(self.folder, shards, TokensSettings(), [fingerprint], self.cluster, self.progress)
        if self.tokens and made.counts["corpus_tokens"] != self.tokens:
            raise SystemExit(f"{made.counts['corpus_tokens']} tokens, but {self.tokens} by tokenizers")


def sample(texts: Sequence[str]) -> list[str]:
    """Texts to train on, with the end token's spelling removed."""
    chosen, characters = [], 0
    for text in texts:
        if characters > TRAINING_CHARACTERS:
            break
        chosen.append(text.replace(END, " "))
        characters += len(text)
    return chosen


def measure(texts: Sequence[str], vocabulary: int, runs: int) -> dict[str, list[float]]:
    """Seconds of each side in each run."""
    with tempfile.TemporaryDirectory() as scratch, open_cluster(workers=2) as cluster:
        folder = Folder(scratch)
        write_corpus(folder, {f"s{number}": texts[number::SHARDS] for number in range(SHARDS)})
        tokenizer = train_tokenizer(sample(texts), vocabulary)
        folder.write("tokenizer/tokenizer.json", tokenizer.to_str().encode())
        sides = Sides(texts, folder, cluster)
        sides.by_step()
        found: dict[str, list[float]] = {"tokenizers": [], "gigatoken": [], "pass": [], "step": []}
        for _ in range(runs):
            found["tokenizers"].append(seconds(sides.by_tokenizers))
            sides.prepare_gigatoken()
            found["gigatoken"].append(seconds(sides.by_gigatoken))
            sides.prepare_step()
            found["step"].append(seconds(sides.by_step))
            found["pass"].append(sides.progress.seconds[ENCODE])
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a quarter of the pages, one run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--html", type=Path, help="HTML files below this folder instead of the web pages")
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--repeat", type=int, default=4, help="copies of each text, altered except for the first")
    options = parser.parse_args()
    texts = [text for text in read_texts(options.html, options.quick) if text]
    repeat = 1 if options.quick else options.repeat
    texts += [altered(text, copy) for copy in range(1, repeat) for text in texts]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    runs = 1 if options.quick else options.runs
    found = measure(texts, options.vocabulary, runs)
    speeds = {name: megabytes / statistics.median(values) for name, values in found.items()}
    print(f"{len(texts):,} documents, {megabytes:.1f} MB, median of {runs} runs, two cores")
    for name, speed in speeds.items():
        print(f"  {NAMES[name]:<58} {speed:8.1f} MB/s")
    for side, peer in (("step", "tokenizers"), ("step", "gigatoken"), ("pass", "gigatoken")):
        ratios = [theirs / mine for mine, theirs in zip(found[side], found[peer], strict=True)]
        figure = {"name": f"encoding.{side}_against_{peer}", "ours": round(speeds[side], 2)}
        figure |= {"peer": round(speeds[peer], 2), "ratio": round(statistics.median(ratios), 3)}
        print(json.dumps({**figure, "unit": "MB/s", "n": len(texts)}))


NAMES = {
    "tokenizers": "tokenizers, encode_batch_fast, nothing written",
    "gigatoken": "gigatoken, encode_batch, nothing written",
    "pass": "first pass: fill token_count, write tokens in shuffled order",
    "step": "corpus Parquet to shuffled, packed token Parquet",
}


def read_texts(html: Path | None, quick: bool) -> Iterator[str]:
    """The texts to encode."""
    if html is not None:
        return html_texts(html)
    data = find_shared_data()
    if data is None:
        sys.exit("no pages: set CURATION_TEST_DATA to the folder that contains web/, or pass a folder with --html")
    archives = sorted((data / "web").glob("*.warc.gz"))
    return web_texts(archives[:2] if quick else archives)


if __name__ == "__main__":
    main()
