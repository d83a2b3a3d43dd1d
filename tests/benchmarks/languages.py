"""Language identification: accuracy by language, the cost of using only the beginning, and speed next to datatrove.

Accuracy is measured on single sentences, 200 for each of 75 languages, which is the hard case: a page has many. Using
only the beginning of a text is measured on the main text of real pages. Both filters take blocks of texts in turn, in
processor time.

    python tests/benchmarks/languages.py [--quick] [--model FILE] [--write docs/languages.md]
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata  # noqa: F401  (datatrove expects it to be imported)
import itertools
import json
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree
from sources import shared_data

from curation.filters.language import Language
from curation.language import identify
from curation.language.second import Second, with_second
from curation.stages.batch import Batch

THRESHOLD = 0.65
CUTS = (500, 1000, 2000, 4000, 8000, 16000)
SAME = {"nb": "no"}
"""Language codes of the sentences → those of the model."""
BLOCK = 64


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Results for one language: numbers of sentences, of correct ones and of confident ones, and the wrong labels."""

    code: str
    sentences: int
    correct: int
    confident: int
    errors: Counter[str]


def main() -> None:
    """Measure, print, and write the docs page if requested."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="every eighth page")
    options.add_argument("--model", help="a fastText model; by default the bundled lid.176.ftz")
    options.add_argument("--write", type=Path, help="write the tables to this file")
    chosen = options.parse_args()
    data = shared_data("language")
    rows = list(accuracies(data, chosen.model))
    texts = list(page_texts(data, 8 if chosen.quick else 1))
    page = "\n".join(
        [*head(rows, chosen.model), *second_opinions(data, chosen.model), *cutting(texts, chosen.model), *table(rows)]
    )
    print(page)
    if chosen.write:
        chosen.write.write_text(page + "\n", encoding="utf-8")
    print(json.dumps(speed(texts, chosen.model)))


def sentences(data: Path) -> Iterator[tuple[str, str]]:
    """The sentences, each with the code of its language."""
    with gzip.open(data / "language" / "lingua-sentences.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            code, _, sentence = line.rstrip("\n").partition("\t")
            yield code, sentence


def accuracies(data: Path, model: str | None) -> Iterator[Accuracy]:
    """One entry per language."""
    by_code: dict[str, list[str]] = defaultdict(list)
    for code, sentence in sentences(data):
        by_code[code].append(sentence)
    for code, values in sorted(by_code.items()):
        found = identify.predict_all(pa.array(values, pa.string()), path=model)
        correct = [name == SAME.get(code, code) for name in found.languages]
        confident = np.array(correct) & (found.scores > THRESHOLD)
        errors = Counter(name or "-" for name, good in zip(found.languages, correct, strict=True) if not good)
        yield Accuracy(code, len(values), sum(correct), int(confident.sum()), errors)


def second_opinions(data: Path, model: str | None) -> list[str]:
    """How many sentences in languages that the model knows are identified with each second opinion."""
    labels = identify.labels(model)
    known = [(SAME.get(code, code), text) for code, text in sentences(data) if SAME.get(code, code) in labels]
    texts = pa.array([text for _, text in known], pa.string())
    alone = identify.predict_all(texts, path=model)
    lines = [
        "## A second opinion",
        "",
        "`language.second` asks another library about texts that the model scores below `language.second_below`. "
        f"Of the {len(known):,} sentences in known languages:",
        "",
        "| second | below | asked | correct | confident | wrong, but confident | ms per sentence asked |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    names: tuple[Second, ...] = ("py3langid", "cld2")
    for name, below in [(None, 0.0), *itertools.product(names, (0.65, 0.8, 0.9))]:
        found, is_asked, cost = alone, np.zeros(len(known), np.bool_), "-"
        if name is not None:
            with_second(alone, texts[:99], name, 1.0, model)  # loads the library
            started = time.process_time()
            found, is_asked = with_second(alone, texts, name, below, model)
            cost = f"{(time.process_time() - started) / max(1, int(is_asked.sum())) * 1000:.3f}"
        correct = np.array([label == code for label, (code, _) in zip(found.languages, known, strict=True)])
        confident = found.scores > THRESHOLD
        shares = (is_asked, correct, correct & confident, ~correct & confident)
        cells = " | ".join(f"{share.mean():.1%}" for share in shares)
        lines.append(f"| {name or '-'} | {below if name else '-'} | {cells} | {cost} |")
    return [*lines, ""]


def page_texts(data: Path, step: int) -> Iterator[str]:
    """The main content of every `step`-th page that has any."""
    for path in sorted((data / "web").glob("*.warc.gz")):
        with path.open("rb") as stream:
            for number, record in enumerate(ArchiveIterator(stream, record_types=WarcRecordType.response)):
                if number % step or "html" not in (record.http_content_type or ""):
                    continue
                body = record.reader.read()
                text = extract_plain_text(HTMLTree.parse_from_bytes(body, detect_encoding(body)), main_content=True)
                if text:
                    yield text


def head(rows: list[Accuracy], model: str | None) -> list[str]:
    """What was measured, and the means."""
    known = [row for row in rows if SAME.get(row.code, row.code) in identify.labels(model)]
    total = sum(row.sentences for row in known)
    return [
        "# Languages",
        "",
        f"Measured by `tests/benchmarks/languages.py` with {identify.model_path(model).name} "
        f"(SHA-256 {identify.model_hash(model)[:16]}…, {len(identify.labels(model))} languages).",
        "",
        f"Single sentences from lingua's test data, {rows[0].sentences} per language. Of the sentences in the "
        f"{len(known)} of {len(rows)} languages that the model knows, {sum(row.correct for row in known) / total:.1%} "
        f"are labeled correctly, and {sum(row.confident for row in known) / total:.1%} correctly with a score above "
        f"{THRESHOLD}, the default of `language.min_score`. A page has many sentences and is identified far more "
        "reliably than a single one.",
        "",
    ]


def cutting(texts: list[str], model: str | None) -> list[str]:
    """How labels and verdicts change when only the beginning of a page's text is used."""
    column = pa.array(texts, pa.string())
    lines = ["## Using only the beginning of a page", ""]
    lines += [
        f"Main text of {len(texts)} pages ({statistics.mean(map(len, texts)):.0f} characters on average), kept if `en` "
        f"scores above {THRESHOLD}. `language.max_characters` is off by default, so that verdicts equal the "
        "reference's on every document.",
        "",
        "| max_characters | ms per text | different label | different verdict | kept |",
        "|---:|---:|---:|---:|---:|",
    ]
    whole, _ = judged(column, Language(model=model))
    for cut in (*CUTS, None):
        found, milliseconds = judged(column, Language(model=model, max_characters=cut))
        labels = sum(one[0] != two[0] for one, two in zip(whole, found, strict=True))
        verdicts = sum(one[1] != two[1] for one, two in zip(whole, found, strict=True))
        kept = sum(is_kept for _, is_kept in found)
        lines.append(f"| {cut or 'none'} | {milliseconds:.3f} | {labels} | {verdicts} | {kept} |")
    return [*lines, ""]


