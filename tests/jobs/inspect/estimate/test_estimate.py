"""The estimate against the truth: what a full run produces lies within the intervals projected from a sample."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from archives import page, prose, response, write_archive
from processes import SETTINGS, contents, curate

from curation.jobs.inspect.estimate.copies import FoundCopies
from curation.jobs.inspect.estimate.estimate import SHARDED, SampleResult, measure
from curation.jobs.inspect.estimate.extrapolation import SamplingFrame
from curation.jobs.inspect.estimate.projection import Projection, project
from curation.jobs.inspect.estimate.sampling import InputSample, SampleRequest, choose_chunks, take_sample
from curation.jobs.steps.plan import make_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.running.cluster import Cluster
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, read_manifest

WEB = ["extract.extractor=resiliparse", "tokenizer.vocab_size=8000", "tokens.sequence_length=512"]


def run_all(words: list[str], out: Path, settings: list[str]) -> dict[str, float]:
    """Run all inputs and count the results in the output folder."""
    plan = make_plan(words, str(out), "fineweb", settings)
    run = Run(plan, Cluster(), Progress("silent"))
    for step in ("filter", "dedup", "train-tokenizer", "tokenize"):
        run.run(step)
    folder = plan.folder
    manifests = [read_manifest(folder, "filter", source.shard) for source in plan.inputs]
    filtered = [manifest.counts["stages"] for manifest in manifests if manifest is not None]
    tokens = read_manifest(folder, "tokens", WHOLE)
    assert tokens is not None
    written = [kind for kind in (*SHARDED, "tokens") if folder.list(kind)]
    truth: dict[str, float] = {kind: sum(map(folder.size, folder.list(kind))) for kind in written}
    return truth | {
        "read": sum(stages["url"]["documents_in"] for stages in filtered),
        "kept": sum(stages["fineweb"]["documents_out"] for stages in filtered),
        "corpus documents": tokens.counts["documents"],
        "token count": tokens.counts["corpus_tokens"],
    }


def intervals_of(projection: Projection) -> dict[str, tuple[float, float, float]]:
    named = {
        "read": projection.kept["pages"],
        "kept": projection.kept["documents"],
        "corpus documents": projection.kept["corpus"],
        "token count": projection.kept["tokens"],
        **{kind: projection.output[kind] for kind in (*SHARDED, "tokens") if kind in projection.output},
    }
    return {name: (interval.low, interval.value, interval.high) for name, interval in named.items()}


def test_two_files_of_eight_predict_the_rest(shared_data: Path, tmp_path: Path) -> None:
    """For several samples of two files, documents, tokens and bytes of the whole lie within their intervals."""
    words = [str(shared_data / "web")]
    truth = run_all(words, tmp_path / "out", WEB)
    for seed in (0, 1):
        result, _, _ = measure(words, "fineweb", WEB, SampleRequest(files=2, seed=seed), Progress("silent"))
        intervals = intervals_of(project(result, 2))
        assert set(intervals) == set(truth)
        missed = {
            name: (truth[name], intervals[name])
            for name in truth
            if not intervals[name][0] <= truth[name] <= intervals[name][2]
        }
        assert not missed, f"seed {seed}"
        low, _, high = intervals["kept"]
        assert high - low < 2 * truth["kept"], "the interval is too wide to be useful"


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small archives with copies among them."""
    folder = tmp_path_factory.mktemp("crawl")
    for number, name in enumerate("abc"):
        records = [
            response(f"https://{name}.org/{n}", page("good", *prose(n))) for n in range(9 * number, 9 * number + 12)
        ]
        write_archive(folder / f"{name}.warc.gz", records)
    return folder


def test_a_sample_of_everything_is_the_truth(crawl: Path, tmp_path: Path) -> None:
    """If the sample contains all inputs, every interval is a point equal to the result of the run."""
    truth = run_all([str(crawl)], tmp_path / "out", [*SETTINGS])
    result, _, _ = measure([str(crawl)], "fineweb", [*SETTINGS], SampleRequest(), Progress("silent"))
    for name, (low, value, high) in intervals_of(project(result, 2)).items():
        assert low == pytest.approx(value) == pytest.approx(high), name
        assert value == pytest.approx(truth[name]), name
    assert truth.keys() <= intervals_of(project(result, 2)).keys()


