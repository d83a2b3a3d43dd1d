"""The train-tokenizer step: the same tokenizer for any shards, any workers and any interruption."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from planted import write_crawl
from processes import curate
from tokenized import make_texts, write_corpus
from tokenizers import Tokenizer

from curation.errors import ParameterError, StepFailed
from curation.jobs.steps import train_tokenizer as job
from curation.jobs.steps.progress import Progress, StepProgress
from curation.jobs.steps.train_tokenizer import make_tokenizer
from curation.running.cluster import Cluster, open_cluster
from curation.store.folder import Folder
from curation.store.manifest import Manifest, read_manifest
from curation.store.paths import TOKENIZER, TOKENIZER_CONFIG, TOKENIZER_RANKS
from curation.tokenize.training import counter
from curation.tokenize.training.alphabet import spell
from curation.tokenize.training.given import rank_file
from curation.tokenize.training.settings import TokenizerSettings
from curation.tokenize.training.tokenizer_json import tokenizer_json
from curation.tokenize.training.train import train

SETTINGS = TokenizerSettings(vocab_size=420)
TEXTS = make_texts(120, longest=60)


class Stopped(Exception):
    """A run that is killed."""


class Interrupted(Progress):
    """Progress that stops the run after a step has advanced this many times."""

    def __init__(self, name: str, times: int) -> None:
        super().__init__("silent")
        self._name, self._times = name, times

    def show(self, step: StepProgress, is_between: bool = False, **fields: object) -> None:
        if step.name == self._name and step.done >= self._times:
            raise Stopped


def names(shards: int) -> list[str]:
    return [f"shard-{number}" for number in range(shards)]


def corpus(path: Path | str, shards: int, texts: Sequence[str] = TEXTS) -> Folder:
    """A corpus whose documents have the same ids in any number of shards."""
    folder = Folder(str(path))
    write_corpus(folder, {name: texts[number::shards] for number, name in enumerate(names(shards))})
    return folder


def make(
    folder: Folder,
    shards: Sequence[str],
    settings: TokenizerSettings = SETTINGS,
    cluster: Cluster | None = None,
    progress: Progress | None = None,
) -> Manifest:
    chosen = progress or Progress("silent")
    return make_tokenizer(folder, shards, settings, "corpus", "tokenizer", cluster or Cluster(None), chosen)


def files(folder: Folder) -> dict[str, bytes]:
    return {path: folder.read(path) for part in ("tokenizer", "manifests") for path in folder.list(part)}


EXPECTED = tokenizer_json(train(TEXTS, SETTINGS).vocabulary, train(TEXTS, SETTINGS).merges, SETTINGS)


@pytest.mark.parametrize(("shards", "fan_in"), [(1, 2), (3, 16), (7, 2), (9, 3)])
def test_any_number_of_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int, fan_in: int) -> None:
    """For any shards and merges, the tokenizer is that of all text at once, and no runs are left."""
    monkeypatch.setattr(job, "FAN_IN", fan_in)
    folder = corpus(tmp_path, shards)
    manifest = make(folder, names(shards))
    assert folder.read(TOKENIZER) == EXPECTED
    assert folder.list("tokenizer") == [TOKENIZER, TOKENIZER_RANKS, TOKENIZER_CONFIG]
    counts = manifest.counts
    assert (counts["documents"], counts["sampled"], counts["cut"]) == (len(TEXTS), len(TEXTS), 0)
    assert counts["bytes"] == sum(len(text.encode()) for text in TEXTS)
    assert sum(read_manifest(folder, "count", name).counts["documents"] for name in names(shards)) == len(TEXTS)  # type: ignore[union-attr]


def test_any_order_and_any_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers, and shards named in reverse order, change no byte of the tokenizer or its manifests."""
    monkeypatch.setattr(job, "LOCAL_BYTES", 0)
    monkeypatch.setattr(job, "FAN_IN", 2)
    alone = corpus(tmp_path / "alone", 5)
    make(alone, names(5))
    together = corpus(tmp_path / "together", 5)
    with open_cluster(workers=2) as cluster:
        make(together, names(5)[::-1], cluster=cluster)
        assert "client" in vars(cluster)
    assert files(together) == files(alone)
    assert alone.read(TOKENIZER) == EXPECTED


def test_a_small_corpus_starts_no_workers(tmp_path: Path) -> None:
    """A small corpus is counted in this process, unless the pattern has no kernel."""
    folder = corpus(tmp_path, 2)

    def connect() -> None:
        raise Stopped

    make(folder, names(2), cluster=Cluster(connect))
    with pytest.raises(Stopped):
        make(folder, names(2), replace(SETTINGS, pattern=r"\w+|[^\w\s]+|\s+"), Cluster(connect))


