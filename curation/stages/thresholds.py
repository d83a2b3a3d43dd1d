"""What the heuristic filters share: fractions, and rules derived from the names of parameters."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s
from curation.stages.rules import Rule


def fraction(part: Int64s, whole: Int64s) -> pa.DoubleArray:
    """part / whole of each row, null where whole is 0: there is nothing to judge, so no rule applies."""
    is_zero = whole == 0
    return pa.array(part / np.where(is_zero, 1, whole), mask=is_zero)


def rules_of(instance: Any) -> tuple[Rule, ...]:
    """A rule for each parameter `min_<signal>` or `max_<signal>` that is not None, in the order of the parameters."""
    rules = []
    for field in dataclasses.fields(instance):
        bound, _, signal = field.name.partition("_")
        threshold = getattr(instance, field.name)
        if bound in ("min", "max") and threshold is not None:
            rules.append(Rule(signal, "<" if bound == "min" else ">", threshold, field.name))
    return tuple(rules)
