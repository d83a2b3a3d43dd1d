"""Language filter: the document's language by a fastText model, and how sure the model is.

Verdicts equal those of datatrove 0.10's LanguageFilter (pipeline/filters/language_filter.py): a document stays if any
wanted language scores above the threshold, be it the first or not (from a threshold of one half on it can only be the
first, since scores add up to one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge, Lt

from curation.errors import ParameterError
from curation.language import identify
from curation.stages.batch import Batch
from curation.stages.parameters import Size, checked
from curation.stages.rules import Rule, decide
from curation.stages.stage import Outcome, struct

SURE = 0.5
"""At or above this threshold only the first language can pass."""


@checked
@dataclass(frozen=True, slots=True)
class Language:
    """Keeps documents in one of `languages` (none: in any) with a score above `min_score`.

    model: path of another fastText model, whose labels `languages` then are. max_characters: of a longer text only the
    beginning is looked at, which is quicker and changes the verdict on a few documents in a thousand. Fills the columns
    `language` and `language_score` of every document with the most probable language. Removes with the reasons
    `languages` and `min_score`; an empty document, for which the model has an unsure answer, with either.
    """

    languages: tuple[str, ...] = ("en",)
    min_score: Annotated[float, Ge(0), Lt(1)] = 0.65
    model: str | None = None
    max_characters: Size | None = None

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-predict",)

    def __post_init__(self) -> None:
        try:
            known = identify.labels(self.model) if self.languages or self.model else frozenset()
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
        return {"model": identify.model_hash(self.model)}

    def __call__(self, batch: Batch, /) -> Outcome:
        """Predict, fill the two columns, decide. Signals: `score` of the language decided by, `wanted` (0 or 1)."""
        texts = batch.text
        if self.max_characters is not None:
            texts = pc.utf8_slice_codeunits(texts, 0, self.max_characters)
        asked = self.languages if self.min_score < SURE else ()
        found = identify.predict_all(texts, asked, self.model)
        wanted = [name is not None and (not self.languages or name in self.languages) for name in found.languages]
        first = np.array(wanted, np.bool_)
        second = ~first & (found.wanted_scores > self.min_score)
        signals = struct(
            score=pa.array(np.where(second, found.wanted_scores, found.scores)),
            wanted=pa.array((first | second).astype(np.int32)),
        )
        nameless = np.array([name is None for name in found.languages], np.bool_)
        filled = batch.with_columns(
            language=pa.array(found.languages, pa.string()),
            language_score=pa.array(found.scores, pa.float64(), mask=nameless),
        )
        return Outcome(filled, decide(signals, self.rules), signals)
