"""`curate explain DIR --token SHARD:ROW:POSITION`: the page that a token comes from."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

from rich.console import Console

from curation.report.terminal import print_field, styled
from curation.running.terminal import one_line
from curation.tokenize.loading.trace import TokenOrigin

_DOCUMENT = (
    "url",
    "file_path",
    "warc_offset",
    "row",
    "dump",
    "date",
    "language",
    "token_count",
    "minhash_cluster_size",
)


def to_json(origin: TokenOrigin) -> dict[str, Any]:
    """Convert to plain values for JSON."""
    return {**asdict(origin), "explain": explain_command(origin)}


def explain_command(origin: TokenOrigin) -> str | None:
    """The command that explains the document's path through the stages; None for padding."""
    if origin.document_id is None or origin.corpus is None:
        return None
    return f"curate explain {shlex.quote(origin.corpus)} {shlex.quote(origin.document_id)}"


def show(origin: TokenOrigin, console: Console) -> None:
    """Print the token, its document, and its context."""
    lines: dict[str, Any] = {
        "token": f"{origin.token} {_visible(origin.text)}",
        "at": f"tokens/{origin.shard}.parquet, row {origin.row}, position {origin.position}",
    }
    if origin.document_id is None:
        lines["document"] = "none: this is padding"
    else:
        lines["document begins at"] = f"position {origin.document_position} of the row"
        lines["document"] = origin.document_id
        document = origin.document or {}
        other = "row" if document.get("row") is None else "warc_offset"
        lines |= {name: document[name] for name in _DOCUMENT if name != other} if document else {}
        lines["corpus"] = origin.corpus or "unknown: it no longer exists"
    for name, value in lines.items():
        print_field(name, value, console)
    before, text, after = (_visible(part) for part in (origin.before, origin.text, origin.after))
    console.print(styled(f"\n{before}", (f"»{text}«", "bold reverse"), f"{after}\n"), soft_wrap=True)
    command = explain_command(origin)
    if command is not None:
        console.print(f"Its path through the stages: {one_line(command)}", soft_wrap=True)


def _visible(text: str) -> str:
    """Make line breaks and tabs visible, so that tokens of white space can be seen."""
    return text.replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍")
