"""The report step: report/stats.json, and the same facts as tables in the terminal."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table

from curation.cluster import Cluster
from curation.jobs.facts import collect
from curation.jobs.plan import Plan
from curation.jobs.progress import Progress
from curation.manifest import WHOLE, Manifest, fingerprint, is_done, manifest_path
from curation.shards import Output
from curation.storage import Folder

STEP = "report"
STATS = "report/stats.json"

VERSION = 1
"""Rises when the same run gives another report."""

REASONS_SHOWN = 6
ROWS_SHOWN = 15


def write_report(plan: Plan, cluster: Cluster, progress: Progress) -> dict[str, Any]:
    """Count what is there, unless nothing changed since it was counted last; returns what report/stats.json says."""
    folder = plan.folder
    mark = fingerprint(STEP, VERSION, [(path, folder.read_json(path)["fingerprint"]) for path in _manifests(folder)])
    with progress.step(STEP, 1, int(is_done(folder, STEP, WHOLE, mark) is not None)) as bar:
        if not bar.already:
            text = json.dumps(collect(plan, cluster), ensure_ascii=False, indent=1) + "\n"
            output = Output(STATS, len(text.encode()), folder.write(STATS, text.encode()), 0)
            Manifest(STEP, WHOLE, mark, outputs=[output]).write(folder)
            bar.advance()
    found: dict[str, Any] = folder.read_json(STATS)
    return found


def _manifests(folder: Folder) -> list[str]:
    return [path for path in folder.list("manifests", ".json") if path != manifest_path(STEP, WHOLE)]


def show(stats: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    console.print(Group(*_tables(stats)))


def _tables(stats: dict[str, Any]) -> list[RenderableType]:
    tables: list[RenderableType] = [funnel(stats)]
    if stats["languages"]:
        tables.append(_shares("Languages", "language", stats["languages"]))
    if stats["domains"]:
        tables.append(_shares("Domains", "domain", stats["domains"]))
    found = stats["stages"].get("pii", {}).get("counts", {})
    if found:
        tables.append(_counts("Personal data replaced", "type", found))
    for title, key in (
        ("Reading", "read"),
        ("Deduplication", "dedup"),
        ("Tokenizer", "tokenizer"),
        ("Tokens", "tokens"),
    ):
        plain = {name: value for name, value in stats[key].items() if isinstance(value, (int, float, str))}
        if plain:
            tables.append(_counts(title, "", plain))
    if stats["bytes_per_token"]:
        tables.append(_counts("Bytes a token", "language", stats["bytes_per_token"]))
    if stats["quarantined"]:
        tables.append(
            _counts("Quarantined", "input", {entry["path"]: entry["cause"] for entry in stats["quarantined"]})
        )
    return tables


def funnel(stats: dict[str, Any]) -> Table:
    """Documents, characters and tokens into and out of each stage, with the reasons that removed most."""
    table = Table(title=f"recipe {stats['recipe']}", title_justify="left", title_style="bold")
    table.add_column("stage")
    for name in ("documents in", "out", "kept", "characters out", "≈ tokens out"):
        table.add_column(name, justify="right")
    table.add_column("removed because")
    rate = tokens_per_character(stats)
    for name, tally in stats["stages"].items():
        entered, left = tally["documents_in"], tally["documents_out"]
        tokens = f"{tally['characters_out'] * rate:,.0f}" if rate else ""
        ranked = sorted(tally["reasons"].items(), key=lambda item: (-item[1], item[0]))
        reasons = [f"{reason} {count:,}" for reason, count in ranked[:REASONS_SHOWN]]
        more = [f"{len(ranked) - REASONS_SHOWN} more"] if len(ranked) > REASONS_SHOWN else []
        share = f"{left / entered:.1%}" if entered else ""
        row = (name, f"{entered:,}", f"{left:,}", share, f"{tally['characters_out']:,}", tokens)
        table.add_row(*row, ", ".join(reasons + more))
    return table


def tokens_per_character(stats: dict[str, Any]) -> float:
    """Tokens of the corpus over its characters, to estimate the stages before it; 0 before tokens are counted."""
    tally = stats["stages"].get("pii")
    tokens = stats["tokens"].get("corpus_tokens", 0)
    return tokens / tally["characters_out"] if tally and tally["characters_out"] else 0.0


def _shares(title: str, name: str, found: dict[str, dict[str, int]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(name)
    for column in ("documents", "in the corpus", "kept"):
        table.add_column(column, justify="right")
    for key, counts in list(found.items())[:ROWS_SHOWN]:
        kept = counts["kept"] / counts["documents"] if counts["documents"] else 0.0
        table.add_row(printable(key), f"{counts['documents']:,}", f"{counts['kept']:,}", f"{kept:.1%}")
    if len(found) > ROWS_SHOWN:
        table.add_row(f"{len(found) - ROWS_SHOWN} more", "", "", "")
    return table


def _counts(title: str, name: str, found: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=bool(name))
    table.add_column(name)
    table.add_column("", justify="right")
    for key, value in list(found.items())[: 2 * ROWS_SHOWN]:
        text = f"{value:,}" if isinstance(value, (int, float)) else printable(str(value))
        table.add_row(printable(str(key)), text)
    return table


def printable(text: str) -> str:
    """Text from the web made safe to print: no control or direction characters, no console markup.

    >>> printable("a\\x1b[31mb")
    'a�\\\\[31mb'
    """
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else "�" for c in text))
