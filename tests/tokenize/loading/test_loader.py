from __future__ import annotations

import gc
import itertools
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_files import damage_footer
from s3_server import s3_server
from tokenized import END, PAD, make_run, make_texts

import curation
from curation.errors import DamagedShard, InputError, ParameterError
from curation.tokenize.encoding.parquet import footer as parquet
from curation.tokenize.encoding.parquet.column_pages import single_page
from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.loading import token_set
from curation.tokenize.loading.loader import TokenLoader, attention_mask, cumulative_lengths
from curation.tokenize.loading.order import CYCLE, Mix, Order, permutation

SETTINGS = TokensSettings(sequence_length=16, shard_rows=100, row_group_rows=16, validation_fraction=0.02)
TEXTS = make_texts(120, longest=100)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("run")
    make_run(path, TEXTS, SETTINGS)
    return str(path)


@pytest.fixture(scope="module")
def written(run: str) -> np.ndarray:
    """All training rows in the order in which they were written, read with pyarrow only."""
    tables = [pq.read_table(path) for path in sorted(Path(run).glob("tokens/train-*.parquet"))]
    return np.concatenate([np.array(table["input_ids"].to_pylist()) for table in tables])


def rows_of(batches: Iterator[dict[str, np.ndarray]] | TokenLoader) -> list[tuple[int, ...]]:
    return [tuple(row) for batch in batches for row in batch["input_ids"].tolist()]


def test_unshuffled_is_as_written(run: str, written: np.ndarray) -> None:
    """Without shuffling an epoch has every row in the order of the files and in the stored type."""
    loader = TokenLoader(run, 7, shuffle=False, epochs=1, drop_last=False)
    assert rows_of(loader) == [tuple(row) for row in written.tolist()]
    assert loader.batch_at(0)["input_ids"].dtype == np.uint16
    assert len(loader) == -(-len(written) // 7)


@pytest.mark.parametrize("window", [1, 3, 1000])
def test_each_epoch_has_every_row_once_in_another_order(run: str, written: np.ndarray, window: int) -> None:
    """Every shuffled epoch has every row once, in an order that depends on the epoch and the seed."""
    orders = []
    for seed in (0, 1):
        rows = rows_of(TokenLoader(run, 1, seed=seed, window=window, epochs=2))
        orders += [rows[: len(written)], rows[len(written) :]]
    expected = Counter(map(tuple, written.tolist()))
    assert all(Counter(order) == expected for order in orders)
    assert all(left != right for left, right in itertools.combinations(orders, 2))


@pytest.mark.parametrize("prefetch", [0, 3])
def test_resume_is_exact_at_every_step(run: str, prefetch: int) -> None:
    """A new loader with the state after any step resumes with exactly the next batch, also across epochs."""
    loader = TokenLoader(run, 64, seed=3, window=2, prefetch=prefetch)
    steps = 2 * (len(loader.sets[0]) // 64) + 3
    batches, states = [], []
    for batch in itertools.islice(loader, steps):
        batches.append(batch["input_ids"])
        states.append(loader.state_dict())
    for step in range(0, steps - 1, 3):
        again = TokenLoader(run, 64, seed=3, window=2, prefetch=prefetch)
        again.load_state_dict(states[step])
        following = next(iter(again))["input_ids"]
        assert (following == batches[step + 1]).all()


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (2, 8)])
def test_ranks_share_each_step_and_may_change_on_resume(run: str, before: int, after: int) -> None:
    """All ranks together read the rows of a single rank, step by step, even if their number changes on resume."""
    alone = [batch["input_ids"] for batch in itertools.islice(TokenLoader(run, 16, seed=1), 20)]
    state = None
    together = []
    for world in (before, after):
        loaders = [TokenLoader(run, 16, seed=1, rank=rank, world_size=world) for rank in range(world)]
        for loader in loaders:
            if state is not None:
                loader.load_state_dict(state)
        for step in zip(*(itertools.islice(loader, 10) for loader in loaders), strict=True):
            together.append(np.concatenate([batch["input_ids"] for batch in step]))
        assert len({str(loader.state_dict()) for loader in loaders}) == 1
        state = loaders[0].state_dict()
    assert all((left == right).all() for left, right in zip(alone, together, strict=True))


