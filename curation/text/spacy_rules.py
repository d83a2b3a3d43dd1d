"""spaCy's rules for the words of a language, and those of English from the machine's cache.

Importing spaCy takes half a second of processor time, which every process of a run would spend for a few lists of
strings. The rules of other languages are read from spaCy each time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curation.arrays import UInt8s
from curation.store.machine_cache import Array, cached_array, versions


@dataclass(frozen=True, slots=True)
class SpacyRules:
    """The rules of a language.

    Attributes:
        exceptions: The tokens of each exception, by its text.
        prefixes: Alternatives of the regular expression for prefixes.
        suffixes: Alternatives for suffixes, without the `$` at their end.
        infixes: Alternatives for infixes.
        url: The regular expression of URLs.
        units: Units and signs of currencies, as in `suffixes`.
    """

    exceptions: dict[str, list[str]]
    prefixes: list[str]
    suffixes: list[str]
    infixes: list[str]
    url: str
    units: list[str]


def rules_of(defaults: Any) -> SpacyRules:
    """The rules in the `Defaults` of a spaCy language."""
    from spacy.lang.char_classes import CURRENCY, UNITS
    from spacy.symbols import ORTH

    return SpacyRules(
        {key: [part[ORTH] for part in parts] for key, parts in defaults.tokenizer_exceptions.items()},
        [piece for piece in defaults.prefixes if piece.strip()],
        [piece for piece in defaults.suffixes if piece.strip()],
        [piece for piece in defaults.infixes if piece.strip()],
        defaults.url_match.__self__.pattern,
        [*UNITS.split("|"), *CURRENCY.split("|")],
    )


def english_rules() -> SpacyRules:
    """The rules of English of the installed spaCy."""
    return _unpacked(cached_array(f"english-rules-v1-{versions('spacy')}", _packed, _is_packed))


def _packed() -> UInt8s:
    from spacy.lang.en import English

    return np.frombuffer(json.dumps(asdict(rules_of(English.Defaults))).encode(), np.uint8)


def _is_packed(array: Array) -> bool:
    try:
        return array.dtype == np.uint8 and bool(_unpacked(array).prefixes)
    except (ValueError, TypeError):
        return False


def _unpacked(array: Array) -> SpacyRules:
    return SpacyRules(**json.loads(array.tobytes()))
