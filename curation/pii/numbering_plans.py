"""The numbering plans of regions and calling codes, compiled from the public metadata of phonenumbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from curation.arrays import Int32s
from curation.pii.automaton import Automaton, is_supported, longest
from curation.pii.window_kernels import MAX_DIGITS, MIN_ABROAD

PUNCTUATION = (
    "-x\u2010-\u2015\u2212\u30fc\uff0d-\uff0f \u00a0\u00ad\u200b\u2060\u3000()\uff08\uff09\uff3b\uff3d.\\[\\]/~"
    "\u2053\u223c\uff5e"
)
"""The characters between the digits of a number, as in a character class (libphonenumber's VALID_PUNCTUATION)."""
ANYWHERE = "ZZ"
"""libphonenumber's region in which only numbers with a country code are valid."""

WITHOUT_PREFIX, PREFIXED, TOO_SHORT, WITH_CARRIER, WITH_CODE, BEHIND_CODE, UNKNOWN = range(7)
"""How digits begin: with the number, with the national prefix before it, with the prefix for calls abroad before too
few digits, with the national prefix and the code of a carrier, with what may be the calling code, with what must be it
if they are a number, or with something that needs a closer look."""
_ANY_DIGITS = r"\d{2,40}"
_CARRIER = re.compile(r"(\(\?:[\d|]{1,40}+\)|\d{1,9}+)\(\?:\(([\d|[\]-]{1,200}+)\)\(\\d\{(\d{1,2}),\d{1,2}\}\)\)\?")
"""A national prefix, with or without the code of a carrier behind it and a number of digits behind that."""
_WHOLE_NUMBERS = re.compile(r"\(([^()]{1,99})\)\$(?:\|)?(.{0,99})")
_AREA_AND_MOBILE, _BEFORE_SOME = re.compile(r"0\?\(\?:\((.{1,999})\)15\)\?"), re.compile(r"0\(([^()]{1,199})\)")
"""Forms of national prefixes that change digits."""
CARRIER_DIGITS = 2
"""Digits of the code of a carrier."""
_SEPARATORS = re.compile(f"[{PUNCTUATION}]++")
_TYPES = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail", "fixed_line",
    "mobile",
)  # fmt: skip


class Formats:
    """The formats of a country's numbers; the first that fits a number applies."""

    def __init__(self, formats: Iterable[Any]) -> None:
        self._formats = list(formats)
        self._sizes: dict[int, list[tuple[int, ...]]] = {}
        self._printed = [
            re.sub(r"\\(\d)", lambda group: f"{{{int(group[1]) - 1}}}", one.format) for one in self._formats
        ]
        self._alternatives = [
            f"(?={'|'.join(one.leading_digits_pattern[-1:])})(?:{_without_groups(one.pattern)})"
            for one in self._formats
        ]
        self.requires_prefix = [
            bool(one.national_prefix_formatting_rule)
            and not one.national_prefix_optional_when_formatting
            and not re.fullmatch(r"\(?\\1\)?", one.national_prefix_formatting_rule)
            for one in self._formats
        ]

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        return [re.compile(one.pattern) for one in self._formats]

    @cached_property
    def _choice(self) -> re.Pattern[str]:
        return re.compile("|".join(f"{pattern}()" for pattern in self._alternatives) or "(?!)")

    def choose(self, national: str) -> int | None:
        """Which format applies, or None."""
        match = self._choice.fullmatch(national)
        return None if match is None else (match.lastindex or 0) - 1

    def conditions(self) -> Iterator[tuple[str, int, str]]:
        """The conditions of all formats, if any of them requires the national prefix.

        Returns:
            "leading" for the leading digits or "pattern" for all digits, the place of the format, and an expression.
        """
        if any(self.requires_prefix):
            for place, one in enumerate(self._formats):
                yield "leading", place, f"(?:{'|'.join(one.leading_digits_pattern[-1:])})\\d{{0,17}}"
                yield "pattern", place, _without_groups(one.pattern)

    def groups(self, national: str) -> tuple[str, ...]:
        """The groups of digits in which a number is printed."""
        place = self.choose(national)
        return (national,) if place is None else self.groups_of(place, national)

    def groups_of(self, place: int, national: str) -> tuple[str, ...]:
        """The groups of digits in the format at a place."""
        match = self._patterns[place].match(national)
        if match is None:
            return (national,)
        printed = self._printed[place].format(*match.groups("")) + national[match.end() :]
        groups = _SEPARATORS.split(printed)
        return tuple(groups[1:] if not groups[0] else groups)

    def sizes(self, length: int) -> list[tuple[int, ...]]:
        """The sizes of `groups_of` in all formats, which depend on the length of the number only."""
        if length not in self._sizes:
            self._sizes[length] = [
                tuple(map(len, self.groups_of(place, "0" * length))) for place in range(len(self._formats))
            ]
        return self._sizes[length]

    def __len__(self) -> int:
        return len(self._formats)


