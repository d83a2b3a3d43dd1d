"""Names of languages: `de` (ISO 639-1), `deu` (ISO 639-3) and `deu_Latn` (with the script) are the same language.

The table comes with datatrove, for whose word tokenizers it was made: 2,177 pairs of language and script, with the
ISO 639-1 code and the pair that is meant if the script is left out. A model has labels of its own: those of lid.176
are Wikipedia's codes (`de`), those of GlotLID and OpenLID have a script (`deu_Latn`).
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_MEANT = {
    "bh": "bho_Deva", "bih": "bho_Deva", "ku": "kmr_Latn", "kur": "kmr_Latn", "no": "nob_Latn", "nor": "nob_Latn",
    "sh": "hbs_Latn", "hbs": "hbs_Latn", "tl": "fil_Latn", "tgl": "fil_Latn",
}  # fmt: skip
"""Codes that the table leaves open, or assigns to a language that few people mean by them."""

_OF_WIKIPEDIA = {"als": "gsw_Latn"}
"""Labels of lid.176 that are not ISO's: `als` is Alemannic there, in ISO 639-3 it is Tosk Albanian."""

CLOSEST = 4
"""Maximum number of languages that a message suggests."""

SHOWN = 12
"""Maximum number of names in a message."""


class LanguageEntry(NamedTuple):
    """A language in one script.

    Attributes:
        label: ISO 639-3 code and script, `deu_Latn`.
        name: English name; empty for a few.
        tokenizer: The class of datatrove that finds its words, `SpaCyTokenizer`; empty if there is none.
        code: The code that this class is given, `de`; empty if it takes none.
    """

    label: str
    name: str
    tokenizer: str
    code: str


@cache
def languages() -> dict[str, LanguageEntry]:
    """All languages that are known, by label."""
    return {
        entry.label: entry
        for entry in (
            LanguageEntry(f"{row['code_3']}_{row['script']}", row["name"], row["type"], row["tok_code"])
            for row in _rows()
        )
    }


def full_label(name: str) -> str | None:
    """The label with a script that a name means; None if the name is not known.

    >>> full_label("de"), full_label("deu"), full_label("deu_Latn"), full_label("zho"), full_label("klingon")
    ('deu_Latn', 'deu_Latn', 'deu_Latn', 'cmn_Hani', None)
    """
    return _names().get(name)


def label_of(model_label: str) -> str:
    """The label with a script for a label of a model; the label itself if it is not known.

    >>> label_of("de"), label_of("deu_Latn"), label_of("als"), label_of("__other")
    ('deu_Latn', 'deu_Latn', 'gsw_Latn', '__other')
    """
    return _OF_WIKIPEDIA.get(model_label) or _names().get(model_label) or model_label


def model_label(name: str, labels: Collection[str]) -> str | None:
    """The label by which a model calls a language; None if the model does not know it.

    Args:
        name: The language: a label of the model, or a name such as `de`, `deu` or `deu_Latn`.
        labels: All labels of the model.

    >>> model_label("deu", ["de", "en"]), model_label("de", ["deu_Latn"]), model_label("fr", ["deu_Latn"])
    ('de', 'deu_Latn', None)
    """
    if name in labels:
        return name
    meant = full_label(name)
    return next((label for label in sorted(labels) if label_of(label) == meant), None) if meant else None


def closest(name: str, labels: Collection[str]) -> str:
    """The languages that a misspelled code or English name may mean, for a message; empty if none is close.

    Args:
        name: What was given.
        labels: The labels to choose from.

    >>> closest("german", ["de", "en", "fr"]), closest("eng_Latin", ["eng_Latn", "fra_Latn"]), closest("?", ["de"])
    ('de (German)', 'eng_Latn (English)', '')
    """
    known, names = languages(), dict[str, str]()
    for label in sorted(labels):
        full = label_of(label)
        for each in (label, full, full.partition("_")[0], known[full].name if full in known else ""):
            names.setdefault(each.lower(), label)
    found = dict.fromkeys(names[each] for each in get_close_matches(name.lower(), names, SHOWN) if each)
    shown = [f"{label} ({known[full].name})" if (full := label_of(label)) in known else label for label in found]
    return ", ".join(shown[:CLOSEST])


def some(names: Iterable[str]) -> str:
    """Names for a message: the first few of many, and how many there are."""
    ordered = sorted(names)
    more = f", … ({len(ordered):,} in all)" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more


@cache
def _names() -> dict[str, str]:
    """Every name with the label that it means."""
    rows = _rows()
    found = {f"{row['code_3']}_{row['script']}": f"{row['code_3']}_{row['script']}" for row in rows}
    usual = [row for row in rows if row["default_script"] == "TRUE"]
    found |= {row["code_3"]: f"{row['code_3']}_{row['script']}" for row in usual}
    by_short = {row["code_1"]: found[row["code_3"]] for row in usual if row["default_code_1"] == "TRUE"}
    for row in usual:  # a group of languages, such as `zho`, means the most common one of them
        if row["code_1"] in by_short and not row["family"]:
            found[row["code_3"]] = by_short[row["code_1"]]
    return found | by_short | _MEANT


@cache
def _rows() -> list[dict[str, str]]:
    package = find_spec("datatrove")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("tokenizer_assignment.csv: the package datatrove is not installed")
    file = Path(package.submodule_search_locations[0]) / "assets" / "tokenizer_assignment.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
