"""`extract` on one page: the text is as in a run, and a page that fails raises instead of ending the session."""

from __future__ import annotations

import pytest

from curation.errors import CurationError, ExtractionError, RecipeError
from curation.extraction.page import extract

TEXT = "The ferry leaves the harbour at nine, and the café opens when the last guest is on board."
PAGE = f"<html><head><meta charset=CHARSET></head><body><nav>Home</nav><article><p>{TEXT}</p></article></body></html>"


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
@pytest.mark.parametrize("charset", ["utf-8", "windows-1252"])
def test_strings_and_bytes(extractor: str, charset: str) -> None:
    """Bytes are decoded as the page declares; a string is used unchanged."""
    page = PAGE.replace("CHARSET", charset)
    assert extract(page, extractor=extractor) == TEXT
    assert extract(page.encode(charset), extractor=extractor) == TEXT


@pytest.mark.parametrize("page", ["", b"", "<html></html>", "\ud800"])
def test_pages_without_a_text(page: str | bytes) -> None:
    """A page without text is not an error, nor is a string that is not valid Unicode."""
    assert extract(page) in ("", "\ufffd")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("loop", "timeout"), ("signal", r"crash \(SIGSEGV\)"), ("memory", r"memory|crash")],
)
def test_a_page_that_fails_raises(fault: str, cause: str) -> None:
    """A page that hangs, crashes or exhausts memory is an error with its cause, and the next page is extracted."""
    options = {
        "extractor": "isolation_faults:page",
        "time_limit": 0.5 if fault == "loop" else 30.0,
        "memory_limit_mb": 170,
    }
    with pytest.raises(ExtractionError, match=f"no text extracted: {cause}"):
        extract(f"FAULT {fault}", **options)
    assert extract("fine", **options) == "fine"
    assert issubclass(ExtractionError, CurationError)


def test_options_are_those_of_the_stage() -> None:
    """Limits of the stage apply, and an unknown option is an error."""
    with pytest.raises(ExtractionError, match="max_html_characters"):
        extract("<p>long enough", max_html_characters=3)
    with pytest.raises(
        RecipeError, match=r"extract\(\): unknown key 'favour' .* it has extractor, rule, min_characters"
    ):
        extract("", favour="recall")
