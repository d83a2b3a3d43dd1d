"""What a run prints at its end: the funnel, the ids of special tokens, warnings, and what to do next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from curation.errors import NotTrusted
from curation.jobs.steps.damage import describe_damage, empty_inputs, lost_share
from curation.jobs.steps.plan import Plan, open_plan
from curation.jobs.steps.report.likeness import likeness
from curation.jobs.steps.table import steps
from curation.report.funnel import funnel_rows
from curation.report.terminal import funnel_table, styled
from curation.running.terminal import one_line
from curation.store.paths import REPORT_PAGE, TOKENS
from curation.store.shards import open_parquet

WARNINGS_SHOWN = 5


def show_summary(plan: Plan, stats: Mapping[str, Any], warnings: Sequence[str], console: Console) -> None:
    """Print the summary of a run, finished or not.

    Args:
        plan: The run.
        stats: Content of report/stats.json.
        warnings: What went wrong without stopping the run, quarantined and damaged inputs left out.
        console: Where to print.
    """
    console.print(funnel_table(funnel_rows(stats), f"recipe {stats['recipe']}"))
    like = likeness(plan.recipe)
    if like is not None and like.changes:
        console.print(one_line(f"changed from {like.base}: {'; '.join(like.shown())}"), soft_wrap=True)
    for line in _tokens(plan, stats):
        console.print(one_line(line), soft_wrap=True)
    lines = list(dict.fromkeys([*_inputs(plan, stats), *warnings]))
    for line in lines[:WARNINGS_SHOWN]:
        console.print(styled(("warning: ", "bold"), one_line(line)), soft_wrap=True)
    if len(lines) > WARNINGS_SHOWN:
        console.print(f"{len(lines) - WARNINGS_SHOWN} more warnings, see above")
    where = shown(plan.folder.url)
    console.print(styled("report: ", (one_line(f"{where}/{REPORT_PAGE}"), "bold")), soft_wrap=True)
    trust = _trust(plan)
    for number, (command, what) in enumerate(_next(where, stats)):
        head = "next: " if not number else "      "
        command += trust
        console.print(styled(head, (one_line(command), "bold"), f"  # {what}"), soft_wrap=True)


def _trust(plan: Plan) -> str:
    """The option that commands need to look at this run; "" if they need none."""
    try:
        open_plan(plan.folder.url)
    except NotTrusted:
        return " --trust-code"
    return ""


def shown(place: str) -> str:
    """A path or URL as a user would type it: relative to the current folder if it is below it."""
    here = Path.cwd()
    return os.path.relpath(place, here) if Path(place).is_relative_to(here) else place


def _tokens(plan: Plan, stats: Mapping[str, Any]) -> Iterator[str]:
    """The numbers of tokens, what was read for each, and what a training program has to know about the ids."""
    counts, folder = stats["tokens"], plan.folder
    if not counts:
        return
    read = sum(source.bytes for source in plan.inputs)
    yield f"input: {read:,} bytes, {read / max(1, counts['corpus_tokens']):,.1f} per token of the corpus"
    yield f"tokens: {counts['train_tokens']:,} for training, {counts['validation_tokens']:,} for validation"
    path = next(iter(folder.list(TOKENS.folder, TOKENS.suffix)), None)
    if path is not None:
        with open_parquet(folder, path) as parquet:
            metadata = parquet.metadata.metadata or {}
        names = ("vocabulary", "end_id", "pad_id")
        vocabulary, end, pad = (metadata.get(f"curation.{name}".encode(), b"?").decode() for name in names)
        yield f"ids: vocabulary {vocabulary}, end of a document {end}, padding {pad}"


def _inputs(plan: Plan, stats: Mapping[str, Any]) -> Iterator[str]:
    """Warnings about inputs: how many were quarantined, empty or damaged."""
    quarantined, damaged = stats["quarantined"], stats["damaged"]
    if quarantined:
        first = quarantined[0]
        yield f"{_inputs_of(len(quarantined))} quarantined, such as {first['path']}: {first['cause']}"
    empty = empty_inputs(plan.folder, plan.inputs)
    if len(empty) == 1:
        yield f"{empty[0].path}: the file is empty"
    elif empty:
        yield f"{_inputs_of(len(empty))} empty, such as {empty[0].path}"
    if len(damaged) == 1:
        yield describe_damage(damaged[0])
    elif damaged:
        lost = sum(entry["lost_bytes"] for entry in damaged)
        share = f"{lost_share(damaged, plan.inputs):.2g} of those of all inputs"
        yield f"{_inputs_of(len(damaged))} damaged: {lost:,} bytes lost, {share} (see alarms.damaged)"


def _inputs_of(number: int) -> str:
    return f"{number:,} input{'' if number == 1 else 's'}"


def _next(where: str, stats: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Two commands, and what they show: what the unfinished run needs next, or why documents were removed."""
    folder = shlex.quote(where)
    made = {
        "filter": stats["shards"]["filtered"],
        "corpus": stats["shards"]["corpus"],
        "train-tokenizer": stats["tokenizer"],
        "tokens": stats["tokens"],
    }
    missing = next((step.command for step in steps() if step.name in made and not made[step.name]), None)
    is_empty = bool(made["corpus"]) and not any(row.left for row in funnel_rows(stats)[-1:])
    if missing is not None and not is_empty:
        yield f"curate {missing} --out {folder}", "the next step"
    else:
        rows = [row for row in funnel_rows(stats) if row.characters_removed is not None and row.reasons]
        ranked = sorted(rows, key=lambda row: row.reasons[0].documents, reverse=True)
        reason = f" --reason {shlex.quote(f'{ranked[0].stage}.{ranked[0].reasons[0].name}')}" if ranked else ""
        yield f"curate samples {folder}{reason}", "removed documents, with what decided marked"
    yield f"curate report {folder} --all", "languages, domains, personal data and more"
