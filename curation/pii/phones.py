"""Evidence for phone numbers: numbering plans say whether a number is valid, its format whether it is meant as one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import accumulate, groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from curation.arrays import Bools, Int64s
from curation.pii.context import has_label, in_context, is_named_otherwise, may_be_in_context
from curation.pii.evidence import Match, is_part
from curation.pii.numbering import (
    EXTENSION,
    PLUS,
    Form,
    Number,
    certain_numbers,
    digits_of,
    form_of,
    group_sizes,
    may_be_grouped,
    meanings,
    numbers,
    numbers_in_form,
    read_abroad,
    shape,
    usually_grouped,
)
from curation.pii.numbering_plans import Readings, bits_before, country_code, regions_of
from curation.pii.part_kernels import AFTER_PLUS, find_parts, kinds_of_characters
from curation.pii.phone_matcher import ReadPart, first_candidate, is_date, next_candidate, numbers_in_parts
from curation.pii.recognizers import GLUED_WORD, PHONE_SCORE, Span
from curation.pii.window_kernels import MAX_DIGITS, NOT_PLAIN, WITH_PLUS, classify_numbers
from curation.pii.windows import MIN_PHONE_DIGITS, NUMBER_PUNCTUATION, classes, plain, shown
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
_EXTENSION = re.compile(f"(?:{re.sub(r'[*+][+]', '{0,20}+', EXTENSION).replace('{1,', '{0,')})?", re.IGNORECASE)
"""The formats of extensions that libphonenumber accepts, also cut off."""
MAX_EXTENSION = 80
_MAX_SHAPE = 128
"""Characters of a window whose shape says whether a number may be in it."""
_AROUND = 4
"""Characters around a number on which it depends whether it is part of something longer."""
_BEHIND = _AROUND + len("mobile")
"""Characters behind a number that are looked at: one of GLUED_WORD may be there."""
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
_GROUP = re.compile(r"\d++")
_MAY_BE_DATE = re.compile(r"\d[./-]\s?\d{1,2}[./-]")
_NEVER_EXTENSION = frozenset(("", *map(chr, range(128)))) - frozenset("\t ,;-#~aAeEiIxX")
"""What ends a number at once: most of ASCII begins no extension."""
_MAY_EXTEND = np.array([chr(code) not in _NEVER_EXTENSION for code in range(128)] + [True])
"""Whether a character of ASCII may begin an extension; at the end, that any other may."""
_SEPARATES = np.array([chr(code) in "\t ,;-" for code in range(129)])
_MAY_EXTEND_LATER = _MAY_EXTEND | np.array([chr(code).isdecimal() for code in range(129)])
"""Whether a character is one that precedes an extension, and whether it may be in an extension behind such a one."""


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
    if minimum <= PHONE_SCORE:
        return True
    written = plain(text[start:end])
    if "00" in written and _ABROAD.search(written):
        return True
    if _WELL_PRINTED.search(written):
        is_unclear = "+" in written or "/" in written or len(written) > _MAX_SHAPE
        if is_unclear or may_be_grouped(shape(written), regions):
            return True
    return named and may_be_in_context("phone", text, start, end_of_context(text, end))


def judge_plain(
    characters: views.Characters,
    windows: Int64s,
    text_of: Callable[[int], str],
    minimum: float,
    regions: tuple[str, ...],
) -> tuple[list[tuple[int, Match]], Int64s]:
    """Judge the windows that contain one plain number, or none, all at once. Tables have none.

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
    places, found, elsewhere = _readings(characters, windows, regions)
    for place, window, readings, bits in zip(places, windows[places].tolist(), found, elsewhere, strict=True):
        row, start, end, _, is_named = window
        text, named = text_of(row), bool(is_named)
        form, number = None, None
        if readings == NOT_PLAIN:
            extended = _judge_extended(text, start, end, named, regions)
            if extended is not None:
                matches += ((row, match) for match in extended)
                continue
        elif readings.usual if isinstance(readings, Readings) else readings == WITH_PLUS:
            around = shape(text[max(0, start - _AROUND) : end + _BEHIND])
            form = _plain_form(around, min(start, _AROUND), end - start)
            if form is not None and form.date and is_date(text, start + form.date[0], start + form.date[1]):
                form = None
        if form is not None and form.form.plus == (readings == WITH_PLUS):
            raw = text[start + form.start : start + form.end]
            if isinstance(readings, int):
                number = _number_after_plus(digits_of(raw), form.shape, bits)
            else:
                number = _certain_number(digits_of(raw), form.shape, readings)
                # Regions before the first one in which the whole is valid may find a part of it.
                number = None if number is not None and bits and bits & bits_before(number.region, regions) else number
        if number is None and not _may_be_phone(text, start, end, named, minimum, regions):
            continue
        if number is None and form is not None and isinstance(readings, Readings):
            number = _uncertain_number(raw, form, readings)
            number = None if bits & bits_before(number.region, regions) else number
        if form is None or number is None:
            others.append(place)
        elif number.value and form.look is not None and not (form.look.may_be_date and _DATE.search(raw)):
            begin, stop = start + form.start, start + form.end
            matches.append((row, _scored(text, begin, stop, PHONE_SCORE, form.look, number, named)))
    return _judge_parts(characters, windows[others], text_of, regions, matches)


