"""Applies changed rules to stored signals: which keys of a recipe can be changed, and what happens to each document.

If a stage measured a document, its stored signals decide exactly what the changed rules say. Otherwise the document is
unsure, it may be kept or removed: an earlier stage removed it and the recipe did not measure all documents, or what was
measured depends on the rule itself. Nothing is guessed; unsure documents become the difference of two bounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools, Float64s, Int64s
from curation.errors import UsageError
from curation.extraction.extract import Extract
from curation.filters.c4 import C4
from curation.filters.language import SURE, Language
from curation.jobs.steps.plan import differences
from curation.recipes.language_values import stage_key
from curation.recipes.recipe import Recipe
from curation.stages.batch import Batch
from curation.stages.by_language import languages_of
from curation.stages.rules import Rule, decide
from curation.stages.stage import Filter, Rewriter, Stage
from curation.stages.stored import StoredStage, is_threshold
from curation.store.folder import Folder
from curation.store.shards import rows_at

SCORES_ADD_UP = 1e-3
"""How much the sum of a document's language scores, which are 32-bit floats, may differ from 1."""

_MOVABLE: dict[type[Any], tuple[str, ...]] = {
    Language: ("min_score",),
    C4: ("lorem_ipsum", "curly_bracket", "min_sentences"),
    Extract: ("max_html_characters", "language_floor"),
}
"""Keys that can be changed in stages that are more than a measurement and rules. In stages that are just that
(`Filter`), or that decide after they have rewritten the text (`Rewriter`), every key that is the threshold of a rule
can be changed."""

_TRIED: tuple[Any, ...] = (1, 0.5)


@dataclass(frozen=True, slots=True)
class MovedStage:
    """A stage of a recipe before and after the change.

    Attributes:
        name: Name of the stage.
        before: The stage with the run's parameters.
        after: The stage with the changed parameters; equal to `before` if it is not changed.
        rules: Rules of `after`.
        reasons: Reasons of the rules of `before`.
    """

    name: str
    before: Any
    after: Any
    rules: tuple[Rule, ...] = ()
    reasons: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, before: Any, after: Any) -> MovedStage:
        """Build from both stages, reading their rules."""
        reasons = frozenset(rule.reason for rule in getattr(before, "rules", ()))
        return cls(name, before, after, tuple(getattr(after, "rules", ())), reasons)

    @property
    def touched(self) -> bool:
        """Whether the stage is changed."""
        return bool(self.before != self.after)