class Way(NamedTuple):
    """What it means that digits match an expression.

    Attributes:
        how: How they begin: WITHOUT_PREFIX, PREFIXED, TOO_SHORT, WITH_CARRIER, WITH_CODE, BEHIND_CODE or UNKNOWN.
        lengths: If they match a type of number, its lengths.
        condition: A condition of a number that they match: "general" for the description that all types of number must
            match; "leading" or "pattern" for that part of the condition of a format.
        place: Place of the format.
    """

    how: int
    lengths: frozenset[int] = frozenset()
    condition: str = ""
    place: int = 0


class NumberingPlan:
    """The numbering plan of a region."""

    def __init__(self, metadata: Any) -> None:
        general = metadata.general_desc
        self.country = int(metadata.country_code)
        self.code, self._region = str(self.country), metadata.id
        self._general_pattern = general.national_number_pattern or "(?!)"
        self._lengths = frozenset(general.possible_length)
        self._local_lengths = frozenset(general.possible_length_local_only)
        self._longest = max(self._lengths)
        self.abroad: str = metadata.international_prefix or r"\d{41}"
        self._abroad = re.compile(self.abroad)
        prefix = metadata.national_prefix_for_parsing
        self._prefix = re.compile(prefix) if prefix else None
        self._usual_prefix = prefix if prefix and prefix.isdecimal() else ""
        self._transform = metadata.national_prefix_transform_rule or ""
        self.national = Formats(metadata.number_format)
        self.international = Formats(metadata.intl_number_format or metadata.number_format)

    @cached_property
    def place(self) -> int:
        """Its place among the plans with its calling code."""
        return [one.id for one in _metadata(self.country)].index(self._region)

    @cached_property
    def _general(self) -> re.Pattern[str]:
        return re.compile(self._general_pattern)

    @cached_property
    def valid(self) -> re.Pattern[str]:
        """Matches the valid national numbers of the calling code."""
        return _valid_numbers(self.country)

    def dialed_abroad(self, digits: str) -> int | None:
        """Length of the prefix for calls abroad, such as 00 or 011; None if there is none."""
        if self.abroad.isdecimal():
            size = len(self.abroad) if digits.startswith(self.abroad) else None
        else:
            prefix = self._abroad.match(digits)
            size = None if prefix is None else prefix.end()
        return None if size is None or digits.startswith("0", size) else size

    def without_prefix(self, digits: str) -> tuple[str, bool]:
        """The digits without the national prefix, and whether there was one."""
        prefix = self._prefix.match(digits) if digits and self._prefix else None
        if prefix is None:
            return digits, False
        if self._transform and prefix.groups()[-1] is not None:
            rest = prefix.re.sub(self._transform, digits, count=1)
        else:
            rest = digits[prefix.end() :]
        if self.is_general(digits) and not self.is_general(rest):
            return digits, False
        return rest, True

    def is_general(self, digits: str) -> bool:
        """Whether digits match the general description of the region's numbers."""
        return self._general.fullmatch(digits) is not None

    def keeps_prefix(self, start: str) -> bool:
        """Whether digits may match the general description that begin with these, and with a national prefix."""
        if self.begins_with_prefix(start) is False:
            return False
        import regex

        return regex.fullmatch(self._general_pattern, start, partial=True) is not None

    def is_too_long(self, size: int) -> bool:
        """Whether no number of the region has as many digits or more."""
        return size > self._longest and size not in self._local_lengths

    def is_possible(self, digits: str) -> bool:
        """Whether a number of the region is as long or longer, local numbers excluded."""
        size = len(digits)
        return size not in self._local_lengths and (size in self._lengths or size > self._longest)

    def ways(self) -> Iterator[tuple[Way, str]]:
        """Expressions of which each number written without "+" matches one, and what that means."""
        abroad = rf"(?:{self.abroad})[1-9]\d{{{MIN_ABROAD - 1},39}}"
        if self._simple_prefix is None or not is_supported(abroad):
            yield Way(UNKNOWN), _ANY_DIGITS
            return
        yield Way(UNKNOWN), abroad
        yield Way(TOO_SHORT), rf"(?:{self.abroad})[1-9]\d{{0,{MIN_ABROAD - 2}}}"
        prefix, numbers = f"(?:{self._simple_prefix})", f"(?:{'|'.join(_patterns(self.country))})"
        # libphonenumber takes the prefix off twice if the calling code precedes it.
        yield Way(WITH_CODE), f"{self.code}{prefix}?{prefix}?{numbers}"
        for changed in self.changed:
            yield Way(UNKNOWN), f"{self.code}{prefix}?(?:{changed})"
        yield from self.ways_after_country()
        for condition, place, expression in main_plan(self.country).national.conditions():
            yield Way(WITHOUT_PREFIX, condition=condition, place=place), expression

    def ways_after_country(self) -> Iterator[tuple[Way, str]]:
        """The same, for numbers behind the calling code."""
        if self._simple_prefix is None:
            yield Way(UNKNOWN), _ANY_DIGITS
            return
        for changed in self.changed:
            yield Way(UNKNOWN), changed
        prefix, numbers = f"(?:{self._simple_prefix})", f"(?:{'|'.join(_patterns(self.country))})"
        if self._prefix is not None and self._prefix.groups and not self.changed:
            # With the code of a carrier, which the digits behind it may only have if they are too many for a number.
            carrier = _CARRIER.fullmatch(self._prefix.pattern)
            if carrier is not None and self._longest < CARRIER_DIGITS + int(carrier[3]):
                prefix = carrier[1]
                yield from self._ways(WITH_CARRIER, f"{prefix}(?:{carrier[2]})", int(carrier[3]))
            else:
                yield Way(UNKNOWN), f"{prefix}{numbers}"
                prefix = ""
        if self._simple_prefix and prefix:
            yield from self._ways(PREFIXED, prefix)
        yield from self._ways(WITHOUT_PREFIX, "")

    def _ways(self, how: int, before: str, least: int = 0) -> Iterator[tuple[Way, str]]:
        """The expressions of numbers behind something.

        Args:
            how: How they begin.
            before: The expression for it.
            least: Digits of the shortest number that may follow it.
        """
        for place, metadata in enumerate(_metadata(self.country)):
            general = metadata.general_desc
            lengths = frozenset(general.possible_length)
            yield Way(how, lengths, "general", place), f"{before}(?:{general.national_number_pattern})"
            if metadata.leading_digits:
                yield Way(how, condition="region", place=place), rf"{before}(?:{metadata.leading_digits})\d{{0,17}}"
            for one in _descriptions(metadata):
                lengths = frozenset(one.possible_length)
                if max(lengths) >= least:
                    lengths = frozenset(length for length in lengths if length >= least) if least else lengths
                    yield Way(how, lengths, place=place), f"{before}(?:{one.national_number_pattern})"

    @cached_property
    def _simple_prefix(self) -> str | None:
        """The national prefix as an expression for an automaton, but for digits that it changes; None if not known."""
        pattern = "" if self._prefix is None else self._prefix.pattern
        # What follows a prefix with groups only moves.
        prefix = self._parts_of_prefix[0] if self.changed else re.sub(r"\(\\d[^()]*\)", "", pattern)
        if not self.changed and (self.may_lengthen or "\\d{" in prefix):
            return None
        conditions = (expression for *_, expression in main_plan(self.country).national.conditions())
        regions = [text for one in _metadata(self.country) for text in (one.leading_digits or "", _general(one))]
        expressions = (prefix, *self.changed, *_patterns(self.country), *conditions, *regions)
        return prefix if all(map(is_supported, expressions)) else None

    @property
    def may_lengthen(self) -> bool:
        """Whether a number may get other digits instead of its national prefix, and so more of them."""
        return self._transform not in ("", "\\1", "\\2")

    @property
    def changed(self) -> tuple[str, ...]:
        """Expressions for digits that the national prefix changes."""
        return self._parts_of_prefix[1]

    @cached_property
    def _parts_of_prefix(self) -> tuple[str, tuple[str, ...]]:
        """The national prefix, and expressions for digits that it changes; none if its form is another one.

        These forms are "(digits that get an area code)$|0", "0?(?:(area code)15)?" and "0(number)".
        """
        pattern = "" if self._prefix is None or not self._transform else self._prefix.pattern
        if whole := _WHOLE_NUMBERS.fullmatch(pattern):
            others = [one for one in whole[2].split("|") if one]
            changed = (rf"(?:{one})\d{{0,17}}" for one in others if not one.isdecimal())
            return "|".join(filter(str.isdecimal, others)), (whole[1], *changed)
        if area := _AREA_AND_MOBILE.fullmatch(pattern):
            return "0", (rf"0?(?:{area[1]})15\d{{0,17}}",)
        if number := _BEFORE_SOME.fullmatch(pattern):
            return "", (f"0(?:{number[1]})",)
        return "", ()

    def readings(self, digits: str) -> Readings:
        """What digits behind the calling code may mean."""
        found: Readings = calling_codes().match(digits, self.country)
        return found

    @cached_property
    def longest_abroad(self) -> int:
        """The number of digits of the longest prefix for calls abroad; very many if that is not known."""
        return longest(self.abroad) if is_supported(self.abroad) else MAX_DIGITS

    @property
    def has_prefix(self) -> bool:
        """Whether there is a national prefix, or what may be one."""
        return bool(self._parts_of_prefix[0]) if self.changed else self._prefix is not None

    def may_have_prefix(self, digits: str) -> bool:
        """Whether digits begin with the national prefix, or what may be one."""
        return self._prefix is not None and self._prefix.match(digits) is not None

    @cached_property
    def _prefixes(self) -> dict[str, str]:
        """The national prefixes by their first digit; nothing if that does not tell which one it is."""
        pattern = "" if self._prefix is None else self._prefix.pattern
        pattern = self._parts_of_prefix[0] if self.changed else pattern
        carrier = _CARRIER.fullmatch(pattern)
        prefixes = (pattern if carrier is None else carrier[1]).removeprefix("(?:").removesuffix(")").split("|")
        by_digit = {prefix[:1]: prefix for prefix in prefixes}
        return by_digit if len(by_digit) == len(prefixes) and all(map(str.isdecimal, prefixes)) else {}

    def begun_prefix(self, start: str) -> str:
        """The national prefix of digits that begin with some digits, or that they may have; "" if they have none."""
        prefix = self._prefixes.get(start[:1], "")
        return prefix if prefix.startswith(start[: len(prefix)]) else ""

    def begins_with_prefix(self, start: str) -> bool | None:
        """Whether digits that begin with some digits have a national prefix, or None if these do not tell it."""
        prefix = self.begun_prefix(start)
        is_unknown = self.has_prefix and (not self._prefixes or len(prefix) > len(start))
        return None if is_unknown else self.has_prefix and bool(prefix)

    def prefix_size(self, digits: str) -> int:
        """The length of the national prefix of digits."""
        if self._usual_prefix and digits.startswith(self._usual_prefix):
            return len(self._usual_prefix)
        prefix = None if self._prefix is None else self._prefix.match(digits)
        return 0 if prefix is None else prefix.end()

    def may_group(self, groups: Iterable[tuple[int, tuple[int, ...]]]) -> bool:
        """Whether a number of the region may be grouped in one of some ways; True if it may have digits not written.

        Args:
            groups: The size of the first group, and the sizes of the others.
        """
        tails = self._tails
        return bool(self._transform) or any(tails.get(tail, first + 1) <= first for first, tail in groups)

    @cached_property
    def _tails(self) -> dict[tuple[int, ...], int]:
        """The sizes of the groups of all formats except the first, with the smallest size of the first."""
        tails: dict[tuple[int, ...], int] = {}
        formats = (
            main_plan(self.country).international,
            *(other.formats for other in alternative_formats(self.country)),
        )
        for one in formats:
            for length in self._lengths:
                for first, *tail in one.sizes(length):
                    tails[tuple(tail)] = min(first, tails.get(tuple(tail), first))
        return tails

    def requires_prefix(self, national: str) -> bool:
        """Whether the format of a number requires the national prefix."""
        formats = main_plan(self.country).national
        place = formats.choose(national)
        return place is not None and formats.requires_prefix[place]


