"""Quality models compared with datatrove's filter: the same fastText models and texts, in turn, one process each.

Texts are the main content of the test pages, cut to 4,000 characters. fastText trains the models, in datatrove's
environment (`make peers`): pages with long text against others, which gives a model of the usual size. datatrove's
`FastTextClassifierFilter` calls the library; our side is the stage `quality`, from a column of texts to verdicts. The
scores of both sides are compared. The linear model is compared with datatrove and the unquantized fastText model.

    python tests/benchmarks/quality.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from sources import PEER, page_texts

from curation.filters.quality import Quality
from curation.quality.train import Examples, train_linear
from curation.stages.batch import Batch

CHARACTERS = 4000
BATCH = 256

TRAIN = """
import fasttext, sys
folder = sys.argv[1]
model = fasttext.train_supervised(folder + "/lines.txt", dim=100, wordNgrams=2, bucket=1 << 20, epoch=3, thread=1,
                                  minCount=2, verbose=0)
model.save_model(folder + "/plain.bin")
model.quantize(input=folder + "/lines.txt", qnorm=True, cutoff=100_000, retrain=False)
model.save_model(folder + "/quantized.ftz")
"""

PEER_PROGRAM = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters.fasttext_filter import FastTextClassifierFilter
folder, model = sys.argv[1], sys.argv[2]
texts = json.load(open(folder + "/texts.json"))
stage = FastTextClassifierFilter(model, keep_labels=("hq", 0.5), newline_replacement=" ")
stage.filter(Document(text="warm up", id="0"))
times, scores = [], []
for _ in range(3):
    documents = [Document(text=text, id=str(number)) for number, text in enumerate(texts)]
    started = time.process_time()
    for document in documents:
        stage.filter(document)
    times.append(time.process_time() - started)
    scores = [document.metadata["__label__hq"] for document in documents]
print(json.dumps({"seconds": min(times), "scores": scores}))
"""


def main() -> None:
    """Time both sides and print the table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="every fourth page, under two minutes")
    quick = options.parse_args().quick
    texts = [text[:CHARACTERS] for text in page_texts(4 if quick else 1)]
    good = np.array([len(text) == CHARACTERS for text in texts])
    texts = [text.strip() for text in texts]  # as datatrove does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "texts.json").write_text(json.dumps(texts))
        labels = ["hq" if each else "other" for each in good]
        lines = (f"__label__{label} {' '.join(text.split())}\n" for label, text in zip(labels, texts, strict=True))
        (folder / "lines.txt").write_text("".join(lines))
        subprocess.run([PEER, "-c", TRAIN, name], check=True)
        domains = np.array([str(number) for number in range(len(texts))], object)
        train_linear(Examples(pa.array(texts), good, domains)).save(folder / "linear.npz")
        size = sum(len(text.encode()) for text in texts) / len(texts)
        print(f"{len(texts):,} texts of {size:,.0f} bytes on average; milliseconds of CPU per text, best of 3")
        figures, theirs = [], {}
        for file, title in (
            ("plain.bin", "fastText, 1 M buckets, bigrams"), ("quantized.ftz", "the same, quantized"),
            ("linear.npz", "linear model beside fastText"),
        ):  # fmt: skip
            mine, scores = ours(texts, folder / file)
            if file != "linear.npz":
                theirs[file] = peer(name, folder / file)
                different = int((np.abs(scores - np.array(theirs[file]["scores"])) > 1e-7).sum())
                title += "" if different == 0 else f" ({different} scores differ)"
            other = theirs["plain.bin" if file == "linear.npz" else file]["seconds"]
            each, their = (seconds * 1000 / len(texts) for seconds in (mine, other))
            print(f"{title:<40} {each:7.4f}  datatrove {their:7.4f}  {their / each:5.1f} times, {1000 / each:,.0f}/s")
            figures.append((f"quality score, {title}", each, their))
    for title, each, their in figures:
        figure = {"name": title, "ours": round(each, 4), "peer": round(their, 4), "ratio": round(their / each, 1)}
        print(json.dumps({**figure, "unit": "ms per text", "n": len(texts)}))


def ours(texts: list[str], model: Path) -> tuple[float, np.ndarray]:
    """CPU seconds of the stage on all texts, and the scores."""
    labels = () if model.suffix == ".npz" else ("hq",)
    stage = Quality(models=(str(model),), labels=labels, min_score=0.5)
    ids = [str(number) for number in range(len(texts))]
    stage(Batch(pa.record_batch({"id": ids[:1], "text": texts[:1]})))
    times, scores = [], np.zeros(0)
    for _ in range(3):
        spent, found = 0.0, []
        for first in range(0, len(texts), BATCH):
            batch = Batch(pa.record_batch({"id": ids[first : first + BATCH], "text": texts[first : first + BATCH]}))
            started = time.process_time()
            outcome = stage(batch)
            spent += time.process_time() - started
            found.append(outcome.signals.field("score").to_numpy(zero_copy_only=False))
        times.append(spent)
        scores = np.concatenate(found)
    return min(times), scores


def peer(folder: str, model: Path) -> dict[str, object]:
    """CPU seconds of datatrove's filter on all texts, and the scores."""
    done = subprocess.run([PEER, "-c", PEER_PROGRAM, folder, str(model)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"datatrove failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


if __name__ == "__main__":
    main()
