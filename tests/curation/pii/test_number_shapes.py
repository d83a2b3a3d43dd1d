"""Numbers in windows of the same shape: what is remembered of shapes never changes what is found."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import digit_meanings, number_shapes, numbering_plans, phones, shape_keys
from curation.pii.find import Search, find
from curation.pii.number_shapes import NumberShape
from curation.pii.windows import number_windows
from curation.text import views

REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "BR")
PHONES = Search((("phone", 0.2),), REGIONS)


@pytest.fixture(autouse=True)
def shapes_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look at each shape when it is seen for the first time, though kernels find the parts of windows, and forget all
    of them before and after each test."""
    monkeypatch.setattr(phones, "_judge_parts", lambda _, windows, *__: ([], windows))
    monkeypatch.setattr(number_shapes, "_OFTEN", 0)
    number_shapes.number_shapes.cache_clear()
    yield
    number_shapes.number_shapes.cache_clear()


def of_one_shape(shape: str, size: int, seed: int = 0) -> list[str]:
    """Texts with random digits in place of the zeros of a shape."""
    chance = random.Random(f"{shape} {seed}")
    return ["".join(chance.choice("0123456789") if one == "0" else one for one in shape) for _ in range(size)]


def numbers(texts: list[str], search: Search = PHONES) -> dict[int, list[str]]:
    """The values that are found in each text."""
    return {row: [one.value for one in found] for row, found in find(pa.array(texts), search).items()}


AROUND = "ab\u00e9\u0451\u90ae \n\u201c\u00b7.,:#$%\uff10\uff1a0"
"""Characters around a number, of all the kinds that keys tell apart."""
SHAPES = (
    "(000) 000-0000", "+00 (0) 000 0000000", "0000 00 00000000", "000-000-0000/000-000-0000", "+00000000000",
    "1-000-000-0000", "0 00 00 00 00", "000-000-0000 x000", "+1 000 000 0000 ext. 00", "01100 00 00000000",
    "+7 (000) 000-00-00 \u0434\u043e\u0431. 000", "(000) 000-0000 extensi\u00f3n 00",
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_is_known(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of numbers of one shape are found as those of a shape that is never looked at."""
    texts = of_one_shape(shape, 3000)
    for _ in range(2):
        found = numbers(texts)
    monkeypatch.setattr(number_shapes, "_OFTEN", 1 << 30)
    number_shapes.number_shapes.cache_clear()
    assert found == numbers(texts)
    assert found


def test_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """If more is seen than is remembered, some is forgotten, and all is found."""
    texts = [text for shape in SHAPES for text in of_one_shape(shape, 40)]
    random.Random(1).shuffle(texts)
    expected = numbers(texts)
    monkeypatch.setattr(digit_meanings, "_KEPT", 3)
    number_shapes.number_shapes.cache_clear()
    digit_meanings.digit_meanings.cache_clear()
    for _ in range(3):
        assert numbers(texts) == expected
    known = number_shapes.number_shapes(REGIONS)
    assert all(len(one) <= 3 for one in (known._shapes, known._counts, known._outcomes, known._judged))
    assert len(known._digits._meanings) <= 3


def test_automata_that_are_made_again() -> None:
    """Automata of other regions that push one out do not change what the kinds of its results mean."""
    texts = of_one_shape("(000) 000-0000", 300) + of_one_shape("0000 000 0000", 300)
    expected = numbers(texts)
    numbering_plans.regions_of.cache_clear()
    numbers(of_one_shape("00 000000000", 300))
    assert numbers(texts) == expected


def shape_of(text: str) -> NumberShape:
    """The shape of the only window of a text."""
    characters = views.characters(pa.array([text]))
    windows = number_windows(characters)
    assert len(windows) == 1
    (key,) = shape_keys.shape_keys(characters, windows, lambda _: text)
    assert key is not None
    return NumberShape(shape_keys.written_shape(key[0]), *key[1])


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("tel (212) 736-5000.", True),
        ("tel +49 30 22756869 ext. 5", True),
        ("212-736-5000 x5", True),
        ("+218-736-700078 x(212) 358-1000617", False),  # libphonenumber takes a part that ends with an "x"
        ("212x736x5000", False),  # carriers
        ("212 736 5000 \u0434\u043e\u0431. 5", True),
        ("21 27 36 50 00 12 12 73 65 00 07 36 50", False),  # too many parts
    ],
)
def test_shapes_that_are_known(text: str, known: bool) -> None:
    """What is written in a rare way is not known, and left to a search."""
    assert shape_of(text).is_known == known


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.text(AROUND, max_size=6), st.text(AROUND, max_size=8))
def test_keys_have_the_characters_that_matter(before: str, after: str) -> None:
    """A key has the window as it is written, with zeros, and as much around it as is looked at; or there is none."""
    text = f"{before} (212) 736-5000 {after}"
    characters = views.characters(pa.array([text]))
    for window, key in zip(
        number_windows(characters).tolist(),
        shape_keys.shape_keys(characters, number_windows(characters), lambda _: text),
        strict=True,
    ):
        _, start, end, _ = window
        if key is None:
            continue
        written, (left, size, behind) = shape_keys.written_shape(key[0]), key[1]
        assert left == min(start, shape_keys.AROUND)
        assert size == end - start
        assert behind >= min(len(text) - end, 3)
        seen = text[start:end].translate({ord(digit): "0" for digit in "123456789"})
        assert written[left : left + size] == seen
        assert len(written) >= left + size + min(len(text) - end, shape_keys.AROUND)


def test_what_is_forgotten_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread makes a search forget while it looks at a number is no error, and changes nothing."""
    texts = of_one_shape("(000) 000-0000", 300)
    expected = numbers(texts)
    number_shapes.number_shapes.cache_clear()
    monkeypatch.setattr(digit_meanings, "keep", lambda known, *_: known.clear())
    assert [numbers(texts) for _ in range(2)] == [expected] * 2
