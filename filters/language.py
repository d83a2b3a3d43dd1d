"""Language filter: keeps documents in the wanted languages, as identified by a fastText model.

Verdicts equal those of datatrove 0.10's LanguageFilter (pipeline/filters/language_filter.py): a document is kept if any
wanted language scores above the threshold, even if another language scores higher. From a threshold of 0.5 on it can
only be the highest, since scores add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge, Lt

from curation.errors import ParameterError
from curation.language import identify
from curation.language.labels import label_of, model_label
from curation.language.second import Second, second_version, with_second
from curation.stages.batch import Batch
from curation.stages.parameters import LocalPath, Outside, Share, Size, checked
from curation.stages.rules import Rule, decide
from curation.stages.stage import Outcome, struct
from curation.text import views

SURE = 0.5
"""At or above this threshold only the most probable language can pass."""


@checked
@dataclass(frozen=True, slots=True)
class Language:
    """Keeps documents in one of `languages` with a score above `min_score`.

    Fills the columns `language` and `language_score` of every document with the most probable language and its score.
    The reasons for removal are `languages` and `min_score`; an empty document, for which the model's answer is
    uncertain, gets either.

    Attributes:
        languages: Languages to keep, as labels of the model or as codes such as de, deu or deu_Latn; empty keeps all.
        min_score: Probability that a language must exceed, 0 to 1.
        markdown: Whether the text is Markdown, of which the language of the prose counts: no fenced code and no marks.
        model: Path of another fastText model; None means the built-in one.
        labels: What the column `language` holds: "model" is the label of the model, "script" the code of ISO 639-3 with
            the script, deu_Latn. With "script", only the most probable language can pass, whatever `min_score` is.
        max_characters: Look only at this many characters at the beginning of a text, which is faster and changes the
            verdict on a few documents in a thousand; None means the whole text.
        second: Another library to ask about texts of which the model is not sure, "py3langid" or "cld2"; None asks
            none. Its language and score take the place of the model's.
        second_below: Score of the model below which the second opinion counts.
    """

    languages: tuple[str, ...] = ("en",)
    min_score: Annotated[float, Ge(0), Lt(1)] = 0.65
    markdown: bool = False
    model: Annotated[str, Outside("a model"), LocalPath()] | None = None
    max_characters: Size | None = None
    labels: Literal["model", "script"] = "model"
    second: Second | None = None
    second_below: Share = 0.8

    version: ClassVar[int] = 1
    added: ClassVar[tuple[str, ...]] = ("labels", "second", "second_below")
    identifies_language: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-predict",)

    def __post_init__(self) -> None:
        try:
            known = identify.labels(self.model) if self.languages or self.model else frozenset()
        except (OSError, ValueError) as error:
            raise ParameterError("model", self.model, f"a fastText model ({error})") from error
        unknown = [language for language in self.languages if model_label(language, known) is None]
        if unknown:
            raise ParameterError("languages", unknown[0], identify.known_languages(unknown[0], self.model))
        if self.second is not None:
            try:
                second_version(self.second)
            except ValueError as error:
                raise ParameterError("second", self.second, f"none; {error}") from error

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return (Rule("wanted", "<", 1, "languages"), Rule("score", "<=", self.min_score, "min_score"))

    def assets(self) -> dict[str, str]:
        """Hash of the model, and the version of the library that is asked for a second opinion."""
        second = {} if self.second is None else {"second": second_version(self.second)}
        return {"model": identify.model_hash(self.model), **second}

    def __call__(self, batch: Batch, /) -> Outcome:
        """Predict, fill the two columns, decide.

        Signals: `score`, of the language that decides, `wanted`, whether that language is wanted (0 or 1), and, if a
        second opinion is asked for, `second`, whether it counts (0 or 1).
        """
        texts = views.strings(batch.prose.characters) if self.markdown else batch.text
        if self.max_characters is not None:
            texts = pc.utf8_slice_codeunits(texts, 0, self.max_characters)
        wanted_labels = self._model_labels()
        alternatives = wanted_labels if self.min_score < SURE and self.labels == "model" else ()
        predicted = identify.predict_all(texts, alternatives, self.model)
        more: dict[str, pa.Array] = {}
        if self.second is not None:
            predicted, is_second = with_second(predicted, texts, self.second, self.second_below, self.model)
            more["second"] = pa.array(is_second.astype(np.int32))
        wanted = [name is not None and (not wanted_labels or name in wanted_labels) for name in predicted.languages]
        first = np.array(wanted, np.bool_)
        second = ~first & (predicted.wanted_scores > self.min_score)
        signals = struct(
            score=pa.array(np.where(second, predicted.wanted_scores, predicted.scores)),
            wanted=pa.array((first | second).astype(np.int32)),
            **more,
        )
        unidentified = np.array([name is None for name in predicted.languages], np.bool_)
        names = predicted.languages
        if self.labels == "script":
            names = [None if name is None else label_of(name) for name in names]
        filled = batch.with_columns(
            language=pa.array(names, pa.string()),
            language_score=pa.array(predicted.scores, pa.float64(), mask=unidentified),
        )
        return Outcome(filled, decide(signals, self.rules), signals)

    def _model_labels(self) -> frozenset[str]:
        """The languages to keep, as labels of the model."""
        known = identify.labels(self.model) if self.languages else frozenset()
        return frozenset(label for name in self.languages if (label := model_label(name, known)) is not None)
