"""One stage on one document: verdict, reason, and every value with its threshold."""

from __future__ import annotations

import pytest
from stages import Length, Upper

from curation.errors import InputError
from curation.extraction.extract import Extract
from curation.filters.c4 import C4
from curation.filters.gopher_quality import GopherQuality
from curation.filters.language import Language
from curation.filters.pii import Pii
from curation.filters.url import Url
from curation.recipes.recipe import load
from curation.stages.explain import Check, explain
from curation.stages.pipeline import Pipeline
from curation.stages.rules import Rule

PROSE = "The men of the village have to be with that dog, and the lake is blue and deep. "


def test_every_value_with_each_rule_about_it() -> None:
    """A value with two bounds has two rows; each rule says whether it is violated, whichever comes first."""
    explanation = explain(Length(4, 2), "abc")
    assert (explanation.kept, explanation.reason, explanation.text) == (False, "min_length", "abc")
    low, high = Rule("length", "<", 4, "min_length"), Rule("length", ">", 2, "max_length")
    assert explanation.checks == (Check("length", 3, low, True), Check("length", 3, high, True))
    assert explain(Length(1, 9), "abc").kept
    quality = explain(GopherQuality(), PROSE * 9)
    assert quality.kept
    assert {check.rule for check in quality.checks if check.rule} == set(GopherQuality().rules)


def test_printed_it_is_a_table() -> None:
    """Printed, it is a line with the verdict, then a line per check."""
    assert str(explain(Length(4), "abc")).splitlines() == [
        "removed: min_length",
        "  length                        3  removed if < 4  (min_length)  violated",
        "  length                        3  removed if > 10  (max_length)",
    ]
    assert str(explain(Upper(), "abc")) == "kept"


def test_stages_that_edit() -> None:
    """The text is as edited by the stage; values without a rule are listed too."""
    explanation = explain(C4(min_sentences=1), f"{PROSE}\nclick")
    assert explanation.text == PROSE.strip()
    assert [check.signal for check in explanation.checks if check.rule is None]
    assert explain(Pii(replacement="tag"), "jane.doe@corp.io").text == "<EMAIL>"


def test_other_columns() -> None:
    """A stage that reads an address or a page gets it by keyword, and the error says so if it is missing."""
    assert explain(Url(), url="https://example.org/porn-sex").reason == "hard_word"
    assert explain(Extract(extractor="resiliparse"), html=f"<p>{PROSE}</p>").text == PROSE.strip()
    way = (
        r"stage url: needs the column 'url'; there are: 'id', 'text'. Give it by name, as in explain\(stage, url=...\)"
    )
    with pytest.raises(InputError, match=way):
        explain(Url(), PROSE)


def test_wrong_arguments() -> None:
    """What is no stage, no document at all, and text, URLs and pages that are no strings are refused."""
    for stage, way in (
        (C4, r"C4 is a class: give an instance, C4\(\)"),
        ("gopher_quality", r"'gopher_quality' is no stage: give an instance, GopherQuality\(\)"),
        ("some text", r"a string is no stage: give an instance such as GopherQuality\(\)"),
        (Pipeline([C4()]), "a Pipeline is no stage but has several: give one of its `stages`"),
        (load("fineweb"), "a Recipe is no stage but has several"),
    ):
        with pytest.raises(TypeError, match=way):
            explain(stage, PROSE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the stage comes first, then the text"):
        explain(PROSE, C4())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs a document"):
        explain(C4())
    for given in ({"text": 5}, {"text": b"a"}, {"url": 5}, {"url": b"a"}, {"html": b"a"}):
        with pytest.raises(TypeError, match=f"{next(iter(given))} must be a string, not"):
            explain(C4(), **given)  # type: ignore[arg-type]


def test_odd_texts() -> None:
    """An empty text, None, and a text that is not valid Unicode are handled."""
    assert explain(GopherQuality(), "").reason == "min_words"
    assert explain(GopherQuality(), None, url="https://example.com/").reason == "min_words"
    assert explain(Language(), "\ud800").text == "\ufffd"
