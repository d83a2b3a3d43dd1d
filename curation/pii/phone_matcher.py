"""Finds written phone numbers, as the matcher of phonenumbers does, for all regions at once and in linear time.

The matcher takes the longest run of digits and punctuation, up to some limits, and if it is no valid number tries its
parts: behind a slash, in brackets, behind a dash, a full stop or a space. Whether a part is a valid number is decided
in `numbering`. Regions that find the same numbers, or none, which is nearly always so, share all of the work.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple, TypeVar

from curation.pii.numbering import EXTENSION, Number, digits_of, form_of, numbers_in_form, shape
from curation.pii.numbering_plans import PUNCTUATION, Readings, regions_of
from curation.pii.window_kernels import MIN_ABROAD

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
_KEPT, _KEPT_SHAPES = 1 << 8, 1 << 10
"""Texts and shapes of texts whose numbers are kept in memory. With many more, most of the time goes to the garbage
collector: what lives until it is replaced by others makes it look through all of the memory of the process."""
_ONE_NUMBER = 32
"""Characters of a text of which all is looked at once, since it has hardly more than one number."""
_NOT_PLAIN = re.compile("[^\\W\\d_]|[;,#\uff03~\uff5e+\uff0b]")
"""What a number of digits and punctuation does not have: letters, and what may begin an extension."""
_SECOND_NUMBER = re.compile(r"[\\/] *+x")
_SLASHED_DATE = re.compile(r"(?:[0-3]?\d/[01]?\d|[01]?\d/[0-3]?\d)/(?:[12]\d)?\d{2}")
_TIME_STAMP = re.compile(r"[12]\d{3}[-/]?[01]\d[-/]?[0-3]\d {1,4}[0-2]\d\Z")
_MINUTES = re.compile(r":[0-5]\d")
_DASHES = "\u2012\u2013\u2014\u2015\uff0d"
_PARTS = {
    "/": re.compile(r"(?<!/)/++(.*+)"),
    "(": re.compile(r"(\([^(]*+)"),
    "-": re.compile(r"(?:\s-|-\s)\s*+(.++)"),
    _DASHES: re.compile(rf"[{_DASHES}]\s*+(.++)"),
    ".": re.compile(r"(?<!\.)\.++\s*+([^.]++)"),
    " \u00a0\u3000\t": re.compile(r"(?<!\s)\s++(\S++)"),
}
"""What may separate two numbers, with the part behind it; in this order, by characters of which it has one."""


_Meant = TypeVar("_Meant")


class _NumberPart(NamedTuple):
    """A part of a text that may be a number.

    Attributes:
        start: First character.
        end: Character after the last.
        shape: Its shape.
    """

    start: int
    end: int
    shape: str


class _Candidate(NamedTuple):
    """A run of digits and punctuation.

    Attributes:
        start: First character.
        end: Character after the last.
        may_be_date: Whether it may be a date or a time.
        is_plain: Whether there are only digits and punctuation, so that its parts are plain numbers, or none.
        parts: Its parts, itself first: each a `_NumberPart`.
    """

    start: int
    end: int
    may_be_date: bool
    is_plain: bool
    parts: Sequence[_NumberPart]


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


@lru_cache(maxsize=_KEPT)
def _find_numbers(
    text: str, regions: tuple[str, ...], limit: int | None
) -> dict[tuple[int, int], dict[str, Number] | None]:
    form, digits = shape(text), digits_of(text)
    is_short = len(form) <= _SHORT
    first, last, candidate = (first_candidate if is_short else first_candidate.__wrapped__)(form, limit)
    if candidate is None:
        return {}
    before = (_digits_before if is_short else _digits_before.__wrapped__)(form)
    known = _KnownReadings(regions)

    def numbers_in(part: _NumberPart, candidate: _Candidate, wanted: tuple[str, ...]) -> dict[str, Number]:
        own = digits[before[part.start] : before[part.end]]
        return _numbers_in_part(part, candidate.is_plain, own, text, known, wanted)

    whole = candidate.parts[0] if candidate.parts else None
    if whole and whole.start <= first and last <= whole.end and not _is_date(text, candidate):
        # Nearly all texts are one number, or none.
        valid = numbers_in(whole, candidate, regions)
        missing = regions[: regions.index(next(iter(valid)))] if valid else regions
        if not missing or not _may_have_numbers(candidate, digits, before, known, missing):
            return {(whole.start, whole.end): valid} if valid else {}
    return search(text, (first, last), regions, lambda place: candidate_at(form, place), numbers_in)


@lru_cache(maxsize=_KEPT_SHAPES)
def _digits_before(form: str) -> list[int]:
    """The number of digits before each character of a text, or of its shape, and before its end."""
    return [0, *accumulate(map(str.isdigit, form))]


class _KnownReadings(dict[str, Readings]):
    """What digits may mean in some regions, each asked for once."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        super().__init__()
        self.regions = regions
        self._match = regions_of(regions).match

    def __missing__(self, digits: str) -> Readings:
        found: Readings = self._match(digits)
        self[digits] = found
        return found


