"""One archive filtered in parts: the same bytes as whole, whatever the number of workers, and after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archives import members, page, prose, response, warcinfo

from curation.archives import divide as dividing
from curation.archives.ledger import MAX_LOSSES
from curation.jobs.steps import archive_parts
from curation.jobs.steps import filter as filter_step
from curation.jobs.steps.filter import FilterTask
from curation.jobs.steps.plan import make_plan
from curation.jobs.steps.progress import Progress, StepProgress
from curation.jobs.steps.run import Run
from curation.running.cluster import Cluster

SETTINGS = ("extract.extractor=resiliparse", "read.max_seconds=5")


class Threads(Cluster):
    """Tasks in this process, which says that it has workers, and records the shards that are made.

    Attributes:
        made: The shards, empty for tasks that make none.
        copied: Those of which a slow one would get a second copy.
    """

    def __init__(self, workers: int, cores: int = 1) -> None:
        super().__init__(cores=cores, warned=lambda message: None)
        self._number = workers
        self.made: list[str] = []
        self.copied: list[str] = []

    @property
    def workers(self) -> int:
        return self._number

    def map(self, function: Any, items: Any, finished: Any = None, copies: bool = False) -> Any:
        for result in super().map(function, items):
            self.made.append(getattr(result.item, "shard", ""))
            self.copied += self.made[-1:] * copies
            yield result


def write(path: Path, damage: Callable[[bytes], bytes] = lambda data: data, pages: int = 40) -> Path:
    """An archive of pages, some of which a filter removes."""
    records = [
        response(f"https://a.org/{n}", page(f"p{n}", *prose(n)) if n % 5 else page("thin", f"Closed until {n}."))
        for n in range(pages)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(damage(members([warcinfo(), *records])))
    return path


def filtered(
    archive: Path, out: Path, workers: int = 0, *settings: str, cluster: Threads | None = None
) -> tuple[dict[str, bytes], Threads]:
    """Filter an archive; returns all files but those with times, and the cluster."""
    cluster = cluster or Threads(workers)
    run = Run(make_plan([str(archive)], str(out), "fineweb", (*SETTINGS, *settings)), cluster, Progress("silent"))
    run.run("filter")
    return contents(out), cluster


def contents(out: Path) -> dict[str, bytes]:
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if path.relative_to(out).parts[0] != "performance"
    }


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few kilobytes."""
    monkeypatch.setattr(dividing, "PART_BYTES", 4_000)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("settings", [(), ("signals.stored=false", "signals.all=true")])
def test_the_bytes_are_those_of_the_whole(tmp_path: Path, settings: tuple[str, ...]) -> None:
    """Documents, removed ones, signatures, signals, manifests and run.json do not depend on the division."""
    archive = write(tmp_path / "a.warc.gz")
    whole, alone = filtered(archive, tmp_path / "whole", 0, *settings)
    parts, cluster = filtered(archive, tmp_path / "parts", 2, *settings)
    assert parts == whole
    assert len(cluster.made) > 4 > len(alone.made)
    assert cluster.copied == [shard for shard in cluster.made if shard]
    assert not (tmp_path / "parts" / "unfinished").exists()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_damaged_archives_too(tmp_path: Path, share: float) -> None:
    """What was lost, and where, is the same, wherever the damage is."""

    def damage(data: bytes) -> bytes:
        at = int(len(data) * share)
        return data[:at] + bytes(300) + data[at + 300 :]

    archive = write(tmp_path / "a.warc.gz", damage)
    whole, _ = filtered(archive, tmp_path / "whole")
    parts, cluster = filtered(archive, tmp_path / "parts", 2)
    assert parts == whole
    assert len(cluster.made) > 4
    assert json.loads(whole["run.json"])["damaged"]


@pytest.mark.usefixtures("small_parts")
def test_losses_are_listed_as_for_the_whole(tmp_path: Path) -> None:
    """Of many losses, the first ones of the archive are listed, not those of each part."""

    def damage(data: bytes) -> bytes:
        return data.replace(b"\x1f\x8b\x08\x00", b"junk\n\x1f\x8b\x08\x00")

    archive = write(tmp_path / "a.warc.gz", damage, pages=MAX_LOSSES + 20)
    whole, _ = filtered(archive, tmp_path / "whole")
    assert filtered(archive, tmp_path / "parts", 2)[0] == whole
    (entry,) = json.loads(whole["run.json"])["damaged"]
    assert len(entry["losses"]) == MAX_LOSSES < entry["lost_records"]


