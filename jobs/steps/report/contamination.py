"""What decontamination found in a run: documents and items by suite, and examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from curation.report.tables import FittedTable
from curation.running.terminal import one_line
from curation.store import paths
from curation.store.folder import Folder
from curation.store.shards import read_table

EXAMPLES = 5
"""Documents that are shown of each suite."""


def contamination(folder: Folder, shards: Iterable[str]) -> dict[str, Any]:
    """By suite: documents by outcome (`drop`, `cut`, `mark`), distinct `items` found, and `examples`.

    Args:
        folder: Output folder of a run.
        shards: Its shards.
    """
    outcomes: dict[str, dict[str, int]] = {}
    items: dict[str, set[str]] = defaultdict(set)
    examples: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for shard in shards:
        path = paths.CONTAMINATION.path(shard)
        if not folder.exists(path):
            continue
        for row in read_table(folder, path).to_pylist():
            suite = row["suite"]
            counts = outcomes.setdefault(suite, {"drop": 0, "cut": 0, "mark": 0})
            counts[row["outcome"]] = counts.get(row["outcome"], 0) + 1
            items[suite].add(row["item"])
            examples[suite].append(
                {
                    "url": row["url"],
                    "id": row["id"],
                    "item": row["item"],
                    "kind": row["kind"],
                    "outcome": row["outcome"],
                    "coverage": round(row[row["kind"]] or 0.0, 3),
                    "evidence": row["evidence"],
                }
            )
            examples[suite] = sorted(examples[suite], key=lambda each: (-each["coverage"], each["id"] or ""))[:EXAMPLES]
    return {
        suite: {**counts, "items": len(items[suite]), "examples": examples[suite]}
        for suite, counts in sorted(outcomes.items())
    }


def tables(found: dict[str, Any]) -> list[FittedTable]:
    """The result of `contamination` as tables: the suites, and examples."""
    if not found:
        return []
    suites = FittedTable("suite", "items", "dropped", "cut", "marked", title="Benchmark items found")
    examples = FittedTable("document", "item", "coverage", "text", title="Examples", left=(0, 1, 3))
    for suite, counts in found.items():
        suites.add_row(one_line(suite), *(f"{counts[key]:,}" for key in ("items", "drop", "cut", "mark")))
        for each in counts["examples"]:
            item = f"{suite} {each['item']} ({each['kind']})"
            text = one_line(each["evidence"] or "")[:80]
            name = one_line(str(each["url"] or each["id"]))
            examples.add_row(name, one_line(item), f"{each['coverage']:.2f}", text)
    return [suites, examples]
