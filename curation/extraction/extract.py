"""The stage that turns pages into text, each page under its own limits (see `curation.extraction.isolation`).

A record that already has text (WET) keeps it. The column `html` is dropped here. With the same limits, the result for a
page depends on the page alone, except that a page which takes about `time_limit` may or may not time out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge, Gt, Le, Lt, MinLen

from curation.errors import ParameterError, StageFailed
from curation.extraction import isolation
from curation.extraction.acceleration.patches import warn_if_not_accelerated
from curation.extraction.blocks.model import InvalidModel, load, model_hash
from curation.extraction.extractors import BUILT_IN
from curation.language import identify
from curation.language.labels import model_label
from curation.stages.batch import Batch
from curation.stages.parameters import LocalPath, Outside, Size, checked
from curation.stages.rules import Rule, decide
from curation.stages.stage import Outcome, struct

FAILS_ON_ALL = 8
"""Pages of a batch on which an extractor that is not built in fails, and on no other does not: none of them is odd."""

ExtractorName = Annotated[str, Outside("code that is not built in", lambda name: name not in BUILT_IN)]


@checked
@dataclass(frozen=True, slots=True)
class Extract:
    """Extracts the main text of pages.

    With several extractors, or `retry_below`, the signal `tried` says how many characters each of them gave.

    The reasons for removal are `no_text`, `language_floor`, `max_html_characters`, `timeout`, `crash`, `memory` and
    `error`. The signal `failure` is the cause of the last four; `text_characters` is null if nothing was extracted.

    With `languages`, a page is extracted only if it declares one of them, or if a sample of its visible text scores
    above `language_floor` for one. This saves time, so it does not apply to resiliparse alone, which is fast itself.
    With blocks alone, a page that shows next to nothing is extracted, too.

    Attributes:
        extractor: "blocks", "trafilatura", "resiliparse", or "package.module:function" for a function from HTML to
            text; or a list of several, of which `rule` chooses.
        rule: "first" takes the text of the first extractor that yields at least `min_characters`, the longest text if
            none does; "longest" takes the longest.
        min_characters: Characters for the rule "first".
        format: "text" or "markdown", which keeps headings, lists, tables, code and formulas; for blocks only.
        blocks_model: Path of another model for blocks (see `curate train-extractor`); None means the bundled one.
        blocks_favor: What blocks favors: "precision", "balanced" or "recall".
        favor: What trafilatura favors: "precision", "balanced" or "recall".
        fast: Use trafilatura's fast mode.
        retry_below: trafilatura extracts once more, balanced, where it returns less than this share of the page's
            visible text; None means never. The longer text counts.
        languages: Languages to extract, as labels of the fastText model or codes such as de, deu or deu_Latn; empty
            means all.
        language_floor: Score, 0 to 1, that the sample must exceed for one of `languages`; None means to extract all
            pages.
        model: Path of another fastText model; None means the bundled one.
        time_limit: Seconds of processor time per page.
        memory_limit_mb: Memory in MiB that a page may take beyond what the process itself holds.
        max_html_characters: Pages with more characters than this are not extracted.
    """

    extractor: ExtractorName | Annotated[tuple[ExtractorName, ...], MinLen(1)] = "trafilatura"
    rule: Literal["first", "longest"] = "first"
    min_characters: Size = 200
    format: Literal["text", "markdown"] = "text"
    blocks_model: Annotated[str, LocalPath()] | None = None
    blocks_favor: Literal["precision", "balanced", "recall"] = "balanced"
    favor: Literal["precision", "balanced", "recall"] = "precision"
    fast: bool = False
    retry_below: Annotated[float, Gt(0), Le(1)] | None = None
    languages: tuple[str, ...] = ()
    language_floor: Annotated[float, Ge(0), Lt(1)] | None = 0.02
    model: Annotated[str, Outside("a model"), LocalPath()] | None = None
    time_limit: Annotated[float, Gt(0)] = 10.0
    memory_limit_mb: Size = 512
    max_html_characters: Size = 10_000_000

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("trafilatura", "justext", "lxml", "resiliparse", "fasttext-predict")

    def __post_init__(self) -> None:
        for name in self._extractors:
            if name not in BUILT_IN and not _is_path(name):
                raise ParameterError("extractor", name, f"{', '.join(BUILT_IN)}, or package.module:function")
        if len({*self._extractors}) < len(self._extractors):
            raise ParameterError("extractor", list(self._extractors), "a list without repetitions")
        if self.blocks_model is not None and "blocks" not in self._extractors:
            raise ParameterError("blocks_model", self.blocks_model, '"none" unless "blocks" is an extractor')
        if self.retry_below is not None and "trafilatura" not in self._extractors:
            raise ParameterError("retry_below", self.retry_below, '"none" unless "trafilatura" is an extractor')
        if self.format != "text" and self._extractors != ("blocks",):
            raise ParameterError("format", self.format, '"text" unless the extractor is "blocks"')
        if "blocks" in self._extractors:
            try:
                load(self.blocks_model)
            except (OSError, InvalidModel) as error:
                raise ParameterError("blocks_model", self.blocks_model, f"the path of a model ({error})") from error
        if self._previews:
            try:
                if self.model is None:
                    identify.model_path()
                else:
                    identify.load_model(self.model)
            except (OSError, ValueError) as error:
                raise ParameterError("model", self.model, "the path of a fastText model") from error
        if self._previews and (unknown := [name for name, label in self._labels().items() if label is None]):
            raise ParameterError("languages", unknown[0], identify.known_languages(unknown[0], self.model))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules. Failures come before them and have no threshold."""
        floor = (Rule("language_score", "<=", self.language_floor or 0.0, "language_floor"),) if self._previews else ()
        size = Rule("html_characters", ">", self.max_html_characters, "max_html_characters")
        return (size, *floor, Rule("text_characters", "<=", 0, "no_text"))

    def assets(self) -> dict[str, str]:
        """Hashes of the models that are used."""
        models = {"model": identify.model_hash(self.model)} if self._previews else {}
        return models | ({"blocks_model": model_hash(self.blocks_model)} if "blocks" in self._extractors else {})

    @property
    def _extractors(self) -> tuple[str, ...]:
        return (self.extractor,) if isinstance(self.extractor, str) else self.extractor

    @property
    def _previews(self) -> bool:
        return bool(self.languages) and self.language_floor is not None and self._extractors != ("resiliparse",)

    def __call__(self, batch: Batch, /) -> Outcome:
        """Fill `text` and drop `html`.

        Raises:
            StepFailed: The process for extraction cannot be started, or an extractor that is not built in fails on
                every page.
        """
        html = batch.column("html")
        lengths = pc.utf8_length(html)
        fits = pc.less_equal(lengths, self.max_html_characters).fill_null(False)
        tried = np.flatnonzero(fits.to_numpy(zero_copy_only=False))
        pages = html if len(tried) == len(html) else html.filter(fits)
        if len(pages) and "trafilatura" in self._extractors:
            warn_if_not_accelerated()
        answers = isolation.run(self._function(), pages, self._limits())
        self._check_own(answers)
        texts, scores, failures, causes, given = self._columns(batch, tried, answers)
        signals = struct(
            html_characters=lengths.cast(pa.int64()),
            text_characters=pc.utf8_length(texts).cast(pa.int64()),
            language_score=pa.array(scores, pa.float64()),
            failure=pa.array(causes, pa.string()),
            **({"tried": pa.array(given, pa.string())} if self._combines else {}),
        )
        reasons = pc.coalesce(pa.array(failures, pa.string()), decide(signals, self.rules))
        counts = Counter(f"{failure}.{cause}" for failure, cause in zip(failures, causes, strict=True) if failure)
        return Outcome(batch.with_columns(text=texts).without_columns("html"), reasons, signals, counts)

    def kernels(self) -> tuple[Callable[..., Any], ...]:
        """Some kernels that the process for extraction compiles with its first page, if the cache lacks them."""
        if "blocks" not in self._extractors:
            return ()
        from curation.extraction.blocks.extract import choose_blocks
        from curation.extraction.blocks.parse import parse

        return parse, choose_blocks

    def prepare(self) -> None:
        """Start the process for extraction, without waiting for it."""
        isolation.prepare(self._function())

    @property
    def _combines(self) -> bool:
        return len(self._extractors) > 1 or (self.retry_below is not None and "trafilatura" in self._extractors)

    def _function(self) -> isolation.Function:
        options = {name: getattr(self, name) for name in _OPTIONS}
        arguments = {
            "extractors": self._extractors,
            "rule": self.rule,
            "min_characters": self.min_characters,
            "options": options,
            "languages": tuple(filter(None, self._labels().values())) if self._previews else self.languages,
            "language_floor": self.language_floor,
            "model": str(identify.model_path(self.model)) if self._previews else None,
        }
        return isolation.Function("curation.extraction.extractors:page_function", arguments)

    def _labels(self) -> dict[str, str | None]:
        """The label of the model for each of `languages`; None if it does not know the language."""
        known = identify.labels(self.model)
        return {name: model_label(name, known) for name in self.languages}

    def _check_own(self, answers: Sequence[isolation.Answer]) -> None:
        """Raise StageFailed if code that is not built in failed on every page: that is its fault, not the pages'."""
        own = [name for name in self._extractors if name not in BUILT_IN]
        if not own:
            return
        errors = [answer.error for answer in answers if answer.failure == "error"]
        given = [answer.value[0] for answer in answers if answer.value is not None]
        if len(errors) >= FAILS_ON_ALL and all(text is None for text in given):
            raise StageFailed(f"extractor {own[0]} fails on every page: {errors[0]}")

    def _limits(self) -> isolation.PageLimits:
        return isolation.PageLimits(self.time_limit, self.memory_limit_mb)

    def _columns(
        self, batch: Batch, tried: np.ndarray[Any, Any], answers: list[isolation.Answer]
    ) -> tuple[pa.StringArray, list[float | None], list[str | None], list[str | None], list[str | None]]:
        """Text, language score, failure and its cause, and what each extractor gave, of every row."""
        existing = pc.fill_null(batch.text, "")
        if batch.column("html").null_count == len(batch):
            nulls: list[Any] = [None] * len(batch)
            return existing, nulls, nulls, nulls, nulls
        texts = pc.if_else(batch.column("html").is_valid(), pa.scalar(None, pa.string()), existing).to_pylist()
        scores: list[float | None] = [None] * len(batch)
        failures: list[str | None] = [None] * len(batch)
        causes: list[str | None] = [None] * len(batch)
        given: list[str | None] = [None] * len(batch)
        for row, answer in zip(tried, answers, strict=True):
            if answer.failure is None:
                texts[row], scores[row], given[row] = answer.value
            else:
                failures[row], causes[row] = answer.failure, answer.cause
        return pa.array(texts, pa.string()), scores, failures, causes, given


_OPTIONS = ("favor", "fast", "retry_below", "format", "blocks_model", "blocks_favor")


def _is_path(name: str) -> bool:
    module, colon, function = name.partition(":")
    if not (colon and function.isidentifier()):
        return False
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
