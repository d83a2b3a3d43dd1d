"""Facts of a run, counted: the funnel from manifests, the rest from the columns of the shards, one manifest a shard.

`stats.json` holds what is the same for equal runs; time and memory come from performance/ and are told beside it. What
a shard adds is kept in manifests/report/<shard>.json, so that the next report counts only shards that are new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.cluster import Cluster
from curation.jobs.plan import RUN, Plan
from curation.manifest import Manifest, fingerprint, is_done, read_manifest
from curation.report.counting import COLUMNS, LENGTHS, SCORES, Counting, ShardFacts, binned
from curation.report.histograms import add_histograms
from curation.shards import read_shard
from curation.storage import Folder
from curation.tally import StageTally, add_counts, add_stages

STEP = "report"

VERSION = 2
"""Rises when the same shards give other facts."""

TOP_DOMAINS = 50
MADE_FROM = ("filter", "corpus", "encode")
"""Steps whose manifests of a shard tell whether its facts are still true."""


@dataclass(frozen=True, slots=True)
class CountShard:
    """Counts one shard's columns, its manifest last; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, task: tuple[str, str]) -> ShardFacts:
        """Facts of the shard named, under the fingerprint given, of whatever files of it are there."""
        shard, mark = task
        counting = Counting()
        kept = "corpus" if read_manifest(self.folder, "corpus", shard) is not None else "documents"
        self._count(counting, f"{kept}/{shard}.parquet", [*COLUMNS])
        self._count(counting, f"removed/filter/{shard}.parquet", [*COLUMNS, "reason"])
        if kept == "corpus":
            told = [*COLUMNS, "reason", "minhash_cluster_size", "signals"]
            self._count(counting, f"removed/dedup/{shard}.parquet", told)
        facts = counting.facts()
        Manifest(STEP, shard, mark, counts=facts.to_json()).write(self.folder)
        return facts

    def _count(self, counting: Counting, path: str, columns: list[str]) -> None:
        first = 0
        for batch in read_shard(self.folder, path, columns):
            counting.add(batch, path, first)
            first += batch.num_rows


def count_shards(plan: Plan, cluster: Cluster) -> ShardFacts:
    """Facts of all shards that are filtered; counts those that are new or changed."""
    folder = plan.folder
    total = ShardFacts()
    tasks = []
    for shard in _shards(plan):
        made = [read_manifest(folder, step, shard) for step in MADE_FROM]
        if made[0] is None:
            continue
        mark = fingerprint(STEP, VERSION, [manifest.fingerprint if manifest else "" for manifest in made])
        done = is_done(folder, STEP, shard, mark)
        if done is None:
            tasks.append((shard, mark))
        else:
            total += ShardFacts.from_json(done.counts)
    return sum(cluster.gather(CountShard(folder), tasks), total)


def _shards(plan: Plan) -> list[str]:
    return [source.shard for source in plan.inputs]


def collect(plan: Plan, facts: ShardFacts) -> dict[str, Any]:
    """All that stats.json says of the run so far, finished or not."""
    folder, shards = plan.folder, _shards(plan)
    read: dict[str, int] = {}
    stages: dict[str, StageTally] = {}
    signals: dict[str, dict[str, Any]] = {}
    done = {}
    for step in ("filter", "corpus"):
        manifests = [manifest for shard in shards if (manifest := read_manifest(folder, step, shard)) is not None]
        done[step] = len(manifests)
        for manifest in manifests:
            read = add_counts(read, manifest.counts.get("read", {}))
            stages = add_stages(stages, _tallies(manifest.counts))
            signals = add_histograms(signals, manifest.counts.get("signals", {}))
    return {
        "recipe": plan.recipe.name,
        "fingerprint": plan.recipe.fingerprint(),
        "shards": {"inputs": len(shards), "filtered": done["filter"], "corpus": done["corpus"]},
        "quarantined": folder.read_json(RUN)["quarantined"] if folder.exists(RUN) else [],
        "read": read,
        "stages": {name: tally.to_json() for name, tally in stages.items()},
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


def _tallies(counts: Mapping[str, Any]) -> dict[str, StageTally]:
    return {name: StageTally.from_json(tally) for name, tally in counts["stages"].items()}


def _counts(folder: Folder, step: str) -> dict[str, Any]:
    manifest = read_manifest(folder, step, "all")
    return dict(manifest.counts) if manifest is not None else {}


def _ranked(facts: ShardFacts, dimension: str) -> dict[str, dict[str, int]]:
    """Documents and kept ones by name, the most frequent first."""
    kept, removed = facts.kept.get(dimension, {}), facts.removed.get(dimension, {})
    found = add_counts(kept, removed)
    order = sorted(found, key=lambda name: (-found[name], name))
    return {name: {"documents": found[name], "kept": kept.get(name, 0)} for name in order}


def _both(facts: ShardFacts, dimension: str, edges: Sequence[float]) -> dict[str, Any]:
    sides = {"kept": facts.kept, "removed": facts.removed}
    return {side: binned(counts.get(dimension, {}), edges) for side, counts in sides.items()}


def _bytes_per_token(facts: ShardFacts) -> dict[str, float]:
    """UTF-8 bytes of corpus text a token, overall ("all") and by language; empty before tokens are counted."""
    sizes, tokens = facts.kept.get("language_bytes", {}), facts.kept.get("language_tokens", {})
    by_language = {name: round(sizes[name] / tokens[name], 4) for name in sorted(tokens) if tokens[name]}
    overall = sum(tokens.values())
    return {"all": round(sum(sizes.values()) / overall, 4), **by_language} if overall else {}


def fingerprints(folder: Folder) -> list[tuple[str, str]]:
    """Path and fingerprint of every manifest but the report's own."""
    paths = [path for path in folder.list("manifests", ".json") if not path.startswith(f"manifests/{STEP}/")]
    return [(path, folder.read_json(path)["fingerprint"]) for path in paths]