def judged(column: pa.StringArray, stage: Language) -> tuple[list[tuple[str, bool]], float]:
    """The label of each text and whether it is kept, and milliseconds per text."""
    batch = batch_of(column)
    started = time.process_time()
    outcome = stage(batch)
    milliseconds = (time.process_time() - started) / len(column) * 1000
    assert outcome.reasons is not None
    labels = outcome.batch.column("language").to_pylist()
    return list(zip(labels, outcome.reasons.is_null().to_pylist(), strict=True)), milliseconds


def batch_of(column: pa.StringArray) -> Batch:
    """A batch of texts."""
    return Batch(pa.record_batch({"id": [str(row) for row in range(len(column))], "text": column}))


def table(rows: list[Accuracy]) -> list[str]:
    """Accuracy by language, best first."""
    lines = [
        "## By language",
        "",
        f"Correct: the label is the sentence's language. Confident: correct, with a score above {THRESHOLD}.",
        "",
        "| language | correct | confident | most common errors |",
        "|---|---:|---:|---|",
    ]
    for row in sorted(rows, key=lambda row: (-row.correct, row.code)):
        errors = ", ".join(f"{name} {count}" for name, count in row.errors.most_common(3))
        lines.append(
            f"| {row.code} | {row.correct / row.sentences:.1%} | {row.confident / row.sentences:.1%} | {errors} |"
        )
    return lines


def speed(texts: list[str], model: str | None) -> dict[str, Any]:
    """Milliseconds per text of our filter and of datatrove's, which computes all scores, in turn."""
    theirs = reference(model)
    ours = Language(model=model)
    ours(batch_of(pa.array(texts[:2], pa.string())))
    mine, other = [], []
    for begin in range(0, len(texts), BLOCK):
        block = texts[begin : begin + BLOCK]
        batch = batch_of(pa.array(block, pa.string()))
        started = time.process_time()
        ours(batch)
        between = time.process_time()
        for text in block:
            theirs(text)
        mine.append((between - started) / len(block) * 1000)
        other.append((time.process_time() - between) / len(block) * 1000)
    here, there = statistics.median(mine), statistics.median(other)
    return {
        "name": "languages.predict",
        "ours": round(here, 4),
        "peer": round(there, 4),
        "ratio": round(there / here, 2),
        "unit": "ms/text (datatrove's LanguageFilter)",
        "n": len(texts),
    }


def reference(model: str | None) -> Any:
    """datatrove's filter as a function of a text, with the same model in fastText's library."""
    import fasttext
    from datatrove.data import Document
    from datatrove.pipeline import base
    from datatrove.pipeline.filters import LanguageFilter

    base.check_required_dependencies = lambda *_: None  # it requires a different build of fasttext
    library = fasttext.load_model(str(identify.model_path(model)))

    class Numpy:
        """Returns arrays as fasttext does; fasttext-predict returns plain floats."""

        def predict(self, text: str, k: int) -> tuple[list[str], Any]:
            """All labels and their scores."""
            names, scores = library.predict(text, k, 0.0)
            return names, np.asarray(scores)

    judge = LanguageFilter(languages=["en"], language_threshold=THRESHOLD)
    judge.model._model = Numpy()
    return lambda text: judge.filter(Document(text=text, id=""))


if __name__ == "__main__":
    main()
