"""`curate samples`: removed or kept documents of a run, as the report shows them, for any reason, site or text.

Documents are sampled by a hash of their id, so that the same ones are shown each time, whatever the number of shards.
"""

from __future__ import annotations

import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from curation.errors import UsageError
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.report.facts import collect, count_shards
from curation.jobs.steps.report.page import make_page
from curation.jobs.steps.report.performance import measure
from curation.jobs.steps.report.samples import SampledDocument, read_documents, read_samples
from curation.jobs.steps.table import steps
from curation.report.counting import KEPT, Place, hash_of, lowest
from curation.report.render import slug
from curation.report.tables import FittedTable
from curation.report.terminal import marked, styled
from curation.running.cluster import Cluster
from curation.running.terminal import one_line
from curation.stages.tally import StepTally, sum_counts
from curation.store.folder import Folder
from curation.store.manifest import step_counts
from curation.store.paths import CORPUS, DOCUMENTS, REMOVED_BY_DEDUP, REMOVED_BY_FILTER
from curation.store.shards import read_numbered
from curation.text.hosts import host_of

SCAN_ROWS = 16_384
"""Documents scanned at once."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which documents to show; None for any.

    Attributes:
        reasons: Reasons of removal, `stage.rule`, or KEPT.
        domain: A host; hosts below it are included.
        contains: Part of the text, in any case.
        limit: Number of documents.
    """

    reasons: tuple[str, ...] | None
    domain: str | None = None
    contains: str | None = None
    limit: int = 10


@dataclass(frozen=True, slots=True)
class FoundSamples:
    """The documents shown, with their reasons, and how many there are.

    Attributes:
        documents: Reason, or KEPT, and document.
        total: Number of documents that match.
    """

    documents: Sequence[tuple[str, SampledDocument]]
    total: int


def reasons_of(plan: Plan) -> dict[str, int]:
    """Number of removed documents by reason in the order of the stages, then the number of kept ones as KEPT."""
    shards = [source.shard for source in plan.inputs]
    counted = StepTally()
    for step in [step.name for step in steps() if step.alarms]:
        counted += sum_counts(step_counts(plan.folder, step, shards))
    reasons: dict[str, int] = {}
    for stage, tally in counted.stages.items():
        ranked = sorted(tally.reasons.items(), key=lambda item: (-item[1], item[0]))
        reasons |= {f"{stage}.{name}": number for name, number in ranked}
    last = [*counted.stages.values()][-1:]
    return reasons | {KEPT: sum(tally.documents_out for tally in last)}


def choose(plan: Plan, reason: str | None, stage: str | None) -> tuple[str, ...] | None:
    """The reasons that the user means: one by its name with or without the stage, or all of a stage.

    Raises:
        UsageError: No document was removed for it; the message lists the reasons.
    """
    if reason is None and stage is None:
        return None
    known = reasons_of(plan)
    chosen = [
        name
        for name in known
        if reason in (None, name, name.partition(".")[2]) and stage in (None, name.partition(".")[0])
    ]
    if not chosen:
        asked = " ".join(filter(None, [reason and f"--reason {reason}", stage and f"--stage {stage}"]))
        raise UsageError(f"{asked}: no document was removed for it; there are {', '.join(known)}")
    return tuple(chosen)


def find(plan: Plan, selection: Selection, cluster: Cluster, *, whole: bool = False) -> FoundSamples:
    """Find the documents of a selection and read the first of them.

    Args:
        plan: The run.
        selection: Which documents.
        cluster: Where shards are read.
        whole: Whether to return whole texts instead of excerpts.
    """
    paths = [path for files in _files(plan.folder, selection) for path in plan.folder.list(files, ".parquet")]
    parts = cluster.gather(FindDocuments(plan.folder, selection), paths)
    places = lowest([place for _, found in parts for place in found], selection.limit)
    length = sys.maxsize if whole else None
    documents = read_documents(plan, places, cluster, length, selection.contains)
    return FoundSamples(documents, sum(number for number, _ in parts))


def _files(folder: Folder, selection: Selection) -> Iterator[str]:
    """The folders in which such documents may be."""
    reasons = selection.reasons
    if reasons is None or any(reason != KEPT for reason in reasons):
        yield from (REMOVED_BY_FILTER.folder, REMOVED_BY_DEDUP.folder)
    if reasons is None or KEPT in reasons:
        yield CORPUS.folder if folder.list(CORPUS.folder, ".parquet") else DOCUMENTS.folder


