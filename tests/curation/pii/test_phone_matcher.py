"""Phone numbers: the same as those of phonenumbers, in every region."""

from __future__ import annotations

import random
import sys
import unicodedata
from functools import partial
from operator import mul

import phonenumbers
import pytest
from growth import assert_linear
from heuristic_cases import FULL
from phonenumbers import Leniency, PhoneMetadata, PhoneNumberFormat, PhoneNumberMatcher

from curation.pii.numbering import digit_values, numbers, usually_grouped
from curation.pii.numbering_plans import ANYWHERE, is_supported
from curation.pii.phone_matcher import find_numbers, next_candidate
from curation.pii.window_kernels import MIN_ABROAD

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
TYPES = ("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip", "personal_number", "uan")
SEPARATORS = (" ", " ", "-", ".", "/", " (", ") ", "--", " - ", "  ", "xx", "x", "–", "\u00a0", "~", " / ")
EXTENSIONS = (
    *("", "", "", "", " ext 5", "x12", " x302/x2303", ";ext=7", " #5", "-503#", " ext. 12345678901", " доб 5", "ext"),
    *(", 5", " anexo12", "~5", "1", "#", " int 3"),
)


def mutated(chance: random.Random, digits: str) -> str:
    """The digits with up to four of them changed, added or left out."""
    made = list(digits)
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 4))):
        place, change = chance.randrange(len(made)), chance.random()
        if change < 0.6:
            made[place] = chance.choice("0123456789")
        elif change < 0.8:
            made.insert(place, chance.choice("0123456789"))
        elif len(made) > 3:
            del made[place]
    return "".join(made)


def written(chance: random.Random, region: str) -> str:
    """A number of a region, or nearly one, as somebody may write it."""
    metadata = PhoneMetadata.metadata_for_region(region)
    examples = [getattr(metadata, name) for name in TYPES]
    digits = mutated(chance, chance.choice([one.example_number for one in examples if one and one.example_number]))
    if chance.random() < 0.3:
        try:
            number = phonenumbers.format_number(phonenumbers.parse(digits, region), chance.choice((0, 1, 2)))
        except phonenumbers.NumberParseException:
            number = digits
    else:
        code = metadata.country_code
        number = chance.choice(
            (
                *("", "", metadata.national_prefix or "", f"+{code}", f"+{code} ", str(code), f"00{code}"),
                *(f"011{code}", f"+{code} (0)", f"++{code}", f"+00{code}", "(0xx"),
            )
        )
        for place, digit in enumerate(digits):
            number += chance.choice(SEPARATORS) if place and chance.random() < 0.28 else ""
            number += digit
    number += chance.choice(EXTENSIONS)
    return number


def texts(count: int) -> list[tuple[str, str]]:
    """Texts with numbers, each with the region of one of them."""
    chance, made = random.Random(20), []
    for _ in range(count):
        region = chance.choice(REGIONS)
        text = written(chance, region)
        if chance.random() < 0.35:
            text += chance.choice((" ", "/", " - ", "; ", ", ", ".", "  ", "(", "a", "%", "\n"))
            text += written(chance, chance.choice(REGIONS))
        if chance.random() < 0.2:
            text = chance.choice(("a", "(", "é", "$", "tel ", "[", "x ", "-", ".", "邮", "+")) + text
        made.append((text, region))
    return made


def test_the_same_numbers_as_the_library() -> None:
    """In every region, the numbers of a text are those that the matcher of phonenumbers finds."""
    chance = random.Random(1)
    found = 0
    for text, region in texts(2500 if FULL else 1000):
        for one in (region, chance.choice(REGIONS)):
            expected = [(match.start, match.end) for match in PhoneNumberMatcher(text, one)]
            assert sorted(find_numbers(text, (one,))) == expected, (text, one)
            found += len(expected)
    assert found > 600


def test_the_same_meaning_and_grouping_as_the_library() -> None:
    """A number has the E.164 form and extension, and the verdict on its grouping, that phonenumbers gives."""
    grouped = 0
    for text, region in texts(2500 if FULL else 1000):
        for match in PhoneNumberMatcher(text, region):
            raw = match.raw_string
            if next_candidate(raw, 0) != (0, len(raw)):
                continue
            number = numbers(raw, (region,))[region]
            extension = f";{match.number.extension}" if match.number.extension else ""
            assert number.value == phonenumbers.format_number(match.number, PhoneNumberFormat.E164) + extension, raw
            exact = next(iter(PhoneNumberMatcher(raw, region, Leniency.EXACT_GROUPING)), None)
            is_grouped = usually_grouped(raw, [number]) is not None
            assert is_grouped == (exact is not None and exact.raw_string == raw), (raw, region)
            grouped += is_grouped
    assert grouped > 120


def test_regions_together() -> None:
    """A number means the same in regions that are asked together, some with one prefix for calls abroad, as in each."""
    regions, found = ("GB", "FR", "IL"), 0
    for text, _ in texts(500):
        for written in (text, f"00{text.lstrip('+')}"):
            together = numbers(written, regions)
            assert together == {one: number for r in regions for one, number in numbers(written, (r,)).items()}
            found += len(together) > 1
    assert found > 20


