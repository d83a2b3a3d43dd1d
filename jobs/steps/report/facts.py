"""Counts the facts of a run: the funnel from manifests, the rest from columns of the shards, one manifest per shard.

`stats.json` contains only what is the same for equal runs; time and memory come from performance/ and are reported
separately. The counts of a shard are stored in manifests/report/<shard>.json, so that the next report counts only
shards that are new or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curation.jobs.steps.plan import Plan
from curation.jobs.steps.table import steps
from curation.report.counting import COLUMNS, LENGTHS, SCORES, ShardFacts, ShardFactsCounter, binned, total
from curation.report.histograms import add_histograms
from curation.running.cluster import Cluster
from curation.running.overlap import overlapped
from curation.stages.tally import StepTally, add_counts, sum_counts
from curation.store.folder import Folder
from curation.store.manifest import READERS, WHOLE, Manifest, fingerprint, is_done, read_manifest, step_counts
from curation.store.paths import REMOVED_BY_DEDUP, REMOVED_BY_FILTER, RUN
from curation.store.shards import read_shard

STEP = "report"

VERSION = 2
"""Raise this when the same shards give other facts."""

TOP_DOMAINS = 50
UPSTREAM = ("filter", "corpus", "encode")
"""Steps whose manifests decide whether the counts of a shard are still valid."""


@dataclass(frozen=True, slots=True)
class CountShard:
    """Counts the columns of one shard and writes its manifest; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, task: tuple[str, str]) -> None:
        """Count the existing files of a shard; `task` is its name and the fingerprint to write."""
        shard, current = task
        counter = ShardFactsCounter()
        kept = "corpus" if read_manifest(self.folder, "corpus", shard) is not None else "documents"
        self._count(counter, f"{kept}/{shard}.parquet", [*COLUMNS])
        self._count(counter, REMOVED_BY_FILTER.path(shard), [*COLUMNS, "reason"])
        if kept == "corpus":
            columns = [*COLUMNS, "reason", "minhash_cluster_size", "signals"]
            self._count(counter, REMOVED_BY_DEDUP.path(shard), columns)
        Manifest(STEP, shard, current, counts=asdict(counter.facts())).write(self.folder)

    def _count(self, counter: ShardFactsCounter, path: str, columns: list[str]) -> None:
        first = 0
        for batch in read_shard(self.folder, path, columns):
            counter.add(batch, path, first)
            first += batch.num_rows


def count_shards(plan: Plan, cluster: Cluster) -> ShardFacts:
    """The facts of all filtered shards; shards that are new or changed are counted."""
    folder, shards = plan.folder, _shards(plan)
    filtered, tasks = [], []
    upstream = overlapped(lambda shard: [read_manifest(folder, step, shard) for step in UPSTREAM], shards, READERS)
    for shard, manifests in zip(shards, upstream, strict=True):
        if manifests[0] is not None:
            current = fingerprint(STEP, VERSION, [each.fingerprint if each else "" for each in manifests])
            filtered.append(shard)
            if is_done(folder, STEP, shard, current) is None:
                tasks.append((shard, current))
    cluster.gather(CountShard(folder), tasks)
    return total(ShardFacts.from_json(counts) for counts in step_counts(folder, STEP, filtered))


def _shards(plan: Plan) -> list[str]:
    return [source.shard for source in plan.inputs]


def collect(plan: Plan, facts: ShardFacts) -> dict[str, Any]:
    """The content of stats.json for the run so far, finished or not."""
    folder, shards = plan.folder, _shards(plan)
    run = folder.read_json(RUN) if folder.exists(RUN) else {}
    counted = StepTally()
    signals: dict[str, dict[str, Any]] = {}
    done = {}
    for step in [step.name for step in steps() if step.alarms]:
        done[step] = 0
        for counts in step_counts(folder, step, shards):
            done[step] += 1
            counted += sum_counts([counts])
            signals = add_histograms(signals, counts.get("signals", {}))
    return {
        "recipe": plan.recipe.name,
        "fingerprint": plan.recipe.fingerprint(),
        "shards": {"inputs": len(shards), "filtered": done["filter"], "corpus": done["corpus"]},
        "quarantined": run.get("quarantined", []),
        "damaged": run.get("damaged", []),
        **counted.to_json(),
        "removed_characters": dict(facts.reasons),
        "languages": _ranked(facts, "language"),
        "scores": _both(facts, "score", SCORES),
        "domains": dict(list(_ranked(facts, "domain").items())[:TOP_DOMAINS]),
        "tlds": _ranked(facts, "tld"),
        "days": dict(sorted(_ranked(facts, "day").items())),
        "lengths": _both(facts, "characters", LENGTHS),
        "token_counts": binned(facts.kept.get("tokens", {}), LENGTHS),
        "signals": signals,
        "dedup": _counts(folder, "dedup"),
        "tokenizer": _counts(folder, "train-tokenizer"),
        "tokens": _counts(folder, "tokens"),
        "bytes_per_token": _bytes_per_token(facts),
    }


def _counts(folder: Folder, step: str) -> dict[str, Any]:
    manifest = read_manifest(folder, step, WHOLE)
    return dict(manifest.counts) if manifest is not None else {}


def _ranked(facts: ShardFacts, dimension: str) -> dict[str, dict[str, int]]:
    """Number of documents and of kept documents by name, most frequent first."""
    kept, removed = facts.kept.get(dimension, {}), facts.removed.get(dimension, {})
    documents = add_counts(kept, removed)
    order = sorted(documents, key=lambda name: (-documents[name], name))
    return {name: {"documents": documents[name], "kept": kept.get(name, 0)} for name in order}


def _both(facts: ShardFacts, dimension: str, edges: Sequence[float]) -> dict[str, Any]:
    sides = {"kept": facts.kept, "removed": facts.removed}
    return {side: binned(counts.get(dimension, {}), edges) for side, counts in sides.items()}


def _bytes_per_token(facts: ShardFacts) -> dict[str, float]:
    """UTF-8 bytes of corpus text per token, in total ("all") and by language; empty before tokens are counted."""
    sizes, tokens = facts.kept.get("language_bytes", {}), facts.kept.get("language_tokens", {})
    by_language = {name: round(sizes[name] / tokens[name], 4) for name in sorted(tokens) if tokens[name]}
    overall = sum(tokens.values())
    return {"all": round(sum(sizes.values()) / overall, 4), **by_language} if overall else {}


def fingerprints(folder: Folder) -> list[tuple[str, str]]:
    """Path and fingerprint of every manifest except those of the report."""
    paths = [path for path in folder.list("manifests", ".json") if not path.startswith(f"manifests/{STEP}/")]
    values = overlapped(lambda path: str(folder.read_json(path)["fingerprint"]), paths, READERS)
    return list(zip(paths, values, strict=True))
