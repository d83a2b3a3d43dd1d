"""Texts decoded with a wrong charset are repaired as by ftfy, which sees only what it could change."""

from __future__ import annotations

from typing import Any

import pytest
from growth import assert_linear
from heuristic_cases import batch_of
from hypothesis import given, settings
from hypothesis import strategies as st

ftfy = pytest.importorskip("ftfy")

from curation.filters import encoding  # noqa: E402
from curation.filters.encoding import Encoding  # noqa: E402
from curation.jobs.steps.moved_rules import movable  # noqa: E402

CONFIG = ftfy.TextFixerConfig(
    unescape_html="auto", remove_terminal_escapes=True, fix_encoding=True, restore_byte_a0=True,
    replace_lossy_sequences=True, decode_inconsistent_utf8=True, fix_c1_controls=True, fix_latin_ligatures=False,
    fix_character_width=False, uncurl_quotes=False, fix_line_breaks=False, fix_surrogates=True,
    remove_control_chars=True, normalization=None,
)  # fmt: skip
"""The settings of datatrove's FTFYFormatter, written out."""


def repaired(*texts: str | None, **parameters: Any) -> list[Any]:
    return list(Encoding(**parameters)(batch_of(list(texts))).batch.text.to_pylist())


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("donâ€™t", "don’t"),
        ("schÃ¶n\nÐ¿Ñ€Ð¸Ð²ÐµÑ‚", "schön\nпривет"),
        ("voilÃ le travail", "voilà le travail"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("Tom &amp; Jerry <b>", "Tom &amp; Jerry <b>"),
        ("a &lt; b\n<p>\n&lt;", "a < b\n<p>\n&lt;"),
        ("a\x00b\x1b[31mc\ufeffd\x85", "abcd\u2026"),
        ("“curly” – ﬁne … １２ № 5", "“curly” – ﬁne … １２ № 5"),
        ("a\r\nb\u2028c", "a\r\nb\u2028c"),
        ("", ""),
    ],
)
def test_repairs(wrong: str, right: str) -> None:
    """Mojibake, entities and control characters are repaired, typography is left alone."""
    assert repaired(wrong) == [right] == [ftfy.fix_text(wrong, CONFIG)]


PIECES = (
    *(
        "Ã",
        "¶",
        "â€™",
        "Â ",
        "Ð¿",
        "ÐµÑ‚",
        "œ",
        "Ù‡",
        "à²",
        "√±",
        "≈°",
        "‚Äô",
        "β€™",
        "ā€",
        "ΒΞ",
        "×²",
        "Ø§",
        "€",
        "“",
        "”",
    ),
    *(
        "é",
        "ß",
        "ö",
        "ñ",
        "ж",
        "я",
        "α",
        "中",
        "ا",
        "ก",
        "😀",
        "…",
        "’",
        "\u00a0",
        "\u00ad",
        "«",
        "»",
        "•",
        "™",
        "°",
        "\ufffd",
    ),
    *(
        "&amp;",
        "&#233;",
        "&Eacute;",
        "&",
        "<",
        ";",
        "\n",
        " ",
        "\t",
        "a",
        "Z",
        "7",
        ".",
        "\x80",
        "\x9d",
        "\x00",
        "\x1b[1m",
        "\ufeff",
    ),
)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@settings(max_examples=500, deadline=None)
def test_texts_equal_ftfys(text: str) -> None:
    """Any mixture of suspicious and harmless parts gives what ftfy gives for the whole text."""
    assert repaired(text) == [ftfy.fix_text(text, CONFIG)]


@given(st.text(st.characters(max_codepoint=0x25FF, exclude_categories=("Cs",)), max_size=8))
@settings(max_examples=2000, deadline=None)
def test_what_is_left_out_is_not_bad(text: str) -> None:
    """A text without suspicious characters has no sign of a wrong charset, and ftfy leaves it as it is."""
    harmless = encoding._suspects_of_python().sub("", text)
    assert not ftfy.badness.is_bad(harmless)
    assert ftfy.fix_text(harmless, CONFIG) == harmless


def test_signals() -> None:
    """Mojibake per 1,000 characters before and after the repair; the script of most letters and its share."""
    stage = Encoding()
    outcome = stage(batch_of(["donâ€™t " + "x" * 92, "привет x", "12 …", None]))
    assert outcome.signals is not None
    signals = outcome.signals.to_pylist()
    assert signals[0] == {"mojibake": 10.0, "left": 0.0, "script": "Latn", "script_share": 1.0}
    assert signals[1] == {"mojibake": 0.0, "left": 0.0, "script": "Cyrl", "script_share": 6 / 7}
    assert (signals[2]["script"], signals[2]["script_share"]) == (None, None)
    assert outcome.counts == {"documents_changed": 1}
    assert outcome.batch.text[3].as_py() is None


def test_removal() -> None:
    """A document with more mojibake left than the limit is removed; the limit can be changed afterwards."""
    broken = "schÃ¶n"
    stage = Encoding(repair=False, max_left=100.0)
    outcome = stage(batch_of([broken, f"{broken} {'x' * 20}"]))
    assert outcome.reasons is not None
    assert outcome.reasons.to_pylist() == ["max_left", None]
    assert outcome.batch.text.to_pylist()[0] == broken
    assert movable([("encoding", stage)]) == ["encoding.max_left"]


def test_without_repair() -> None:
    """Texts are only measured."""
    assert repaired("schÃ¶n", repair=False) == ["schÃ¶n"]


def test_time_is_linear() -> None:
    """Long lines of suspicious characters take linear time."""
    for piece in ("Ã¶", "&amp", "é", "Â "):
        assert_linear(repaired, lambda n, piece=piece: piece * n, 1_000)  # type: ignore[misc]
