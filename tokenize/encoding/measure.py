"""Counts for the tokenizer report: text and tokens by language and domain, and how often each id occurs.

Counting happens while encoding, on arrays that exist anyway, and takes a few percent of the time of encoding. Counts
are integers, so they add up exactly over shards in any order.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Int64s, UnsignedInts
from curation.running.compiled import kernel
from curation.text.hosts import host_of
from curation.tokenize.encoding.encoder import EncodedTexts
from curation.tokenize.encoding.text_counts import count_text
from curation.tokenize.training.pretokens import flat_text

COUNTS = ("documents", "bytes", "characters", "words", "tokens")
"""What is counted for every group of documents. A word is a run of characters that are not white space, as in
`str.split`; tokens do not include the end token."""

GROUPS = ("all", "language", "domain")

COLUMNS = ("text", "language", "url")
"""Corpus columns that are read."""

DOMAINS_PER_SHARD = 1000
"""Domains per shard, those with the most tokens. A domain below the cut in every shard is missing from the totals."""

_PLAIN = r"(?s)^https?://([a-z0-9_.-]+)(?::[0-9]*)?(?:[/?#]|$)"

Group = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class CorpusCounts:
    """Counts of encoded documents; `a + b` is exact.

    Attributes:
        used: int64[vocabulary]. How often each id occurs.
        groups: For each of `GROUPS`, the `COUNTS` by language, by domain, or under "all".
    """

    used: Int64s
    groups: Mapping[str, Group] = field(default_factory=dict)

    def __add__(self, other: CorpusCounts) -> CorpusCounts:
        both = total([self, other])
        assert both is not None
        return both

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        packed = base64.b64encode(zlib.compress(self.used.astype("<i8").tobytes(), 1)).decode()
        return {"used": packed, "groups": self.groups}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CorpusCounts:
        """Convert from the values of `to_json`."""
        used = np.frombuffer(zlib.decompress(base64.b64decode(values["used"])), "<i8").astype(np.int64)
        groups = {
            name: {key: tuple(counts) for key, counts in group.items()} for name, group in values["groups"].items()
        }
        return cls(used, groups)


def no_counts(vocabulary: int) -> CorpusCounts:
    """The counts of no documents, for a tokenizer whose ids are below `vocabulary`."""
    return CorpusCounts(np.zeros(vocabulary, np.int64))


def total(parts: Iterable[CorpusCounts], most: int | None = None) -> CorpusCounts | None:
    """The sum of counts, None if there are none. Adds in place, since there may be many domains.

    Args:
        parts: The counts.
        most: Number of domains to keep, those with the most tokens; all by default.
    """
    used: Int64s | None = None
    groups: dict[str, dict[str, tuple[int, ...]]] = {name: {} for name in GROUPS}
    for part in parts:
        used = part.used + (0 if used is None else used)
        for group, sums in groups.items():
            for name, counts in part.groups.get(group, {}).items():
                sums[name] = tuple(map(add, sums[name], counts)) if name in sums else tuple(counts)
    if used is None:
        return None
    groups["domain"] = _largest(groups["domain"], most)
    return CorpusCounts(used, {name: dict(sorted(sums.items())) for name, sums in groups.items()})


def _largest(group: Group, most: int | None) -> dict[str, tuple[int, ...]]:
    """The names with the most tokens."""
    names = sorted(group, key=lambda name: (-group[name][-1], name))[:most] if most is not None else group
    return {name: group[name] for name in names}


class CorpusCounter:
    """Counts the batches of one shard."""

    def __init__(self, vocabulary: int) -> None:
        self._used = np.zeros(vocabulary, np.int64)
        self._names: dict[str, list[pa.StringArray]] = {name: [pa.array([], pa.string())] for name in GROUPS[1:]}
        self._counts = [np.empty((0, len(COUNTS)), np.int64)]

    def add(self, batch: pa.RecordBatch, encoded: EncodedTexts) -> None:
        """Count a batch with the columns `COLUMNS` and its encoded text."""
        _count_ids(encoded.ids, self._used)
        text = flat_text(batch.column("text"))
        counts = np.empty((len(batch), len(COUNTS)), np.int64)
        counts[:, 0] = 1
        counts[:, 1] = np.diff(text.offsets)
        counts[:, 2], counts[:, 3] = count_text(text.data, text.offsets)
        counts[:, 4] = encoded.lengths
        self._counts.append(counts)
        self._names["language"].append(batch.column("language").fill_null(""))
        self._names["domain"].append(domains(batch.column("url").fill_null("")))

    def total(self) -> CorpusCounts:
        """The counts of all batches."""
        counts = np.concatenate(self._counts)
        groups = {"all": {"all": tuple(counts.sum(axis=0).tolist())} if len(counts) else {}}
        for name, values in self._names.items():
            groups[name] = _sum_by(pa.concat_arrays(values), counts)
        groups["domain"] = dict(sorted(_largest(groups["domain"], DOMAINS_PER_SHARD).items()))
        return CorpusCounts(self._used, groups)


def domains(urls: pa.StringArray) -> pa.StringArray:
    """The domain of each URL: by Arrow if all hosts are plain and lower case, as is usual, else by `host_of`."""
    plain = pc.match_substring_regex(urls, _PLAIN)
    if not pc.all(plain).as_py():
        return pa.array([host_of(url) for url in urls.to_pylist()], pa.string())
    return pc.replace_substring_regex(pc.replace_substring_regex(urls, f"{_PLAIN}.*", r"\1"), r"^www\.", "")


def _sum_by(names: pa.StringArray, counts: Int64s) -> dict[str, tuple[int, ...]]:
    """["en", "de", "en"], [[1], [2], [3]] → {"de": (2,), "en": (4,)}"""
    coded = names.dictionary_encode()
    sums = np.zeros((len(coded.dictionary), len(COUNTS)), np.int64)
    np.add.at(sums, coded.indices.to_numpy(), counts)
    return {name: tuple(row) for name, row in sorted(zip(coded.dictionary.to_pylist(), sums.tolist(), strict=True))}


@kernel
def _count_ids(ids: UnsignedInts, used: Int64s) -> None:
    for token in ids:
        used[token] += 1
