"""Rules: what turns measured signals into a verdict, and tells people why.

A filter is a measurement and an ordered table of rules. The first rule that is violated is the reason. The same table
gives `curate explain`, what-if on thresholds, the thresholds drawn in the report, and the tables of the docs.
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
    """A document goes if `signal comparison threshold` holds, with reason `reason`.

    `reason` is the name of the parameter that holds the threshold wherever there is one, so that the reason
    `gopher_quality.min_words` tells which key of the recipe to move. A null or NaN signal violates nothing.
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


def violations(signals: pa.StructArray, rule: Rule) -> Bools:
    """Rows whose signal violates `rule`, shape (rows,). KeyError if the signal was not measured."""
    values = signals.field(rule.signal)
    numbers = pc.cast(values, pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        hit = _VIOLATED[rule.comparison](numbers, rule.threshold)
    return np.asarray(hit & ~np.isnan(numbers), dtype=np.bool_)


def decide(signals: pa.StructArray, rules: Sequence[Rule]) -> pa.StringArray:
    """The reason of the first violated rule of each row, null where none is."""
    verdict = np.full(len(signals), -1, dtype=np.int64)
    for position, rule in enumerate(rules):
        verdict[violations(signals, rule) & (verdict < 0)] = position
    reasons = pa.array([rule.reason for rule in rules], pa.string())
    return reasons.take(pa.array(verdict, mask=verdict < 0))
