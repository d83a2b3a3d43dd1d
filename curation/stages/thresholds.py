"""What the heuristic filters have in common: fractions, rules read from the parameters' names."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s
from curation.stages.rules import Rule


def fraction(part: Int64s, whole: Int64s) -> pa.DoubleArray:
    """part / whole by row, null where whole is 0: there is nothing to judge, so no rule holds."""
    none = whole == 0
    return pa.array(part / np.where(none, 1, whole), mask=none)


def rules_of(instance: Any) -> tuple[Rule, ...]:
    """A rule for each parameter `min_<signal>` or `max_<signal>` that is not None, in the order of the parameters."""
    rules = []
    for field in dataclasses.fields(instance):
        bound, _, signal = field.name.partition("_")
        threshold = getattr(instance, field.name)
        if bound in ("min", "max") and threshold is not None:
            rules.append(Rule(signal, "<" if bound == "min" else ">", threshold, field.name))
    return tuple(rules)