@dataclass(frozen=True, slots=True)
class FindDocuments:
    """Finds the documents of a selection in one file; a picklable task for the cluster."""

    folder: Folder
    selection: Selection

    def __call__(self, path: str) -> tuple[int, list[Place]]:
        """How many documents of the file match, and where those with the lowest hashes are."""
        wanted = self.selection
        removed = not path.startswith((f"{CORPUS.folder}/", f"{DOCUMENTS.folder}/"))
        columns = ["id", *(["reason"] if removed else []), *(["url"] if wanted.domain else [])]
        total, places = 0, list[Place]()
        for numbers, batch in read_numbered(
            self.folder, path, [*columns, *(["text"] if wanted.contains else [])], SCAN_ROWS
        ):
            mask = self._matching(batch)
            total += int(pc.sum(mask).as_py() or 0)
            rows = numbers[mask.to_numpy(zero_copy_only=False)].tolist()
            found = [
                (hash_of(key), path, row) for key, row in zip(batch["id"].filter(mask).to_pylist(), rows, strict=True)
            ]
            places = lowest([*places, *found], wanted.limit)
        return total, places

    def _matching(self, batch: pa.RecordBatch) -> pa.Array:
        wanted, mask = self.selection, pa.array([True] * batch.num_rows, pa.bool_())
        if wanted.reasons is not None and "reason" in batch.schema.names:
            mask = pc.is_in(batch["reason"], pa.array(wanted.reasons, pa.string()))
        if wanted.domain is not None:
            site = host_of(wanted.domain if "://" in wanted.domain else f"https://{wanted.domain}")
            hosts = (host_of(url or "") for url in batch["url"].to_pylist())
            inside = [host == site or host.endswith(f".{site}") for host in hosts]
            mask = pc.and_(mask, pa.array(inside, pa.bool_()))
        if wanted.contains is not None:
            holds = pc.match_substring(pc.fill_null(batch["text"], ""), wanted.contains, ignore_case=True)
            mask = pc.and_(mask, holds)
        return mask


def show_reasons(reasons: Mapping[str, int], console: Console) -> None:
    """Print the reasons and how many documents each removed."""
    table = FittedTable("reason", "documents", title="Why documents were removed")
    for name, number in reasons.items():
        table.add_row(one_line(name), f"{number:,}")
    console.print(table)
    first = next(iter(reasons))
    console.print(f"See some of them: --reason {one_line(first)}, --stage, --domain or --contains")


def show(answer: FoundSamples, console: Console, proceed: Callable[[], bool] = lambda: True) -> None:
    """Print documents with what decided marked.

    Args:
        answer: The documents.
        console: Where they are printed.
        proceed: Called between two documents; the rest is not printed if it returns False.
    """
    for number, (reason, document) in enumerate(answer.documents):
        if number and not proceed():
            return
        console.print(styled((f"{number + 1} of {answer.total:,}  {one_line(reason)}", "bold")))
        _show_one(document, console)
    if not answer.documents:
        console.print("No document matches.")
    elif len(answer.documents) < answer.total:
        console.print(f"{answer.total - len(answer.documents):,} more; --limit N shows more of them.")


def _show_one(document: SampledDocument, console: Console) -> None:
    console.print(one_line(document.url), soft_wrap=True)
    language = f"{document.language} {document.score:.2f}" if document.score is not None else ""
    alike = f"similarity {document.similarity:.3f}" if document.similarity is not None else ""
    tokens = f"{document.tokens:,} tokens" if document.tokens is not None else ""
    facts = filter(None, [document.value, document.rule, alike, language, tokens])
    console.print(one_line(" · ".join(facts)), soft_wrap=True)
    if document.survivor:
        where = f", in the earlier run {document.survivor_run}" if document.survivor_run else ""
        console.print(one_line(f"kept instead: {document.survivor}{where}"), soft_wrap=True)
    if document.pieces:
        console.print(marked(document.pieces), soft_wrap=not console.is_terminal)
    else:
        console.print("No text was stored: the page was removed before it had one.")
    console.print()


def to_json(answer: FoundSamples) -> dict[str, Any]:
    """Convert an answer to plain values for JSON; parts of a text are pairs of kind and text."""
    return {
        "total": answer.total,
        "documents": [
            {
                "reason": reason,
                "id": document.id,
                "url": document.url,
                "value": document.value,
                "rule": document.rule,
                "language": document.language,
                "score": document.score,
                "tokens": document.tokens,
                "survivor": document.survivor,
                "survivor_run": document.survivor_run,
                "similarity": document.similarity,
                "text": [[piece.kind, piece.text] for piece in document.pieces],
            }
            for reason, document in answer.documents
        ],
    }


def open_report(plan: Plan, cluster: Cluster, reasons: tuple[str, ...] | None) -> str:
    """Open the report of a run in a browser, at the samples of the first of these reasons.

    The page is made again from the data: one that lies in somebody else's folder could run a script of theirs.

    Returns:
        The URL of the page.
    """
    facts = count_shards(plan, cluster)
    stats = collect(plan, facts)
    page = make_page(plan, stats, partial(read_samples, plan, facts, cluster), measure(plan.folder, stats))
    path = Path(tempfile.mkdtemp(prefix="curate-")) / "index.html"
    path.write_text(page, encoding="utf-8")
    url = f"{path.as_uri()}#reason-{slug(reasons[0])}" if reasons else path.as_uri()
    webbrowser.open(url)
    return url
