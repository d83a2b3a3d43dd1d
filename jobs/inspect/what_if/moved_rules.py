"""Rules moved over signals that are stored: which keys of a recipe can be moved, and what each document does then.

A stage's stored signals decide exactly what its moved rules say wherever the stage measured the document. Where it did
not (a stage before it removed the document, and the recipe did not measure all) or where what it measured depends on
the rule itself, the document is unsure: it may pass or go. Nothing is guessed; unsure documents become bounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
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
from curation.recipes.recipe import Recipe
from curation.stages.rules import Rule, decide
from curation.stages.stage import Filter, Stage

SCORES_ADD_UP = 1e-3
"""By how much the scores of a document's languages, which are 32-bit numbers, may miss one when added up."""

_MOVABLE: dict[type[Any], tuple[str, ...]] = {
    Language: ("min_score",),
    C4: ("lorem_ipsum", "curly_bracket", "min_sentences"),
    Extract: ("max_html_characters", "language_floor"),
}
"""Keys that can be moved in stages that are more than a measurement and rules. In those that are no more (`Filter`), a
key that gives a rule its threshold can."""

_TRIED: tuple[Any, ...] = (1, 0.5)


@dataclass(frozen=True, slots=True)
class MovedStage:
    """A stage of a recipe before and after the move; the two are equal where it is not touched.

    rules: those after the move. reasons: of the rules before.
    """

    name: str
    before: Any
    after: Any
    rules: tuple[Rule, ...] = ()
    reasons: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, before: Any, after: Any) -> MovedStage:
        """The stage with its rules read from both."""
        reasons = frozenset(rule.reason for rule in getattr(before, "rules", ()))
        return cls(name, before, after, tuple(getattr(after, "rules", ())), reasons)

    @property
    def touched(self) -> bool:
        """Whether the move changes the stage."""
        return bool(self.before != self.after)


@dataclass(frozen=True, slots=True)
class MeasuredRows:
    """Documents that some stages measured, row by row.

    signals: by `stage.signal`; a signal that is not there was not needed, or not measured. position: the number of the
    stage that removed the row, the number of stages if none did. reasons: without the stage's name, null if kept.
    """

    signals: Mapping[str, pa.Array]
    position: Int64s
    reasons: pa.StringArray

    def __len__(self) -> int:
        return len(self.position)

    def where(self, mask: Bools) -> MeasuredRows:
        """The rows of a mask."""
        if mask.all():
            return self
        chosen = pa.array(mask)
        signals = {name: values.filter(chosen) for name, values in self.signals.items()}
        return MeasuredRows(signals, self.position[mask], self.reasons.filter(chosen))

    def of(self, stage: str) -> pa.StructArray:
        """The signals of one stage, as it gave them."""
        own = {key.removeprefix(f"{stage}."): key for key in self.signals if key.startswith(f"{stage}.")}
        arrays = [self.signals[key] for key in own.values()]
        return pa.StructArray.from_arrays(arrays, names=list(own)) if own else pa.array([{}] * len(self), pa.struct([]))


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a moved stage says of each row: gone for sure, or unsure; the rest passes. reasons: null unless gone."""

    gone: Bools
    unsure: Bools
    reasons: pa.StringArray


def movable(stages: Sequence[tuple[str, Stage]]) -> list[str]:
    """The keys that stored signals can answer for, as `stage.key`, in the recipe's order."""
    return [f"{name}.{key}" for name, stage in stages for key in _movable_keys(stage)]


def _movable_keys(stage: Any) -> list[str]:
    names = [field.name for field in dataclasses.fields(stage) if field.init]
    active = {rule.reason for rule in getattr(stage, "rules", ())}
    for kind, keys in _MOVABLE.items():
        if isinstance(stage, kind):
            return [key for key in keys if key in active]
    if not isinstance(stage, Filter):
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
    """The stages of both recipes side by side. UsageError if they differ in a key that stored signals cannot answer
    for, or in none."""
    changed = differences(before.resolved(), after.resolved())
    known = movable(before.stages)
    able = f"The keys that can be moved are {', '.join(known)}."
    for line in changed:
        if line.partition(":")[0] not in known:
            raise UsageError(
                f"{line}: stored signals do not tell what this changes, since it is no threshold of an active rule; "
                f"run the filter step with it into another folder and compare. {able}"
            )
    if not changed:
        raise UsageError(f"nothing is changed; name a key with --set, such as --set {known[0]}=... {able}")
    pairs = zip(before.stages, after.stages, strict=True)
    return [MovedStage.of(name, stage, moved) for (name, stage), (_, moved) in pairs]