def test_batch_size_may_change_on_resume(run: str) -> None:
    """Resuming with another batch size continues with the same rows."""
    expected = rows_of(itertools.islice(TokenLoader(run, 10), 6))
    first = TokenLoader(run, 10)
    rows = rows_of(itertools.islice(first, 3))
    second = TokenLoader(run, 6)
    second.load_state_dict(first.state_dict())
    assert rows + rows_of(itertools.islice(second, 5)) == expected


def test_state_of_another_order_is_refused(run: str, tmp_path: Path) -> None:
    """A state is refused for another seed, window or token set, and accepted for a moved copy of the set."""
    state = TokenLoader(run, 4, seed=1).state_at(40)
    for options in ({"seed": 2}, {"seed": 1, "window": 5}, {"seed": 1, "shuffle": False}):
        with pytest.raises(InputError, match="seed"):
            TokenLoader(run, 4, **options).load_state_dict(state)  # type: ignore[arg-type]
    make_run(tmp_path / "other", TEXTS, replace(SETTINGS, seed=5))
    with pytest.raises(InputError, match="token sets"):
        TokenLoader(str(tmp_path / "other"), 4, seed=1).load_state_dict(state)
    shutil.copytree(f"{run}/tokens", tmp_path / "moved")
    TokenLoader(str(tmp_path / "moved"), 8, seed=1).load_state_dict(state)


def test_a_finite_loader_starts_again(run: str) -> None:
    """A loader of one epoch that was read to its end yields the same epoch again, as an evaluation loop expects."""
    loader = TokenLoader(run, 8, split="validation", epochs=1, drop_last=False)
    first = rows_of(loader)
    assert first
    assert rows_of(loader) == first


def test_last_step_dropped_or_short(run: str, written: np.ndarray) -> None:
    """An incomplete last step is dropped, or is shorter and divided among the ranks."""
    size = 16
    assert len(written) % size
    full = list(TokenLoader(run, size, epochs=1))
    assert len(full) == len(TokenLoader(run, size, epochs=1)) == len(written) // size
    parts = [list(TokenLoader(run, size, epochs=1, drop_last=False, rank=r, world_size=2)) for r in range(2)]
    assert sum(len(batch["input_ids"]) for part in parts for batch in part) == len(written)
    assert len(parts[0]) == len(parts[1]) == len(full) + 1


def test_compressed_remote_and_cached_give_the_same(run: str, tmp_path: Path) -> None:
    """Compressed and remote shards give the same batches as mapped ones, with and without a cache folder."""
    zipped = tmp_path / "zstd"
    make_run(zipped, TEXTS, replace(SETTINGS, compression="zstd"))
    memory = fsspec.filesystem("memory")
    for path in Path(run).glob("tokens/*.parquet"):
        memory.pipe_file(f"/remote/tokens/{path.name}", path.read_bytes())
    options = {"seed": 2, "window": 2, "epochs": 1, "positions": True}
    expected = list(TokenLoader(run, 8, **options))  # type: ignore[arg-type]
    cache = str(tmp_path / "cache")
    for source, cache_folder in (
        (str(zipped), None),
        ("memory://remote", None),
        ("memory://remote", cache),
        (str(zipped), cache),
    ):
        for _ in range(2):
            batches = list(TokenLoader(source, 8, cache=cache_folder, **options))  # type: ignore[arg-type]
            assert len(batches) == len(expected)
            for left, right in zip(expected, batches, strict=True):
                assert all((left[name] == right[name]).all() for name in left)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    """An s3:// URL gives the batches of the local folder, also after resuming, using range requests only."""
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()  # one from an earlier test still talks to that test's server
    make_run(tmp_path, TEXTS, replace(SETTINGS, compression=compression))
    objects = {f"bucket/a run/tokens/{path.name}": path.read_bytes() for path in tmp_path.glob("tokens/*.parquet")}
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    options = {"seed": 2, "window": 2, "positions": True}
    expected = TokenLoader(str(tmp_path), 8, **options)  # type: ignore[arg-type]
    with s3_server(objects) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        loader = TokenLoader("s3://bucket/a run", 8, **options)  # type: ignore[arg-type]
        batches = list(itertools.islice(loader, 30))
        again = TokenLoader("s3://bucket/a run/tokens", 8, rank=1, world_size=2, **options)  # type: ignore[arg-type]
        again.load_state_dict(loader.state_dict())
        following = next(iter(again))
    for left, right in zip(itertools.islice(expected, 30), batches, strict=True):
        assert all((left[name] == right[name]).all() for name in left)
    assert (following["input_ids"] == next(iter(expected))["input_ids"][4:]).all()
    assert server.ranges
    assert all(server.ranges)