def result_of(files: int) -> SampleResult:
    """A sample of one of so many archives of 1 MB, which takes 12 s of CPU and 24 s; a run takes 8 s more once."""
    frame = SamplingFrame([0, 0], [500_000] * 2, {0: 1_000_000}, files, files * 1_000_000)
    return SampleResult(
        InputSample((), (), frame, ()),
        by_chunk={"pages": [9, 9], "documents": [5, 5], "characters": [50, 50], "seconds": [4.0, 4.0]},
        copies=FoundCopies([5, 5], [0, 0]),
        processor={"filter": 8.0, "dedup": 3.0, "report": 1.0},
        seconds={"filter": 16.0, "dedup": 6.0, "report": 2.0},
        startup=5.0,
        report=3.0,
    )


def test_what_a_run_takes_once_is_not_multiplied() -> None:
    """Work grows with the inputs and is shared by workers; start-up and the report's page are neither.

    The machine takes two seconds per CPU second; it may take one, or go on so.
    """
    wall = {files: project(result_of(files), 4).wall for files in (2, 200)}
    for files, by_workers in wall.items():
        for workers, interval in by_workers.items():
            idle = 12 * files / workers + 4
            assert 3600 * interval.value == pytest.approx(2**0.5 * idle)
            assert 3600 * interval.low < 0.8 * idle
            assert 3600 * interval.high > 2 * 1.2 * idle


def test_the_command(crawl: Path, tmp_path: Path) -> None:
    """The command prints JSON, names an input that is not an archive, exits with code 1, and writes no files."""
    folder = tmp_path / "in"
    shutil.copytree(crawl, folder)
    (folder / "bad.warc.gz").write_bytes(b"no archive at all" * 99)
    before = contents(tmp_path)
    done = curate("estimate", folder, "--json", "--workers", "3")
    assert done.returncode == 1, done.stderr
    projection = json.loads(done.stdout)
    assert projection["quarantined"][0]["path"] == str(folder / "bad.warc.gz")
    assert projection["kept"]["pages"] == {"value": 36, "low": 36, "high": 36}
    assert 20 < projection["kept"]["corpus"]["value"] < projection["kept"]["documents"]["value"] <= 36
    assert set(projection["wall"]) == {"1", "3"}
    assert projection["wall"]["3"]["value"] <= projection["wall"]["1"]["value"]
    assert projection["startup_seconds"] > 0
    assert projection["report_seconds"] > 0
    assert all(interval["low"] <= interval["value"] <= interval["high"] for interval in projection["output"].values())
    assert contents(tmp_path) == before
    assert curate("estimate", folder / "none.warc.gz").returncode == 2
    assert curate("estimate", folder, "--sample-share", "2").returncode == 2


@pytest.mark.parametrize("url", ["file", "memory"])
def test_chunks_hold_every_record_once(crawl: Path, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks of a file together are its bytes, on any file system."""
    monkeypatch.setattr("curation.jobs.inspect.estimate.sampling.CHUNK_BYTES", (3000, 3000))
    data = (crawl / "a.warc.gz").read_bytes()
    where = Folder(f"memory://{tmp_path.name}") if url == "memory" else Folder(str(tmp_path / "in"))
    where.write("a.warc.gz", data)
    where.write("b.warc.gz", data[:0])
    words = [f"memory://{tmp_path.name}"] if url == "memory" else [str(tmp_path / "in")]
    from curation.archives.inputs import find_inputs

    inputs = find_inputs(words)
    sample = take_sample(
        inputs, SampleRequest(files=1, seed=next(s for s in range(99) if _first(inputs, s))), tmp_path / "chunks"
    )
    assert len(sample.paths) > 3
    assert b"".join(Path(path).read_bytes() for path in sample.paths) == data
    assert sum(sample.frame.size) == len(data)


def _first(inputs: list, seed: int) -> bool:  # type: ignore[type-arg]
    return choose_chunks(inputs, SampleRequest(files=1, seed=seed))[0].source.path.endswith("a.warc.gz")


def test_the_sample_depends_on_the_seed(crawl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives the same chunks, another seed gives others, and no more than requested."""
    from curation.archives.inputs import find_inputs

    monkeypatch.setattr("curation.jobs.inspect.estimate.sampling.CHUNK_BYTES", (2000, 2000))
    inputs = find_inputs([str(crawl)])
    some = SampleRequest(bytes=8000, seed=1)
    assert choose_chunks(inputs, some) == choose_chunks(inputs, some)
    assert choose_chunks(inputs, some) != choose_chunks(inputs, SampleRequest(bytes=8000, seed=2))
    assert len(choose_chunks(inputs, some)) == 4