@pytest.mark.usefixtures("small_parts")
def test_a_killed_run_keeps_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are done are not made again, even with another number of workers, and the bytes are the same."""
    archive = write(tmp_path / "a.warc.gz")
    whole, _ = filtered(archive, tmp_path / "whole")
    filter_archive, count = filter_step.filter_archive, 0

    def killed(task: FilterTask) -> dict[str, int]:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return filter_archive(task)

    monkeypatch.setattr(filter_step, "filter_archive", killed)
    with pytest.raises(KeyboardInterrupt):
        filtered(archive, tmp_path / "parts", 2)
    monkeypatch.setattr(filter_step, "filter_archive", filter_archive)
    made = {path.stem for path in (tmp_path / "parts" / "unfinished" / "manifests" / "filter").iterdir()}
    assert len(made) == 3
    again, cluster = filtered(archive, tmp_path / "parts", 5)
    assert again == whole
    assert not made & {*cluster.made}


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_fails_leaves_it_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a part cannot be made, no further part is, the archive is filtered as a whole, and nothing is quarantined."""
    archive = write(tmp_path / "a.warc.gz")
    whole, _ = filtered(archive, tmp_path / "whole")
    filter_archive = filter_step.filter_archive
    tried: set[str] = set()

    def failing(task: FilterTask) -> dict[str, int]:
        tried.add(task.shard)
        if task.source.start:
            raise RuntimeError("broken")
        return filter_archive(task)

    monkeypatch.setattr(filter_step, "filter_archive", failing)
    assert filtered(archive, tmp_path / "parts", 2)[0] == whole
    assert len(tried) == 3  # a part, the one that fails, and the archive


def test_small_archives_and_many_inputs_are_not_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive is divided only if it has two parts' worth of bytes, and if workers would have nothing to do."""
    archive = write(tmp_path / "in" / "a.warc.gz", pages=6)
    assert len(filtered(archive, tmp_path / "small", 2)[1].made) == 1
    monkeypatch.setattr(dividing, "PART_BYTES", 1_000)
    write(tmp_path / "in" / "b.warc.gz", pages=6)
    assert len(filtered(archive.parent, tmp_path / "many", 2)[1].made) == 2
    assert len(filtered(archive.parent, tmp_path / "few", 3)[1].made) > 4
    later = Threads(workers=0, cores=3)  # workers that come once there is something to do
    assert len(filtered(archive.parent, tmp_path / "later", cluster=later)[1].made) > 4


@pytest.mark.usefixtures("small_parts")
def test_progress_inside_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Tasks tell how many bytes they have read, and progress has them before the first archive is done."""
    monkeypatch.setattr(filter_step, "TELL_SECONDS", 0.0)
    archive = write(tmp_path / "a.warc.gz", pages=300)
    run = Run(make_plan([str(archive)], str(tmp_path / "out"), "fineweb", SETTINGS), Cluster(), Progress("json"))
    heard: list[list[Any]] = []
    monkeypatch.setattr(StepProgress, "heard", lambda self, told: heard.append(told))
    run.run("filter")
    assert [name for name, _ in heard] == [run.shards[0]] * len(heard)
    assert 0 < heard[0][1] <= archive.stat().st_size
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (last,) = (event for event in events if event["event"] == "progress")
    assert last["bytes_read"] == last["bytes"] == archive.stat().st_size


def test_times_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a divided archive is that of its parts and of joining them."""
    monkeypatch.setattr(dividing, "PART_BYTES", 4_000)
    monkeypatch.setattr(
        archive_parts, "read_times", lambda *_: {"seconds": 100.0, "stages": {"c4": 7.0}, "peak_memory": 5}
    )
    filtered(write(tmp_path / "a.warc.gz"), tmp_path / "out", 2)
    (path,) = (tmp_path / "out" / "performance" / "filter").iterdir()
    times = json.loads(path.read_text())
    assert times["seconds"] > 400
    assert times["stages"]["c4"] == 7 * round(times["seconds"] // 100)
