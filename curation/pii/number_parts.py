"""Numbers in windows of digits and punctuation: their parts that may be numbers, and which of them are.

Kernels find the parts and search among them as `phone_matcher` does. What the digits of a part mean is looked up once
for all that may mean the same.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from curation.arrays import Bools, Int64s
from curation.pii import numbering
from curation.pii.alike_kernels import number_alike
from curation.pii.digit_meanings import Meaning, Meanings, digit_meanings
from curation.pii.extensions import extensions_of
from curation.pii.number_characters import kinds_of_characters, values_of_digits
from curation.pii.numbering_plans import main_region, plan_of, regions_of
from curation.pii.part_kernels import COLUMNS, END, EXTENSION, FIRST, LAST, PREFIX, START, WINDOW, WRITTEN, find_parts
from curation.pii.range_kernels import CARRIER, EXTENDED, KEYED, KEYS, NONE
from curation.pii.search_kernels import search_parts
from curation.text import views


class NumberParts(NamedTuple):
    """Numbers in windows.

    Attributes:
        numbers: Shape (numbers, 5): the window of each, where it begins and ends, counted from the start of the window,
            the number of digits of its extension, and the place of what it means.
        meanings: What numbers mean, in the regions' order, each once.
        done: For each window whether it was looked at.
    """

    numbers: Int64s
    meanings: list[tuple[Meaning, ...]]
    done: Bools


def numbers_in_parts(text: views.Characters, windows: Int64s, regions: tuple[str, ...]) -> NumberParts:
    """Find the numbers in windows, but not in those that need a closer look.

    Args:
        text: The texts.
        windows: The windows.
        regions: Regions (ISO 3166), the preferred one first.
    """
    rows, begins, ends = windows[:, :3].T
    offsets = text.first[rows]
    parts, done = _parts(text, windows, regions)
    meant, meanings = _meant(text, windows, parts, regions)
    place_of = {region: place for place, region in enumerate(regions)}
    are_valid = np.zeros((len(meanings), len(regions)), np.bool_)
    for place, found in enumerate(meanings):
        are_valid[place, [place_of[region] for region, _ in found or ()]] = True
    chosen = np.empty((len(parts), 2), np.int64)
    count = search_parts(
        *(text.codepoints, begins + offsets, ends + offsets, text.last[rows], kinds_of_characters()),
        *(parts, meant, are_valid, np.array([found is not None for found in meanings], np.bool_)),
        *(chosen, np.empty((len(parts), len(regions)), np.bool_), done),
    )
    window, part = chosen[:count].T
    distinct = [tuple(dict.fromkeys(meaning for _, meaning in found or ())) for found in meanings]
    found_parts = parts[part]
    numbers = np.column_stack([window, found_parts[:, [START, END, EXTENSION]], meant[part]])
    return NumberParts(numbers, distinct, done)


def digits_between(text: views.Characters, starts: Int64s, ends: Int64s) -> list[str]:
    """The digits in stretches of texts, as ASCII.

    Args:
        text: The texts.
        starts: Where each begins, in the code points of all texts.
        ends: Where it ends.
    """
    codepoints, edges = text.between(starts, ends)
    values = values_of_digits()[codepoints]
    is_digit = values <= 9
    digits = (values[is_digit] + ord("0")).tobytes().decode("ascii")
    counts = np.append(0, np.cumsum(is_digit))[edges].tolist()
    return [digits[first:last] for first, last in pairwise(counts)]


def _meant(
    text: views.Characters, windows: Int64s, parts: Int64s, regions: tuple[str, ...]
) -> tuple[Int64s, list[Meanings | None]]:
    """For each part the place of what it means, and what is at these places.

    Args:
        text: The texts.
        windows: The windows.
        parts: The parts.
        regions: Regions (ISO 3166).
    """
    digits, of_part = digit_meanings(regions), windows[parts[:, WINDOW]]
    how = np.where(parts[:, WRITTEN] == CARRIER, EXTENDED, parts[:, WRITTEN])
    found = digits.read(text, of_part, np.column_stack([parts[:, [FIRST, LAST]], how]))
    own = parts[:, LAST] - parts[:, FIRST]
    sizes = np.where(how == KEYED, own + KEYS, own)
    keys = np.column_stack([sizes, how, own + parts[:, EXTENSION], found]).astype(np.int32)
    edges = np.arange(len(keys) + 1) * keys.shape[1]
    sort, firsts = number_alike(keys.ravel().view(np.uint32), edges[:-1], edges[1:])
    place_of: dict[Meanings | None, int] = {}

    def place(meanings: Meanings | None) -> int:
        return place_of.setdefault(meanings, len(place_of))

    of_sort = [digits.of(size, how, total, row) for size, how, total, *row in keys[firsts].tolist()]
    meant = np.array(list(map(place, of_sort)), np.int64)[sort]
    carriers = np.flatnonzero(parts[:, PREFIX] != NONE)
    behind = parts[carriers][:, [FIRST, LAST, WRITTEN]] + parts[carriers][:, [PREFIX]] * (1, 0, 0)
    behind[:, 2] = EXTENDED
    for part, row in zip(carriers.tolist(), digits.read(text, of_part[carriers], behind).tolist(), strict=True):
        whole, size = of_sort[sort[part]], int(own[part])
        rest = size - int(parts[part, PREFIX])
        if whole:
            meant[part] = place(_with_carrier(whole, size, digits.of(rest, CARRIER, rest, row), rest))
    begins = of_part[:, 1] + text.first[of_part[:, 0]]
    for part in np.flatnonzero(meant == place_of.get(None, -1)).tolist():
        start, end = (begins[part] + parts[part, [START, END]]).tolist()
        number = text.codepoints[start:end].tobytes().decode("utf-32-le")
        meant[part] = place(_read(number, int(own[part]), regions))
    return meant, list(place_of)


@lru_cache(maxsize=1 << 10)
def _with_carrier(whole: Meanings, size: int, rest: Meanings | None, behind: int) -> Meanings | None:
    """What all digits of a number mean where those behind the code of a carrier mean the same: see `numbering`.

    Args:
        whole: What all of them mean.
        size: Their number.
        rest: What those behind the code mean, or None if that is not known.
        behind: Their number.

    Returns:
        None if that needs a closer look.
    """
    again, kept = dict(rest or ()), []
    for region, one in whole:
        main = main_region(one.country) or ""
        if main and size - one.cut > behind and not plan_of(main).may_lengthen:
            continue  # fewer digits are behind the code than the number has
        if main not in again:
            return None
        if again[main].country == one.country and size - one.cut == behind - again[main].cut:
            kept.append((region, one))
    return tuple(kept)


def _read(written: str, size: int, regions: tuple[str, ...]) -> Meanings | None:
    """What a written number means, or None if it has other digits than are written.

    Args:
        written: The number.
        size: Number of digits without its extension.
        regions: Regions (ISO 3166).
    """
    found, digits = numbering.numbers(written, regions), numbering.digits_of(written)
    own, extension = digits[:size], digits[size:]
    if written[-1] in "tT":
        # Letters of a label stand for digits. No match ends so, but it prevents others.
        size += KEYS
    elif not all(own.endswith(one.national) and one.extension == extension for one in found.values()):
        return None
    return tuple((region, Meaning(one.country, size - len(one.national), one.source)) for region, one in found.items())


def _parts(text: views.Characters, windows: Int64s, regions: tuple[str, ...]) -> tuple[Int64s, Bools]:
    """The parts of windows that may be numbers, as `find_parts` finds them, and whether each window was looked at.

    Args:
        text: The texts.
        windows: The windows.
        regions: Regions (ISO 3166).
    """
    rows, begins, ends = windows[:, :3].T
    offsets, lasts, size, place, count = text.first[rows], text.last[rows], len(windows), 0, 0
    begins, ends = begins + offsets, ends + offsets
    done, missing = np.zeros(size, np.bool_), np.zeros(2, np.int64)
    found = np.empty((4 * size + 64, COLUMNS), np.int64)
    automaton, kinds, values = regions_of(regions), kinds_of_characters(), values_of_digits()
    extensions = extensions_of(text, windows)
    while place < size:
        states, missing[0] = automaton.states(), -1
        place, count = find_parts(
            *(text.codepoints, begins, ends, offsets, lasts, extensions, kinds, values),
            *(states.following, states.accepts, states.kinds, states.start, states.dead),
            *(place, found, count, done, missing),
        )
        if missing[0] >= 0:
            states.step(*missing.tolist())
        elif place < size:
            found = np.concatenate([found, np.empty_like(found)])
    parts: Int64s = found[:count]
    return parts, done
