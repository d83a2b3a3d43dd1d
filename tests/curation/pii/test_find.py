"""Finding: what presidio's recognizers find on the complete text, without overlaps."""

from __future__ import annotations

import dataclasses
import gc
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from account_expressions import OTHER_CARD_DIGITS, cards, ssns
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import texts as page_texts
from personal_texts import LINES, adversarial
from presidio_recognizers import on_complete_text

from curation.arrays import Int64s
from curation.pii import phone_matcher
from curation.pii.evidence import Match
from curation.pii.find import KINDS, Kind, Search, find, without_overlaps
from curation.pii.recognizers import GLUED_WORD, ibans
from curation.text.views import Characters

REGIONS = ("US", "GB", "DE")
DEFAULT = Search(tuple((kind, 0.4 if kind == "us_ssn" else 0.5) for kind in KINDS), REGIONS)
LENIENT = Search(tuple((kind, 0.05) for kind in KINDS), REGIONS)

PIECES = st.sampled_from(
    [
        *("john@doe.com", "a.b+c@mail.co.uk", "//x/@y.me", "8.8.44.8", "10.0.0.1", "2a00:1450:4001:81b::200e"),
        *("::ffff:8.8.44.8", "(212) 555-7890", "+49 30 28444-744", "0800 692 0792", "030/227-5555", "020 7946 0958"),
        *("4716 4245 2151 1864", "4716424521511864", "DE66 4805 0161 0002 1297 99", "at192011182979025503"),
        *("308-63-0237", "308630237", "ssn ", "tel ", "card ", "IP ", "fax", " ext. 5\n", "x12", "2020-01-05 08:15"),
        *(" ", " ", "  ", "-", ".", "/", ",", "(", ")", "+", "@", ":", "\n", "12", "345", "0", "1", "é", "邮", "a"),
    ]
)
TEXTS = st.lists(PIECES, max_size=16).map("".join)


def assert_same(texts: Sequence[str], search: Search) -> int:
    """Assert that the matches are those of presidio's recognizers, for the kinds that follow them."""
    same = ("iban", "credit_card", "us_ssn", "phone")
    search = Search(tuple(one for one in search.minimums if one[0] in same), search.regions)
    found = find(pa.array(texts, pa.string()), search)
    for row, text in enumerate(texts):
        assert known(text, found.get(row, [])) == known(text, on_complete_text(text, search)), text
    return sum(map(len, found.values()))


def known(text: str, matches: Sequence[Match]) -> list[Match]:
    """The matches without what presidio does not know: card numbers of some issuers, phone numbers with words glued."""
    return [
        one
        for one in matches
        if not (one.kind == "credit_card" and OTHER_CARD_DIGITS.fullmatch(one.value))
        and not (one.kind == "phone" and GLUED_WORD.match(text, one.end))
    ]


def assert_all_addresses(texts: Sequence[str], search: Search) -> int:
    """Assert that all addresses that presidio's recognizers find are found, or are within one that is found."""
    search = Search(tuple(one for one in search.minimums if one[0] in ("email", "ip")), search.regions)
    found = find(pa.array(texts, pa.string()), search)
    for row, text in enumerate(texts):
        for one in on_complete_text(text, search):
            others = (other for other in found.get(row, []) if other.kind == one.kind)
            assert any(other.start <= one.start and one.end <= other.end for other in others), text
    return sum(map(len, found.values()))


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.lists(TEXTS, max_size=3))
def test_windows_lose_nothing(texts: list[str]) -> None:
    """On any text, windows give the same matches as the complete text."""
    assert_same(texts, DEFAULT)
    assert_all_addresses(texts, DEFAULT)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(TEXTS)
def test_windows_lose_nothing_with_low_scores(text: str) -> None:
    """Windows give the same matches with the lowest minimum scores, for which no cheap test rules out a window."""
    assert_same([text], LENIENT)


def test_windows_lose_nothing_on_annotated_texts(shared_data: Path) -> None:
    """Windows give the same matches on 2,109 texts written for recognizers of personal data."""
    entries = json.loads((shared_data / "pii" / "presidio-research-generated.json").read_text(encoding="utf-8"))
    texts = [entry["full_text"] for entry in entries]
    assert assert_same(texts, DEFAULT) > 300
    assert assert_all_addresses(texts, DEFAULT) > 60


