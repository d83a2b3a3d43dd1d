"""`curate decontaminate --plant`: recall by kind of plant, and precision, on copies of the user's own documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from curation.decontamination.evals import suites
from curation.decontamination.planting import KINDS, plants
from curation.errors import InputError
from curation.filters.decontaminate import Decontaminate
from curation.running.terminal import one_line
from curation.text.text_files import read_texts, text_files

SEED = 20_250_301
"""Of the plants: not one with which the matcher's parameters were chosen."""
HOSTS = 20_000
"""Documents that are read, at most."""
SHOWN = 5
ROWS = 256


def measure_recall(sources: Sequence[str], settings: Decontaminate, count: int) -> dict[str, Any]:
    """Plant items into copies of documents, in memory, and look for them.

    Args:
        sources: Run folders, folders and files of documents.
        settings: The matcher and the items.
        count: Number of plants.

    Returns:
        `recall` by kind and `recall_by_suite`; `precision` over planted and untouched documents; `planted`,
        `untouched` (documents), `flagged` (those of them in which an item was found), `wrong` (plants in which only
        other items were found), `items`, `too_short` (items by suite that cannot be matched), and `examples` of
        untouched documents that were flagged.

    Raises:
        InputError: There are no documents.
    """
    texts: list[str] = []
    names: list[str] = []
    for file in text_files(sources):
        for batch in read_texts(file):
            texts += batch.column("text").to_pylist()
            names += pc.coalesce(batch.column("url"), batch.column("id")).to_pylist()
        if len(texts) >= HOSTS:
            break
    if not texts:
        raise InputError(f"{', '.join(sources)}: no documents")
    texts, names = texts[:HOSTS], names[:HOSTS]
    items = [item for suite in suites(settings.against) for item in suite.items()]
    planted = plants(items, texts, count, SEED)
    found, wrong = 0, 0
    tried: Counter[tuple[str, str]] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    index, least = settings.index(), settings.least
    while part := list(islice(planted, ROWS)):
        matched: dict[int, set[int]] = {}
        for match in index.find(pa.array([plant.text for plant in part], pa.string()), least):
            matched.setdefault(match.row, set()).add(match.item)
        for row, plant in enumerate(part):
            item = items[plant.item]
            # Suites repeat questions, so an item with the same words is as good.
            is_hit = any(
                (items[other].question, items[other].passage) == (item.question, item.passage)
                for other in matched.get(row, ())
            )
            keys = ("kind", plant.kind), ("suite", item.suite)
            tried.update(keys)
            hits.update(keys if is_hit else ())
            found += is_hit
            wrong += row in matched and not is_hit
    flagged: list[dict[str, Any]] = []
    count_flagged = 0
    for first in range(0, len(texts), ROWS):
        seen: set[int] = set()
        for match in index.find(pa.array(texts[first : first + ROWS], pa.string()), least):
            if match.row not in seen and len(flagged) < SHOWN:
                text = texts[first + match.row].encode()[match.start : match.end].decode()
                key = f"{index.suite_of(match.item)}/{index.item_keys[match.item]}"
                flagged.append(
                    {"document": names[first + match.row], "item": key, "text": " ".join(text.split())[:200]}
                )
            seen.add(match.row)
        count_flagged += len(seen)
    positives = found + wrong + count_flagged
    return {
        "planted": count,
        "items": len(items),
        "too_short": dict(index.too_short),
        "recall": _shares("kind", KINDS, hits, tried),
        "recall_by_suite": _shares("suite", index.suites, hits, tried),
        "precision": round(found / positives, 4) if positives else None,
        "wrong": wrong,
        "untouched": len(texts),
        "flagged": count_flagged,
        "examples": flagged,
    }


def _shares(
    group: str, names: Iterable[str], hits: Counter[tuple[str, str]], tried: Counter[tuple[str, str]]
) -> dict[str, float]:
    return {name: round(hits[group, name] / tried[group, name], 4) for name in names if tried[group, name]}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the figures."""
    console.print(f"{result['planted']:,} items planted, of {result['items']:,}; recall:")
    for name, value in (*result["recall"].items(), *result["recall_by_suite"].items()):
        console.print(f"  {one_line(name):<24} {value:.3f}", markup=False)
    shown = "-" if result["precision"] is None else f"{result['precision']:.4f}"
    console.print(
        f"precision {shown}: {result['wrong']} plants taken for another item, "
        f"{result['flagged']} of {result['untouched']:,} untouched documents flagged"
    )
    for name, number in result["too_short"].items():
        console.print(f"too short to be matched: {number:,} items of {one_line(name)}", markup=False)
    for example in result["examples"]:
        console.print(
            f"  {one_line(str(example['document']))}: {one_line(example['item'])}: {one_line(example['text'])}",
            markup=False,
        )
