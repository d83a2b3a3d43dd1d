"""Numbering plans: whether a written number is a valid phone number, decided as phonenumbers does, but in microseconds.

phonenumbers (libphonenumber) needs 15 µs to parse and validate a number, and its matcher does that for every part of
what may be several numbers, for one region at a time: a page full of figures takes minutes. Here the metadata of
phonenumbers, its public part, is compiled into one expression per calling code, and all regions are decided at once.
Tests compare the decisions with those of phonenumbers, for every region.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple, TypeVar

from curation.pii.numbering_plans import (
    ANYWHERE,
    PREFIXED,
    PUNCTUATION,
    TOO_SHORT,
    WITHOUT_PREFIX,
    Formats,
    NumberingPlan,
    Reading,
    alternative_formats,
    country_code,
    main_plan,
    main_region,
    plan_of,
    regions_of,
)

PLUS, INTERNATIONAL_PREFIX, COUNTRY_CODE, NATIONAL = range(4)
"""How the country is written: "+49", "0049", "49", or not at all."""
_MIN_DIGITS, _MAX_DIGITS = 2, 17
"""Length of a national number without prefixes (libphonenumber)."""
_MAX_WRITTEN = 250
"""Characters of the longest written number (libphonenumber)."""
_KEYPAD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")

_SPACES = "[ \u00a0\\t,]"
_LABEL = "(?:e?xt(?:ensi(?:o\u0301?|\u00f3))?n?|\uff45?\uff58\uff54\uff4e?|\u0434\u043e\u0431|anexo)"
_SHORT_LABEL = "(?:[x\uff58#\uff03~\uff5e]|int|\uff49\uff4e\uff54)"
_AFTER_LABEL = "[:.\uff0e]?[ \u00a0\\t,-]*+"
_EXTENSIONS = (
    r";ext=(\d{1,20})",
    rf"{_SPACES}*+{_LABEL}{_AFTER_LABEL}(\d{{1,20}})#?",
    rf"{_SPACES}*+{_SHORT_LABEL}{_AFTER_LABEL}(\d{{1,9}})#?",
    r"[- ]++(\d{1,6})#",
)
"""How an extension is written."""
EXTENSION = "|".join(pattern.replace("(\\d", "(?:\\d") for pattern in _EXTENSIONS)
"""An extension, without groups."""
_COMMAS = rf"[ \u00a0\t]*+(?:,,{_AFTER_LABEL}(\d{{1,15}})|,(?!,){_AFTER_LABEL}(\d{{1,9}}))#?"
_SEMICOLON = rf"[ \u00a0\t]*+;{_AFTER_LABEL}(\d{{1,15}})#?"
_LAST_EXTENSION = re.compile(
    rf"(?:{_EXTENSIONS[0]}|(?<!{_SPACES})(?:{_EXTENSIONS[1]}|{_EXTENSIONS[2]}|{_COMMAS})"
    rf"|(?<![ \u00a0\t]){_SEMICOLON}|(?<![- ]){_EXTENSIONS[3]})\Z",
    re.IGNORECASE,
)
"""An extension at the end of a number, leftmost. The white space before it is part of it, so it never follows some."""
_MAY_BEGIN_EXTENSION = re.compile("[^\\W\\d_]|[;,#\uff03~\uff5e]")
_MIN_BLOCK, _MAX_GROUPS = 6, 10
"""Digits of a group that may be a number of its own, and groups of digits of the longest text that is looked at."""
_MAX_LETTERS = 2
"""With more letters than this, they stand for digits (libphonenumber)."""
_ZEROS = dict.fromkeys(map(ord, "123456789"), "0")
_ASCII_ZEROS = bytes(ord("0") if chr(code).isdecimal() else code for code in range(256))
_NO_ASCII_DIGITS = bytes(code for code in range(256) if not chr(code).isdecimal())
_NO_DIGITS = 0x20000
"""Code point from which on there are no digits."""
_DIGITS = re.compile(r"\d++")
_START = re.compile(r"[+\uff0b\d]")
_SECOND_NUMBER = re.compile(r"[\\/] *+x")
_VIABLE = re.compile(rf"\A[+\uff0b]*+(?:[{PUNCTUATION}*]*+\d){{3}}[{PUNCTUATION}*A-Za-z\d]*+", re.IGNORECASE)
_BRACKETS = re.compile(
    "[(\\[\uff08\uff3b]?(?:[^()\\[\\]\uff08\uff09\uff3b\uff3d]++[)\\]\uff09\uff3d])?[^()\\[\\]\uff08\uff09\uff3b\uff3d]++"
    "(?:[(\\[\uff08\uff3b][^()\\[\\]\uff08\uff09\uff3b\uff3d]++[)\\]\uff09\uff3d]){0,3}+"
    "[^()\\[\\]\uff08\uff09\uff3b\uff3d]*+"
)
_PAGES = re.compile(r"\d-++\d{1,5}+\s{0,4}+\(\d")
"""Pages of a publication: "211-227 (2003)"."""
_NOT_DIGITS = re.compile(r"\D++")
_LETTERS = re.compile("[A-Za-z]")


class Number(NamedTuple):
    """A valid phone number.

    Attributes:
        country: Calling code.
        national: Digits after the calling code, without national prefix.
        extension: Digits of the extension, or "".
        source: How the country is written.
    """

    country: int
    national: str
    extension: str
    source: int

    @property
    def value(self) -> str:
        """The number in E.164 format, with its extension: "+12127365000;5"."""
        number = f"+{self.country}{self.national}"
        return f"{number};{self.extension}" if self.extension else number


class Form(NamedTuple):
    """How a number is written, whatever its digits.

    Attributes:
        size: Number of digits before the extension.
        extension: Number of digits of the extension.
        plus: Whether a "+" precedes the digits.
        has_x: Whether there is an "x", for an extension or a carrier.
        has_letters: Whether letters stand for digits, as on a keypad.
    """

    size: int
    extension: int
    plus: bool
    has_x: bool
    has_letters: bool

    @property
    def is_simple(self) -> bool:
        """Whether there are only digits, punctuation and perhaps a "+"."""
        return not (self.extension or self.has_x or self.has_letters)

    @property
    def is_plain(self) -> bool:
        """Whether there are only digits and punctuation."""
        return self.is_simple and not self.plus


class _Written(NamedTuple):
    """A written number: its digits without "+" and extension, whether it has a "+", its extension, and whether letters
    stand for digits."""

    digits: str
    plus: bool
    extension: str
    has_letters: bool = False


def shape(written: str) -> str:
    """The text with all decimal digits as zeros, which has the same form: "(212) 736" → "(000) 000"."""
    if written.isascii():
        return written.encode().translate(_ASCII_ZEROS).decode()  # takes a fourth of the time of `str.translate`
    return written.translate(_all_zeros())


def digits_of(written: str) -> str:
    """The decimal digits of a text, as ASCII: "(212) ７" → "2127"."""
    if written.isascii():
        return written.encode().translate(None, _NO_ASCII_DIGITS).decode()
    return "".join(_DIGITS.findall(_normal_digits(written)))


@lru_cache(maxsize=1 << 13)
def form_of(written: str) -> Form | None:
    """The form of a written number, or of its shape; None if no number is written so."""
    if not _BRACKETS.fullmatch(written) or ("(" in written and _PAGES.search(written)):
        return None
    parts = _parts(written)
    if parts is None:
        return None
    has_x = "x" in written or "X" in written
    return Form(len(parts.digits), len(parts.extension), parts.plus, has_x, parts.has_letters)


@lru_cache(maxsize=1 << 14)
def numbers(written: str, regions: tuple[str, ...]) -> dict[str, Number]:
    """What a written number means in each region in which it is a valid number.

    Args:
        written: The number with its punctuation and nothing around it: "(212) 736-5000 ext. 5".
        regions: Regions (ISO 3166), or ANYWHERE.

    Returns:
        The number by region, in the order of `regions`.
    """
    form = form_of(shape(written))
    return {} if form is None else numbers_in_form(form, digits_of(written), written, regions, regions)


def numbers_in_form(
    form: Form,
    digits: str,
    written: str,
    regions: tuple[str, ...],
    wanted: Container[str],
    readings: Sequence[Reading] | None = None,
) -> dict[str, Number]:
    """The same as `numbers`, for a number with a known form.

    Args:
        form: The form.
        digits: All decimal digits of the number, as ASCII.
        written: The number.
        regions: Regions (ISO 3166), or ANYWHERE.
        wanted: Those of them to ask.
        readings: What its digits may mean in the regions, if it is plain and that is known.
    """
    start = digits[: form.size]
    parts = _Written(start, form.plus, digits[form.size : form.size + form.extension])
    if form.has_letters:
        parts = _parts(written) or parts
        start = parts.digits
    if form.plus:
        if len(start) > _MIN_DIGITS and country_code(start):
            number, is_certain = read_abroad(start, PLUS, parts.extension)
            is_certain = is_certain and not form.has_x
            is_valid = number is not None and (is_certain or _is_valid(number, written, digits, form))
            return dict.fromkeys(regions, number) if number and is_valid else {}
        # No calling code follows the "+", but perhaps a prefix for calls abroad.
        found: dict[str, Number] = {}
        tried: dict[int | None, Number | None] = {None: None}
        for region in regions:
            prefix = None if region == ANYWHERE else plan_of(region).dialed_abroad(start)
            if prefix is not None and prefix not in tried:
                number, _ = _read_abroad(parts, prefix)
                tried[prefix] = number if number and _is_valid(number, written, digits, form) else None
            if (number := tried[prefix]) is not None:
                found[region] = number
        return found
    if readings is None:
        usual, others = regions_of(regions).match(start)
        readings = usual
        if not form.is_simple:
            # libphonenumber looks for the prefix in all digits, those of the extension included.
            readings = [one for one in others if one in usual or one[1].may_have_prefix(digits)]
    chosen = readings if wanted is regions else [reading for reading in readings if reading[0] in wanted]
    return dict(_meanings(form, parts, digits, written, chosen))


def without_extension(written: str, extension: int) -> str | None:
    """The shape of a number without its extension; None if that is not its last group of digits."""
    if not extension:
        return written
    *_, before, last = _DIGITS.finditer(f"{written} ")
    is_last = last.end() == len(written.removesuffix("#")) and len(last[0]) == extension
    return written[: before.end()] if is_last else None


class Grouping(NamedTuple):
    """How the digits of one shape are grouped in a country.

    Attributes:
        formats: The formats of the country.
        is_usual_always: Whether it is as usual; None if that depends on the digits.
        places: The formats that are grouped so.
        leading: The leading digits of other formats that are, or None if there are none.
    """

    formats: Formats
    is_usual_always: bool | None
    places: tuple[int, ...]
    leading: re.Pattern[str] | None

    def is_usual(self, national: str) -> bool:
        """Whether a number with these digits behind the calling code is grouped as in `usually_grouped`."""
        if self.is_usual_always is not None:
            return self.is_usual_always
        if self.leading is not None and self.leading.match(national):
            return True
        return bool(self.places) and self.formats.choose(national) in self.places


def grouping(country: int, length: int, written: str, source: int) -> Grouping:
    """How numbers of a shape are grouped of which the last digits are the national number.

    Args:
        country: Calling code.
        length: Length of the national number.
        written: The shape, without an extension.
        source: How the country is written. With a plus sign, grouping does not matter.
    """
    sizes, is_usual, (before, *behind) = group_sizes(written), None, written.split("/")
    fitting = _fitting(country, length, sizes)
    # A slash may be behind the calling code.
    has_code = source == COUNTRY_CODE and len(digits_of(before)) == len(str(country)) and len(behind) == 2
    if source == PLUS or (len(behind) > 1 and not has_code) or (sizes[-1] < length and fitting == ((), None)):
        is_usual = False
    elif len(sizes) == 1 or sizes[-1] >= length:
        is_usual = True
    return Grouping(main_plan(country).international, is_usual, *fitting)


def _meanings(
    form: Form, parts: _Written, digits: str, written: str, readings: Iterable[Reading]
) -> Iterator[tuple[str, Number]]:
    """The regions in which a number without "+" is valid, and what it means there."""
    start = parts.digits
    prefixes: dict[str, int | None] = {}
    abroad: dict[int | None, Number | None] = {}
    for region, plan, how, lengths, is_exact in readings:
        if how < TOO_SHORT and not start.startswith(plan.code):
            cut = plan.prefix_size(start) if how == PREFIXED else 0
            may_be_valid = not is_exact and (not cut or plan.is_possible(start[cut:]))
            if len(start) - cut in lengths or (may_be_valid and plan.valid.fullmatch(start, cut)):
                found = Number(plan.country, start[cut:], parts.extension, NATIONAL)
                if form.is_simple or _is_written_in_full(found, written, digits, form):
                    yield region, found
                continue
            if is_exact or how == WITHOUT_PREFIX:
                continue
        # Regions with the same prefix for calls abroad read the digits behind it alike.
        if plan.abroad not in prefixes:
            prefixes[plan.abroad] = plan.dialed_abroad(start)
        prefix = prefixes[plan.abroad]
        if prefix in abroad:
            number = abroad[prefix]
        else:
            is_certain = False
            if prefix is None:
                number = _read_at_home(parts, plan)
            else:
                number, is_certain = _read_abroad(parts, prefix)
                is_certain = is_certain and not form.has_x
            if number is not None and not is_certain and not _is_valid(number, written, digits, form):
                number = None
            if prefix is not None:
                abroad[prefix] = number
        if number is not None:
            yield region, number


def usually_grouped(written: str, meanings: Iterable[Number]) -> Number | None:
    """The first of some numbers that, if meant, is grouped as it is printed in its country, or not at all.

    That is libphonenumber's EXACT_GROUPING.

    Args:
        written: The number as it is written.
        meanings: What it may mean.
    """
    written = written.removesuffix("#")
    sizes, digits = group_sizes(shape(written)), digits_of(written)
    has_slashes = written.count("/") > 1
    previous = None
    for number in meanings:
        if number is previous:
            continue
        previous = number
        if (not has_slashes or _has_slash_after_country(written, number)) and _is_usual(written, digits, sizes, number):
            return number
    return None


def _is_usual(written: str, digits: str, sizes: tuple[int, ...], number: Number) -> bool:
    """Whether a number is written in usual groups.

    Args:
        written: The number as it is written.
        digits: Its digits.
        sizes: The sizes of its groups.
        number: What it means.
    """
    national = number.national
    last = len(sizes) - (2 if number.extension else 1)
    if len(sizes) == 1 or (sizes[last] >= len(national) and national in _groups(written)[last]):
        return True
    if sizes[-1] and digits.endswith(national + number.extension):
        fitting = _fitting(number.country, len(national), sizes[: last + 1])
        formats = main_plan(number.country).international
        return Grouping(formats, None, *fitting).is_usual(national)
    # The national number has other digits than are written.
    groups = _groups(written)[: last + 1]
    others = (
        other.formats.groups_of(0, national)
        for other in alternative_formats(number.country)
        if other.leading is None or other.leading.match(national)
    )
    formats = main_plan(number.country).international
    return any(_ends_with(groups, one, str.endswith) for one in (formats.groups(national), *others))


@lru_cache(maxsize=1 << 13)
def may_be_grouped(written: str, regions: tuple[str, ...]) -> bool:
    """Whether some of the groups of digits in a text, or in its shape, may be a usually grouped number of a region."""
    sizes = group_sizes(written)
    if max(sizes) >= _MIN_BLOCK or len(sizes) > _MAX_GROUPS:
        return True
    # The last groups of a number have the sizes of its format, the first one may have a prefix.
    tails = [(sizes[begin], sizes[begin + 1 : end]) for end in range(1, len(sizes) + 1) for begin in range(end)]
    return any(plan_of(region).may_group(tails) for region in regions if region != ANYWHERE)


@lru_cache(maxsize=1 << 13)
def _fitting(country: int, length: int, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], re.Pattern[str] | None]:
    """Which formats have groups of these sizes at their end: the places of main ones, and others' leading digits.

    Args:
        country: Calling code.
        length: Length of the national number.
        sizes: Sizes of the groups in which it is written.
    """
    expected = main_plan(country).international.sizes(length)
    places = (place for place, one in enumerate(expected) if _ends_with(sizes, one, int.__ge__))
    leading = [
        "" if other.leading is None else other.leading.pattern
        for other in alternative_formats(country)
        if _ends_with(sizes, other.formats.sizes(length)[0], int.__ge__)
    ]
    return tuple(places), re.compile("|".join(map("(?:{})".format, leading))) if leading else None


T = TypeVar("T")


def _ends_with(groups: Sequence[T], expected: Sequence[T], ends: Callable[[T, T], bool]) -> bool:
    """Whether groups of digits end with the expected groups; the first of these may have a prefix, other groups too."""
    begin = len(groups) - len(expected)
    return begin >= 0 and groups[begin + 1 :] == expected[1:] and ends(groups[begin], expected[0])


def _groups(written: str) -> tuple[str, ...]:
    """The groups of digits of a written number; an empty one where it begins or ends with punctuation."""
    return tuple(_NOT_DIGITS.split(_normal_digits(written)))


@lru_cache(maxsize=1 << 12)
def group_sizes(written: str) -> tuple[int, ...]:
    """The lengths of `_groups` of a written number, or of its shape."""
    return tuple(map(len, _groups(written)))


def _has_slash_after_country(written: str, number: Number) -> bool:
    """Whether the first slash is behind the calling code, and there is only one more."""
    country, _, rest = written.partition("/")
    return number.source in (PLUS, COUNTRY_CODE) and digits_of(country) == str(number.country) and rest.count("/") == 1


def _normal_digits(written: str) -> str:
    """The text with the digits of all scripts as ASCII."""
    return written if written.isascii() else written.translate(digit_values())


@cache
def digit_values() -> dict[int, str]:
    """The digits of other scripts than ASCII, superscripts included, and their values."""
    characters = filter(str.isdigit, map(chr, range(128, _NO_DIGITS)))
    return {ord(character): str(unicodedata.digit(character)) for character in characters}


@cache
def _all_zeros() -> dict[int, str]:
    """The decimal digits of all scripts, and the zero of the same script: its digits are in order."""
    others = {code: chr(code - int(value)) for code, value in digit_values().items() if chr(code).isdecimal()}
    return _ZEROS | others


def _parts(written: str) -> _Written | None:
    """Split a written number; None if it cannot be one."""
    start = _START.search(written)
    if start is None or len(written) > _MAX_WRITTEN:
        return None
    number = written[start.start() :]
    while not (number[-1].isalnum() or number[-1] == "#"):
        number = number[:-1]
        if not number:
            return None
    if "x" in number and (second := _SECOND_NUMBER.search(number)):
        number = number[: second.start()]
    extension = ""
    letters = _MAY_BEGIN_EXTENSION.search(number)
    found = None
    if letters is not None:
        # An extension with neither label nor comma ends with "#", which no other part has.
        found = _LAST_EXTENSION.search(number, 0 if number[-1] == "#" else _first_space(number, letters.start()))
    if found is not None and _is_viable(number[: found.start()]):
        extension = found[found.lastindex or 0]
        number = number[: found.start()]
    elif not _is_viable(number):
        return None
    digits = number.lstrip("+\uff0b")
    plus = len(digits) < len(number)
    if letters is not None and len(_LETTERS.findall(digits)) > _MAX_LETTERS:
        keys = (character for character in digits if character.isascii())
        return _Written(_NOT_DIGITS.sub("", "".join(keys).upper().translate(_KEYPAD)), plus, extension, True)
    return _Written(digits_of(digits), plus, extension)


def _first_space(number: str, end: int) -> int:
    """Where the white space and commas before `end` begin."""
    return len(number[:end].rstrip(" \u00a0\t,"))


def _is_viable(number: str) -> bool:
    """Whether a number without extension has the characters that libphonenumber requires, in their order."""
    if len(number) == _MIN_DIGITS and number.isdecimal():
        return True
    return _VIABLE.fullmatch(number) is not None


def _read(parts: _Written, plan: NumberingPlan) -> Number | None:
    """What digits mean in a region with a numbering plan: the number, valid or not, or None."""
    prefix = plan.dialed_abroad(parts.digits)
    return _read_at_home(parts, plan) if prefix is None else _read_abroad(parts, prefix)[0]


def _read_abroad(parts: _Written, prefix: int) -> tuple[Number | None, bool]:
    """What digits mean behind a prefix for calls abroad of some length, as in `read_abroad`."""
    return read_abroad(parts.digits[prefix:], INTERNATIONAL_PREFIX, parts.extension)


def read_abroad(digits: str, source: int, extension: str = "") -> tuple[Number | None, bool]:
    """What digits mean that begin with a calling code, and whether that is a valid number, or none, for certain.

    Args:
        digits: Digits without "+" and prefix for calls abroad.
        source: How the country is written.
        extension: Digits of the extension.
    """
    country = country_code(digits) if len(digits) > _MIN_DIGITS else ""
    if not country:
        return None, True
    rest, plan = digits[len(country) :], main_plan(int(country))
    readings = plan.readings(rest).all
    if not readings:
        return None, True
    _, _, how, lengths, _ = readings[0]
    if how < TOO_SHORT:
        cut = plan.prefix_size(rest) if how == PREFIXED else 0
        if len(rest) - cut in lengths and (cut or not plan.may_have_prefix(rest)):
            return Number(plan.country, rest[cut:], extension, source), True
    return _national(rest, plan.country, source, extension), False


def _read_at_home(parts: _Written, plan: NumberingPlan) -> Number | None:
    """What digits mean without a prefix for calls abroad."""
    digits = parts.digits
    if digits.startswith(plan.code):
        rest, _ = plan.without_prefix(digits[len(plan.code) :])
        is_better = not plan.is_general(digits) and plan.is_general(rest)
        if is_better or plan.is_too_long(len(digits)):
            return _national(rest, plan.country, COUNTRY_CODE, parts.extension)
    # A "+" that no calling code follows.
    if parts.plus:
        return None
    return _national(digits, plan.country, NATIONAL, parts.extension, plan)


def _national(
    digits: str, country: int, source: int, extension: str, plan: NumberingPlan | None = None
) -> Number | None:
    """The number with these digits after its calling code, without the national prefix if it is possible without."""
    plan = plan or main_plan(country)
    if len(digits) < _MIN_DIGITS:
        return None
    without, _ = plan.without_prefix(digits)
    if plan.is_possible(without):
        digits = without
    return Number(country, digits, extension, source) if _MIN_DIGITS <= len(digits) <= _MAX_DIGITS else None


def _is_valid(number: Number, written: str, digits: str, form: Form) -> bool:
    """Whether a number that was read exists, and is written with the prefix that it requires."""
    exists = main_plan(number.country).valid.fullmatch(number.national) is not None
    return exists and _is_written_in_full(number, written, digits, form)


def _is_written_in_full(number: Number, written: str, digits: str, form: Form) -> bool:
    """Whether a number has the prefix that it requires, and no "x" that means nothing."""
    plan = main_plan(number.country)
    if form.has_x and not _has_only_valid_x(number, written):
        return False
    return number.source != NATIONAL or not plan.requires_prefix(number.national) or plan.without_prefix(digits)[1]


def _has_only_valid_x(number: Number, written: str) -> bool:
    """Whether each "x" begins the extension, or "xx" stands for the code of a carrier."""
    place = 0
    while place < len(written) - 1:
        if written[place] in "xX":
            if written[place + 1] in "xX":
                place += 1
                rest = _parts(written[place:])
                main = main_region(number.country)
                again = None if rest is None or rest.plus or main is None else _read(rest, plan_of(main))
                if again is None or again[:3] != number[:3]:
                    return False
            elif digits_of(written[place:]) != number.extension or not number.extension:
                return False
        place += 1
    return True
