"""Extractors: functions from a page's HTML to its main text, built in the child process of `isolation`.

With languages given, a page that does not declare one of them has a sample of its visible text, got by resiliparse in
a tenth of trafilatura's time, looked at by the language model, and is not extracted if it cannot be in any.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any

Extractor = Callable[[str], str | None]

BUILT_IN = ("trafilatura", "resiliparse")
"""Names of the extractors; any other is the path "package.module:function" of a function from HTML to text."""

CHEAP = ("resiliparse",)
"""Extractors that cost no more than a preview, so that none is made for them."""

SAMPLE_CHARACTERS = 1000
"""Characters of visible text around one third and two thirds of a page, far from menus, that tell its language."""

_DECLARED = re.compile(r"<html\b[^>]*?\slang\s*=\s*[\"']?([a-z]+)", re.IGNORECASE)


def page_function(
    extractor: str, favor: str, fast: bool, languages: Sequence[str], language_floor: float | None, model: str | None
) -> Callable[[str], list[Any]]:
    """A function from HTML to its text (None if not extracted) and the best score of `languages` (None: not asked).

    model: the path of a fastText model; None asks for no language.
    """
    extract = _extractor(extractor, favor, fast)
    if not languages or language_floor is None or model is None:
        return lambda html: [extract(html) or "", None]
    primary = {re.split("[-_]", language)[0].lower() for language in languages}
    best_score = _scorer(languages, model)

    def previewed(html: str) -> list[Any]:
        declared = _DECLARED.search(html, 0, 4000)
        if declared is not None and declared[1].lower() in primary:
            return [extract(html) or "", None]
        score = best_score(sample(html))
        return [None if score <= language_floor else extract(html) or "", score]

    return previewed


def _scorer(languages: Sequence[str], model: str) -> Callable[[str], float]:
    """The highest score of a language for a text.

    By the library, not by `curation.language.identify`, whose kernel is faster still but needs five times the memory of
    an extractor.
    """
    import fasttext

    predict, labels = fasttext.load_model(model).predict, {f"__label__{language}" for language in languages}

    def best_score(text: str) -> float:
        found = zip(*predict(text.replace("\n", " "), -1), strict=True)
        return max((float(score) for label, score in found if label in labels), default=0.0)

    return best_score


def sample(html: str) -> str:
    """Visible text from a third and from two thirds of the way through a page, all of it if it is short."""
    from resiliparse.extract.html2text import extract_plain_text

    text = extract_plain_text(html, preserve_formatting=False, main_content=False, alt_texts=False)
    if len(text) <= 2 * SAMPLE_CHARACTERS:
        return text
    first, second = (len(text) * third // 3 - SAMPLE_CHARACTERS // 2 for third in (1, 2))
    return f"{text[first : first + SAMPLE_CHARACTERS]} {text[second : second + SAMPLE_CHARACTERS]}"


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

    from curation.extraction.acceleration import patches

    patches.install()

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
