"""What digits mean in regions: as a kernel tells it for many windows, so far as it is certain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np

from curation.arrays import Int32s, Int64s
from curation.pii.extension_kernels import MAX_EXTENSION
from curation.pii.number_characters import values_of_digits
from curation.pii.numbering import COUNTRY_CODE, INTERNATIONAL_PREFIX, NATIONAL, PLUS
from curation.pii.numbering_plans import (
    ANYWHERE,
    BEHIND_CODE,
    CARRIER_DIGITS,
    PREFIXED,
    WITH_CARRIER,
    WITH_CODE,
    WITHOUT_PREFIX,
    NumberingPlan,
    Reading,
    Readings,
    calling_codes,
    codes_of_digits,
    country_code,
    plan_of,
    regions_of,
)
from curation.pii.range_kernels import (
    ABROAD,
    AFTER_PLUS,
    CARRIER,
    CODE,
    COLUMNS,
    FIRST,
    KIND,
    LEADING,
    MISSING_ABROAD,
    MISSING_CODE,
    MISSING_STATE,
    PLAIN,
    UNREAD,
    read_ranges,
)
from curation.text import views

_KEPT = 1 << 13
"""What is remembered of each sort."""
_MAX_PREFIX = 4
"""Digits of the longest prefix for calls abroad that is known here."""


class Meaning(NamedTuple):
    """What digits mean in a region.

    Attributes:
        country: Calling code.
        cut: Number of digits before the national number.
        source: How the country is written, as in `numbering`.
    """

    country: int
    cut: int
    source: int


Meanings = tuple[tuple[str, Meaning], ...]
"""What digits mean in each region in which they are a valid number."""


_Kept = TypeVar("_Kept")
_Found = TypeVar("_Found")


def keep(known: dict[_Kept, _Found], key: _Kept, value: _Found) -> None:
    """Remember something; if that is too much, all else is forgotten."""
    if len(known) >= _KEPT and key not in known:
        known.clear()
    known[key] = value


class DigitMeanings:
    """What digits mean in some regions.

    Args:
        regions: Regions (ISO 3166), the preferred one first.
    """

    def __init__(self, regions: tuple[str, ...]) -> None:
        self._regions = regions
        self._automaton = regions_of(regions)
        self._plans = [(region, plan_of(region)) for region in regions if region != ANYWHERE]
        plans = [plan for _, plan in self._plans]
        # What makes no difference between digits is written alike.
        known: dict[tuple[tuple[str, bool], ...], int] = {}
        self._starts = np.zeros(100, np.int32)
        for number, start in enumerate(map(_start, range(100))):
            prefixes = tuple((one.begun_prefix(start), one.keeps_prefix(start)) for one in plans)
            self._starts[number] = known.setdefault(prefixes, number)
        codes = codes_of_digits()
        self._own_codes = np.where(np.isin(codes, [one.country for one in plans]), codes, np.int32(0))
        self._prefixes: dict[tuple[int, ...], int] = {}
        self._leading, self._cuts = np.full(10_000, -1, np.int32), np.zeros(10_000, np.int32)
        self._meanings: dict[tuple[int, ...], Meanings | None] = {}

    def read(self, text: views.Characters, windows: Int64s, ranges: Int64s) -> Int32s:
        """What ranges of the digits of windows may mean, as in `read_ranges`.

        Args:
            text: The texts.
            windows: The window of each range.
            ranges: The ranges, shape (ranges, 3).
        """
        rows, begins, ends, *_ = windows.T
        offsets = text.first[rows]
        begins, stops = begins + offsets, np.minimum(text.last[rows], ends + offsets + MAX_EXTENSION)
        place, missing, found = 0, np.zeros(3, np.int64), np.zeros((len(ranges), COLUMNS), np.int32)
        automata = self._automaton, calling_codes()
        while True:
            home, abroad = (automaton.states() for automaton in automata)
            place = read_ranges(
                *(text.codepoints, begins, stops, ranges, values_of_digits()),
                *(home.following, home.accepts, home.kinds),
                *(home.start, home.dead),
                *(self._starts, self._own_codes, self._leading, self._cuts),
                *(codes_of_digits(), abroad.origins, abroad.following, abroad.kinds),
                *(abroad.dead, place),
                *(found, missing),
            )
            if place == len(ranges):
                return found
            what, state, digit = missing.tolist()
            if what == MISSING_STATE:
                home.step(state, digit)
            elif what == MISSING_ABROAD:
                abroad.step(state, digit)
            elif what == MISSING_CODE:
                abroad.origin(state)
            else:
                self._add_leading(state)

    def _add_leading(self, digits: int) -> None:
        """Add what to write for the first four digits: they are alike if the regions' prefixes in them are."""
        begun = _after_leading(digits)
        prefixes = tuple(one.dialed_abroad(begun) or 0 for _, one in self._plans)
        is_unclear = 1 in prefixes or any(one.longest_abroad > _MAX_PREFIX for _, one in self._plans)
        self._cuts[digits] = sum({1 << size for size in prefixes if size}) | (is_unclear and not country_code(begun))
        self._leading[digits] = self._prefixes.setdefault(prefixes, digits)

    def of(self, size: int, written: int, total: int, found: Sequence[int]) -> Meanings | None:
        """What a range of digits means, or None if that needs a closer look.

        Args:
            size: Number of digits, without an extension.
            written: How they are written, as in `range_kernels`.
            total: Number of digits with the extension.
            found: What they may mean, as in `read_ranges`.
        """
        if not any(found) and written != UNREAD:
            return ()
        key = (size, written, total, *found)
        try:
            return self._meanings[key]
        except KeyError:
            meanings = self._meanings_of(size, written, total, found)
        # Another thread may forget it at once.
        keep(self._meanings, key, meanings)
        return meanings

    def _meanings_of(self, size: int, written: int, total: int, found: Sequence[int]) -> Meanings | None:
        if written == UNREAD:
            return None
        if written == AFTER_PLUS:
            if not found[KIND]:
                return _certain((region, _dialed(plan, size, found)) for region, plan in self._plans)
            meaning = _abroad(found[KIND], size, 0, PLUS)
            return _certain((region, meaning) for region in self._regions)
        readings: Readings = self._automaton.combined[found[KIND]]
        if written == CARRIER:
            # Behind its code there is no national prefix.
            return _certain((one[0], _at_home(one, size, found)) for one in readings.all)
        if written == PLAIN:
            return _certain((one[0], _at_home(one, size, found)) for one in readings.usual)
        # The national prefix is searched in the digits of the extension, too. They change nothing if there is none, or
        # if all digits are no number with it, so that it is taken off.
        chosen = []
        for one in readings.all:
            plan, start = one[1], _start(found[FIRST])
            has_prefix = plan.begins_with_prefix(start)
            is_kept = has_prefix and not plan.is_too_long(total) and plan.keeps_prefix(start)
            if plan.changed or has_prefix is None or is_kept:
                return None
            chosen += [one] if has_prefix or one in readings.usual else []
        return _certain((one[0], _at_home(one, size, found)) for one in chosen)


