"""Language filter: the document's language by a fastText model, and how sure the model is.

Verdicts equal those of datatrove 0.10's LanguageFilter (pipeline/filters/language_filter.py). One prediction a document
is enough wherever the threshold is at least one half, since scores add up to one; below that, all scores are needed,
for a wanted language may pass without being the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation import lid
from curation.batch import Batch
from curation.errors import ParameterError
from curation.rules import Rule, decide
from curation.stage import Outcome, struct

SURE = 0.5
"""At or above this threshold only the first language can pass."""


@dataclass(frozen=True, slots=True)
class Language:
    """Keeps documents in one of `languages` (none: in any) with a score above `min_score`.

    model: path of another fastText model, whose labels `languages` then are. Fills the columns `language` and
    `language_score` of every document with the most probable language. Removes with the reasons `languages` and
    `min_score`; a document without words is in no language.
    """

    languages: tuple[str, ...] = ("en",)
    min_score: float = 0.65
    model: str | None = None

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-predict",)

    def __post_init__(self) -> None:
        if not 0 <= self.min_score < 1:
            raise ParameterError("min_score", self.min_score, "at least 0 and below 1")
        try:
            known = lid.labels(self.model) if self.languages else frozenset(self.languages)
        except (FileNotFoundError, ValueError) as error:
            raise ParameterError("model", self.model, f"a fastText model ({error})") from error
        unknown = [language for language in self.languages if language not in known]
        if unknown:
            raise ParameterError("languages", unknown[0], f"among the model's labels: {', '.join(sorted(known))}")

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return (Rule("wanted", "<", 1, "languages"), Rule("score", "<=", self.min_score, "min_score"))

    def assets(self) -> dict[str, str]:
        """The model's hash."""
        return {"model": lid.model_hash(self.model)}

    def __call__(self, batch: Batch, /) -> Outcome:
        """Predict, fill the two columns, decide. Signals: `score` of the language decided by, `wanted` (0 or 1)."""
        names: list[str | None] = []
        scores: list[float | None] = []
        judged: list[tuple[int, float]] = []
        for text in batch.text.to_pylist():
            best = lid.predict(text or "", self.model)
            names.append(best[0] if best else None)
            scores.append(best[1] if best else None)
            judged.append(self._judge(text or "", best))
        signals = struct(
            score=pa.array([score for _, score in judged], pa.float64()),
            wanted=pa.array([wanted for wanted, _ in judged], pa.int32()),
        )
        filled = batch.with_columns(
            language=pa.array(names, pa.string()), language_score=pa.array(scores, pa.float64())
        )
        return Outcome(filled, decide(signals, self.rules), signals)

    def _judge(self, text: str, best: tuple[str, float] | None) -> tuple[int, float]:
        """Whether the language is wanted, and its score."""
        if best is None:
            return 0, 0.0
        if not self.languages or best[0] in self.languages:
            return 1, best[1]
        if self.min_score >= SURE:
            return 0, best[1]
        score = lid.best_score(text, self.languages, self.model)
        return (1, score) if score > self.min_score else (0, best[1])
