"""Finds benchmark items in documents, and drops the document, cuts the item out, or marks it.

Items come from files that the user names; without any, the stage is off. Questions, answers and passages are matched
separately (`curation.decontamination`). A match does not depend on other documents.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge, Gt, Le

from curation.decontamination.evals import suites
from curation.decontamination.index import KINDS, Index, ItemMatch, build_index
from curation.errors import InputError, ParameterError
from curation.stages.batch import Batch
from curation.stages.parameters import LocalPath, Outside, checked
from curation.stages.rules import Rule, decide
from curation.stages.stage import Outcome

Action = Literal["drop", "cut", "mark"]
Coverage = Annotated[float, Gt(0), Le(1)]
BenchmarkFile = Annotated[str, Outside("a file of benchmark items"), LocalPath("([^#]+).*")]

EVIDENCE = 200
"""Characters of the matched text that are kept."""

_SIGNALS = (
    *((kind, pa.float64()) for kind in KINDS),
    *((name, pa.string()) for name in ("outcome", "kind", "suite", "item", "evidence")),
)
MATCHES = pa.schema([("id", pa.string()), ("url", pa.string()), *_SIGNALS])
"""Columns of decontamination/: a document in which an item was found."""


@checked
@dataclass(frozen=True, slots=True)
class Decontaminate:
    """Looks for benchmark items.

    Signals, null where nothing was found: the coverage of the best match of each kind (`question`, `answer`,
    `passage`), and of the match that decides, `outcome`, `kind`, `suite`, `item` and `evidence`, the beginning of the
    matched text. Counts: documents by suite and outcome.

    Attributes:
        against: Files and folders of items, JSON Lines or Parquet; names of fields may follow a path:
            "tests.jsonl#question=prompt&answer=solution". Empty switches the stage off.
        question: What to do about a question: "drop" removes the document, "cut" takes the item out of its text,
            "mark" only lists the document in decontamination/.
        answer: The same for an answer of at least 15 words that is no choice.
        passage: The same for a passage of at least 20 words.
        min_question: Share of a question's words, weighted by rarity, that must be in one place of the document.
        min_answer: The same for an answer.
        min_passage: The same for a passage.
        min_words: Words of a question that is matched by itself; a shorter one is matched with its choices or answer.
    """

    against: tuple[BenchmarkFile, ...] = ()
    question: Action = "drop"
    answer: Action = "drop"
    passage: Action = "mark"
    min_question: Coverage | None = 0.6
    min_answer: Coverage | None = 0.7
    min_passage: Coverage | None = 0.6
    min_words: Annotated[int, Ge(8)] = 10
    _hash: str = field(init=False, repr=False, default="")

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.against:
            return
        try:
            for suite in suites(self.against):
                suite.check()
            object.__setattr__(self, "_hash", _files_hash(self.against))
        except InputError as error:
            raise ParameterError("against", list(self.against), f"files of benchmark items ({error})") from error

    @property
    def is_off(self) -> bool:
        """Whether there is nothing to look for."""
        return not self.against

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        least = zip(KINDS, self._actions, self.least, strict=True)
        return tuple(
            Rule(kind, ">=", value, f"min_{kind}") for kind, action, value in least if action == "drop" and value <= 1
        )

    @property
    def _actions(self) -> tuple[Action, ...]:
        return self.question, self.answer, self.passage

    @property
    def least(self) -> tuple[float, ...]:
        """Minimum coverage by kind; above 1 for a kind that is not looked for."""
        return tuple(
            2.0 if value is None else value for value in (self.min_question, self.min_answer, self.min_passage)
        )

    def assets(self) -> dict[str, str]:
        """Hash of the items."""
        return {"items": self._hash} if self.against else {}

    def index(self) -> Index:
        """The index of the items, built once per process."""
        return _index(self.against, self.min_words, self._hash)

    def __call__(self, batch: Batch, /) -> Outcome:
        """Find items; remove documents, or edit their texts."""
        rows: list[dict[str, object]] = [{} for _ in range(len(batch))]
        by_row: dict[int, list[ItemMatch]] = {}
        if self.against and len(batch):
            for match in self.index().find(batch.text, self.least):
                by_row.setdefault(match.row, []).append(match)
        edited: dict[int, str] = {}
        emptied = np.zeros(len(batch), np.bool_)
        counts: Counter[str] = Counter()
        for row, matches in by_row.items():
            text = batch.text[row].as_py().encode()
            rows[row] = self._signals(matches, text)
            counts[f"{rows[row]['suite']}.{rows[row]['outcome']}"] += 1
            cuts = [(match.start, match.end) for match in matches if self._actions[match.kind] == "cut"]
            if cuts and rows[row]["outcome"] != "drop":
                edited[row] = without(text, cuts)
                emptied[row] = not edited[row].strip()
        signals = pa.array(rows, pa.struct(list(_SIGNALS)))
        reasons = pc.if_else(pa.array(emptied), pa.scalar("emptied"), decide(signals, self.rules))
        if edited:
            mask = np.zeros(len(batch), np.bool_)
            mask[list(edited)] = True
            new = pa.array([edited[row] for row in sorted(edited)], batch.text.type)
            batch = batch.with_columns(text=pc.replace_with_mask(batch.text, pa.array(mask), new))
        return Outcome(batch, reasons, signals, dict(sorted(counts.items())))

    def _signals(self, matches: Sequence[ItemMatch], text: bytes) -> dict[str, object]:
        order = ("drop", "cut", "mark")
        best = min(matches, key=lambda match: (order.index(self._actions[match.kind]), -match.coverage, match.start))
        index = self.index()
        values: dict[str, object] = {
            kind: max((match.coverage for match in matches if match.kind == number), default=None)
            for number, kind in enumerate(KINDS)
        }
        return values | {
            "outcome": self._actions[best.kind],
            "kind": KINDS[best.kind],
            "suite": index.suite_of(best.item),
            "item": index.item_keys[best.item],
            "evidence": " ".join(text[best.start : best.end].decode().split())[:EVIDENCE],
        }


def without(text: bytes, spans: Iterable[tuple[int, int]]) -> str:
    """The text without spans of bytes, which may overlap.

    >>> without(b"One. Two three. Four", [(5, 15), (7, 14)])
    'One.  Four'
    """
    parts: list[str] = []
    at = 0
    for start, end in sorted(spans):
        if start >= at:
            parts.append(text[at:start].decode())
        at = max(at, end)
    parts.append(text[at:].decode())
    return "".join(parts)


def _files_hash(against: tuple[str, ...]) -> str:
    total = hashlib.sha256()
    for suite in suites(against):
        total.update(repr((suite.name, sorted(suite.names.items()))).encode())
        with fsspec.open(suite.path, "rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


@lru_cache(maxsize=2)
def _index(against: tuple[str, ...], min_words: int, files_hash: str) -> Index:
    return build_index((item for suite in suites(against) for item in suite.items()), min_words)