def test_windows_lose_nothing_on_pages(shared_data: Path) -> None:
    """Windows give the same matches on the text of real pages."""
    texts = page_texts(shared_data, 30)
    assert assert_same(texts, DEFAULT) > 5
    assert assert_all_addresses(texts, DEFAULT) > 5


def test_null_and_empty() -> None:
    """A null, an empty text and an empty column have no matches."""
    assert find(pa.array([None, "", "nothing"], pa.string()), DEFAULT) == {}
    assert find(pa.array([], pa.string()), DEFAULT) == {}


def test_slices_and_large_strings() -> None:
    """Rows are numbered from the start of the array, also of a slice or of large strings."""
    texts = pa.array(["x@doe.com", None, "8.8.44.8 and y@doe.com"], pa.large_string())
    found = find(texts.slice(1), DEFAULT)
    assert [(row, [(m.kind, m.start) for m in matches]) for row, matches in found.items()] == [
        (1, [("ip", 0), ("email", 13)])
    ]


@pytest.mark.parametrize(
    ("matches", "expected"),
    [
        ([("phone", 0, 12, 0.9), ("us_ssn", 3, 14, 0.5)], [("us_ssn", 3, 14)]),
        ([("phone", 5, 9, 0.4), ("phone", 0, 6, 0.7)], [("phone", 0, 6)]),
        ([("ip", 4, 8, 0.6), ("ip", 0, 6, 0.6)], [("ip", 0, 6)]),
        ([("ip", 0, 4, 0.6), ("email", 4, 8, 1.0)], [("ip", 0, 4), ("email", 4, 8)]),
    ],
)
def test_overlaps(matches: list[tuple[str, int, int, float]], expected: list[tuple[str, int, int]]) -> None:
    """Of overlapping matches the more certain kind is kept, then the higher score, then the first."""
    chosen = without_overlaps([Match(*match, value="") for match in matches])
    assert [(match.kind, match.start, match.end) for match in chosen] == expected


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(KINDS)), st.integers(0, 40), st.integers(1, 12), st.sampled_from((0.2, 0.6, 1.0))
        ),
        max_size=14,
    )
)
def test_any_overlaps(places: list[tuple[str, int, int, float]]) -> None:
    """One match after the other is taken, the best first, if it overlaps none that was taken."""
    order = list(KINDS)
    matches = [Match(kind, start, start + size, score, "") for kind, start, size, score in places]
    expected: list[Match] = []
    for match in sorted(matches, key=lambda one: (order.index(one.kind), -one.score, one.start, -one.end)):
        if all(match.end <= other.start or other.end <= match.start for other in expected):
            expected.append(match)
    assert without_overlaps(matches) == sorted(expected, key=lambda one: one.start)


def test_a_text_full_of_matches() -> None:
    """All of ten thousand matches in one text are found."""
    text = " ".join(f"user{i}@mail.com +1 212 736 {i % 10_000:04}" for i in range(5000))
    assert len(find(pa.array([text]), DEFAULT)[0]) == 10_000


def test_tables_of_figures() -> None:
    """A megabyte of figures has no phone numbers, whether in lines or without line ends."""
    lines = "\n".join(" ".join(str(i * j % 99991 / 10) for j in range(1, 9)) for i in range(10_000))
    endless = " ".join(str(i * 7919 % 999_983) for i in range(100_000))
    assert find(pa.array([lines, endless]), DEFAULT) == {}


def number_texts(count: int) -> list[str]:
    """Texts of digits with much of what may be between, before and behind them, some like numbers of REGIONS."""
    chance, made = (
        random.Random(5),
        ["tel 2012-01-02 08:30", "tel 2012-01-02 08", "tel#212-736-5000", "SSN#212-736-5000"],
    )
    starts = ("", "", "tel ", "+", "tel 00", "0049 30 ", "(0", "030 ", "1 (212) ", "part no. ", "SSN#", "x", "$", "邮")
    ends = ("", "", " ", "\n", ":30", " ext 5", ", ext 7", "#", "Fax: 1", "and", "号", "é", "%", ".5", "_", ", anexo 1")
    for _ in range(count):
        between = chance.choice((" ", "-", ".", "/", " /-.()[]", "  ", "- x+~", "\u2013\u00a0 ", ") "))
        groups = ("".join(chance.choices("0123456789", k=chance.choice((1, 2, 2, 3, 3, 4, 5, 7)))) for _ in range(8))
        parts = [group + chance.choice(between) for group in groups][: chance.randint(2, 8)]
        made.append(chance.choice(starts) + "".join(parts).rstrip(between) + chance.choice(ends))
    return made


