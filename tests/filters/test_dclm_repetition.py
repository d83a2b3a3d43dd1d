"""DCLM's and Dolma 3's repetition rules, on texts just inside and outside of each, and against a plain computation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from growth import assert_linear
from heuristic_cases import batch_of
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.filters.dclm_repetition import DclmRepetition

ALL = [name for name in DclmRepetition.__dataclass_fields__ if name.startswith("max_")]


def only(rule: str, **parameters: Any) -> DclmRepetition:
    """The stage with one rule on."""
    return DclmRepetition(**{name: None for name in ALL if name != rule}, **parameters)


def parts(equal: int, of: int, separator: str, length: int = 10) -> str:
    """Parts of one length, of which the first ones are equal."""
    numbers = [0] * equal + list(range(1, of - equal + 1))
    return separator.join(f"part {number:0{length - 5}d}" for number in numbers)


def phrase(n: int, total: int) -> str:
    """A text of `total` characters in words, in which a phrase of n words of two letters occurs twice."""
    repeated = " ".join(f"{chr(97 + k)}{chr(97 + k)}" for k in range(n))
    left = total - 4 * n
    fill = [f"u{k:03d}" for k in range(left // 4 - 1)]
    fill.append("v" * (left - 4 * len(fill)))
    middle = len(fill) // 2
    return " ".join([repeated, *fill[:middle], repeated, *fill[middle:]])


EDGES = [
    ("max_dup_line_fraction", parts(3, 10, "\n"), parts(4, 10, "\n")),
    ("max_dup_paragraph_fraction", parts(3, 10, "\n\n"), parts(4, 10, "\n\n")),
    ("max_dup_line_characters", f"{'x' * 10}\n{'x' * 10}\n{'y' * 80}", f"{'x' * 11}\n{'x' * 11}\n{'y' * 80}"),
    (
        "max_dup_paragraph_characters",
        f"{'x' * 10}\n\n{'x' * 10}\n\n{'y' * 80}",
        f"{'x' * 11}\n\n{'x' * 11}\n\n{'y' * 80}",
    ),
    *[
        (f"max_{kind}_{n}_gram", phrase(n, inside), phrase(n, inside - 1))
        for kind, n, inside in [
            *(("top", 2, 40), ("top", 3, 67), ("top", 4, 100), ("dup", 5, 134), ("dup", 6, 172), ("dup", 7, 216)),
            *(("dup", 8, 267), ("dup", 9, 328), ("dup", 10, 400)),
        ]
    ],
]


@pytest.mark.parametrize("variant", ["dclm", "datamap"])
@pytest.mark.parametrize(("rule", "inside", "outside"), EDGES, ids=[edge[0] for edge in EDGES])
def test_rules(rule: str, inside: str, outside: str, variant: str) -> None:
    """A text just inside of a rule is kept, one just outside is removed by that rule."""
    assert only(rule, variant=variant)(batch_of([inside, outside])).reasons.to_pylist() == [None, rule]


def test_order() -> None:
    """Lines come first, then paragraphs, then n-grams, as in DCLM."""
    assert [rule.reason for rule in DclmRepetition().rules] == ["empty", *ALL]


def signals(text: str, variant: str) -> dict[str, float]:
    return DclmRepetition(variant=variant).measure(batch_of([text]))[0].as_py()  # type: ignore[arg-type, no-any-return]


def test_where_the_variants_differ() -> None:
    """Overlapping copies count twice in DCLM; Dolma 3 does not strip, counts bytes and keeps words with a symbol."""
    assert signals("ab ab ab", "dclm")["top_2_gram"] == 8 / 6
    assert signals("ab ab ab", "datamap")["top_2_gram"] == 1
    assert signals("a\n a\nb", "dclm")["dup_line_fraction"] == 2 / 3
    assert signals("a\n a\nb", "datamap")["dup_line_fraction"] == 0
    assert signals("é\né\nbb", "dclm")["dup_line_characters"] == 2 / 4
    assert signals("é\né\nbb", "datamap")["dup_line_characters"] == 4 / 6
    assert signals("_a b _a b c", "dclm")["top_2_gram"] == 0
    assert signals("_a b _a b c", "datamap")["top_2_gram"] == 6 / 7


@pytest.mark.parametrize("variant", ["dclm", "datamap"])
def test_texts_without_lines(variant: str) -> None:
    """A text without any line is removed as empty, one with a single word is kept."""
    assert DclmRepetition(variant=variant)(batch_of(["", None, "\n\n", "a"])).reasons.to_pylist() == ["empty"] * 3 + [
        None
    ]  # type: ignore[arg-type]


def plain(text: str, *, overlaps: bool) -> dict[str, float | None]:
    """The shares of a text of ASCII words, computed in the plainest way."""
    words = text.split()
    total = sum(map(len, words))
    found: dict[str, float | None] = {}
    for n in range(2, 11):
        grams = [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]
        counts = Counter(grams)
        twice = {gram for gram in counts if counts[gram] > 1}
        if n <= 4:
            best = max(twice, key=lambda gram: (counts[gram], len("".join(gram))), default=None)
            twice = {best} if best else set()
        inside = {place for k, gram in enumerate(grams) if gram in twice for place in range(k, k + n)}
        repeated = sum(len(words[place]) for place in inside)
        if overlaps and n <= 4 and twice:
            repeated = max(len("".join(gram)) * counts[gram] for gram in twice)
        found[f"{'top' if n <= 4 else 'dup'}_{n}_gram"] = repeated / total if total else None
    for name, separator in (("line", "\n"), ("paragraph", "\n\n")):
        spans = [part for part in text.split(separator) if part]
        counts_of = Counter(spans)
        copies = [part for part in spans if counts_of[part] > 1]
        whole = sum(map(len, spans))
        found[f"dup_{name}_fraction"] = len(copies) / len(spans) if spans else None
        found[f"dup_{name}_characters"] = sum(map(len, copies)) / whole if whole else None
    return found


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "\n", "\n\n", "\n\n\n"]), max_size=60))
@settings(max_examples=300, deadline=None)
def test_it_equals_a_plain_computation(tokens: list[str]) -> None:
    """Any text of a few words and newlines gets the shares of a plain computation; equal n-grams have equal lengths."""
    text = " ".join(tokens).replace(" \n", "\n").replace("\n ", "\n")
    measured = signals(text, "datamap")
    expected = plain(text, overlaps=False)
    ties = {"top_3_gram", "top_4_gram", "top_2_gram"}
    assert {name: measured[name] for name in expected if name not in ties} == {
        name: value for name, value in expected.items() if name not in ties
    }
    dclm, wanted = signals(text, "dclm"), plain(text, overlaps=True)
    assert {name: dclm[name] for name in ties} == {name: wanted[name] for name in ties}


def test_rows_are_measured_alone() -> None:
    """What is in other rows of the batch, or was dropped from it, does not count."""
    texts = [phrase(5, 134), "", parts(4, 10, "\n"), phrase(3, 66)]
    batch = batch_of(texts)
    each = [DclmRepetition().measure(batch_of([text]))[0].as_py() for text in texts]
    assert DclmRepetition().measure(batch).to_pylist() == each
    mask = batch.text.is_valid().to_numpy(zero_copy_only=False)
    mask[0] = False
    assert DclmRepetition().measure(batch.keep(mask)).to_pylist() == each[1:]


def test_time_is_linear() -> None:
    """Repeated words and lines take time linear in the length of the text."""
    assert_linear(lambda text: DclmRepetition()(batch_of([text])), lambda n: "a b\na " * n, 4_000)
