"""Deduplication as a run: against earlier runs, after a crash, with workers that die."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archives import prose
from signed import documents, dropped, run, sign

from curation.dedup.documents import Shard, earlier_shards
from curation.dedup.run import Deduplication, DedupResult, deduplicate, prepare
from curation.dedup.settings import DedupSettings
from curation.dedup.survivor_rules import SurvivorValue
from curation.errors import InputError
from curation.running.cluster import Cluster, open_cluster
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.store.shards import shard_name


def corpus(seeds: range, seed: int) -> list[str]:
    """Texts in random order, a third of them with an exact or an edited copy."""
    texts = []
    for number in seeds:
        parts = prose(number, 40)
        texts.append(" ".join(parts))
        if number % 3 == 0:
            texts.append(" ".join(parts if number % 2 else [*parts[:-1], "Its end is another one."]))
    random.Random(seed).shuffle(texts)
    return texts


OLD, NEW = corpus(range(0, 60), 1), corpus(range(30, 90), 2)


def finish(path: Path, rows: list[dict[str, str]], settings: DedupSettings, parts: int) -> None:
    """A folder as a finished run leaves it, with only what another run reads."""
    folder, names, _ = run(path, rows, settings, parts)
    inputs = [{"path": f"/old/{name}.warc.gz"} for name in names]
    for name, entry in zip(names, inputs, strict=True):
        for place in ("signatures", "documents"):
            (path / place / f"{name}.parquet").rename(path / place / f"{shard_name(entry['path'])}.parquet")
        Manifest("filter", shard_name(entry["path"]), "fingerprint").write(folder)
    recipe = {"dedup": {"variant": settings.variant, "threshold": settings.threshold}}
    folder.write_json("run.json", {"recipe": recipe, "inputs": inputs, "quarantined": []})


def with_earlier(
    path: Path, rows: list[dict[str, str]], settings: DedupSettings
) -> tuple[Folder, list[str], DedupResult]:
    folder = Folder(str(path))
    sign(folder, "new-0", rows[: len(rows) // 2], settings)
    sign(folder, "new-1", rows[len(rows) // 2 :], settings)
    shards = [*earlier_shards(settings), Shard(folder, "new-0", 0, 0), Shard(folder, "new-1", 0, 0)]
    return folder, ["new-0", "new-1"], deduplicate(folder, settings, SurvivorValue(), shards, Cluster(), "fingerprint")


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def drop_columns(rows: dict[str, dict[str, object]]) -> dict[str, tuple[object, ...]]:
    return {
        name: (row["reason"], row["similarity"], row["survivor_id"], row["cluster_id"]) for name, row in rows.items()
    }


@pytest.mark.parametrize("verify", [True, False])
def test_against_an_earlier_run_equals_one_joint_run(tmp_path: Path, verify: bool) -> None:
    """Dropped new documents and their survivors equal those of one run over both; the earlier run does not change."""
    old = [{"id": f"old-{n}", "text": text} for n, text in enumerate(OLD)]
    new = [{"id": f"new-{n}", "text": text} for n, text in enumerate(NEW)]
    joint = run(tmp_path / "joint", [*old, *new], DedupSettings(verify=verify), parts=5)
    finish(tmp_path / "old", old, DedupSettings(verify=verify), 3)
    before = tree(tmp_path / "old")
    settings = DedupSettings(verify=verify, against=(str(tmp_path / "old"),))
    folder, names, _ = with_earlier(tmp_path / "new", new, settings)
    expected = {name: row for name, row in drop_columns(dropped(*joint[:2])).items() if name.startswith("new-")}
    drops = dropped(folder, names)
    assert drop_columns(drops) == expected
    assert len(expected) > 40
    runs = {row["survivor_run"] for row in drops.values() if str(row["survivor_id"]).startswith("old-")}
    assert runs == {str(tmp_path / "old")}
    assert tree(tmp_path / "old") == before


def test_modes(tmp_path: Path) -> None:
    """`against` drops only duplicates of the earlier run, `within` only duplicates within this run."""
    old = [{"id": f"old-{n}", "text": text} for n, text in enumerate(OLD)]
    new = [{"id": f"new-{n}", "text": text} for n, text in enumerate(NEW)]
    finish(tmp_path / "old", old, DedupSettings(), 2)
    removed = {}
    for mode in ("both", "against", "within"):
        settings = DedupSettings(against=(str(tmp_path / "old"),), mode=mode)
        removed[mode] = dropped(*with_earlier(tmp_path / mode, new, settings)[:2])
    assert all(str(row["survivor_id"]).startswith("old-") for row in removed["against"].values())
    assert all(str(row["survivor_id"]).startswith("new-") for row in removed["within"].values())
    assert set(removed["against"]) | set(removed["within"]) == set(removed["both"])
    assert set(removed["against"]) < set(removed["both"])
    alone = dropped(*run(tmp_path / "alone", new, DedupSettings(), 2)[:2])
    assert drop_columns(removed["within"]) == drop_columns(alone)


def test_earlier_runs_that_cannot_be_used(tmp_path: Path) -> None:
    """A folder without a run or with signatures of another kind is an error that names folder and difference."""
    with pytest.raises(InputError, match="not a curate run"):
        earlier_shards(DedupSettings(against=(str(tmp_path / "none"),)))
    finish(tmp_path / "old", [{"id": "a", "text": "a b c d e f g"}], DedupSettings(), 1)
    with pytest.raises(InputError, match=r"incompatible.*fast, 5, 14, 8, 1, but fast, 5, 14, 8, 7"):
        earlier_shards(DedupSettings(against=(str(tmp_path / "old"),), seed=7))


def lists(folder: Folder) -> dict[str, bytes]:
    return {path: folder.read(path) for path in folder.list("dedup", ".parquet")}


def test_a_stopped_run_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stop in any phase, a rerun repeats no finished phase and gives the same bytes."""
    rows = documents(NEW)
    expected = lists(run(tmp_path / "whole", rows, DedupSettings(), 3)[0])
    folder, names, result = run(tmp_path / "stopped", rows, DedupSettings(), 3)
    phases = len(result.performance["seconds"])
    real = Deduplication._gather
    for stop in range(1, phases + 1):
        folder.remove("dedup")
        calls = []

        def gather(self, function, items, calls=calls, stop=stop):  # type: ignore[no-untyped-def]
            calls.append(function)
            if len(calls) == stop:
                raise KeyboardInterrupt
            return real(self, function, items)

        monkeypatch.setattr(Deduplication, "_gather", gather)
        shards = [Shard(folder, name, 0, 0) for name in names]
        with pytest.raises(KeyboardInterrupt):
            deduplicate(folder, DedupSettings(), SurvivorValue(), shards, Cluster(), "fingerprint")
        calls.clear()
        monkeypatch.setattr(Deduplication, "_gather", lambda *a, calls=calls: (calls.append(a[1]), real(*a))[1])
        deduplicate(folder, DedupSettings(), SurvivorValue(), shards, Cluster(), "fingerprint")
        assert len(calls) == phases - (stop - 1)
        assert lists(folder) == expected


