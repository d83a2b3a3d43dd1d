"""The filter for documents that quality models score low."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from fasttext_files import fasttext_model
from stages import documents

from curation.errors import ParameterError
from curation.filters.quality import Quality
from curation.quality.linear_kernels import CLASSES, fill_features
from curation.quality.model import Card, Linear, file_hash, write_card
from curation.stages.batch import Batch

SHIFT = np.uint32(32 - 12)


def linear(path: Path, **words: float) -> str:
    """Write a linear model in which single words have weights."""
    weights = np.zeros(1 << 12, np.float32)
    for word, weight in words.items():
        features = np.empty(len(word) + 1, np.int32)
        fill_features(np.frombuffer(word.encode(), np.uint8), 0, len(word), CLASSES, SHIFT, features)
        weights[features[0]] = weight
    Linear(weights, 0.0).save(path)
    return str(path)


def card(path: str, **values: Any) -> str:
    """Write the card of a model."""
    write_card(path, file_hash(path), Card(**values))
    return path


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def with_languages(batch: Batch, *languages: str | None) -> Batch:
    return batch.with_columns(language=pa.array(languages, pa.string()))


def test_low_scores_are_removed(tmp_path: Path) -> None:
    """A document below the minimum score is removed with that reason, one at it is kept, an empty text has a score."""
    path = linear(tmp_path / "m.npz", good=2, bad=-2)
    outcome = Quality(models=(path,), min_score=0.5)(documents("Good.", "bad", "", "other"))
    assert outcome.reasons.to_pylist() == [None, "min_score", None, None]
    assert outcome.signals.field("score").to_pylist() == pytest.approx([sigmoid(2), sigmoid(-2), 0.5, 0.5])
    assert outcome.signals.field("percentile").to_pylist() == [None] * 4


def test_no_documents_and_no_models(tmp_path: Path) -> None:
    """Without documents the signals have their types; without models nothing is scored or removed."""
    path = linear(tmp_path / "m.npz", good=2)
    stage = Quality(models=(path, path), min_score_by_language=("de=0.5",))
    assert {part.type for part in stage(documents()).signals.type} == {pa.float64()}
    assert Quality()(documents("x")).signals.to_pylist() == [{"score": None, "percentile": None}]


def test_formatting_does_not_change_the_score_of_a_linear_model(tmp_path: Path) -> None:
    """Line breaks, Markdown, punctuation and case leave the score as it is; another word changes it."""
    path = linear(tmp_path / "m.npz", good=2, bad=-1)
    texts = documents("so good and bad", "So\ngood\n\nand bad.", "# SO **good**\n- and `bad`", "so good and worse")
    scores = Quality(models=(path,))(texts).signals.field("score").to_pylist()
    assert scores[0] == scores[1] == scores[2] != scores[3]


def test_percentiles_come_from_the_card(tmp_path: Path) -> None:
    """A percentile is looked up in the model's quantiles, whatever the batch; of the language where it has its own."""
    path = linear(tmp_path / "m.npz", good=2, bad=-2)
    quantiles = {"": np.linspace(0, 1, 1001), "de": np.linspace(0.8, 1, 1001)}
    card(path, quantiles=quantiles)
    batch = with_languages(documents("good", "good", "bad"), "en", "de", None)
    plain = Quality(models=(path,), min_percentile=50.0)(batch)
    assert plain.signals.field("percentile").to_pylist() == pytest.approx([88.08, 88.08, 11.92], abs=0.01)
    assert plain.reasons.to_pylist() == [None, None, "min_percentile"]
    own = Quality(models=(path,), min_percentile=50.0, by_language=True)(batch)
    assert own.signals.field("percentile").to_pylist() == pytest.approx([88.08, 40.4, 11.92], abs=0.01)
    assert own.reasons.to_pylist() == [None, "min_percentile", "min_percentile"]


def test_a_language_can_have_its_own_minimum(tmp_path: Path) -> None:
    """Documents of a listed language are held to its score, the others to min_score."""
    path = linear(tmp_path / "m.npz", good=2, bad=-2)
    stage = Quality(models=(path,), min_score=0.9, min_score_by_language=("de=0.5", "fr=0"))
    batch = with_languages(documents("good", "good", "bad", "bad", "good"), "en", "de", "de", "fr", None)
    reasons = stage(batch).reasons.to_pylist()
    assert reasons == ["min_score", None, "min_score_by_language", None, "min_score"]


