"""Facts about shards: they add up in any order, and the same documents are sampled however the corpus is divided."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import asdict

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.report import counting
from curation.report.counting import (
    KEPT,
    KEPT_SAMPLES,
    LENGTHS,
    SAMPLES,
    ShardFacts,
    ShardFactsCounter,
    binned,
    hash_of,
    total,
)
from curation.store import schema
from curation.text.hosts import host_of, top_level

SIGNALS = pa.struct([("dedup.cluster_id", pa.string())])


def row(number: int) -> dict[str, object]:
    return {
        "id": f"id-{number}", "text": "é" * number, "url": f"https://www.S{number % 3}.example.org/{number}",
        "date": f"2024-05-{number % 28 + 1:02}T00:00:00Z", "language": "en" if number % 2 else None,
        "language_score": 0.5 if number % 2 else None, "token_count": number,
    }  # fmt: skip


def kept(numbers: list[int]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([row(number) for number in numbers], schema=schema.DOCUMENT)


def removed(numbers: list[int]) -> pa.RecordBatch:
    rows = [
        row(number)
        | {
            "reason": f"r.{number % 2}",
            "minhash_cluster_size": number % 5,
            "signals": {"dedup.cluster_id": f"c{number % 5}"},
        }
        for number in numbers
    ]
    return pa.RecordBatch.from_pylist(rows, schema=schema.removed(SIGNALS))


def count(numbers: list[int], path: str = "p", first: int = 0) -> ShardFacts:
    counter = ShardFactsCounter()
    counter.add(kept(numbers), path, first)
    counter.add(removed(numbers), path, first)
    return counter.facts()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 60), st.integers(0, 60))
def test_any_division_gives_the_same_facts(one: int, other: int) -> None:
    """Facts are the same whether counted at once, in batches, or in shards that are added in any order."""
    numbers = list(range(60))
    low, high = sorted((one, other))
    expected = count(numbers)
    parts = [(0, low), (low, high), (high, 60)]
    counter = ShardFactsCounter()
    for first, last in parts:
        counter.add(kept(numbers[first:last]), "p", first)
        counter.add(removed(numbers[first:last]), "p", first)
    assert counter.facts() == expected
    a, b, c = (count(numbers[first:last], "p", first) for first, last in parts)
    assert total([a, b, c]) == total([c, total([b, a])]) == total([expected]) == expected


def test_many_domains_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the maximum number of domains the frequent ones keep their exact counts, in both kept and removed."""
    monkeypatch.setattr(counting, "MAX_DOMAINS", 40)
    parts = [
        ShardFacts({"domain": {f"{n}-{m}.org": 1 for m in range(10)} | {"big.org": 50}}, {"domain": {"big.org": 7}})
        for n in range(30)
    ]
    found = total(parts)
    assert found == total(parts)
    assert len(found.kept["domain"]) <= 40
    assert found.kept["domain"]["big.org"] == 1500
    assert found.removed["domain"] == {"big.org": 210}


def test_facts_survive_json() -> None:
    """Facts are unchanged by conversion to JSON and back."""
    facts = count(list(range(30)))
    assert ShardFacts.from_json(json.loads(json.dumps(asdict(facts)))) == facts


def test_samples_have_the_lowest_hashes() -> None:
    """The samples of each reason and of kept documents are those with the lowest id hashes."""
    facts = count(list(range(100)), "corpus/x.parquet", 7)
    expected = sorted((hash_of(f"id-{number}"), "corpus/x.parquet", 7 + number) for number in range(100))
    assert facts.samples[KEPT] == expected[:KEPT_SAMPLES]
    odd = [place for place in expected if (place[2] - 7) % 2]
    assert facts.samples["r.1"] == odd[:SAMPLES]


def test_counts_by_hand() -> None:
    """Languages, domains, days, characters, bytes and tokens of three documents are counted correctly."""
    facts = count([1, 2, 3])
    assert facts.kept["language"] == {"en": 2}
    assert facts.kept["domain"] == {f"s{n}.example.org": 1 for n in range(3)}
    assert facts.kept["tld"] == {"org": 3}
    assert facts.kept["day"] == {"2024-05-02": 1, "2024-05-03": 1, "2024-05-04": 1}
    assert facts.kept["language_bytes"] == {"": 4, "en": 8}
    assert facts.kept["language_tokens"] == {"": 2, "en": 4}
    assert facts.reasons == {"r.0": 2, "r.1": 4}
    assert facts.clusters["c3"] == (3, [(hash_of("id-3"), "p", 2)])


@given(st.one_of(st.integers(0, 10**8), st.floats(0, 10**8)))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_bins(value: float) -> None:
    """A value is in the bin whose lower edge it reaches and whose upper edge it does not reach."""
    at = bisect_right(LENGTHS, value)
    assert at == 0 or LENGTHS[at - 1] <= value
    assert at == len(LENGTHS) or value < LENGTHS[at]
    assert binned({str(at): 1, "null": 2}, LENGTHS)["counts"][at] == 1


@pytest.mark.parametrize(
    ("url", "host", "last"),
    [
        ("https://www.A.org:80/b", "a.org", "org"),
        ("a.co.uk/x", "a.co.uk", "uk"),
        ("http://192.0.2.1/", "192.0.2.1", "(address)"),
        ("http://[::1]/", "::1", "(address)"),
        ("http://[bad", "", ""),
        ("", "", ""),
    ],
)
def test_hosts(url: str, host: str, last: str) -> None:
    """Hosts and top-level domains are found in valid and broken URLs."""
    assert host_of(url) == host
    assert top_level(host) == last
