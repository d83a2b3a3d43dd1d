"""Shows the answer of `curate what-if` as tables, or converts it for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from curation.jobs.inspect.what_if.counts import UNSURE, DocumentCounts, StageOutput
from curation.jobs.inspect.what_if.what_if import Example, WhatIf
from curation.report.tables import FittedTable
from curation.report.terminal import styled
from curation.running.terminal import one_line

MOVES_SHOWN = 15


def show(answer: WhatIf, console: Console) -> None:
    """Print what changes stage by stage, how certain it is, the estimate after deduplication, and examples."""
    for change in answer.changes:
        console.print(styled((one_line(change), "bold")))
    console.print(_stages(answer))
    for line in _remarks(answer):
        console.print(one_line(line))
    if answer.counted.moves:
        console.print(_moves(answer))
    _show_examples("Would be added", answer.added, console)
    _show_examples("Would be removed", answer.removed, console)


def _stages(answer: WhatIf) -> FittedTable:
    tokens = ["≈ tokens"] if answer.tokens_per_character else []
    names = ("documents now", "then", "difference", "characters then", "difference", *tokens)
    table = FittedTable("kept after", *names, optional=(5, 4), least={0: len("corpus, estimated")})
    for name, kept in answer.counted.stages.items():
        table.add_row(one_line(name), *cells(kept, answer.tokens_per_character))
    table.add_section()
    table.add_row(styled(("all stages", "bold")), *cells(answer.whole, answer.tokens_per_character))
    if answer.corpus is not None:
        now, least, most = answer.corpus
        blank = [""] * (2 + len(tokens))
        difference = span(least - now, most - now, signed=True)
        table.add_row("corpus, estimated", f"{now:,}", f"≈ {span(least, most)}", f"≈ {difference}", *blank)
    return table


def cells(kept: StageOutput, rate: float) -> list[str]:
    """Documents now and then, the difference, characters then, the difference, and tokens if there is a rate.

    Characters and tokens are blank before texts are extracted.
    """
    now, least, most = kept.now, kept.least, kept.most
    has_texts = not most.documents or bool(now.characters or most.characters)
    documents = span(least.documents - now.documents, most.documents - now.documents, signed=True)
    characters = span(least.characters - now.characters, most.characters - now.characters, signed=True)
    sizes = [span(least.characters, most.characters), characters]
    if rate:
        sizes.append(span(round(least.characters * rate), round(most.characters * rate)))
    return [
        f"{now.documents:,}",
        span(least.documents, most.documents),
        documents,
        *(sizes if has_texts else [""] * len(sizes)),
    ]


def span(least: int, most: int, *, signed: bool = False) -> str:
    """One number if both are equal, else a range: "12", "12 to 30", "+3"."""
    form = "{:+,}" if signed else "{:,}"
    if least == most:
        return form.format(least) if least or not signed else "0"
    return f"{form.format(least)} to {form.format(most)}"


def _remarks(answer: WhatIf) -> list[str]:
    done, inputs = answer.shards
    lines = [] if done == inputs else [f"{done} of {inputs} shards are filtered; the numbers cover only these."]
    whole = answer.whole
    if all(kept.exact for kept in answer.counted.stages.values()):
        lines.append("Exact: the stored signals decide for every document.")
    else:
        doubtful = whole.most.documents - whole.least.documents
        lines.append(
            f"Bounds: the stored signals do not show whether all stages would keep {doubtful:,} "
            f"document{'' if doubtful == 1 else 's'}: a later filter has not measured them, or what decides was not "
            "stored. Use --measure to measure them from the stored texts; a run with signals.all=true has done so."
        )
    if answer.corpus is None:
        lines.append("Deduplication has not run, so there is no estimate of the corpus.")
    else:
        basis = "it assumes that a near-duplicate replaces each survivor that is removed"
        if answer.newcomers_kept is not None and answer.added:
            basis = f"it assumes that {answer.newcomers_kept:.1%} of added documents are not duplicates, as in this run"
        lines.append(f"The corpus is an estimate: {basis}.")
    return lines


def _moves(answer: WhatIf) -> FittedTable:
    table = FittedTable("documents", "now", "then", title="What changes", left=range(3))
    ranked = sorted(answer.counted.moves.items(), key=lambda item: (-item[1], item[0]))
    for (before, after), count in ranked[:MOVES_SHOWN]:
        table.add_row(f"{count:,}", one_line(_side(before)), one_line(_side(after)))
    if len(ranked) > MOVES_SHOWN:
        table.add_row(f"{sum(count for _, count in ranked[MOVES_SHOWN:]):,}", "other", "")
    return table


def _side(reason: str) -> str:
    return {"": "kept", UNSURE: "unknown"}.get(reason, reason)


def _show_examples(title: str, examples: Sequence[Example], console: Console) -> None:
    if not examples:
        return
    console.print(styled((title, "bold"), ", sampled by a hash of the id:"))
    for example in examples:
        doubt = "" if example.sure else ", possibly"
        cause = one_line(f"{example.before or example.after}, {example.value}{doubt}".replace(", ,", ","))
        console.print(styled(f"  {one_line(example.url)}  ", (f"({cause})", "dim")), soft_wrap=True)
        console.print(f"    {one_line(example.beginning)}", soft_wrap=True)


def to_json(answer: WhatIf) -> dict[str, Any]:
    """Convert the answer to plain values for JSON."""
    rate = answer.tokens_per_character
    corpus = None
    if answer.corpus is not None:
        now, least, most = answer.corpus
        corpus = {"now": now, "least": least, "most": most, "newcomers_kept": answer.newcomers_kept, "estimated": True}
    return {
        "changes": list(answer.changes),
        "shards": {"counted": answer.shards[0], "inputs": answer.shards[1]},
        "exact": all(kept.exact for kept in answer.counted.stages.values()),
        "documents_in": answer.counted.entered,
        "stages": {name: output_to_json(kept, rate) for name, kept in answer.counted.stages.items()},
        "whole": output_to_json(answer.whole, rate),
        "corpus": corpus,
        "moves": [
            {"now": before or None, "then": after or None, "documents": count}
            for (before, after), count in sorted(answer.counted.moves.items())
        ],
        "let_in": [_example_to_json(example) for example in answer.added],
        "put_out": [_example_to_json(example) for example in answer.removed],
    }


def output_to_json(kept: StageOutput, rate: float) -> dict[str, Any]:
    """What leaves a stage now, and then at least and at most, as plain values; `rate` is tokens per character."""
    return {name: _counts_to_json(getattr(kept, name), rate) for name in ("now", "least", "most")}


def _counts_to_json(amount: DocumentCounts, rate: float) -> dict[str, Any]:
    tokens = round(amount.characters * rate) if rate else None
    return {"documents": amount.documents, "characters": amount.characters, "tokens_estimated": tokens}


def _example_to_json(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "url": example.url,
        "now": example.before,
        "then": example.after,
        "sure": example.sure,
        "value": example.value,
        "beginning": example.beginning,
    }
