"""The main text of a page, by the extractor "blocks"."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from curation.arrays import Bools, UInt8s
from curation.extraction.blocks.choose import RECALL_WEIGHTS, choose
from curation.extraction.blocks.embedded import embedded_text
from curation.extraction.blocks.markdown import write_markdown
from curation.extraction.blocks.measure import LOG_WORDS, measure
from curation.extraction.blocks.model import Model, load, predict
from curation.extraction.blocks.parse import Page, parse
from curation.extraction.blocks.write import write_text
from curation.running.compiled import kernel

FEW_CHARACTERS = 250
"""Characters of main text below which the page's JSON is searched for it."""


@kernel
def choose_blocks(page: Page, model: Model, weight: float) -> Bools:
    """Whether each block of a page is main text."""
    features = measure(page, model.vocabulary)
    words = np.empty(len(features))
    for block in range(len(features)):
        words[block] = np.expm1(np.float64(features[block, LOG_WORDS]))
    return choose(predict(model.trees, features), words, weight)


def _written(page: Page, model: Model, weight: float) -> UInt8s:
    return write_text(page, choose_blocks(page, model, weight))


def main_text(html: bytes, model: Model, form: str = "text", favor: str = "balanced", page: Page | None = None) -> str:
    """The main text of a page; where the page shows next to nothing, text in its JSON counts.

    Args:
        html: The page in UTF-8.
        model: The model that chooses.
        form: "text" or "markdown".
        favor: "precision", "balanced" or "recall".
        page: The page as `parse` returns it, if that is done.
    """
    weight = RECALL_WEIGHTS[favor]
    page = parse(np.frombuffer(html, np.uint8)) if page is None else page
    if form == "markdown":
        text = write_markdown(page, html, choose_blocks(page, model, weight))
    else:
        text = _written(page, model, weight).tobytes().decode("utf-8", "replace")
    if len(text) < FEW_CHARACTERS and len(page.scripts):
        embedded = embedded_text(html, page.scripts)
        text = embedded if len(embedded) > 2 * len(text) else text
    return text


def blocks(form: str = "text", model: str | None = None, favor: str = "balanced") -> Callable[..., str]:
    """A function from a page's HTML in UTF-8 to its main text; see `main_text` for its argument `page`.

    Args:
        form: "text" or "markdown".
        model: Path of a model; None means the bundled one.
        favor: "precision", "balanced" or "recall".

    Raises:
        OSError: The model cannot be read.
        InvalidModel: It is no model.
    """
    return partial(main_text, model=load(model), form=form, favor=favor)
