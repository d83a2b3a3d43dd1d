"""The kernels that find numbers in the parts of windows: the same numbers as a search with expressions."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.filters.pii import Pii
from curation.pii import (
    automaton,
    digit_meanings,
    number_characters,
    number_parts,
    numbering_plans,
    part_kernels,
    phone_matcher,
)
from curation.pii.extensions import end_of_context
from curation.pii.number_parts import _parts, digits_between, numbers_in_parts
from curation.pii.numbering import digits_of
from curation.pii.recognizers import phones
from curation.pii.windows import number_windows, shown
from curation.text import views

REGIONS = ("DE", "US", "GB", "IT")
GROUPS = (
    "212",
    "736",
    "5000",
    "030",
    "2275",
    "0049",
    "49",
    "1",
    "12",
    "2003",
    "+49",
    "(030)",
    "08",
    "0171",
    "7",
    "\u0660\u0663\u0660",
    "\u0968\u0967\u0968",
    "12345678901234567890",
    "2127365000212736500021",
)
BETWEEN = (
    "",
    " ",
    "-",
    ".",
    "/",
    "(",
    ")",
    " - ",
    "\u2013",
    "\u00a0",
    "\u2009",
    "+",
    " + (",
    "     ",
    "\uff0b",
    "[",
    "--",
    "x",
    " x",
    " x - ",
    "xx",
    " xx ",
    "/x",
    " / x",
    "~",
    " ~ ",
    "\u30fc",
    "\u2053",
    *(" ext ", " ext. ", ", int.", "#", " x: "),
)
AROUND = (
    *("", " ", ")", "\n", ":", "-") * 2,
    "a",
    "\u00e9",
    "%",
    "$",
    "\u90ae",
    ":30",
    "\u0e01",
    "\u20ac",
    "x",
    " ext 5",
    "tel",
    "\u00b2",
    *("e-mail", " ext", ", ext. 1234567890", " xt. 5", " x:5 ", "\tx5#", " - 12#", " # 123", "#. 5", ";ext=1", "~ 5."),
    *(
        " anexo 12345678901234567890123",
        " int. 1234567890",
        " \u0434\u043e\u0431. 12",
        " extensi\u00f3n. 5x",
        " Ext 5/x",
    ),
    *(
        " extensio\u0301.5",
        " exten\u017fion 5",
        " \uff45\uff58\uff54 5",
        f" ext{' ' * 25}5",
        *("     123#", "------1#a", "     1234567#", " \u0131nt. 5", "\t\u0130nt 5", ", int. 1234567"),
        "EXTN:\u00a05",
        "x.5",
        " x",
    ),
)
TEXTS = st.tuples(
    st.sampled_from(AROUND),
    st.lists(st.sampled_from(GROUPS + BETWEEN + BETWEEN), max_size=14).map("".join),
    st.sampled_from(AROUND),
).map("".join)


BEHIND_DIGITS = (
    *("212-736-5000", " 212-736-5000", "-736-5000", "/030 22756869", " (212) 736-5000", "+1 212 736 5000", ""),
    *(" ext 5", " 2127365000"),
)


def compared(texts: Sequence[str], regions: tuple[str, ...] = REGIONS) -> tuple[int, int]:
    """Assert that windows have the numbers that a search with expressions finds; how many were looked at, and found."""
    view = views.characters(pa.array(texts, pa.string()))
    windows = number_windows(view)
    numbers, meanings, done = numbers_in_parts(view, windows, regions)
    begins = view.first[windows[numbers[:, 0], 0]] + windows[numbers[:, 0], 1]
    all_digits = digits_between(view, begins + numbers[:, 1], begins + numbers[:, 2])
    found: dict[int, dict[tuple[int, int], set[tuple[int, str, str, int]]]] = {}
    for (window, first, last, extension, meant), digits in zip(numbers.tolist(), all_digits, strict=True):
        row, start, *_ = windows[window].tolist()
        assert digits == digits_of(texts[row][start + first : start + last])
        if texts[row][start + first : start + last].lower().endswith("int"):
            digits += "468"  # its letters stand for digits; it prevents other matches, but is none
        size = len(digits) - extension
        own = {(one.country, digits[one.cut : size], digits[size:], one.source) for one in meanings[meant]}
        found.setdefault(window, {})[first, last] = own
    for place, (row, start, end, _) in enumerate(windows.tolist()):
        text, of_window = texts[row], found.get(place, {})
        if not done[place]:
            assert not of_window
            continue
        begin = max(0, start - 1)
        spans = phones(shown(text[begin : end_of_context(text, end)]), regions, end - begin)
        # What begins behind the window belongs to another one.
        spans = [one for one in spans if begin + one.start < end]
        expected = {(begin + one.start - start, begin + one.end - start): one.numbers for one in spans}
        assert of_window.keys() == expected.keys(), text
        for span, numbers_meant in expected.items():
            meant = numbers_meant and {tuple(one) for one in numbers_meant.values()}
            assert meant in (None, of_window[span]), text
    return int(done.sum()), len(numbers)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(TEXTS, max_size=4))
def test_the_same_numbers_as_expressions(texts: list[str]) -> None:
    """A window that is looked at has the numbers that a search with expressions finds."""
    compared(texts)


def test_many_digits_without_punctuation() -> None:
    """Twenty digits are a group of a number, of which there are at most 21, and the next ones another."""
    chance, texts = random.Random(1), []
    for _ in range(5000):
        groups = "".join(chance.choice("0123456789") + chance.choice("- ./") for _ in range(chance.randint(0, 22)))
        digits = "".join(chance.choices("0123456789", k=chance.randint(5, 54)))
        last = chance.choice(("2127365000", "0302275686", "1212736500"))
        texts.append(f"{groups}{digits}{last}{chance.choice(BEHIND_DIGITS)}")
    seen, found = compared(texts)
    assert seen > 0.9 * len(texts)
    assert found > len(texts) / 2


@pytest.mark.parametrize("max_bytes", [1 << 28, 300_000])
def test_many_texts(monkeypatch: pytest.MonkeyPatch, max_bytes: int) -> None:
    """So it is in many texts of digits and punctuation, also if states are forgotten meanwhile."""
    monkeypatch.setattr(automaton, "MAX_BYTES", max_bytes)
    chance = random.Random(2)
    texts = []
    for _ in range(3500):
        middle = "".join(chance.choice(GROUPS) + chance.choice(BETWEEN) for _ in range(chance.randint(1, 7)))
        texts.append(chance.choice(AROUND) + middle + chance.choice(AROUND))
    looked_at, found = compared(texts)
    assert looked_at > 400
    assert found > 150


def test_all_characters_that_join() -> None:
    """Of every character it is known whether a number next to it is none."""
    kinds = number_characters.kinds_of_characters()
    joins = number_characters.JOINS | number_characters.X
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            assert bool(int(kinds[code]) & joins) == phone_matcher.joins(chr(code)), hex(code)


def test_more_parts_than_expected() -> None:
    """All parts are found if there are more of them than the array has room for."""
    view = views.characters(pa.array([" / ".join(["212 736 5000"] * 9)]))
    parts, is_done = _parts(view, number_windows(view), ("US",))
    assert is_done.all()
    assert len({(start, end) for start, end in parts[:, [part_kernels.START, part_kernels.END]].tolist()}) >= 9


@pytest.mark.parametrize("first", range(0, 245, 7))
def test_regions(first: int) -> None:
    """So it is in all regions, also if digits begin with a calling code, a national prefix or one for calls abroad."""
    regions = tuple(sorted(phonenumbers.SUPPORTED_REGIONS)[first : first + 7])
    chance = random.Random(first)
    texts = []
    for region in regions:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        starts = (
            "",
            f"{metadata.country_code}",
            metadata.national_prefix or "",
            f"00{metadata.country_code}",
            "0",
            "011",
        )
        types = [one for one in (metadata.fixed_line, metadata.mobile) if one and one.example_number]
        for _ in range(30):
            number = chance.choice(types).example_number if types else "212345678"
            kept = chance.randrange(len(number))
            rest = "".join(chance.choices("0123456789", k=len(number) - kept + chance.choice((0, 0, -1, 1))))
            extension = chance.choice(("", "", " ext 5", " x123", ", int. 12", "#1234567"))
            texts.append(chance.choice(starts) + number[:kept] + rest + extension)
    looked_at, found = compared(texts, regions)
    assert looked_at > 30
    assert found > 10


def test_few_windows_need_a_closer_look() -> None:
    """Nearly all windows are looked at here, so that texts of numbers and extensions take no longer than others."""
    chance = random.Random(5)
    labels = (
        " ext ",
        " ext. ",
        ", int.",
        "#",
        " x: ",
        " x",
        ";ext=",
        " \u0434\u043e\u0431. ",
        " xx ",
        "/x",
        "~",
        " extn:",
    )
    texts = [
        "".join(chance.choices("0123456789" * 3 + " -./()+[]", k=chance.randint(10, 40)))
        + chance.choice(labels)
        + "123"
        for _ in range(3000)
    ]
    view = views.characters(pa.array(texts))
    windows = number_windows(view)
    assert numbers_in_parts(view, windows, REGIONS).done.mean() > 0.98


@pytest.mark.parametrize(
    "forms",
    [
        ("N int. N", "N int N int", "N int. N int. N"),
        ("N#. N", "N#. N#", "N# N"),
        ("(0xx11) 2N", "0N ext 5", "0N-12 x12"),
    ],
    ids=["letters that stand for digits", "extensions that end with #", "prefixes before extensions"],
)
def test_few_numbers_are_read_alone(forms: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels tell what the digits of nearly all numbers mean, however they are written."""
    alone: list[str] = []
    read = number_parts._read
    monkeypatch.setattr(
        number_parts, "_read", lambda written, size, regions: alone.append(written) or read(written, size, regions)
    )
    chance = random.Random(8)
    texts = [
        "tel " + re.sub("N", lambda _: str(chance.randint(10**6, 10**9)), chance.choice(forms)) for _ in range(1000)
    ]
    looked_at, _ = compared(texts, Pii().phone_regions)
    assert looked_at > 950
    assert len(alone) < 100, alone[:20]


