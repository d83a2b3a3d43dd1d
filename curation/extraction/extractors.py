"""Extractors: functions from a page's HTML to its main text, built in the child process of `isolation`.

If languages are given and a page does not declare one of them, resiliparse extracts a sample of its visible text, in a
tenth of trafilatura's time. The page is not extracted if the language model rules out all of the languages.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any

Extractor = Callable[[str], str | None]

BUILT_IN = ("trafilatura", "resiliparse")
"""Names of the built-in extractors; any other is "package.module:function", a function from HTML to text."""

CHEAP = ("resiliparse",)
"""Extractors that are as fast as sampling, so pages are not sampled for them."""

SAMPLE_CHARACTERS = 1000
"""Characters of visible text to sample around one third and two thirds of a page, far from menus."""

_ROOT = re.compile(r"<html\b[^>]*", re.IGNORECASE)
_DECLARED = re.compile(r"\slang\s*=\s*[\"']?([a-z]+)", re.IGNORECASE)


def page_function(
    extractor: str, favor: str, fast: bool, languages: Sequence[str], language_floor: float | None, model: str | None
) -> Callable[[str], list[Any]]:
    """The function that the child process applies to each page.

    Args:
        extractor: Name or path of the extractor.
        favor: trafilatura's focus: "precision", "balanced" or "recall".
        fast: Whether to use trafilatura's fast mode.
        languages: Languages to extract; empty means all.
        language_floor: Score that one of `languages` must exceed; None means all pages are extracted.
        model: Path of a fastText model; None means the language is not checked.

    Returns:
        A function from HTML to a list: the text, None if the page was not extracted, and the best score among
        `languages`, None if it was not computed.
    """
    extract = _extractor(extractor, favor, fast)
    if not languages or language_floor is None or model is None:
        return lambda html: [extract(html) or "", None]
    primary = {re.split("[-_]", language)[0].lower() for language in languages}
    best_score = _scorer(languages, model)

    def extract_if_wanted(html: str) -> list[Any]:
        tags = _ROOT.finditer(html, 0, 4000)
        declared = next(filter(None, (_DECLARED.search(html, *tag.span()) for tag in tags)), None)
        if declared is not None and declared[1].lower() in primary:
            return [extract(html) or "", None]
        score = best_score(sample(html))
        return [None if score <= language_floor else extract(html) or "", score]

    return extract_if_wanted


def _scorer(languages: Sequence[str], model: str) -> Callable[[str], float]:
    """A function from a text to the highest score among `languages`.

    It uses the library, not `curation.language.identify`, whose kernel is faster but needs five times the memory of an
    extractor.
    """
    import fasttext

    predict, labels = fasttext.load_model(model).predict, {f"__label__{language}" for language in languages}

    def best_score(text: str) -> float:
        predictions = zip(*predict(text.replace("\n", " "), -1), strict=True)
        return max((float(score) for label, score in predictions if label in labels), default=0.0)

    return best_score


def sample(html: str) -> str:
    """Visible text around one third and two thirds of a page; all of it if it is short."""
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
    extractor: Extractor = getattr(importlib.import_module(module), function)
    return extractor


def trafilatura(favor: str, fast: bool) -> Extractor:
    """trafilatura without comments; tables are kept, links and images are not, as by default.

    `deduplicate` is off because it remembers earlier pages, so that results would depend on the order of pages.
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
    """resiliparse's main content as plain text, without the alternative texts of images."""
    from resiliparse.extract.html2text import extract_plain_text

    def main_text(html: str) -> str | None:
        return extract_plain_text(html, preserve_formatting=True, main_content=True, alt_texts=False)

    return main_text
