"""The main job: the steps asked for, in their order, each resuming where it was left."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.archives.inputs import Input
from curation.errors import StepFailed, UsageError
from curation.jobs.steps.alarms import ring
from curation.jobs.steps.corpus import write_corpus
from curation.jobs.steps.dedup import find_duplicates
from curation.jobs.steps.filter import filter_archives
from curation.jobs.steps.live_funnel import LiveFunnel
from curation.jobs.steps.plan import RUN, Plan, make_plan
from curation.jobs.steps.progress import Progress, default_mode, results
from curation.jobs.steps.report.report import show, write_report
from curation.jobs.steps.tokenize import tokenize
from curation.jobs.steps.train_tokenizer import train_tokenizer
from curation.running.cluster import Cluster, open_cluster
from curation.store.manifest import WHOLE, fingerprint, is_done, read_manifest

STEPS = ("filter", "dedup", "train-tokenizer", "tokenize", "report")


def check_steps(names: Sequence[str]) -> tuple[str, ...]:
    """The steps named, in their order. UsageError for a name that is none."""
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise UsageError(f"no step {unknown[0]!r}; there are {', '.join(STEPS)}")
    return tuple(step for step in STEPS if step in names)


def run_steps(
    steps: Sequence[str],
    out: str,
    inputs: Sequence[str],
    recipe: str | None,
    settings: Sequence[str],
    workers: int | None,
    scheduler: str | None,
    update: bool,
    as_json: bool,
) -> int:
    """Run `steps` and print what came of them; returns the exit code (0, or 1 if an input was quarantined)."""
    plan = make_plan(inputs, out, recipe, settings, update=update)
    progress = Progress(default_mode(as_json))

    def started(number: int, dashboard: str) -> None:
        progress.note(f"{number} workers, dashboard {dashboard}")

    with open_cluster(workers, scheduler, started=started) as cluster:
        plan.folder.sweep()
        following = LiveFunnel(plan)
        progress.follow(following.rows)
        run = Run(plan, cluster, progress, following=following)
        for step in steps:
            run.step(step)
        plan.folder.sweep()
    if run.stats is not None:
        print(json.dumps(run.stats, ensure_ascii=False)) if as_json else show(run.stats, results())
    return 1 if run.quarantined else 0


@dataclass
class Run:
    """A plan under way: what each step hands to the next."""

    plan: Plan
    cluster: Cluster
    progress: Progress
    quarantined: Sequence[dict[str, str]] = ()
    stats: dict[str, Any] | None = None
    following: LiveFunnel | None = None
    watched: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        folder = self.plan.folder
        if folder.exists(RUN):
            self.quarantined = folder.read_json(RUN)["quarantined"]
        self.plan.write(self.quarantined)

    def step(self, name: str) -> None:
        """Run one step. StepFailed if the steps before it are not done."""
        steps: dict[str, Callable[[], None]] = {
            "filter": self._filter,
            "dedup": self._dedup,
            "train-tokenizer": self._train_tokenizer,
            "tokenize": self._tokenize,
            "report": self._report,
        }
        steps[name]()

    def _filter(self) -> None:
        self.quarantined = filter_archives(self.plan, self.cluster, self.progress)
        self.plan.write(self.quarantined)
        self._watch("filter", [source.shard for source in self._sources()])

    def _dedup(self) -> None:
        shards, upstream = self._filtered()
        mark = find_duplicates(self.plan, shards, upstream, self.cluster, self.progress)
        if self.following is not None:
            self.following.corpus = True
        write_corpus(self.plan, shards, mark, self.cluster, self.progress)
        self._watch("dedup", shards)

    def _train_tokenizer(self) -> None:
        shards, upstream = self._corpus()
        train_tokenizer(self.plan, shards, upstream, self.cluster, self.progress)

    def _tokenize(self) -> None:
        shards, corpus = self._corpus()
        trained = read_manifest(self.plan.folder, "train-tokenizer", WHOLE)
        if trained is None:
            raise StepFailed("tokenize: no tokenizer yet; run the step train-tokenizer first")
        tokenize(self.plan, shards, fingerprint(corpus, trained.fingerprint), self.cluster, self.progress)

    def _report(self) -> None:
        self.stats = write_report(self.plan, self.cluster, self.progress)

    def _watch(self, step: str, shards: Sequence[str]) -> None:
        """Ring the alarms of a finished step, once: before the steps that follow it, whichever command runs them."""
        if step not in self.watched:
            ring(self.plan, step, shards, len(self.quarantined))
            self.watched.add(step)

    def _sources(self) -> list[Input]:
        given_up = {entry["path"] for entry in self.quarantined}
        return [source for source in self.plan.inputs if source.path not in given_up]

    def _filtered(self) -> tuple[list[str], str]:
        """Shards that are filtered, in input order, and the fingerprint of all of them."""
        sources = self._sources()
        marks = [self.plan.filter_fingerprint(source) for source in sources]
        for source, mark in zip(sources, marks, strict=True):
            if is_done(self.plan.folder, "filter", source.shard, mark) is None:
                raise StepFailed(f"dedup: {source.path} is not filtered yet; run the step filter first")
        if not sources:
            raise StepFailed("no input could be read: " + "; ".join(e["cause"] for e in self.quarantined[:3]))
        shards = [source.shard for source in sources]
        self._watch("filter", shards)
        return shards, fingerprint(marks)

    def _corpus(self) -> tuple[list[str], str]:
        """Shards of the corpus, in input order, and the fingerprint of all of them."""
        shards, _ = self._filtered()
        marks = []
        for shard in shards:
            manifest = read_manifest(self.plan.folder, "corpus", shard)
            if manifest is None:
                raise StepFailed(f"corpus/{shard}.parquet is not made yet; run the step dedup first")
            marks.append(manifest.fingerprint)
        self._watch("dedup", shards)
        return shards, fingerprint(shards, marks)
