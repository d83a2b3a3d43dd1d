"""Fingerprints of the parts of a run: hashes of everything a part depends on, through all steps before it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from curation.jobs.steps.plan import Plan
from curation.jobs.steps.table import Step, named, step_named
from curation.stages.parameters import identity
from curation.store.manifest import WHOLE, fingerprint


class Fingerprints:
    """The fingerprints that the parts of a planned run have once they are done.

    Args:
        plan: The run.
        quarantined: Shards of quarantined inputs, which the steps after the first leave out.
    """

    def __init__(self, plan: Plan, quarantined: Collection[str] = ()) -> None:
        self.plan = plan
        self.sources = {source.shard: source for source in plan.inputs}
        self.shards = [source.shard for source in plan.inputs if source.shard not in quarantined]
        self._known: dict[tuple[str, str], str] = {}
        self._shared: dict[str, str] = {}

    def of(self, name: str, shard: str = WHOLE) -> str:
        """The fingerprint of a step, for one shard if the step is made shard by shard."""
        step = step_named(name)
        if step.made_by:
            return self.of(step.made_by)
        key = (name, shard if step.unit == "shard" else WHOLE)
        if key not in self._known:
            source = [self.sources[shard].identity] if step.unit == "shard" and not step.after else []
            made_from = [*source, *self.upstream(step, shard)]
            self._known[key] = step_fingerprint(step, self._shared_by_shards(step), made_from)
        return self._known[key]

    def upstream(self, step: Step, shard: str = WHOLE) -> list[str]:
        """The fingerprints of the steps before `step`: of the same shard, or of all shards together."""
        fingerprints = []
        for name in step.after:
            if step_named(name).unit == "shard" and step.unit != "shard":
                fingerprints.append(fingerprint(self.shards, [self.of(name, each) for each in self.shards]))
            else:
                fingerprints.append(self.of(name, shard))
        return fingerprints

    def _shared_by_shards(self, step: Step) -> str:
        """Fingerprint of what all shards of a step share; computed once, since there may be very many shards."""
        if step.name not in self._shared:
            tables = {table: identity(self.plan.recipe.table(table)) for table in step.tables}
            depends = named(step.depends)(self.plan, self.shards) if step.depends else None
            self._shared[step.name] = shared_fingerprint(tables, depends)
        return self._shared[step.name]


def shared_fingerprint(tables: dict[str, Any], depends: Any) -> str:
    """Fingerprint of the parameters of a step and of what else it depends on.

    Args:
        tables: `identity` of each table of the recipe that the step uses, by name.
        depends: Whatever else it depends on, as plain values.
    """
    return fingerprint(tables, depends)


def step_fingerprint(step: Step, shared: str, upstream: list[Any]) -> str:
    """Fingerprint of a step, or of one shard of it.

    Args:
        step: The step.
        shared: Its `shared_fingerprint`.
        upstream: Fingerprints, or plain values, of what it is made from.
    """
    return fingerprint(step.name, step.version, shared, upstream)