@dataclass(frozen=True, slots=True)
class MeasuredRows:
    """Documents that stages measured, row by row.

    Attributes:
        signals: Values by `stage.signal`; signals that are not needed or were not measured may be missing.
        position: int64[rows]. Number of the stage that removed the row; the number of stages if it was kept.
        reasons: Reasons without the stage's name, null if kept.
    """

    signals: Mapping[str, pa.Array]
    position: Int64s
    reasons: pa.StringArray

    def __len__(self) -> int:
        return len(self.position)

    def where(self, mask: Bools) -> MeasuredRows:
        """The rows selected by a mask."""
        if mask.all():
            return self
        selection = pa.array(mask)
        signals = {name: values.filter(selection) for name, values in self.signals.items()}
        return MeasuredRows(signals, self.position[mask], self.reasons.filter(selection))

    def of(self, stage: str) -> pa.StructArray:
        """The signals of one stage, as the stage returned them."""
        own = {key.removeprefix(f"{stage}."): key for key in self.signals if key.startswith(f"{stage}.")}
        arrays = [self.signals[key] for key in own.values()]
        return pa.StructArray.from_arrays(arrays, names=list(own)) if own else pa.array([{}] * len(self), pa.struct([]))


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a changed stage says about each row.

    Attributes:
        removed: bool[rows]. Certainly removed.
        unsure: bool[rows]. Not known; rows that are neither removed nor unsure are kept.
        reasons: Reasons of removed rows, else null.
    """

    removed: Bools
    unsure: Bools
    reasons: pa.StringArray


def movable(stages: Sequence[tuple[str, Stage]]) -> list[str]:
    """The keys whose change can be answered from stored signals, as `stage.key`, in the order of the recipe."""
    return [f"{name}.{key}" for name, stage in stages for key in _movable_keys(stage)]


def _movable_keys(stage: Any) -> list[str]:
    active = {rule.reason for rule in getattr(stage, "rules", ())}
    if isinstance(stage, StoredStage):
        return [key for key, value in stage.values.items() if key in active and is_threshold(value)]
    names = [field.name for field in dataclasses.fields(stage) if field.init]
    for kind, keys in _MOVABLE.items():
        if isinstance(stage, kind):
            return [key for key in keys if key in active]
    if not isinstance(stage, Filter | Rewriter):
        return []
    return [name for name in names if name in active or _can_switch_on(stage, name)]


def _can_switch_on(stage: Any, key: str) -> bool:
    if getattr(stage, key) is not None:
        return False
    for value in _TRIED:
        try:
            moved = dataclasses.replace(stage, **{key: value})
        except (TypeError, ValueError):
            continue
        if key in {rule.reason for rule in moved.rules}:
            return True
    return False


def moved_stages(before: Recipe, after: Recipe) -> list[MovedStage]:
    """Pair the stages of both recipes.

    Raises:
        UsageError: The recipes differ in a key whose change stored signals cannot answer, or do not differ.
    """
    changed = differences(before.resolved(), after.resolved())
    known = movable(before.stages)
    able = f"These keys can be changed: {', '.join(known)}."
    for line in changed:
        if stage_key(line.partition(":")[0]) not in known:
            raise UsageError(
                f"{line}: stored signals do not show its effect, because it is not the threshold of an active rule; "
                f"run the filter step with it into another folder and compare. {able}"
            )
    if not changed:
        raise UsageError(f"nothing is changed; change a key with --set, for example --set {known[0]}=... {able}")
    return pairs_of(before.stages, after.stages)


def pairs_of(before: Sequence[tuple[str, Stage]], after: Sequence[tuple[str, Stage]]) -> list[MovedStage]:
    """Each stage with what it becomes."""
    return [MovedStage.of(name, stage, moved) for (name, stage), (_, moved) in zip(before, after, strict=True)]


class PairsByLanguage:
    """The stages of two recipes, paired, for each language."""

    def __init__(self, before: Recipe, after: Recipe) -> None:
        self._recipes = [(recipe.stages, recipe.by_language()) for recipe in (before, after)]
        self._known: dict[str | None, tuple[MovedStage, ...]] = {}

    @property
    def differ(self) -> bool:
        """Whether the stages are not the same for all languages."""
        return any(by_language is not None for _, by_language in self._recipes)

    @property
    def thresholds(self) -> Mapping[str, Sequence[Rule]]:
        """The rules whose thresholds are edges of the histograms after the change, where they are not a stage's own."""
        _, by_language = self._recipes[1]
        return {} if by_language is None else by_language.thresholds

    def of(self, language: str | None) -> tuple[MovedStage, ...]:
        """The pairs for a language, given as in the column `language`."""
        if language not in self._known:
            sides = [stages if by is None else by.of(language) for stages, by in self._recipes]
            self._known[language] = tuple(pairs_of(*sides))
        return self._known[language]


def kept_rows(batch: pa.RecordBatch, stages: Sequence[MovedStage]) -> MeasuredRows:
    """Rows of signals/, some or all of its columns."""
    signals = {name: batch.column(name) for name in batch.schema.names if name not in ("id", "warc_offset")}
    return MeasuredRows(signals, np.full(batch.num_rows, len(stages)), pa.nulls(batch.num_rows, pa.string()))


def removed_rows(batch: pa.RecordBatch, stages: Sequence[MovedStage]) -> MeasuredRows:
    """Rows of removed/filter/, with their stage, reason and signals."""
    struct, names = batch["signals"], pa.array([stage.name for stage in stages])
    signals = dict(zip([part.name for part in struct.type], struct.flatten(), strict=True))
    position = pc.index_in(batch["stage"], names).to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = zip(batch["stage"].to_pylist(), batch["reason"].to_pylist(), strict=True)
    cut = [reason.removeprefix(f"{stage}.") for stage, reason in pairs]
    return MeasuredRows(signals, position, pa.array(cut, pa.string()))


def languages_at(folder: Folder, path: str, numbers: Int64s) -> Iterator[tuple[str | None, Bools]]:
    """The languages of rows of a file, each with its rows, shape (rows,)."""
    rows = rows_at(folder, path, numbers, ["language"]).combine_chunks()
    yield from languages_of(Batch(rows.to_batches()[0])) if rows.num_rows else ()


@dataclass(frozen=True, slots=True)
class StageVerdicts:
    """Rows after a changed stage.

    Attributes:
        verdicts: What the stage says.
        moved: bool[rows]. Removed here, and not for the same reason in the run.
        alive: bool[rows]. Not removed so far; some of them are unsure.
        sure: bool[rows]. Certainly not removed so far.
    """

    verdicts: Verdicts
    moved: Bools
    alive: Bools
    sure: Bools


def judge_all(stages: Sequence[MovedStage], rows: MeasuredRows) -> Iterator[StageVerdicts]:
    """Apply the changed stages one after the other, each to the rows that those before it do not remove."""
    alive, sure = np.ones(len(rows), np.bool_), np.ones(len(rows), np.bool_)
    for number, stage in enumerate(stages):
        verdicts = judge(stage, number, rows)
        is_same = pc.equal(verdicts.reasons, rows.reasons).fill_null(False).to_numpy(zero_copy_only=False)
        moved = alive & verdicts.removed & ~(is_same & (rows.position == number))
        alive = alive & ~verdicts.removed
        sure = sure & alive & ~verdicts.unsure
        yield StageVerdicts(verdicts, moved, alive, sure)


