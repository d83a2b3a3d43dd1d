"""The dedup step: signatures to drop lists. Each phase is a row of tasks; rows reach the next one through exchanges.

keys       signatures → rows by band key               (a task a range of shards)
pairs      rows of one key → candidate pairs           (a task a partition)
sketches   pairs meet the sketches of their documents  (two rounds of tasks, a range each)
clusters   pairs that count → components
survivors  components → one survivor each → drop lists
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import count
from typing import Any, TypeVar

import pyarrow as pa

from curation.cluster import Cluster
from curation.dedup import components, grouping, matching, urls, verdicts, verification
from curation.dedup.contracts import LARGE, NUMBERS
from curation.dedup.describing import describe, described_exchange
from curation.dedup.layout import WORK, PartitionTask, RangeTask, Shard, Work, plan_work
from curation.dedup.settings import DedupSettings
from curation.exchange import Exchange
from curation.jobs.plan import Plan
from curation.jobs.progress import Progress
from curation.manifest import WHOLE, Manifest, is_done
from curation.shards import Output, ShardWriter
from curation.storage import Folder

STEP = ROOT = "dedup"

PHASES = 10
"""Phases that the progress of the step is told in."""

Result = TypeVar("Result")


def find_duplicates(plan: Plan, shards: Sequence[str], upstream: str, cluster: Cluster, progress: Progress) -> str:
    """Write the drop list and the survivors of every shard (names in input order); returns the step's fingerprint."""
    step = plan.table_fingerprint(STEP, "dedup", upstream=[upstream])
    done = is_done(plan.folder, STEP, WHOLE, step) is not None
    with progress.step(STEP, PHASES, PHASES if done else 0) as bar:
        if not done:
            found = deduplicate(plan.folder, shards, plan.recipe.table("dedup"), cluster, bar.advance)
            Manifest(STEP, WHOLE, step, outputs=found.outputs, counts=found.counts).write(plan.folder)
            plan.folder.remove(WORK)
    return step


@dataclass(frozen=True, slots=True)
class Found:
    """What a deduplication came to: its files and counts."""

    outputs: list[Output]
    counts: Mapping[str, Any]


def deduplicate(
    folder: Folder,
    shards: Sequence[str],
    settings: DedupSettings,
    cluster: Cluster,
    advance: Callable[[], None] = lambda: None,
) -> Found:
    """Find the duplicates among the signed shards of a folder, named in input order, and write their lists."""
    folder.remove(ROOT)
    numbered = number_shards([Shard(folder, name, 0, 0) for name in shards], cluster)
    work, tasks = plan_work(folder, settings, numbered)
    run = _Run(work, tasks, cluster, advance)
    counts: dict[str, Any] = {"documents": work.documents}
    if settings.enabled:
        counts |= run.find_pairs()
        counts |= run.find_clusters()
    return run.write_lists(counts)


def number_shards(shards: Sequence[Shard], cluster: Cluster) -> list[Shard]:
    """The shards with their documents counted and numbered."""
    first = 0
    numbered = []
    for shard, documents in zip(shards, cluster.gather(matching.count_documents, shards), strict=True):
        numbered.append(replace(shard, first=first, documents=documents))
        first += documents
    return numbered