_NONE = Meaning(0, 0, NATIONAL)
"""The meaning of digits that are no number."""


def _certain(meanings: Iterable[tuple[str, Meaning | None]]) -> Meanings | None:
    """The meanings by region, without those of digits that are no number; None if any needs a closer look."""
    listed = list(meanings)
    if any(meaning is None for _, meaning in listed):
        return None
    return tuple((region, meaning) for region, meaning in listed if meaning not in (None, _NONE))


def _at_home(reading: Reading, size: int, found: Sequence[int]) -> Meaning | None:
    """What digits mean in a region, `_NONE` if they are no number, or None if that needs a closer look.

    Args:
        reading: What they may mean.
        size: Their number.
        found: What is known of them, as in `read_ranges`.
    """
    _, plan, how, lengths, is_exact = reading
    has_code, start = found[CODE] == plan.country, _start(found[FIRST])
    if how == WITH_CODE and not plan.is_too_long(size):
        if not has_code or not is_exact or plan.begins_with_prefix(start) is not False:
            return None
        return Meaning(plan.country, 0, NATIONAL) if size in lengths else _NONE
    if how == BEHIND_CODE:
        starts = (start, str(found[ABROAD] % 10))
        if not has_code or any(plan.begins_with_prefix(one) is not False for one in starts):
            return None  # a prefix may be left out twice
        return _dialed(plan, size, found, _abroad(found[ABROAD], size, 0, COUNTRY_CODE))
    if how >= WITH_CODE:
        behind = _abroad(found[ABROAD], size, 0, COUNTRY_CODE) if has_code and plan.is_too_long(size) else None
        return _dialed(plan, size, found, behind if behind and behind.cut == len(plan.code) else None)
    cut = 0 if how == WITHOUT_PREFIX else len(plan.begun_prefix(start))
    if how == WITH_CARRIER and cut:
        cut += CARRIER_DIGITS
    is_unknown = how != WITHOUT_PREFIX and not cut
    if is_unknown or (has_code and (cut or size not in lengths or plan.begins_with_prefix(start) is not False)):
        return None
    if size - cut in lengths:
        return Meaning(plan.country, cut, NATIONAL)
    return _NONE if is_exact else None


def _dialed(plan: NumberingPlan, size: int, found: Sequence[int], else_: Meaning | None = _NONE) -> Meaning | None:
    """The same for digits that begin with a prefix for calls abroad; `else_` if they do not."""
    if plan.longest_abroad > _MAX_PREFIX:
        return None
    prefix = plan.dialed_abroad(_after_leading(found[LEADING]))
    if prefix is None:
        return else_
    return _abroad(found[ABROAD + prefix - 1], size, prefix, INTERNATIONAL_PREFIX) if prefix > 1 else None


def _after_leading(digits: int) -> str:
    """The first four digits, with another one behind them. No calling code begins with a zero."""
    return f"{digits:04}1"


def _abroad(found: int, size: int, cut: int, source: int) -> Meaning | None:
    """The same for digits that begin with a calling code: see `numbering.read_abroad`.

    Args:
        found: What is behind the code, as in `read_ranges`.
        size: Number of all digits.
        cut: Number of digits before the code.
        source: How the country is written.
    """
    kind, first = divmod(found, 10)
    readings: Readings = calling_codes().combined[kind]
    if not readings.all:
        return _NONE
    _, plan, how, lengths, is_exact = readings.all[0]
    if how > PREFIXED:
        return None
    prefix = len(plan.begun_prefix(str(first))) if how == PREFIXED else 0
    before = cut + len(plan.code) + prefix
    is_clear = prefix > 0 if how == PREFIXED else plan.begins_with_prefix(str(first)) is False
    if not is_clear or (size - before not in lengths and (how == PREFIXED or not is_exact)):
        return None
    return Meaning(plan.country, before, source) if size - before in lengths else _NONE


def _start(number: int) -> str:
    """The first two digits."""
    return f"{number:02}"


@lru_cache(maxsize=16)
def digit_meanings(regions: tuple[str, ...]) -> DigitMeanings:
    """What digits mean in some regions, with what is known of them already."""
    return DigitMeanings(regions)
