"""The extractors: functions from a page's HTML to its main text, made in the child process of `curation.isolation`.

With a preview, resiliparse's plain text of the page (a tenth of trafilatura's time) is put to the language model first,
and a page that cannot be in a wanted language is not extracted at all.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

Extractor = Callable[[str], str | None]

BUILT_IN = ("trafilatura", "resiliparse")
"""Names of the extractors; any other is the path "package.module:function" of a function from HTML to text."""

PREVIEW_CHARACTERS = 20_000
"""Characters of a page's visible text that the language model is shown: more of them cost time and tell nothing new."""


def page_function(
    extractor: str, favor: str, fast: bool, languages: Sequence[str], language_floor: float | None, model: str | None
) -> Callable[[str], list[Any]]:
    """A function from HTML to its text (None if not extracted) and the best score of `languages` (None: not asked)."""
    extract = _extractor(extractor, favor, fast)
    if not languages or language_floor is None:
        return lambda html: [extract(html) or "", None]
    from resiliparse.extract.html2text import extract_plain_text

    from curation import lid

    def previewed(html: str) -> list[Any]:
        visible = extract_plain_text(html, preserve_formatting=False, main_content=False, alt_texts=False)
        score = lid.best_score(visible[:PREVIEW_CHARACTERS], languages, model)
        return [None if score <= language_floor else extract(html) or "", score]

    lid.load_model(model)
    return previewed


def _extractor(name: str, favor: str, fast: bool) -> Extractor:
    if name == "trafilatura":
        return trafilatura(favor, fast)
    if name == "resiliparse":
        return resiliparse()
    module, _, function = name.partition(":")
    found: Extractor = getattr(importlib.import_module(module), function)
    return found


def trafilatura(favor: str, fast: bool) -> Extractor:
    """trafilatura without comments; tables stay, links and images go, as by default.

    Its `deduplicate` stays off: it remembers earlier pages, which would decide on later ones.
    """
    from trafilatura import extract

    def main_text(html: str) -> str | None:
        return extract(
            html,
            fast=fast,
            favor_precision=favor == "precision",
            favor_recall=favor == "recall",
            include_comments=False,
            deduplicate=False,
        )

    return main_text


def resiliparse() -> Extractor:
    """resiliparse's main content as plain text, without what stands in for pictures."""
    from resiliparse.extract.html2text import extract_plain_text

    def main_text(html: str) -> str | None:
        return extract_plain_text(html, preserve_formatting=True, main_content=True, alt_texts=False)

    return main_text
