"""`curate seen`: what a training step reads, and when a document is read."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from tokenized import make_run, make_texts
from typer.testing import CliRunner

from curation.errors import InputError, NotTrusted, ParameterError, UsageError
from curation.jobs.cli.main import app
from curation.jobs.cli.tokens import seen_command
from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.loading.loader import TokenLoader

SETTINGS = TokensSettings(sequence_length=32, shard_rows=64, row_group_rows=16, validation_fraction=0.1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run whose documents have quality scores, but for one shard."""
    path = tmp_path_factory.mktemp("run")
    make_run(path, make_texts(60, longest=90), SETTINGS)
    (path / "signals").mkdir()
    for shard in ("shard-0", "shard-1"):
        ids = pq.read_table(path / "corpus" / f"{shard}.parquet")["id"]
        scores = pa.array([number / 100 for number in range(len(ids))])
        pq.write_table(pa.table({"id": ids, "quality.score": scores}), path / "signals" / f"{shard}.parquet")
    return str(path)


@pytest.fixture(scope="module")
def documents(run: str) -> dict[tuple[int, ...], Counter[str]]:
    """The tokens by document of each row, by the ids in it."""
    found = {}
    for path in sorted(Path(run).glob("tokens/train-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            lengths = [b - a for a, b in pairwise([*row["document_starts"], 32])]
            counts: Counter[str] = Counter()
            for name, length in zip(row["document_ids"], lengths, strict=True):
                counts[name] += length
            found[tuple(row["input_ids"])] = counts
            del counts[None]  # type: ignore[arg-type]
    return found


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["seen", *words], env={"COLUMNS": "200"})


def seen(*words: str) -> dict[str, Any]:
    done = call(*words, "--json")
    assert done.exit_code == 0, done.exception
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_a_step_has_the_documents_that_the_loader_reads(
    run: str, documents: dict[tuple[int, ...], Counter[str]]
) -> None:
    """For every rank and step, the rows and documents are those of the loader's batch, with URL and scores."""
    options = {"seed": 3, "window": 2, "world_size": 2}
    for rank in (0, 1):
        loader = TokenLoader(run, 8, rank=rank, **options)  # type: ignore[arg-type]
        for step, batch in enumerate(islice(loader, 12)):
            words = ("--seed", "3", "--window", "2", "--world-size", "2", "--rank", str(rank), "--step", str(step))
            found = seen(run, "--batch-size", "8", *words)
            rows = [documents[tuple(row)] for row in batch["input_ids"].tolist()]
            assert [row["tokens"] for row in found["rows"]] == [sum(row.values()) for row in rows]
            assert {each["id"]: each["tokens"] for each in found["documents"]} == sum(rows, Counter())
            assert {row["rank"] for row in found["rows"]} == {rank}
    for each in found["documents"]:
        assert each["url"] == f"https://example.org/{each['id']}"
        shard, number = each["id"].split("/")
        assert each["quality"] == ({} if shard == "shard-2" else {"score": int(number) / 100})
    tokens = sum(each["tokens"] for each in found["documents"])
    assert found["domains"] == [{"domain": "example.org", "documents": len(found["documents"]), "tokens": tokens}]


@pytest.mark.parametrize("key", ["https://example.org/shard-1/3", "shard-1/3"])
def test_a_document_has_the_steps_that_read_it(
    run: str, documents: dict[tuple[int, ...], Counter[str]], key: str
) -> None:
    """The steps, ranks and tokens of a document are those in which the loaders of all ranks read it, epoch by epoch."""
    together, apart = [], []
    for rank in (0, 1):
        loader = TokenLoader(run, 8, rank=rank, world_size=2, window=2)
        last = 2 * len(loader.sets[0]) // 8  # the full steps of two epochs
        for step, batch in enumerate(islice(loader, last)):
            together += [(step, rank, documents[tuple(row)]["shard-1/3"]) for row in batch["input_ids"].tolist()]
        second = TokenLoader(run, 8, rank=rank, world_size=2, window=2, epochs=1)
        second.set_epoch(1)
        for step, batch in enumerate(second):
            apart += [(step, rank, documents[tuple(row)]["shard-1/3"]) for row in batch["input_ids"].tolist()]
    words = (run, "--url", key, "--batch-size", "8", "--world-size", "2", "--window", "2")
    for expected, more in ((together, ("--epochs", "2")), (apart, ("--epoch", "1"))):
        found = [(row["step"], row["rank"], row["tokens"]) for row in seen(*words, *more)["rows"]]
        wanted = sorted(each for each in expected if each[2])
        assert [each for each in found if each[0] < last] == [each for each in wanted if each[0] < last]
        assert len(wanted) >= 2
    only = seen(*words, "--rank", "1")["rows"]
    assert {row["rank"] for row in only} <= {1}


def test_the_terminal_shows_both(run: str) -> None:
    """Tables name documents, scores, domains and steps, and say how many more there are."""
    step = call(run, "--step", "0", "--batch-size", "64")
    assert "step 0: 64 rows" in step.stdout
    assert "example.org" in step.stdout
    assert "score 0." in step.stdout
    assert "more: --json lists all" in step.stdout
    steps = call(run, "--url", "shard-1/3", "--batch-size", "8")
    assert "https://example.org/shard-1/3" in steps.stdout
    assert "train-0000" in steps.stdout


def test_tokens_without_their_corpus_have_ids_only(run: str, tmp_path: Path) -> None:
    """Where the corpus is gone, a step lists the ids of its documents, and a URL is not found."""
    (tmp_path / "tokens").symlink_to(Path(run) / "tokens")
    found = seen(str(tmp_path), "--step", "0", "--batch-size", "4")
    assert found["documents"]
    assert all(each["url"] is None for each in found["documents"])
    assert isinstance(call(str(tmp_path), "--url", "shard-1/3", "--batch-size", "4").exception, InputError)


def test_what_cannot_be_is_refused(run: str) -> None:
    """Both or neither of --step and --url, a step or rank that does not exist, and an unknown URL are errors."""
    for words, error in {
        (): UsageError,
        ("--step", "1", "--url", "a"): UsageError,
        ("--step", "100", "--epoch", "0"): InputError,
        ("--step", "0", "--rank", "1"): ParameterError,
        ("--step", "0", "--world-size", "3"): ParameterError,
        ("--step", str(10**20)): InputError,
        ("--step", "0", "--split", "test"): InputError,
        ("--url", "https://example.org/none"): InputError,
    }.items():
        assert isinstance(call(run, "--batch-size", "8", *words).exception, error), words
    endless = call(run, "--batch-size", "8", "--url", "a", "--epochs", "99999999")
    assert (endless.exit_code, "less than or equal to 1000" in endless.output) == (2, True)


def test_a_corpus_on_a_special_file_system_needs_trust(run: str, tmp_path: Path) -> None:
    """Tokens that name a corpus on a special file system are looked up only with --trust-code."""
    (tmp_path / "tokens").mkdir()
    for path in Path(run).glob("tokens/train-*.parquet"):
        table = pq.read_table(path)
        sources = json.dumps([{"corpus": "memory://other"}]).encode()
        metadata = {**table.schema.metadata, b"curation.sources": sources}
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "tokens" / path.name)
    words = (str(tmp_path), "--step", "0", "--batch-size", "4")
    assert isinstance(call(*words).exception, NotTrusted)
    assert call(*words, "--trust-code").exit_code == 0


def test_defaults_are_the_loaders() -> None:
    """The options that stand for arguments of TokenLoader have its defaults."""
    ours, loaders = inspect.signature(seen_command).parameters, inspect.signature(TokenLoader).parameters
    for name in ("seed", "window", "split", "world_size"):
        assert ours[name].default == loaders[name].default