def _judge_extended(text: str, start: int, end: int, named: bool, regions: tuple[str, ...]) -> list[Match] | None:
    """The match of a number with an extension that has all digits of a window, or none; None without a closer look.

    Args:
        text: The text.
        start: Where the window starts.
        end: Where it ends.
        named: Whether a word that names a number may be near.
        regions: Regions (ISO 3166) of national phone numbers.
    """
    labels = text.count("x", start, end) + text.count("X", start, end)
    reach = end_of_context(text, end) - end
    if labels > 1 or (labels == 0 and reach <= len(":00")):
        return None
    around = shape(text[max(0, start - _AROUND) : end + reach + _BEHIND])
    form = _plain_form(around, min(start, _AROUND), end - start, reach)
    if form is None or not form.form.extension or form.date:
        return None
    digits = digits_of(text[start + form.start : start + form.end])
    own, extension = digits[: form.form.size], digits[form.form.size :]
    if form.form.plus:
        found, is_certain = read_abroad(own, PLUS, extension)
        number = _WholeNumber(None, found.value) if found is not None and is_certain else None
    else:
        readings: Readings = regions_of(regions).match(own)
        if any(one[1].may_have_prefix(digits) for one in readings.all):
            return None
        number = _certain_number(own, form.shape, readings)
        region = None if number is None else number.region
        before = () if number is None else regions[: None if region is None else regions.index(region)]
        for begin, stop, first, last, other in form.parts if before else ():
            written = text[start + begin : start + stop]
            if numbers_in_form(other, digits[first:last], written, regions, before):
                return None
        if number is not None and number.value:
            number = number._replace(value=f"{number.value};{extension}")
    if number is None or (form.look is not None and form.look.may_be_date):
        return None
    if not number.value or form.look is None:
        return []
    return [_scored(text, start + form.start, start + form.end, PHONE_SCORE, form.look, number, named)]


def _judge_parts(
    characters: views.Characters,
    windows: Int64s,
    text_of: Callable[[int], str],
    regions: tuple[str, ...],
    matches: list[tuple[int, Match]],
) -> tuple[list[tuple[int, Match]], Int64s]:
    """Judge the windows of digits, punctuation and plus signs: as `judge_plain`, with a list of matches to add to."""
    if not len(windows):
        return matches, windows
    parts, is_done = _parts(characters, windows, regions)
    listed = windows.tolist()
    for place, found in groupby(parts, itemgetter(0)):
        row, start, end, _, named = listed[place]
        text, size = text_of(row), end - start
        meant = numbers_in_parts(text[start : end + len(":00")], size, (one[1:] for one in found), regions)
        for (begin, stop), numbers_found in meant.items():
            span = Span(start + begin, start + stop, PHONE_SCORE, numbers_found)
            match = judge_phone(text, span, regions, bool(named))
            if match is not None:
                matches.append((row, match))
    return matches, windows[~is_done]


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
            *(states.following, states.accepts, states.start, states.dead),
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
    """What all digits of a window mean.

    Attributes:
        region: The first region in which they are a valid number; None if there is none.
        value: The number in E.164 format with its extension; "" if there is none.
        is_grouped: Whether it is grouped as is usual.
        found: All that it may mean, if it may begin with a prefix for calls abroad.
    """

    region: str | None = None
    value: str = ""
    is_grouped: bool = False
    found: Iterable[Number] = ()


