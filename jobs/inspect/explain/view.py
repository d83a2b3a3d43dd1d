"""Shows explanations in the terminal, or converts them for JSON. Text from the web is made safe to print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from curation.dedup.decisions import SurvivorComparison
from curation.jobs.inspect.explain.explain import KEPT, Explanation, StageResult
from curation.jobs.inspect.explain.lookup import InputFacts
from curation.jobs.inspect.explain.text_diff import ADDED, REMOVED, Line, bracketed, changed_lines, plain
from curation.report.excerpts import excerpt
from curation.report.highlights import Spans
from curation.report.tables import FittedTable
from curation.report.terminal import marked, print_field, styled
from curation.running.terminal import one_line
from curation.stages.rules import Rule

FIELDS = ("id", "url", "file_path", "warc_offset", "row", "date", "language", "language_score", "minhash_cluster_size")
EXTRACT = "extract"
"""The stage that makes the text, so that there is nothing before it to compare with."""

LINES_SHOWN = 60
WIDTH_SHOWN = 400
"""Maximum number of characters to show of a changed line."""

_STYLES = {REMOVED: "red strike", ADDED: "green"}


def show(explanations: Sequence[Explanation], console: Console) -> None:
    """Print explanations, one document after the other."""
    if explanations and explanations[0].requested is not None:
        closest = one_line(str(explanations[0].row["url"]))
        console.print(f"{one_line(explanations[0].requested)}: not found in this spelling; the closest is {closest}\n")
    if len(explanations) > 1:
        console.print(f"{len(explanations)} documents:\n")
    for number, explanation in enumerate(explanations):
        if number:
            console.rule()
        _show_one(explanation, console)


def _show_one(explanation: Explanation, console: Console) -> None:
    row = explanation.row
    other = "row" if row.get("row") is None else "warc_offset"  # a document has a place in an archive or in a table
    for name in FIELDS:
        if name != other:
            print_field(name, row[name], console)
    verdict = "kept" if explanation.reason is None else f"removed: {explanation.reason}"
    console.print(styled(f"{'verdict':<21}", (one_line(verdict), "bold"), f" ({explanation.place}/)"))
    if explanation.place == "removed/dedup":
        for name, value in (row["signals"] or {}).items():
            if value is not None:
                print_field(name, value, console)
    if explanation.duplicate is not None:
        _show_duplicate(explanation.duplicate, console)
    if explanation.missing is not None:
        console.print(f"Not compared with the survivor: {one_line(explanation.missing)}.", soft_wrap=True)
    if explanation.without_code:
        names = one_line(", ".join(explanation.without_code))
        line = f"These values were stored: with --trust-code, code that is not built in is run ({names})."
        console.print(line, soft_wrap=True)
    elif not explanation.replayed:
        console.print("The archive cannot be read; these values were stored with the document.")
    if explanation.differs is not None:
        console.print(f"The stages now say {one_line(explanation.differs)}: they or the archive have changed since.")
    console.print(_path(explanation))
    for measured in explanation.stages:
        _show_changes(measured, console)
    if explanation.marks is not None:
        _show_text(row["text"] or "", explanation.marks, console)


def _show_text(text: str, marks: Spans, console: Console) -> None:
    if not text:
        console.print("No text was stored: the page was removed before it had one.")
        return
    console.print()
    console.print(marked(excerpt(text, marks, length=len(text))), soft_wrap=not console.is_terminal)


def _show_duplicate(duplicate: SurvivorComparison, console: Console) -> None:
    bands = ", ".join(map(str, duplicate.shared_bands)) or "none"
    print_field("survivor_url", duplicate.survivor_url, console)
    print_field("bands in common", f"{len(duplicate.shared_bands)} of {duplicate.bands}: {bands}", console)
    print_field("same simplified text", "yes" if duplicate.same_text else "no", console)


def _path(explanation: Explanation) -> FittedTable:
    table = FittedTable("stage", "signal", "value", "removed if", "verdict", left=range(5), grouped=True)
    for measured in explanation.stages:
        for line in _lines(measured):
            table.add_row(*line, style="dim" if measured.supposed else "")
    if any(measured.supposed for measured in explanation.stages):
        table.caption = "Stages after the one that removed the document are shown as if it had been kept."
    return table


def _lines(measured: StageResult) -> Iterator[tuple[str, str, str, str, str]]:
    stage = one_line(measured.stage)
    ruled = {rule.signal for rule, _ in measured.rules}
    for rule, violated in measured.rules:
        value = one_line(_value(measured.signals.get(rule.signal)))
        yield stage, rule.signal, value, f"{rule.limit}  ({rule.reason})", _verdict(measured, rule, violated)
    for signal, value in measured.signals.items():
        if signal not in ruled:
            yield stage, signal, one_line(_value(value)), "", ""
    if measured.reason is not None and all(rule.reason != measured.reason for rule, _ in measured.rules):
        yield stage, "", "", one_line(measured.reason), "would be removed" if measured.supposed else "removed here"


def _verdict(measured: StageResult, rule: Rule, violated: bool) -> str:
    value = measured.signals.get(rule.signal)
    if not violated and (value is None or value != value):
        return "not measured"
    if measured.supposed:
        return "would be removed" if violated else "would pass"
    return "removed here" if rule.reason == measured.reason else "violated" if violated else "passes"


def _value(value: Any) -> str:
    return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def changes(measured: StageResult) -> list[Line]:
    """The changes that the stage made to the text; none if it extracted the text or the texts are not known."""
    before, after = measured.before, measured.after
    if before is None or after is None or before == after or measured.stage == EXTRACT:
        return []
    return changed_lines(before, after)


def _show_changes(measured: StageResult, console: Console) -> None:
    lines = [line for line in changes(measured) if any(piece.text.strip() for piece in line)]
    if not lines:
        return
    would = "would have changed" if measured.supposed else "changed"
    console.print(styled((one_line(measured.stage), "bold"), f" {would} the text:"))
    for line in lines[:LINES_SHOWN]:
        if console.is_terminal:
            pieces = ((one_line(_short(text)), _STYLES.get(kind, "")) for kind, text in bracketed(line))
            console.print(styled(*pieces), soft_wrap=True)
        else:
            for text in plain(line):
                console.print(one_line(_short(text)), soft_wrap=True)
    if len(lines) > LINES_SHOWN:
        console.print(f"  {len(lines) - LINES_SHOWN:,} more lines; use --json to see all.")


def _short(text: str) -> str:
    return text if len(text) <= WIDTH_SHOWN else f"{text[:WIDTH_SHOWN]}… ({len(text):,} characters)"


def show_inputs(inputs: Sequence[InputFacts], console: Console) -> None:
    """Print the state of inputs, and what was read and skipped in them."""
    for facts in inputs:
        state = "filtered" if facts.done else "quarantined" if facts.cause else "not filtered yet"
        for name, value in (("input", facts.path), ("shard", facts.shard), ("state", state)):
            print_field(name, value, console)
        if facts.cause is not None:
            print_field("cause", facts.cause, console)
        for name, count in facts.read.items():
            print_field(name, f"{count:,}", console)


def to_json(explanation: Explanation) -> dict[str, Any]:
    """Convert an explanation to plain values for JSON."""
    return {
        "place": explanation.place,
        "kept": explanation.place in KEPT,
        "reason": explanation.reason,
        "document": explanation.row,
        "stages": [_stage_to_json(measured) for measured in explanation.stages],
        "replayed": explanation.replayed,
        "differs": explanation.differs,
        "asked": explanation.requested,
        "duplicate": asdict(explanation.duplicate) if explanation.duplicate is not None else None,
        "missing": explanation.missing,
        "marks": explanation.marks,
    }


def _stage_to_json(measured: StageResult) -> dict[str, Any]:
    return {
        "stage": measured.stage,
        "signals": measured.signals,
        "rules": [
            {"rule": str(rule), "reason": rule.reason, "violated": violated} for rule, violated in measured.rules
        ],
        "reason": measured.reason,
        "supposed": measured.supposed,
        "changes": [[[piece.kind, piece.text] for piece in line] for line in changes(measured)],
    }
