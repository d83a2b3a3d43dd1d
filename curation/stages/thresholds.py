"""What the heuristic filters have in common: fractions, rules read from the parameters' names, and their ranges."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s
from curation.errors import ParameterError
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


def check_range(instance: Any, high: float | None, *names: str) -> None:
    """ParameterError if a parameter named (none: any `min_<signal>` or `max_<signal>`) is not from 0 to `high`.

    high: None for no bound but infinity. A parameter that is None is in range.
    """
    for name in names or (field.name for field in dataclasses.fields(instance)):
        value = getattr(instance, name)
        if value is None or not (names or name.startswith(("min_", "max_"))):
            continue
        if not 0 <= value < float("inf") or (high is not None and value > high):
            raise ParameterError(name, value, "at least 0, or none" if high is None else f"from 0 to {high:g}, or none")
