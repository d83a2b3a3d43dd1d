"""Facts of a run, counted: the funnel from manifests, languages and domains from the columns of the shards.

`stats.json` holds what is the same for equal runs; time and memory come from performance/ and are told beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from curation.cluster import Cluster
from curation.jobs.plan import RUN, Plan
from curation.manifest import read_manifest
from curation.shards import read_shard
from curation.storage import Folder
from curation.tally import StageTally, add_counts, add_stages

DOMAINS_A_SHARD = 2000
"""Most frequent domains that a shard reports; a domain that is rarer in every shard is missing from the totals."""

TOP_DOMAINS = 50


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """Counts of one shard that its manifest does not hold. `a + b` is exact."""

    languages: Mapping[str, int]
    languages_kept: Mapping[str, int]
    domains: Mapping[str, int]
    domains_kept: Mapping[str, int]
    bytes_by_language: Mapping[str, int]
    tokens_by_language: Mapping[str, int]

    def __add__(self, other: ShardFacts) -> ShardFacts:
        return ShardFacts(
            add_counts(self.languages, other.languages),
            add_counts(self.languages_kept, other.languages_kept),
            add_counts(self.domains, other.domains),
            add_counts(self.domains_kept, other.domains_kept),
            add_counts(self.bytes_by_language, other.bytes_by_language),
            add_counts(self.tokens_by_language, other.tokens_by_language),
        )


NO_FACTS = ShardFacts({}, {}, {}, {}, {}, {})


@dataclass(frozen=True, slots=True)
class CountShard:
    """Counts one shard's columns; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, shard: str) -> ShardFacts:
        """Facts of the shard named, of whatever files of it are there."""
        languages, languages_kept = Counter[str](), Counter[str]()
        domains, domains_kept = Counter[str](), Counter[str]()
        sizes, tokens = Counter[str](), Counter[str]()
        for path in (f"documents/{shard}.parquet", f"removed/filter/{shard}.parquet"):
            for batch in _read(self.folder, path, ["language", "url"]):
                languages.update(_values(batch["language"]))
                domains.update(map(domain, _values(batch["url"])))
        for batch in _read(self.folder, f"corpus/{shard}.parquet", ["language", "url", "text", "token_count"]):
            languages_kept.update(_values(batch["language"]))
            domains_kept.update(map(domain, _values(batch["url"])))
            for name, size, count in zip(
                batch["language"].to_pylist(),
                pc.binary_length(batch["text"]).to_pylist(),
                batch["token_count"].to_pylist(),
                strict=True,
            ):
                sizes[name or ""] += size or 0
                tokens[name or ""] += count or 0
        top = dict(domains.most_common(DOMAINS_A_SHARD))
        kept = {name: count for name, count in domains_kept.items() if name in top}
        return ShardFacts(languages, languages_kept, top, kept, sizes, tokens)


def _read(folder: Folder, path: str, columns: list[str]) -> Iterable[pa.RecordBatch]:
    return read_shard(folder, path, columns) if folder.exists(path) else ()


def _values(column: pa.Array) -> list[str]:
    values: list[str] = column.drop_null().to_pylist()
    return values


def domain(url: str) -> str:
    """The host of a URL, lower-cased and without "www.": "https://www.a.org/b" → "a.org"; "" where there is none."""
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        host = ""
    return host.removeprefix("www.")


def collect(plan: Plan, cluster: Cluster) -> dict[str, Any]:
    """All that stats.json says of the run so far, finished or not."""
    folder = plan.folder
    shards = [source.shard for source in plan.inputs]
    read, stages = _filter_counts(folder, shards)
    done = [shard for shard in shards if read_manifest(folder, "filter", shard) is not None]
    facts = sum(cluster.gather(CountShard(folder), done), NO_FACTS)
    corpus = _stage_counts(folder, "corpus", shards)
    stages = {**stages, **corpus}
    tokenizer = _counts(folder, "train-tokenizer", "all")
    tokens = _counts(folder, "tokens", "all")
    return {
        "recipe": plan.recipe.name,
        "fingerprint": plan.recipe.fingerprint(),
        "shards": {"inputs": len(shards), "filtered": len(done)},
        "quarantined": folder.read_json(RUN)["quarantined"] if folder.exists(RUN) else [],
        "read": read,
        "stages": {name: tally.to_json() for name, tally in stages.items()},
        "languages": _ranked(facts.languages, facts.languages_kept),
        "domains": dict(list(_ranked(facts.domains, facts.domains_kept).items())[:TOP_DOMAINS]),
        "dedup": _counts(folder, "dedup", "all"),
        "tokenizer": tokenizer,
        "tokens": tokens,
        "bytes_per_token": _bytes_per_token(facts),
    }


def _filter_counts(folder: Folder, shards: Sequence[str]) -> tuple[dict[str, int], dict[str, StageTally]]:
    read: dict[str, int] = {}
    for shard in shards:
        manifest = read_manifest(folder, "filter", shard)
        if manifest is not None:
            read = add_counts(read, manifest.counts["read"])
    return read, _stage_counts(folder, "filter", shards)


def _stage_counts(folder: Folder, step: str, shards: Sequence[str]) -> dict[str, StageTally]:
    total: dict[str, StageTally] = {}
    for shard in shards:
        manifest = read_manifest(folder, step, shard)
        if manifest is not None:
            tallies = {name: StageTally.from_json(tally) for name, tally in manifest.counts["stages"].items()}
            total = add_stages(total, tallies)
    return total


def _counts(folder: Folder, step: str, shard: str) -> dict[str, Any]:
    manifest = read_manifest(folder, step, shard)
    return dict(manifest.counts) if manifest is not None else {}


def _ranked(found: Mapping[str, int], kept: Mapping[str, int]) -> dict[str, dict[str, int]]:
    order = sorted(found, key=lambda name: (-found[name], name))
    return {name: {"documents": found[name], "kept": kept.get(name, 0)} for name in order}


def _bytes_per_token(facts: ShardFacts) -> dict[str, float]:
    """UTF-8 bytes of corpus text a token, overall ("all") and by language; empty before tokens are counted."""
    sizes, tokens = facts.bytes_by_language, facts.tokens_by_language
    by_language = {name: round(sizes[name] / tokens[name], 4) for name in sorted(tokens) if tokens[name]}
    overall = sum(tokens.values())
    return {"all": round(sum(sizes.values()) / overall, 4), **by_language} if overall else {}
