"""A second opinion on the language of texts of which the fastText model is not sure.

lid.176 is right for 89 % of single sentences, and its scores are honest: where it is wrong, they are low. py3langid
and CLD2 make other mistakes. Asked for the quarter of the sentences that lid.176 scores below 0.8, they raise that to
96 and 95 % (docs/languages.md).
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import lzma
import re
from collections.abc import Collection
from functools import cache, partial
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa

from curation.arrays import Bools
from curation.language import identify
from curation.language.identify import Predictions
from curation.language.labels import model_label
from curation.store.machine_cache import cached_array

Second = Literal["py3langid", "cld2"]
"""Names of the libraries."""

PACKAGES = {"py3langid": "py3langid", "cld2": "pycld2"}

MAX_CHARACTERS = 3000
"""Characters at the beginning of a text that are looked at: a second opinion is about what the text is in, not all of
it, and py3langid takes a millisecond for as many."""

_OLD_CODES = {"iw": "he", "in": "id", "jw": "jv"}
_REFUSED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""Characters that CLD2 refuses."""


def second_version(name: Second) -> str:
    """Name and version of the library.

    Raises:
        ValueError: It is not installed.
    """
    package = PACKAGES[name]
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError as error:
        raise ValueError(f"the package is not installed: pip install {package}") from error


def with_second(
    predicted: Predictions, texts: pa.StringArray, name: Second, below: float, path: str | None = None
) -> tuple[Predictions, Bools]:
    """Ask for a second opinion on each text whose score is too low.

    Args:
        predicted: The model's predictions.
        texts: The texts.
        name: The library to ask.
        below: Score of the model below which the second opinion counts.
        path: Path of the model; by default the bundled lid.176.ftz.

    Returns:
        The predictions, with the language and the score of the second opinion where it has one that the model has a
        label for; and for which texts, shape (texts,).
    """
    labels = identify.labels(path)
    languages, scores = list(predicted.languages), predicted.scores.copy()
    changed = np.zeros(len(texts), np.bool_)
    for row in np.flatnonzero(predicted.scores < below).tolist():
        if languages[row] is None:
            continue
        code, score = _ask(name, (texts[row].as_py() or "")[:MAX_CHARACTERS])
        label = None if code is None else _label(code, labels)
        if label is not None:
            languages[row], scores[row], changed[row] = label, score, True
    return dataclasses.replace(predicted, languages=languages, scores=scores), changed


def _ask(name: Second, text: str) -> tuple[str | None, float]:
    """The language as the library calls it, None if it has no answer, and the score of it, 0 to 1."""
    if name == "py3langid":
        code, score = _py3langid().classify(text)
        return code, min(float(score), 1.0)
    import pycld2

    try:
        is_reliable, _, found = pycld2.detect(_REFUSED.sub(" ", text))
    except pycld2.error:
        return None, 0.0
    _, code, percent, _ = found[0]
    share = percent / 100
    return (None, 0.0) if code == "un" else (code, share if is_reliable else share / 2)


@cache
def _py3langid() -> Any:
    """The library's identifier. Its model is decompressed once on each machine, which takes half a second."""
    from py3langid.langid import LanguageIdentifier

    name = f"py3langid-{importlib.metadata.version('py3langid')}"
    ptc, pc, classes, moves, rows, features = (
        cached_array(f"{name}-{part}", partial(_part_of_model, part), lambda array: array.size > 0, mapped=True)
        for part in ("ptc", "pc", "classes", "nextmove", "nextmove_row", "out_feat")
    )
    automaton = memoryview(cast(Any, moves)), features.tolist()
    return LanguageIdentifier(ptc, pc, classes.tolist(), *automaton, norm_probs=True, tk_row=rows.tolist())


def _part_of_model(name: str) -> Any:
    return _model()[name]


@cache
def _model() -> Any:
    """The arrays of py3langid's model: an archive of NumPy's that is compressed with xz."""
    from py3langid.langid import MODEL_DIR, MODEL_FILE

    with lzma.open(MODEL_DIR / MODEL_FILE) as file:
        return np.load(io.BytesIO(file.read()), allow_pickle=False)


@cache
def _label(code: str, labels: Collection[str]) -> str | None:
    code = _OLD_CODES.get(code, code).split("-")[0]
    return model_label(code, labels)