def test_row_groups_are_decoded_once_an_epoch(tmp_path: Path) -> None:
    """A set that cannot be mapped is prefetched window by window, and no row group is decoded twice."""
    make_run(tmp_path, TEXTS, replace(SETTINGS, compression="zstd"))
    loader = TokenLoader(str(tmp_path), 4, window=3, epochs=1, positions=True)
    tokens, read = loader.sets[0], Counter[tuple[int, str]]()
    original = tokens.table

    def counted(block: int, columns: list[str]) -> object:
        read[block, columns[0]] += 1
        return original(block, columns)

    tokens.table = counted  # type: ignore[method-assign, assignment]
    assert len(tokens.blocks) > 12
    assert len(list(loader)) == len(loader)
    assert read == {
        (block, name): 1 for block in range(len(tokens.blocks)) for name in ("input_ids", "document_starts")
    }


def test_spelled_special_tokens_stay_text(run: str) -> None:
    """An epoch has one end token per document, and padding only outside of documents, although texts spell both."""
    assert any(END in text for text in TEXTS)
    assert any(PAD in text for text in TEXTS)
    ends = 0
    for split in ("train", "validation"):
        for batch in TokenLoader(run, 4, split=split, epochs=1, drop_last=False, positions=True):
            ends += int((batch["input_ids"] == 0).sum())
            assert ((batch["input_ids"] == 1) == (batch["segment_ids"] == -1)).all()
    assert ends == len(TEXTS)


@pytest.mark.parametrize("packing", ["concat", "best_fit"])
def test_positions_and_segments(tmp_path: Path, packing: str) -> None:
    """Position ids count from each document start, segment ids number the documents, and padding is -1."""
    run = str(tmp_path)
    make_run(run, TEXTS, replace(SETTINGS, packing=packing))
    tables = [pq.read_table(path) for path in sorted(Path(run).glob("tokens/train-*.parquet"))]
    rows = [row for table in tables for row in table.to_pylist()]
    loader = TokenLoader(run, 5, shuffle=False, epochs=1, drop_last=False, positions=True)
    ids = {name: np.concatenate([batch[name] for batch in loader]) for name in ("position_ids", "segment_ids")}
    assert any(None in row["document_ids"] for row in rows)
    for number, row in enumerate(rows):
        bounds = [*row["document_starts"], 16]
        positions = [position for a, b in itertools.pairwise(bounds) for position in range(b - a)]
        names = [-1 if name is None else at for at, name in enumerate(row["document_ids"])]
        segments = [name for name, (a, b) in zip(names, itertools.pairwise(bounds), strict=True) for _ in range(b - a)]
        assert ids["position_ids"][number].tolist() == positions
        assert ids["segment_ids"][number].tolist() == segments