@pytest.mark.parametrize("cores", [2, 16])
def test_a_small_corpus_is_counted_by_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    """As many threads as there are cores, up to LOCAL_THREADS, count at once, with the same bytes."""
    most = min(cores, job.LOCAL_THREADS)
    barrier, counted = threading.Barrier(most, timeout=60), job.count_shard

    def count_together(task: object) -> object:
        barrier.wait()
        return counted(task)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "count_shard", count_together)
    alone, folder = corpus(tmp_path / "alone", 8), corpus(tmp_path / "threads", 8)
    make(folder, names(8), cluster=Cluster(cores=cores))
    monkeypatch.undo()
    make(alone, names(8))
    assert files(folder) == files(alone)
    assert folder.read(TOKENIZER) == EXPECTED


def test_training_imports_no_pandas(tmp_path: Path) -> None:
    """Arrow imports pandas, if installed, to convert an array, which takes a tenth of the memory of the whole step."""
    corpus(tmp_path, 2)
    program = (
        "import sys; from curation.running.cluster import Cluster; from curation.jobs.steps.progress import Progress\n"
        "from curation.jobs.steps.train_tokenizer import make_tokenizer; from curation.store.folder import Folder\n"
        "from curation.tokenize.training.settings import TokenizerSettings\n"
        "settings, shards = TokenizerSettings(vocab_size=420), ['shard-0', 'shard-1']\n"
        "make_tokenizer(Folder(sys.argv[1]), shards, settings, 'corpus', 'tokenizer', Cluster(), Progress('silent'))\n"
        "sys.exit('pandas' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 0
    assert Folder(str(tmp_path)).read(TOKENIZER) == EXPECTED


def test_kernels_are_compiled_before_they_are_needed(tmp_path: Path) -> None:
    """After `compile_kernels`, training on a corpus compiles nothing."""
    corpus(tmp_path, 2)
    program = (
        "import gc, sys; from curation.running.cluster import Cluster\n"
        "from curation.jobs.steps.progress import Progress; from curation.store.folder import Folder\n"
        "from curation.jobs.steps.train_tokenizer import compile_kernels, make_tokenizer\n"
        "from curation.tokenize.training.settings import TokenizerSettings\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "kernels = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]\n"
        "compile_kernels()\n"
        "compiled = {kernel: len(kernel.signatures) for kernel in kernels}\n"
        "settings, shards = TokenizerSettings(vocab_size=420), ['shard-0', 'shard-1']\n"
        "make_tokenizer(Folder(sys.argv[1]), shards, settings, 'corpus', 'tokenizer', Cluster(), Progress('silent'))\n"
        "more = [kernel for kernel in kernels if len(kernel.signatures) > compiled[kernel]]\n"
        "print(sum(compiled.values()) > 10, more)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "True []\n"
    assert Folder(str(tmp_path)).read(TOKENIZER) == EXPECTED


def test_a_killed_process_resumes(tmp_path: Path) -> None:
    """A run killed while it counts ends with the bytes of one that was not, and leaves nothing else."""
    whole = corpus(tmp_path / "whole", 12)
    make(whole, names(12))
    folder = corpus(tmp_path / "killed", 12)
    process = get_context("spawn").Process(target=make, args=(folder, names(12)))
    process.start()
    while process.is_alive() and not folder.list("manifests/count"):
        time.sleep(0.002)
    process.kill()
    process.join()
    assert not folder.exists(TOKENIZER)
    make(folder, names(12))
    folder.sweep()
    assert files(folder) == files(whole)
    assert folder.list("tokenizer") == [TOKENIZER, TOKENIZER_RANKS, TOKENIZER_CONFIG]


def test_spilling_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts that do not fit into memory are written to disk, merged with the same result, and removed."""
    monkeypatch.setattr(counter, "SPILL_BYTES", 1)
    folder = corpus(tmp_path, 2)
    make(folder, names(2))
    assert folder.read(TOKENIZER) == EXPECTED
    assert read_manifest(folder, "count", "shard-0").counts["spilled"] > 0  # type: ignore[union-attr]
    assert folder.list("tokenizer/counts") == []


def test_another_file_system(tmp_path: Path) -> None:
    """An object store gives the same tokenizer as a disk."""
    folder = corpus(f"memory://{tmp_path}", 3)
    make(folder, names(3))
    assert folder.read(TOKENIZER) == EXPECTED


STOPS = [("count", 1), ("count", 6), ("merge-counts", 1), ("merge-counts", 3), ("train-tokenizer", 1)]


@pytest.mark.parametrize(("step", "times"), STOPS)
def test_a_stopped_run_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[str], step: str, times: int
) -> None:
    """After a stop anywhere, a rerun counts and merges only what is missing, and gives the same bytes."""
    monkeypatch.setattr(job, "FAN_IN", 2)
    whole = corpus(tmp_path / "whole", 6)
    make(whole, names(6))
    expected = sorted(calls)
    calls.clear()
    folder = corpus(tmp_path / "stopped", 6)
    with pytest.raises(Stopped):
        make(folder, names(6), progress=Interrupted(step, times))
    make(folder, names(6))
    assert files(folder) == files(whole)
    assert sorted(calls) == expected


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards that were counted, in order."""
    made: list[str] = []
    counted = job.count_shard

    def count_shard(task: Any) -> Manifest:
        made.append(task.shard)
        return counted(task)

    monkeypatch.setattr(job, "count_shard", count_shard)
    return made


def test_stale_counts_are_replaced(tmp_path: Path, calls: list[str]) -> None:
    """Counts with other settings, and of shards whose file is missing, are redone; what others left is removed."""
    folder = corpus(tmp_path, 3)
    stopped = Interrupted("count", 3)
    with pytest.raises(Stopped):
        make(folder, names(3), replace(SETTINGS, pattern="gpt2"), progress=stopped)
    with pytest.raises(Stopped):
        make(folder, names(3), progress=Interrupted("count", 3))
    (run,) = (path for path in folder.list("tokenizer/counts") if "shard-1" in path)
    folder.remove(run)
    assert len(folder.list("tokenizer/counts")) == 2
    calls.clear()
    make(folder, names(3))
    assert calls == ["shard-1"]
    assert folder.read(TOKENIZER) == EXPECTED


def test_a_sample_of_documents(tmp_path: Path) -> None:
    """Documents of a sample are chosen by id and seed: the same in any shards, others with another seed."""
    settings = replace(SETTINGS, sample=0.4, sample_seed=5)
    ids = [f"{number:04d}" for number in range(len(TEXTS))]
    tokenizers_by_shards = {}
    for shards in (1, 4):
        folder = corpus_with_ids(tmp_path / str(shards), ids, shards)
        manifest = make(folder, names(shards), settings)
        assert 0.2 * len(TEXTS) < manifest.counts["sampled"] < 0.6 * len(TEXTS)
        assert manifest.counts["documents"] == len(TEXTS)
        tokenizers_by_shards[shards] = folder.read(TOKENIZER)
    other = corpus_with_ids(tmp_path / "other", ids, 1)
    make(other, names(1), replace(settings, sample_seed=6))
    assert tokenizers_by_shards[1] == tokenizers_by_shards[4] != other.read(TOKENIZER)


def corpus_with_ids(path: Path, ids: list[str], shards: int) -> Folder:
    import pyarrow as pa

    from curation.store import schema
    from curation.store.shards import ShardWriter

    folder = Folder(str(path))
    for number, name in enumerate(names(shards)):
        part = pa.table({"id": ids[number::shards], "text": TEXTS[number::shards]})
        nulls = {field.name: pa.nulls(len(part), field.type) for field in schema.DOCUMENT}
        columns = {**nulls, "id": part["id"], "text": part["text"]}
        with ShardWriter(folder, f"corpus/{name}.parquet", schema.DOCUMENT) as writer:
            writer.write(pa.table(columns, schema=schema.DOCUMENT))
    return folder


def test_long_pretokens_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The number of truncated pre-tokens is counted and reported."""
    folder = corpus(tmp_path, 1, ["a" * 100 + " bc" * 50])
    manifest = make(folder, names(1), replace(SETTINGS, max_pretoken_bytes=16), progress=Progress("plain"))
    assert manifest.counts["cut"] == 1
    assert max(len(token) for token in Tokenizer.from_buffer(folder.read(TOKENIZER)).get_vocab()) <= 16
    assert "1 pre-tokens counted as their first 16 bytes" in capsys.readouterr().err


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_a_corpus_without_text_is_an_error(tmp_path: Path, texts: list[str]) -> None:
    """A corpus without text gives an error instead of a tokenizer."""
    folder = corpus(tmp_path, 1, texts)
    with pytest.raises(StepFailed, match="no text to learn"):
        make(folder, names(1))
    assert not folder.exists(TOKENIZER)


def test_a_corpus_that_is_too_small_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If there are fewer tokens than requested, a warning has both numbers."""
    folder = corpus(tmp_path, 1, ["ab ab ab"])
    manifest = make(folder, names(1), progress=Progress("plain"))
    assert (manifest.counts["vocab_size"], manifest.counts["merges"]) == (266, 2)
    shown = capsys.readouterr().err
    assert "train-tokenizer: 1 thousand tokens made" in shown
    assert "too small for 420 tokens: the tokenizer has 266" in shown


def test_progress_ends_with_the_tokens_that_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line has the size of the vocabulary, not the one requested, if the corpus is too small for it."""
    make(corpus(tmp_path, 1, ["ab ab ab"]), names(1), replace(SETTINGS, vocab_size=5000), progress=Progress("plain"))
    assert "train-tokenizer: 1 of 5 thousand tokens made" in capsys.readouterr().err


def test_special_tokens_that_texts_spell(tmp_path: Path) -> None:
    """If a pattern divides a special token alone, but not after other text, the step fails and writes no tokenizer."""
    folder = corpus(tmp_path, 1, ["and <|endoftext|> and <|endoftext|>"] * 50)
    with pytest.raises(StepFailed, match=r"spelled like the special token '<\|endoftext\|>'"):
        make(folder, names(1), replace(SETTINGS, pattern=r"(?<=and )\S+|\w+|[^\w\s]+|\s+"))
    assert not folder.exists(TOKENIZER)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("end_token", {}),
        ("pad_token", {"end_token": "< end >"}),
        ("begin_token", {"end_token": "< end >", "pad_token": "< pad >", "begin_token": "<s>"}),
        ("reserved", {"end_token": "< end >", "pad_token": "< pad >"}),
    ],
)
def test_a_pattern_that_could_learn_a_special_token_is_refused(key: str, values: dict[str, Any]) -> None:
    """A pattern that does not divide a special token is an error before training, whatever the texts are."""
    with pytest.raises(ParameterError, match=f"{key} = .*training could learn it"):
        replace(SETTINGS, pattern=r"\S+|\s+", **values)


def test_the_tokenizer_of_an_earlier_run_is_pointed_out(tmp_path: Path) -> None:
    """Training says so in one line, whose options make the run use that tokenizer; other modes and runs have none."""
    (tmp_path / "crawl").mkdir()
    crawl = write_crawl(tmp_path / "crawl")
    old, new = tmp_path / "an old run", tmp_path / "new"

    def told(*words: str | Path) -> list[str]:
        done = curate(*words, "--workers", "0")
        assert done.returncode == 0, done.stderr
        return [line.partition(" train-tokenizer: ")[2] for line in done.stderr.splitlines() if "earlier run" in line]

    assert told("run", crawl / "a.warc.gz", "--out", old, "--steps", "filter") == []
    assert told("run", crawl / "b.warc.gz", "--out", new, "--against", old) == []
    assert told("run", crawl / "a.warc.gz", "--out", old) == []
    (tmp_path / "new" / "manifests" / "train-tokenizer" / "all.json").unlink()
    (line,) = told("train-tokenizer", "--out", new)
    assert line.startswith("trains a new tokenizer, ")
    assert told("train-tokenizer", "--out", new) == []
    assert (new / TOKENIZER).read_bytes() != (old / TOKENIZER).read_bytes()
    assert told("run", "--out", new, *shlex.split(line.partition("again with ")[2])) == []
    assert (new / TOKENIZER).read_bytes() == (old / TOKENIZER).read_bytes()
    assert told("run", crawl / "b.warc.gz", "--out", tmp_path / "own", "--against", old, "--mode", "within") == []


def test_a_rank_file_of_tiktoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to tokenizer.json is a rank file with the same ids, unless tiktoken would give others."""
    folder = corpus(tmp_path, 1)
    manifest = make(folder, names(1))
    assert TOKENIZER_RANKS in [output.path for output in manifest.outputs]
    lines = [line.split() for line in folder.read(TOKENIZER_RANKS).splitlines()]
    ours = json.loads(folder.read(TOKENIZER))["model"]
    special = {*SETTINGS.special_tokens}
    expected = {token: number for token, number in ours["vocab"].items() if token not in special}
    assert {spell(base64.b64decode(token)): int(rank) for token, rank in lines} == expected
    again = replace(SETTINGS, file=folder.path(TOKENIZER_RANKS))
    assert json.loads(again.given().definition)["model"]["merges"] == ours["merges"]
    monkeypatch.setattr(job, "rank_file", lambda vocabulary, merges: None)
    assert TOKENIZER_RANKS not in [output.path for output in make(folder, names(1)).outputs]
    assert not folder.exists(TOKENIZER_RANKS)


def test_no_rank_file_if_tiktoken_would_merge_others() -> None:
    """A vocabulary in which two other tokens make a third one has no rank file."""
    letters = {spell(bytes([byte])): byte for byte in range(256)}
    merges = [["b", "c"], ["a", "b"], ["ab", "c"]]
    assert rank_file({**letters, "bc": 256, "ab": 257, "abc": 258}, merges) is None
    assert rank_file({**letters, "ab": 256, "abc": 257}, merges[1:]) is not None