def _numbers_in_part(
    part: _NumberPart, is_plain: bool, own: str, text: str, known: _KnownReadings, wanted: tuple[str, ...]
) -> dict[str, Number]:
    """What a part of a candidate means, by region; tests of its digits go before slower ones of its form.

    Args:
        part: The part.
        is_plain: Whether its candidate is.
        own: Its digits.
        text: The text in which the part is.
        known: What digits may mean in all regions.
        wanted: The regions to ask.
    """
    readings = known[own].usual if is_plain else None
    form = form_of(part.shape) if readings or not is_plain else None
    if form is None or (form.plus and form.size < MIN_ABROAD and not form.has_letters):
        return {}
    if readings is None and form.is_plain:
        readings = known[own].usual
        if not readings:
            return {}
    return numbers_in_form(form, own, text[part.start : part.end], known.regions, wanted, readings)


def _may_have_numbers(
    candidate: _Candidate, digits: str, before: Sequence[int], known: _KnownReadings, wanted: Container[str]
) -> bool:
    """Whether any part of a candidate except itself may be a number that is valid in some of the regions: a quick test.

    Args:
        candidate: The candidate.
        digits: The digits of the text.
        before: The number of digits before each character.
        known: What digits may mean in all regions.
        wanted: Some of them.
    """
    for part in candidate.parts[1:]:
        form = None if candidate.is_plain else form_of(part.shape)
        if form is None or form.is_plain:
            if any(one[0] in wanted for one in known[digits[before[part.start] : before[part.end]]].usual):
                return True
        else:
            return True
    return False


def search(
    text: str,
    ends: tuple[int, int],
    regions: tuple[str, ...],
    next_one: Callable[[int], _Candidate | None],
    numbers_in: Callable[[Any, _Candidate, tuple[str, ...]], dict[str, _Meant]],
) -> dict[tuple[int, int], dict[str, _Meant] | None]:
    """Find numbers from one candidate to the next, for all regions at once.

    Args:
        text: A stretch of text.
        ends: Where the first digit is that counts, and the place after the last one.
        regions: The regions, the preferred one first.
        next_one: Returns the next candidate from a place on, or None.
        numbers_in: Returns what a part of a candidate means in each of some regions in which it is a number.
    """
    first, last = ends
    meanings: dict[tuple[int, int], dict[str, _Meant] | None] = {}
    found: dict[tuple[int, int], list[str]] = {}
    # Places where to go on, and the regions for which to go on there.
    pending: dict[int, tuple[str, ...]] = {0: regions}
    allowed = regions
    while pending:
        place = min(pending)
        missing = pending.pop(place)
        if allowed is not regions:
            missing = tuple(region for region in missing if region in allowed)
        candidate = next_one(place)
        if candidate is None:
            continue
        for part in () if _is_date(text, candidate) else candidate.parts:
            valid = numbers_in(part, candidate, missing)
            hits = [region for region in missing if region in valid]
            if hits:
                start, end = span = part.start, part.end
                meanings[span] = valid if missing == regions else None
                if start <= first and last <= end:
                    allowed = regions[: 1 + regions.index(hits[0])]
                    hits = hits[:1]
                found.setdefault(span, []).extend(hits)
                missing = tuple(region for region in missing if region in allowed and region not in valid)
                if end < last:
                    pending[end] = (*pending.get(end, ()), *hits)
                if not missing:
                    break
        if missing and candidate.end < last:
            pending[candidate.end] = (*pending.get(candidate.end, ()), *missing)
    return {span: meanings[span] for span, hits in found.items() if not set(hits).isdisjoint(allowed)}