def _without_groups(pattern: str) -> str:
    return re.sub(r"\((?!\?)", "(?:", pattern)


@cache
def _calling_codes() -> frozenset[str]:
    import phonenumbers

    return frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@cache
def plan_of(region: str) -> NumberingPlan:
    """The plan of a region (ISO 3166)."""
    import phonenumbers

    return NumberingPlan(phonenumbers.PhoneMetadata.metadata_for_region(region))


@cache
def main_region(country: int) -> str | None:
    """The region whose plan applies to a calling code; None if it belongs to none."""
    import phonenumbers

    region: str = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[country][0]
    return None if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY else region


@cache
def main_plan(country: int) -> NumberingPlan:
    """The plan that applies to a calling code."""
    region = main_region(country)
    return NumberingPlan(_metadata(country)[0]) if region is None else plan_of(region)


@cache
def _valid_numbers(country: int) -> re.Pattern[str]:
    """Matches the valid national numbers of a calling code.

    Where regions share a code, a number belongs to the first region whose leading digits it has, or, for a region
    without leading digits, of whose numbers it is one.
    """
    regions, pattern = _metadata(country), ""
    for place, metadata in reversed(list(enumerate(regions))):
        own = f"{_described(metadata.general_desc)}(?:{'|'.join(_types(metadata))})"
        if metadata.leading_digits and len(regions) > 1:
            leading = f"(?=(?P<leading{place}>{metadata.leading_digits})?)"
            pattern = f"{leading}(?(leading{place}){own}|(?:{pattern or '(?!)'}))"
        else:
            pattern = f"{own}|{pattern}" if pattern else own
    return re.compile(pattern)


