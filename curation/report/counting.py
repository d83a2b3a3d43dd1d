"""Facts about a shard that are not in its manifests, counted from the columns of its documents.

Everything adds up exactly and in any order: mappings of integers, and samples chosen by the lowest hashes of the id, so
that the same documents are sampled for any number of shards or workers and any order.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.report.histograms import Histogram, add_histograms
from curation.stages.tally import add_counts
from curation.text.hosts import host_of, top_level

DOMAINS_PER_SHARD = 2000
"""Number of most frequent domains that a shard reports; domains that are rare in every shard are not in the totals."""

MAX_DOMAINS = 1_000_000
"""Maximum number of domains in memory while shards are added up."""

SAMPLES = 4
"""Sampled documents per reason."""
KEPT_SAMPLES = 12
CLUSTERS = 10
CLUSTER_EXAMPLES = 3

KEPT = "kept"
"""Key of the kept documents among the samples, whose other keys are reasons."""

LENGTHS = tuple(
    round(step * 10.0**power) for power in range(1, 7) for step in (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8)
)
"""Edges of histograms of lengths: ten per decade, 10 to 8,000,000."""
SCORES = tuple(step / 20 for step in range(21))
"""Edges of histograms of language scores."""

NO_DAY = "(other)"
"""Replaces invalid dates, of which a hostile archive may contain any number."""
_DAY = r"^\d{4}-\d{2}-\d{2}"

Place = tuple[str, str, int]
"""A sampled document: hash of its id, path of its shard, row in the shard."""


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """Facts about shards, which `total` adds up.

    Attributes:
        kept: Number of kept documents by dimension and value. Dimensions are language, domain, tld, day, dump, and the
            bins of score, characters and tokens (bin numbers as `bisect_right` of the edges; "null" without text). Also
            characters, UTF-8 bytes and tokens by language.
        removed: Number of removed documents by dimension and value, without tokens and the sums by language; also by
            language and reason, separated by a tab.
        reasons: Characters of the documents that each reason removed.
        samples: Sampled documents by reason.
        clusters: The largest clusters by id: number of documents, and examples of removed ones.
        signals: Histograms of signals by language, then by `stage.signal`, for recipes with parameters by language.
    """

    kept: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    removed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Place]] = field(default_factory=dict)
    clusters: Mapping[str, tuple[int, Sequence[Place]]] = field(default_factory=dict)
    signals: Mapping[str, Mapping[str, Histogram]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ShardFacts:
        """The inverse of `to_json`."""
        samples = {name: [_place(place) for place in places] for name, places in values["samples"].items()}
        clusters = {
            name: (size, [_place(place) for place in places]) for name, (size, places) in values["clusters"].items()
        }
        return cls(values["kept"], values["removed"], values["reasons"], samples, clusters, values["signals"])


def _place(values: Sequence[Any]) -> Place:
    return values[0], values[1], values[2]


def _sample_size(name: str) -> int:
    return KEPT_SAMPLES if name == KEPT else SAMPLES


def lowest(places: Sequence[Place], number: int) -> list[Place]:
    """The `number` places with the lowest hashes."""
    return sorted(places)[:number]


def _largest(clusters: Sequence[tuple[str, tuple[int, Sequence[Place]]]]) -> dict[str, tuple[int, Sequence[Place]]]:
    merged: dict[str, tuple[int, Sequence[Place]]] = {}
    for name, (size, places) in clusters:
        before = merged.get(name, (0, ()))
        merged[name] = max(size, before[0]), lowest([*before[1], *places], CLUSTER_EXAMPLES)
    ranked = sorted(merged.items(), key=lambda entry: (-entry[1][0], entry[0]))
    return dict(ranked[:CLUSTERS])


def total(parts: Iterable[ShardFacts]) -> ShardFacts:
    """Add up facts, exactly and in any order for up to MAX_DOMAINS domains.

    Beyond that the rarest domains are dropped from time to time to bound memory; the same parts in the same order still
    give the same total.
    """
    kept: dict[str, Counter[str]] = {}
    removed: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    samples: dict[str, list[Place]] = {}
    clusters: dict[str, tuple[int, Sequence[Place]]] = {}
    signals: dict[str, dict[str, Histogram]] = {}
    for part in parts:
        for sums, counts in ((kept, part.kept), (removed, part.removed)):
            for name, values in counts.items():
                sums.setdefault(name, Counter()).update(values)
        reasons.update(part.reasons)
        for reason, places in part.samples.items():
            samples[reason] = lowest([*samples.get(reason, ()), *places], _sample_size(reason))
        clusters = _largest([*clusters.items(), *part.clusters.items()])
        for language, histograms in part.signals.items():
            signals[language] = {**add_histograms(signals.get(language, {}), histograms)}
        if sum(len(sums.get("domain", ())) for sums in (kept, removed)) > MAX_DOMAINS:
            _keep_top(kept, removed, "domain", MAX_DOMAINS // 4)
    return ShardFacts(
        _sorted(kept),
        _sorted(removed),
        dict(sorted(reasons.items())),
        dict(sorted(samples.items())),
        clusters,
        dict(sorted(signals.items())),
    )


class ShardFactsCounter:
    """Counts the documents of a shard batch by batch."""

    def __init__(self) -> None:
        self._kept: dict[str, Counter[str]] = {}
        self._removed: dict[str, Counter[str]] = {}
        self._reasons: Counter[str] = Counter()
        self._samples: dict[str, list[Place]] = {}
        self._clusters: dict[str, tuple[int, Sequence[Place]]] = {}

    def add(self, batch: pa.RecordBatch, path: str, first: int) -> None:
        """Count a batch.

        Args:
            batch: Documents with the columns COLUMNS; removed ones also with `reason`, and with `signals` if
                deduplication removed them.
            path: Path of the shard.
            first: Number of the batch's first row in the shard.
        """
        removed = "reason" in batch.schema.names
        counters = self._removed if removed else self._kept
        lengths = pc.fill_null(pc.utf8_length(batch["text"]), 0)
        self._dimensions(counters, batch, lengths)
        names = batch["reason"].to_pylist() if removed else [KEPT] * batch.num_rows
        self._draw(names, batch["id"].to_pylist(), path, first)
        if removed:
            named = pc.binary_join_element_wise(batch["language"], batch["reason"], "\t").drop_null()
            counters.setdefault("language_reason", Counter()).update(named.to_pylist())
            _add_by(self._reasons, batch["reason"], lengths)
            if "signals" in batch.schema.names:
                self._find_clusters(batch, path, first)
        else:
            self._by_language(batch, lengths)

    def _dimensions(self, counters: dict[str, Counter[str]], batch: pa.RecordBatch, lengths: pa.Array) -> None:
        hosts = [host_of(url or "") for url in batch["url"].to_pylist()]
        dated = pc.match_substring_regex(batch["date"], _DAY)
        day = pc.if_else(dated, pc.utf8_slice_codeunits(batch["date"], 0, 10), NO_DAY)
        for name, values in (
            ("language", batch["language"].drop_null().to_pylist()),
            ("domain", hosts),
            ("tld", map(top_level, hosts)),
            ("day", day.drop_null().to_pylist()),
            ("dump", batch["dump"].drop_null().to_pylist()),
            ("score", _bins(batch["language_score"], SCORES)),
            ("characters", _bins(pc.if_else(pc.equal(lengths, 0), pa.scalar(None, lengths.type), lengths), LENGTHS)),
        ):
            counters.setdefault(name, Counter()).update(values)

    def _by_language(self, batch: pa.RecordBatch, lengths: pa.Array) -> None:
        languages = pc.fill_null(batch["language"], "")
        counters = self._kept
        _add_by(counters.setdefault("language_characters", Counter()), languages, lengths)
        sizes = pc.fill_null(pc.binary_length(batch["text"]), 0)
        _add_by(counters.setdefault("language_bytes", Counter()), languages, sizes)
        tokens = batch["token_count"]
        if tokens.null_count < len(tokens):
            _add_by(counters.setdefault("language_tokens", Counter()), languages, pc.fill_null(tokens, 0))
            counters.setdefault("tokens", Counter()).update(_bins(tokens, LENGTHS))

    def _draw(self, names: Sequence[str], ids: Sequence[str], path: str, first: int) -> None:
        for row, (name, key) in enumerate(zip(names, ids, strict=True)):
            places = self._samples.setdefault(name, [])
            place = (hash_of(key), path, first + row)
            if len(places) < _sample_size(name) or place < places[-1]:
                self._samples[name] = lowest([*places, place], _sample_size(name))

    def _find_clusters(self, batch: pa.RecordBatch, path: str, first: int) -> None:
        rows = zip(
            batch["signals"].field("dedup.cluster_id").to_pylist(),
            batch["minhash_cluster_size"].to_pylist(),
            batch["id"].to_pylist(),
            strict=True,
        )
        members = [
            (cluster, (size or 0, [(hash_of(key), path, first + row)]))
            for row, (cluster, size, key) in enumerate(rows)
            if cluster is not None
        ]
        self._clusters = _largest([*self._clusters.items(), *members])

    def facts(self) -> ShardFacts:
        """The facts of all batches so far."""
        reasons, samples = dict(sorted(self._reasons.items())), dict(sorted(self._samples.items()))
        return most_frequent(ShardFacts(self._kept, self._removed, reasons, samples, self._clusters))


def most_frequent(facts: ShardFacts) -> ShardFacts:
    """The facts with only the DOMAINS_PER_SHARD most frequent domains, top-level domains and crawls."""
    kept, removed = ({name: Counter(counts) for name, counts in side.items()} for side in (facts.kept, facts.removed))
    for name in ("domain", "tld", "dump"):
        _keep_top(kept, removed, name, DOMAINS_PER_SHARD)
    return replace(facts, kept=_sorted(kept), removed=_sorted(removed))


def _keep_top(kept: dict[str, Counter[str]], removed: dict[str, Counter[str]], dimension: str, most: int) -> None:
    """Keep only the `most` most frequent names of a dimension."""
    everywhere = add_counts(kept.get(dimension, {}), removed.get(dimension, {}))
    top = set(sorted(everywhere, key=lambda name: (-everywhere[name], name))[:most])
    for part in (kept, removed):
        if dimension in part:
            part[dimension] = Counter({name: count for name, count in part[dimension].items() if name in top})


COLUMNS = ("id", "text", "dump", "url", "date", "language", "language_score", "token_count")
"""Columns that `ShardFactsCounter.add` needs."""


def _sorted(counters: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {name: dict(sorted(counter.items())) for name, counter in counters.items()}


def _bins(values: pa.Array, edges: Sequence[float]) -> list[str]:
    """Bin numbers: "0" below the first edge, plus one for each edge reached; "null" for a null."""
    numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
    bins = np.searchsorted(np.array(edges), numbers, side="right")
    return ["null" if missing else str(number) for missing, number in zip(np.isnan(numbers), bins, strict=True)]


def _add_by(counter: Counter[str], names: pa.Array, numbers: pa.Array) -> None:
    table = pa.table({"name": names, "number": numbers}).group_by("name").aggregate([("number", "sum")])
    for name, total in zip(table["name"].to_pylist(), table["number_sum"].to_pylist(), strict=True):
        counter[name] += total or 0


def binned(counts: Mapping[str, int], edges: Sequence[float]) -> dict[str, Any]:
    """Convert counts by bin to a histogram: {"edges", "counts", "nulls"}, with one more count than edges."""
    values = [counts.get(str(number), 0) for number in range(len(edges) + 1)]
    return {"edges": list(edges), "counts": values, "nulls": counts.get("null", 0)}


def hash_of(key: str) -> str:
    """The hash of an id, by which documents are sampled."""
    return hashlib.blake2b((key or "").encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