def test_another_recipe_does_not_resume(tmp_path: Path) -> None:
    """Everything left by a run with another fingerprint is discarded."""
    folder, names, _ = run(tmp_path, documents(NEW), DedupSettings(), 2)
    shards = [Shard(folder, name, 0, 0) for name in names]
    result = deduplicate(folder, DedupSettings(enabled=False), SurvivorValue(), shards, Cluster(), "other fingerprint")
    assert result.counts["removed"] == {}
    assert dropped(folder, names) == {}
    assert not folder.list("dedup/pairs")


def test_a_worker_killed_in_the_middle(tmp_path: Path) -> None:
    """With 1 or 2 workers, and with one killed while rows are exchanged, the files are identical."""
    rows = documents(corpus(range(0, 400), 3))
    folder, names, _ = run(tmp_path, rows, DedupSettings(), 9)
    shards = [Shard(folder, name, 0, 0) for name in names]
    expected = lists(folder)
    for workers in (1, 2):
        with open_cluster(workers) as cluster:
            folder.remove("dedup")
            deduplicate(folder, DedupSettings(), SurvivorValue(), shards, cluster, "fingerprint")
            assert lists(folder) == expected
            if workers == 2:
                assert cluster.client is not None
                pids = [info["pid"] for info in cluster.client.run(lambda: {"pid": os.getpid()}).values()]
                killer = threading.Thread(target=kill_when_sending, args=(folder, pids[0]), daemon=True)
                folder.remove("dedup")
                killer.start()
                deduplicate(folder, DedupSettings(), SurvivorValue(), shards, cluster, "fingerprint")
                killer.join()
                assert lists(folder) == expected


def kill_when_sending(folder: Folder, pid: int) -> None:
    """Kill a worker as soon as rows are sent."""
    while not folder.list("dedup/work", ".arrow"):
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)


def test_outputs_list_every_file(tmp_path: Path) -> None:
    """Every file in dedup/ is among the outputs with its hash, and numbers map pairs to documents."""
    folder, names, result = run(tmp_path, documents(NEW), DedupSettings(), 4)
    folder.remove("dedup/work")
    assert sorted(output.path for output in result.outputs) == folder.list("dedup", ".parquet")
    assert all(folder.hash(output.path) == (output.bytes, output.hash) for output in result.outputs)
    numbers = pq.read_table(folder.path("dedup/shards.parquet")).to_pylist()
    assert [row["shard"] for row in numbers] == names
    assert json.dumps(result.counts)
    pairs = [row for path in folder.list("dedup/pairs") for row in pq.read_table(folder.path(path)).to_pylist()]
    removed = dropped(folder, names)
    assert {str(row["right"]) for row in pairs} == set(removed)
    assert all(row["left"] < row["right"] and row["similarity"] >= 0.72 for row in pairs)


@pytest.mark.parametrize("chosen", [DedupSettings(), DedupSettings(enabled=False), DedupSettings(max_line_documents=3)])
def test_progress_reaches_its_end(tmp_path: Path, chosen: DedupSettings) -> None:
    """Progress advances exactly as often as expected."""
    folder, names, _ = run(tmp_path, documents(NEW), chosen, 3)
    shards = [Shard(folder, name, 0, 0) for name in names]
    ticks: list[int] = []
    job = prepare(folder, chosen, SurvivorValue(), shards, Cluster(), "another fingerprint")
    job.deduplicate(lambda: ticks.append(1))
    assert len(ticks) == job.expected > 0