def _patterns(country: int) -> list[str]:
    """An expression for each type of number of the regions with a calling code."""
    return [one.national_number_pattern for metadata in _metadata(country) for one in _descriptions(metadata)]


def _descriptions(metadata: Any) -> list[Any]:
    """The description of each type of number of a region."""
    descriptions = (
        getattr(metadata, name)
        for name in _TYPES
        if not (name == "mobile" and metadata.same_mobile_and_fixed_line_pattern)
    )
    return [one for one in descriptions if one is not None and one.national_number_pattern]


def _metadata(country: int) -> list[Any]:
    """The metadata of all regions with a calling code, the main one first."""
    import phonenumbers

    find, regions = phonenumbers.PhoneMetadata, phonenumbers.COUNTRY_CODE_TO_REGION_CODE[country]
    if regions[0] == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        return [find.metadata_for_nongeo_region(country)]
    return [find.metadata_for_region(region) for region in regions]


def _types(metadata: Any) -> list[str]:
    """An expression for each type of number of a region."""
    types = [f"{_lengths(one)}(?:{one.national_number_pattern})" for one in _descriptions(metadata)]
    return types or ["(?!)"]


def _general(metadata: Any) -> str:
    """The expression for all numbers of a region."""
    return metadata.general_desc.national_number_pattern or "(?!)"