def test_digits_of_all_scripts() -> None:
    """Full-width and Arabic digits are read like others."""
    assert numbers("+４９ ３０ ２２７-٥٦٨٦٩", ("US",))["US"].value == "+493022756869"
    assert sorted(find_numbers("tel ０３０ ２２７５６８６９", ("DE",))) == [(4, 16)]


@pytest.mark.parametrize("before", ["", "tel 12345678901234567890 and "])
@pytest.mark.parametrize(("text", "region"), [("66076 7176\uff084]/x9011", "IN"), ("(703) 880-2884 /x51", "US")])
def test_a_number_before_a_slash_and_x(before: str, text: str, region: str) -> None:
    """A number before "/x" ends where the library says, however long the text is."""
    expected = [(match.start, match.end) for match in PhoneNumberMatcher(before + text, region)]
    assert sorted(find_numbers(before + text, (region,))) == expected
    assert len(expected) == 1


@pytest.mark.parametrize(
    ("text", "region"), [("9099-(/x+44 (0) 20 7484 0323 ", "FI"), ("(038)221354) /x696722588535 - 3017", "IT")]
)
def test_brackets_before_a_slash_and_x(text: str, region: str) -> None:
    """A slash and "x" behind a bracket, before the number or at its end, are looked for too."""
    theirs = [(found.start, found.end) for found in PhoneNumberMatcher(text, region, Leniency.VALID)]
    assert list(find_numbers(text, (region,))) == theirs
    assert len(theirs) == 1


def test_without_a_region() -> None:
    """Without a region only numbers with a country code are valid."""
    assert sorted(find_numbers("+49 30 22756869, 030 22756869", (ANYWHERE,))) == [(0, 15)]


def test_the_first_region_with_all_digits_is_enough() -> None:
    """If the number of one region has all digits, regions after it are not searched; those before it are."""
    text = "308 513 3250"
    assert list(find_numbers(text, ("TK",))) == [(8, 12)]
    assert list(find_numbers(text, ("US", "TK"))) == [(0, 12)]
    assert sorted(find_numbers(text, ("TK", "US"))) == [(0, 12), (8, 12)]


def test_the_shortest_number_with_a_calling_code() -> None:
    """No number of any region is shorter, with its calling code, than kernels take for granted."""
    plans = [PhoneMetadata.metadata_for_region(region) for region in REGIONS]
    sizes = [
        len(str(plan.country_code)) + length
        for plan in plans
        for kind in (*TYPES, "pager", "voicemail")
        if (one := getattr(plan, kind)) is not None
        for length in one.possible_length
        if length > 0
    ]
    assert min(sizes) == MIN_ABROAD


def test_all_plans_are_supported() -> None:
    """The expressions of all regions' numbers can be matched by the automaton, which is what makes them fast."""
    for region in REGIONS:
        metadata = PhoneMetadata.metadata_for_region(region)
        for name in TYPES:
            description = getattr(metadata, name)
            if description is not None and description.national_number_pattern:
                assert is_supported(description.national_number_pattern), (region, name)


def test_linear_time() -> None:
    """Long runs of digits, brackets, slashes and extension words take linear time."""
    for part in ("(", "+", "1", "1 ", "1/", "(1)", "1x", "1 ext ", "1,", ";ext=1", "12.", "12-", "1\u2013", "1#"):
        assert_linear(lambda text: find_numbers(text, ("US", "DE")), partial(mul, part), 500)


def test_no_digit_is_forgotten() -> None:
    """The digits of all scripts are known, whatever their code points."""
    digits = {code: str(unicodedata.digit(chr(code))) for code in range(128, sys.maxunicode + 1) if chr(code).isdigit()}
    assert digit_values() == digits


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("(675) 469-7802", "AR"),  # its prefix may be nothing
        ("011 15-2345-6789", "AR"),  # a mobile number, to which a 9 is added
        ("457-1234", "AG"),  # a number that gets an area code
        ("0800433504", "JE"),  # a number of another region with the same code, too short for this one
        ("03-1234-5678", "JP"),
        ("0077 00376 80 1234", "JP"),
        ("011234567", "GA"),
        ("4951234567", "DE"),  # begins with the calling code
        ("9123456789", "IN"),
        ("49 30 22756869", "DE"),
    ],
)
def test_prefixes_that_change_digits(text: str, region: str) -> None:
    """What national prefixes change, and what begins like a calling code, is read as phonenumbers reads it."""
    expected = [(match.start, match.end) for match in PhoneNumberMatcher(text, region)]
    assert sorted(find_numbers(text, (region,))) == expected
    others = [
        phonenumbers.format_number(match.number, PhoneNumberFormat.E164) for match in PhoneNumberMatcher(text, region)
    ]
    assert [meant[region].value for meant in find_numbers(text, (region,)).values() if meant] == others
