"""DCLM's and Dolma 3's quality rules, on texts just inside and just outside of each, worked out from their sources."""

from __future__ import annotations

from typing import Any

import pytest
from heuristic_cases import batch_of

from curation.filters.dclm_quality import DclmQuality

STOP = ["the", "of"]
LINES = [f"lines l{n} these of and" for n in range(10)]
"""Ten lines of five words."""


def words(*more: str, of: int = 50, fill: str = "word") -> str:
    """A text of `of` words, two of them stop words, with the given ones at its end."""
    return " ".join([*STOP, *[fill] * (of - len(STOP) - len(more)), *more])


def lines(before: list[str], after: list[str]) -> str:
    """The ten lines with something before and after each."""
    return "\n".join(a + line + b for a, line, b in zip(before, LINES, after, strict=True))


PLAIN = [""] * 10
RULES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("min_words", words(), words("-dash"), {}),
    ("max_words", words(of=60), words(of=61), {"max_words": 60}),
    ("min_mean_word_length", words("abcd", fill="abc"), words(fill="abc"), {}),
    ("max_mean_word_length", words("a" * 25, fill="a" * 10), words("a" * 26, fill="a" * 10), {}),
    (
        "max_symbol_ratio",
        words("#", "#a", "b...", "…", "#"),
        words("#", "#a", "b...", "…", "#", "##"),
        {"min_words": None},
    ),
    (
        "max_bullet_lines",
        lines(["● ", "• ", "*", "-", "\u00a0- ", "- ", "- ", "- ", "- ", ""], PLAIN),
        lines(["● ", "• ", "*", "-", "\u00a0- ", "- ", "- ", "- ", "- ", "-"], PLAIN),
        {"min_words": None, "min_mean_word_length": None},
    ),
    (
        "max_ellipsis_lines",
        lines(PLAIN, ["...", ". . .", "… ", *[""] * 7]),
        lines(PLAIN, ["...", ". . .", "… ", "....", *[""] * 6]),
        {},
    ),
    ("min_alpha_words", words(*["1,234"] * 10), words(*["1,234"] * 11), {}),
    ("min_stop_words", words("x").replace("the of", "The THE"), words("x").replace("the of", "The other"), {}),
]


@pytest.mark.parametrize(("reason", "inside", "outside", "parameters"), RULES, ids=[rule[0] for rule in RULES])
def test_rules_of_dclm(reason: str, inside: str, outside: str, parameters: dict[str, Any]) -> None:
    """A text just inside of a rule is kept, one just outside is removed by that rule."""
    assert DclmQuality(**parameters)(batch_of([inside, outside])).reasons.to_pylist() == [None, reason]


DATAMAP: list[tuple[str, str, str, dict[str, Any]]] = [
    ("min_characters", "the of " + "a" * 143, "the of " + "a" * 142, {"min_words": None, "max_mean_word_length": None}),
    # An ASCII text: runs of letters and digits; any other: Unicode's words, in which an apostrophe joins.
    ("min_words", words("don't", of=49), words("don-", of=49), {}),
    ("min_words", words("don't", "é", of=50), words("don't", "é", of=49), {}),
    ("max_words", words("don't", of=59), words("don't", of=60), {"max_words": 60}),
    # é has two bytes.
    ("min_mean_word_length", words("éa", "abcd", fill="abc"), words("éa", "abc", fill="abc"), {}),
    ("max_mean_word_length", words("a" * 23 + "é", fill="a" * 10), words("a" * 24 + "é", fill="a" * 10), {}),
    # `. . .` is one word.
    ("max_symbol_ratio", words("a. . .", *["#"] * 4), words("a. . .", *["#"] * 4, of=49), {"min_words": None}),
    # Empty lines count, and white space before a bullet does.
    (
        "max_bullet_lines",
        "\n".join(["- the of"] * 9 + [""]),
        "\n".join(["- the of"] * 10 + [""]),
        {"min_words": None, "min_mean_word_length": None, "min_alpha_words": None},
    ),
    ("max_ellipsis_lines", lines(PLAIN, ["..."] * 3 + [""] * 7), lines(PLAIN, ["..."] * 4 + [""] * 6), {}),
    ("min_alpha_words", words(*["1,234"] * 10), words(*["1,234"] * 11), {}),
    ("min_stop_words", words("x").replace("the of", "The THE"), words("x").replace("the of", "The other"), {}),
]


@pytest.mark.parametrize(("reason", "inside", "outside", "parameters"), DATAMAP)
def test_rules_of_dolma(reason: str, inside: str, outside: str, parameters: dict[str, Any]) -> None:
    """The same as datamap-rs counts."""
    stage = DclmQuality(
        variant="datamap", **({"min_characters": 150} if reason == "min_characters" else {}), **parameters
    )
    assert stage(batch_of([inside, outside])).reasons.to_pylist() == [None, reason]


def test_where_the_variants_differ() -> None:
    """White space before a bullet, blank lines, and lines that are blank but not empty."""
    text = "  - the\n\n \n- of"
    dclm, datamap = (DclmQuality(variant=name).measure(batch_of([text]))[0].as_py() for name in ("dclm", "datamap"))  # type: ignore[arg-type]
    assert (dclm["bullet_lines"], datamap["bullet_lines"]) == (1, 1 / 4)


def test_texts_without_words() -> None:
    """A text without words is removed, also with all rules off."""
    off = {name: None for name in DclmQuality.__dataclass_fields__ if name.startswith(("min_", "max_"))}
    stage = DclmQuality(**off)  # type: ignore[arg-type]
    assert stage(batch_of(["", None, " \n", "a"])).reasons.to_pylist() == ["empty", "empty", "empty", None]


def test_dropped_rows_do_not_count() -> None:
    """After another stage dropped rows, the measurements of those left are the same."""
    texts = [words(), "x " * 70, words("the", "#"), lines(["- "] * 10, PLAIN)]
    batch = batch_of(texts)
    whole = DclmQuality().measure(batch).to_pylist()
    mask = batch_of(texts).text.is_valid().to_numpy(zero_copy_only=False)
    mask[1] = False
    assert DclmQuality().measure(batch.keep(mask)).to_pylist() == [whole[0], *whole[2:]]