@pytest.mark.parametrize(
    ("combine", "weights", "expected"),
    [("mean", (), 0.5), ("mean", (3.0, 1.0), None), ("min", (), sigmoid(-2)), ("max", (), sigmoid(2))],
)
def test_several_models(tmp_path: Path, combine: str, weights: tuple[float, ...], expected: float | None) -> None:
    """Scores of several models are combined by a weighted mean, the lowest or the highest, and each is a signal."""
    paths = (linear(tmp_path / "a.npz", word=2), linear(tmp_path / "b.npz", word=-2))
    signals = Quality(models=paths, combine=combine, weights=weights)(documents("word")).signals
    expected = (3 * sigmoid(2) + sigmoid(-2)) / 4 if expected is None else expected
    assert signals.field("score").to_pylist() == pytest.approx([expected])
    assert signals.field("score_1").to_pylist() + signals.field("score_2").to_pylist() == pytest.approx(
        [sigmoid(2), sigmoid(-2)]
    )


@pytest.mark.parametrize("loss", [1, 3, 4], ids=["tree", "softmax", "independent"])
def test_fasttext_scores_equal_the_librarys(tmp_path: Path, loss: int) -> None:
    """The score of a fastText model is the library's probability of the label; several labels add up."""
    path = str(fasttext_model(tmp_path / "m.bin", loss, 2, 3, 2))
    text = "guten Tag the good day"
    names, values = fasttext.load_model(path).predict(text, -1, -1.0)
    library = dict(zip(names, values, strict=True))
    for labels in (("en",), ("de", "fr")):
        score = Quality(models=(path,), labels=("+".join(labels),))(documents(text)).signals.field("score")[0].as_py()
        assert score == pytest.approx(sum(library[f"__label__{label}"] for label in labels), rel=1e-6)


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    """No file, another format, no label, an unknown label, and percentiles without quantiles name key and cause."""
    path, model = linear(tmp_path / "m.npz", a=1), str(fasttext_model(tmp_path / "f.bin"))
    (tmp_path / "text").write_text("no model")
    for parameters, message in (
        ({"models": (str(tmp_path / "none"),)}, "No such file"),
        ({"models": (str(tmp_path / "text"),)}, "neither a fastText classifier nor a linear model"),
        ({"models": (model,)}, "needs the label that counts as good; it has de, en"),
        ({"models": (model,), "labels": ("hq",)}, "no label 'hq'"),
        ({"models": (path,), "labels": ("hq",)}, "has no labels"),
        ({"models": (path,), "min_percentile": 50.0}, "curate calibrate"),
        ({"models": (path,), "weights": (1.0, 2.0)}, "one for each of the 1 models"),
        ({"models": (path,), "min_score_by_language": ("de",)}, "min_score_by_language = 'de'"),
        ({"models": (), "min_score": 0.5}, "left out without models"),
    ):
        with pytest.raises(ParameterError) as error:
            Quality(**parameters)
        assert message in str(error.value)


def test_a_model_that_failed_its_audit_removes_nothing(tmp_path: Path) -> None:
    """A failed audit stops a stage with a threshold unless the audit is accepted; scoring alone is allowed."""
    path = card(linear(tmp_path / "m.npz", a=1), audit={"failed": ["flips"]})
    with pytest.raises(ParameterError, match=r"accept_audit.*whose audit failed \(flips\)"):
        Quality(models=(path,), min_score=0.5)
    assert Quality(models=(path,)).rules == ()
    assert Quality(models=(path,), min_score=0.5, accept_audit=True).rules


def test_a_card_of_another_model_is_refused(tmp_path: Path) -> None:
    """A model that was exchanged does not take over the quantiles of its predecessor."""
    path = card(linear(tmp_path / "m.npz", a=1), quantiles={"": np.linspace(0, 1, 1001)})
    linear(tmp_path / "m.npz", b=1)
    with pytest.raises(ParameterError, match="the card of another model"):
        Quality(models=(path,))


def test_the_fingerprint_covers_models_and_quantiles(tmp_path: Path) -> None:
    """Another model and other quantiles change the assets of the stage; an audit does not."""
    path = linear(tmp_path / "m.npz", a=1)
    bare = Quality(models=(path,)).assets()
    card(path, audit={"failed": []})
    assert Quality(models=(path,)).assets() == bare
    card(path, quantiles={"": np.linspace(0, 1, 1001)})
    calibrated = Quality(models=(path,)).assets()
    assert calibrated != bare
    card(linear(tmp_path / "m.npz", a=2), quantiles={"": np.linspace(0, 1, 1001)})
    assert Quality(models=(path,)).assets()["model_1"] != calibrated["model_1"]
