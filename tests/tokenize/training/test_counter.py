"""Counts of pre-tokens are correct, sorted, and the same whether or not they fit into memory."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenized import make_texts

from curation.store.folder import Folder
from curation.tokenize.training import sorted_counts
from curation.tokenize.training.counter import Counter
from curation.tokenize.training.patterns import split_pattern
from curation.tokenize.training.pretokens import Splitter, flat_text
from curation.tokenize.training.sorted_counts import Counts, merge_runs, read_run, sorted_run, write_run

SPLITTER = Splitter(split_pattern("gpt4", "groups"))
TEXTS = make_texts(80, seed=3, longest=200)


def pairs(chunks: collections.abc.Iterable[Counts]) -> list[tuple[bytes, int]]:
    return [(chunk[row], int(chunk.counts[row])) for chunk in chunks for row in range(len(chunk))]


def expected(texts: list[str]) -> list[tuple[bytes, int]]:
    text = flat_text(pa.array(texts))
    ends, octets = SPLITTER(text).tolist(), text.data.tobytes()
    pieces = [octets[first:last] for first, last in zip([0, *ends[:-1]], ends, strict=True)]
    return sorted(collections.Counter(pieces).items())


def counts_of(counts: collections.Counter[bytes]) -> Counts:
    offsets = np.cumsum([0, *map(len, counts)])
    return Counts(np.frombuffer(b"".join(counts), np.uint8), offsets, np.array(list(counts.values()), np.int64))


def test_counts_are_right_and_sorted() -> None:
    """Each distinct pre-token comes once, in byte order, with its count."""
    counter = Counter(SPLITTER, 4096)
    for text in TEXTS:
        counter.add(flat_text(pa.array([text])))
    total, size = sum(count for _, count in expected(TEXTS)), sum(len(text.encode()) for text in TEXTS)
    assert (counter.totals.bytes, counter.totals.pretokens, counter.totals.cut) == (size, total, 0)
    assert pairs(counter.runs()) == expected(TEXTS)


def test_many_different_pretokens() -> None:
    """The table grows to hold any number of distinct pre-tokens."""
    texts = [" ".join(f"w{number * 7919:x}" for number in range(30_000))]
    counter = Counter(SPLITTER, 4096)
    counter.add(flat_text(pa.array(texts)))
    assert pairs(counter.runs()) == expected(texts)


def test_spilled_runs_change_nothing(tmp_path: Path) -> None:
    """A table that is spilled many times gives the same counts as one that is not, and `clear` removes the runs."""
    folder = Folder(str(tmp_path))
    counter = Counter(SPLITTER, 4096, (folder, "scratch/a"), spill_bytes=1)
    for text in TEXTS:
        counter.add(flat_text(pa.array([text])))
    assert counter.spilled > 20
    assert pairs(counter.runs()) == expected(TEXTS)
    counter.clear()
    assert folder.list() == []


@pytest.mark.parametrize(("character", "longest"), [("a", 16), ("é", 17), ("日", 16), ("𐐀", 19)])
def test_a_long_pretoken_is_cut(character: str, longest: int) -> None:
    """A pre-token over the limit is cut between two characters; one at the limit is not."""
    width = len(character.encode())
    texts = [character * 1000, character * (longest // width), "B"]
    counter = Counter(SPLITTER, longest)
    counter.add(flat_text(pa.array(texts)))
    assert counter.totals.cut == 1
    assert pairs(counter.runs()) == [(b"B", 1), ((character * (longest // width)).encode(), 2)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.dictionaries(st.binary(max_size=12), st.integers(1, 1 << 60), max_size=30), max_size=6))
def test_merged_runs_add_up(parts: list[dict[bytes, int]]) -> None:
    """Runs of any byte strings merge to the sums; strings with equal beginnings or zero bytes are kept apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_counts, "CHUNK_ROWS", 3)
        sorted_parts = [sorted_run(counts_of(collections.Counter(part))) for part in parts]
        total: collections.Counter[bytes] = collections.Counter()
        for part in parts:
            total.update(part)
        small = {token: count for token, count in total.items() if count < 1 << 63}
        merged = dict(pairs(merge_runs([part.chunks() for part in sorted_parts])))
        assert list(merged) == sorted(total)
        assert {token: merged[token] for token in small} == small


def test_chunks_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk stays within its limits of rows and bytes, except for a single longer row; no row is lost."""
    monkeypatch.setattr(sorted_counts, "CHUNK_ROWS", 4)
    monkeypatch.setattr(sorted_counts, "CHUNK_BYTES", 10)
    tokens = [b"a", b"b", b"c", b"d", b"e", b"f" * 8, b"g" * 8, b"h" * 30, b"i"]
    chunks = list(counts_of(collections.Counter(tokens)).chunks())
    assert [[chunk[row][:1] for row in range(len(chunk))] for chunk in chunks] == [
        [b"a", b"b", b"c", b"d"], [b"e", b"f"], [b"g"], [b"h"], [b"i"],
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_run_is_read_back_from_a_file(tmp_path: Path, scheme: str) -> None:
    """A written run is read back unchanged, on any file system, and the returned output has its rows and bytes."""
    folder = Folder(f"{scheme}{tmp_path}")
    run = sorted_run(counts_of(collections.Counter({b"b": 5, b"": 1, b"a\0": 1 << 50, b"a": 2})))
    output = write_run(folder, "runs/x.arrow", run.chunks())
    assert (output.rows, output.bytes) == (4, folder.size("runs/x.arrow"))
    assert pairs(read_run(folder, "runs/x.arrow")) == [(b"", 1), (b"a", 2), (b"a\0", 1 << 50), (b"b", 5)]
    assert write_run(folder, "runs/none.arrow", iter(())).rows == 0
    assert pairs(read_run(folder, "runs/none.arrow")) == []
