"""`curate compare`: which documents are in the corpus of one run but not of the other, and why.

Documents are matched by id (documents.py). An id that occurs twice in a run counts once, and as kept if either
document is kept.
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
from curation.jobs.inspect.recipe_diff import open_side
from curation.jobs.steps.plan import Plan
from curation.recipes.differences import compare_sides
from curation.report.funnel import Row, funnel_rows
from curation.running.cluster import Cluster
from curation.stages.tally import sum_counts
from curation.store.exchange import Exchange, partitions_by_size
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, read_manifest, step_counts
from curation.store.shards import count_rows, rows_at


@dataclass(frozen=True, slots=True)
class DocumentExample:
    """An example document.

    Attributes:
        id: Id of the document.
        url: URL of the document.
        texts: Its text in A and in B; None where it is not in the corpus.
    """

    id: str
    url: str | None
    texts: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class OutcomeGroup:
    """Documents with one outcome.

    Attributes:
        a: Reason of the removal in A; None if A kept them.
        b: Reason of the removal in B; None if B kept them.
        same_text: Whether both corpora have the same text.
        documents: Number of documents.
        characters: Characters in the corpus that has them, A's if both do.
        tokens: Tokens in the corpus that has them, A's if both do.
        examples: Example documents.
    """

    a: str | None
    b: str | None
    same_text: bool
    documents: int
    characters: int
    tokens: int
    examples: tuple[DocumentExample, ...]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The result of `curate compare`.

    Attributes:
        names: Output folders of A and B.
        recipe: Differences between their recipes, in plain language.
        funnels: Funnels of A and B.
        lines: Documents by outcome.
        notes: Limitations of the comparison.
    """

    names: tuple[str, str]
    recipe: tuple[str, ...]
    funnels: tuple[list[Row], list[Row]]
    lines: tuple[OutcomeGroup, ...]
    notes: tuple[str, ...]

    def kept_by(self, side: int) -> list[OutcomeGroup]:
        """Documents in the corpus of one run (0 is A, 1 is B) but not of the other, most frequent reason first."""
        lines = [
            line for line in self.lines if (line.a, line.b)[side] is None and (line.a, line.b)[1 - side] is not None
        ]
        return sorted(lines, key=lambda line: (-line.documents, (line.a, line.b)[1 - side] or ""))

    def both(self, same_text: bool) -> OutcomeGroup:
        """Documents in both corpora, with the same text or with different texts."""
        wanted = (None, None, same_text)
        groups = (line for line in self.lines if (line.a, line.b, line.same_text) == wanted)
        return next(groups, OutcomeGroup(*wanted, 0, 0, 0, ()))

    @property
    def other_reason(self) -> list[OutcomeGroup]:
        """Documents that both removed for different reasons, or that one removed and the other did not read."""
        lines = [line for line in self.lines if line.a is not None and line.b is not None and line.a != line.b]
        return sorted(lines, key=lambda line: (-line.documents, line.a or "", line.b or ""))

    @property
    def same_reason(self) -> int:
        """Number of documents that both removed for the same reason."""
        return sum(line.documents for line in self.lines if line.a is not None and line.a == line.b)

    def corpus(self, side: int) -> int:
        """Number of distinct ids in the corpus of one run (0 is A, 1 is B)."""
        return sum(line.documents for line in self.lines if (line.a, line.b)[side] is None)


def compare(a: Plan, b: Plan, cluster: Cluster, work: Folder) -> RunComparison:
    """Compare two runs.

    Args:
        a: The first run.
        b: The second run.
        cluster: Where to compare.
        work: Folder for temporary files that all workers can access.
    """
    plans = (a, b)
    files, notes = files_of(plans)
    rows = sum(count_rows(file.folder, file.path) for file in files)
    exchange = Exchange(work, "documents", partitions_by_size(max(rows, 1), ROW_BYTES))
    cluster.gather(SendDocuments(exchange), files)
    tallies: dict[Outcome, OutcomeTally] = {}
    repeated: Counter[int] = Counter()
    for part, twice in cluster.gather(CompareDocuments(exchange), list(range(exchange.partitions))):
        for outcome, tally in part.items():
            tallies[outcome] = tallies.get(outcome, OutcomeTally()) + tally
        repeated.update({0: twice[0], 1: twice[1]})
    for side, name in enumerate("AB"):
        if repeated[side]:
            notes.append(f"{name}: {repeated[side]:,} documents have the same id as another; each id counts once")
    lines = tuple(_line(outcome, tallies[outcome], files) for outcome in sorted(tallies, key=str))
    names = (a.folder.url, b.folder.url)
    sides = [open_side(plan.folder.url, trust_code=plan.trusted) for plan in plans]
    recipe = tuple(difference.text for difference in compare_sides(*sides))
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
    """An example with id, URL and texts. Texts are shown only from corpus/, where personal data is replaced."""
    known: dict[str, Any] = {}
    texts: list[str | None] = []
    for place in example[1:]:
        row = None if place is None else _read_row(files[place[0]], place[1])
        known = known or row or {}
        public = row is not None and place is not None and files[place[0]].path.startswith("corpus/")
        texts.append(row["text"] if row is not None and public else None)
    return DocumentExample(known.get("id") or "", known.get("url"), (texts[0], texts[1]))


def _read_row(file: ComparedFile, row: int) -> dict[str, Any]:
    values: dict[str, Any] = rows_at(file.folder, file.path, [row], ["id", "url", "text"]).to_pylist()[0]
    return values
