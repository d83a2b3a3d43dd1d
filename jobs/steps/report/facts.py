"""Counts the facts of a run: the funnel from manifests, the rest from columns of the shards, one manifest per shard.

`stats.json` contains only what is the same for equal runs; time and memory come from performance/ and are reported
separately. The counts of a shard are stored in manifests/report/<shard>.json, so that the next report counts only
shards that are new or changed. Those of a run of BUNDLED_FROM shards or more are added up in manifests/report/part-*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from curation.jobs.steps.plan import Plan
from curation.jobs.steps.report.contamination import contamination
from curation.jobs.steps.report.inputs import InputCounter
from curation.jobs.steps.report.language_signals import count_language_signals
from curation.jobs.steps.report.quality import quality_models
from curation.jobs.steps.table import steps
from curation.recipes.recipe import Recipe
from curation.report.counting import (
    COLUMNS,
    LENGTHS,
    SCORES,
    ShardFacts,
    ShardFactsCounter,
    binned,
    most_frequent,
    total,
)
from curation.report.histograms import add_histograms
from curation.running.cluster import Cluster
from curation.stages.tally import StepTally, add_counts, sum_counts
from curation.store import bundles
from curation.store.bundles import bundle_of
from curation.store.folder import Folder
from curation.store.manifest import (
    WHOLE,
    Manifest,
    counts_by_shard,
    fingerprint,
    histogram_sums,
    manifest_path,
    manifest_steps,
    read_manifest,
    step_counts,
)
from curation.store.manifest import fingerprints as fingerprints_of
from curation.store.paths import REMOVED_BY_DEDUP, REMOVED_BY_FILTER, RUN
from curation.store.shards import read_shard

STEP = "report"

VERSION = 5
"""Raise this when the same shards give other facts."""

TOP_DOMAINS = 50
FUNNELS = 30
"""Maximum number of languages with a funnel of their own."""
UPSTREAM = ("filter", "corpus", "encode")
"""Steps whose manifests decide whether the counts of a shard are still valid."""


@dataclass(frozen=True, slots=True)
class CountShard:
    """Counts the columns of one shard and writes its manifest; a picklable task for the cluster."""

    folder: Folder
    recipe: Recipe

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
        facts = replace(counter.facts(), signals=count_language_signals(self.folder, shard, self.recipe))
        Manifest(STEP, shard, current, counts=asdict(facts)).write(self.folder)

    def _count(self, counter: ShardFactsCounter, path: str, columns: list[str]) -> None:
        first = 0
        for batch in read_shard(self.folder, path, columns):
            counter.add(batch, path, first)
            first += batch.num_rows


@dataclass(frozen=True, slots=True)
class AddUp:
    """Adds up the counts of many shards into one manifest, in place of theirs; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, part: Part) -> None:
        """Write the manifest of a part, then remove those of its shards."""
        counts = step_counts(self.folder, STEP, part.shards)
        facts = most_frequent(total(ShardFacts.from_json(each) for each in counts))
        Manifest(STEP, part.name, part.fingerprint, counts=asdict(facts)).write(self.folder)
        self.folder.remove_all([manifest_path(STEP, shard) for shard in part.shards])


@dataclass(frozen=True, slots=True)
class Part:
    """Shards whose counts are added up into one manifest, as the manifests of other steps are bundled.

    Attributes:
        name: Name of the manifest.
        shards: The shards, in the order of their names.
        fingerprint: Fingerprint of the manifest.
    """

    name: str
    shards: tuple[str, ...]
    fingerprint: str


def count_shards(plan: Plan, cluster: Cluster) -> ShardFacts:
    """The facts of all filtered shards; shards that are new or changed are counted."""
    folder, wanted = plan.folder, expected_counts(plan)
    made = fingerprints_of(folder, STEP)
    if len(wanted) < bundles.BUNDLED_FROM:
        cluster.gather(
            CountShard(folder, plan.recipe),
            [(shard, wanted[shard]) for shard in wanted if made.get(shard) != wanted[shard]],
        )
        return total(ShardFacts.from_json(counts) for counts in step_counts(folder, STEP, wanted))
    parts = parts_of(wanted)
    outdated = [part for part in parts if made.get(part.name) != part.fingerprint]
    tasks = [(shard, wanted[shard]) for part in outdated for shard in part.shards if made.get(shard) != wanted[shard]]
    cluster.gather(CountShard(folder, plan.recipe), tasks)
    cluster.gather(AddUp(folder), outdated)
    return total(ShardFacts.from_json(counts) for counts in step_counts(folder, STEP, [part.name for part in parts]))


def expected_counts(plan: Plan) -> dict[str, str]:
    """The fingerprint of the counts of every filtered shard, in input order."""
    made = [fingerprints_of(plan.folder, step) for step in UPSTREAM]
    return {
        shard: fingerprint(STEP, VERSION, [step.get(shard, "") for step in made])
        for shard in _shards(plan)
        if shard in made[0]
    }


def parts_of(wanted: Mapping[str, str]) -> list[Part]:
    """Divide shards into parts by their names, with the fingerprints of their counts."""
    by_number: dict[int, list[str]] = {}
    for shard in sorted(wanted):
        by_number.setdefault(bundle_of(shard), []).append(shard)
    return [
        Part(f"part-{number:02x}", tuple(shards), fingerprint(STEP, VERSION, [[each, wanted[each]] for each in shards]))
        for number, shards in sorted(by_number.items())
    ]


