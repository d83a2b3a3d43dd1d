"""Benchmark items for tests of decontamination."""

from __future__ import annotations

import json
from pathlib import Path

FARM = (
    "Farmer Okonkwo sells seventeen baskets of mangoes on Monday and twice as many on the following Thursday. "
    "How many baskets does he sell altogether during that week?"
)
ORGAN = "Which organ secretes insulin?"
CHOICES = ["The gastric parietal cells.", "The pancreas behind the stomach.", "The lymph nodes.", "The left kidney."]
SOLUTION = (
    "On Thursday he sells 2 * 17 = 34 baskets because that is twice the Monday amount, and therefore the whole week "
    "brings 17 + 34 = 51 baskets of mangoes altogether."
)
PASSAGE = (
    "The lighthouse at Cape Verrano was built between 1871 and 1874 by masons from three villages, who carried every "
    "block of granite up the cliff by hand, since no cart could climb the narrow path above the harbour."
)
ROWS = (
    {"id": "farm", "question": FARM, "answer": SOLUTION},
    {"id": "organ", "question": ORGAN, "choices": CHOICES, "answer": 1},
    {"id": "cape", "question": "Who carried the granite blocks up to Cape Verrano?", "passage": PASSAGE,
     "answer": "masons from three villages"},
    {"id": "short", "question": "Why?", "answer": "Because."},
)  # fmt: skip


def write_items(folder: Path, *rows: dict[str, object], name: str = "quiz.jsonl") -> str:
    """Write items, by default ROWS, and return the path."""
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or ROWS))
    return str(path)
