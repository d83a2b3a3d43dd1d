"""Finding: the same matches as presidio's recognizers on the complete text, without overlaps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import texts as page_texts

from curation.pii import recognizers
from curation.pii.evidence import Match
from curation.pii.find import KINDS, Search, find, without_overlaps
from curation.pii.recognizers import Span

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


def on_complete_text(text: str, search: Search) -> list[Match]:
    """Matches of presidio's recognizers on the complete text, judged by the same rules."""
    found = []
    for name, minimum in search.minimums:
        kind = KINDS[name]
        for region in search.regions if name == "phone" else ("",):
            recognizer = recognizers._load(name, region)
            for result in recognizer.analyze(kind.shown(text), recognizer.supported_entities, None):
                match = kind.judge(text, Span(result.start, result.end, float(result.score)), search.regions)
                if match is not None and match.score >= minimum:
                    found.append(match)
    return without_overlaps(found)


def assert_same(texts: Sequence[str], search: Search) -> int:
    found = find(pa.array(texts, pa.string()), search)
    for row, text in enumerate(texts):
        assert found.get(row, []) == on_complete_text(text, search), text
    return sum(map(len, found.values()))


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.lists(TEXTS, max_size=3))
def test_windows_lose_nothing(texts: list[str]) -> None:
    """On any text, windows give the same matches as the complete text."""
    assert_same(texts, DEFAULT)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(TEXTS)
def test_windows_lose_nothing_with_low_scores(text: str) -> None:
    """Windows give the same matches with the lowest minimum scores, for which no cheap test rules out a window."""
    assert_same([text], LENIENT)


def test_windows_lose_nothing_on_annotated_texts(shared_data: Path) -> None:
    """Windows give the same matches on 2,109 texts written for recognizers of personal data."""
    entries = json.loads((shared_data / "pii" / "presidio-research-generated.json").read_text(encoding="utf-8"))
    assert assert_same([entry["full_text"] for entry in entries], DEFAULT) > 350


def test_windows_lose_nothing_on_pages(shared_data: Path) -> None:
    """Windows give the same matches on the text of real pages."""
    assert assert_same(page_texts(shared_data)[::30], DEFAULT) > 10


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


def test_a_text_full_of_matches() -> None:
    """All of ten thousand matches in one text are found."""
    text = " ".join(f"user{i}@mail.com +1 212 736 {i % 10_000:04}" for i in range(5000))
    assert len(find(pa.array([text]), DEFAULT)[0]) == 10_000


def test_tables_of_figures() -> None:
    """A megabyte of figures has no phone numbers, whether in lines or without line ends."""
    lines = "\n".join(" ".join(str(i * j % 99991 / 10) for j in range(1, 9)) for i in range(10_000))
    endless = " ".join(str(i * 7919 % 999_983) for i in range(100_000))
    assert find(pa.array([lines, endless]), DEFAULT) == {}
