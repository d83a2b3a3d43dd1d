"""Finds written phone numbers, as the matcher of phonenumbers does, for all regions at once and in linear time.

The matcher takes the longest run of digits and punctuation, up to some limits, and if it is no valid number tries its
parts: behind a slash, in brackets, behind a dash, a full stop or a space. Whether a part is a valid number is decided
in `numbering`. Regions that find the same numbers, or none, which is nearly always so, share all of the work.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Container, Iterable, Iterator
from functools import cache, lru_cache
from itertools import accumulate
from typing import NamedTuple

from curation.pii.numbering import EXTENSION, Form, Number, digits_of, form_of, numbers_in_form, shape
from curation.pii.numbering_plans import PUNCTUATION, regions_of

_LEAD = "(\\[\uff08\uff3b+\uff0b"
_FIRST_DIGIT = re.compile(r"\d")
_LEADS = re.compile(rf"(?:[{_LEAD}][{PUNCTUATION}]{{0,4}}){{1,2}}\Z", re.IGNORECASE)
_MAX_LEADS = 10
"""Characters of the longest `_LEADS`."""
_MAY_LEAD = re.compile(rf"[{PUNCTUATION}{_LEAD}]", re.IGNORECASE)
_BODY = re.compile(rf"\d{{1,20}}+(?:[{PUNCTUATION}]{{0,4}}+\d{{1,20}}+){{0,20}}+(?:{EXTENSION})?", re.IGNORECASE)
"""Digits with punctuation between them, and an extension. Each expression without an upper bound is possessive."""
_SHORT = 256
"""Characters of a text that is looked at as a whole, and of which the numbers are kept in memory."""
_ONE_NUMBER = 32
"""Characters of a text of which all is looked at once, since it has hardly more than one number."""
_SECOND_NUMBER = re.compile(r"[\\/] *+x")
_SLASHED_DATE = re.compile(r"(?:[0-3]?\d/[01]?\d|[01]?\d/[0-3]?\d)/(?:[12]\d)?\d{2}")
_TIME_STAMP = re.compile(r"[12]\d{3}[-/]?[01]\d[-/]?[0-3]\d {1,4}[0-2]\d\Z")
_MINUTES = re.compile(r":[0-5]\d")
_PARTS = (
    re.compile(r"(?<!/)/++(.*+)"),
    re.compile(r"(\([^(]*+)"),
    re.compile(r"(?:\s-|-\s)\s*+(.++)"),
    re.compile(r"[\u2012-\u2015\uff0d]\s*+(.++)"),
    re.compile(r"(?<!\.)\.++\s*+([^.]++)"),
    re.compile(r"(?<!\s)\s++(\S++)"),
)
"""What may separate two numbers, with the part behind it; in this order."""


class _NumberPart(NamedTuple):
    """A part of a text that may be a number.

    Attributes:
        start: First character.
        end: Character after the last.
        first: Number of digits before it in the candidate.
        last: Number of digits up to its end in the candidate.
        form: How it is written.
    """

    start: int
    end: int
    first: int
    last: int
    form: Form


class _Candidate(NamedTuple):
    """A run of digits and punctuation.

    Attributes:
        start: First character.
        end: Character after the last.
        digits: Number of its digits.
        may_be_date: Whether it may be a date or a time.
        parts: Its parts, itself first.
    """

    start: int
    end: int
    digits: int
    may_be_date: bool
    parts: tuple[_NumberPart, ...]


def find_numbers(
    text: str, regions: tuple[str, ...], limit: int | None = None
) -> dict[tuple[int, int], dict[str, Number] | None]:
    """Find the numbers that are valid in any of the regions.

    Args:
        text: A stretch of text.
        regions: Regions (ISO 3166), the preferred one first: if a number of one region has all digits of the text, the
            regions after it are not asked.
        limit: Place in the text before which numbers must begin, and digits count.

    Returns:
        What each number means, by its start and end: the number by region, or None if not all regions were asked.
        Numbers of different regions may overlap.
    """
    return (_find_numbers if len(text) <= _SHORT else _find_numbers.__wrapped__)(text, regions, limit)


@lru_cache(maxsize=1 << 12)
def _find_numbers(
    text: str, regions: tuple[str, ...], limit: int | None
) -> dict[tuple[int, int], dict[str, Number] | None]:
    form, digits = shape(text), digits_of(text)
    first, last = (_ends if len(form) <= _SHORT else _ends.__wrapped__)(form[:limit])
    candidate = _candidate(form, 0) if first < last else None
    if candidate is None:
        return {}
    whole = candidate.parts[0] if candidate.parts else None
    if whole and whole.start <= first and last <= whole.end and not _is_date(text, candidate):
        # Nearly all texts are one number, or none.
        valid = numbers_in_form(whole.form, digits[: whole.last], text[whole.start : whole.end], regions, regions)
        missing = regions[: regions.index(next(iter(valid)))] if valid else regions
        if not missing or not _may_have_numbers(candidate.parts[1:], digits, regions, missing):
            return {(whole.start, whole.end): valid} if valid else {}
    return _search(text, form, digits, (first, last), regions)


def _may_have_numbers(
    parts: Iterable[_NumberPart], digits: str, regions: tuple[str, ...], wanted: Container[str]
) -> bool:
    """Whether any part may be a number that is valid in some of the regions: a quick test.

    Args:
        parts: Parts of a candidate.
        digits: The digits of the candidate.
        regions: All regions.
        wanted: Some of them.
    """
    readings = regions_of(regions)
    return any(
        not part.form.is_plain or any(one[0] in wanted for one in readings.match(digits[part.first : part.last])[0])
        for part in parts
    )


def _search(
    text: str, form: str, digits: str, ends: tuple[int, int], regions: tuple[str, ...]
) -> dict[tuple[int, int], dict[str, Number] | None]:
    """Find numbers from one candidate to the next, for all regions at once.

    Args:
        text: A stretch of text.
        form: Its shape.
        digits: Its digits.
        ends: Where the first digit is that counts, and the place after the last one.
        regions: The regions.
    """
    first, last = ends
    meanings: dict[tuple[int, int], dict[str, Number] | None] = {}
    found: dict[tuple[int, int], list[str]] = {}
    # Places where to go on, with the number of digits before them, and the regions for which to go on there.
    pending: dict[tuple[int, int], tuple[str, ...]] = {(0, 0): regions}
    allowed = regions
    while pending:
        place, skipped = min(pending)
        missing = tuple(region for region in pending.pop((place, skipped)) if region in allowed)
        candidate = _candidate(form, place)
        if candidate is None:
            continue
        for start, end, begin, stop, how in () if _is_date(text, candidate) else candidate.parts:
            part = digits[skipped + begin : skipped + stop]
            if how.is_plain and not regions_of(regions).match(part)[0]:
                continue
            valid = numbers_in_form(how, part, text[start:end], regions, missing)
            if valid:
                hits = [region for region in missing if region in valid]
                span = (start, end)
                meanings[span] = valid if missing == regions else None
                if start <= first and last <= end:
                    allowed = regions[: 1 + regions.index(hits[0])]
                    hits = hits[:1]
                found.setdefault(span, []).extend(hits)
                missing = tuple(region for region in missing if region in allowed and region not in valid)
                if end < last:
                    pending[end, skipped + stop] = (*pending.get((end, skipped + stop), ()), *hits)
                if not missing:
                    break
        if missing and candidate.end < last:
            after = (candidate.end, skipped + candidate.digits)
            pending[after] = (*pending.get(after, ()), *missing)
    return {span: meanings[span] for span, hits in found.items() if not set(hits).isdisjoint(allowed)}


def _candidate(form: str, place: int) -> _Candidate | None:
    """The next candidate of a text, or of its shape, from a place on."""
    if len(form) <= _ONE_NUMBER:
        return _candidate_of(form, place)
    span = next_candidate(form, place)
    if span is None:
        return None
    # Only the characters around a candidate matter. Those of equal shape are looked at once.
    begin = max(0, span[0] - 1)
    found = _candidate_of(form[begin : span[1] + 1], span[0] - begin)
    if found is None:
        return None
    parts = (part._replace(start=begin + part.start, end=begin + part.end) for part in found.parts)
    return _Candidate(begin + found.start, begin + found.end, found.digits, found.may_be_date, tuple(parts))


@lru_cache(maxsize=1 << 12)
def _ends(text: str) -> tuple[int, int]:
    """Where the first digit of a text is, and the place after the last."""
    digits = _any_digit()
    first, last = digits.search(text), digits.search(text[::-1])
    return (first.start(), len(text) - last.start()) if first and last else (len(text), 0)


@cache
def _any_digit() -> re.Pattern[str]:
    """Matches what `str.isdigit` does, superscripts included."""
    return re.compile(f"[{''.join(filter(str.isdigit, map(chr, range(sys.maxunicode + 1))))}]")


def next_candidate(text: str, place: int) -> tuple[int, int] | None:
    """Start and end of the next run of digits and punctuation with its extension, from a place on."""
    digit = _FIRST_DIGIT.search(text, place)
    if digit is None:
        return None
    start = digit.start()
    body = _BODY.match(text, start)
    assert body is not None  # it begins with a digit
    if start > place and _MAY_LEAD.match(text, start - 1):
        leads = _LEADS.search(text, max(place, start - _MAX_LEADS), start)
        start = start if leads is None else leads.start()
    second = _SECOND_NUMBER.search(text, start, body.end()) if "x" in body[0] else None
    return start, body.end() if second is None else second.start()


@lru_cache(maxsize=1 << 13)
def _candidate_of(text: str, place: int) -> _Candidate | None:
    span = next_candidate(text, place)
    if span is None:
        return None
    start, end = span
    candidate = text[start:end]
    may_be_date = candidate.count("/") > 1 or candidate[-3:-2] == " "
    before = [0, *accumulate(map(str.isdecimal, candidate))]
    parts = {}
    whole = (0, len(candidate))
    for begin, stop in (whole, *_parts(candidate)):
        part = candidate if (begin, stop) == whole else _without_end(candidate[begin:stop])
        first, last = start + begin, start + begin + len(part)
        is_new = part != "" and (first, last) not in parts
        form = form_of(part) if is_new and _stands_alone(text, first, part) else None
        if form is not None:
            parts[first, last] = _NumberPart(first, last, before[begin], before[begin + len(part)], form)
    return _Candidate(start, end, before[-1], may_be_date, tuple(parts.values()))


def _is_date(text: str, candidate: _Candidate) -> bool:
    """Whether a candidate is a date like 3/10/2011, or a time like 2012-01-02 08:00."""
    if not candidate.may_be_date:
        return False
    written = text[candidate.start : candidate.end]
    if _SLASHED_DATE.search(written):
        return True
    return _TIME_STAMP.search(written) is not None and _MINUTES.match(text, candidate.end) is not None


def _parts(candidate: str) -> Iterator[tuple[int, int]]:
    """Start and end of the parts of a candidate, in the order in which they are tried."""
    for pattern in _PARTS:
        match, previous = pattern.search(candidate), -1
        if match is not None:
            yield 0, match.start()
        while match is not None:
            start = match.start(1)
            if start != previous:  # of several slashes, all give the same part
                yield start, match.end(1)
            previous = start
            match = pattern.search(candidate, match.start() + 1)


def _without_end(part: str) -> str:
    """The part without punctuation at its end."""
    end = len(part)
    while end and not (part[end - 1].isalnum() or part[end - 1] == "#"):
        end -= 1
    return part[:end]


def _stands_alone(text: str, start: int, part: str) -> bool:
    """Whether no Latin letter, percent or currency sign is next to a number."""
    end = start + len(part)
    if start and part[0] not in "([\uff08\uff3b+\uff0b" and _joins(text[start - 1]):
        return False
    return end == len(text) or not _joins(text[end])


@lru_cache(maxsize=1 << 12)
def _joins(character: str) -> bool:
    """Whether a number next to a character is not one: Latin letters, % and currency signs."""
    category, code = unicodedata.category(character), ord(character)
    latin = code < 0x250 or 0x300 <= code < 0x370 or 0x1E00 <= code < 0x1F00
    return character == "%" or category == "Sc" or (latin and (category[0] == "L" or category == "Mn"))
