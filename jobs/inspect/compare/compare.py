"""`curate compare`: which documents one run has in its corpus and the other has not, and why.

Documents are matched by id, in documents.py. An id that stands twice in a run counts once, as kept if it is kept
anywhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from curation.jobs.inspect.compare.documents import (
    ROW_BYTES,
    ComparedFile,
    CompareDocuments,
    Example,
    Outcome,
    OutcomeTally,
    SendDocuments,
    files_of,
)
from curation.jobs.inspect.recipe_diff import compare_sides, open_side
from curation.jobs.steps.plan import Plan
from curation.report.funnel import Row, funnel_rows
from curation.running.cluster import Cluster
from curation.stages.tally import sum_counts
from curation.store.exchange import Exchange, partitions_by_size
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, read_manifest, step_counts
from curation.store.shards import count_rows, rows_at


@dataclass(frozen=True, slots=True)
class DocumentExample:
    """An example: id and URL, and its text in A and B where it is in their corpus."""

    id: str
    url: str | None
    texts: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class OutcomeGroup:
    """Documents of one outcome, with examples. a, b: the reason in each run, null where it was kept."""

    a: str | None
    b: str | None
    same_text: bool
    documents: int
    characters: int
    tokens: int
    examples: tuple[DocumentExample, ...]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What `curate compare` tells. notes: what limits the comparison."""

    names: tuple[str, str]
    recipe: tuple[str, ...]
    funnels: tuple[list[Row], list[Row]]
    lines: tuple[OutcomeGroup, ...]
    notes: tuple[str, ...]

    def kept_by(self, side: int) -> list[OutcomeGroup]:
        """Documents in the corpus of one run (0: A) and not in the other's, the most frequent reason first."""
        lines = [
            line for line in self.lines if (line.a, line.b)[side] is None and (line.a, line.b)[1 - side] is not None
        ]
        return sorted(lines, key=lambda line: (-line.documents, (line.a, line.b)[1 - side] or ""))

    def both(self, same_text: bool) -> OutcomeGroup:
        """Documents in both, with the same text or another."""
        wanted = (None, None, same_text)
        found = (line for line in self.lines if (line.a, line.b, line.same_text) == wanted)
        return next(found, OutcomeGroup(*wanted, 0, 0, 0, ()))

    @property
    def other_reason(self) -> list[OutcomeGroup]:
        """Documents that both removed, for different reasons, or that one removed and the other never read."""
        lines = [line for line in self.lines if line.a is not None and line.b is not None and line.a != line.b]
        return sorted(lines, key=lambda line: (-line.documents, line.a or "", line.b or ""))

    @property
    def same_reason(self) -> int:
        """Documents that both removed for the same reason."""
        return sum(line.documents for line in self.lines if line.a is not None and line.a == line.b)

    def corpus(self, side: int) -> int:
        """Documents in a corpus, an id counted once."""
        return sum(line.documents for line in self.lines if (line.a, line.b)[side] is None)


def compare(a: Plan, b: Plan, cluster: Cluster, work: Folder) -> RunComparison:
    """Compare two runs. work: a folder that all workers reach."""
    plans = (a, b)
    files, notes = files_of(plans)
    rows = sum(count_rows(file.folder, file.path) for file in files)
    exchange = Exchange(work, "documents", partitions_by_size(max(rows, 1), ROW_BYTES))
    for _ in cluster.each(SendDocuments(exchange), files):
        pass
    found: dict[Outcome, OutcomeTally] = {}
    repeated: Counter[int] = Counter()
    for part, twice in cluster.gather(CompareDocuments(exchange), list(range(exchange.partitions))):
        for outcome, tally in part.items():
            found[outcome] = found.get(outcome, OutcomeTally()) + tally
        repeated.update({0: twice[0], 1: twice[1]})
    for side, name in enumerate("AB"):
        if repeated[side]:
            notes.append(f"{name} names {repeated[side]:,} documents by an id that another has; an id counts once")
    lines = tuple(_line(outcome, found[outcome], files) for outcome in sorted(found, key=str))
    names = (a.folder.url, b.folder.url)
    recipe = tuple(difference.words for difference in compare_sides(open_side(names[0]), open_side(names[1])))
    return RunComparison(names, recipe, (funnel(a), funnel(b)), lines, tuple(notes))


def funnel(plan: Plan) -> list[Row]:
    """The funnel of a run from its manifests."""
    inputs = [source.shard for source in plan.inputs]
    counted = sum_counts(made for step in ("filter", "corpus") for made in step_counts(plan.folder, step, inputs))
    tokens = read_manifest(plan.folder, "tokens", WHOLE)
    shards = {"inputs": len(plan.inputs), "filtered": len(plan.inputs), "corpus": len(plan.inputs)}
    counts = dict(tokens.counts) if tokens else {}
    return funnel_rows({**counted.to_json(), "tokens": counts, "shards": shards})


def _line(outcome: Outcome, tally: OutcomeTally, files: list[ComparedFile]) -> OutcomeGroup:
    examples = tuple(_show(example, files) for example in tally.examples)
    return OutcomeGroup(*outcome, tally.documents, tally.characters, tally.tokens, examples)


def _show(example: Example, files: list[ComparedFile]) -> DocumentExample:
    """An example's id, URL and texts; a text is shown from corpus/ alone, where personal data is replaced."""
    known: dict[str, Any] = {}
    texts: list[str | None] = []
    for place in example[1:]:
        row = None if place is None else _read_row(files[place[0]], place[1])
        known = known or row or {}
        shown = row is not None and place is not None and files[place[0]].path.startswith("corpus/")
        texts.append(row["text"] if row is not None and shown else None)
    return DocumentExample(known.get("id") or "", known.get("url"), (texts[0], texts[1]))


def _read_row(file: ComparedFile, row: int) -> dict[str, Any]:
    found: dict[str, Any] = rows_at(file.folder, file.path, [row], ["id", "url", "text"]).to_pylist()[0]
    return found
