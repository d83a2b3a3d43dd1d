"""The features of blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from block_pages import parsed

from curation.extraction.blocks.measure import NAMES, measure
from curation.extraction.blocks.model import load

TEXTS = [
    "One, two; three (4) - and MORE!",
    "été à Zürich: 12 Grüße, ½.",
    "x" * 700 + " y, Z9? " + "#" * 300,
    "日本語、漢字。",
]


def features(html: str) -> dict[str, list[float]]:
    """Each feature of all blocks, by its name."""
    rows = measure(parsed(html), load().vocabulary)
    return {name: rows[:, column].tolist() for column, name in enumerate(NAMES)}


@pytest.mark.parametrize("tag", ["", "<b>"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_counted(text: str, tag: str) -> None:
    """Characters, capitals, digits, symbols and the like, in short and long texts, from one run or several."""
    found = {name: values[0] for name, values in features(f"<p>{text[:2]}{tag}{text[2:]}</p>").items()}
    plain = [char for char in text if char < "\x80"]
    letters = [char for char in plain if char.isalpha()]
    marks = [char for char in plain if not char.isalnum() and char not in " ,"]
    expected = {
        "log_chars": math.log1p(len(text)),
        "upper": sum(map(str.isupper, letters)) / len(letters) if letters else 0,
        "digits": sum(map(str.isdigit, plain)) / len(text),
        "symbols": len(marks) / len(text),
        "sentences": sum(char in ".!?。" for char in text),
        "foreign": (len(text) - len(plain)) / len(text),
        "bold": (len(text) - 2) / len(text) if tag else 0,
    }
    words = 4 if text == TEXTS[-1] else len(text.split())  # of East Asian characters, every other one counts
    expected["log_words"] = math.log1p(words)
    expected["commas"] = sum(char in ",、" for char in text) / words
    assert {name: found[f"block.{name}"] for name in expected} == pytest.approx(expected)


def test_copies_of_a_text_are_counted() -> None:
    """However its runs are divided; texts that differ in one byte are none."""
    found = features("<p>one two three four</p><p>one <b>two</b> three four</p><p>one two three five</p>")
    assert found["place.text_copies"] == [2, 2, 1]


def test_windows_are_the_blocks_before_and_after() -> None:
    """Means over as many blocks as there are, up to the size of the window."""
    lengths = [3, 20, 7, 40, 1, 9, 12, 33, 5, 2, 60, 8]
    found = features("".join(f"<p>{'x' * length}</p>" for length in lengths))
    for size in (3, 8, 20):
        before = [lengths[max(block - size, 0) : block] for block in range(len(lengths))]
        after = [lengths[block + 1 : block + 1 + size] for block in range(len(lengths))]
        for side, parts in (("-", before), ("+", after)):
            expected = [math.log1p(np.mean(part)) if part else 0 for part in parts]
            assert found[f"window{size}{side}.chars"] == pytest.approx(expected)


def test_containers_are_measured_for_all_blocks_in_them() -> None:
    """Two blocks of a list have the same container, one in another list has another."""
    found = features("<ul><li>one<li>two</ul><ul><li>three<li>four<li>five</ul>")
    assert found["container1.blocks"] == pytest.approx([math.log1p(2)] * 2 + [math.log1p(3)] * 3)