def searched_one_by_one(texts: Sequence[str], search: Search) -> dict[int, list[Match]]:
    """What is found if each window is searched for parts that may be numbers."""
    phone = KINDS["phone"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, "phone", dataclasses.replace(phone, judge_all=lambda _, windows, *__: ([], windows)))
        return find(pa.array(texts), search)


def hashed_texts(count: int) -> list[str]:
    """Numbers with "#" between, before and behind them, where it may begin an extension or end one."""
    chance = random.Random(8)
    numbers = ("212-736-5000", "(212) 736-5000", "+91 8869602423", "030/2275555", "tel 0159 4549 2781", "+2782-82-59")
    between = ("#", "#", " #", "# ", " # ", "-", " ", "  -  - ", "-  - ", "----", "\uff03", "+", "/", ". ")
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(chance.randint(1, 5)):
            digits = "".join(chance.choices("0123456789", k=chance.randint(1, 7)))
            parts += [chance.choice((*numbers, digits)), chance.choice(between), chance.choice((digits, ""))]
        texts.append("".join([*parts, chance.choice(("", "#", "#5 ", " 12#"))]))
    return texts


def test_numbers_before_hash() -> None:
    """The kernels know which digits next to "#" are an extension, and where a number ends before them."""
    texts = [*hashed_texts(6000), "tel +91 8869602423-  - 21563#4819)1", "call +2782-82-59     66#006 346#;"]
    found = find(pa.array(texts), LENIENT)
    assert found == searched_one_by_one(texts, LENIENT)
    assert sum(map(len, found.values())) > 5000


def crowded_texts(count: int) -> list[str]:
    """Some twenty groups of digits, as many as a number may have, with "#" behind the last ones."""
    chance, texts = random.Random(12), []
    for _ in range(count):
        most, groups = chance.randint(18, 26), []
        while sum(group.count("-") + 1 for group in groups) < most:
            sizes = chance.choice(((3, 3, 4), (3, 3, 4), (4,), (2,), (3, 2)))
            number = "-".join("".join(chance.choices("23456789", k=size)) for size in sizes)
            groups.append(number + chance.choice((" ", " ", "  ", ".")))
        last = "".join(chance.choices("23456789", k=chance.randint(1, 6)))
        texts.append("".join(groups) + last + chance.choice(("#", "#5", " #12", "##3", "# 7")))
    return texts


def test_crowded_numbers_before_hash() -> None:
    """A number that ends where digits with "#" begin goes on with them."""
    texts = crowded_texts(3000)
    found = find(pa.array(texts), LENIENT)
    assert found == searched_one_by_one(texts, LENIENT)
    assert len(found) > 1000


@pytest.mark.parametrize("region", ["BR", "GB", "DE", "IN", "IL"])
def test_national_prefixes_before_extensions(region: str) -> None:
    """Which numbers begin with a national prefix, of one or two digits, and which keep it."""
    chance, search = random.Random(region), Search((("phone", 0.05),), (region,))
    texts = [
        f"tel {start:02}{''.join(chance.choices('0123456789', k=size))} x{chance.randint(1, 99999)}"
        for start in range(100)
        for size in range(5, 13)
        for _ in range(8)
    ]
    found = find(pa.array(texts), search)
    assert found == searched_one_by_one(texts, search)
    assert len(found) > 20


def far_extensions(count: int) -> list[str]:
    """Numbers with extensions that have about as many spaces around their labels as they may have, or more."""
    chance, texts = random.Random(11), []
    labels = (
        "ext",
        "ext.",
        "x",
        "#",
        "~",
        "int",
        "xt",
        "anexo",
        "extension",
        "\uff45\uff58\uff54",
        "xx",
        "extn:",
        "ext\uff0e",
    )
    spaces = (" ", "-", ",", "\t", "\u00a0", " ,", " -", "~")
    for _ in range(count):
        before, behind = ((chance.choice(spaces) * 90)[: chance.choice((0, 1, 19, 20, 21, 22, 30, 80))] for _ in "12")
        number = chance.choice(("212-736-5000", "+49 30 227555", "(212) 736-5000", "030/2275555"))
        label = chance.choice((*labels, *(f"{one}:" for one in labels)))
        texts.append(f"{number}{before}{label}{behind}{chance.choice(('5', '123', '12345678', '', '7#'))} a")
    return texts


