"""Evidence for phone numbers: libphonenumber says whether a number is valid, its format whether it is meant as one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from curation.pii.context import in_context, may_be_in_context
from curation.pii.evidence import Match, is_part
from curation.pii.recognizers import Span
from curation.pii.windows import MIN_PHONE_DIGITS, Window, digits_before_words, plain

PRESIDIO_SCORE = 0.4
"""presidio's score for any number that is valid in one of the regions."""
WELL_PRINTED = 0.6
"""The score of a phone number in international format or grouped as is usual in its country."""
MAX_FIGURES = 100
"""A run of more digits, separated only by spaces and punctuation, is a table, in which no phone number is searched."""

_DATE = re.compile(
    r"(?<![\d./-])(?:(?:[0-2]?\d|3[01])([./-])\s?(?:[0-2]?\d|3[01])\1\s?(?:19|20)?\d\d"
    r"|(?:19|20)\d\d([./-])(?:0?\d|1[0-2])\2(?:[0-2]?\d|3[01]))(?![./-]?\d)"
)
_QUAD = re.compile(r"(?!\d\d(?:\.\d\d){3}$|\d{3}\.\d{3}\.\d\d\.\d\d$)\d{1,3}(?:\.\d{1,3}){3}")
"""Four groups separated by full stops, which are an address or version, except two digits each or 044.668.18.00."""
_PLUS = re.compile(r"[+＋]\D{0,3}\d")
_EXTENSION = re.compile(
    r"(?:;ext=|[ \u00a0\t,]{0,20}(?:e?xt(?:ensi(?:o\u0301?|ó))?n?|ｅ?ｘｔｎ?|доб|anexo|[xｘ#＃~～]|int|ｉｎｔ)[:.．]?"
    r"[ \u00a0\t,-]{0,20})?\d{0,20}#?",
    re.IGNORECASE,
)
"""The formats of extensions that libphonenumber accepts."""
_INTERNATIONAL = re.compile(r"[(（\[［]?[+＋]")
_NOT_INSIDE = r"(?<!\d)(?<!\d[.,:/+-])"
_GROUPED = re.compile(
    rf"{_NOT_INSIDE}(?:(?:1[ .-]{{1,3}})?\(?[2-9]\d\d(?:\)[ .-]{{0,3}}|[ .-]{{1,3}})[2-9]\d\d[ .-]{{1,3}}\d{{4}}(?!\d)"
    r"|\(?0[1-9]\d{0,4}[)/ .-])"
)
"""The start of numbers that may be grouped as in their country: 3-3-4 digits, or an area code with trunk prefix."""
_SLASHED = re.compile(rf"{_NOT_INSIDE}\(?0 ?[1-9][\d ]{{0,5}}\)? ?/ ?\d[\d -]{{3,}}")
"""Area code / number, as in Germany and Austria, in any grouping."""
_FICTION = re.compile(r"\+1\d{3}55501\d\d")
"""Numbers that the North American numbering plan reserves for fiction, in every area."""


def may_be_phone(text: str, window: Window, minimum: float) -> bool:
    """Whether a number in a window can reach the score `minimum`: a cheap test before slow ones. False in a table."""
    if window.wanted > MAX_FIGURES:
        return False
    if minimum <= PRESIDIO_SCORE:
        return True
    written = plain(text[window.start : window.end])
    return (
        _PLUS.search(written) is not None
        or _SLASHED.search(written) is not None
        or any(_DATE.match(written, match.start()) is None for match in _GROUPED.finditer(written))
        or may_be_in_context("phone", text, window.start, end_of_context(text, window.end))
    )


def end_of_context(text: str, end: int) -> int:
    """How far libphonenumber may look after a number that ends before `end`: extension, time, next character."""
    extension = _EXTENSION.match(text, end)
    return min(len(text), max(end + len(":00"), extension.end() + 1 if extension else 0))


def judge_phone(text: str, span: Span, regions: tuple[str, ...]) -> Match | None:
    """Judge a phone number.

    Args:
        text: The text.
        span: Span found by the recognizer.
        regions: Regions (ISO 3166) of national phone numbers.

    Returns:
        The match, or None if the number contains a date, is part of something longer or is too short.
    """
    start, end = span.start, span.end
    raw = text[start:end]
    if raw[0] in "(（[［" and not set(raw) & set(")）]］"):
        start, raw = start + 1, raw[1:]
    if _is_part(text, start, end) or _DATE.search(raw) or _QUAD.fullmatch(raw):
        return None
    phone = _parse(raw, regions)
    if phone is None or digits_before_words(raw) < MIN_PHONE_DIGITS:
        return None
    score = span.score
    written = plain(raw)
    if _INTERNATIONAL.match(raw) or _SLASHED.fullmatch(written) or (phone.well_grouped and _GROUPED.match(written)):
        score = max(score, WELL_PRINTED)
    score = in_context("phone", text, start, end, score)
    return Match("phone", start, end, score, phone.value, _FICTION.fullmatch(phone.value) is not None)


def _is_part(text: str, start: int, end: int) -> bool:
    """Like `is_part`, but a plus sign or bracket starts a number even after a letter: "Free trial+1 408 886 7177"."""
    after_word = text[start] in "+＋(" and text[max(0, start - 1) : start].isalpha()
    return is_part(text[start:], 0, end - start) if after_word else is_part(text, start, end)


@dataclass(frozen=True, slots=True)
class _Phone:
    """A number in E.164 format with its extension, and whether its grouping is usual."""

    value: str
    well_grouped: bool


@lru_cache(maxsize=4096)
def _parse(raw: str, regions: tuple[str, ...]) -> _Phone | None:
    """Parse a number in the first region where its grouping is usual, else the first where it is valid."""
    import phonenumbers

    for leniency in (phonenumbers.Leniency.EXACT_GROUPING, phonenumbers.Leniency.VALID):
        for region in regions:
            match = next(iter(phonenumbers.PhoneNumberMatcher(raw, region, leniency)), None)
            if match is not None and match.raw_string == raw:
                return _to_phone(match.number, leniency != phonenumbers.Leniency.VALID)
    return None


def _to_phone(number: Any, well_grouped: bool) -> _Phone:
    import phonenumbers

    value = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return _Phone(f"{value};{number.extension}" if number.extension else value, well_grouped)