def is_changed(stages: Sequence[MovedStage], rows: MeasuredRows) -> Bools:
    """Which rows have another verdict with the changed rules, or one that their signals do not show, bool[rows]."""
    changed = np.zeros(len(rows), np.bool_)
    for each in judge_all(stages, rows):
        changed |= each.moved
    return np.asarray(changed | (each.alive & ((rows.position < len(stages)) | ~each.sure)), np.bool_)


def judge(stage: MovedStage, number: int, rows: MeasuredRows) -> Verdicts:
    """Apply a changed stage to rows, many of which may not have reached it in the run.

    Args:
        stage: The stage.
        number: Its number in the recipe.
        rows: The rows.
    """
    own = rows.of(stage.name)
    reached, here = rows.position >= number, rows.position == number
    measured = reached | _measured(own)
    if not stage.touched and not (rows.position < number).any():
        return Verdicts(here, np.zeros(len(rows), np.bool_), _only(rows.reasons, here))
    judged = decide(own, [rule for rule in stage.rules if own.type.get_field_index(rule.signal) >= 0])
    failed = here & ~_in(rows.reasons, stage.reasons)
    reasons = pc.if_else(pa.array(failed & ~present(judged)), rows.reasons, judged)
    if not stage.touched:
        reasons = pc.if_else(pa.array(reached), _only(rows.reasons, here), reasons)
    removed = present(reasons)
    doubtful = _doubt(stage, own, removed, here & ~failed) | (~reached & ~removed & _may_hide_causes(stage.after))
    unsure = ~measured | (doubtful if stage.touched else doubtful & ~reached)
    removed &= ~unsure
    return Verdicts(removed, unsure, _only(reasons, removed))


def _doubt(stage: MovedStage, own: pa.StructArray, removed: Bools, removed_here: Bools) -> Bools:
    """Rows for which the stage's signals do not determine what its changed rules say."""
    if isinstance(stage.before, Extract):
        return removed_here & ~removed  # the page was removed before its text was extracted
    if isinstance(stage.before, Language):
        return _doubt_language(stage.before, stage.after, own)
    if isinstance(stage.before, C4):
        return _doubt_c4(stage.before, stage.after, own, removed)
    return np.zeros(len(own), np.bool_)


def _doubt_language(before: Language, after: Language, own: pa.StructArray) -> Bools:
    """Below one half, a second language may be a wanted one; its score was checked only down to the old threshold."""
    seen = before.min_score < SURE and before.min_score <= after.min_score
    if after.min_score >= SURE or seen:
        return np.zeros(len(own), np.bool_)
    left = 1 - _numbers(own, "score") + SCORES_ADD_UP
    return np.asarray((_numbers(own, "wanted") == 0) & (left > after.min_score), np.bool_)


def _doubt_c4(before: C4, after: C4, own: pa.StructArray, removed: Bools) -> Bools:
    """Only the sign that came first is known, and without it a line with "lorem ipsum" might have been cut."""
    lorem, curly = _numbers(own, "lorem_ipsum") > 0, _numbers(own, "curly_bracket") > 0
    if before.lorem_ipsum and not after.lorem_ipsum:
        return np.asarray(lorem | curly, np.bool_)
    if before.curly_bracket and not after.curly_bracket and before.lorem_ipsum:
        return np.asarray(curly & ~removed, np.bool_)
    return np.zeros(len(own), np.bool_)


def _may_hide_causes(stage: Any) -> Bools:
    """Whether the stage is of a kind unknown here, which may remove for causes that no signal shows."""
    known = isinstance(stage, Filter | Rewriter | Language | C4)
    if isinstance(stage, StoredStage):
        known = stage.measures_first
    return np.array(not known, np.bool_)


def _measured(own: pa.StructArray) -> Bools:
    """Rows that have any signal."""
    measured = np.zeros(len(own), np.bool_)
    for part in own.flatten():
        measured |= present(part)
    return measured


def _numbers(own: pa.StructArray, signal: str) -> Float64s:
    values = pc.cast(own.field(signal), pa.float64()).fill_null(np.nan)
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def present(values: pa.Array) -> Bools:
    """Which values are not null: [1, null] → [True, False]."""
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _in(values: pa.Array, names: Collection[str]) -> Bools:
    among = pc.is_in(values, pa.array(sorted(names), pa.string()))
    return np.asarray(among.to_numpy(zero_copy_only=False), np.bool_)


def _only(reasons: pa.StringArray, rows: Bools) -> pa.StringArray:
    return pc.if_else(pa.array(rows), reasons, pa.scalar(None, pa.string()))
