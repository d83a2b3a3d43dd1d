"""The funnel: what goes into each stage, what comes out and why the rest goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

READ = "read"
AFTER_FILTERS = ("dedup", "lines", "pii")
"""Stages of the corpus step, whose documents are those of shards that got that far."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why documents went: `name` without the stage; characters is None where nobody counted them."""

    name: str
    documents: int
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One stage. Characters and tokens are of what comes out; tokens are estimated, None before any were counted.

    has_text: whether there is text yet; before extraction there are pages. characters_gone, tokens_gone: of documents
    removed and of what was cut from those that stay; None where text only comes to be. waiting: documents that left the
    stage before and have not come to this one, of a run still going.
    """

    stage: str
    entered: int
    left: int
    characters: int
    tokens: int | None
    reasons: tuple[Reason, ...]
    has_text: bool = True
    characters_gone: int | None = None
    tokens_gone: int | None = None
    waiting: int = 0

    @property
    def removed(self) -> int:
        """Documents that went."""
        return self.entered - self.left

    @property
    def kept_share(self) -> float:
        """Of what entered; 1 where nothing did."""
        return self.left / self.entered if self.entered else 1.0


def funnel_rows(stats: Mapping[str, Any]) -> list[Row]:
    """The rows of a run, from what stats.json says of it: reading first, then the stages in their order."""
    rate = tokens_per_character(stats)
    rows = [row for row in [_reading(stats)] if row is not None]
    has_text = False
    for name, tally in stats["stages"].items():
        has_text = has_text or tally["characters_out"] > 0
        characters = tally["characters_out"]
        tokens = round(characters * rate) if rate and has_text else None
        reasons = _ranked(name, tally["reasons"], stats.get("removed_characters"))
        entered, left = tally["documents_in"], tally["documents_out"]
        gone = tally["characters_in"] - characters if tally["characters_in"] else None
        lost = round(gone * rate) if rate and gone is not None else None
        waiting = max(rows[-1].left - entered, 0) if rows else 0
        rows.append(Row(name, entered, left, characters, tokens, reasons, has_text, gone, lost, waiting))
    return rows


def _reading(stats: Mapping[str, Any]) -> Row | None:
    """Records that could be pages: those skipped and those read. Records of other kinds are passed by."""
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
    """Tokens of the corpus over its characters, to estimate the stages before it; 0 before tokens are counted."""
    tally = stats["stages"].get("pii")
    tokens = stats["tokens"].get("corpus_tokens", 0)
    return tokens / tally["characters_out"] if tally and tally["characters_out"] else 0.0
