"""What a report tells of a shard beyond its manifests, counted from the columns of its documents.

Everything adds up exactly and in any order: mappings of integers, and samples that are the ones with the least hash of
the id, so that the same documents are drawn whatever the number of shards, workers or the order they come in.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.stages.tally import add_counts
from curation.text.hosts import host_of, top_level

DOMAINS_A_SHARD = 2000
"""Most frequent domains that a shard reports; a domain that is rarer in every shard is missing from the totals."""

MOST_DOMAINS = 1_000_000
"""Domains held at most while shards are added up."""

SAMPLES = 4
"""Documents drawn for each reason."""
KEPT_SAMPLES = 12
CLUSTERS = 10
CLUSTER_EXAMPLES = 3

KEPT = "kept"
"""Where documents that were kept stand among the samples, which are otherwise named by reason."""

LENGTHS = tuple(
    round(step * 10.0**power) for power in range(1, 7) for step in (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8)
)
"""Edges of histograms of lengths: ten a decade, 10 to 8,000,000."""
SCORES = tuple(step / 20 for step in range(21))
"""Edges of histograms of language scores."""

NO_DAY = "(other)"
"""Stands for dates that are none, of which a hostile archive may have any number."""
_DAY = r"^\d{4}-\d{2}-\d{2}"

Place = tuple[str, str, int]
"""A drawn document: hash of its id, path of its shard, row in it."""


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """Facts of some shards, which `total` adds up.

    kept, removed: documents by value of each dimension: language, domain, tld, day, and bins of score and characters
    (numbers of bins as `bisect_right` of the edges gives them; "null" where there is no text). kept also
    has bins of token counts, and characters,
    UTF-8 bytes and tokens by language. reasons: characters of the documents that each reason removed. samples: places
    by reason. clusters: the largest, by id: documents, and places of examples of what was removed.
    """

    kept: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    removed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Place]] = field(default_factory=dict)
    clusters: Mapping[str, tuple[int, Sequence[Place]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "kept": self.kept,
            "removed": self.removed,
            "reasons": self.reasons,
            "samples": self.samples,
            "clusters": self.clusters,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ShardFacts:
        """The inverse of `to_json`."""
        samples = {name: [_place(place) for place in places] for name, places in values["samples"].items()}
        clusters = {
            name: (size, [_place(place) for place in places]) for name, (size, places) in values["clusters"].items()
        }
        return cls(values["kept"], values["removed"], values["reasons"], samples, clusters)


def _place(values: Sequence[Any]) -> Place:
    return values[0], values[1], values[2]


def _wanted(name: str) -> int:
    return KEPT_SAMPLES if name == KEPT else SAMPLES


def draw(places: Sequence[Place], number: int) -> list[Place]:
    """The places with the least hashes."""
    return sorted(places)[:number]


def _largest(
    clusters: Sequence[tuple[str, tuple[int, Sequence[Place]]]],
) -> dict[str, tuple[int, Sequence[Place]]]:
    found: dict[str, tuple[int, Sequence[Place]]] = {}
    for name, (size, places) in clusters:
        before = found.get(name, (0, ()))
        found[name] = max(size, before[0]), draw([*before[1], *places], CLUSTER_EXAMPLES)
    ranked = sorted(found.items(), key=lambda entry: (-entry[1][0], entry[0]))
    return dict(ranked[:CLUSTERS])


def total(parts: Iterable[ShardFacts]) -> ShardFacts:
    """All parts added up, exactly and in any order as long as there are no more than MOST_DOMAINS domains.

    Beyond that the rarest domains are let go, now and then, so that memory is bounded; the same parts in the same order
    give the same answer.
    """
    kept: dict[str, Counter[str]] = {}
    removed: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    samples: dict[str, list[Place]] = {}
    clusters: dict[str, tuple[int, Sequence[Place]]] = {}
    for part in parts:
        for sums, counts in ((kept, part.kept), (removed, part.removed)):
            for name, values in counts.items():
                sums.setdefault(name, Counter()).update(values)
        reasons.update(part.reasons)
        for reason, places in part.samples.items():
            samples[reason] = draw([*samples.get(reason, ()), *places], _wanted(reason))
        clusters = _largest([*clusters.items(), *part.clusters.items()])
        if sum(len(sums.get("domain", ())) for sums in (kept, removed)) > MOST_DOMAINS:
            _cut(kept, removed, "domain", MOST_DOMAINS // 4)
    return ShardFacts(
        _sorted(kept), _sorted(removed), dict(sorted(reasons.items())), dict(sorted(samples.items())), clusters
    )


class ShardFactsCounter:
    """Counts a shard's documents batch by batch."""

    def __init__(self) -> None:
        self._kept: dict[str, Counter[str]] = {}
        self._removed: dict[str, Counter[str]] = {}
        self._reasons: Counter[str] = Counter()
        self._samples: dict[str, list[Place]] = {}
        self._clusters: dict[str, tuple[int, Sequence[Place]]] = {}

    def add(self, batch: pa.RecordBatch, path: str, first: int) -> None:
        """Count rows of the shard at `path`, of which these are the ones from `first` on.

        Columns: those of COLUMNS; `reason` if they were removed, then also `signals` if by deduplication.
        """
        removed = "reason" in batch.schema.names
        counters = self._removed if removed else self._kept
        lengths = pc.fill_null(pc.utf8_length(batch["text"]), 0)
        self._dimensions(counters, batch, lengths)
        names = batch["reason"].to_pylist() if removed else [KEPT] * batch.num_rows
        self._draw(names, batch["id"].to_pylist(), path, first)
        if removed:
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
            drawn = self._samples.setdefault(name, [])
            place = (hash_of(key), path, first + row)
            if len(drawn) < _wanted(name) or place < drawn[-1]:
                self._samples[name] = draw([*drawn, place], _wanted(name))

    def _find_clusters(self, batch: pa.RecordBatch, path: str, first: int) -> None:
        rows = zip(
            batch["signals"].field("dedup.cluster_id").to_pylist(),
            batch["minhash_cluster_size"].to_pylist(),
            batch["id"].to_pylist(),
            strict=True,
        )
        found = [
            (cluster, (size or 0, [(hash_of(key), path, first + row)]))
            for row, (cluster, size, key) in enumerate(rows)
            if cluster is not None
        ]
        self._clusters = _largest([*self._clusters.items(), *found])

    def facts(self) -> ShardFacts:
        """What was counted."""
        for name in ("domain", "tld"):
            _cut(self._kept, self._removed, name, DOMAINS_A_SHARD)
        kept, removed = _sorted(self._kept), _sorted(self._removed)
        return ShardFacts(
            kept, removed, dict(sorted(self._reasons.items())), dict(sorted(self._samples.items())), self._clusters
        )


