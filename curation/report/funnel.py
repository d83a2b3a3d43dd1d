"""The funnel: documents into and out of each stage, and why the others were removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

READ = "read"

OF_EARLIER_RUNS = "of_earlier_runs"
"""Count of deduplication: removed documents whose survivor is in an earlier run."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why documents were removed.

    Attributes:
        name: The reason without its stage.
        documents: Number of documents.
        characters: Number of characters of these documents, None if not counted.
    """

    name: str
    documents: int
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One stage of the funnel.

    Attributes:
        stage: Name of the stage.
        entered: Documents into the stage.
        left: Documents out of the stage.
        characters: Characters out of the stage.
        tokens: Estimated tokens out of the stage, None before any tokens were counted.
        reasons: Why documents were removed, most frequent first.
        has_text: Whether documents have text; before extraction they are pages.
        characters_removed: Characters of removed documents and those cut from kept ones, None if there was no text
            before the stage.
        tokens_removed: Estimated tokens of these characters.
        waiting: In an unfinished run, documents that left the previous stage but have not entered this one.
        of_earlier_runs: How many of the removed documents are duplicates of documents of earlier runs; None if there
            are none.
    """

    stage: str
    entered: int
    left: int
    characters: int
    tokens: int | None
    reasons: tuple[Reason, ...]
    has_text: bool = True
    characters_removed: int | None = None
    tokens_removed: int | None = None
    waiting: int = 0
    of_earlier_runs: int | None = None

    @property
    def removed(self) -> int:
        """Number of removed documents."""
        return self.entered - self.left

    @property
    def kept_share(self) -> float:
        """Share of the entered documents that were kept; 1 if none entered."""
        return self.left / self.entered if self.entered else 1.0


def funnel_rows(stats: Mapping[str, Any]) -> list[Row]:
    """The rows of a run from its stats.json: reading first, then the stages in order."""
    rate = tokens_per_character(stats)
    rows = [row for row in [_reading(stats)] if row is not None]
    has_text = False
    for name, tally in stats["stages"].items():
        has_text = has_text or tally["characters_out"] > 0
        characters = tally["characters_out"]
        tokens = round(characters * rate) if rate and has_text else None
        reasons = _ranked(name, tally["reasons"], stats.get("removed_characters"))
        entered, left = tally["documents_in"], tally["documents_out"]
        removed = tally["characters_in"] - characters if tally["characters_in"] else None
        removed_tokens = round(removed * rate) if rate and removed is not None else None
        waiting = max(rows[-1].left - entered, 0) if rows else 0
        sums = (entered, left, characters, tokens)
        earlier = tally.get("counts", {}).get(OF_EARLIER_RUNS)
        rows.append(Row(name, *sums, reasons, has_text, removed, removed_tokens, waiting, earlier))
    return rows


def _reading(stats: Mapping[str, Any]) -> Row | None:
    """The row of reading: pages read and records skipped. Records of other kinds are not counted."""
    read = stats["read"]
    pages = sum(count for name, count in read.items() if name.startswith("pages."))
    skipped = {name.partition(".")[2]: count for name, count in read.items() if name.startswith("skipped.")}
    if not pages and not skipped:
        return None
    reasons = _ranked(READ, skipped, None)
    return Row(READ, pages + sum(skipped.values()), pages, 0, None, reasons, has_text=False)


def _ranked(stage: str, reasons: Mapping[str, int], characters: Mapping[str, int] | None) -> tuple[Reason, ...]:
    order = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    sizes = characters or {}
    return tuple(Reason(name, count, sizes.get(f"{stage}.{name}")) for name, count in order)


def tokens_per_character(stats: Mapping[str, Any]) -> float:
    """Tokens per character of the corpus, to estimate the tokens of earlier stages; 0 before tokens are counted."""
    tally = stats["stages"].get("pii")
    tokens = stats["tokens"].get("corpus_tokens", 0)
    return tokens / tally["characters_out"] if tally and tally["characters_out"] else 0.0
