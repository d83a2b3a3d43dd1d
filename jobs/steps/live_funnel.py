"""The funnel of a run while it fills: read from manifests as shards finish, for the live view in the terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from curation.jobs.steps.plan import Plan
from curation.report.funnel import Row, funnel_rows
from curation.stages.tally import StepTally, sum_counts
from curation.store.manifest import Manifest, read_manifest

PAUSE = 0.5
"""Seconds between looks at the folder at least."""
SHARE_OF_TIME = 0.05
"""A look that takes long, as on an object store, is followed by a pause this much longer: at most 5 % goes into it."""

BUDGET = 0.25
"""Seconds that a look takes at most, so that the first one of a run resumed late does not hold it up."""

STEPS = ("filter", "corpus")


@dataclass
class LiveFunnel:
    """Adds up what the manifests of a run say, each read once. `rows` looks again if it is time.

    Manifests of the filter step under another fingerprint are of an earlier recipe and do not count; those of the
    corpus count from when its step began.
    """

    plan: Plan
    corpus: bool = False
    _counted: dict[str, StepTally] = field(default_factory=lambda: {step: StepTally() for step in STEPS})
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _marks: dict[str, str] = field(default_factory=dict)
    _next: float = 0.0

    def rows(self, now: float | None = None) -> list[Row]:
        """The funnel so far. now: seconds of a clock that only goes forward."""
        started = time.monotonic()
        if (started if now is None else now) >= self._next:
            self._look()
            took = time.monotonic() - started
            self._next = started + max(PAUSE, took / SHARE_OF_TIME)
        return funnel_rows({**sum(self._counted.values(), StepTally()).to_json(), "tokens": {}})

    def _look(self) -> None:
        if not self._marks:
            self._marks = {source.shard: self.plan.filter_fingerprint(source) for source in self.plan.inputs}
        until = time.monotonic() + BUDGET
        for step in STEPS[: 2 if self.corpus else 1]:
            there = {path.rpartition("/")[2].removesuffix(".json") for path in self._listed(step)}
            for shard in sorted(there & set(self._marks)):
                if (step, shard) not in self._seen and time.monotonic() < until:
                    manifest = read_manifest(self.plan.folder, step, shard)
                    if manifest is not None and (step != "filter" or manifest.fingerprint == self._marks[shard]):
                        self._add(step, shard, manifest)

    def _listed(self, step: str) -> list[str]:
        self.plan.folder.fs.invalidate_cache()  # object stores remember listings
        return self.plan.folder.list(f"manifests/{step}", ".json")

    def _add(self, step: str, shard: str, manifest: Manifest) -> None:
        self._seen.add((step, shard))
        self._counted[step] += sum_counts([manifest.counts])
