"""A second opinion on the language of texts of which the model is not sure."""

from __future__ import annotations

import argparse
import gzip
import pickle
import pydoc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from growth import assert_linear
from stages import documents

from curation.errors import ParameterError
from curation.filters.language import Language
from curation.language import identify, second
from curation.language.second import with_second
from curation.recipes.recipe import load
from curation.stages.parameters import identity

ENGLISH = "This is quite certainly English text, and nobody would doubt it."
DOUBTFUL = "kubectl get pods -n kube-system --selector app=web"
"""A line that lid.176 is not sure of."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts on which a made-up library is asked; it answers German with 0.9 for all."""
    texts: list[str] = []

    def ask(name: str, text: str) -> tuple[str | None, float]:
        texts.append(text)
        return "de", 0.9

    monkeypatch.setattr(second, "_ask", ask)
    monkeypatch.setattr(second, "second_version", lambda name: f"{name} 1")
    monkeypatch.setattr("curation.filters.language.second_version", lambda name: f"{name} 1")
    return texts


def judged(*texts: str, **parameters: Any) -> list[tuple[Any, ...]]:
    outcome = Language(**parameters)(documents(*texts))
    assert outcome.reasons is not None
    columns = (outcome.reasons, outcome.batch.column("language"), outcome.batch.column("language_score"))
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def test_only_doubtful_texts_are_asked_about(asked: list[str]) -> None:
    """Where the model's score is below the limit, language and score are those of the second opinion."""
    [sure, doubtful] = judged(ENGLISH, DOUBTFUL, second="cld2", languages=("de",))
    assert asked == [DOUBTFUL]
    assert sure[:2] == ("languages", "en")
    assert doubtful == (None, "de", 0.9)
    assert judged(DOUBTFUL, second="cld2", second_below=0.0) == judged(DOUBTFUL)


def test_signal(asked: list[str]) -> None:
    """A signal says whose answer counts; without a second opinion there is none, so that nothing changes."""
    signals = Language(second="cld2")(documents(ENGLISH, DOUBTFUL)).signals
    assert signals is not None
    assert signals.field("second").to_pylist() == [0, 1]
    plain = Language()(documents(ENGLISH)).signals
    assert plain is not None
    assert [part.name for part in plain.type] == ["score", "wanted"]


def test_the_identity_is_as_before_without_it(asked: list[str]) -> None:
    """The new keys change a fingerprint only if they are used; then the version of the library is part of it."""
    assert not {"second", "second_below"} & set(identity(Language())["parameters"])
    used = identity(Language(second="cld2"))
    assert used["parameters"]["second"] == "cld2"
    assert used["assets"]["second"] == "cld2 1"


def test_answers_that_the_model_has_no_label_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of none, or of a language that the model does not know, leaves the model's."""
    texts = pa.array([DOUBTFUL] * 3)
    predicted = identify.predict_all(texts)
    answers = iter([(None, 0.0), ("zxx", 0.9), ("iw", 0.7)])
    monkeypatch.setattr(second, "_ask", lambda name, text: next(answers))
    found, changed = with_second(predicted, texts, "cld2", 1.0)
    assert changed.tolist() == [False, False, True]
    assert found.languages == [*predicted.languages[:2], "he"]
    assert found.scores.tolist() == [*predicted.scores[:2], 0.7]


def test_a_text_without_a_language_is_not_asked_about(asked: list[str]) -> None:
    """Where the model finds no language at all, such as in a text without words, there is none."""
    none = identify.Predictions([None], np.zeros(1), np.zeros(1))
    found, changed = with_second(none, pa.array([""]), "cld2", 1.0)
    assert (found.languages, changed.tolist(), asked) == ([None], [False], [])


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(second.PACKAGES, "cld2", "no-such-package")
    with pytest.raises(ParameterError, match=r"second = .cld2.: .*pip install no-such-package"):
        Language(second="cld2")


@pytest.mark.parametrize(("name", "package", "least"), [("py3langid", "py3langid", 0.95), ("cld2", "pycld2", 0.95)])
def test_accuracy(name: Any, package: str, least: float, shared_data: Path) -> None:
    """Of single sentences in known languages, 95 % are identified, instead of 89 %."""
    pytest.importorskip(package)
    with gzip.open(shared_data / "language" / "lingua-sentences.tsv.gz", "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t", 1) for line in lines][::5]
    labels = identify.labels()
    known = [({"nb": "no"}.get(code, code), text) for code, text in rows if {"nb": "no"}.get(code, code) in labels]
    texts = pa.array([text for _, text in known])
    alone = identify.predict_all(texts)
    found, _ = with_second(alone, texts, name, 0.8)

    def share(languages: list[str | None]) -> float:
        return sum(label == code for label, (code, _) in zip(languages, known, strict=True)) / len(known)

    assert share(alone.languages) < 0.9
    assert share(found.languages) >= least


@pytest.mark.parametrize(("name", "package"), [("py3langid", "py3langid"), ("cld2", "pycld2")])
def test_odd_texts(name: Any, package: str) -> None:
    """Empty texts, control characters, noncharacters and long texts are answered, in time linear in the text."""
    pytest.importorskip(package)
    odd = [
        "",
        " ",
        "\0",
        "\x1b[31m",
        "a\ufffe\U0001fffe",
        "\ufeff",
        "é" * 50,
        "\u200b",
        "<" * 5000,
        "語",
        "\U0010ffff x",
    ]
    rows = judged(*odd, second=name, second_below=1.0, languages=())
    assert all(language is None or 0 <= score <= 1 for _, language, score in rows)
    assert pickle.loads(pickle.dumps(Language(second=name))) == Language(second=name)
    assert_linear(lambda text: judged(text, second=name, second_below=1.0), lambda n: "pod=x " * n, 2_000)


def test_technical_english() -> None:
    """A page of documentation that lid.176 scores below 0.65 is kept by `web`, not by `fineweb`."""
    pytest.importorskip("py3langid")
    text = pydoc.plain(pydoc.render_doc(argparse))
    verdicts = {}
    for name in ("web", "fineweb"):
        stage = dict(load(name).stages)["language"]
        outcome = stage(documents(text))
        assert outcome.reasons is not None
        verdicts[name] = outcome.reasons.to_pylist()
    assert verdicts == {"web": [None], "fineweb": ["min_score"]}


def test_py3langid_answers_as_the_library_does() -> None:
    """The model that is decompressed once per machine gives the library's languages and scores."""
    langid = pytest.importorskip("py3langid.langid")
    library = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    texts = ["", "Der alte Mann ging nach Hause.", "語", "pod=x " * 50, pydoc.plain(pydoc.render_doc(argparse))[:3000]]
    assert [second._ask("py3langid", text) for text in texts] == [library.classify(text) for text in texts]
