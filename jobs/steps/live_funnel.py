"""The funnel of a run in progress, read from manifests as shards finish, for the live view in the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.table import Step
from curation.report.funnel import Row, funnel_rows
from curation.stages.tally import StepTally, sum_counts
from curation.store.bundles import StepFiles, bundle_path, list_step, read_bundle
from curation.store.folder import Folder
from curation.store.manifest import is_done

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
    _read: set[tuple[str, int]] = field(default_factory=set)
    _expected: dict[str, Fingerprints] = field(default_factory=dict)
    _next: float = 0.0

    def begin(self, step: Step, fingerprints: Fingerprints) -> None:
        """Include the stages of this step from now on, if its manifests count any."""
        self._read.clear()  # finished steps may have been bundled
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
            files = self._listed(step)
            for number in [each for each in files.bundles if (step, each) not in self._read]:
                if time.monotonic() < until:
                    self._add_bundle(step, number, expected)
            for shard in sorted(set(files.single) & set(expected.sources)):
                if (step, shard) not in self._seen and time.monotonic() < until:
                    manifest = is_done(self.folder, step, shard, expected.of(step, shard))
                    if manifest is not None:
                        self._add(step, shard, manifest.counts)

    def _listed(self, step: str) -> StepFiles:
        self.folder.fs.invalidate_cache()  # clients of object stores cache listings
        return list_step(self.folder, step)

    def _add_bundle(self, step: str, number: int, expected: Fingerprints) -> None:
        """Add the shards of a bundle that are up to date and were not seen before."""
        for row in read_bundle(self.folder, bundle_path(step, number), ["shard", "fingerprint", "counts"]).to_pylist():
            shard = row["shard"]
            is_new = (step, shard) not in self._seen and shard in expected.sources
            if is_new and row["fingerprint"] == expected.of(step, shard):
                self._add(step, shard, json.loads(row["counts"]))
        self._read.add((step, number))

    def _add(self, step: str, shard: str, counts: Mapping[str, Any]) -> None:
        self._seen.add((step, shard))
        self._counted[step] += sum_counts([counts])
