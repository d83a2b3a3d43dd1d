from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation.store.folder import Folder
from curation.store.hashing import mix_bits
from curation.tokenize.encoding.encoder import EncodedTexts
from curation.tokenize.encoding.shuffle import (
    Documents,
    document_keys,
    in_key_order,
    is_validation,
    read_slots,
    repeats,
    slot_count,
    slot_tokens,
    split_hashes,
    write_slots,
)

IDS = pa.array([f"<urn:uuid:{number:08x}>" for number in range(2000)])


def documents(ids: pa.StringArray, seed: int) -> Documents:
    """Documents whose tokens are their own number, repeated as often as its last digit."""
    numbers = np.array([int(text.as_py()[10:18], 16) for text in ids], np.int64)
    lengths = numbers % 10
    encoded = EncodedTexts(np.repeat(numbers, lengths).astype(np.uint16), np.concatenate(([0], np.cumsum(lengths))))
    keys = document_keys(ids, np.zeros(len(ids), np.int64), seed)
    return in_key_order(encoded, ids, keys, np.arange(len(ids)), np.dtype(np.uint16))


def to_pairs(documents_read: Documents) -> list[tuple[str, list[int]]]:
    bounds = documents_read.encoded.offsets
    lists = [documents_read.encoded.ids[a:b].tolist() for a, b in itertools.pairwise(bounds)]
    return list(zip(documents_read.ids.to_pylist(), lists, strict=True))


@pytest.mark.parametrize("slots", [1, 8, 64])
@pytest.mark.parametrize("url", ["local", "memory://slots"])
def test_slots_of_many_files_are_one_sorted_whole(tmp_path: Path, slots: int, url: str) -> None:
    """Reading all slots gives the same as sorting everything in memory, however documents are split into files."""
    folder = Folder(str(tmp_path) if url == "local" else url)
    paths = []
    for number, part in enumerate([IDS.slice(0, 300), IDS.slice(300, 0), IDS.slice(300, 1), IDS.slice(301)]):
        paths.append(f"encoded/{slots}-{number}.arrow")
        write_slots(folder, paths[-1], documents(part, 7), slots)
    expected = to_pairs(documents(IDS, 7))
    one_by_one = [
        pair
        for slot in range(slots)
        for pair in to_pairs(read_slots(folder, paths, slot, slot + 1, np.dtype(np.uint16)))
    ]
    assert one_by_one == expected
    assert to_pairs(read_slots(folder, paths, 0, slots, np.dtype(np.uint16))) == expected
    totals = np.zeros(slots, np.int64)
    for path in paths:
        filled, counts = slot_tokens(folder, path)
        totals[filled] += counts
    assert totals.sum() == sum(len(tokens) for _, tokens in expected)


def test_order_depends_on_the_seed_and_spreads() -> None:
    """The order depends on the seed only and does not resemble the order of the input."""
    first, again, other = (documents(IDS, seed).ids.to_pylist() for seed in (1, 1, 2))
    assert first == again != other
    places = np.array([IDS.to_pylist().index(text) for text in first])
    assert abs(np.corrcoef(places, np.arange(len(places)))[0, 1]) < 0.1


def test_copies_and_sources_are_spread_apart() -> None:
    """Copies of one document, and the same id in two corpora, have unrelated keys."""
    ids = IDS.slice(0, 500)
    keys = [
        document_keys(ids, np.full(500, copy, np.int64), 0, source).astype(np.float64)
        for copy, source in ((0, 0), (1, 0), (0, 1), (1, 1))
    ]
    assert (np.abs(np.corrcoef(keys)[np.triu_indices(4, 1)]) < 0.15).all()
    assert len(np.unique(np.concatenate(keys))) == 2000


def test_mix_bits_is_splitmix64() -> None:
    """mix_bits gives the published outputs of splitmix64 for seed 1234567."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        states = np.uint64(1234567) + golden * np.arange(3, dtype=np.uint64)
    assert mix_bits(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_split_share_and_least() -> None:
    """About the requested fraction goes to validation; `least` adds the one document with that hash."""
    hashes = split_hashes(IDS)
    assert 0.03 < is_validation(hashes, 0.05).mean() < 0.07
    assert not is_validation(hashes, 0.0).any()
    assert is_validation(hashes, 0.0, int(hashes.min())).sum() == 1


def test_repeats_of_a_fraction() -> None:
    """A repeat of 2.25 is 2 for three quarters of the documents and 3 for the rest; integers are exact."""
    taken = repeats(IDS, np.full(len(IDS), 2.25))
    assert set(taken.tolist()) == {2, 3}
    assert abs(taken.mean() - 2.25) < 0.05
    assert (repeats(IDS, np.full(len(IDS), 3.0)) == 3).all()
    assert (repeats(IDS, np.zeros(len(IDS))) == 0).all()


def test_slot_count_is_a_bounded_power_of_two() -> None:
    """The number of slots is 1 without documents and at most 2^16."""
    counts = [slot_count(documents, 1 << 24) for documents in (0, 1, 10**5, 10**7, 10**12)]
    assert counts[0] == counts[1] == 1
    assert counts[-1] == 1 << 16
    assert counts == sorted(counts)
    assert all(count & (count - 1) == 0 for count in counts)