def test_far_extensions() -> None:
    """The kernels know which extensions are too far away from their number or label."""
    texts = far_extensions(4000)
    found = find(pa.array(texts), LENIENT)
    assert found == searched_one_by_one(texts, LENIENT)
    assert len({one.value for matches in found.values() for one in matches}) > 10


def test_numbers_between_letters_of_scripts_without_spaces() -> None:
    """Which of these letters is next to a number does not matter, but a sign or another letter may."""
    letters = "字電はひカ한ไลខ་ཀ々〆ー〇㐀𠀀ㄅำ่ิ゛゜・éЖßªʰ_a "
    forms = ("tel{}212-736-5000{}", "{0}{1}(212) 736-5000{1}{0}", "{0}_+49 30 227555{1}_", "{0}-030/2275555-{1}x5")
    texts = [form.format(first, second) for form in forms for first in letters for second in letters]
    for search in (DEFAULT, LENIENT):
        found = find(pa.array(texts), search)
        assert found == searched_one_by_one(texts, search)
        assert len(found) > len(texts) // 3


SIMPLE = ("email", "ip", "us_ssn", "credit_card", "iban")
EXPRESSIONS = {"us_ssn": ssns, "credit_card": cards}


def slow(kind: str) -> Kind:
    """How to find a kind with its recognizer only."""
    found = dataclasses.replace(KINDS[kind], judge_all=lambda _, windows, *__: ([], windows))
    if kind == "iban":
        return dataclasses.replace(found, recognize=ibans)
    if kind not in EXPRESSIONS:
        return found
    recognize = EXPRESSIONS[kind]
    return dataclasses.replace(found, recognize=recognize, before=1, after=lambda text, end: end + 1)


ADDRESSES = (
    "jane@firma.de", "J.Doe+a@Firma.DE", "a_@b.org", "_a@b.org_", "a@b.zzz", "a@1.2.dev", "x@example.com", "a@b@c.de",
    "a%40b.org", "\u00fc@b.org", "a\uff20b.org", "git@github.com:a/b", f"{'a' * 65}@b.org", f"a@{'b.' * 127}com",
    "8.8.44.8", "10.0.0.1:80", "85.17.62.50", "1.2.3.4", "192.0.2.7", "8.8.44.8.9", "2a00:1450::200e", "::1", "::",
    "::ffff:8.8.44.8", "::FFFF:8.8.44.8", "1::ffff:8.8.44.8", "2001:db8::1", "1:2:3:4:5:6:7:8", "12:30:45", "a:b::c",
    "308-63-0237", "308 63 0237", "308.63.0237", "308630237", "30863-0237", "900-12-3456", "078-05-1120", "1308630237",
    "DE66 4805 0161 0002 1297 99", "de66\u00a04805\u20130161 0002\uff0d1297 99", "GB33BUKB20201555555555",
)  # fmt: skip
NEXT_TO_ADDRESSES = (
    " ", "\n", ", ", ".", ":", "_", "/", "-", "@", "\\", "+1 ", "x", "1", "\u90ae", "\u00a0", "\u2013", "://", "[",
    "%20", "IP ", "ip:", "SSN ", "SSN#", "social security ", "version ", "HS code ", "part no. ", "ISBN-10 ",
    "ISBN-47 ", "ssh ", "Message-ID: <", " and ", "<EMAIL> ", "tel ", "number 13 ",
)  # fmt: skip


def address_texts(count: int) -> list[str]:
    """Addresses and social security numbers with text around them that says what they are, or changes what they are."""
    chance = random.Random(7)
    pieces = ADDRESSES + NEXT_TO_ADDRESSES
    return ["".join(chance.choices(pieces, k=chance.randint(1, 12))) for _ in range(count)]


