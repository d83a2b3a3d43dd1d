"""Alarms: if a stage removes a share outside its band, the run stops before its next step.

A stage that suddenly removes nearly everything, or nothing, usually points to a mistake: a page encoding that changed,
a crawl that was included twice, a list that failed to load. Stopping costs nothing, since a run resumes. Bands do not
change any output, so they are not part of the recipe's fingerprint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.errors import RecipeError

TABLE = "alarms"
READ = "read"
QUARANTINED, UNREADABLE, UNAVAILABLE = "quarantined", "unreadable", "unavailable"
MIN_DOCUMENTS, DAMAGED = "min_documents", "damaged"

OF_INPUTS = (QUARANTINED, UNREADABLE, UNAVAILABLE)
"""Shares of the inputs: all that are quarantined, those that are bad in themselves, and those given up because of I/O
errors, lost workers or a lost scheduler, which may succeed when the run is repeated."""

CAUSES = 8
"""Maximum number of causes in the message of an alarm."""

AFTER_FILTER = (READ, *OF_INPUTS)
"""Names known after the filter step besides the recipe's stages: records that could not be read, quarantined inputs."""

AFTER_DEDUP = ("dedup", "lines", "decontaminate", "pii")
"""Names of the stages of the corpus step, known after it."""

RESERVED = (MIN_DOCUMENTS, DAMAGED, *OF_INPUTS, "lines")
"""Names that have a meaning here or in the funnel, so no stage can have them."""


@dataclass(frozen=True, slots=True)
class Band:
    """The lowest and the highest share, from 0 to 1, that `stage` may remove."""

    stage: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of the documents that entered a stage were removed; `unit` says what is counted if not documents."""

    removed: int
    entered: int
    unit: str = "documents"

    @property
    def share(self) -> float:
        """The share removed, from 0 to 1; 0 if nothing entered."""
        return self.removed / self.entered if self.entered else 0.0


@dataclass(frozen=True, slots=True)
class Alarms:
    """Table [alarms] of a recipe.

    Attributes:
        min_documents: Number of documents that must enter a stage for its band to be checked: shares of a few documents
            mean little. It does not apply to quarantined inputs.
        bands: A band for each stage that has one.
        damaged: Share of the bytes of all inputs, from 0 to 1, that may be lost to damage before a finished run exits
            with code 1 instead of 0.
    """

    min_documents: int = 1000
    bands: tuple[Band, ...] = ()
    damaged: float = 0.0

    def to_values(self) -> dict[str, Any]:
        """The table as in a recipe: {"min_documents": 1000, "damaged": 0.0, "dedup": [0.0, 0.5]}."""
        bands = {band.stage: [band.low, band.high] for band in self.bands}
        return {MIN_DOCUMENTS: self.min_documents, DAMAGED: self.damaged, **bands}

    def violated(self, rates: Mapping[str, Rate]) -> list[tuple[Band, Rate]]:
        """Bands that do not contain the given rate of their stage, in the recipe's order, each with that rate."""
        return [
            (band, rates[band.stage])
            for band in self.bands
            if band.stage in rates and self._applies(rates[band.stage], band.stage)
            if not band.low <= rates[band.stage].share <= band.high
        ]

    def _applies(self, rate: Rate, stage: str) -> bool:
        return rate.entered >= (1 if stage in OF_INPUTS else max(1, self.min_documents))


def quarantine_rates(quarantined: Sequence[Mapping[str, str]], inputs: int) -> dict[str, Rate]:
    """The rates of `OF_INPUTS`.

    Args:
        quarantined: The quarantined inputs, as in run.json; one without a `kind` is bad in itself.
        inputs: Number of all inputs.
    """
    bad = sum(entry.get("kind", "input") == "input" for entry in quarantined)
    counts = (len(quarantined), bad, len(quarantined) - bad)
    return {name: Rate(count, inputs, "inputs") for name, count in zip(OF_INPUTS, counts, strict=True)}


def parse(values: Mapping[str, Any], stages: Iterable[str], source: str) -> Alarms:
    """The alarms in a recipe's table [alarms].

    Args:
        values: The table. A value "none" sets no band.
        stages: Names of the recipe's stages.
        source: Name of the recipe, for errors.

    Raises:
        RecipeError: A key or value is invalid; the message names table, key, value and what is allowed.
    """
    known = [*stages, *AFTER_FILTER, *AFTER_DEDUP]
    min_documents: Any = Alarms().min_documents
    damaged: Any = Alarms().damaged
    bands = []
    for key, value in values.items():
        where = f"{source}: [{TABLE}]: {key} = {value!r}"
        if key == MIN_DOCUMENTS:
            min_documents = value
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise RecipeError(f"{where}: must be a whole number, at least 0")
        elif key == DAMAGED:
            damaged = value
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise RecipeError(f"{where}: must be a share from 0 to 1")
        elif key not in known:
            raise RecipeError(
                f"{where}: no stage of that name; there are {', '.join([*known, MIN_DOCUMENTS, DAMAGED])}"
            )
        elif value is not None and value != "none":
            bands.append(_band(key, value, where))
    return Alarms(min_documents, tuple(bands), float(damaged))


def _band(stage: str, value: Any, where: str) -> Band:
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    valid = len(numbers) == 2 and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    if not valid or not 0 <= numbers[0] <= numbers[1] <= 1:
        raise RecipeError(f"{where}: must be two shares from 0 to 1, the lower first, such as [0.02, 0.4], or none")
    return Band(stage, float(numbers[0]), float(numbers[1]))


def describe(violated: Sequence[tuple[Band, Rate]], step: str, folder: str) -> str:
    """The message of an alarm.

    Args:
        violated: Bands with the rates outside them, from `Alarms.violated`.
        step: The step that finished.
        folder: The output folder.

    Returns:
        Which stages are outside their bands, and how to continue.
    """
    causes = [
        f"{band.stage} removed {rate.share:.1%} of {rate.entered:,} {rate.unit}, "
        f"{'more' if rate.share > band.high else 'less'} than "
        f"alarms.{band.stage} = [{band.low:g}, {band.high:g}] allows"
        for band, rate in violated[:CAUSES]
    ]
    if len(violated) > CAUSES:
        causes.append(f"and {len(violated) - CAUSES} more")
    again = ""
    if any(band.stage == UNAVAILABLE for band, _ in violated):
        again = " Run the same command to try these inputs again."
    bands = {band.stage: band for band, _ in violated}
    for band, rate in violated:
        bands[band.stage] = _widened(bands[band.stage], rate)
    wider = " ".join(f"--set '{TABLE}.{name}=[{band.low:g}, {band.high:g}]'" for name, band in bands.items())
    return (
        f"alarm after the step {step}: {'; '.join(causes)}. Nothing is lost: `curate report {folder}` shows what was "
        f"removed and why.{again} If that is right, run the same command with {wider} (or =none); "
        "finished work is reused."
    )


def _widened(band: Band, rate: Rate) -> Band:
    low, high = min(band.low, math.floor(rate.share * 100) / 100), max(band.high, math.ceil(rate.share * 100) / 100)
    return Band(band.stage, low, high)
