"""One stage on one document: the verdict, and every value beside its threshold."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.stages.batch import Batch
from curation.stages.frames import TEXTS
from curation.stages.pipeline import check_stage, needing, stage_name
from curation.stages.rules import Rule, violations
from curation.stages.stage import Stage
from curation.text.valid import valid_text


@dataclass(frozen=True, slots=True)
class Check:
    """A value that was measured, the rule it was held against (None: there is none), and whether it violates it."""

    signal: str
    value: Any
    rule: Rule | None = None
    violated: bool = False

    def __str__(self) -> str:
        value = f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)
        limit = ""
        if self.rule is not None:
            limit = f"removed if {self.rule.comparison} {self.rule.threshold:g}  ({self.rule.reason})"
        return f"{self.signal:<20} {value:>10}  {limit}{'  violated' if self.violated else ''}".rstrip()


@dataclass(frozen=True, slots=True)
class StageExplanation:
    """What a stage says of a document. Printed, it is a table.

    Attributes:
        kept: Whether the stage keeps it.
        reason: The rule that removes it, named after the parameter that holds the threshold; None if it is kept.
        text: The text as the stage leaves it.
        checks: Every value, with each rule about it in a row of its own.
    """

    kept: bool
    reason: str | None
    text: str | None
    checks: tuple[Check, ...]

    def __str__(self) -> str:
        return "\n".join(["kept" if self.kept else f"removed: {self.reason}", *(f"  {check}" for check in self.checks)])


def explain(stage: Stage, text: str | None = None, **columns: Any) -> StageExplanation:
    """Apply one stage to one document.

    Args:
        stage: A filter or any other stage, such as `GopherQuality(min_words=100)`.
        text: The text.
        **columns: Whatever else the stage reads, such as `url="https://example.com/"` for `Url` or `html=...`.

    Returns:
        The verdict, the reason, the text afterwards, and every value with the rules it was held against.

    Raises:
        InputError: The stage needs a column that was not given.
        TypeError: `stage` is no stage, no document was given, or a text, URL or page is no string.

    Example:
        >>> from curation import GopherQuality, explain
        >>> found = explain(GopherQuality(), "Far too short to be a document.")
        >>> found.kept, found.reason
        (False, 'min_words')
        >>> print(found.checks[0])
        words                         7  removed if < 50  (min_words)  violated
    """
    if isinstance(text, Stage):
        raise TypeError("explain(stage, text): the stage comes first, then the text")
    check_stage(stage)
    if text is None and not columns:
        raise TypeError("explain() needs a document: explain(stage, text), or another column by name, such as url=...")
    values = {"id": "0", "text": text, **columns}
    for name in ("text", *TEXTS):
        if not isinstance(values.get(name), (str, types.NoneType)):
            raise TypeError(f"explain(): {name} must be a string, not {type(values[name]).__name__}")
    arrays = [pa.array([valid_text(value) if isinstance(value, str) else value]) for value in values.values()]
    arrays = [array.cast(pa.string()) if pa.types.is_null(array.type) else array for array in arrays]
    with needing(stage_name(stage), values, ". Give it by name, as in explain(stage, {}=...)"):
        outcome = stage(Batch(pa.RecordBatch.from_arrays(arrays, names=list(values))))
    reason = None if outcome.reasons is None else outcome.reasons[0].as_py()
    checks = () if outcome.signals is None else _checks(outcome.signals, getattr(stage, "rules", ()))
    return StageExplanation(reason is None, reason, outcome.batch.text[0].as_py(), checks)


def _checks(signals: pa.StructArray, rules: Sequence[Rule]) -> tuple[Check, ...]:
    found: list[Check] = []
    for name, value in signals[0].as_py().items():
        about = [rule for rule in rules if rule.signal == name]
        found += [Check(name, value, rule, bool(violations(signals, rule)[0])) for rule in about]
        found += [] if about else [Check(name, value)]
    return tuple(found)