def _shards(plan: Plan) -> list[str]:
    return [source.shard for source in plan.inputs]


def collect(plan: Plan, facts: ShardFacts) -> dict[str, Any]:
    """The content of stats.json for the run so far, finished or not."""
    folder, shards = plan.folder, _shards(plan)
    run = folder.read_json(RUN) if folder.exists(RUN) else {}
    counted, inputs = StepTally(), InputCounter(plan.inputs, run.get("quarantined", []))
    signals: dict[str, dict[str, Any]] = {}
    done = {}
    for step in [step.name for step in steps() if step.alarms]:
        done[step] = len(fingerprints_of(folder, step).keys() & set(shards))
        counted += sum_counts(inputs.counting(step, counts_by_shard(folder, step, shards)))
        for histograms in histogram_sums(folder, step, shards):
            signals = add_histograms(signals, histograms)
    return {
        "recipe": plan.recipe.name,
        "fingerprint": plan.recipe.fingerprint(),
        "shards": {"inputs": len(shards), "filtered": done["filter"], "corpus": done["corpus"]},
        "inputs": inputs.to_json(),
        "quarantined": run.get("quarantined", []),
        "damaged": run.get("damaged", []),
        **counted.to_json(),
        "removed_characters": dict(facts.reasons),
        "languages": _ranked(facts, "language"),
        **({"funnels": funnels} if len(funnels := _funnels(facts, [*counted.stages])) > 1 else {}),
        "scores": _both(facts, "score", SCORES),
        "domains": dict(list(_ranked(facts, "domain").items())[:TOP_DOMAINS]),
        "tlds": _ranked(facts, "tld"),
        "days": dict(sorted(_ranked(facts, "day").items())),
        "dumps": dict(sorted(_ranked(facts, "dump").items())),
        "lengths": _both(facts, "characters", LENGTHS),
        "token_counts": binned(facts.kept.get("tokens", {}), LENGTHS),
        "signals": signals,
        **({"language_signals": facts.signals} if facts.signals else {}),
        "dedup": _counts(folder, "dedup"),
        "tokenizer": _counts(folder, "train-tokenizer"),
        "tokens": _counts(folder, "tokens"),
        "bytes_per_token": _bytes_per_token(facts),
        **({"quality": models} if (models := quality_models(plan)) else {}),
        **({} if plan.recipe.table("decontaminate").is_off else {"contamination": contamination(folder, shards)}),
    }


def is_finished(plan: Plan, stats: Mapping[str, Any]) -> bool:
    """Whether the steps that the run was made for are done, by the content of report/stats.json."""
    if not plan.asked:
        return bool(stats["tokens"])
    inputs = stats["shards"]["inputs"] - len(stats["quarantined"])
    made = {
        "filter": stats["shards"]["filtered"] >= inputs,
        "dedup": stats["shards"]["corpus"] >= inputs,
        "train-tokenizer": stats["tokenizer"],
        "tokenize": stats["tokens"],
    }
    return all(made.get(command, True) for command in plan.asked)


def _counts(folder: Folder, step: str) -> dict[str, Any]:
    manifest = read_manifest(folder, step, WHOLE)
    return dict(manifest.counts) if manifest is not None else {}


def _ranked(facts: ShardFacts, dimension: str) -> dict[str, dict[str, int]]:
    """Number of documents and of kept documents by name, most frequent first."""
    kept, removed = facts.kept.get(dimension, {}), facts.removed.get(dimension, {})
    documents = add_counts(kept, removed)
    order = sorted(documents, key=lambda name: (-documents[name], name))
    return {name: {"documents": documents[name], "kept": kept.get(name, 0)} for name in order}


def _funnels(facts: ShardFacts, stages: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Documents into and out of each stage by language, for the languages of which most are kept.

    Args:
        facts: Facts about the shards.
        stages: The stages, in order. Those that remove documents without a language are left out.
    """
    reasons: dict[str, dict[str, dict[str, int]]] = {}
    for name, count in facts.removed.get("language_reason", {}).items():
        language, _, reason = name.partition("\t")
        stage, _, rule = reason.partition(".")
        reasons.setdefault(language, {}).setdefault(stage, {})[rule] = count
    named = [stage for stage in stages if any(stage in each for each in reasons.values())]
    ranked = [name for name, counts in _ranked(facts, "language").items() if counts["kept"]]
    kept = facts.kept.get("language", {})
    funnels: dict[str, dict[str, Any]] = {}
    for language in sorted(ranked, key=lambda name: (-kept[name], name))[:FUNNELS]:
        entered = kept[language] + sum(sum(each.values()) for each in reasons.get(language, {}).values())
        rows: dict[str, Any] = {}
        for stage in named:
            own = reasons.get(language, {}).get(stage, {})
            left = entered - sum(own.values())
            rows[stage] = {"documents_in": entered, "documents_out": left, "reasons": own}
            entered = left
        sums = {name: facts.kept.get(f"language_{name}", {}).get(language, 0) for name in ("characters", "tokens")}
        funnels[language] = {"stages": rows, **sums}
    return funnels


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
    return sorted(
        (manifest_path(step, shard), made)
        for step in manifest_steps(folder)
        if step != STEP
        for shard, made in fingerprints_of(folder, step).items()
    )
