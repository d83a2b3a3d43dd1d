"""The estimate against the truth: what a run of everything made lies within what a sample foretold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from archives import page, prose, response, write_archive
from processes import SETTINGS, contents, curate

from curation.jobs.inspect.estimate.estimate import SHARDED, measure
from curation.jobs.inspect.estimate.projection import Projection, foretell
from curation.jobs.inspect.estimate.sampling import SampleRequest, draw, take
from curation.jobs.steps.plan import make_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.running.cluster import Cluster
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, read_manifest

WEB = ["extract.extractor=resiliparse", "tokenizer.vocab_size=8000", "tokens.sequence_length=512"]


def run_all(words: list[str], out: Path, settings: list[str]) -> dict[str, float]:
    """What a run of all inputs comes to, counted from its folder."""
    plan = make_plan(words, str(out), "fineweb", settings)
    run = Run(plan, Cluster(), Progress("silent"))
    for step in ("filter", "dedup", "train-tokenizer", "tokenize"):
        run.run(step)
    folder = plan.folder
    made = [read_manifest(folder, "filter", source.shard) for source in plan.inputs]
    filtered = [manifest.counts["stages"] for manifest in made if manifest is not None]
    tokens = read_manifest(folder, "tokens", WHOLE)
    assert tokens is not None
    truth: dict[str, float] = {kind: sum(map(folder.size, folder.list(kind))) for kind in (*SHARDED, "tokens")}
    return truth | {
        "read": sum(stages["url"]["documents_in"] for stages in filtered),
        "kept": sum(stages["fineweb"]["documents_out"] for stages in filtered),
        "corpus documents": tokens.counts["documents"],
        "token count": tokens.counts["corpus_tokens"],
    }


def told_of(told: Projection) -> dict[str, tuple[float, float, float]]:
    named = {
        "read": told.kept["pages"],
        "kept": told.kept["documents"],
        "corpus documents": told.kept["corpus"],
        "token count": told.kept["tokens"],
        **{kind: told.output[kind] for kind in (*SHARDED, "tokens")},
    }
    return {name: (interval.low, interval.value, interval.high) for name, interval in named.items()}


def test_two_files_of_eight_foretell_the_rest(shared_data: Path, tmp_path: Path) -> None:
    """For several choices of two files, documents, tokens and bytes of the whole lie within their intervals."""
    words = [str(shared_data / "web")]
    truth = run_all(words, tmp_path / "out", WEB)
    for seed in (0, 1, 2):
        found, _, _ = measure(words, "fineweb", WEB, SampleRequest(files=2, seed=seed), Progress("silent"))
        told = told_of(foretell(found, 2))
        assert set(told) == set(truth)
        missed = {
            name: (truth[name], told[name]) for name in truth if not told[name][0] <= truth[name] <= told[name][2]
        }
        assert not missed, f"seed {seed}"
        low, _, high = told["kept"]
        assert high - low < 2 * truth["kept"], "so wide that it says nothing"


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
    """If the sample is all inputs, every interval is a point, and it is what the run makes."""
    truth = run_all([str(crawl)], tmp_path / "out", [*SETTINGS])
    found, _, _ = measure([str(crawl)], "fineweb", [*SETTINGS], SampleRequest(), Progress("silent"))
    for name, (low, value, high) in told_of(foretell(found, 2)).items():
        assert low == pytest.approx(value) == pytest.approx(high), name
        assert value == pytest.approx(truth[name]), name


def test_the_command(crawl: Path, tmp_path: Path) -> None:
    """It prints JSON or tables, names an input that is no archive with code 1, and writes nothing beside the inputs."""
    folder = tmp_path / "in"
    shutil.copytree(crawl, folder)
    (folder / "bad.warc.gz").write_bytes(b"no archive at all" * 99)
    before = contents(tmp_path)
    done = curate("estimate", folder, "--json", "--workers", "3")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["quarantined"][0]["path"] == str(folder / "bad.warc.gz")
    assert told["kept"]["pages"] == {"value": 36, "low": 36, "high": 36}
    assert 20 < told["kept"]["corpus"]["value"] < told["kept"]["documents"]["value"] <= 36
    assert set(told["wall"]) == {"1", "3"}
    assert told["wall"]["3"]["value"] <= told["wall"]["1"]["value"]
    assert all(interval["low"] <= interval["value"] <= interval["high"] for interval in told["output"].values())
    assert contents(tmp_path) == before
    assert curate("estimate", folder / "none.warc.gz").returncode == 2
    assert curate("estimate", folder, "--sample-share", "2").returncode == 2


@pytest.mark.parametrize("url", ["file", "memory"])
def test_chunks_hold_every_record_once(crawl: Path, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All chunks of a file together are its bytes, and each begins with a record; any file system will do."""
    monkeypatch.setattr("curation.jobs.inspect.estimate.sampling.CHUNK_BYTES", (3000, 3000))
    data = (crawl / "a.warc.gz").read_bytes()
    where = Folder(f"memory://{tmp_path.name}") if url == "memory" else Folder(str(tmp_path / "in"))
    where.write("a.warc.gz", data)
    where.write("b.warc.gz", data[:0])
    words = [f"memory://{tmp_path.name}"] if url == "memory" else [str(tmp_path / "in")]
    from curation.archives.inputs import find_inputs

    inputs = find_inputs(words)
    sample = take(
        inputs, SampleRequest(files=1, seed=next(s for s in range(99) if _first(inputs, s))), tmp_path / "chunks"
    )
    assert len(sample.paths) > 3
    assert b"".join(Path(path).read_bytes() for path in sample.paths) == data
    assert sum(sample.frame.size) == len(data)


def _first(inputs: list, seed: int) -> bool:  # type: ignore[type-arg]
    return draw(inputs, SampleRequest(files=1, seed=seed))[0].source.path.endswith("a.warc.gz")


def test_the_draw_follows_the_seed(crawl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed draws the same chunks, another one others; no more than asked for."""
    from curation.archives.inputs import find_inputs

    monkeypatch.setattr("curation.jobs.inspect.estimate.sampling.CHUNK_BYTES", (2000, 2000))
    inputs = find_inputs([str(crawl)])
    some = SampleRequest(bytes=8000, seed=1)
    assert draw(inputs, some) == draw(inputs, some)
    assert draw(inputs, some) != draw(inputs, SampleRequest(bytes=8000, seed=2))
    assert len(draw(inputs, some)) == 4
