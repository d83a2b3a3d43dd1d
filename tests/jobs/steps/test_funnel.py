"""The funnel of the recipe `fineweb`: documents kept after each step equal the reference's."""

from __future__ import annotations

from pathlib import Path

from heuristic_cases import FULL, references, verdict
from pages import texts
from stages import documents

from curation.recipes.recipe import load
from curation.stages.stage import apply, signal_type


def test_documents_kept_after_each_step_equal_the_reference(shared_data: Path) -> None:
    """Of the English texts, every step keeps the same documents, with C4's edits passed on (all texts with FULL)."""
    stages = [(name, stage) for name, stage in load("fineweb").stages if name not in ("url", "extract")]
    chosen = [text for text in texts(shared_data, 1 if FULL else 16) if text.strip()]
    applied = apply(stages, documents(*chosen), signal_type(stages, documents()))
    removed_by = {row["id"]: row["stage"] for part in applied.removed for row in part.to_pylist()}
    order = [name for name, _ in stages]
    left = {str(number): text for number, text in enumerate(chosen) if removed_by.get(str(number)) != "language"}
    for name, reference in references().items():
        answers = {key: verdict(reference, text) for key, text in left.items()}
        left = {key: text for key, (reason, text) in answers.items() if reason is None}
        ours = {
            str(n)
            for n in range(len(chosen))
            if str(n) not in removed_by or order.index(removed_by[str(n)]) > order.index(name)
        }
        assert set(left) == ours, name
        print(f"{name}: {len(left)} documents")
    assert dict(zip(applied.kept.column("id").to_pylist(), applied.kept.text.to_pylist(), strict=True)) == left