@pytest.mark.parametrize(("prefetch", "expected"), [(0, 5), (1, 6), (3, 9), (4, 12)])
def test_batches_are_prefetched(run: str, prefetch: int, expected: int) -> None:
    """While batches are used, the thread reads `prefetch` more, and not more than that."""
    loader = TokenLoader(run, 4, prefetch=prefetch)
    read: list[int] = []
    original = loader._make

    def counted(starts: list[int]) -> object:
        read.extend(starts)
        return original(starts)

    loader._make = counted  # type: ignore[method-assign, assignment]
    batches = iter(loader)
    for _ in range(5):
        next(batches)
    deadline = time.monotonic() + 60
    while len(read) < expected and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert read == [4 * number for number in range(expected)]
    assert loader.state_dict()["rows"] == 20
    batches.close()  # type: ignore[attr-defined]


def test_batches_do_not_depend_on_prefetch(run: str, tmp_path: Path) -> None:
    """Prefetching does not change batches: of a mix, of one rank, or with an incomplete last step."""
    small = str(tmp_path / "small")
    make_run(small, TEXTS, replace(SETTINGS, seed=9, tail="drop", compression="zstd"))
    for sources, epochs in (({run: 3, small: 1}, None), (run, 2), (small, 2)):
        expected: list[dict[str, np.ndarray]] | None = None
        for prefetch in (0, 1, 3, 8, 1000):
            loader = TokenLoader(
                sources,
                14,
                rank=1,
                world_size=2,
                seed=4,
                window=2,
                epochs=epochs,
                drop_last=False,
                positions=True,
                prefetch=prefetch,
            )
            batches = list(itertools.islice(loader, 40 if epochs is None else None))
            expected = expected or batches
            assert len(batches) == len(expected)
            for left, right in zip(batches, expected, strict=True):
                assert left.keys() == right.keys()
                assert all(np.array_equal(left[name], right[name]) for name in left)


def test_an_error_of_the_thread_reaches_the_loop(tmp_path: Path) -> None:
    """A file that disappears in the middle of an epoch raises in the training loop instead of ending it silently."""
    make_run(tmp_path, TEXTS, replace(SETTINGS, compression="zstd"))
    loader = TokenLoader(str(tmp_path), 2, window=1)
    batches = iter(loader)
    next(batches)
    for path in tmp_path.glob("tokens/train-*.parquet"):
        path.unlink()
    with pytest.raises(OSError, match="train-"):
        list(itertools.islice(batches, 2 * len(loader.sets[0])))


def test_attention_mask_and_cumulative_lengths() -> None:
    """Tokens attend only to earlier tokens of their document; padding attends to itself."""
    segments = np.array([[0, 0, 1, -1, -1]], np.int32)
    seen = [[0], [0, 1], [2], [3], [4]]
    mask = attention_mask(segments)[0]
    assert [np.flatnonzero(row).tolist() for row in mask] == seen
    assert cumulative_lengths(np.array([[0, 0, 1], [0, -1, -1]], np.int32)).tolist() == [0, 2, 3, 4, 6]


