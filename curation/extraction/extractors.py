"""Extractors: functions from a page's HTML to its main text, built in the child process of `isolation`.

If languages are given and a page does not declare one of them, a sample of its visible text is taken: by resiliparse,
in a tenth of trafilatura's time, or, if blocks is the only extractor, from the page that it has parsed. The page is not
extracted if the language model rules out all of the languages.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

Extractor = Callable[[str], str | None]
Extraction = Callable[[], tuple[str, str | None]]

BUILT_IN = ("blocks", "trafilatura", "resiliparse")
"""Names of the built-in extractors; any other is "package.module:function", a function from HTML to text."""

SAMPLE_CHARACTERS = 1000
"""Characters of visible text to sample around one third and two thirds of a page, far from menus."""

_WARM_UP = b"<p>The kernels are loaded.<script type='application/json'>{}</script>"
_ROOT = re.compile(r"<html\b[^>]*", re.IGNORECASE)
_DECLARED = re.compile(r"\slang\s*=\s*[\"']?([a-z]+)", re.IGNORECASE)


def page_function(
    extractors: Sequence[str],
    rule: str,
    min_characters: int,
    options: Mapping[str, Any],
    languages: Sequence[str],
    language_floor: float | None,
    model: str | None,
) -> Callable[[bytes], list[Any]]:
    """The function that the child process applies to each page.

    Args:
        extractors: Names or paths of the extractors.
        rule: Which text counts if there are several: "first", of the first extractor that yields at least
            `min_characters` (the longest if none does), or "longest".
        min_characters: Characters for the rule "first".
        options: Options of the built-in extractors: `favor`, `fast`, `retry_below`, `format`, `blocks_model`,
            `blocks_favor`.
        languages: Languages to extract; empty means all.
        language_floor: Score that one of `languages` must exceed; None means all pages are extracted.
        model: Path of a fastText model; None means the language is not checked.

    Returns:
        A function from HTML in UTF-8 to a list: the text, None if the page was not extracted; the best score among
        `languages`, None if it was not computed; and what each extractor gave, None if there is only one.
    """
    extract = _combined(extractors, rule, min_characters, options)
    if not languages or language_floor is None or model is None:
        return lambda html: _answer(extract(html), None)
    primary = {re.split("[-_]", language)[0].lower() for language in languages}
    is_blocks = tuple(extractors) == ("blocks",)
    best_score = _kernel_scorer(languages, model) if is_blocks else _scorer(languages, model)
    preview = _blocks_preview(options) if is_blocks else lambda html: (sample(_text(html)), partial(extract, html))

    def extract_if_wanted(html: bytes) -> list[Any]:
        head = _text(html[:16000])
        tags = _ROOT.finditer(head, 0, 4000)
        declared = next(filter(None, (_DECLARED.search(head, *tag.span()) for tag in tags)), None)
        if declared is not None and declared[1].lower() in primary:
            return _answer(extract(html), None)
        text, finish = preview(html)
        score = None if text is None else best_score(text)
        return [None, score, None] if score is not None and score <= language_floor else _answer(finish(), score)

    return extract_if_wanted


def _answer(found: tuple[str, str | None], score: float | None) -> list[Any]:
    return [found[0], score, found[1]]


def _combined(
    names: Sequence[str], rule: str, min_characters: int, options: Mapping[str, Any]
) -> Callable[[bytes], tuple[str, str | None]]:
    """A function from HTML to the text that the rule chooses, and to the characters that each extractor gave."""
    extractors = [(name, _extractor(name, options)) for name in names]
    retried = "trafilatura" in names and options["retry_below"] is not None
    balanced = _extractor("trafilatura", {**options, "favor": "balanced"}) if retried else None

    def main_text(html: bytes) -> tuple[str, str | None]:
        texts: list[tuple[str, str]] = []
        for name, extract in extractors:
            text = extract(html) or ""
            texts.append((name, text))
            if name == "trafilatura" and balanced and len(text) < options["retry_below"] * visible_characters(html):
                texts.append(("trafilatura balanced", balanced(html) or ""))
                if len(texts[-1][1]) <= len(text):
                    texts.append(texts.pop(-2))
            if rule == "first" and len(texts[-1][1]) >= min_characters:
                return texts[-1][1], _described(texts)
        best = max(texts, key=lambda each: len(each[1])) if len(extractors) > 1 else texts[-1]
        return best[1], _described(texts)

    def _described(texts: Sequence[tuple[str, str]]) -> str | None:
        if len(extractors) == 1 and not retried:
            return None
        return ", ".join(f"{name} {len(text)}" for name, text in texts)

    return main_text


def visible_characters(html: bytes) -> int:
    """Characters of the text that a page shows."""
    import numpy as np

    from curation.extraction.blocks.parse import END, HIDDEN, RUN_FLAGS, START, parse

    runs = parse(np.frombuffer(html, np.uint8)).runs
    shown = runs[runs[:, RUN_FLAGS] & HIDDEN == 0]
    return int((shown[:, END] - shown[:, START]).sum())


def _scorer(languages: Sequence[str], model: str) -> Callable[[str], float]:
    """A function from a text to the highest score among `languages`.

    It uses the library, not `curation.language.identify`, whose kernel is faster but needs numba, and with it several
    times the memory of these extractors.
    """
    import fasttext

    predict, labels = fasttext.load_model(model).predict, {f"__label__{language}" for language in languages}

    def best_score(text: str) -> float:
        predictions = zip(*predict(text.replace("\n", " "), -1), strict=True)
        return max((float(score) for label, score in predictions if label in labels), default=0.0)

    return best_score


def _kernel_scorer(languages: Sequence[str], model: str) -> Callable[[str], float]:
    """Like `_scorer`, in a sixth of the time; for a process that has numba anyway, where it needs 30 MB more."""
    import pyarrow as pa

    from curation.language.identify import predict_all

    wanted = frozenset(languages)

    def best_score(text: str) -> float:
        return float(predict_all(pa.array([text], pa.string()), wanted, model).wanted_scores[0])

    best_score("The kernel is loaded.")
    return best_score


def _blocks_preview(options: Mapping[str, Any]) -> Callable[[bytes], tuple[str | None, Extraction]]:
    """A function from HTML to a sample of its visible text, None if it tells nothing, and to what extracts the rest."""
    import numpy as np

    from curation.extraction.blocks.parse import parse
    from curation.extraction.blocks.sample import ENOUGH_BYTES, write_sample

    extract = _extractor("blocks", options)

    def preview(html: bytes) -> tuple[str | None, Extraction]:
        page = parse(np.frombuffer(html, np.uint8))
        text = write_sample(page).tobytes()
        sampled = text.decode("utf-8", "ignore") if len(text) >= ENOUGH_BYTES else None
        return sampled, lambda: (extract(html, page=page) or "", None)

    preview(_WARM_UP)
    return preview


def sample(html: str) -> str:
    """Visible text around one third and two thirds of a page; all of it if it is short."""
    from resiliparse.extract.html2text import extract_plain_text

    text = extract_plain_text(html, preserve_formatting=False, main_content=False, alt_texts=False)
    if len(text) <= 2 * SAMPLE_CHARACTERS:
        return text
    first, second = (len(text) * third // 3 - SAMPLE_CHARACTERS // 2 for third in (1, 2))
    return f"{text[first : first + SAMPLE_CHARACTERS]} {text[second : second + SAMPLE_CHARACTERS]}"


def _extractor(name: str, options: Mapping[str, Any]) -> Callable[..., str | None]:
    if name == "blocks":
        from curation.extraction.blocks.extract import blocks

        extract = blocks(options["format"], options["blocks_model"], options["blocks_favor"])
        extract(_WARM_UP)  # loads the kernels, whose memory would else count as that of the first page
        return extract
    if name == "trafilatura":
        return _on_bytes(trafilatura(options["favor"], options["fast"]))
    if name == "resiliparse":
        return _on_bytes(resiliparse())
    module, _, function = name.partition(":")
    return _on_bytes(getattr(importlib.import_module(module), function))


def _on_bytes(extract: Extractor) -> Callable[[bytes], str | None]:
    return lambda html: extract(_text(html))


def _text(html: bytes) -> str:
    return str(html, "utf-8", "replace")


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
