"""The funnel of a run while it fills: read from manifests as shards finish, for the live view in the terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.table import Step
from curation.report.funnel import Row, funnel_rows
from curation.stages.tally import StepTally, sum_counts
from curation.store.folder import Folder
from curation.store.manifest import Manifest, is_done

PAUSE = 0.5
"""Seconds between looks at the folder at least."""
SHARE_OF_TIME = 0.05
"""A look that takes long, as on an object store, is followed by a pause this much longer: at most 5 % goes into it."""

BUDGET = 0.25
"""Seconds that a look takes at most, so that the first one of a run resumed late does not hold it up."""


@dataclass
class LiveFunnel:
    """Adds up what the manifests of a run's steps say, each read once. `rows` looks again if it is time.

    A step counts from when it began, and only manifests of the run as it is now: those with another fingerprint were
    left by an earlier recipe.
    """

    folder: Folder
    _counted: dict[str, StepTally] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _expected: dict[str, Fingerprints] = field(default_factory=dict)
    _next: float = 0.0

    def begin(self, step: Step, fingerprints: Fingerprints) -> None:
        """Count the stages of this step from now on, if its manifests have any."""
        if step.alarms:
            self._counted[step.name] = StepTally()
            self._expected[step.name] = fingerprints

    def rows(self, now: float | None = None) -> list[Row]:
        """The funnel so far. now: seconds of a clock that only goes forward."""
        started = time.monotonic()
        if (started if now is None else now) >= self._next:
            self._look()
            took = time.monotonic() - started
            self._next = started + max(PAUSE, took / SHARE_OF_TIME)
        return funnel_rows({**sum(self._counted.values(), StepTally()).to_json(), "tokens": {}})

    def _look(self) -> None:
        until = time.monotonic() + BUDGET
        for step, expected in list(self._expected.items()):
            written = {path.rpartition("/")[2].removesuffix(".json") for path in self._listed(step)}
            for shard in sorted(written & set(expected.sources)):
                if (step, shard) not in self._seen and time.monotonic() < until:
                    manifest = is_done(self.folder, step, shard, expected.of(step, shard))
                    if manifest is not None:
                        self._add(step, shard, manifest)

    def _listed(self, step: str) -> list[str]:
        self.folder.fs.invalidate_cache()  # object stores remember listings
        return self.folder.list(f"manifests/{step}", ".json")

    def _add(self, step: str, shard: str, manifest: Manifest) -> None:
        self._seen.add((step, shard))
        self._counted[step] += sum_counts([manifest.counts])
