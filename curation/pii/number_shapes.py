"""Numbers in windows of the same shape: what is known of one holds for all whose digits may mean the same.

Windows that kernels do not look at, those with extensions or words next to a number, have few shapes, and of the digits
in them it only matters in which regions they are a number. So the search with expressions is made once for each shape
and meaning. What that cannot tell for certain, and what is rarely written so, is left to `phone_matcher`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from curation.arrays import Int64s
from curation.pii.digit_meanings import DigitRange, Meaning, Meanings, digit_meanings, keep
from curation.pii.numbering import form_of, without_extension
from curation.pii.phone_matcher import candidate_at, first_candidate, may_be_date_in, search
from curation.pii.range_kernels import ABROAD, AFTER_PLUS, COLUMNS, EXTENDED, KIND, PLAIN
from curation.pii.recognizers import without_glued_word
from curation.pii.shape_keys import ShapeKey, shape_keys, written_shape
from curation.text import views

_MAX_RANGES = 12
"""Ranges of digits in a window that is not left to `phone_matcher`."""
_OFTEN = 12
"""How often a shape must be seen before it is looked at."""


class FoundNumber(NamedTuple):
    """A number in a window.

    Attributes:
        start: Its first character, counted from the start of the window.
        end: The character after its last one.
        extension: Number of digits of its extension.
        meanings: What it means, in the regions' order, each once.
    """

    start: int
    end: int
    extension: int
    meanings: tuple[Meaning, ...]


class NumberShape:
    """The shape of a window with what is around it.

    Args:
        text: The shape: digits are zeros, and letters around the window may be others.
        before: Number of characters before the window.
        size: Number of characters of the window.
        behind: Number of characters behind it that belong to an extension, or on which it depends.

    Attributes:
        text: The same.
        before: The same.
        is_known: Whether what is in the window depends on the meanings of its ranges only.
        ranges: The digits in it that may be a number.
        dates: Where dates may be, counted from the start of the window. If there is one, nothing is known.
    """

    def __init__(self, text: str, before: int, size: int, behind: int) -> None:
        self.text, self.before = text, before
        self.ranges: list[DigitRange] = []
        self.dates: set[tuple[int, int]] = set()
        begin, end = max(0, before - 1), before + size
        self._moved, self._size = begin - before, size
        self._seen = without_glued_word(text[begin : end + behind], end - begin)
        self._first, self._last, _ = first_candidate(self._seen, end - begin)
        self._range_of: dict[tuple[int, int], tuple[int, int] | None] = {}
        self.is_known = self._collect() and len(self.ranges) <= _MAX_RANGES

    def _collect(self) -> bool:
        """Collect the ranges, and whether all of them are written in a way that is known here."""
        counts = [0, *accumulate(map(str.isdecimal, self._seen))]
        places, tried = [0], {0}
        while places:
            candidate = candidate_at(self._seen, places.pop())
            if candidate is None:
                continue
            if candidate.may_be_date and may_be_date_in(self._seen, candidate.start, candidate.end):
                self.dates.add((candidate.start + self._moved, candidate.end + self._moved))
            for part in candidate.parts:
                if not self._add(part, counts[part.start], counts[part.end]):
                    return False
            for place in (candidate.end, *(part.end for part in candidate.parts)):
                if place < self._last and place not in tried:
                    tried.add(place)
                    places.append(place)
        return True

    def _add(self, part: Any, first: int, last: int) -> bool:
        """Add the range of a part of a candidate, and tell whether it is written in a way that is known here.

        Args:
            part: The part.
            first: Number of digits before it.
            last: Number of digits up to its end.
        """
        span = part.start, part.end
        form = form_of(part.shape)
        if part.shape.lower().count("x") > 1 or part.shape[-1] in "xX":
            return False
        written = None if form is None else without_extension(part.shape, form.extension)
        if form is None or (written and "x" in written.lower()):
            # An "x" only precedes an extension.
            self._range_of[span] = None
            return True
        if form.has_letters or written is None or last - first != form.size + form.extension:
            return False
        how = AFTER_PLUS if form.plus else EXTENDED if form.extension else PLAIN
        one = DigitRange(first, first + form.size, how)
        if one not in self.ranges:
            self.ranges.append(one)
        self._range_of[span] = self.ranges.index(one), form.extension
        return True

    def numbers(self, meanings: tuple[Meanings | None, ...], regions: tuple[str, ...]) -> list[FoundNumber] | None:
        """The numbers in a window of this shape, or None if that needs a closer look.

        Args:
            meanings: What each of the ranges means; None for what needs a closer look.
            regions: The regions.
        """

        def numbers_in(part: Any, _: object, wanted: tuple[str, ...]) -> dict[str, Meaning]:
            place = self._range_of[part.start, part.end]
            if place is None:
                return {}
            found = meanings[place[0]]
            if found is None:
                raise _UnclearError
            return {region: meaning for region, meaning in found if region in wanted}

        def candidate(place: int) -> Any:
            found = candidate_at(self._seen, place)
            return found and found._replace(may_be_date=False)

        try:
            spans = search(self._seen, (self._first, self._last), regions, candidate, numbers_in)
        except _UnclearError:
            return None
        numbers = []
        for start, end in spans:
            place = self._range_of[start, end]
            assert place is not None
            own, extension = place
            begin = start + self._moved
            if begin >= self._size:
                continue
            if _is_cut(self._seen[start:end]):
                begin += 1
            meant = tuple(dict.fromkeys(meaning for _, meaning in meanings[own] or ()))
            numbers.append(FoundNumber(begin, end + self._moved, extension, meant))
        return numbers


Judge = Callable[[NumberShape, tuple[Meanings | None, ...], tuple[str, ...]], list[Any] | None]


class _UnclearError(Exception):
    """What a range means needs a closer look."""


def _is_cut(written: str) -> bool:
    """Whether a bracket opens a number and none closes."""
    return written[0] in "(\uff08[\uff3b" and not set(written) & set(")\uff09]\uff3d")


class NumberShapes:
    """Tells what shapes windows have, and what their digits may mean, in some regions.

    Args:
        regions: Regions (ISO 3166), the preferred one first.
    """

    def __init__(self, regions: tuple[str, ...]) -> None:
        self._regions, self._digits = regions, digit_meanings(regions)
        self._shapes: dict[ShapeKey, NumberShape] = {}
        self._counts: dict[ShapeKey, int] = {}
        self._outcomes: dict[tuple[NumberShape, bytes], list[Any]] = {}
        self._judged: dict[tuple[NumberShape, tuple[Meanings | None, ...]], list[Any] | int | None] = {}

    def outcomes(
        self, text: views.Characters, windows: Int64s, text_of: Callable[[int], str], judge: Judge
    ) -> Iterator[tuple[int, NumberShape | None, list[Any] | None]]:
        """The windows that may have a number: the place and shape of each, and what is in it. The shape is None for
        those to leave to `phone_matcher`, and what is in it if that is not known.

        Args:
            text: The texts.
            windows: The windows.
            text_of: Returns the text of a row.
            judge: Makes what is in a window of its shape, what its ranges mean, and the regions.
        """
        shapes = self._shapes_of(text, windows, text_of)
        ranges, sizes, number_of = list[DigitRange](), [0], {id(None): -1}
        for shape in shapes:
            if shape is not None and id(shape) not in number_of:
                number_of[id(shape)] = len(sizes) - 1
                ranges += shape.ranges
                sizes.append(len(ranges))
        places = np.array([number_of[id(shape)] for shape in shapes], np.int64)
        of_shape = np.array([*sizes, 0], np.int64)
        # The last size is 0, so windows without a shape have no ranges.
        first, last = of_shape[places], np.where(places < 0, 0, of_shape[places + 1])
        found = self._digits.read(text, windows, first, last, np.array(ranges, np.int64).reshape(-1, 3))
        may_have = found[:, :, [KIND, *range(ABROAD, COLUMNS)]].any(axis=(1, 2))
        width, written = found[:1].nbytes, found.tobytes()
        for place in np.flatnonzero(may_have | (places < 0)).tolist():
            shape = shapes[place]
            if shape is None:
                yield place, None, None
                continue
            key = written[place * width : (place + 1) * width]
            outcome = self._outcomes.get((shape, key))
            if outcome is None:
                meanings = tuple(map(self._digits.of, shape.ranges, found[place].tolist()))
                outcome = self._outcome(shape, meanings, judge)
                if outcome is not None:
                    keep(self._outcomes, (shape, key), outcome)
            yield place, shape, outcome

    def _outcome(self, shape: NumberShape, meanings: tuple[Meanings | None, ...], judge: Judge) -> list[Any] | None:
        """What is in a window; None if that is not known, or if it is seen for the first time.

        Args:
            shape: Its shape.
            meanings: What each of its ranges means.
            judge: As in `outcomes`.
        """
        outcome = self._judged.get((shape, meanings), 0)
        if outcome == 0:
            keep(self._judged, (shape, meanings), 1)
        elif outcome == 1:
            outcome = self._judged[shape, meanings] = judge(shape, meanings, self._regions)
        return outcome if isinstance(outcome, list) else None

    def _shapes_of(
        self, text: views.Characters, windows: Int64s, text_of: Callable[[int], str]
    ) -> list[NumberShape | None]:
        shapes: list[NumberShape | None] = []
        known = self._shapes
        for key in shape_keys(text, windows, text_of):
            shape = None if key is None else known.get(key)
            if key is not None and shape is None:
                # A shape that is rare is faster to search than to look at.
                count = self._counts.get(key, 0) + 1
                keep(self._counts, key, count)
                if count > _OFTEN:
                    characters, sizes = key
                    shape = NumberShape(written_shape(characters), *sizes)
                    keep(known, key, shape)
            shapes.append(shape if shape is not None and shape.is_known else None)
        return shapes


@lru_cache(maxsize=16)
def number_shapes(regions: tuple[str, ...]) -> NumberShapes:
    """The shapes of windows that are known for some regions."""
    return NumberShapes(regions)