def test_mixing_by_weight(run: str, tmp_path: Path) -> None:
    """Sets are read in proportion to their weights, each in its own shuffled order."""
    small = str(tmp_path / "small")
    make_run(small, TEXTS, replace(SETTINGS, seed=9, tail="drop"))
    loader = TokenLoader({run: 3, small: 1}, 16, seed=4, window=2)
    rows = rows_of(itertools.islice(loader, CYCLE // 16))
    ours = [rows_of(itertools.islice(TokenLoader(run, CYCLE // 4 * 3, seed=4, window=2), 1))]
    ours.append(rows_of(itertools.islice(TokenLoader(small, CYCLE // 4, seed=5, window=2), 1)))
    assert Counter(rows) == Counter(ours[0]) + Counter(ours[1])
    again = TokenLoader({run: 3, small: 1}, 8, seed=4, window=2, rank=1, world_size=2)
    again.load_state_dict(TokenLoader({run: 3, small: 1}, 16, seed=4, window=2).state_at(32))
    assert rows_of(itertools.islice(again, 1)) == rows[36:40]


def test_wrong_arguments_are_named(run: str, tmp_path: Path) -> None:
    """The errors for invalid arguments name the key, and the error for a folder without tokens names the folder."""
    for key, options in {
        "rank": {"batch_size": 4, "rank": 2, "world_size": 2},
        "batch_size": {"batch_size": 5, "world_size": 2},
        "window": {"batch_size": 4, "window": 0},
        "epochs": {"sources": {run: 1, f"{run}/tokens": 1}, "batch_size": 4, "epochs": 1},
        "sources": {"sources": [], "batch_size": 4},
        "epochs = 0": {"batch_size": 4, "epochs": 0},
    }.items():
        with pytest.raises(ParameterError, match=key):
            TokenLoader(**{"sources": run, **options})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="nowhere"):
        TokenLoader(f"{tmp_path}/nowhere", 4)
    with pytest.raises(InputError, match="test-"):
        TokenLoader(run, 4, split="test")


def test_sets_of_other_lengths_or_tokenizers_do_not_mix(run: str, tmp_path: Path) -> None:
    """Mixing token sets with different sequence lengths or tokenizers is an error."""
    make_run(tmp_path / "long", TEXTS, replace(SETTINGS, sequence_length=32))
    make_run(tmp_path / "other", TEXTS[:20], SETTINGS)
    with pytest.raises(InputError, match="sequence lengths"):
        TokenLoader([run, str(tmp_path / "long")], 4)
    with pytest.raises(InputError, match="tokenizers"):
        TokenLoader([run, str(tmp_path / "other")], 4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=12), st.integers(1, 14), st.integers(0, 3), st.integers(0, 2**40)
)
def test_order_is_a_permutation_of_each_epoch(blocks: list[int], window: int, epoch: int, seed: int) -> None:
    """For any row groups, window and epoch, every row comes exactly once, whatever positions are read first."""
    order = Order(blocks, seed, window)
    total = sum(blocks)
    positions = np.arange(total) + epoch * total
    rows = order.rows(positions)
    assert sorted(rows.tolist()) == list(range(total))
    backwards = order.rows(positions[::-1].copy())[::-1]
    assert (backwards == rows).all()
    for each in (order, Order(blocks, seed, None)):
        assert (each.positions(each.rows(positions), epoch) == positions).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=12),
    st.none() | st.integers(1, 14),
    st.integers(0, 300),
    st.integers(1, 100),
)
def test_prepared_row_groups_contain_the_rows(blocks: list[int], window: int | None, first: int, count: int) -> None:
    """The row groups to prepare contain the rows of all requested positions, followed by those of the next window."""
    order = Order(blocks, 7, window)
    owner = np.repeat(np.arange(len(blocks)), blocks)
    positions = np.arange(first, first + count + sum(blocks))
    reads = list(zip(positions // sum(blocks), owner[order.rows(positions)], strict=True))
    coming = order.blocks(first, first + count - 1).tolist()
    assert {block for _, block in reads[:count]} <= set(coming)
    if window in (None, 1):
        last = reads[count - 1]
        following = next((block for epoch, block in reads[count:] if block != last[1] and epoch == last[0]), None)
        assert following is None or following in coming
        assert len(coming) - len(list(itertools.groupby(reads[:count]))) in (0, 1)


def test_permutation_is_fixed_for_good() -> None:
    """The permutation is fixed: a change would break resuming of training runs in progress."""
    assert permutation(8, 1, 2, 3).tolist() == [0, 7, 5, 3, 6, 2, 1, 4]


def test_mix_reads_consecutive_positions() -> None:
    """Each set of a mix is read at consecutive positions, in its share of each cycle."""
    sets, positions = Mix([0.7, 0.2999, 0.0001], 5).locate(np.arange(3 * CYCLE))
    for number in range(3):
        assert positions[sets == number].tolist() == list(range(int((sets == number).sum())))
    assert (sets == 2).sum() == 3
    assert abs((sets[:CYCLE] == 0).sum() - 0.7 * CYCLE) <= 2


def test_only_single_plain_pages_are_mapped(tmp_path: Path, run: str) -> None:
    """A file with several pages per row group, as other tools write, is not mapped but still read correctly."""
    source = sorted(Path(run).glob("tokens/train-*.parquet"))[0]
    other = tmp_path / "tokens" / "train-00000.parquet"
    other.parent.mkdir()
    table = pq.read_table(source)
    pq.write_table(
        table,
        other,
        compression="none",
        use_dictionary=False,
        data_page_size=64,
        write_batch_size=32,
        row_group_size=50,
    )
    for path, expected in ((source, True), (other, False)):
        group = pq.read_metadata(path).row_group(0)
        offset = group.column(0).data_page_offset
        assert single_page(path.read_bytes(), offset, group.num_rows * 16) == expected
    rows = rows_of(TokenLoader(str(tmp_path), 4, shuffle=False, epochs=1, drop_last=False))
    assert rows == [tuple(row) for row in table["input_ids"].to_pylist()]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_both_page_versions_are_mapped(tmp_path: Path, run: str, version: str) -> None:
    """Data pages of both versions are recognized as a single page."""
    table = pq.read_table(sorted(Path(run).glob("tokens/train-*.parquet"))[0])
    path = tmp_path / "train-00000.parquet"
    pq.write_table(
        table, path, compression="none", use_dictionary=False, data_page_version=version, data_page_size=1 << 30
    )
    chunk = pq.read_metadata(path).row_group(0).column(0)
    assert single_page(path.read_bytes(), chunk.data_page_offset, table.num_rows * 16)
    assert rows_of(TokenLoader(str(tmp_path), 1, shuffle=False, epochs=1)) == [
        tuple(row) for row in table["input_ids"].to_pylist()
    ]


def test_dtype_is_as_requested(run: str) -> None:
    """input_ids have the requested integer type."""
    assert TokenLoader(run, 4, dtype=np.int64).batch_at(0)["input_ids"].dtype == np.int64


def test_every_pass_has_its_own_order(run: str, written: np.ndarray) -> None:
    """set_epoch gives each iteration another order, that of the same epoch of a loader of many epochs."""
    several = rows_of(TokenLoader(run, 1, seed=1, epochs=3))
    loader = TokenLoader(run, 1, seed=1, epochs=1)
    for epoch in (0, 2, 1):
        loader.set_epoch(epoch)
        expected = several[epoch * len(written) : (epoch + 1) * len(written)]
        assert rows_of(loader) == expected
        assert rows_of(loader) == expected
    endless = TokenLoader(run, 4, seed=1)
    first = rows_of(itertools.islice(endless, 2))
    endless.set_epoch(1)
    assert first + rows_of(itertools.islice(endless, 2)) == several[:16]


@pytest.mark.parametrize("drop_last", [True, False])
def test_resume_in_any_pass(run: str, drop_last: bool) -> None:
    """A state knows its iteration: set_epoch keeps the position in it, goes on after its end, and is refused before."""

    def make() -> TokenLoader:
        return TokenLoader(run, 16, seed=1, epochs=1, drop_last=drop_last)

    loader, steps, states = make(), [], []
    for epoch in range(2):
        loader.set_epoch(epoch)
        states.append((epoch, len(steps), loader.state_dict()))
        for batch in loader:
            steps.append(batch["input_ids"].tolist())
            states.append((epoch, len(steps), loader.state_dict()))
    total = len(make())
    assert len(steps) == 2 * total
    for epoch, done, state in states:
        again = make()
        again.load_state_dict(state)
        found = []
        for number in range(epoch, 2):
            again.set_epoch(number)
            found += [batch["input_ids"].tolist() for batch in again]
        assert found == steps[done:]
        other = make()
        other.load_state_dict(state)
        if epoch == 1:
            with pytest.raises(InputError, match=r"in epoch 1.* set_epoch\(1\)"):
                other.set_epoch(0)
        elif 0 < done < total:
            with pytest.raises(InputError, match="in epoch 0"):
                other.set_epoch(1)


def test_workers_read_every_batch_once_and_resume(run: str) -> None:
    """Several processes have every nth batch each, and the state of each is good for it alone."""
    expected = [batch["input_ids"].tolist() for batch in TokenLoader(run, 8, epochs=1)]
    for workers in (1, 2, 3):
        for worker in range(workers):
            loader = TokenLoader(run, 8, epochs=1)
            batches = loader.every(worker, workers)
            states = [loader.state_dict()]
            found = []
            for batch in batches:
                found.append(batch["input_ids"].tolist())
                states.append(loader.state_dict())
            assert found == expected[worker::workers]
            for done, state in enumerate(states):
                again = TokenLoader(run, 8, epochs=1)
                again.load_state_dict(state)
                assert [batch["input_ids"].tolist() for batch in again.every(worker, workers)] == found[done:]
                again.load_state_dict(state)
                with pytest.raises(InputError, match=f"state of worker {worker} of {workers}"):
                    again.every(worker + 1, workers + 2)


def test_a_set_smaller_than_a_step_is_refused(run: str, written: np.ndarray, tmp_path: Path) -> None:
    """A finite loader without a full step is an error, as is a token set without rows."""
    with pytest.raises(InputError, match="less than one step of batch_size = 5000"):
        TokenLoader(run, 5000, epochs=1)
    assert len(TokenLoader(run, 5000, epochs=1, drop_last=False)) == 1
    assert next(iter(TokenLoader(run, 5000)))["input_ids"].shape == (5000, 16)
    table = pq.read_table(sorted(Path(run).glob("tokens/train-*.parquet"))[0])
    pq.write_table(table.slice(0, 0), tmp_path / "train-00000.parquet")
    with pytest.raises(InputError, match="no rows"):
        TokenLoader(str(tmp_path), 4)


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize(("bad", "dtype"), [(430, None), (70_000, None), (2**31, np.int32), (2**32 - 1, np.int64)])
def test_ids_beyond_the_vocabulary_are_refused(
    run: str, tmp_path: Path, compression: str, bad: int, dtype: type | None
) -> None:
    """A damaged id is an error that names file, row and position, however the file is read."""
    path = sorted(Path(run).glob("tokens/train-*.parquet"))[0]
    table = pq.read_table(path)
    ids = np.array(table["input_ids"].to_pylist(), np.uint32)
    ids[37, 5] = bad
    kind = pa.list_(pa.field("element", pa.uint32(), nullable=False), 16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), type=kind)
    field = pa.field("input_ids", kind, nullable=False)
    (tmp_path / "tokens").mkdir()
    pq.write_table(
        table.set_column(0, field, column),
        tmp_path / "tokens" / path.name,
        compression=compression,
        use_dictionary=False,
    )
    loader = TokenLoader(str(tmp_path), 4, shuffle=False, dtype=dtype, prefetch=0)
    batches = iter(loader)
    assert len(list(itertools.islice(batches, 9))) == 9
    with pytest.raises(InputError, match=rf"train-00000:37:5: id {bad} is not in the vocabulary of 430 tokens"):
        next(batches)


def test_damaged_files_are_named(run: str, tmp_path: Path) -> None:
    """A footer that cannot be read, names in no valid UTF-8, places outside the file and files of something else."""
    path, source = tmp_path / "train-00000.parquet", sorted(Path(run).glob("tokens/train-*.parquet"))[0]
    sound = source.read_bytes()
    for data in (sound[:-9], sound.replace(b"curation.end_id", b"curation.\xbe\xbe\xbe_id")):
        path.write_bytes(data)
        with pytest.raises(DamagedShard, match=r"/train-00000\.parquet is damaged, see `curate verify`: "):
            TokenLoader(str(tmp_path), 4)
    path.write_bytes(sound)
    damage_footer(path, "input_ids.list.element", parquet.COMPRESSED, 1)
    with pytest.raises(DamagedShard, match=r"/train-00000\.parquet is damaged, see `curate verify`: "):
        next(iter(TokenLoader(str(tmp_path), 4, shuffle=False, prefetch=0)))
    for column in ("document_ids", "document_starts"):
        table = pq.read_table(source).drop_columns("input_ids")
        pq.write_table(table.rename_columns({column: "input_ids"}), path)
        with pytest.raises(InputError, match=r"train-00000\.parquet has no input_ids, lists of whole numbers of one"):
            TokenLoader(str(tmp_path), 4)


def test_a_type_that_holds_no_id_is_refused(run: str) -> None:
    """A type for input_ids that is too small for the vocabulary, or no whole number, is an error."""
    for dtype in (np.uint8, np.float32, bool):
        with pytest.raises(ParameterError, match="dtype"):
            TokenLoader(run, 4, dtype=dtype)


@pytest.mark.parametrize("source", ["", "/tokens"])
def test_changed_files_are_refused(tmp_path: Path, source: str) -> None:
    """verify="hash" accepts what the run wrote, and refuses a changed, missing, additional or unknown file."""
    make_run(tmp_path, TEXTS, SETTINGS)
    first, *others = sorted(tmp_path.glob("tokens/train-*.parquet"))
    original = first.read_bytes()

    def load(**options: object) -> TokenLoader:
        return TokenLoader(f"{tmp_path}{source}", 4, verify="hash", **options)  # type: ignore[arg-type]

    load()
    load(split="validation")
    first.write_bytes(original[:1000] + bytes([original[1000] ^ 1]) + original[1001:])
    TokenLoader(str(tmp_path), 4)
    with pytest.raises(InputError, match=r"train-00000\.parquet: was changed"):
        load()
    load(split="validation")
    first.unlink()
    with pytest.raises(InputError, match=r"train-00000\.parquet is missing"):
        load()
    first.write_bytes(original)
    (tmp_path / "tokens" / "train-00099.parquet").write_bytes(original)
    with pytest.raises(InputError, match=r"no hash of train-00099\.parquet"):
        load()
    with pytest.raises(ParameterError, match="verify"):
        TokenLoader(str(tmp_path), 4, verify="sha")
    assert others


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("cached", [False, True])
def test_open_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool) -> None:
    """However many files a window and a mix have, only FILES_MAPPED are open at once, and a few that are being read."""
    monkeypatch.setattr(token_set, "FILES_MAPPED", 4)
    settings = replace(SETTINGS, shard_rows=8, row_group_rows=8, compression="zstd" if cached else "none")
    for name in ("one", "two"):
        make_run(tmp_path / name, TEXTS, replace(settings, seed=len(name)))
    assert len(list(tmp_path.glob("one/tokens/train-*.parquet"))) > 30
    cache = str(tmp_path / "cache") if cached else None
    gc.collect()  # loaders of earlier tests
    before = open_files()
    loader = TokenLoader([str(tmp_path / "one"), str(tmp_path / "two")], 16, window=64, prefetch=0, cache=cache)
    opened = [open_files() - before for _ in itertools.islice(loader, 40)]
    assert max(opened) <= 4 + 2 * token_set.READERS + 1  # a thread may close one file a moment after it opens the next


WITH_FIVE_PACKAGES = """
import importlib.metadata, sys
needed = {"curation", "numpy", "pyarrow", "numba", "llvmlite", "fsspec", "xxhash"}
others = importlib.metadata.packages_distributions().keys() - needed

class WithoutOthers:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in others:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, WithoutOthers())
from curation.tokenize.loading.loader import TokenLoader
for batch in TokenLoader(sys.argv[1], 4, epochs=1, positions=True, verify="hash"):
    pass
print(batch["segment_ids"].shape)
"""


def test_the_loader_needs_five_packages(run: str) -> None:
    """Loading works where only numpy, pyarrow, numba, fsspec and xxhash can be imported."""
    command = [sys.executable, "-c", WITH_FIVE_PACKAGES, run]
    root = Path(curation.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.stdout == "(4, 16)\n", done.stderr
