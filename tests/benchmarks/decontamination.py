"""Decontamination compared with datatrove's n-gram filter: the same texts and items, in turn, one process each.

Texts are the main content of the test pages; items are the three suites of the test data. datatrove looks for 12-grams
of question and answer by hash (`find_query_ngrams`), with hashes computed by its indexer. Both sides also look for
1,000 planted items, as `curate decontaminate --plant` plants them, so that recall is compared, too. Our index is timed
and measured for 100,000 items, copies of the suites with their words shuffled, in a process of its own.

    python tests/benchmarks/decontamination.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
from sources import PEER, ROOT, page_texts, shared_data

from curation.decontamination.evals import suites
from curation.decontamination.planting import plants
from curation.filters.decontaminate import Decontaminate
from curation.stages.batch import Batch

BATCH = 256
PLANTS = 1000
SEED = 99

PEER_PROGRAM = """
import json, sys, time
import numpy as np
from datatrove.data import Document
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter, NGramsDecontIndexer
folder = sys.argv[1]
config = NGramsDecontConfig(find_query_ngrams=True)
NGramsDecontIndexer._requires_dependencies = []
indexer = NGramsDecontIndexer(folder + "/index", config=config)
hashes = set()
for question, answer in json.load(open(folder + "/items.json")):
    hashes.update(indexer.compute_hashes(answer, question))
with indexer.output_folder.open("suites.index.hashes", mode="wb") as file:
    np.array(list(hashes), dtype=config.hash_config.np_descr).tofile(file)
stage = NGramsDecontFilter(folder + "/index", config=config)
def found(documents):
    started = time.process_time()
    kept = [stage.filter(document) for document in documents]
    return time.process_time() - started, [keep is not True for keep in kept]
stage.filter(Document(text="warm up", id="0"))
result = {}
for name in ("texts", "planted"):
    texts = json.load(open(f"{folder}/{name}.json"))
    result[name] = found([Document(text=text, id=str(number)) for number, text in enumerate(texts)])
print(json.dumps(result))
"""

LARGE = """
import random, resource, sys, time
from curation.decontamination.evals import Item, suites
from curation.decontamination.index import build_index
import pyarrow as pa
items = [item for suite in suites((sys.argv[1],)) for item in suite.items()]
build_index(items[:10], 10)
def copies(count):
    for number in range(count):
        item, chance = items[number % len(items)], random.Random(number)
        words = item.question.split()
        chance.shuffle(words)
        yield Item(item.suite, str(number), " ".join(words), item.answer, "", item.choices)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
index = build_index(copies(100_000), 10)
spent = time.process_time() - started
print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, before / 1024)
texts = pa.array([" ".join(text.split()) for text in open(sys.argv[2]).read().split("\\f")])
index.find(texts[:1], (0.6, 0.7, 0.6))
best = []
for _ in range(5):
    started = time.process_time()
    index.find(texts, (0.6, 0.7, 0.6))
    best.append(time.process_time() - started)
print(min(best))
"""


def main() -> None:
    """Time both sides and print the table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="every eighth page, under two minutes")
    quick = options.parse_args().quick
    texts = list(page_texts(8 if quick else 2))
    evals = str(shared_data() / "evals")
    items = [item for suite in suites((evals,)) for item in suite.items()]
    planted = list(plants(items, texts, PLANTS // 4 if quick else PLANTS, SEED))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "texts.json").write_text(json.dumps(texts))
        (folder / "planted.json").write_text(json.dumps([plant.text for plant in planted]))
        (folder / "items.json").write_text(json.dumps([(item.question, item.answer) for item in items]))
        stage = Decontaminate(against=(evals,))
        started = time.process_time()
        run(stage, texts[:1])
        print(f"index of {len(items):,} items: {time.process_time() - started:.1f} s")
        mine = min((run(stage, texts) for _ in range(3)), key=lambda each: each[0])
        theirs = peer(name)
        size = sum(len(text.encode()) for text in texts)
        per = [seconds * 1e6 / (size / 4096) for seconds in (mine[0], theirs["texts"][0])]
        print(f"{len(texts):,} texts of {size / len(texts):,.0f} bytes on average; CPU per 4 kB of text")
        print(f"{'':<12} {'ours':>10} {'datatrove':>10}")
        print(f"{'µs per 4 kB':<12} {per[0]:>10.1f} {per[1]:>10.1f}  {per[1] / per[0]:.0f} times")
        print(f"{'flagged':<12} {sum(mine[1]):>10} {sum(theirs['texts'][1]):>10}")
        hits = [Counter[str](), Counter[str]()]
        tried = Counter(plant.kind for plant in planted)
        for side, flags in enumerate((run(stage, [plant.text for plant in planted])[1], theirs["planted"][1])):
            hits[side].update(plant.kind for plant, flag in zip(planted, flags, strict=True) if flag)
        for kind in tried:
            shares = [hits[side][kind] / tried[kind] for side in (0, 1)]
            print(f"{kind:<12} {shares[0]:>10.3f} {shares[1]:>10.3f}  recall")
        (folder / "texts.txt").write_text("\f".join(texts))
        spent, most, before, seconds = large(evals, str(folder / "texts.txt"))
        print(f"100,000 items: index in {spent:.1f} s, process {most:,.0f} MB at most ({before:,.0f} MB before)")
        print(f"             : {seconds * 1e6 / (size / 4096):.1f} µs per 4 kB")
    n = len(texts)
    found = [sum(each.values()) / len(planted) for each in hits]
    for figure, ours, theirs_, unit in (
        ("decontamination, documents", per[0], per[1], "µs per 4 kB"),
        ("decontamination, recall of plants", *found, "share"),
    ):  # fmt: skip
        ratio = ours / theirs_ if unit == "share" else theirs_ / ours
        values = {"name": figure, "ours": round(ours, 3), "peer": round(theirs_, 3), "ratio": round(ratio, 2)}
        print(json.dumps({**values, "unit": unit, "n": len(planted) if unit == "share" else n}))


def run(stage: Decontaminate, texts: list[str]) -> tuple[float, list[bool]]:
    """CPU seconds of the stage on all texts, and whether an item was found in each."""
    spent, flags = 0.0, []
    for first in range(0, len(texts), BATCH):
        part = texts[first : first + BATCH]
        batch = Batch(pa.record_batch({"id": [str(number) for number in range(len(part))], "text": part}))
        started = time.process_time()
        outcome = stage(batch)
        spent += time.process_time() - started
        flags += outcome.signals.field("outcome").is_valid().to_pylist()
    return spent, flags


def peer(folder: str) -> dict[str, Any]:
    """The same of datatrove's filter."""
    done = subprocess.run([PEER, "-c", PEER_PROGRAM, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"datatrove failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def large(evals: str, texts: str) -> list[float]:
    """CPU seconds and memory of an index of 100,000 items, memory before, and CPU seconds to match the texts."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", LARGE, evals, texts], capture_output=True, text=True, check=True, env=environment
    )
    return [float(value) for value in done.stdout.split()]


if __name__ == "__main__":
    main()
