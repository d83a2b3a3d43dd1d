"""Rules: thresholds that turn measured signals into verdicts, with the reason.

A filter is a measurement and an ordered table of rules; the first rule that is violated is the reason. The same table
drives `curate explain`, `curate what-if`, the thresholds drawn in the report, and the tables of the docs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools

_VIOLATED = {
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A document is removed if `signal comparison threshold` is true. A null or NaN signal violates nothing.

    Attributes:
        signal: Name of a signal of the stage.
        comparison: One of <, >, <=, >=, ==, !=.
        threshold: The value to compare with.
        reason: Why the document is removed. If a parameter holds the threshold, it is the name of that parameter, so
            that the reason `gopher_quality.min_words` says which key of the recipe to change.
    """

    signal: str
    comparison: str
    threshold: float
    reason: str

    def __post_init__(self) -> None:
        if self.comparison not in _VIOLATED:
            raise ValueError(f"comparison {self.comparison!r}: must be one of {', '.join(_VIOLATED)}")

    def __str__(self) -> str:
        return f"{self.signal} {self.comparison} {self.threshold:g}"

    @property
    def limit(self) -> str:
        """The comparison and the whole threshold, for people: "> 10,000,000"."""
        return f"{self.comparison} {self.threshold:,.10g}"


def violations(signals: pa.StructArray, rule: Rule) -> Bools:
    """Rows whose signal violates `rule`, shape (rows,). KeyError if the signal was not measured."""
    try:
        values = signals.field(rule.signal)
    except KeyError as error:
        names = ", ".join(part.name for part in signals.type)
        raise KeyError(
            f"the rule {rule.reason} is on the signal {rule.signal!r}; those measured are: {names}"
        ) from error
    numbers = pc.cast(values, pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        violated = _VIOLATED[rule.comparison](numbers, rule.threshold)
    return np.asarray(violated & ~np.isnan(numbers), dtype=np.bool_)


def decide(signals: pa.StructArray, rules: Sequence[Rule]) -> pa.StringArray:
    """The reason of the first rule that each row violates, null if it violates none."""
    verdict = np.full(len(signals), -1, dtype=np.int64)
    for position, rule in enumerate(rules):
        verdict[violations(signals, rule) & (verdict < 0)] = position
    reasons = pa.array([rule.reason for rule in rules], pa.string())
    return reasons.take(pa.array(verdict, mask=verdict < 0))
