"""Language filter: verdict, language and score of the reference for every text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from heuristic_cases import FULL
from pages import texts
from stages import documents

from curation.errors import ParameterError
from curation.filters.language import Language
from curation.language import identify
from curation.stages.stage import Outcome

GERMAN = "Der alte Mann ging langsam nach Hause, weil es schon dunkel wurde."
ENGLISH = "The old man went home slowly because it was already getting dark outside."

Verdict = Callable[[str], tuple[bool, str, float]]


def reference(languages: list[str] | None, threshold: float, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """datatrove's own filter, with the bundled model."""
    import datatrove.pipeline.base as base
    import fasttext
    from datatrove.data import Document
    from datatrove.pipeline.filters import LanguageFilter

    # The check asks for another build of fasttext, by the name of its package.
    monkeypatch.setattr(base, "check_required_dependencies", lambda *_: None)
    judge = LanguageFilter(languages=languages, language_threshold=threshold)
    judge.model._model = _Numpy(fasttext.load_model(str(identify.model_path())))

    def verdict(text: str) -> tuple[bool, str, float]:
        document = Document(text=text, id="")
        return bool(judge.filter(document)), document.metadata["language"], document.metadata["language_score"]

    return verdict


class _Numpy:
    """fasttext-predict answers with plain floats where fasttext answers with an array."""

    def __init__(self, model: object) -> None:
        self._model = model

    def predict(self, text: str, k: int) -> tuple[list[str], object]:
        import numpy as np

        names, scores = self._model.predict(text, k, -1.0)  # type: ignore[attr-defined]
        return names, np.asarray(scores)


def judged(values: tuple[str, ...], judge: Language) -> Outcome:
    return judge(documents(*values))


@pytest.mark.parametrize(
    ("languages", "threshold", "stride"),
    [(["en"], 0.65, 1 if FULL else 3), (["de", "fr", "es"], 0.5, 5), (["en", "sco", "nl"], 0.1, 5), (None, 0.8, 5)],
)
def test_parity(
    shared_data: Path, languages: list[str] | None, threshold: float, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdict, language and score equal the reference's on every text, also where a second language decides."""
    samples = tuple(text for text in texts(shared_data, stride) if text.strip())
    outcome = judged(samples, Language(tuple(languages or ()), threshold))
    verdict = reference(languages, threshold, monkeypatch)
    expected = [verdict(text) for text in samples]
    assert outcome.reasons is not None
    assert [reason is None for reason in outcome.reasons.to_pylist()] == [kept for kept, _, _ in expected]
    assert outcome.batch.column("language").to_pylist() == [language for _, language, _ in expected]
    assert outcome.batch.column("language_score").to_pylist() == [score for _, _, score in expected]


def test_reasons() -> None:
    """Another language, a score that is too low, and a text without words are removed with their reasons."""
    outcome = judged(
        ("This is quite certainly English text.", "Das ist ganz gewiss deutscher Text.", "ok", ""), Language()
    )
    assert outcome.reasons is not None
    assert outcome.reasons.to_pylist()[:2] == [None, "languages"]
    assert outcome.reasons.to_pylist()[2] is not None
    assert outcome.reasons.to_pylist()[3] is not None


@pytest.mark.parametrize("min_score", [0.65, 0.1])
def test_no_documents(min_score: float) -> None:
    """A batch without rows has the same columns and signals as any other, with the same types."""
    none, some = judged((), Language(min_score=min_score)), judged(("text",), Language(min_score=min_score))
    assert none.signals is not None
    assert some.signals is not None
    assert none.signals.type == some.signals.type
    assert none.batch.table.schema == some.batch.table.schema
    assert none.reasons is not None
    assert none.reasons.to_pylist() == []


def test_lines_are_one_text() -> None:
    """Newlines do not change the prediction."""
    words = "the quick brown fox jumps over the lazy dog and runs away"
    one = judged((words, words.replace(" ", "\n")), Language()).batch.column("language_score").to_pylist()
    assert one[0] == one[1]


def test_max_characters_limits_what_is_predicted() -> None:
    """With max_characters the prediction is that for the beginning of the text, in characters, not bytes."""
    text = "Füße, schöne Grüße und müde Bären. " + "This is the English rest of the text. " * 20
    cut = judged((text, text[:34]), Language(("de",), max_characters=34)).batch
    assert cut.column("language").to_pylist() == ["de", "de"]
    assert len(set(cut.column("language_score").to_pylist())) == 1
    assert judged((text,), Language(("de",))).batch.column("language").to_pylist() == ["en"]
    with pytest.raises(ParameterError, match="max_characters"):
        Language(max_characters=0)


@pytest.mark.parametrize("score", [-0.1, 1.0])
def test_a_bad_score_is_refused(score: float) -> None:
    """A threshold that everything or nothing exceeds is refused."""
    with pytest.raises(ParameterError, match="min_score"):
        Language(min_score=score)


def test_unknown_languages_and_models_are_refused(tmp_path: Path) -> None:
    """A label that the model does not have, a missing model, and a file that is not a model are refused."""
    with pytest.raises(ParameterError, match=r"'english'.*en"):
        Language(("english",))
    with pytest.raises(ParameterError, match="no such fastText model"):
        Language(model=str(tmp_path / "no.bin"))
    (tmp_path / "bad.bin").write_bytes(b"no model")
    with pytest.raises(ParameterError, match="model"):
        Language(model=str(tmp_path / "bad.bin"))


def test_the_model_is_part_of_the_identity() -> None:
    """The fingerprint depends on the content of the model."""
    assert Language().assets() == {"model": identify.model_hash()}


def test_a_model_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a model is not read again for its next fingerprint."""
    first = Language().assets()
    monkeypatch.setattr(identify, "model_path", lambda path: pytest.fail("it is read again"))
    assert Language().assets() == first


def test_code_has_no_language() -> None:
    """With `markdown`, the language is that of the prose."""
    code = "for the line in file: print the line and return the result\n" * 9
    batch = documents(f"Der Zug fährt um neun Uhr ab.\n\n```\n{code}```")
    found = [Language(markdown=markdown)(batch).batch.column("language")[0].as_py() for markdown in (True, False)]
    assert found == ["de", "en"]


def test_languages_are_named_by_code() -> None:
    """A language may be named by its label, or by a code of ISO 639 with or without the script."""
    for name in ("de", "deu", "deu_Latn"):
        assert judged((GERMAN, ENGLISH), Language((name,))).reasons.to_pylist() == [None, "languages"]


def test_labels_with_scripts() -> None:
    """With `labels = "script"` the column has codes with scripts, and only the most probable language passes."""
    outcome = judged((GERMAN, ENGLISH), Language(("de",), labels="script"))
    assert outcome.batch.column("language").to_pylist() == ["deu_Latn", "eng_Latn"]
    mixed = f"{GERMAN} {ENGLISH} {ENGLISH}"
    low = {labels: Language(("de",), min_score=0.01, labels=labels) for labels in ("model", "script")}
    reasons = {labels: judged((mixed,), stage).reasons.to_pylist() for labels, stage in low.items()}
    assert reasons == {"model": [None], "script": ["languages"]}