@pytest.mark.parametrize("search", [DEFAULT, LENIENT])
def test_simple_windows(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found in windows of simple form is what the recognizers find in them."""
    texts = [*address_texts(4000), *(adversarial(kind, 600) for kind in LINES)]
    found = find(pa.array(texts), search)
    for kind in SIMPLE:
        monkeypatch.setitem(KINDS, kind, slow(kind))
    assert found == find(pa.array(texts), search)
    assert Counter(one.kind for matches in found.values() for one in matches).keys() >= set(SIMPLE)


def test_simple_windows_need_no_recognizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Common addresses and numbers are judged without the recognizer of their kind, whose cost per window is large."""
    kinds = ("nine digits", "nine digits after ssn", "IPv4 after IP", "short IPv6 addresses", "e-mail addresses")
    texts = [adversarial(kind, 600) for kind in kinds]
    texts += ["Write to jane.doe@firma.de", "From ::ffff:8.8.44.8", "8.8.44.8:443 ", "e-mail: \u00fc1@firma.de"]
    for kind in SIMPLE:
        monkeypatch.setitem(KINDS, kind, dataclasses.replace(KINDS[kind], recognize=None))
    assert len(find(pa.array(texts), Search(tuple((kind, 0.05) for kind in SIMPLE), ()))) == len(texts)


def sizes_of_searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list to which each search for phone numbers adds the number of its windows."""
    given: list[int] = []
    phone = KINDS["phone"]

    def judge_all(characters: Characters, windows: Int64s, *rest: Any) -> Any:
        given.append(len(windows))
        return phone.judge_all(characters, windows, *rest)

    monkeypatch.setitem(KINDS, "phone", dataclasses.replace(phone, judge_all=judge_all))
    return given


def test_numbers_in_other_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No phone number is searched in a match of a more certain kind, and the same are found, also in another order."""
    given = sizes_of_searches(monkeypatch)
    inside = [
        "SSN 308-63-0237",
        "308-63-0237 / 123456",
        "8.8.144.81:443,",
        " (308-63-0237) ",
        "4716424521511864",
        "a2127365000@b.org",
    ]
    outside = ["308-63-0237 / 212 736 5000", "(212) 736-5000, 8.8.144.81", "jane@firma.de 212 736 5000"]
    for one in (inside, outside):
        find(pa.array(one), DEFAULT)
    assert given == [0, 3]
    texts = [*address_texts(2000), *(adversarial(kind, 600) for kind in LINES)]
    for search in (DEFAULT, LENIENT):
        found = find(pa.array(texts), search)
        assert found == find(pa.array(texts), Search(search.minimums[::-1], search.regions))
        with monkeypatch.context() as patch:
            patch.setattr("curation.pii.find._outside", lambda windows, *_: windows)
            assert found == find(pa.array(texts), search)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("tel 202-555-0134 / 303-555-0195 - 202-555-0100, 212-555-0101", 0),
        ("tel 202-555-0134 / 303-555-0195 7", 1),
        ("tel 2 202-555-0134 / 303-555-0195", 1),
        ("tel 202-555-0134 x 303-555-0195", 1),
        ("tel 202-555-0134 1/ 303-555-0195", 1),
        ("tel 202-555-0134 / 303-555-0195 ext 5", 1),
        ("tel 202-555-0134 #2", 1),
        ("tel 202-555-0134~2", 1),
        ("tel 202-555-0134, x2", 1),
        ("tel 202-555-0134:30, ", 0),
    ],
)
def test_replacements_side_by_side(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What consists of replacements, with nothing but punctuation between them, is not searched again."""
    given = sizes_of_searches(monkeypatch)
    settled = {0: [match.span() for match in re.finditer(r"\d{3}-555-01\d\d", text)]}
    find(pa.array([text]), DEFAULT, settled)
    assert given == [size]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # Alone, it was replaced and is left out; beside other digits, it may be part of something else.
        ("202-555-0134 7", []),
        ("tel 202-555-0134 7", []),
        ("202-555-0134 #2", ["+12025550134;2"]),
        ("202-555-0134 x2", ["+12025550134;2"]),
        ("1-202-555-0134 7", ["+12025550134"]),
        ("202-555-0200 7", ["+12025550200"]),
        ("202-555-0134 212-736-5000 7", ["+12127365000"]),
        ("212-736-5000 ext 202-555-0134 7", ["+12025550134"]),
    ],
)
def test_replacements_are_not_found_again(text: str, found: list[str]) -> None:
    """A second search leaves out what replaced a number, unless other digits may belong to it."""
    settled = {0: [match.span() for match in re.finditer(r"202-555-\d{4}", text)]}
    values = [one.value for one in find(pa.array([text]), DEFAULT, settled).get(0, ())]
    assert values == found
    assert {*values} <= {one.value for one in find(pa.array([text]), DEFAULT).get(0, ())}


@pytest.mark.parametrize("text", ["+.0-  713-555-0195", "3(0~/202-555-0102~", "+ 074..303-555-0122"])
def test_a_replacement_within_another_number(text: str) -> None:
    """It keeps its place: what overlaps it is less well written."""
    search = Search((("phone", 0.2),), ("US", "DE"))
    settled = {0: [match.span() for match in re.finditer(r"\d{3}-555-01\d\d", text)]}
    assert all(one.kept for one in find(pa.array([text]), search, settled).get(0, ()))


def test_numbers_of_the_same_shape() -> None:
    """What is known of one social security number holds for others of its shape, but not if other digits count."""
    texts = [f"{name} 308-63-0237" for name in ("ISBN-47", "ISBN-10", "ISBN-46", "ISBN-13", "ISBN-00")]
    assert list(find(pa.array(texts), Search((("us_ssn", 0.4),), ()))) == [0, 2, 4]


def with_other_digits(texts: Sequence[str], chance: random.Random) -> list[str]:
    """Each text, followed by some of the same shape."""
    made = []
    for text in texts:
        made.append(text)
        for _ in range(3):
            digits = {ord(digit): chance.choice("23456789") for digit in "23456789"}
            made.append(text.translate(digits))
    return made


@pytest.mark.parametrize(
    ("minimum", "regions"),
    [
        (0.5, REGIONS),
        (0.2, REGIONS),
        (0.2, ("US", "GB", "DE", "FR", "IL", "IN", "BR")),
        (0.2, ("IT", "RU", "MX", "CO", "KR", "CA")),
        (0.2, ("ZZ",)),
    ],
)
def test_numbers_at_once(minimum: float, regions: tuple[str, ...]) -> None:
    """Numbers that are judged by their shape and what their digits may mean are those found by a search of each window,
    also when both are seen again."""
    chance = random.Random(4)
    texts = with_other_digits([*number_texts(400), *(adversarial(kind, 60) for kind in LINES)], chance)
    search = Search((("phone", minimum),), regions)
    expected = searched_one_by_one(texts, search)
    for _ in range(3):
        assert find(pa.array(texts), search) == expected
    assert len(expected) > 10


def test_parts_of_windows_at_once() -> None:
    """No part of a window that is tried one by one is missed, whatever is between its groups of digits."""
    chance, search = random.Random(3), Search((("phone", 0.2),), REGIONS)
    separators = (" ", "-", ".", "/", "(", ")", " - ", "\u2013", "\u00a0", "\u2009", "+", "     ", "\uff0b", "[", "~")
    numbers = ("212 736 5000", "030 2275", "+49 30 22756869", "0049 30 22756869", "2127365000", "0171-2345678")
    texts = [
        "tel " + "".join(chance.choice((*numbers, "7", "12", "345")) + chance.choice(separators) for _ in range(size))
        for size in range(1, 7)
        for _ in range(250)
    ]
    found = find(pa.array(texts), search)
    assert found == searched_one_by_one(texts, search)
    assert sum(map(len, found.values())) > 1000


def test_numbers_with_extensions_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers with extensions are those found by a search of each window, and not all windows need a search."""
    chance, search = random.Random(8), Search((("phone", 0.2),), REGIONS)
    numbers = ("212-736-5000", "(212) 736-5000", "030/22756869", "+49 30 22756869", "1-212-736-5000", "736 5000")
    others = ("44 131 4960123", "0131 496 0123", "+1 212 736 5000", "2127365000", "999-999-9999", "2012/12/31 08")
    labels = (" x", "x", " ext. ", " ext ", ", ext ", " #", ";ext=", " X", " xx", "/x", ",,", " доб ", "~", " ext", "-")
    texts = []
    for _ in range(1500):
        number = chance.choice((*numbers, *others)).translate({ord("7"): chance.choice("2567")})
        extension = chance.choice(labels) + str(chance.choice((1, 12, 345, 6789, 1234567, "", "12#", "5 x6")))
        texts.append(
            chance.choice(("tel ", "", "(", "$", "a "))
            + number
            + extension
            + chance.choice(("", "\n", "a", " 5", ":30"))
        )
    expected = searched_one_by_one(texts, search)
    assert len(expected) > 500
    searched: list[object] = []
    real = phone_matcher.find_numbers
    monkeypatch.setattr(phone_matcher, "find_numbers", lambda *args: searched.append(args) or real(*args))
    assert find(pa.array(texts), search) == expected
    assert len(searched) < 150


@pytest.mark.parametrize(
    ("extension", "digits"),
    [
        (" x: 12", "12"),
        (" x, 12", "12"),
        (" ~: 1234", "1234"),
        (" xtn. 12", "12"),
        (" xt 12", "12"),
        (", x 12", "12"),
        (" ext. 12#", "12"),
        (" Extensi\u00f3n: 12", "12"),
        (" extensio\u0301n 12", "12"),
        ("\u00a0anexo\t12", "12"),
        (" \u0414\u041e\u0411. 12", "12"),
        (" int 123456789", "123456789"),
        (" ext 12345678901234567890", "12345678901234567890"),
        (";ext=12", "12"),
        (" \uff45\uff58\uff54 12", "12"),
        (" \uff38\uff54\uff4e. 12", "12"),
        (" \uff58 12", "12"),
        (" \uff29\uff4e\uff54 12", "12"),
        ("\uff0312", "12"),
        (" exten\u017fion 12", "12"),
        (" ext east", ""),
        (" ;ext=12", ""),
        (f"{' ' * 19}ext 12", "12"),
    ],
)
def test_labels_of_extensions(extension: str, digits: str) -> None:
    """An extension is read up to its last digit, however it is written and wherever the run of digits ends."""
    search = Search((("phone", 0.2),), ("US",))
    text = f"tel 212-736-5000{extension} a"
    (match,) = find(pa.array([text]), search)[0]
    assert match.value == "+12127365000" + (f";{digits}" if digits else "")
    assert text[match.end :] == (" a" if digits else f"{extension} a")
    assert searched_one_by_one([text], search) == {0: [match]}


def test_hash_behind_an_extension() -> None:
    """A "#" at the end of an extension says nothing about how the number is grouped."""
    (match,) = find(pa.array(["(231) 922-5398 ext 5#"]), Search((("phone", 0.5),), ("US",)))[0]
    assert match.value == "+12319225398;5"


def test_plus_before_a_prefix_for_calls_abroad() -> None:
    """A "+" without calling code may mean nothing in a region that is still searched: its next part is tried."""
    search = Search((("phone", 0.2),), ("US", "GB", "DE", "FR", "IL", "IN", "BR"))
    assert find(pa.array(["+002908989 #5"]), search) == {0: [Match("phone", 0, 13, 0.6, "+2908989;5")]}


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("+0 49 30 22756869", "WS"),  # a prefix of one digit
        ("+00727 49 30 22756869", "KR"),  # one of five digits
        ("+00345 49 30 22756869", "KR"),
        ("+00444 49 30 22756869", "CO"),
    ],
)
def test_plus_before_any_prefix_for_calls_abroad(text: str, region: str) -> None:
    """A "+" before a prefix for calls abroad changes nothing, however long that is."""
    for _ in range(3):
        found = find(pa.array([text]), Search((("phone", 0.2),), (region,)))
        assert found == {0: [Match("phone", 0, len(text), 0.6, "+493022756869")]}