def _cut(kept: dict[str, Counter[str]], removed: dict[str, Counter[str]], dimension: str, most: int) -> None:
    """Leave the most frequent names of a dimension, at most so many."""
    everywhere = add_counts(kept.get(dimension, {}), removed.get(dimension, {}))
    top = set(sorted(everywhere, key=lambda name: (-everywhere[name], name))[:most])
    for part in (kept, removed):
        if dimension in part:
            part[dimension] = Counter({name: count for name, count in part[dimension].items() if name in top})


COLUMNS = ("id", "text", "url", "date", "language", "language_score", "token_count")
"""Columns that `Counting.add` needs of any documents."""


def _sorted(counters: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {name: dict(sorted(counter.items())) for name, counter in counters.items()}


def _bins(values: pa.Array, edges: Sequence[float]) -> list[str]:
    """Numbers of bins: "0" below the first edge, then one up for each edge reached; "null" for a null."""
    numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
    found = np.searchsorted(np.array(edges), numbers, side="right")
    return ["null" if missing else str(number) for missing, number in zip(np.isnan(numbers), found, strict=True)]


def _add_by(counter: Counter[str], names: pa.Array, numbers: pa.Array) -> None:
    table = pa.table({"name": names, "number": numbers}).group_by("name").aggregate([("number", "sum")])
    for name, total in zip(table["name"].to_pylist(), table["number_sum"].to_pylist(), strict=True):
        counter[name] += total or 0


def binned(counts: Mapping[str, int], edges: Sequence[float]) -> dict[str, Any]:
    """Counts by bin as a histogram: {"edges", "counts", "nulls"}, with one count more than edges."""
    found = [counts.get(str(number), 0) for number in range(len(edges) + 1)]
    return {"edges": list(edges), "counts": found, "nulls": counts.get("null", 0)}


def bin_of(value: float, edges: Sequence[float]) -> int:
    """The number of the bin of a value, as `binned` counts them."""
    return bisect_right(edges, value)


def hash_of(key: str) -> str:
    """The hash of an id by which documents are drawn."""
    return hashlib.blake2b((key or "").encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