def judge(stage: MovedStage, number: int, rows: MeasuredRows) -> Verdicts:
    """What stage `number` of the moved recipe says of the rows, most of which it may never have met."""
    own = rows.of(stage.name)
    met, here = rows.position >= number, rows.position == number
    measured = met | _measured(own)
    if not stage.touched and not (rows.position < number).any():
        return Verdicts(here, np.zeros(len(rows), np.bool_), _only(rows.reasons, here))
    judged = decide(own, [rule for rule in stage.rules if own.type.get_field_index(rule.signal) >= 0])
    failed = here & ~_in(rows.reasons, stage.reasons)
    reasons = pc.if_else(pa.array(failed & ~present(judged)), rows.reasons, judged)
    if not stage.touched:
        reasons = pc.if_else(pa.array(met), _only(rows.reasons, here), reasons)
    gone = present(reasons)
    doubtful = _doubt(stage, own, gone, here & ~failed) | (~met & ~gone & _tells_less(stage.after))
    unsure = ~measured | (doubtful if stage.touched else doubtful & ~met)
    gone &= ~unsure
    return Verdicts(gone, unsure, _only(reasons, gone))


def _doubt(stage: MovedStage, own: pa.StructArray, gone: Bools, removed_here: Bools) -> Bools:
    """Rows for which what the stage measured does not tell what its moved rules say."""
    if isinstance(stage.before, Extract):
        return removed_here & ~gone  # the page was given up before its text was known
    if isinstance(stage.before, Language):
        return _doubt_language(stage.before, stage.after, own)
    if isinstance(stage.before, C4):
        return _doubt_c4(stage.before, stage.after, own, gone)
    return np.zeros(len(own), np.bool_)


def _doubt_language(before: Language, after: Language, own: pa.StructArray) -> Bools:
    """Below one half, a second language may be a wanted one; its score was only looked at down to the old threshold."""
    seen = before.min_score < SURE and before.min_score <= after.min_score
    if after.min_score >= SURE or seen:
        return np.zeros(len(own), np.bool_)
    left = 1 - _numbers(own, "score") + SCORES_ADD_UP
    return np.asarray((_numbers(own, "wanted") == 0) & (left > after.min_score), np.bool_)


def _doubt_c4(before: C4, after: C4, own: pa.StructArray, gone: Bools) -> Bools:
    """Only the sign that came first is known; a line with "lorem ipsum" might have been cut, had that not been it."""
    lorem, curly = _numbers(own, "lorem_ipsum") > 0, _numbers(own, "curly_bracket") > 0
    if before.lorem_ipsum and not after.lorem_ipsum:
        return np.asarray(lorem | curly, np.bool_)
    if before.curly_bracket and not after.curly_bracket and before.lorem_ipsum:
        return np.asarray(curly & ~gone, np.bool_)
    return np.zeros(len(own), np.bool_)


def _tells_less(stage: Any) -> Bools:
    """A stage of a kind unknown here may remove for causes that no signal tells."""
    known = isinstance(stage, Filter | Language | C4)
    return np.array(not known, np.bool_)


def _measured(own: pa.StructArray) -> Bools:
    """Rows in which any signal is there."""
    found = np.zeros(len(own), np.bool_)
    for part in own.flatten():
        found |= present(part)
    return found


def _numbers(own: pa.StructArray, signal: str) -> Float64s:
    values = pc.cast(own.field(signal), pa.float64()).fill_null(np.nan)
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def present(values: pa.Array) -> Bools:
    """Where a value is there: [1, null] → [True, False]."""
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _in(values: pa.Array, names: Collection[str]) -> Bools:
    among = pc.is_in(values, pa.array(sorted(names), pa.string()))
    return np.asarray(among.to_numpy(zero_copy_only=False), np.bool_)


def _only(reasons: pa.StringArray, rows: Bools) -> pa.StringArray:
    return pc.if_else(pa.array(rows), reasons, pa.scalar(None, pa.string()))