def _certain_number(digits: str, written: str, readings: Readings) -> _WholeNumber | None:
    """What the digits of a plain number mean, given its shape and readings; None if that needs a closer look."""
    found = certain_numbers(written, digits, readings)
    if not found:
        return None if found is None else _WholeNumber()
    chosen, is_grouped = found[0], False
    for one in found:
        if one.is_usual(digits[one.cut :]):
            chosen, is_grouped = one, True
            break
    return _WholeNumber(found[0].region, f"+{chosen.country}{digits[chosen.cut :]}", is_grouped)


def _uncertain_number(raw: str, form: _PlainForm, readings: Readings) -> _WholeNumber:
    """The same with a closer look."""
    digits, found = digits_of(raw), list[tuple[str, Number]]()
    all_found = meanings(form.form, digits, raw, readings.usual)
    grouped = usually_grouped(raw, _kept(all_found, found))
    if not found:
        return _WholeNumber()
    if digits.startswith("00"):
        found += all_found
    region, number = found[0]
    return _WholeNumber(region, (grouped or number).value, grouped is not None, [number for _, number in found])


def _number_after_plus(digits: str, written: str, others: int) -> _WholeNumber | None:
    """What the digits of a number with a "+" mean, given its shape; None if that needs a closer look.

    Args:
        digits: The digits.
        written: The shape.
        others: Not 0 if other groups of digits in the window may be a number.
    """
    number, is_certain = read_abroad(digits, PLUS)
    if number is not None:
        return _WholeNumber(None, number.value) if is_certain else None
    if others or not country_code(digits):
        return None
    ends = list(accumulate(group_sizes(written)))[:-1]
    may_be_part = any(read_abroad(digits[:end], PLUS)[0] is not None for end in ends)
    return None if may_be_part else _WholeNumber()


