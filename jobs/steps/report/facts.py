"""Facts of a run, counted: the funnel from manifests, the rest from the columns of the shards, one manifest a shard.

`stats.json` holds what is the same for equal runs; time and memory come from performance/ and are told beside it. What
a shard adds is kept in manifests/report/<shard>.json, so that the next report counts only shards that are new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from curation.jobs.steps.plan import RUN, Plan
from curation.jobs.steps.table import steps
from curation.report.counting import COLUMNS, LENGTHS, SCORES, ShardFacts, ShardFactsCounter, binned, total
from curation.report.histograms import add_histograms
from curation.running.cluster import Cluster
from curation.running.overlap import overlapped
from curation.stages.tally import StepTally, add_counts, sum_counts
from curation.store.folder import Folder
from curation.store.manifest import READERS, WHOLE, Manifest, fingerprint, is_done, read_manifest, step_counts
from curation.store.shards import read_shard

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

    def __call__(self, task: tuple[str, str]) -> None:
        """Write the facts of the shard named, under the fingerprint given, of whatever files of it are there."""
        shard, mark = task
        counting = ShardFactsCounter()
        kept = "corpus" if read_manifest(self.folder, "corpus", shard) is not None else "documents"
        self._count(counting, f"{kept}/{shard}.parquet", [*COLUMNS])
        self._count(counting, f"removed/filter/{shard}.parquet", [*COLUMNS, "reason"])
        if kept == "corpus":
            told = [*COLUMNS, "reason", "minhash_cluster_size", "signals"]
            self._count(counting, f"removed/dedup/{shard}.parquet", told)
        Manifest(STEP, shard, mark, counts=counting.facts().to_json()).write(self.folder)

    def _count(self, counting: ShardFactsCounter, path: str, columns: list[str]) -> None:
        first = 0
        for batch in read_shard(self.folder, path, columns):
            counting.add(batch, path, first)
            first += batch.num_rows


def count_shards(plan: Plan, cluster: Cluster) -> ShardFacts:
    """Facts of all shards that are filtered; counts those that are new or changed."""
    folder = plan.folder
    there, tasks = [], []
    found = overlapped(partial(_made_from, folder), _shards(plan), READERS)
    for shard, made in zip(_shards(plan), found, strict=True):
        if made[0] is not None:
            mark = fingerprint(STEP, VERSION, [manifest.fingerprint if manifest else "" for manifest in made])
            there.append(shard)
            if is_done(folder, STEP, shard, mark) is None:
                tasks.append((shard, mark))
    for _ in cluster.each(CountShard(folder), tasks):
        pass
    return total(ShardFacts.from_json(counts) for counts in step_counts(folder, STEP, there))


def _made_from(folder: Folder, shard: str) -> list[Manifest | None]:
    return [read_manifest(folder, step, shard) for step in MADE_FROM]


def _shards(plan: Plan) -> list[str]:
    return [source.shard for source in plan.inputs]


def collect(plan: Plan, facts: ShardFacts) -> dict[str, Any]:
    """All that stats.json says of the run so far, finished or not."""
    folder, shards = plan.folder, _shards(plan)
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
        "quarantined": folder.read_json(RUN)["quarantined"] if folder.exists(RUN) else [],
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
    marks = overlapped(lambda path: str(folder.read_json(path)["fingerprint"]), paths, READERS)
    return list(zip(paths, marks, strict=True))
