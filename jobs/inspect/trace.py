"""`curate explain DIR --token SHARD:ROW:POSITION`: the page that a token of a token shard came from."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

from rich.console import Console

from curation.report.terminal import printable
from curation.tokenize.loading.trace import TokenOrigin

_DOCUMENT = ("url", "file_path", "warc_offset", "dump", "date", "language", "token_count", "minhash_cluster_size")


def as_plain(found: TokenOrigin) -> dict[str, Any]:
    """Plain values for JSON."""
    return {**asdict(found), "explain": explain_further(found)}


def explain_further(found: TokenOrigin) -> str | None:
    """The command that tells the rest of the document's path; None for padding."""
    if found.document_id is None or found.corpus is None:
        return None
    return f"curate explain {shlex.quote(found.corpus)} {shlex.quote(found.document_id)}"


def show(found: TokenOrigin, console: Console) -> None:
    """Print the token amid its neighbours, then its document."""
    lines: dict[str, Any] = {
        "token": f"{found.token} {_shown(found.text)}",
        "at": f"tokens/{found.shard}.parquet, row {found.row}, position {found.position}",
    }
    if found.document_id is None:
        lines["document"] = "none: this is padding"
    else:
        lines["document begins at"] = f"position {found.document_position} of the row"
        lines["document"] = found.document_id
        lines |= {name: found.document[name] for name in _DOCUMENT} if found.document else {}
        lines["corpus"] = found.corpus or "not found: its corpus is no longer there"
    for name, value in lines.items():
        console.print(f"{name:<21}{printable(str(value))}", soft_wrap=True)
    before, text, after = (_shown(part) for part in (found.before, found.text, found.after))
    console.print(
        f"\n{printable(before)}[bold reverse]»{printable(text)}«[/bold reverse]{printable(after)}\n", soft_wrap=True
    )
    further = explain_further(found)
    if further is not None:
        console.print(f"Its way through the stages: {printable(further)}", soft_wrap=True)


def _shown(text: str) -> str:
    """Line breaks and tabs made visible, so that a token of white space is seen."""
    return text.replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍")
