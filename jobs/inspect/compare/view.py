"""Shows the result of `curate compare` as tables in the terminal or an HTML page, or converts it for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding

from curation.errors import UsageError
from curation.jobs.inspect.compare.compare import DocumentExample, OutcomeGroup, RunComparison
from curation.report.funnel import Row
from curation.report.render import render
from curation.report.tables import FittedTable
from curation.report.terminal import styled
from curation.running.terminal import one_line

EXCERPT = 280
"""Number of characters of a text to show."""
BEFORE = 60
"""How many of them are before the first difference between two texts."""

LINES_SHOWN = 20

STYLE = ".scroll { max-height: none; } main ul { padding-left: 1.2rem; }\n"
"""Styles of the page in addition to those of the report: its tables are not scrolled."""


@dataclass(frozen=True, slots=True)
class StagePair:
    """One stage in both funnels.

    Attributes:
        stage: Name of the stage.
        rows: Its rows in A and in B; None where a run does not have the stage.
    """

    stage: str
    rows: tuple[Row | None, Row | None]

    @property
    def difference(self) -> int | None:
        """Documents that leave the stage in B minus those in A; None if only one run has the stage."""
        a, b = self.rows
        return None if a is None or b is None else b.left - a.left


def pairs(comparison: RunComparison) -> list[StagePair]:
    """The funnels side by side: A's stages in order, and each stage only in B after the one it follows in B."""
    a, b = ({row.stage: row for row in rows} for rows in comparison.funnels)
    order = [*a]
    previous = -1
    for stage in b:
        if stage in a:
            previous = order.index(stage)
        else:
            previous += 1
            order.insert(previous, stage)
    return [StagePair(stage, (a.get(stage), b.get(stage))) for stage in order]


def excerpts(shown: DocumentExample) -> tuple[str | None, str | None]:
    """The excerpts to show of an example's texts: their beginning, or from just before the first difference."""
    a, b = shown.texts
    start = 0
    if a is not None and b is not None and a != b:
        shared = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        start = max(shared - BEFORE, 0)
    return _cut(a, start), _cut(b, start)


def _cut(text: str | None, start: int) -> str | None:
    if text is None:
        return None
    part = " ".join(text[start : start + EXCERPT].split())
    return f"{'… ' if start else ''}{part}{' …' if start + EXCERPT < len(text) else ''}"


def to_json(comparison: RunComparison) -> dict[str, Any]:
    """Convert to plain values for JSON."""
    return {
        "a": comparison.names[0],
        "b": comparison.names[1],
        "recipe": list(comparison.recipe),
        "notes": list(comparison.notes),
        "funnel": [
            {
                "stage": pair.stage,
                **{
                    side: None if row is None else {"in": row.entered, "out": row.left, "characters": row.characters}
                    for side, row in zip("ab", pair.rows, strict=True)
                },
            }
            for pair in pairs(comparison)
        ],
        "corpus": {"a": comparison.corpus(0), "b": comparison.corpus(1)},
        "both": {"same_text": _group(comparison.both(True)), "other_text": _group(comparison.both(False))},
        "only_a": [_group(line) for line in comparison.kept_by(0)],
        "only_b": [_group(line) for line in comparison.kept_by(1)],
        "removed_by_both": {
            "same_reason": comparison.same_reason,
            "other_reason": [_group(line) for line in comparison.other_reason],
        },
    }


def _group(line: OutcomeGroup) -> dict[str, Any]:
    examples = [
        {"id": shown.id, "url": shown.url, "a": cut[0], "b": cut[1]}
        for shown, cut in ((shown, excerpts(shown)) for shown in line.examples)
    ]
    sizes = {"documents": line.documents, "characters": line.characters, "tokens": line.tokens}
    return {"a": line.a, "b": line.b, **sizes, "examples": examples}


def show(comparison: RunComparison, console: Console) -> None:
    """Print the tables."""
    for name, url in zip(("A", "B"), comparison.names, strict=True):
        console.print(styled((name, "bold"), f" {one_line(url)}"), soft_wrap=True)
    for note in comparison.notes:
        console.print(f"note: {one_line(note)}", soft_wrap=True)
    console.print(styled(("\nRecipes", "bold")))
    for words in comparison.recipe or ("no difference",):
        console.print(f"  {one_line(words)}", soft_wrap=True)
    console.print()
    console.print(_funnel(comparison))
    console.print(_corpora(comparison))
    for side, name in enumerate("AB"):
        lines = comparison.kept_by(side)
        if lines:
            console.print(_reasons(lines, name, "BA"[side], 1 - side))
    if comparison.both(False).documents:
        _show_texts(comparison.both(False), console)


