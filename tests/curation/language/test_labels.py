"""Names of languages and the labels of models."""

from __future__ import annotations

import pytest

from curation.language import identify
from curation.language.labels import full_label, label_of, languages, model_label, some


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("de", "deu_Latn"),
        ("deu", "deu_Latn"),
        ("deu_Latn", "deu_Latn"),
        ("zh", "cmn_Hani"),
        ("zho", "cmn_Hani"),
        ("ara", "arb_Arab"),
        ("nor", "nob_Latn"),
        ("sr", "srp_Cyrl"),
        ("srp_Latn", "srp_Latn"),
        ("als", "als_Latn"),
        ("deutsch", None),
        ("DE", None),
        ("", None),
    ],
)
def test_names_mean_a_language_with_its_script(name: str, label: str | None) -> None:
    """A name with or without script means one label, a group of languages its most common one."""
    assert full_label(name) == label


def test_every_label_means_itself() -> None:
    """A label with a script means itself, whatever the other names are."""
    assert len(languages()) > 2000
    assert all(full_label(label) == label == entry.label for label, entry in languages().items())


def test_every_label_of_the_bundled_model_has_a_script() -> None:
    """Every label of lid.176 means a language of its own, by which it is found again."""
    labels = identify.labels()
    meant = {label_of(label): label for label in labels}
    assert len(meant) == len(labels)
    assert meant.keys() <= languages().keys()
    assert all(model_label(full, labels) == label for full, label in meant.items())


def test_a_label_of_the_model_comes_first() -> None:
    """A name that is a label of the model means that label; `als` is Alemannic for lid.176."""
    labels = identify.labels()
    assert model_label("als", labels) == "als"
    assert model_label("als_Latn", labels) == "sq"
    assert model_label("gsw", labels) == "als"
    assert model_label("de", {"deu_Latn", "__other"}) == "deu_Latn"
    assert label_of("__other") == "__other"


def test_a_message_shows_a_few_names() -> None:
    """Of many names a message shows the first and the number of all."""
    assert some(["b", "a"]) == "a, b"
    assert some(map(str, range(1000, 3000))).endswith("1011, … (2,000 in all)")
