"""Evidence for phone numbers: numbering plans say whether a number is valid, its format whether it is meant as one."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.pii.alike_kernels import number_alike
from curation.pii.context import (
    ANY_NAME,
    IN_CONTEXT,
    LABEL_SIGNS,
    NAMED,
    SearchedTexts,
    has_label,
    in_context,
    is_named_otherwise,
    may_be_in_context,
)
from curation.pii.digit_meanings import Meaning
from curation.pii.evidence import Match, is_part
from curation.pii.extensions import end_of_context
from curation.pii.number_characters import are_joined_letters, kinds_of_characters, values_of_digits
from curation.pii.number_parts import NumberParts, digits_between, numbers_in_parts
from curation.pii.numbering import (
    NATIONAL,
    PLUS,
    Grouping,
    Number,
    grouping,
    may_be_grouped,
    numbers,
    shape,
    usually_grouped,
    without_extension,
)
from curation.pii.phone_matcher import next_candidate
from curation.pii.recognizers import GLUED_WORD, PHONE_SCORE, Span
from curation.pii.shape_kernels import AROUND, BEHIND, COLUMNS, HAS_SLASH, IS_ABROAD, IS_GROUPED, write_shapes
from curation.pii.window_kernels import MAX_DIGITS
from curation.pii.windows import HYPHENS, MIN_PHONE_DIGITS, NUMBER_PUNCTUATION, plain, plain_codes, spelled
from curation.text import views

WELL_PRINTED = 0.6
"""The score of a phone number in international format or grouped as is usual in its country."""
MAX_FIGURES = MAX_DIGITS
"""A run of more digits, separated only by spaces and punctuation, is a table, in which no phone number is searched."""

_REACH = {**dict.fromkeys(".,:/+-" + HYPHENS, 2), "_": AROUND}
"""How many of them matter, by the one next to the number; one if it is another."""
_COLUMNS = struct.Struct(f"<{COLUMNS}I")
_NAMED = NAMED["phone"]
_DATE_PATTERN = (
    r"(?<![\d./-])(?:(?:[0-2]?\d|3[01])(?P<day>[./-])\s?(?:[0-2]?\d|3[01])(?P=day)\s?(?:19|20)?\d\d"
    r"|(?:19|20)\d\d(?P<year>[./-])(?:0?\d|1[0-2])(?P=year)(?:[0-2]?\d|3[01]))(?![./-]?\d)"
)
_DATE = re.compile(_DATE_PATTERN)
_QUAD = re.compile(r"(?!\d\d(?:\.\d\d){3}$|\d{3}\.\d{3}\.\d\d\.\d\d$)\d{1,3}(?:\.\d{1,3}){3}")
"""Four groups separated by full stops, which are an address or version, except two digits each or 044.668.18.00."""
_MAX_SHAPE, _UNCLEAR = 128, frozenset("+＋/")
"""Characters of a window whose shape says whether a number may be in it, and what it must not have for that."""
_INTERNATIONAL = re.compile(r"[(（\[［]?[+＋]")
_OPENING, _CLOSING = "(（[［", frozenset(")）]］")
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
_WELL_PRINTED = re.compile(rf"[+＋]\D{{0,9}}\d|{_SLASHED_PATTERN}|(?!{_DATE_PATTERN}){_GROUPED_PATTERN}")
"""Where a number may begin that is well printed."""
_BEHIND_DASH = re.compile(rf"\d[{HYPHENS}]\Z")
_FAKE, _AMERICAN = np.array([ord(character) for character in "-555-01"], np.uint32), (Meaning(1, 0, NATIONAL),)
"""What numbers that replace others have behind their area code, and what they mean."""
_FICTION = re.compile(r"\+1\d{3}55501\d\d")
"""Numbers that the North American numbering plan reserves for fiction, in every area."""
_WRITTEN = re.compile(rf"[\d{re.escape(NUMBER_PUNCTUATION)}]*+")
_DIGIT = re.compile(r"\d")
_MAY_BE_DATE = re.compile(r"\d[./-]\s?\d{1,2}[./-]")


def _may_be_phone(text: str, start: int, end: int, named: int, minimum: float, regions: tuple[str, ...]) -> bool:
    """Whether a number in a window can reach the score `minimum`: cheap tests before slow ones.

    Args:
        text: The text.
        start: Where the window starts.
        end: Where it ends.
        named: What words may name it, as bits.
        minimum: The score.
        regions: Regions (ISO 3166) of national phone numbers.
    """
    if minimum <= PHONE_SCORE or (
        named & _NAMED and may_be_in_context("phone", text, start, end_of_context(text, end))
    ):
        return True
    written = plain(text[start:end])
    if "00" in written and _ABROAD.search(written):
        return True
    if not _WELL_PRINTED.search(written):
        return False
    is_unclear = not _UNCLEAR.isdisjoint(written) or len(written) > _MAX_SHAPE
    return is_unclear or may_be_grouped(shape(written), regions)


def judge_windows(
    texts: SearchedTexts,
    windows: Int64s,
    minimum: float,
    regions: tuple[str, ...],
    is_again: bool = False,
) -> tuple[list[tuple[int, Match]], Int64s]:
    """Judge windows by their parts, and what their digits mean. Tables have no numbers.

    Args:
        texts: The texts.
        windows: Shape (windows, 5): row, start, end and number of digits of each, and what words may name a number in
            it, as bits.
        minimum: The minimum score.
        regions: Regions (ISO 3166) of national phone numbers.
        is_again: Whether numbers in the texts were replaced, and these replacements need not be found.

    Returns:
        The matches with their rows, and the other windows that may have one.
    """
    windows = windows[windows[:, 3] <= MAX_FIGURES]
    matches, windows = _judge_parts(texts, windows, minimum, regions, is_again)
    others = [
        place
        for place, (row, start, end, _, named) in enumerate(windows.tolist())
        if _may_be_phone(texts.text(row), start, end, named, minimum, regions)
    ]
    return matches, windows[others]


class _KnownNumber(NamedTuple):
    """What is known of numbers of the same shape with the same meanings.

    Attributes:
        size: Number of digits.
        has_extension: Whether digits of an extension follow them.
        meanings: What they mean.
        ways: Each of its meanings, and how it is grouped; None if that needs a closer look.
        look: What can be said of it by its shape; None if it is no number.
        labelled: The same if a sign before it belongs to a word that names a number.
        printed: How it is printed, as bits.
    """

    size: int
    has_extension: bool
    meanings: tuple[Meaning, ...]
    ways: tuple[tuple[Meaning, Grouping], ...] | None
    look: _Look | None
    labelled: _Look | None
    printed: int


def _known(written: bytes, meanings: Sequence[tuple[Meaning, ...]]) -> _KnownNumber | None:
    """What is known of a number, or None if it is part of something longer.

    Args:
        written: The shape of the number and of what is around it, as `write_shapes` writes it.
        meanings: What numbers may mean.
    """
    start, end, extension, meant, printed = _COLUMNS.unpack(written[-_COLUMNS.size :])
    around = written[: -_COLUMNS.size].decode("utf-32-le")
    if around[end : end + 1].isalpha():
        around, start, end = _context(around, start, end)
    return _known_alike(around, start, end, extension, meanings[meant], printed)


@lru_cache(maxsize=1 << 13)
def _known_alike(
    around: str, start: int, end: int, extension: int, meanings: tuple[Meaning, ...], printed: int
) -> _KnownNumber | None:
    """The same, by what may be around other numbers, too."""
    look = _look(around, start, end)
    labelled = _look(around[start:], 0, end - start) if around[start - 1 : start] in LABEL_SIGNS else None
    written = without_extension(around[start:end], extension)
    if written is None or (look is None and labelled is None):
        return None
    size, slashes, ways = len(_DIGIT.findall(written)), around.count("/", start, end), None
    if slashes == written.count("/"):
        ways = tuple((one, grouping(one.country, size - one.cut, written, one.source)) for one in meanings)
    return _KnownNumber(size, extension > 0, meanings, ways, look, labelled, printed)


def _judge_known(
    text: str, start: int, end: int, digits: str, known: _KnownNumber, named: int, whole: str
) -> Match | None:
    """The match of a number of which all but its digits is known, or None if it contains a date.

    Args:
        text: The text.
        start: Where the number begins.
        end: Where it ends.
        digits: Its digits, with those of its extension.
        known: What is known of it.
        named: What words may name it, as bits.
        whole: The `word_shape` of the text, if it is known.
    """
    size, has_extension, meanings, ways, look, labelled, printed = known
    if labelled is not None and named and has_label("phone", text, start, end, named):
        look = labelled
    if look is None or ways is None or (look.may_be_date and _DATE.search(text[start:end])):
        return None
    chosen, is_grouped = meanings[0], False
    for meaning, one in ways:
        if one.is_usual(digits[meaning.cut : size]):
            chosen, is_grouped = meaning, True
            break
    value = f"+{chosen.country}{digits[chosen.cut : size]}"
    if has_extension:
        value = f"{value};{digits[size:]}"
    is_well_printed = is_grouped and look.may_be_grouped and printed & IS_GROUPED
    if not is_well_printed and printed & (HAS_SLASH | IS_ABROAD):
        is_well_printed = _is_well_printed(spelled(text[start:end]), look, (value, is_grouped, meanings))
    return _scored(text, start, end, value, PHONE_SCORE, look, bool(is_well_printed), named, whole)


def _judge_parts(
    texts: SearchedTexts,
    windows: Int64s,
    minimum: float,
    regions: tuple[str, ...],
    is_again: bool,
) -> tuple[list[tuple[int, Match]], Int64s]:
    """Judge windows by their parts, as `judge_windows`: the matches, and the windows that need a closer look."""
    characters = texts.characters
    numbers, meanings, done = found = numbers_in_parts(characters, windows, regions)
    if is_again:
        numbers = numbers[~_are_fakes(characters, windows, found)]
    rows, near = windows[numbers[:, 0]][:, [0, 4]].T
    numbers[:, 1:3] += windows[numbers[:, 0], 1:2]
    shapes, edges, printed = _shapes(characters, rows, numbers)
    named = texts.narrowed("phone", np.column_stack([rows, numbers[:, 1:3]]), near)
    may_count = (printed != 0) | (named & (_NAMED | IN_CONTEXT) != 0) | (minimum <= PHONE_SCORE)
    begins, stops, rows, near, named = (one[may_count] for one in (edges[:-1], edges[1:], rows, near, named))
    sort, firsts = number_alike(shapes, begins, stops)
    ends_of_firsts = zip(begins[firsts].tolist(), stops[firsts].tolist(), strict=True)
    known = [_known(shapes[begin:stop].tobytes(), meanings) for begin, stop in ends_of_firsts]
    starts, ends = numbers[may_count, 1:3].T
    digits = digits_between(characters, starts + characters.first[rows], ends + characters.first[rows])
    counts = np.bincount(rows).tolist()
    matches: list[tuple[int, Match]] = []
    columns = (one.tolist() for one in (sort, rows, starts, ends, near, named))
    for own, place, row, start, end, words, own_words in zip(digits, *columns, strict=True):
        one, text = known[place], texts.text(row)
        if one is None:
            continue
        if one.ways is None:
            match = judge_phone(text, Span(start, end, PHONE_SCORE), regions, words)
        else:
            whole = texts.shape(row, counts[row]) if own_words else ""
            match = _judge_known(text, start, end, own, one, own_words, whole)
        if match is not None:
            matches.append((row, match))
    return matches, windows[~done]


def _are_fakes(text: views.Characters, windows: Int64s, found: NumberParts) -> Bools:
    """Which numbers have replaced others, if no other one overlaps them and they are no part of one.

    A number of the same form may be another one in a region whose numbers are preferred to those of North America.

    Args:
        text: The texts.
        windows: The windows.
        found: The numbers in them.
    """
    numbers, window, meant = found.numbers, found.numbers[:, 0], found.numbers[:, -1]
    starts, ends = (numbers[:, 1:3] + (text.first[windows[window, 0]] + windows[window, 1])[:, None]).T
    are_american = np.array([one[:1] == _AMERICAN for one in found.meanings], np.bool_)
    # The extension of a number may go on in the next window.
    ends_before = np.append(0, np.maximum.accumulate(ends))[:-1]
    starts_after = np.append(np.minimum.accumulate(starts[::-1])[::-1], len(text.codepoints))[1:]
    is_alone = (ends_before <= starts) & (ends <= starts_after) & np.append(True, found.done)[window]
    are_fakes: Bools = is_alone & (ends - starts == len("212-555-0123")) & are_american[meant]
    written = text.codepoints[starts[are_fakes, None] + 3 + np.arange(len(_FAKE))]
    are_fakes[are_fakes] = (written == _FAKE).all(axis=1)
    return are_fakes


def _shapes(characters: views.Characters, rows: Int64s, numbers: Int64s) -> tuple[UInt32s, Int64s, UInt8s]:
    """The shape of each number with what is around it, where each begins and ends, and how each number is printed.

    `write_shapes` writes them.

    Args:
        characters: The texts.
        rows: The row of each number.
        numbers: The numbers, as `numbers_in_parts` finds them, but counted from the start of the text; changed where
            a number begins behind its bracket.
    """
    offsets = characters.first[rows]
    starts, ends = numbers[:, 1] + offsets, numbers[:, 2] + offsets
    room = int((ends - starts).sum()) + len(rows) * (AROUND + BEHIND + COLUMNS)
    shapes, edges = np.empty(room, np.uint32), np.zeros(len(rows) + 1, np.int64)
    (extensions, meant), printed = numbers[:, 3:].T.copy(), np.empty(len(rows), np.uint8)
    write_shapes(
        *(characters.codepoints, starts, ends, offsets, characters.last[rows], extensions, meant),
        *(kinds_of_characters(), values_of_digits(), are_joined_letters(), plain_codes(), shapes, edges, printed),
    )
    numbers[:, 1] = starts - offsets
    return shapes, edges, printed


_WholeNumber = tuple[str, bool, Collection[Number | Meaning]]
"""A number in E.164 format with its extension, whether it is grouped as is usual, and all that it may mean."""


def judge_phone(text: str, span: Span, regions: tuple[str, ...], named: int = ANY_NAME) -> Match | None:
    """Judge a phone number.

    Args:
        text: The text.
        span: Span found by the recognizer.
        regions: Regions (ISO 3166) of national phone numbers.
        named: What words may name it, as bits.

    Returns:
        The match, or None if the number contains a date, is part of something longer or is too short.
    """
    start, end, found = span.start, span.end, span.numbers
    raw = text[start:end]
    if raw[0] in _OPENING and _CLOSING.isdisjoint(raw):
        start, raw, found = start + 1, raw[1:], None
    begin = start if has_label("phone", text, start, end) else max(0, start - AROUND)
    look = _look(*_context(shape(text[begin : end + BEHIND]), start - begin, end - begin))
    if look is None or (look.may_be_date and _DATE.search(raw)):
        return None
    found = numbers(raw, regions) if found is None else found
    if not found:
        return None
    value, is_grouped = _read(raw, found)
    is_well_printed = _is_well_printed(spelled(raw), look, (value, is_grouped, found.values()))
    return _scored(text, start, end, value, span.score, look, is_well_printed, named)


def _context(around: str, start: int, end: int) -> tuple[str, int, int]:
    """A number with the few characters around it that matter, and where it begins and ends in them."""
    previous, following = around[start - 1 : start], around[end : end + 1]
    before, after = max(0, start - _REACH.get(previous, 1)), end + _REACH.get(following, 1)
    is_glued = following.isalpha() and GLUED_WORD.match(around, end)
    return around[before : end if is_glued else after], start - before, end - before


def _scored(
    text: str,
    start: int,
    end: int,
    value: str,
    score: float,
    look: _Look,
    is_well_printed: bool,
    named: int,
    whole: str = "",
) -> Match:
    """The match of a number, with the evidence of its form and of the words next to it.

    Args:
        text: The text.
        start: Where the number begins.
        end: Where it ends.
        value: The number in E.164 format with its extension.
        score: The score of any valid number.
        look: What can be said of it by its shape.
        is_well_printed: Whether it is written as numbers are printed.
        named: What words may name it, as bits.
        whole: The `word_shape` of the text, if it is known.
    """
    if look.is_international or not (named and is_named_otherwise(text, start, end, named, whole)):
        if look.is_international or (is_well_printed and not look.is_inside):
            score = WELL_PRINTED
        score = in_context("phone", text, start, end, score, named, whole) if named else score
    return Match("phone", start, end, score, value, "55501" in value and _FICTION.fullmatch(value) is not None)


class _Look(NamedTuple):
    """What can be said of a number by its shape.

    Attributes:
        is_international: Whether it begins with "+".
        may_be_date: Whether it may contain a date.
        may_be_grouped: Whether it may be grouped as is usual.
        is_inside: Whether it follows a digit and a dash, as in a series, so that its groups are no evidence.
    """

    is_international: bool
    may_be_date: bool
    may_be_grouped: bool
    is_inside: bool


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
    may_be_date, is_inside = _MAY_BE_DATE.search(raw) is not None, _BEHIND_DASH.search(around[:start]) is not None
    return _Look(is_international, may_be_date, raw[0] in "0123456789(" or not raw.isascii(), is_inside)


def _is_part(text: str, start: int, end: int) -> bool:
    """Like `is_part`, but a plus sign or bracket starts a number even after a letter: "Free trial+1 408 886 7177"."""
    after_word = text[start] in "+＋(" and text[max(0, start - 1) : start].isalpha()
    return is_part(text[start:], 0, end - start) if after_word else is_part(text, start, end)


def _is_well_printed(form: str, look: _Look, number: _WholeNumber) -> bool:
    """Whether a number without "+" is written as numbers are printed.

    Args:
        form: The number as it is `spelled`.
        look: What can be said of it by its shape.
        number: What it means.
    """
    value, is_grouped, found = number
    if is_grouped and look.may_be_grouped and _GROUPED.match(form):
        return True
    if "/" in form:
        _, _, extension = value.partition(";")
        if _SLASHED.fullmatch(without_extension(form, len(extension)) or form):
            return True
    # The prefix for calls abroad and, as a group of its own, the country code.
    abroad = _ABROAD.match(form) if form.startswith(("00", "(00")) else None
    return abroad is not None and any(one.country == int(abroad[1]) for one in found)


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