def _funnel(comparison: RunComparison) -> FittedTable:
    names = ("stage", "A in", "A out", "A kept", "B in", "B out", "B kept", "B − A out")
    table = FittedTable(*names, title="Funnel", optional=(1, 4))
    for pair in pairs(comparison):
        cells = []
        for row in pair.rows:
            texts = ("–", "–", "–") if row is None else (f"{row.entered:,}", f"{row.left:,}", f"{row.kept_share:.1%}")
            cells += [*texts]
        difference = "" if pair.difference is None else f"{pair.difference:+,}" if pair.difference else "0"
        table.add_row(one_line(pair.stage), *cells, difference)
    return table


def corpora(comparison: RunComparison) -> list[tuple[str, OutcomeGroup | int]]:
    """How the two corpora overlap: labels with documents, or with the number of documents."""
    only = [sum_lines(comparison.kept_by(side)) for side in (0, 1)]
    return [
        ("in both, same text", comparison.both(True)),
        ("in both, different texts", comparison.both(False)),
        ("in A only", only[0]),
        ("in B only", only[1]),
        ("removed by both, for the same reason", comparison.same_reason),
        ("in neither, for different reasons", sum(line.documents for line in comparison.other_reason)),
    ]


def sum_lines(lines: list[OutcomeGroup]) -> OutcomeGroup:
    """Add up the documents of several outcomes."""
    documents, characters, tokens = (
        sum(getattr(line, name) for line in lines) for name in ("documents", "characters", "tokens")
    )
    return OutcomeGroup(None, None, False, documents, characters, tokens, ())


def _corpora(comparison: RunComparison) -> FittedTable:
    table = FittedTable("", "documents", "characters", "tokens", title="Documents")
    for name, amount in corpora(comparison):
        if isinstance(amount, int):
            table.add_row(name, f"{amount:,}", "", "")
        else:
            table.add_row(name, f"{amount.documents:,}", f"{amount.characters:,}", _tokens(amount))
    return table


def _tokens(line: OutcomeGroup) -> str:
    """The number of tokens; a dash if there is text, but the run has no tokenizer to count them."""
    return f"{line.tokens:,}" if line.tokens or not line.characters else "–"


def _reasons(lines: list[OutcomeGroup], name: str, other: str, side: int) -> FittedTable:
    names = (f"{other} removed by", "documents", "characters", "tokens", "example")
    table = FittedTable(*names, title=f"In {name} and not in {other}", left=(0, 4), optional=(2,))
    for line in lines[:LINES_SHOWN]:
        reason = (line.a, line.b)[side] or ""
        example = line.examples[0] if line.examples else None
        shown = one_line(example.url or example.id) if example else ""
        table.add_row(one_line(reason), f"{line.documents:,}", f"{line.characters:,}", _tokens(line), shown)
    if len(lines) > LINES_SHOWN:
        table.add_row(f"{len(lines) - LINES_SHOWN} more", "", "", "", "")
    return table


def _show_texts(group: OutcomeGroup, console: Console) -> None:
    """Print both texts of some documents, one below the other, so that they are as wide as the terminal."""
    console.print(styled(("In both, with different texts", "bold")))
    for shown in group.examples:
        console.print(f"  {one_line(shown.url or shown.id)}", soft_wrap=True)
        for side, text in zip("AB", excerpts(shown), strict=True):
            console.print(Padding(styled((side, "bold"), f"  {one_line(text or '')}"), (0, 0, 0, 4), expand=False))


def write_page(comparison: RunComparison, file: str) -> None:
    """Write the comparison as an HTML page; UsageError if the file cannot be written."""
    try:
        Path(file).write_text(page(comparison), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html {file}: {error}") from error


def page(comparison: RunComparison) -> str:
    """Render the comparison as a self-contained HTML page."""
    groups = [
        (f"In {name} and not in {other}", f"{other} removed by", 1 - side, comparison.kept_by(side))
        for side, (name, other) in enumerate((("A", "B"), ("B", "A")))
    ]
    context = {
        "comparison": comparison,
        "pairs": pairs(comparison),
        "corpora": [
            (name, group if isinstance(group, OutcomeGroup) else None, group) for name, group in corpora(comparison)
        ],
        "groups": groups,
        "changed": comparison.both(False),
        "excerpts": excerpts,
    }
    return render(context, "compare.html", STYLE, script=None)
