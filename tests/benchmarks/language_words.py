"""Words by language: the tokenizers of each language next to datatrove's, on the same sentences.

The words of a block of texts are found by ours, then by datatrove's tokenizer for the language, in processor time. Each
text is new to both. A second pass of ours over the same texts shows what the memory of chunks is worth, as in a crawl,
where most chunks were seen before. Languages whose library is not installed are left out.

    python tests/benchmarks/language_words.py [--quick]
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datatrove.utils.word_tokenizers import load_word_tokenizer
from sources import shared_data

from curation.language.labels import label_of
from curation.language.words import language_words, missing
from curation.text import views

QUICK = ("de", "es", "fr", "pl", "ru", "ar", "zh", "th")
SENTENCES = 10
"""Sentences per text."""
BLOCK = 5
WARM_UP = "abc."


def main() -> None:
    """Measure and print a row and a figure per language."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    chosen = options.parse_args()
    figures = []
    print("| language | tokenizer | ours, ms per 1M characters | seen before | datatrove | ratio | seen before |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for code, texts in texts_by_language(shared_data("language")):
        label = label_of(code)
        if (chosen.quick and code not in QUICK) or missing(label):
            continue
        ours, again, peer, tokenizer = measure(label, texts)
        ratios = f"{peer / ours:.1f} | {peer / again:.1f}"
        print(f"| {label} | {tokenizer} | {ours:,.0f} | {again:,.0f} | {peer:,.0f} | {ratios} |")
        figures.append(figure(f"words.{label}", ours, peer, len(texts)))
        figures.append(figure(f"words.{label}.seen", again, peer, len(texts)))
    for each in figures:
        print(json.dumps(each))


def texts_by_language(data: Path) -> Iterator[tuple[str, list[str]]]:
    """The code of each language, and its sentences joined to texts."""
    sentences: dict[str, list[str]] = defaultdict(list)
    with gzip.open(data / "language" / "lingua-sentences.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            code, _, sentence = line.rstrip("\n").partition("\t")
            sentences[code].append(sentence)
    for code, own in sorted(sentences.items()):
        yield code, [" ".join(own[at : at + SENTENCES]) for at in range(0, len(own), SENTENCES)]


def measure(label: str, texts: list[str]) -> tuple[float, float, float, str]:
    """Milliseconds per million characters: ours at first, ours again, datatrove's; and the name of its tokenizer."""
    tokenizer = load_word_tokenizer(label)
    words_of([WARM_UP], label)
    tokenizer.word_tokenize(WARM_UP)
    spent = {"ours": 0.0, "again": 0.0, "peer": 0.0}
    for begin in range(0, len(texts), BLOCK):
        block = texts[begin : begin + BLOCK]
        started = time.process_time()
        words_of(block, label)
        between = time.process_time()
        for text in block:
            tokenizer.word_tokenize(text)
        spent["ours"] += between - started
        spent["peer"] += time.process_time() - between
    started = time.process_time()
    for begin in range(0, len(texts), BLOCK):
        words_of(texts[begin : begin + BLOCK], label)
    spent["again"] = time.process_time() - started
    size = sum(map(len, texts)) / 1e9
    return spent["ours"] / size, spent["again"] / size, spent["peer"] / size, type(tokenizer).__name__


def words_of(texts: list[str], label: str) -> views.Words:
    """The words of texts in a language."""
    return language_words(views.flat(texts), views.Labels((label,) * len(texts)))


def figure(name: str, ours: float, peer: float, number: int) -> dict[str, Any]:
    """One figure as all benchmarks print it."""
    unit = "ms/M characters (datatrove's tokenizer)"
    ratio = round(peer / ours, 2)
    return {"name": name, "ours": round(ours, 1), "peer": round(peer, 1), "ratio": ratio, "unit": unit, "n": number}


if __name__ == "__main__":
    main()
