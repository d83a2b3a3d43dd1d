"""Evidence for phone numbers: numbering plans say whether a number is valid, its format whether it is meant as one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from curation.arrays import Bools, Int64s
from curation.pii.context import has_label, in_context, is_named_otherwise, may_be_in_context
from curation.pii.digit_meanings import Meaning
from curation.pii.evidence import Match, is_part
from curation.pii.extensions import end_of_context
from curation.pii.number_shapes import FoundNumber, NumberShape, number_shapes
from curation.pii.numbering import (
    COUNTRY_CODE,
    PLUS,
    Grouping,
    Number,
    digits_of,
    grouping,
    may_be_grouped,
    numbers,
    shape,
    usually_grouped,
)
from curation.pii.numbering_plans import regions_of
from curation.pii.part_kernels import AFTER_PLUS, find_parts, kinds_of_characters
from curation.pii.phone_matcher import ReadPart, is_date, next_candidate, numbers_in_parts
from curation.pii.recognizers import GLUED_WORD, PHONE_SCORE, Span
from curation.pii.shape_keys import AROUND, BEHIND
from curation.pii.window_kernels import MAX_DIGITS
from curation.pii.windows import HYPHENS, MIN_PHONE_DIGITS, NUMBER_PUNCTUATION, plain
from curation.text import views

WELL_PRINTED = 0.6
"""The score of a phone number in international format or grouped as is usual in its country."""
MAX_FIGURES = MAX_DIGITS
"""A run of more digits, separated only by spaces and punctuation, is a table, in which no phone number is searched."""

_DATE_PATTERN = (
    r"(?<![\d./-])(?:(?:[0-2]?\d|3[01])(?P<day>[./-])\s?(?:[0-2]?\d|3[01])(?P=day)\s?(?:19|20)?\d\d"
    r"|(?:19|20)\d\d(?P<year>[./-])(?:0?\d|1[0-2])(?P=year)(?:[0-2]?\d|3[01]))(?![./-]?\d)"
)
_DATE = re.compile(_DATE_PATTERN)
_QUAD = re.compile(r"(?!\d\d(?:\.\d\d){3}$|\d{3}\.\d{3}\.\d\d\.\d\d$)\d{1,3}(?:\.\d{1,3}){3}")
"""Four groups separated by full stops, which are an address or version, except two digits each or 044.668.18.00."""
_MAX_SHAPE = 128
"""Characters of a window whose shape says whether a number may be in it."""
_INTERNATIONAL = re.compile(r"[(（\[［]?[+＋]")
_NOT_INSIDE = r"(?<!\d)(?<!\d[.,:/+-])"
_GROUPED_PATTERN = (
    rf"{_NOT_INSIDE}(?:(?:1[ .-]{{1,3}})?\(?[2-9]\d\d(?:\)[ .-]{{0,3}}|[ .-]{{1,3}})[2-9]\d\d[ .-]{{1,3}}\d{{4}}(?!\d)"
    r"|\([1-9]\d\) ?9?\d{4}-\d{4}(?!\d)|\(?0[1-9]\d{0,4}[)/ .-])"
)
_GROUPED = re.compile(_GROUPED_PATTERN)
"""The start of numbers that may be grouped as in their country: 3-3-4 digits, (2) 4-4 or (2) 5-4 as in Brazil, or an
area code with trunk prefix."""
_ABROAD = re.compile(rf"{_NOT_INSIDE}\(?00 ?([1-9]\d{{0,2}})[)/ .-]")
"""The start of numbers with the prefix for calls abroad and a country code: "0049 30 ..."."""
_SLASHED_PATTERN = rf"{_NOT_INSIDE}\(?0 ?[1-9][\d ]{{0,5}}\)? ?/ ?\d[\d -]{{3,}}+"
_SLASHED = re.compile(_SLASHED_PATTERN)
"""Area code / number, as in Germany and Austria, in any grouping."""
_WELL_PRINTED = re.compile(rf"[+＋]\D{{0,3}}\d|{_SLASHED_PATTERN}|(?!{_DATE_PATTERN}){_GROUPED_PATTERN}")
"""Where a number may begin that is well printed."""
_FICTION = re.compile(r"\+1\d{3}55501\d\d")
"""Numbers that the North American numbering plan reserves for fiction, in every area."""
_WRITTEN = re.compile(rf"[\d{re.escape(NUMBER_PUNCTUATION)}]*+")
_DIGIT = re.compile(r"\d")
_WITHOUT_DASHES = dict.fromkeys(map(ord, HYPHENS), " ")
_MAY_BE_DATE = re.compile(r"\d[./-]\s?\d{1,2}[./-]")


def _may_be_phone(text: str, start: int, end: int, named: bool, minimum: float, regions: tuple[str, ...]) -> bool:
    """Whether a number in a window can reach the score `minimum`: cheap tests before slow ones.

    Args:
        text: The text.
        start: Where the window starts.
        end: Where it ends.
        named: Whether a word that names a number may be near.
        minimum: The score.
        regions: Regions (ISO 3166) of national phone numbers.
    """
    if minimum <= PHONE_SCORE or (named and may_be_in_context("phone", text, start, end_of_context(text, end))):
        return True
    raw = text[start:end]
    written = plain(raw)
    # No number begins behind a digit and a hyphen, but one may behind any other dash.
    forms = (written,) if raw.isascii() else (written, plain(raw.translate(_WITHOUT_DASHES)))
    if "00" in written and any(map(_ABROAD.search, forms)):
        return True
    if not any(map(_WELL_PRINTED.search, forms)):
        return False
    is_unclear = "+" in written or "/" in written or len(written) > _MAX_SHAPE
    return is_unclear or may_be_grouped(shape(written), regions)


def judge_windows(
    characters: views.Characters,
    windows: Int64s,
    text_of: Callable[[int], str],
    minimum: float,
    regions: tuple[str, ...],
) -> tuple[list[tuple[int, Match]], Int64s]:
    """Judge windows by their shapes and what their digits mean, or by the parts that a kernel finds. Tables have none.

    Args:
        characters: The texts.
        windows: Shape (windows, 5): row, start, end and number of digits of each, and whether a word that names a
            number may be near.
        text_of: Returns the text of a row.
        minimum: The minimum score.
        regions: Regions (ISO 3166) of national phone numbers.

    Returns:
        The matches with their rows, and the other windows that may have one.
    """
    matches: list[tuple[int, Match]] = []
    others: list[int] = []
    windows = windows[windows[:, 3] <= MAX_FIGURES]
    if not len(windows):
        return matches, windows
    listed = windows.tolist()
    for place, seen, judged in number_shapes(regions).outcomes(characters, windows, text_of, _judge_shape):
        row, start, *_, is_named = listed[place]
        text, named = text_of(row), bool(is_named)
        if seen is not None and seen.dates:
            is_dated = any(is_date(text, start + first, start + last) for first, last in seen.dates)
            judged = None if is_dated else judged
        if judged is None:
            others.append(place)
            continue
        for one in judged:
            match = _judge_known(text, start, one, named)
            if match is not None:
                matches.append((row, match))
    found, left = _judge_parts(characters, windows[others], text_of, minimum, regions)
    return matches + found, left


class _KnownNumber(NamedTuple):
    """A number in windows of the same shape.

    Attributes:
        number: The number.
        look: What can be said of it by its shape.
        groupings: How each of its meanings is grouped.
    """

    number: FoundNumber
    look: _Look
    groupings: list[Grouping]


def _judge_shape(seen: NumberShape, meant: tuple[Any, ...], regions: tuple[str, ...]) -> list[_KnownNumber] | None:
    """The numbers in a window of a shape that are no part of something longer, or None if that needs a closer look."""
    found = seen.numbers(meant, regions)
    if found is None:
        return None
    known = []
    for number in found:
        if number.shape.count("/") > 1 and any(one.source == COUNTRY_CODE for one in number.meanings):
            return None
        start, end = number.start + seen.before, number.end + seen.before
        begin = max(0, start - AROUND)
        look = _look(*_context(seen.text[begin : end + BEHIND], start - begin, end - begin))
        if look is not None:
            size = number.range.last - number.range.first
            groupings = [grouping(one.country, size - one.cut, number.shape, one.source) for one in number.meanings]
            known.append(_KnownNumber(number, look, groupings))
    return known


def _judge_known(text: str, start: int, known: _KnownNumber, named: bool) -> Match | None:
    """The match of a number in a window of a known shape, or None if it contains a date.

    Args:
        text: The text.
        start: Where the window starts.
        known: The number.
        named: Whether a word that names a number may be near.
    """
    number, look, groupings = known
    begin, end = start + number.start, start + number.end
    raw = text[begin:end]
    if look.may_be_date and _DATE.search(raw):
        return None
    digits = digits_of(raw)
    size = number.range.last - number.range.first
    chosen, is_grouped = number.meanings[0], False
    for meaning, one in zip(number.meanings, groupings, strict=True):
        if one.is_usual(digits[meaning.cut : size]):
            chosen, is_grouped = meaning, True
            break
    value = f"+{chosen.country}{digits[chosen.cut : size]}"
    value = f"{value};{digits[size:]}" if number.extension else value
    whole = _WholeNumber(value, is_grouped, number.meanings)
    return _scored(text, begin, end, PHONE_SCORE, look, whole, named)


def _judge_parts(
    characters: views.Characters,
    windows: Int64s,
    text_of: Callable[[int], str],
    minimum: float,
    regions: tuple[str, ...],
) -> tuple[list[tuple[int, Match]], Int64s]:
    """Judge the windows of digits, punctuation and plus signs, as `judge_windows`."""
    matches: list[tuple[int, Match]] = []
    if not len(windows):
        return matches, windows
    parts, is_done = _parts(characters, windows, regions)
    listed = windows.tolist()
    for place, found in groupby(parts, itemgetter(0)):
        row, start, end, _, is_named = listed[place]
        text, named, size = text_of(row), bool(is_named), end - start
        if not _may_be_phone(text, start, end, named, minimum, regions):
            continue
        meant = numbers_in_parts(text[start : end + len(":00")], size, (one[1:] for one in found), regions)
        for (begin, stop), numbers_found in meant.items():
            span = Span(start + begin, start + stop, PHONE_SCORE, numbers_found)
            match = judge_phone(text, span, regions, named)
            if match is not None:
                matches.append((row, match))
    left = [
        place
        for place in np.flatnonzero(~is_done).tolist()
        for row, start, end, _, named in [listed[place]]
        if _may_be_phone(text_of(row), start, end, bool(named), minimum, regions)
    ]
    return matches, windows[left]


def _parts(
    text: views.Characters, windows: Int64s, regions: tuple[str, ...]
) -> tuple[list[tuple[int, int, int, int, ReadPart]], Bools]:
    """The parts of windows that may be numbers, in the order in which they are tried.

    Args:
        text: The texts.
        windows: The windows.
        regions: Regions (ISO 3166).

    Returns:
        For each part the place of its window, and what `numbers_in_parts` needs; and whether each window was looked at.
    """
    rows, begins, ends = windows[:, :3].T
    offsets, size, place = text.first[rows], len(windows), 0
    found, is_done, missing = np.empty((4 * size + 64, 9), np.int64), np.zeros(size, np.bool_), np.zeros(2, np.int64)
    parts: list[tuple[int, int, int, int, ReadPart]] = []
    automaton = regions_of(regions)
    count, states = 0, automaton.states()
    while True:
        missing[0] = -1
        place, count = find_parts(
            *(text.codepoints, begins + offsets, ends + offsets, offsets, text.last[rows], kinds_of_characters()),
            *(states.following, states.accepts, states.kinds, states.start, states.dead),
            place,
            found,
            count,
            is_done,
            missing,
        )
        if missing[0] >= 0:
            states.step(*missing.tolist())
        elif place < size:
            found = np.concatenate([found, np.empty_like(found)])
        following = automaton.states() if place < size else None
        if following is not states:
            for window, origin, low, high, start, stop, first, last, state in found[:count].tolist():
                readings = None if state == AFTER_PLUS else states.results[state // 10]
                parts.append((window, origin, low, high, ReadPart(start, stop, first, last, readings)))
            if following is None:
                return parts, is_done
            count, states = 0, following


class _WholeNumber(NamedTuple):
    """What a number means.

    Attributes:
        value: The number in E.164 format with its extension.
        is_grouped: Whether it is grouped as is usual.
        found: All that it may mean.
    """

    value: str
    is_grouped: bool
    found: Collection[Number | Meaning]


def judge_phone(text: str, span: Span, regions: tuple[str, ...], named: bool = True) -> Match | None:
    """Judge a phone number.

    Args:
        text: The text.
        span: Span found by the recognizer.
        regions: Regions (ISO 3166) of national phone numbers.
        named: Whether a word that names a number may be near.

    Returns:
        The match, or None if the number contains a date, is part of something longer or is too short.
    """
    start, end, found = span.start, span.end, span.numbers
    raw = text[start:end]
    if raw[0] in "(（[［" and not set(raw) & set(")）]］"):
        start, raw, found = start + 1, raw[1:], None
    begin = start if has_label("phone", text, start, end) else max(0, start - AROUND)
    look = _look(*_context(shape(text[begin : end + BEHIND]), start - begin, end - begin))
    if look is None or (look.may_be_date and _DATE.search(raw)):
        return None
    found = numbers(raw, regions) if found is None else found
    if not found:
        return None
    value, is_grouped = _read(raw, found)
    return _scored(text, start, end, span.score, look, _WholeNumber(value, is_grouped, found.values()), named)


def _context(around: str, start: int, end: int) -> tuple[str, int, int]:
    """A number with the few characters around it that matter, and where it begins and ends in them."""
    before = max(0, start - AROUND)
    is_glued = around[end : end + 1].isalpha() and GLUED_WORD.match(around, end)
    return around[before : end if is_glued else end + AROUND], start - before, end - before


def _scored(text: str, start: int, end: int, score: float, look: _Look, number: _WholeNumber, named: bool) -> Match:
    """The match of a number, with the evidence of its form and of the words next to it.

    Args:
        text: The text.
        start: Where the number begins.
        end: Where it ends.
        score: The score of any valid number.
        look: What can be said of it by its shape.
        number: What it means.
        named: Whether a word that names a number may be near.
    """
    if look.is_international or not (named and is_named_otherwise(text, start, end)):
        form = plain(text[start:end])
        if look.is_international or _is_well_printed(form, number.found, number.is_grouped and look.may_be_grouped):
            score = WELL_PRINTED
        score = in_context("phone", text, start, end, score) if named else score
    value = number.value
    return Match("phone", start, end, score, value, "55501" in value and _FICTION.fullmatch(value) is not None)


class _Look(NamedTuple):
    """What can be said of a number by its shape.

    Attributes:
        is_international: Whether it begins with "+".
        may_be_date: Whether it may contain a date.
        may_be_grouped: Whether it may be grouped as is usual.
    """

    is_international: bool
    may_be_date: bool
    may_be_grouped: bool


@lru_cache(maxsize=1 << 13)
def _look(around: str, start: int, end: int) -> _Look | None:
    """Look at a number with some characters before and behind it, or at its shape.

    Returns:
        None if it is part of something longer, has too few digits before any word, or looks like an address or version.
    """
    raw = around[start:end]
    written = _WRITTEN.match(raw)
    if written is None or len(_DIGIT.findall(written[0])) < MIN_PHONE_DIGITS or _QUAD.fullmatch(raw):
        return None
    if next_candidate(raw, 0) != (0, len(raw)) or _is_part(around, start, end):
        return None
    is_international = _INTERNATIONAL.match(raw) is not None
    return _Look(is_international, _MAY_BE_DATE.search(raw) is not None, raw[0] in "0123456789(" or not raw.isascii())


def _is_part(text: str, start: int, end: int) -> bool:
    """Like `is_part`, but a plus sign or bracket starts a number even after a letter: "Free trial+1 408 886 7177"."""
    after_word = text[start] in "+＋(" and text[max(0, start - 1) : start].isalpha()
    return is_part(text[start:], 0, end - start) if after_word else is_part(text, start, end)


def _is_well_printed(form: str, found: Iterable[Number | Meaning], may_be_grouped: bool) -> bool:
    """Whether a number without "+" is written as numbers are printed.

    Args:
        form: The number with ASCII spaces and hyphens.
        found: What it may mean.
        may_be_grouped: Whether its groups are as is usual.
    """
    if may_be_grouped and _GROUPED.match(form):
        return True
    if "/" in form and _SLASHED.fullmatch(form):
        return True
    # The prefix for calls abroad and, as a group of its own, the country code.
    abroad = _ABROAD.match(form) if form.startswith(("00", "(00")) else None
    return abroad is not None and any(number.country == int(abroad[1]) for number in found)


def _read(raw: str, found: Mapping[str, Number]) -> tuple[str, bool]:
    """Choose the meaning of a number in the first region where its grouping is usual, else the first where it is valid.

    Args:
        raw: The number as it is written.
        found: What it means in the regions where it is valid.

    Returns:
        The number in E.164 format with its extension, and whether its grouping is usual.
    """
    meanings = dict.fromkeys(found.values())  # with a country code it means the same everywhere
    first = next(iter(meanings))
    if first.source == PLUS and len(meanings) == 1:
        return first.value, False  # no more evidence is needed
    grouped = usually_grouped(raw, meanings)
    return (grouped or first).value, grouped is not None
