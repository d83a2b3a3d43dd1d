"""The index of benchmark items and the matcher."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pytest
from growth import assert_linear
from items import CHOICES, FARM, ORGAN, PASSAGE, ROWS, SOLUTION

from curation.decontamination.evals import Item
from curation.decontamination.index import Index, build_index
from curation.decontamination.kernels import match_texts

FILLER = "The harbour was quiet that morning and the boats had not come back yet, so everybody waited near the wall. "
LEAST = (0.6, 0.7, 0.6)


def item(number: int) -> Item:
    row = ROWS[number]
    choices = tuple(row.get("choices", ()))  # type: ignore[arg-type]
    answer = row["answer"]
    answer = choices[answer] if isinstance(answer, int) else str(answer)
    return Item("quiz", str(row["id"]), str(row["question"]), answer, str(row.get("passage", "")), choices)


@pytest.fixture(scope="module")
def index() -> Index:
    """The index of four items."""
    return build_index(map(item, range(len(ROWS))), 10)


def found(index: Index, *texts: str, least: Iterable[float] = LEAST) -> list[tuple[int, str, int]]:
    """Row, item and kind of each match."""
    matches = index.find(pa.array(texts, pa.string()), list(least))
    return sorted({(match.row, index.item_keys[match.item], match.kind) for match in matches})


@pytest.mark.parametrize(
    "text",
    [
        FARM,
        FILLER * 200 + FARM + FILLER * 200,
        "\n> ".join(FARM.split()),
        FARM.upper().replace(".", "").replace("?", " !"),
        FARM.replace(" ", "\u00a0\n"),
        FARM.replace("baskets", "crates", 1).replace("following", "next"),
        FARM.replace(" of mangoes", ""),
    ],
    ids=["verbatim", "embedded", "wrapped", "case", "spaces", "replaced", "left out"],
)
def test_a_question_is_found(index: Index, text: str) -> None:
    """A question is found across line breaks, in long texts, in another case, and with some words changed."""
    assert found(index, "nothing", text) == [(1, "farm", 0)]


def test_kinds_are_separate(index: Index) -> None:
    """Question, answer and passage are matched separately, and each match says where it is."""
    text = f"{FILLER}{SOLUTION} {FILLER}{PASSAGE}"
    matches = index.find(pa.array([text]), LEAST)
    assert [(match.kind, index.item_keys[match.item], match.coverage) for match in matches] == [
        (1, "farm", 1.0), (2, "cape", 1.0)
    ]  # fmt: skip
    for match, part in zip(matches, (SOLUTION, PASSAGE), strict=True):
        assert text.encode()[match.start : match.end].decode() == part.rstrip(".")


def test_a_short_question_needs_its_choices_or_its_answer(index: Index) -> None:
    """A question of few words alone is no match; with its choices or with its answer it is one."""
    labeled = "\n".join(f"{label}) {choice}" for label, choice in zip("ABCD", CHOICES, strict=True))
    texts = (f"{FILLER} {ORGAN} {FILLER}", f"{ORGAN}\n{labeled}", f"{ORGAN} Answer: {CHOICES[1]}")
    assert found(index, *texts) == [(1, "organ", 0), (2, "organ", 0)]


def test_what_is_no_match(index: Index) -> None:
    """Common phrases, single clauses of an item, and its words in another order are no match."""
    clause = "He sells twice as many on the following Thursday"
    words = FARM.split()
    random.Random(1).shuffle(words)
    assert found(index, FILLER * 50, clause, " ".join(words), "Which organ secretes bile?", "") == []


def test_choices_alone_are_no_match() -> None:
    """Choices without their question are no match, nor are lists of numbers."""
    numbers = Item("s", "n", "Demand reduction.", "1,2,4", "", ("1,3,4", "2,3,4", "1,2,3", "1,2,4", "1,2"))
    letters = Item("s", "l", ORGAN, CHOICES[1], "", tuple(CHOICES))
    index = build_index([numbers, letters], 10)
    table = "1, 2, 3) < (1, 2, 4) [1, 2, 3] < [1, 2, 4] (1, 3, 4) 2, 3, 4, 1, 2, 3, 1, 2, 4, 1, 2 "
    assert found(index, table * 3, " ".join(CHOICES)) == []
    assert found(index, f"{ORGAN} {' '.join(CHOICES)}") == [(0, "l", 0)]


def test_items_that_are_too_short_are_counted(index: Index) -> None:
    """An item of which no field has enough words is not looked for, and counted."""
    assert index.too_short == {"quiz": 1}
    assert found(index, "Why? Because.") == []


def test_a_collision_of_hashes_is_no_match(index: Index) -> None:
    """Words are compared letter by letter: with equal hashes of other words in the index nothing is found."""
    data = np.frombuffer(FARM.encode(), np.uint8)
    starts = np.array([0, len(data)])
    assert len(match_texts(index.arrays, data, starts, np.array(LEAST))) == 1
    other = index.arrays.data.copy()
    other[:] = ord("z")
    other.flags.writeable = False  # as the array that it replaces
    assert len(match_texts(index.arrays._replace(data=other), data, starts, np.array(LEAST))) == 0


def test_matches_do_not_depend_on_the_batch(index: Index) -> None:
    """Texts are matched alike alone and together, and null counts as empty."""
    texts = [FARM, "", f"{FILLER}{PASSAGE}", FARM + FILLER * 3 + FARM, SOLUTION]
    together = found(index, *texts)
    assert together == sorted((row, key, kind) for row, text in enumerate(texts) for _, key, kind in found(index, text))
    assert index.find(pa.array([None, FARM, None], pa.string()), LEAST)[0].row == 1


def test_other_scripts() -> None:
    """Items in scripts without spaces are matched character by character, in longer texts too."""
    question = "太郎は月曜日に十七個のりんごを売り、木曜日にはその二倍のりんごを売りました。全部で何個売りましたか。"
    chinese = build_index([Item("s", "a", question, "", "", ())], 10)
    assert found(chinese, f"今日は天気がいいです。{question}ありがとう。", "今日は天気がいいです。") == [(0, "a", 0)]


def test_stock_phrases_weigh_little() -> None:
    """Words of most items count for less than those of one, so that a shared frame alone is no match."""
    frame = "Which of the following statements about the {} is most nearly correct according to the text above?"
    things = ("zygomatic arch of mammals", "Habsburg succession treaty", "covalent radius trend", "Nash bargaining set")
    many = build_index([Item("s", thing, frame.format(thing), "", "", ()) for thing in things * 20], 10)
    assert found(many, frame.format("moon")) == []
    assert found(many, frame.format(things[0])) == [(0, things[0], 0)]


def test_time_is_linear(index: Index) -> None:
    """Time grows with the text, also where an item is repeated all over it, and with the length of an item."""
    assert_linear(lambda text: found(index, text), lambda size: (FARM + " ") * size, 500)

    def long(size: int) -> tuple[Index, str]:
        words = [f"word{number}" for number in range(size)]
        return build_index([Item("s", "a", " ".join(words), "", "", ())], 10), " ".join(words)

    assert_linear(lambda pair: found(*pair), long, 2000)


def test_no_items() -> None:
    """An index of nothing finds nothing."""
    assert found(build_index([], 10), FARM) == []