@pytest.mark.parametrize(
    "text",
    [
        "212-736-5000\u0e04",  # Thai
        "212-736-5000\u1780 ",  # Khmer
        "\u0f40212-736-5000",  # Tibetan
        "212-736-5000\uff03704189574",  # an extension
        "212-736-5000\uff037041895741423273",  # too many digits for one
        "\uff04212-736-5000",  # a price
        "\u53f7_212-736-5000_",
        "_212-736-5000_\u0e04",
    ],
)
def test_signs_and_letters_next_to_numbers_at_once(text: str) -> None:
    """What is next to a number counts as in a search of each window."""
    search = Search((("phone", 0.2),), ("US",))
    expected = searched_one_by_one([text], search)
    for _ in range(3):
        assert find(pa.array([text]), search) == expected


@pytest.mark.parametrize(
    ("text", "region", "value"),
    [
        ("(212) 736-5000,x5", "US", "+12127365000;5"),
        ("(212) 736-5000\tx5", "US", "+12127365000;5"),
        ("[1 212 736 5000", "US", "+12127365000"),
        ("\uff08212 736 5000 - 24291117", "US", "+12127365000"),
        ("\uff0b1 71 34 621 62 4", "ZZ", "+17134621624"),
        ("+- - 7 955 191-92-56 #", "CA", "+79551919256"),
        ("0241/549854/X-3348", "DE", "+49241549854;3348"),
        ("069/12345678/~3", "DE", "+496912345678;3"),
        ("tel (0xx11) 98765-4321", "BR", "+5511987654321"),
        ("(212) 736-5000     123#", "US", "+12127365000;123"),
        ("call 212-736-5000\t\u0131nt. 5x", "US", "+12127365000"),
        ("0711/215097 ext. 962", "AU", "+61711215097;962"),
        ("212-736-5000     x8ext5", "US", "+12127365000"),
        ("\uff17 4604436 int. 2", "NO", None),
        ("67 \u0130stanbul (212) 736-5000", "US", "+12127365000"),
        ("(212) 736-5000 \u0131nt 5", "US", "+12127365000;5"),
        ("+81 044 20 7946 0958", "RU", None),  # behind the calling code 81 there is no other one
    ],
)
def test_numbers_in_rare_forms(text: str, region: str, value: str | None) -> None:
    """Whether a window is judged at once or searched, the same number is found, also if it must be well printed."""
    search = Search((("phone", 0.5),), (region,))
    texts = [text, text.replace("736", "868")]
    expected = searched_one_by_one(texts, search)
    assert [one.value for one in expected.get(0, [])] == ([] if value is None else [value])
    for _ in range(3):
        assert find(pa.array(texts), search) == expected


