"""All phases of deduplication in order, from signatures to drop lists. Exchanges pass rows to the next phase.

| phase | what it does | one task per |
|---|---|---|
| keys | signatures → rows by band key | range of shards |
| pairs | rows with equal keys → candidate pairs | partition |
| sketches | pairs and sketches of both documents → similar pairs | range, three rounds |
| clusters | pairs → components | deduplication, or partition |
| survivors | components → one survivor each → drop lists | partition, then range |
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial, reduce
from itertools import chain, count
from typing import Any, TypeVar

import pyarrow as pa

from curation.dedup import clusters, keys, lines, pairs, sketches, survivors, urls
from curation.dedup.algorithms.components import UNION_FIND_DOCUMENTS
from curation.dedup.decisions import LARGE, NUMBERS
from curation.dedup.documents import WORK, PartitionTask, RangeTask, Shard, Work, plan_work
from curation.dedup.settings import DedupSettings
from curation.dedup.survivor_rules import SurvivorValue
from curation.dedup.survivors import describe, described_exchange
from curation.running.cluster import Cluster
from curation.store.exchange import Exchange
from curation.store.folder import Folder
from curation.store.paths import LARGE_CLUSTERS, SHARD_NUMBERS
from curation.store.shards import Output, ShardWriter

COUNTED_TOGETHER = 64
"""Shards whose documents one task counts: a footer takes less time to read than a task to schedule."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class DedupResult:
    """The result of a deduplication: files, counts, and performance (seconds by phase, bytes spilled)."""

    outputs: list[Output]
    counts: Mapping[str, Any]
    performance: Mapping[str, Any]


def deduplicate(
    folder: Folder, settings: DedupSettings, best: SurvivorValue, shards: Sequence[Shard], cluster: Cluster, digest: str
) -> DedupResult:
    """Find the duplicates among shards with signatures, and write the lists of this run's shards.

    Args:
        folder: Output folder.
        settings: Table [dedup] of the recipe.
        best: Value by which survivors are chosen.
        shards: Shards in input order, with documents not counted yet.
        cluster: Where tasks run.
        digest: Fingerprint of everything the result depends on. An interrupted run with the same fingerprint
            resumes at the phase where it stopped.
    """
    return prepare(folder, settings, best, shards, cluster, digest).deduplicate()


def prepare(
    folder: Folder, settings: DedupSettings, best: SurvivorValue, shards: Sequence[Shard], cluster: Cluster, digest: str
) -> Deduplication:
    """Number the documents, and discard the work of a run with another fingerprint; arguments as for `deduplicate`."""
    if not folder.exists(f"{WORK}/{digest}"):
        folder.remove("dedup")
        folder.write(f"{WORK}/{digest}", b"")
    work, tasks = plan_work(folder, settings, best, number_shards(shards, cluster))
    return Deduplication(work, tasks, cluster)


def number_shards(shards: Sequence[Shard], cluster: Cluster) -> list[Shard]:
    """Count and number the documents of the shards."""
    groups = [tuple(shards[start : start + COUNTED_TOGETHER]) for start in range(0, len(shards), COUNTED_TOGETHER)]
    counts = chain.from_iterable(cluster.gather(keys.count_documents, groups))
    first = 0
    numbered = []
    for shard, documents in zip(shards, counts, strict=True):
        numbered.append(replace(shard, first=first, documents=documents))
        first += documents
    return numbered


