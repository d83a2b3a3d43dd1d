"""The extractor "blocks" as a stage: main text of pages of several kinds, and the same text whatever comes before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curation.errors import ParameterError
from curation.extraction.blocks.extract import blocks
from curation.extraction.extract import Extract
from tests.curation.extraction.test_extract import PARAGRAPH, batch, reasons

MENU = "<nav><ul><li><a href=/>Home</a><li><a href=/about>About us</a><li><a href=/contact>Contact</a></ul></nav>"
FOOTER = "<footer><p>Copyright 2024. All rights reserved.</p><a href=/privacy>Privacy policy</a></footer>"
STORY = "".join(f"<p>{PARAGRAPH * 2} This was the {n}th day.</p>" for n in range(8))
PAGE = f"<html><head><title>x</title></head><body>{MENU}<main><h1>The harbour</h1>{STORY}</main>{FOOTER}</body></html>"


def test_main_text_without_menus_and_footers() -> None:
    """The paragraphs are in the text; menu and footer are not."""
    (text,) = Extract(extractor="blocks")(batch(PAGE)).batch.text.to_pylist()
    assert all(f"the {n}th day" in text for n in range(8))
    assert not any(word in text for word in ("About us", "Privacy", "rights reserved"))


def test_what_comes_before_does_not_matter() -> None:
    """A page gives the same text in any order of pages."""
    pages = [PAGE, "<p>" + PARAGRAPH * 3, PAGE.replace("harbour", "lake"), "", "<" * 1000, PAGE]
    stage = Extract(extractor="blocks")
    forward = stage(batch(*pages)).batch.text.to_pylist()
    assert stage(batch(*reversed(pages))).batch.text.to_pylist() == forward[::-1]
    assert forward[0] == forward[-1]


def test_a_page_without_text_is_removed() -> None:
    """A page that shows nothing has no text, which is a reason."""
    outcome = Extract(extractor="blocks")(batch("<html><script>var a = 'text that no reader sees';</script></html>"))
    assert reasons(outcome) == ["no_text"]


def test_text_after_the_end_of_the_page_and_below_any_depth_counts() -> None:
    """Text after `</html>`, and text nested deeper than libxml2 reads, is in the text."""
    late = f"<html><body>{STORY[: len(STORY) // 2]}</body></html>{STORY[len(STORY) // 2 :]}"
    deep = "<div>" * 1000 + STORY + "</div>" * 1000
    for text in Extract(extractor="blocks")(batch(late, deep)).batch.text.to_pylist():
        assert all(f"the {n}th day" in text for n in range(8))


def test_a_missing_model_is_an_error_of_the_recipe(tmp_path: Path) -> None:
    """A model that does not exist, or is none, is an error before the run."""
    with pytest.raises(ParameterError, match="blocks_model"):
        Extract(extractor="blocks", blocks_model=str(tmp_path / "none.npz"))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 this is no archive")
    with pytest.raises(ParameterError, match=r"bad\.npz is not a model"):
        Extract(extractor="blocks", blocks_model=str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "other.npz", format=np.int32(999))
    with pytest.raises(ParameterError, match="format 1"):
        Extract(extractor="blocks", blocks_model=str(tmp_path / "other.npz"))


def test_bytes_that_are_not_utf8_do_no_harm() -> None:
    """Invalid UTF-8 in a page gives valid text."""
    page = PAGE.encode().replace(b"harbour", b"h\xffrbour \xc2 \xef\xbb \xf0\x9f") + b"\xc2"
    assert "this" in blocks()(page).lower()
