"""Which rules for affixes are tried at a character."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.text.affixes import Affixes, may_match
from curation.text.spacy_languages import tokenizer

CODES = ("de", "fr", "hu", "bn")
"""Languages that have rules which others do not."""

LETTERS = "azAZßæéÉяЯλΛאشकবกကあ漢한ªº\u02bc"


@pytest.mark.parametrize(
    ("piece", "character", "suffix", "expected"),
    [
        (r"\)$", ")", True, True),
        (r"\)$", "(", True, False),
        ("[a-c]x*$", "b", True, True),
        ("[a-c]x*$", "d", True, False),
        ("[^a-c]$", "b", True, False),
        (r"\d$", "x", True, True),
        (r"x(?=\))", "x", False, True),
        (r"(?<=\()x", "(", False, False),
        ("(?:US|A)[$]", "A", False, True),
        ("(?:US|A)[$]", "$", False, False),
        ("a?b", "b", False, True),
        ("a*", "z", False, True),
        ("(?i)a", "A", False, True),
        ("(?i:a)", "A", False, True),
        ("a$|b", "z", True, True),
    ],
)
def test_what_may_match(piece: str, character: str, suffix: bool, expected: bool) -> None:
    """A rule is left out only if no match begins or ends with the character."""
    assert may_match(piece, character, suffix) is expected


@settings(deadline=None)  # the first call reads the rules
@given(st.text(alphabet=[*".,;:!?…()[]{}'\"’«»-+°%$€£/*&<>=#@_ 019aAkmgsUSßяক।"], min_size=1, max_size=9))
def test_fewer_rules_find_the_same(text: str) -> None:
    """The rules that are chosen by a character find the affixes that all rules find."""
    for code in CODES:
        prefixes, suffixes = tokenizer(code)._prefixes, tokenizer(code)._suffixes
        for rules, find, character in ((prefixes, "match", text[0]), (suffixes, "search", text[-1])):
            every, some = re.compile("|".join(rules._pieces)), rules.for_character(character)
            expected, found = getattr(every, find)(text), some and getattr(some, find)(text)
            assert (found and found.span()) == (expected and expected.span())


@pytest.mark.parametrize("code", CODES)
def test_no_rule_applies_to_letters_alone(code: str) -> None:
    """Letters that are next to letters only are never cut, so that no rule needs to be tried on them."""
    rules = tokenizer(code)
    for letter in LETTERS:
        assert rules.split(f"{letter}Bx{letter}") == [f"{letter}Bx{letter}"]
        assert not rules._prefix.match(f"{letter}Bx")
        assert not rules._suffix.search(f"xB{letter}")
        assert not rules._infix.search(f"x{letter}B")


def test_no_rule_is_none() -> None:
    """A character at which no rule can match has none to try."""
    assert Affixes([",$", r"\.$"], suffixes=True).for_character("a") is None
