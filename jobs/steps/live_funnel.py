"""The funnel of a run in progress, read from manifests as shards finish, for the live view in the terminal."""

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
"""Minimum seconds between updates."""
SHARE_OF_TIME = 0.05
"""Largest share of the time spent on updates: a slow one, as on an object store, is followed by a longer pause."""

BUDGET = 0.25
"""Maximum seconds per update, so that the first one does not delay a run that is resumed near its end."""


@dataclass
class LiveFunnel:
    """Adds up the counts in the manifests of a run, each read once. `rows` updates them if an update is due.

    A step is included once it begins. Manifests with another fingerprint are left over from an earlier recipe and are
    ignored.

    Attributes:
        folder: The output folder.
    """

    folder: Folder
    _counted: dict[str, StepTally] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _expected: dict[str, Fingerprints] = field(default_factory=dict)
    _next: float = 0.0

    def begin(self, step: Step, fingerprints: Fingerprints) -> None:
        """Include the stages of this step from now on, if its manifests count any."""
        if step.alarms:
            self._counted[step.name] = StepTally()
            self._expected[step.name] = fingerprints

    def rows(self, now: float | None = None) -> list[Row]:
        """The funnel so far. `now` is the time in seconds on a monotonic clock; None means the current time."""
        started = time.monotonic()
        if (started if now is None else now) >= self._next:
            self._update()
            duration = time.monotonic() - started
            self._next = started + max(PAUSE, duration / SHARE_OF_TIME)
        return funnel_rows({**sum(self._counted.values(), StepTally()).to_json(), "tokens": {}})

    def _update(self) -> None:
        until = time.monotonic() + BUDGET
        for step, expected in list(self._expected.items()):
            written = {path.rpartition("/")[2].removesuffix(".json") for path in self._listed(step)}
            for shard in sorted(written & set(expected.sources)):
                if (step, shard) not in self._seen and time.monotonic() < until:
                    manifest = is_done(self.folder, step, shard, expected.of(step, shard))
                    if manifest is not None:
                        self._add(step, shard, manifest)

    def _listed(self, step: str) -> list[str]:
        self.folder.fs.invalidate_cache()  # clients of object stores cache listings
        return self.folder.list(f"manifests/{step}", ".json")

    def _add(self, step: str, shard: str, manifest: Manifest) -> None:
        self._seen.add((step, shard))
        self._counted[step] += sum_counts([manifest.counts])