@dataclass
class Deduplication:
    """A deduplication in progress, with what the phases pass on.

    Attributes:
        work: What all tasks share.
        tasks: One task per range.
        cluster: Where tasks run.
        advance: Called for each finished task, for progress.
        done: Number of finished tasks.
        pairs: Files of pairs.
        lists: Files of drop lists, survivors and lines to cut.
        large: Rows of dedup/large_clusters.parquet.
        seconds: Time by phase.
        spilled: Bytes written by exchanges.
    """

    work: Work
    tasks: list[RangeTask]
    cluster: Cluster
    advance: Callable[[], None] = lambda: None
    done: int = 0
    pairs: list[Output] = field(default_factory=list)
    lists: list[Output] = field(default_factory=list)
    large: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    spilled: int = 0

    @property
    def expected(self) -> int:
        """Approximate number of tasks, for progress; the numbers of clusters and rounds are not known in advance."""
        work, settings = self.work, self.work.settings
        if not settings.enabled:
            return len(self.tasks)
        by_key = [keys.keys_exchange(work), described_exchange(work, work.documents)]
        by_key += [urls.urls_exchange(work)] if settings.url else []
        by_key += [lines.line_counts_exchange(work)] if settings.max_line_documents is not None else []
        rounds = 6 + settings.url + 2 * (settings.max_line_documents is not None)
        return len(self.tasks) * rounds + sum(exchange.partitions for exchange in by_key) + 1

    def tick(self, tasks: int) -> None:
        """Report finished tasks, at most as many as are still expected."""
        for _ in range(min(tasks, self.expected - self.done)):
            self.done += 1
            self.advance()

    def deduplicate(self, advance: Callable[[], None] = lambda: None) -> DedupResult:
        """Run all phases; `advance` is called once per expected task."""
        self.advance = advance
        settings = self.work.settings
        counts: dict[str, Any] = {"documents": self.work.documents}
        if settings.enabled:
            counts |= self.find_pairs()
            counts |= self.find_clusters()
        counts |= self.write_lists()
        if settings.enabled and settings.max_line_documents is not None:
            counts |= self.cut_lines()
        self.tick(self.expected)
        return self.finish(counts)

    def phase(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Run a phase with one task per item, unless an earlier attempt finished it."""
        name = getattr(function, "func", function).__name__
        path = f"{WORK}/phases/{len(self.seconds):03d}-{name}.json"
        started = time.perf_counter()
        folder = self.work.folder
        if folder.exists(path):
            values: list[Result] = json.loads(folder.read(path), object_hook=_from_json)
        else:
            values = self._gather(function, items)
            folder.write(path, json.dumps(values, default=_to_json).encode())
        self.seconds[f"{len(self.seconds):03d} {name}"] = round(time.perf_counter() - started, 3)
        return values

    def _gather(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        return self.cluster.gather(function, items, partial(self.tick, 1))

    def clear(self, exchange: Exchange) -> None:
        """Remove the rows of an exchange that is no longer needed."""
        self.spilled += exchange.spilled()
        exchange.clear()

    def ranges(self, function: Callable[[RangeTask], Result]) -> list[Result]:
        """Run a phase with one task per range."""
        return self.phase(function, self.tasks)

    def partitions(self, exchange: Exchange, function: Callable[[PartitionTask], Result]) -> list[Result]:
        """Run a phase with one task per partition of an exchange, then clear the exchange."""
        tasks = [PartitionTask(self.work, exchange, number) for number in range(exchange.partitions)]
        values = self.phase(function, tasks)
        self.clear(exchange)
        return values

    def find_pairs(self) -> dict[str, int]:
        """Run the phases from signatures to dedup/pairs."""
        work = self.work
        counts = {}
        if work.settings.url:
            self.ranges(urls.send_urls)
            self.partitions(urls.urls_exchange(work), urls.choose_urls)
        self.ranges(keys.spread)
        self.partitions(keys.keys_exchange(work), pairs.match)
        counts["candidate_pairs"] = sum(self.ranges(sketches.attach))
        self.clear(pairs.pairs_exchange(work))
        self.ranges(sketches.verify)
        self.clear(sketches.sketched_exchange(work))
        self.pairs = self.ranges(sketches.write_pairs)
        self.clear(sketches.edges_exchange(work))
        return counts | {"pairs": sum(output.rows for output in self.pairs)}

    def find_clusters(self) -> dict[str, Any]:
        """Run the phases from dedup/pairs to verdicts."""
        work = self.work
        components, members = self._components(sum(output.rows for output in self.pairs))
        described = described_exchange(work, members)
        self.ranges(partial(describe, exchange=described))
        self.clear(clusters.members_exchange(work))
        decided = self.partitions(described, survivors.decide)
        sizes: Counter[str] = Counter()
        for part, _ in decided:
            sizes.update(part)
        self.large = sorted((row for _, rows in decided for row in rows), key=lambda row: str(row["cluster_id"]))
        by_size = dict(sorted(sizes.items(), key=lambda entry: int(entry[0].partition("-")[0])))
        return {"clusters": components, "clustered_documents": members, "cluster_sizes": by_size}

    def _components(self, edges: int) -> tuple[int, int]:
        """Find the components of the pairs, and send their members to their ranges. Returns components and members."""
        if self.work.documents <= UNION_FIND_DOCUMENTS:
            return self.phase(clusters.unite_all, [self.work])[0]
        links = clusters.links_exchange(self.work, "0", edges)
        before = total(self.ranges(partial(clusters.send_links, onward=links)))
        for step in count(1):
            middle = clusters.links_exchange(self.work, f"{step}-large", edges)
            large = total(self.partitions(links, partial(clusters.star_large, onward=middle)))
            links = clusters.links_exchange(self.work, f"{step}-small", edges)
            small = total(self.partitions(middle, partial(clusters.star_small, onward=links)))
            if before == large == small:
                break
            before = small
        counted = self.partitions(links, clusters.send_members)
        return sum(parts for parts, _ in counted), sum(members for _, members in counted)

    def write_lists(self) -> dict[str, Any]:
        """Write a drop list and a list of survivors for every shard."""
        lists = self.ranges(survivors.write_lists)
        reasons: Counter[str] = Counter()
        for part, _ in lists:
            reasons.update(part)
        self.lists = [output for _, files in lists for output in files]
        return {"removed": dict(sorted(reasons.items())), "large_clusters": len(self.large)}

    def cut_lines(self) -> dict[str, int]:
        """Run the phases from kept documents to the lines to cut from them."""
        self.ranges(lines.send_lines)
        frequent = self.partitions(lines.line_counts_exchange(self.work), lines.choose_lines)
        files = [output for outputs in self.ranges(lines.write_lines) for output in outputs]
        self.clear(lines.frequent_lines_exchange(self.work))
        self.lists += files
        return {"frequent_lines": sum(frequent), "lines_cut": sum(output.rows for output in files)}

    def finish(self, counts: Mapping[str, Any]) -> DedupResult:
        """Write the large clusters and the document numbers of the shards."""
        numbers = [
            {"shard": shard.name, "run": shard.earlier, "first": shard.first, "documents": shard.documents}
            for task in self.tasks
            for shard in task.shards
        ]
        folder = self.work.folder
        facts = [
            _write_rows(folder, LARGE_CLUSTERS, LARGE, self.large),
            _write_rows(folder, SHARD_NUMBERS, NUMBERS, numbers),
        ]
        performance = {"seconds": self.seconds, "spilled_bytes": self.spilled}
        return DedupResult([*self.pairs, *self.lists, *facts], counts, performance)


def _to_json(value: Output) -> dict[str, Any]:
    return {"output": asdict(value)}


def _from_json(value: dict[str, Any]) -> Any:
    return Output(**value["output"]) if "output" in value else value


def total(checksums: Sequence[clusters.Checksum]) -> clusters.Checksum:
    """The checksum of all parts combined."""
    return reduce(clusters.add_checksums, checksums, clusters.EMPTY)


def _write_rows(folder: Folder, path: str, schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> Output:
    with ShardWriter(folder, path, schema) as writer:
        writer.write(pa.Table.from_pylist(list(rows), schema=schema))
    return writer.output
