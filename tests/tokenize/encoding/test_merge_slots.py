from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tokenized import make_run, make_texts, write_corpus

from curation.jobs.steps import tokenize as job
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.tokenize import make_tokens
from curation.running.cluster import Cluster
from curation.store.folder import Folder
from curation.tokenize.encoding import merge_slots
from curation.tokenize.encoding.merge_slots import MergeSlotsTask, SlotFiles, merge_or_reuse, plan_tiers
from curation.tokenize.encoding.token_shards import TokensSettings

SETTINGS = TokensSettings(sequence_length=32, shard_rows=16, row_group_rows=16, validation_fraction=0.1)
SHARDS = 23


@pytest.fixture
def small_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so low that a few shards need several tiers."""
    monkeypatch.setattr(merge_slots, "PACK_FILES", 2)
    monkeypatch.setattr(merge_slots, "MERGE_FILES", 3)


def run(path: Path | str, settings: TokensSettings = SETTINGS) -> dict[str, bytes]:
    """All bytes of a run."""
    folder = Folder(str(path))
    texts = make_texts(200, longest=60)
    make_run(path, texts, settings, SHARDS)
    assert not folder.exists("encoded")
    return {name: folder.read(name) for part in ("tokens", "manifests") for name in folder.list(part)}


PACKINGS = ("concat", "best_fit")


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """All bytes of a run without merges, by its packing."""
    return {packing: run(tmp_path_factory.mktemp("direct"), replace(SETTINGS, packing=packing)) for packing in PACKINGS}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("tokens", [1, 50, 1 << 23])
def test_merging_changes_no_byte(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    direct: dict[str, dict[str, bytes]],
    packing: str,
    tokens: int,
) -> None:
    """With several tiers, whatever part of a merge is in memory at once, the token shards are those made without."""
    settings = replace(SETTINGS, packing=packing)
    request.getfixturevalue("small_tiers")
    assert len(plan_tiers(SlotFiles("train", 64, SHARDS))) == 3
    monkeypatch.setattr("curation.tokenize.encoding.shuffle.MERGE_TOKENS", tokens)
    assert run(tmp_path / "merged", settings) == direct[packing]


def test_documents_with_one_key_keep_the_order_of_their_files(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents of one id in many shards, and so of one key, are in the same order with merges as without."""
    texts = [f"text {number}" for number in range(40)]
    monkeypatch.setattr(job, "slot_count", lambda *_: 4)

    def made(name: str) -> dict[str, bytes]:
        folder = Folder(str(tmp_path / name))
        make_run(tmp_path / name, texts, SETTINGS, 11)
        folder.remove("tokens")
        folder.remove("manifests")
        shards = {f"s-{number}": texts[:number] for number in range(1, 12)}
        write_corpus(folder, shards)
        monkeypatch.setattr("curation.tokenize.encoding.encode_shards.document_keys", _same_keys)
        make_tokens(folder, list(shards), SETTINGS, ["test"], Cluster(), Progress("silent"))
        return {path: folder.read(path) for path in folder.list("tokens")}

    direct = made("direct")
    request.getfixturevalue("small_tiers")
    assert made("merged") == direct


def _same_keys(ids, *_):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.array([int(name.rpartition("/")[2]) << 60 & (1 << 63) for name in ids.to_pylist()], np.uint64)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each file in memory is opened, for reading or writing."""
    counts: Counter[str] = Counter()
    original = MemoryFileSystem._open

    def counted(self, path, *arguments, **options):  # type: ignore[no-untyped-def]
        counts[path] += 1
        return original(self, path, *arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", counted)
    yield counts
    MemoryFileSystem.store.clear()


@pytest.mark.usefixtures("small_tiers")
def test_opened_files_grow_no_faster_than_n_log_n(opened: Counter[str]) -> None:
    """Twice as many shards and token shards open about twice as many files, and at most one more time per tier."""
    totals = {}
    settings = replace(SETTINGS, shard_rows=2, validation_fraction=0.0)
    for shards in (12, 24, 48, 96):
        opened.clear()
        _, manifest, _ = make_run(f"memory://opens-{shards}", make_texts(3 * shards, longest=60), settings, shards)
        assert manifest.counts["train_shards"] > shards
        totals[shards] = sum(count for path, count in opened.items() if "/encoded/" in path)
        tiers = len(plan_tiers(SlotFiles("train", 1 << 16, shards)))
        assert totals[shards] < 2 * shards * (3 * tiers + 2) + 4 * manifest.counts["train_shards"]
    assert totals[96] < 12 * totals[12]


def test_no_merge_opens_more_files_than_the_limit_at_a_dump() -> None:
    """90,000 shards of 2^16 slots are merged in two tiers, each merge and each token shard opening few files."""
    files = SlotFiles("train", 1 << 16, 90_000)
    tiers = plan_tiers(files)
    assert len(tiers) == 2
    assert tiers[-1].groups <= merge_slots.PACK_FILES
    opens = 0
    for source, target in zip([files, *tiers], tiers, strict=False):
        fan_in = -(-source.groups // target.groups)
        assert max(fan_in, target.ranges // source.ranges) <= merge_slots.MERGE_FILES
        opens += source.groups * source.ranges + target.groups * target.ranges
    assert opens < 4 * 90_000
    assert len(tiers[-1].paths(1000, 1003)) <= 2 * merge_slots.PACK_FILES


@pytest.mark.usefixtures("small_tiers")
@pytest.mark.parametrize("merges", [2, 9, 25])
def test_a_stopped_merge_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct: dict[str, dict[str, bytes]], merges: int
) -> None:
    """After a stop in the middle of a tier, finished merges are kept, torn files are made again; no byte differs."""
    left = [merges]

    def stopping(task: MergeSlotsTask) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        merge_or_reuse(task)

    monkeypatch.setattr(job, "merge_or_reuse", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped")
    folder = Folder(str(tmp_path / "stopped"))
    merged = [path for path in folder.list("encoded") if "/train-" in path or "/validation-" in path]
    assert merged
    folder.write(merged[0], folder.read(merged[0])[:-20])
    times = {path: (tmp_path / "stopped" / path).stat().st_mtime_ns for path in merged}
    kept: set[str] = set()

    def resumed(task: MergeSlotsTask) -> None:
        merge_or_reuse(task)
        for path in task.outputs:
            if path in times and (tmp_path / "stopped" / path).stat().st_mtime_ns == times[path]:
                kept.add(path)

    monkeypatch.setattr(job, "merge_or_reuse", resumed)
    names = [f"shard-{number}" for number in range(SHARDS)]
    make_tokens(folder, names, SETTINGS, ["test"], Cluster(), Progress("silent"))
    made = {name: folder.read(name) for part in ("tokens", "manifests") for name in folder.list(part)}
    assert made == direct[SETTINGS.packing]
    assert kept
    assert merged[0] not in kept
    assert not folder.exists("encoded")