def candidate_at(form: str, place: int) -> _Candidate | None:
    """The next candidate of a text, or of its shape, from a place on."""
    if len(form) <= _ONE_NUMBER:
        return _candidate_of(form, place)
    span = next_candidate(form, place)
    if span is None:
        return None
    # Only the characters around a candidate matter. Those of equal shape are looked at once.
    begin = max(0, span[0] - 1)
    found = _candidate_of(form[begin : span[1] + 1], span[0] - begin, span[1] - begin)
    if found is None:
        return None
    parts = [_NumberPart(begin + part.start, begin + part.end, part.shape) for part in found.parts]
    return _Candidate(begin + found.start, begin + found.end, found.may_be_date, found.is_plain, parts)


@lru_cache(maxsize=_KEPT_SHAPES)
def first_candidate(form: str, limit: int | None) -> tuple[int, int, _Candidate | None]:
    """Where the first digit of a text, or of its shape, is before a limit, the place after the last, and a candidate.

    Args:
        form: The text, or its shape.
        limit: Place before which digits count.
    """
    counted = form[:limit]
    first, last = _FIRST_DIGIT.search(counted), _FIRST_DIGIT.search(counted[::-1])
    if first is None or last is None:
        return 0, 0, None
    return first.start(), len(counted) - last.start(), candidate_at(form, 0)


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
    has_x = text.find("x", start, body.end()) >= 0
    second = _SECOND_NUMBER.search(text, start, body.end()) if has_x else None
    return start, body.end() if second is None else second.start()


@lru_cache(maxsize=_KEPT_SHAPES)
def _candidate_of(text: str, place: int, end: int | None = None) -> _Candidate | None:
    """The candidate from a place on, or the next one if it is not known where that ends."""
    span = next_candidate(text, place) if end is None else (place, end)
    if span is None:
        return None
    start, end = span
    candidate = text[start:end]
    parts = {}
    inner = ((start + begin, _without_end(candidate[begin:stop])) for begin, stop in _parts(candidate))
    for first, part in ((start, candidate), *inner):
        last = first + len(part)
        if part and (first, last) not in parts and _stands_alone(text, first, part):
            parts[first, last] = _NumberPart(first, last, part)
    is_plain = _NOT_PLAIN.search(candidate) is None
    return _Candidate(start, end, _may_be_date(candidate), is_plain, tuple(parts.values()))


def _may_be_date(candidate: str) -> bool:
    """Whether a candidate may be a date or a time, by its shape."""
    return candidate.count("/") > 1 or candidate[-3:-2] == " "


def is_date(text: str, start: int, end: int) -> bool:
    """Whether a candidate that may be one is a date like 3/10/2011, or a time like 2012-01-02 08:00."""
    written = text[start:end]
    if _SLASHED_DATE.search(written):
        return True
    return _TIME_STAMP.search(written) is not None and _MINUTES.match(text, end) is not None


def _is_date(text: str, candidate: _Candidate) -> bool:
    return candidate.may_be_date and is_date(text, candidate.start, candidate.end)


def _parts(candidate: str) -> Iterator[tuple[int, int]]:
    """Start and end of the parts of a candidate, in the order in which they are tried."""
    written = set(candidate)
    for needed, pattern in _PARTS.items():
        if written.isdisjoint(needed):
            continue
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
    if start and part[0] not in "([\uff08\uff3b+\uff0b" and joins(text[start - 1]):
        return False
    return end == len(text) or not joins(text[end])


@lru_cache(maxsize=1 << 12)
def joins(character: str) -> bool:
    """Whether a number next to a character is not one: Latin letters, % and currency signs."""
    category = unicodedata.category(character)
    if character == "%" or category == "Sc":
        return True
    return _is_latin(ord(character)) and (category[0] == "L" or category == "Mn")


def _is_latin(code: int) -> bool:
    """Whether a letter or combining mark is Latin to the matcher."""
    return code < 0x250 or 0x300 <= code < 0x370 or 0x1E00 <= code < 0x1F00
