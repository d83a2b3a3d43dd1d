"""Calibration: quantiles of scores on the card of a model."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fasttext_files import fasttext_model
from kills import kill_at_rename
from typer.testing import CliRunner

from curation.errors import InputError, UsageError
from curation.jobs.cli.main import app
from curation.quality.calibrate import calibrate
from curation.quality.model import InvalidQualityModel, Linear, card_path, load, percentiles


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A linear model whose scores differ from text to text."""
    Linear(np.random.default_rng(0).normal(size=1 << 12).astype(np.float32), 0.1).save(tmp_path / "m.npz")
    return str(tmp_path / "m.npz")


def test_quantiles_of_all_and_of_large_languages(model: str, tmp_path: Path) -> None:
    """Quantiles are stored of all documents and of languages with a thousand or more, from any kind of file."""
    letters = "abcdefghijkl"
    texts = [f"{letters[n % 12]}{letters[n // 12 % 12]}{letters[n // 144]} word" for n in range(1500)]
    languages = ["de" if number % 3 else "fr" for number in range(1500)]
    pq.write_table(pa.table({"text": texts[:900], "language": languages[:900]}), tmp_path / "a.parquet")
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.writelines(
            json.dumps({"text": text, "language": language}) + "\n"
            for text, language in zip(texts[900:], languages[900:], strict=True)
        )
    result = calibrate(model, [str(tmp_path / "a.parquet"), str(tmp_path / "b.jsonl.gz")], [])
    assert (result["documents"], result["languages"]) == (1500, {"de": 1000})
    loaded = load(model)
    scores = loaded.score(pa.array(texts, pa.string()))
    assert set(loaded.card.quantiles) == {"", "de"}
    assert loaded.card.quantiles[""][500] == pytest.approx(np.median(scores), abs=1e-6)
    ranks = percentiles(scores, loaded.card.quantiles[""])
    assert np.abs(ranks - 100 * np.argsort(np.argsort(scores)) / 1499).max() < 0.2


def test_ties_have_the_middle_percentile() -> None:
    """Where many documents have the same score, it has the middle of their percentiles."""
    quantiles = np.array([0.0] * 501 + [1.0] * 500)
    assert percentiles(np.array([0.0, 0.5, 1.0, 2.0, -1.0]), quantiles).tolist() == pytest.approx(
        [25.0, 50.05, 75.05, 100.0, 0.0], abs=0.01
    )


def test_bad_input_writes_nothing(model: str, tmp_path: Path) -> None:
    """No documents, a missing file, rows without text and a file that is no model give one line and exit code 2."""
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "other.jsonl").write_text('{"body": "x"}\n')
    (tmp_path / "broken.jsonl").write_text("{\n")
    for source, message in (
        ("empty.jsonl", "no documents"), ("other.jsonl", 'has no field "text"; it has body'),
        ("broken.jsonl", "line 1 is not JSON"), ("none", "no such file or folder"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            calibrate(model, [str(tmp_path / source)], [])
    with pytest.raises(UsageError, match="neither a fastText classifier nor a linear model"):
        calibrate(str(tmp_path / "broken.jsonl"), [str(tmp_path / "other.jsonl")], [])
    assert not card_path(model).exists()


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """A model with a weight that is NaN or infinite cannot be used, so that no score is NaN."""
    for number, value in enumerate((np.nan, np.inf)):
        weights = np.ones(1 << 12, np.float32)
        weights[5] = value
        Linear(weights, 0.0).save(tmp_path / f"{number}.npz")
        for file in (tmp_path / f"{number}.npz", fasttext_model(tmp_path / f"{number}.bin", value=value)):
            with pytest.raises(InvalidQualityModel, match="not all finite numbers"):
                load(str(file), () if file.suffix == ".npz" else ("en",))


def test_a_model_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Wherever the file of a fastText model ends too early, it is called incomplete."""
    data = fasttext_model(tmp_path / "m.bin", quantized=True).read_bytes()
    for size in (0, 20, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.bin").write_bytes(data[:size])
        with pytest.raises(InvalidQualityModel, match="not a complete fastText model"):
            load(str(tmp_path / "cut.bin"), ("en",))


def test_killed_it_leaves_the_card(model: str, tmp_path: Path) -> None:
    """After SIGKILL before it gets its name, the card of calibration or audit is the one before; a rerun writes it."""
    corpus = tmp_path / "a.jsonl"
    lines = [
        json.dumps({"text": f"text {number} of many", "url": f"https://s{number % 9}.org"}) for number in range(120)
    ]
    corpus.write_text("\n".join(lines))
    before = b""
    for command in ("calibrate", "audit-quality"):
        assert kill_at_rename(1, command, model, corpus)
        assert (card_path(model).read_bytes() if before else b"") == before
        assert not kill_at_rename(9, command, model, corpus)
        again = card_path(model).read_bytes()
        assert again != before
        assert CliRunner().invoke(app, [command, model, str(corpus)]).exit_code == 0
        assert card_path(model).read_bytes() == again
        before = again


def test_the_command_says_the_percentiles(model: str, tmp_path: Path) -> None:
    """`curate calibrate` prints scores by percentile and names the card."""
    (tmp_path / "a.txt").write_text("one two\nthree\n\nfour five\n")
    done = CliRunner().invoke(app, ["calibrate", model, str(tmp_path / "a.txt"), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["documents"] == 3
    assert result["card"] == f"{model}.json"
    assert "3 documents" in CliRunner().invoke(app, ["calibrate", model, str(tmp_path / "a.txt")]).stdout