def _described(description: Any) -> str:
    return f"(?=(?:{description.national_number_pattern or '(?!)'})\\Z){_lengths(description)}"


def _lengths(description: Any) -> str:
    lengths = "|".join(f"\\d{{{length}}}" for length in description.possible_length if length > 0)
    return f"(?=(?:{lengths})\\Z)" if lengths else ""


@lru_cache(maxsize=16)
def regions_of(regions: tuple[str, ...]) -> Automaton:
    """Tells what digits without "+" may mean in some regions, as `Readings`; wanted are those with a usual one."""
    return Automaton(
        (
            ((region, way), expression)
            for region in regions
            if region != ANYWHERE
            for way, expression in plan_of(region).ways()
        ),
        lambda results: _combined(results, plan_of),
        lambda readings: bool(readings.usual),
    )


@cache
def calling_codes() -> Automaton:
    """Tells what digits behind each calling code may mean, as `Readings` of a region with the name of the code."""
    return Automaton(
        (),
        lambda results: _combined(results, lambda code: main_plan(int(code))),
        lambda readings: bool(readings.all),
        lambda code: (((str(code), way), expression) for way, expression in main_plan(code).ways_after_country()),
    )


@cache
def codes_of_digits() -> Int32s:
    """The calling code with which each number of three digits begins, 0 if there is none. Shape (1000,)."""
    return np.array([int(country_code(f"{number:03}") or 0) for number in range(1000)], np.int32)


