"""The audit of quality models: each check fails on a model with that fault, and only then."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from curation.arrays import Float64s
from curation.jobs.cli.main import app
from curation.quality.audit import AuditDocuments, audit, correlation, explained
from curation.quality.model import Card, Linear, QualityModel, load

CHANCE = np.random.default_rng(0)
QUALITY = CHANCE.random(400).round(4)
SOURCES = [f"s{number % 20}" for number in range(400)]
LENGTHS = CHANCE.integers(5, 60, 400)
TEXTS = [f"{quality} {'Word ' * length}" for quality, length in zip(QUALITY, LENGTHS, strict=True)]


@dataclass(frozen=True)
class Scorer:
    """A model that scores by any function of the text."""

    function: Callable[[str], float]

    def score(self, texts: pa.StringArray) -> Float64s:
        return np.array([self.function(text) for text in texts.to_pylist()])


def audited(function: Callable[[str], float], good: Float64s | None = None, **changes: Any) -> dict[str, Any]:
    """The audit of a model that scores so."""
    scorer: Any = Scorer(function)
    model = QualityModel("m", "0", "linear", (), scorer, Card())
    values = {"names": [f"d{n}" for n in range(400)], "sources": SOURCES, "languages": [""] * 400, **changes}
    return audit(model, AuditDocuments(pa.array(TEXTS), good=np.full(400, np.nan) if good is None else good, **values))


def quality(text: str) -> float:
    return float(text.split()[0])


def source_of(text: str) -> int:
    return SOURCES.index(SOURCES[TEXTS.index(text) if text in TEXTS else 0])


def test_scores_of_quality_pass() -> None:
    """A model that scores quality alone passes every check that can be measured."""
    result = audited(quality)
    assert result["failed"] == []
    assert {each["name"] for each in result["findings"] if each["value"] is None} == {
        "source_auc", "within_auc", "language"
    }  # fmt: skip
    assert any("no labels" in note for note in result["notes"])
    most, least = result["samples"]["most"], result["samples"]["least"]
    assert most[0]["score"] == max(QUALITY)
    assert least[0]["score"] == min(QUALITY)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("constant", lambda text: 0.5),
        ("flips", lambda text: quality(text) if "\n" not in text and text == text.rstrip() + " " else 0.0),
        ("constant_sources", lambda text: source_of(text) / 20),
        ("source", lambda text: source_of(text) / 20 + quality(text) / 100),
        ("length", lambda text: len(text) / 400),
    ],
)
def test_a_fault_is_found(name: str, function: Callable[[str], float]) -> None:
    """Constant scores, sensitivity to formatting, scores by source and scores by length each fail their check."""
    assert name in audited(function)["failed"]


def test_languages() -> None:
    """A model that passes one language and hardly another fails."""
    languages = ["en" if number % 2 else "de" for number in range(400)]
    by_language = {text: (0.5 if language == "en" else 0) for text, language in zip(TEXTS, languages, strict=True)}
    result = audited(lambda text: by_language.get(text, 0) + quality(text) / 2, languages=languages)
    assert "language" in result["failed"]
    assert result["languages"]["en"] > result["languages"]["de"]
    assert "language" not in audited(quality, languages=languages)["failed"]


def test_labels_within_sources() -> None:
    """With labels, a model that only knows the source fails within sources, and one that knows quality does not."""
    good = (QUALITY > 0.5).astype(np.float64)
    result = audited(quality, good)
    assert result["auc"] == 1
    assert result["failed"] == []
    assert "within_auc" in audited(lambda text: source_of(text) / 20, good)["failed"]


def test_labels_that_are_those_of_the_source() -> None:
    """Labels that a source nearly decides fail; if each source has one class, the audit says that they tell nothing."""
    of_source = np.array([float(name in SOURCES[:10]) for name in SOURCES])
    note = audited(quality, of_source)["notes"]
    assert any("each source holds one class only" in text for text in note)
    nearly = of_source.copy()
    nearly[:5] = 1 - nearly[:5]
    assert "source_auc" in audited(quality, nearly)["failed"]


def test_explained_variance_is_adjusted_for_chance() -> None:
    """Sources that say nothing explain about nothing, though each has few documents; those that decide explain all."""
    many = [f"s{number // 2}" for number in range(400)]
    assert (explained(QUALITY, many) or 0) < 0.15
    assert explained(np.array([0.1, 0.1, 0.9, 0.9]), ["a", "a", "b", "b"]) == 1
    assert explained(QUALITY, ["a"] * 400) is None


def test_correlation() -> None:
    """Rank correlation is 1 for any rising relation, and 0 with a constant."""
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert correlation(values, values**3) == pytest.approx(1)
    assert correlation(values, -values) == pytest.approx(-1)
    assert correlation(values, np.zeros(4)) == 0


def test_the_command_writes_the_card(tmp_path: Path) -> None:
    """`curate audit-quality` stores the findings on the card and keeps what is there; few documents are refused."""
    weights = np.random.default_rng(1).normal(size=1 << 12).astype(np.float32)
    Linear(weights, 0.0).save(tmp_path / "m.npz")
    path, corpus = str(tmp_path / "m.npz"), tmp_path / "corpus.jsonl"
    rows = [{"text": f"{'abcdefghij'[n % 10]}x word {'klmnopqrst'[n // 10]}y", "url": f"https://s{n % 9}.org/{n}"}
            for n in range(100)]  # fmt: skip
    corpus.write_text("\n".join(map(json.dumps, rows)))
    assert CliRunner().invoke(app, ["calibrate", path, str(corpus)]).exit_code == 0
    done = CliRunner().invoke(app, ["audit-quality", path, str(corpus), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    card = load(path).card
    assert card.audit is not None
    assert card.audit["failed"] == result["failed"]
    assert card.quantiles
    shown = CliRunner().invoke(app, ["audit-quality", path, str(corpus)]).stdout
    assert "most liked" in shown
    corpus.write_text("\n".join(map(json.dumps, rows[:99])))
    assert CliRunner().invoke(app, ["audit-quality", path, str(corpus)]).exception.exit_code == 2  # type: ignore[union-attr]
