"""Alarms: bands in which the share that a stage removes must lie, or the run stops before its next step.

A stage that suddenly removes nearly everything, or nothing, is a mistake far more often than a find: a page encoding
that changed, a crawl taken in twice, a list that failed to load. Stopping costs nothing, since a run resumes. Bands
change no byte of any output, so they are no part of the recipe's fingerprint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.errors import RecipeError

TABLE = "alarms"
QUARANTINED, READ = "quarantined", "read"
MIN_DOCUMENTS = "min_documents"

AFTER_FILTER = (READ, QUARANTINED)
"""What is known after the filter step, beside the recipe's stages: records that could not be read, inputs given up."""

AFTER_DEDUP = ("dedup", "lines", "pii")
"""Stages of the corpus, known after the dedup step."""

RESERVED = (MIN_DOCUMENTS, QUARANTINED, "lines")
"""Names that mean something here or in the funnel, so that no stage can have them."""


@dataclass(frozen=True, slots=True)
class Band:
    """The least and the greatest share, from 0 to 1, that `stage` may remove."""

    stage: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of how many a stage removed; `unit` names what is counted."""

    removed: int
    entered: int
    unit: str = "documents"

    @property
    def share(self) -> float:
        """From 0 to 1; 0 of nothing."""
        return self.removed / self.entered if self.entered else 0.0


@dataclass(frozen=True, slots=True)
class Alarms:
    """The recipe's table [alarms]: a band a stage, and the documents below which none rings.

    min_documents: a stage that fewer documents enter has no share worth the name. Inputs given up are counted whole.
    """

    min_documents: int = 1000
    bands: tuple[Band, ...] = ()

    def to_values(self) -> dict[str, Any]:
        """As the recipe states them: {"min_documents": 1000, "dedup": [0.0, 0.5]}."""
        return {MIN_DOCUMENTS: self.min_documents, **{band.stage: [band.low, band.high] for band in self.bands}}

    def ringing(self, rates: Mapping[str, Rate]) -> list[tuple[Band, Rate]]:
        """Bands left by the rates given, in the recipe's order."""
        return [
            (band, rates[band.stage])
            for band in self.bands
            if band.stage in rates and self._counts(rates[band.stage], band.stage)
            if not band.low <= rates[band.stage].share <= band.high
        ]

    def _counts(self, rate: Rate, stage: str) -> bool:
        return rate.entered >= (1 if stage == QUARANTINED else max(1, self.min_documents))


def parse(values: Mapping[str, Any], stages: Iterable[str], source: str) -> Alarms:
    """The alarms of a recipe's table; `stages` are the recipe's own, `source` names it in errors. "none": no band.

    Raises RecipeError naming table, key, value and what would do.
    """
    known = [*stages, *AFTER_FILTER, *AFTER_DEDUP]
    least: Any = Alarms().min_documents
    bands = []
    for key, value in values.items():
        where = f"{source}: [{TABLE}]: {key} = {value!r}"
        if key == MIN_DOCUMENTS:
            least = value
            if isinstance(least, bool) or not isinstance(least, int) or least < 0:
                raise RecipeError(f"{where}: must be a whole number, at least 0")
        elif key not in known:
            raise RecipeError(f"{where}: no stage of that name; there are {', '.join([*known, MIN_DOCUMENTS])}")
        elif value is not None and value != "none":
            bands.append(_band(key, value, where))
    return Alarms(least, tuple(bands))


def _band(stage: str, value: Any, where: str) -> Band:
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    fit = len(numbers) == 2 and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    if not fit or not 0 <= numbers[0] <= numbers[1] <= 1:
        raise RecipeError(f"{where}: must be two shares from 0 to 1, the lower first, such as [0.02, 0.4], or none")
    return Band(stage, float(numbers[0]), float(numbers[1]))


def describe(ringing: Sequence[tuple[Band, Rate]], step: str, folder: str) -> str:
    """What rang after `step`, and how to go on."""
    told = [
        f"{band.stage} removed {rate.share:.1%} of {rate.entered:,} {rate.unit}, "
        f"{'more' if rate.share > band.high else 'less'} than "
        f"alarms.{band.stage} = [{band.low:g}, {band.high:g}] allows"
        for band, rate in ringing
    ]
    wider = " ".join(f"--set '{TABLE}.{band.stage}={_widened(band, rate)}'" for band, rate in ringing)
    return (
        f"alarm after the step {step}: {'; '.join(told)}. Nothing is lost: `curate report {folder}` shows what was "
        f"removed and why. If it is right, run the same command with {wider} (or =none); nothing done is done again."
    )


def _widened(band: Band, rate: Rate) -> str:
    low, high = min(band.low, math.floor(rate.share * 100) / 100), max(band.high, math.ceil(rate.share * 100) / 100)
    return f"[{low:g}, {high:g}]"