def test_codes_of_carriers() -> None:
    """With "xx" for the code of a carrier, a number is one if the digits behind it mean the same as all."""
    chance = random.Random(9)
    prefixes = ("0xx", "(0xx", "0 xx ", "90xx", "xx", "+55xx", "0055 xx ", "0-xx-", "0xxx", "0XX21 xx", "0xx~", "0xX",
                "+49xx", "+49 (0)xx", "+49 30 22756869xx", "030 22756869 xx-")  # fmt: skip
    behind = ("", "", " x5", " xx 5", " ext 5", "xx12", "x x12", "xx~12")
    texts = [
        f"{chance.choice(prefixes)}{chance.randint(1, 999)}{chance.choice((' ', ') ', '-', ''))}"
        f"{chance.randint(1000, 99999)}{chance.choice('--/')}{chance.randint(1000, 9999)}{chance.choice(behind)}"
        for _ in range(3000)
    ]
    texts += [f"{chance.choice(prefixes)}{chance.randint(10**5, 10**10)}{chance.choice(behind)}" for _ in range(2000)]
    for regions in (("BR",), ("US", "DE", "BR", "AR"), ("GB", "CN")):
        looked_at, found = compared(texts, regions)
        assert looked_at > 0.95 * len(texts)
        assert found > 100


def test_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """If digits have more meanings than are remembered, or another thread makes all be forgotten, nothing changes."""
    chance = random.Random(6)
    texts = ["".join(chance.choices("0123456789 ", k=14)) for _ in range(400)]
    monkeypatch.setattr(digit_meanings, "_KEPT", 3)
    digit_meanings.digit_meanings.cache_clear()
    compared(texts)
    assert len(digit_meanings.digit_meanings(REGIONS)._meanings) <= 3
    monkeypatch.setattr(digit_meanings, "keep", lambda known, *_: known.clear())
    compared(texts)


def test_automata_that_are_made_again() -> None:
    """Automata of other regions that push one out do not change what the kinds of its results mean."""
    chance = random.Random(7)
    texts = ["0" + "".join(chance.choices("0123456789 ", k=12)) for _ in range(400)]
    compared(texts)
    numbering_plans.regions_of.cache_clear()
    compared(texts[::2], ("US", "FR"))
    compared(texts)
