"""What a survivor rule compares, as numbers: more is better."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def as_numbers(values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Numbers as they are, dates as seconds since 1970 (UTC unless they say otherwise), NaN for what is neither."""
    if pa.types.is_string(values.type):
        return np.array([_seconds(value) for value in values.to_pylist()], np.float64)
    return np.asarray(values.cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)


def _seconds(date: str | None) -> float:
    try:
        parsed = datetime.fromisoformat(date or "")
    except ValueError:
        return float("nan")
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