Reading = tuple[str, "NumberingPlan", int, frozenset[int], bool]
"""What digits may mean in a region: the region, its plan, how they begin, which lengths are valid for certain, and
whether no others are. If they begin with what may be the calling code, the lengths are those of numbers that begin with
these digits."""


class Readings(NamedTuple):
    """What digits may mean in some regions.

    Attributes:
        usual: The readings of which no number lacks the national prefix that its format requires.
        all: All readings.
    """

    usual: tuple[Reading, ...]
    all: tuple[Reading, ...]


def _combined(results: tuple[tuple[str, Way], ...], plan_of: Callable[[str], NumberingPlan]) -> Readings:
    """The readings of digits: the way that begins with the most digits before the number, for each region."""
    combined, usual = [], []
    ways_of: dict[str, list[Way]] = {}
    for region, way in results:
        ways_of.setdefault(region, []).append(way)
    for region in dict.fromkeys(region for region, way in results if not way.condition):
        ways = ways_of[region]
        how = max(way.how for way in ways if not way.condition)
        if how == TOO_SHORT:
            continue
        # Digits that may begin with the calling code may also be a number without it.
        begins = WITHOUT_PREFIX if how == WITH_CODE else how
        chosen = [way for way in ways if way.how == begins]
        conditions = {(way.condition, way.place) for way in chosen}
        plan = plan_of(region)
        formats = main_plan(plan.country).national
        places = (place for place in range(len(formats)) if {("leading", place), ("pattern", place)} <= conditions)
        place = next(places, None)
        types = [way for way in ways if not way.condition and (how != WITH_CODE or way.how == begins)]
        is_exact = begins < TOO_SHORT and all(way.how == begins and min(way.lengths, default=0) > 0 for way in types)
        certain = _valid_lengths(plan.country, chosen)
        lacks_prefix = (
            begins == WITHOUT_PREFIX
            and place is not None
            and formats.requires_prefix[place]
            and not plan.may_have_prefix("")
        )
        if how in (PREFIXED, WITH_CARRIER):
            # The prefix is only left out if as many digits are possible in this region.
            possible = frozenset(size for size in certain if plan.is_possible("0" * size))
            is_exact, certain = is_exact and possible == certain, possible
        if how == WITH_CODE:
            is_general = ("general", plan.place) in conditions
            how = WITH_CODE if is_general or len(_metadata(plan.country)) > 1 else BEHIND_CODE
            is_exact = is_exact and is_general
            certain = frozenset() if lacks_prefix else certain
        combined.append((region, plan, how, certain, is_exact))
        if how in (WITH_CODE, BEHIND_CODE) or not lacks_prefix:
            usual.append(combined[-1])
    return Readings(tuple(usual), tuple(combined))


def _valid_lengths(country: int, ways: Sequence[Way]) -> frozenset[int]:
    """Which lengths of national numbers are valid for certain, as in `_valid_numbers`.

    Args:
        country: Calling code.
        ways: What their digits match.
    """
    regions, valid = _metadata(country), set[int]()
    general = {way.place: way.lengths for way in ways if way.condition == "general"}
    leading = {way.place for way in ways if way.condition == "region"}
    types = [way for way in ways if not way.condition]
    for length in {length for way in types for length in way.lengths if length > 0}:
        for place, metadata in enumerate(regions):
            is_own = length in general.get(place, ()) and any(
                place == one.place and length in one.lengths for one in types
            )
            if is_own and (place in leading or not metadata.leading_digits):
                valid.add(length)
            if place in leading or (is_own and not metadata.leading_digits):
                break
    return frozenset(valid)


class _Alternative(NamedTuple):
    """Another way in which numbers of a country are printed.

    Attributes:
        leading: Matches the leading digits of the numbers that are printed so.
        formats: The format.
    """

    leading: re.Pattern[str] | None
    formats: Formats


@cache
def alternative_formats(country: int) -> tuple[_Alternative, ...]:
    """The other ways in which the numbers of a calling code are printed."""
    from phonenumbers.data import _ALT_NUMBER_FORMATS

    return tuple(
        _Alternative(re.compile(one.leading_digits_pattern[0]) if one.leading_digits_pattern else None, Formats([one]))
        for one in _ALT_NUMBER_FORMATS.get(country) or ()
    )


def country_code(digits: str) -> str:
    """The calling code that digits begin with, or ""."""
    known = _calling_codes()
    for size in (1, 2, 3):
        if digits[:size] in known:
            return digits[:size]
    return ""
