"""Scores documents by quality models and removes those below a threshold.

A model is a fastText classifier or a linear model by `curate train-quality`, named by its path. Its score is the
probability of the label that counts as good. A percentile is looked up in the quantiles that training or `curate
calibrate` stored beside the model, so that a verdict never depends on the other documents of a run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge, Le

from curation.arrays import Bools, Float64s
from curation.errors import ParameterError, require
from curation.quality.model import ALL, InvalidQualityModel, QualityModel, load, percentiles
from curation.stages.batch import Batch
from curation.stages.parameters import LocalPath, Ratio, Share, Size, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct


@checked
@dataclass(frozen=True, slots=True)
class Quality(Filter):
    """Keeps documents whose score, or percentile, reaches the threshold.

    Signals: `score`, combined over the models; `percentile`, combined over the percentiles of the models, null if a
    model has no quantiles; with several models, also `score_1`, `score_2` and so on; with `min_score_by_language`,
    the score again as `score_<language>` or `score_other`, for its rule.

    Attributes:
        models: Paths of the models. Without any, nothing is scored or removed.
        labels: For each fastText model, the label that counts as good; several of one model are joined by "+". Empty
            takes those that training stored; a linear model has "".
        weights: Weight of each model in the mean; empty weighs all equally.
        combine: Whether the score of several models is their "mean", the lowest ("min") or the highest ("max").
        min_score: Minimum score, 0 to 1.
        min_percentile: Minimum percentile, 0 to 100: 90 keeps about the best tenth of a corpus like that of the
            calibration.
        min_score_by_language: Minimum scores of documents in single languages, such as "de=0.2"; `min_score` is for
            the others.
        by_language: Whether percentiles are looked up among documents of the same language, if there were enough.
        max_characters: Look only at this many characters at the beginning of a text; None means the whole text.
        accept_audit: Whether a model whose audit failed may remove documents.
    """

    models: tuple[Annotated[str, LocalPath()], ...] = ()
    labels: tuple[str, ...] = ()
    weights: tuple[Ratio, ...] = ()
    combine: Literal["mean", "min", "max"] = "mean"
    min_score: Share | None = None
    min_percentile: Annotated[float, Ge(0), Le(100)] | None = None
    min_score_by_language: tuple[str, ...] = ()
    by_language: bool = False
    max_characters: Size | None = None
    accept_audit: bool = False

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        count = len(self.models)
        require(len(self.labels) in (0, count), "labels", self.labels, f"one for each of the {count} models")
        require(len(self.weights) in (0, count), "weights", self.weights, f"one for each of the {count} models")
        require(not self.weights or sum(self.weights) > 0, "weights", self.weights, "above 0 for one model at least")
        require(
            not self.weights or self.combine == "mean", "weights", self.weights, 'left out unless combine is "mean"'
        )
        for key in ("min_score", "min_percentile", "min_score_by_language"):
            value = getattr(self, key)
            require(count > 0 or not value, key, value, "left out without models")
        self._language_scores()
        for model in self.loaded():
            if self.min_percentile is not None and ALL not in model.card.quantiles:
                allowed = f"left out until the model has quantiles: curate calibrate {model.path} CORPUS"
                raise ParameterError("min_percentile", self.min_percentile, allowed)
            audit = model.card.audit or {}
            if audit.get("failed") and not self.accept_audit and self.rules:
                failed = ", ".join(map(str, audit["failed"]))
                allowed = f"true to use {model.path}, whose audit failed ({failed})"
                raise ParameterError("accept_audit", False, allowed)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        by_language = self._language_scores()
        rules = [Rule(f"score_{name}", "<", least, "min_score_by_language") for name, least in by_language.items()]
        if self.min_score is not None:
            rules.append(Rule("score_other" if by_language else "score", "<", self.min_score, "min_score"))
        if self.min_percentile is not None:
            rules.append(Rule("percentile", "<", self.min_percentile, "min_percentile"))
        return tuple(rules)

    def assets(self) -> dict[str, str]:
        """Hashes of the models, and of the labels and quantiles on their cards."""
        hashes: dict[str, str] = {}
        for number, model in enumerate(self.loaded(), start=1):
            card = hashlib.sha256(repr(model.labels).encode())
            for language, scores in sorted(model.card.quantiles.items()):
                card.update(language.encode() + b"\0" + scores.tobytes())
            hashes |= {f"model_{number}": model.sha256, f"card_{number}": card.hexdigest()}
        return hashes

    def measure(self, batch: Batch) -> pa.StructArray:
        """The signals."""
        texts = batch.text
        if self.max_characters is not None:
            texts = pc.utf8_slice_codeunits(texts, 0, self.max_characters)
        models = self.loaded()
        languages = _languages(batch)
        scores = [model.score(texts) for model in models]
        score = self._combined(scores, len(batch))
        signals = {"score": pa.array(score, from_pandas=True)}
        ranked = [self._percentiles(model, each, languages) for model, each in zip(models, scores, strict=True)]
        signals["percentile"] = pa.array(self._combined(ranked, len(batch)), from_pandas=True)
        if len(models) > 1:
            signals |= {f"score_{number}": pa.array(each) for number, each in enumerate(scores, start=1)}
        other = np.ones(len(batch), np.bool_)
        for name in self._language_scores():
            own = languages == name
            other &= ~own
            signals[f"score_{name}"] = pa.array(score, mask=~own)
        if self.min_score_by_language:
            signals["score_other"] = pa.array(score, mask=~other)
        return struct(**signals)

    def _combined(self, values: list[Float64s], rows: int) -> Float64s:
        if not values or rows == 0:
            return np.full(rows, np.nan)
        if self.combine == "mean":
            return np.asarray(np.average(values, axis=0, weights=self.weights or None), np.float64)
        return np.asarray(np.min(values, axis=0) if self.combine == "min" else np.max(values, axis=0), np.float64)

    def _percentiles(self, model: QualityModel, scores: Float64s, languages: npt.NDArray[np.object_]) -> Float64s:
        """The percentile of each score; NaN if the model has no quantiles."""
        quantiles = model.card.quantiles
        if ALL not in quantiles:
            return np.full(len(scores), np.nan)
        ranks = percentiles(scores, quantiles[ALL])
        if self.by_language:
            for language in sorted(set(quantiles) & {str(name) for name in languages}):
                own: Bools = np.asarray(languages == language, np.bool_)
                ranks[own] = percentiles(scores[own], quantiles[language])
        return ranks

    def loaded(self) -> list[QualityModel]:
        """The models, in order."""
        labels = self.labels or ("",) * len(self.models)
        try:
            return [
                load(path, tuple(filter(None, label.split("+"))))
                for path, label in zip(self.models, labels, strict=True)
            ]
        except (OSError, InvalidQualityModel) as error:
            raise ParameterError("models", list(self.models), f"quality models ({error})") from error

    def _language_scores(self) -> dict[str, float]:
        scores: dict[str, float] = {}
        for entry in self.min_score_by_language:
            language, _, text = entry.partition("=")
            try:
                scores[language.strip()] = float(text)
            except ValueError:
                scores[""] = -1.0
            require(
                "" not in scores and 0 <= scores[language.strip()] <= 1,
                "min_score_by_language", entry, 'a language and a score from 0 to 1, such as "de=0.2"',
            )  # fmt: skip
        return scores


def _languages(batch: Batch) -> npt.NDArray[np.object_]:
    """The language of each row, "" if it is unknown, dtype object."""
    if "language" not in batch.table.schema.names:
        return np.full(len(batch), "", object)
    return np.array([name or "" for name in batch.column("language").to_pylist()], object)