def _readings(
    text: views.Characters, windows: Int64s, regions: tuple[str, ...]
) -> tuple[list[int], list[Readings | int], list[int]]:
    """What the digits of each window may mean that may have a number.

    Args:
        text: The texts.
        windows: The windows.
        regions: Regions (ISO 3166).

    Returns:
        The places of these windows; what the digits of each may mean, or NOT_PLAIN or WITH_PLUS if it has more than
        digits and punctuation; and the regions in which some of its groups may be a number, as bits.
    """
    rows, begins, ends = windows[:, :3].T
    begins, ends = begins + text.first[rows], ends + text.first[rows]
    automaton, size, place = regions_of(regions), len(windows), 0
    ends_at, elsewhere, missing = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(2, np.int64)
    places: list[int] = []
    found: list[Readings | int] = []
    first, states = 0, automaton.states()
    while True:
        place = classify_numbers(
            *(text.codepoints, begins, ends, text.last[rows], classes()),
            *(states.following, states.accepts, states.start, states.dead),
            *(place, ends_at, elsewhere, missing),
        )
        if place < size:
            states.step(*missing.tolist())
        # If there are too many states, what was found with them is kept before they are forgotten.
        following = automaton.states() if place < size else None
        if following is not states:
            at = ends_at[first:place]
            chosen = (at < 0) | (states.accepts[at // 10] != 0) | (elsewhere[first:place] != 0)
            places += (first + np.flatnonzero(chosen)).tolist()
            found += [state if state < 0 else states.results[state // 10] for state in at[chosen].tolist()]
            if following is None:
                return places, found, elsewhere[places].tolist()
            first, states = place, following


class _PlainForm(NamedTuple):
    """How a window is written that contains one plain number.

    Attributes:
        start: Where the number begins, counted from the start of the window.
        end: Where it ends.
        shape: Its shape, without an extension.
        form: Its form.
        look: What can be said of it by its shape; None if it is no phone number.
        date: Where a date or time may be, counted from the start of the window.
        parts: Of a number with an extension, the other parts that may be a number: where each begins and ends, counted
            from the start of the window, the number of digits before it and up to its end, and its form.
    """

    start: int
    end: int
    shape: str
    form: Form
    look: _Look | None
    date: tuple[int, int] | None
    parts: list[tuple[int, int, int, int, Form]]


@lru_cache(maxsize=1 << 13)
def _plain_form(around: str, before: int, size: int, reach: int = len(":00")) -> _PlainForm | None:
    """How a window is written, by its shape.

    Args:
        around: The shape of the window with some characters before and behind it.
        before: Number of characters before it.
        size: Number of its characters.
        reach: Number of characters behind it that an extension may have.

    Returns:
        None if it depends on more whether there is a number, and which one.
    """
    begin, end = max(0, before - 1), before + size
    first, last, candidate = first_candidate(shown(around[begin : end + reach]), end - begin)
    whole = candidate.parts[0] if candidate is not None and candidate.parts else None
    if candidate is None or whole is None:
        return None
    form = form_of(whole.shape)
    if form is None or form.has_letters or whole.start > first or last > whole.end:
        return None
    written = whole.shape
    if form.extension:
        *others, before_last, last_one = _GROUP.finditer(written)
        written = written[: before_last.end()]
        if sum(len(one[0]) for one in (*others, before_last)) != form.size or len(last_one[0]) != form.extension:
            return None
        if not whole.shape[-1].isdecimal():
            return None
    if "x" in written or "X" in written:
        return None
    start, stop = begin + whole.start, begin + whole.end
    if around[start] in "(（[［" and not set(around[start:stop]) & set(")）]］"):
        return None
    if around[start - 1 : start] == "#":
        return None
    look = _look(*_context(around, start, stop))
    moved = begin - before
    date = (moved + candidate.start, moved + candidate.end) if candidate.may_be_date else None
    counts = [0, *accumulate(map(str.isdecimal, around[begin:]))] if form.extension else []
    parts = [
        (moved + part.start, moved + part.end, counts[part.start], counts[part.end], other)
        for part in candidate.parts[1 if form.extension else len(candidate.parts) :]
        if (other := form_of(part.shape)) is not None
    ]
    return _PlainForm(start - before, stop - before, written, form, look, date, parts)


def _kept(found: Iterable[tuple[str, Number]], kept: list[tuple[str, Number]]) -> Iterator[Number]:
    """The numbers of regions, each of which is added to a list when it is asked for."""
    for one in found:
        kept.append(one)
        yield one[1]


def end_of_context(text: str, end: int) -> int:
    """How far a number that ends before `end` may go on, or depend on what follows: extension, time, a character."""
    return min(len(text), max(end + len(":00"), end_of_extension(text, end) + 1))


def may_go_on(text: views.Characters, rows: Int64s, ends: Int64s) -> Bools:
    """Whether an extension may follow numbers in some rows that end before some places: a quick test."""
    ends, lasts = ends + text.first[rows], text.last[rows]
    here, following = (
        np.where(places < lasts, np.minimum(text.codepoints[np.minimum(places, lasts - 1)], 128), 0)
        for places in (ends, ends + 1)
    )
    may: Bools = _MAY_EXTEND[here] & (~_SEPARATES[here] | _MAY_EXTEND_LATER[following])
    return may


def end_of_extension(text: str, end: int) -> int:
    """Where the extension ends that follows a number before `end`, perhaps cut off; `end` if there is none."""
    if text[end : end + 1] in _NEVER_EXTENSION:
        return end
    extension = _EXTENSION.match(text, end, end + MAX_EXTENSION)
    return extension.end() if extension else end


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
    begin = start if has_label("phone", text, start, end) else max(0, start - _AROUND)
    look = _look(*_context(shape(text[begin : end + _BEHIND]), start - begin, end - begin))
    if look is None or (look.may_be_date and _DATE.search(raw)):
        return None
    found = numbers(raw, regions) if found is None else found
    if not found:
        return None
    value, is_grouped = _read(raw, found)
    return _scored(text, start, end, span.score, look, _WholeNumber(None, value, is_grouped, found.values()), named)


def _context(around: str, start: int, end: int) -> tuple[str, int, int]:
    """A number with the few characters around it that matter, and where it begins and ends in them."""
    before = max(0, start - _AROUND)
    is_glued = around[end : end + 1].isalpha() and GLUED_WORD.match(around, end)
    return around[before : end if is_glued else end + _AROUND], start - before, end - before


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


def _is_well_printed(form: str, found: Iterable[Number], may_be_grouped: bool) -> bool:
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