def test_digits_before_a_window_that_are_no_part_of_it() -> None:
    """A digit in a circle before a number is no digit of it, so that the first region with a number is enough."""
    search = Search((("phone", 0.2),), ("US", "GB", "DE", "FR", "IL", "IN", "BR"))
    for text in ("\u2460023  /15 6049-5193:x: 650", "\u00b2308 513 3250"):
        assert find(pa.array([text]), search) == searched_one_by_one([text], search)


@pytest.mark.parametrize("number", ["212-736-5000", "030/22756869", "0049 30 22756869", "(030) 22756869"])
@pytest.mark.parametrize("dash", "\u2012\u2013\uff0d")
def test_numbers_behind_digits_and_a_dash(number: str, dash: str) -> None:
    """A number in a series that dashes join is found only with a plus sign, or with a word next to it."""
    texts = [f"12{dash}{number}", f"tel 12{dash}{number}", f"12{dash}+49 30 22756869"]
    found = find(pa.array(texts), Search((("phone", 0.5),), REGIONS))
    assert {row: [(one.start, one.score) for one in matches] for row, matches in found.items()} == {
        1: [(7, 0.75)],
        2: [(3, 0.6)],
    }


def test_what_has_no_number_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window in which a pass found no number is not searched again in the next pass over the text."""
    searched = []
    real = phone_matcher.find_numbers
    monkeypatch.setattr(phone_matcher, "find_numbers", lambda *args: searched.append(args) or real(*args))
    barren: set[str] = set()
    for _ in range(2):
        find(pa.array(["tel 123 4567 \u1c81об 5"]), DEFAULT, None, barren)
    assert [text.strip() for text, *_ in searched] == ["l 123 4567 \u1c81об 5"]


def test_garbage_is_collected_afterwards() -> None:
    """Whether garbage is collected is the same after a search, also after one that fails."""
    for was_enabled in (False, True):
        gc.enable() if was_enabled else gc.disable()
        try:
            find(pa.array(["a@b.org"]), DEFAULT)
            with pytest.raises(KeyError):
                find(pa.array(["a@b.org"]), Search((("none", 0.5),), REGIONS))
            assert gc.isenabled() == was_enabled
        finally:
            gc.enable()


@pytest.mark.parametrize(
    "texts",
    [
        # With enough digits for a number, and with too few.
        ["tel 22158x1", "tel 22158x12", "tel 22158x123"],
        # Underscores for emphasis, and in a name.
        ["tel _212-736-5000_", "tel a__212-736-5000__a", "tel __212-736-5000__", "tel __212-736-5000___a"],
        ["tel 212-736-5000Fax", "tel 212-736-5000Fa", "tel 212-736-5000phone", "tel 212-736-5000pho"],
        ["tel (212-736-5000", "tel 5(212-736-5000", "tel $212-736-5000", "tel 3-212-736-5000", "tel a-212-736-5000"],
        ["tel 212-736-5000 ext 5", "tel 212-736-5000 ext 567", "tel 212-736-5000 ext 567#", "tel 212-736-5000#567#"],
    ],
)
def test_what_is_around_numbers_of_one_shape(texts: list[str]) -> None:
    """Numbers of which some are judged by what is known of others, in any order, are those found one by one."""
    search = Search((("phone", 0.2),), ("US", "SH"))
    expected = [searched_one_by_one([text], search).get(0, []) for text in texts]
    for order in permutations(range(len(texts))):
        found = find(pa.array([texts[place] for place in order]), search)
        assert [found.get(row, []) for row in range(len(texts))] == [expected[place] for place in order]
