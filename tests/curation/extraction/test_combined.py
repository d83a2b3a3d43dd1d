"""Several extractors for a page: which text counts, and what the signal says."""

from __future__ import annotations

from typing import Any

import pytest

from curation.errors import ParameterError
from curation.extraction.extract import Extract
from tests.curation.extraction.test_extract import ARTICLE, PARAGRAPH, batch, signal

SHORT, LONG = "tests.curation.extraction.test_combined:short", "tests.curation.extraction.test_combined:long"


def short(html: str) -> str:
    """An extractor that yields little."""
    return "short text"


def long(html: str) -> str | None:
    """An extractor that yields more, or nothing for an empty page."""
    return "a much longer text" if html else None


@pytest.mark.parametrize(
    ("options", "text", "tried"),
    [
        ({"min_characters": 5}, "short text", f"{SHORT} 10"),
        ({"min_characters": 11}, "a much longer text", f"{SHORT} 10, {LONG} 18"),
        ({"min_characters": 1000}, "a much longer text", f"{SHORT} 10, {LONG} 18"),
        ({"rule": "longest"}, "a much longer text", f"{SHORT} 10, {LONG} 18"),
    ],
)
def test_the_rule_chooses_the_text(options: dict[str, Any], text: str, tried: str) -> None:
    """`first` takes the first text that is long enough, else the longest; `longest` the longest; the signal has all."""
    outcome = Extract(extractor=(SHORT, LONG), **options)(batch(ARTICLE))
    assert outcome.batch.text.to_pylist() == [text]
    assert signal(outcome, "tried") == [tried]


def test_one_extractor_has_no_signal_of_several() -> None:
    """With one extractor, no signal says what each gave."""
    outcome = Extract(extractor="resiliparse")(batch(ARTICLE))
    assert outcome.signals is not None
    assert "tried" not in {field.name for field in outcome.signals.type}


def test_precision_is_retried_in_balanced_mode() -> None:
    """Where precision returns too small a share of the visible text, a longer text of the balanced mode counts."""
    page = ARTICLE.replace("<body>", f"<body><nav><a href=/>{PARAGRAPH}</a></nav>")
    outcome = Extract(retry_below=1.0)(batch(page))
    (tried,) = signal(outcome, "tried")
    assert isinstance(tried, str)
    gave = [part.rsplit(" ", 1) for part in tried.split(", ")]
    assert {name for name, _ in gave} == {"trafilatura", "trafilatura balanced"}
    assert len(outcome.batch.text[0].as_py()) == max(int(count) for _, count in gave)
    never = Extract(retry_below=0.0001)(batch(page))
    assert signal(never, "tried") == [f"trafilatura {len(never.batch.text[0].as_py())}"]


def test_an_unknown_extractor_among_several_is_named() -> None:
    """An error names the extractor of the list that does not exist."""
    with pytest.raises(ParameterError, match="resiliparze"):
        Extract(extractor=("blocks", "resiliparze"))


def test_markdown_is_for_blocks_only() -> None:
    """A format that the extractor cannot write is refused."""
    with pytest.raises(ParameterError, match="format"):
        Extract(extractor="trafilatura", format="markdown")


@pytest.mark.parametrize(
    "options",
    [
        {"extractor": "trafilatura", "blocks_model": "x.npz"},
        {"extractor": "blocks", "retry_below": 0.1},
        {"extractor": ("blocks", "blocks")},
    ],
)
def test_what_would_have_no_effect_is_refused(options: dict[str, Any]) -> None:
    """A setting of an extractor that is not used, and an extractor that is named twice, are errors."""
    with pytest.raises(ParameterError):
        Extract(**options)
