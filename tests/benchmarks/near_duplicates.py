"""A corpus of any size, of real text, with known near-duplicates of given Jaccard similarities.

Paragraphs of real pages are drawn at random and joined to documents of about 500 words. Some documents get an edited
copy, in which words far enough apart are replaced. Each replacement removes five 5-grams and adds five new ones, so k
of them in n words give a similarity of (n − 5k) / (n + 5k). The exact similarity is computed afterwards.

    python tests/benchmarks/near_duplicates.py --documents 100000 --out DIR [--text FOLDER]
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "support")]

import pyarrow as pa  # noqa: E402
from conftest import find_shared_data  # noqa: E402
from pages import texts  # noqa: E402

from curation.store import schema  # noqa: E402
from curation.store.folder import Folder  # noqa: E402
from curation.store.shards import ShardWriter  # noqa: E402

SIMILARITIES = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

SHARE_COPIES = 0.25
"""Share of documents that are an edited copy of the previous one."""

WORDS = 500


@dataclass(frozen=True, slots=True)
class GeneratedDocument:
    """A document; for an edited copy, also the index of its original and the target similarity."""

    text: str
    original: int | None = None
    similarity: float | None = None


def paragraphs(folder: Path | None) -> list[str]:
    """Paragraphs of at least 20 words, from the test pages or from all HTML and text files below a folder."""
    data = find_shared_data()
    if folder is not None:
        sources: Iterator[str] = map(
            _read, sorted(p for p in folder.rglob("*") if p.suffix in (".html", ".txt", ".htm"))
        )
    elif data is not None:
        sources = iter(texts(data))
    else:
        sys.exit("no test data: set CURATION_TEST_DATA, or pass a folder of HTML or text files with --text")
    found = {line.strip() for text in sources for line in text.splitlines() if len(line.split()) >= 20}
    if len(found) < 1000:
        sys.exit(f"only {len(found)} paragraphs of at least 20 words, 1000 needed")
    return sorted(found)


def _read(path: Path) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    text = path.read_text(encoding="utf-8", errors="replace")
    return extract_plain_text(text) if path.suffix != ".txt" else text


def generate(documents: int, pool: Sequence[str], seed: int = 1) -> Iterator[GeneratedDocument]:
    """Generate documents, the same ones for the same seed."""
    chance = random.Random(seed)
    words = re.findall(r"[a-z]{4,}", " ".join(pool[:2000]).lower())
    last: list[str] = []
    copied = True
    for place in range(documents):
        if not copied and chance.random() < SHARE_COPIES / (1 - SHARE_COPIES):
            similarity = chance.choice(SIMILARITIES)
            yield GeneratedDocument("\n".join(edit(last, similarity, words, chance)), place - 1, similarity)
            copied = True
            continue
        last, size = [], 0
        while size < WORDS:
            last.append(chance.choice(pool))
            size += len(last[-1].split())
        yield GeneratedDocument("\n".join(last))
        copied = False


def edit(lines: Sequence[str], similarity: float, words: Sequence[str], chance: random.Random) -> list[str]:
    """The lines with words replaced, so that the similarity of their 5-grams is about `similarity`."""
    split = [line.split() for line in lines]
    places = [(row, place) for row, line in enumerate(split) for place in range(len(line))]
    count = round(len(places) * (1 - similarity) / (1 + similarity) / 5)
    step = len(places) // max(count, 1)
    for number in range(count):
        row, place = places[number * step + chance.randrange(max(1, step - 4))]
        split[row][place] = chance.choice(words)
    return [" ".join(line) for line in split]


@cache
def _reference_words():  # type: ignore[no-untyped-def]
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    return load_word_tokenizer("eng")


def jaccard(left: str, right: str) -> float:
    """Exact similarity of the 5-grams of two normalized texts, with words split as in the reference."""
    from datatrove.utils.text import ngrams, simplify_text

    one, other = ({*ngrams(_reference_words().word_tokenize(simplify_text(text)), 5)} for text in (left, right))
    return len(one & other) / len(one | other) if one | other else 0.0


def write(folder: Folder, documents: Iterator[GeneratedDocument], shard_documents: int = 5000) -> list[str]:
    """Write documents/<shard>.parquet with ids 0, 1, 2, …; returns the names of the shards."""
    names: list[str] = []
    rows: list[dict[str, str]] = []

    def flush() -> None:
        names.append(f"generated-{len(names):05d}")
        with ShardWriter(folder, f"documents/{names[-1]}.parquet", schema.DOCUMENT) as writer:
            writer.write(pa.RecordBatch.from_pylist(rows, schema=schema.DOCUMENT))
        rows.clear()

    for place, document in enumerate(documents):
        rows.append({"text": document.text, "id": str(place)})
        if len(rows) == shard_documents:
            flush()
    if rows:
        flush()
    return names


def main() -> None:
    """Write a corpus, and pairs.csv with the copies and their exact similarities."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--out", required=True)
    parser.add_argument("--text", type=Path)
    arguments = parser.parse_args()
    documents = list(generate(arguments.documents, paragraphs(arguments.text)))
    folder = Folder(arguments.out)
    write(folder, iter(documents))
    lines = ["document,original,similarity\n"]
    for place, document in enumerate(documents):
        if document.original is not None:
            lines.append(
                f"{place},{document.original},{jaccard(document.text, documents[document.original].text):.4f}\n"
            )
    folder.write("pairs.csv", "".join(lines).encode())


if __name__ == "__main__":
    main()