@dataclass
class _Run:
    work: Work
    tasks: list[RangeTask]
    cluster: Cluster
    advance: Callable[[], None]
    pairs: list[Output] = field(default_factory=list)
    large: list[dict[str, Any]] = field(default_factory=list)

    def ranges(self, function: Callable[[RangeTask], Result]) -> list[Result]:
        """Run a phase of one task a range."""
        values = self.cluster.gather(function, self.tasks)
        self.advance()
        return values

    def partitions(self, exchange: Exchange, function: Callable[[PartitionTask], Result]) -> list[Result]:
        """Run a phase of one task a partition of an exchange, then clear the exchange."""
        tasks = [PartitionTask(self.work, exchange, number) for number in range(exchange.partitions)]
        values = self.cluster.gather(function, tasks)
        exchange.clear()
        self.advance()
        return values

    def find_pairs(self) -> dict[str, int]:
        """Phases from signatures to dedup/pairs."""
        work = self.work
        counts = {}
        if work.settings.url:
            self.ranges(urls.send_urls)
            self.partitions(urls.urls_exchange(work), urls.choose_urls)
        self.ranges(matching.spread)
        self.partitions(matching.keys_exchange(work), matching.match)
        counts["candidate_pairs"] = sum(self.ranges(verification.attach))
        matching.pairs_exchange(work).clear()
        self.ranges(verification.verify)
        verification.sketched_exchange(work).clear()
        self.pairs = self.ranges(verification.write_pairs)
        verification.edges_exchange(work).clear()
        return counts | {"pairs": sum(output.rows for output in self.pairs)}

    def find_clusters(self) -> dict[str, Any]:
        """Phases from dedup/pairs to verdicts."""
        work = self.work
        clusters, members = self._components(sum(output.rows for output in self.pairs))
        described = described_exchange(work, members)
        self.ranges(partial(describe, exchange=described))
        grouping.members_exchange(work).clear()
        decided = self.partitions(described, verdicts.decide)
        sizes: Counter[str] = Counter()
        for part, _ in decided:
            sizes.update(part)
        self.large = sorted((row for _, rows in decided for row in rows), key=lambda row: str(row["cluster_id"]))
        by_size = dict(sorted(sizes.items(), key=lambda entry: int(entry[0].partition("-")[0])))
        return {"clusters": clusters, "clustered_documents": members, "cluster_sizes": by_size}

    def _components(self, pairs: int) -> tuple[int, int]:
        """Components of the pairs, their members sent to their ranges. Returns components and members."""
        if self.work.documents <= components.UNION_FIND_DOCUMENTS:
            return self.cluster.gather(grouping.unite_all, [self.work])[0]
        links = grouping.links_exchange(self.work, "0", pairs)
        before = total(self.ranges(partial(grouping.send_links, onward=links)))
        for step in count(1):
            middle = grouping.links_exchange(self.work, f"{step}-large", pairs)
            large = total(self.partitions(links, partial(grouping.star_large, onward=middle)))
            links = grouping.links_exchange(self.work, f"{step}-small", pairs)
            small = total(self.partitions(middle, partial(grouping.star_small, onward=links)))
            if before == large == small:
                break
            before = small
        found = self.partitions(links, grouping.send_members)
        return sum(parts for parts, _ in found), sum(members for _, members in found)

    def write_lists(self, counts: Mapping[str, Any]) -> Found:
        """The last phase: lists for every shard, the large clusters, and the numbering of the shards."""
        lists = self.ranges(verdicts.write_lists)
        reasons: Counter[str] = Counter()
        for part, _ in lists:
            reasons.update(part)
        outputs = [*self.pairs, *(output for _, files in lists for output in files)]
        outputs.append(_write_rows(self.work.folder, "dedup/large_clusters.parquet", LARGE, self.large))
        numbers = [
            {"shard": shard.name, "run": shard.earlier, "first": shard.first, "documents": shard.documents}
            for task in self.tasks
            for shard in task.shards
        ]
        outputs.append(_write_rows(self.work.folder, "dedup/shards.parquet", NUMBERS, numbers))
        return Found(outputs, {**counts, "removed": dict(sorted(reasons.items())), "large_clusters": len(self.large)})


def total(checksums: Sequence[grouping.Checksum]) -> grouping.Checksum:
    """The checksum of all parts together."""
    return reduce(grouping.add_checksums, checksums, grouping.NOTHING)


def _write_rows(folder: Folder, path: str, schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> Output:
    with ShardWriter(folder, path, schema) as writer:
        writer.write(pa.Table.from_pylist(list(rows), schema=schema))
    return writer.output
