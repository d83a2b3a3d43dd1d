"""Finding takes linear time on every kind of text, and so does every regular expression."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pytest
from growth import assert_linear
from personal_texts import LINES, adversarial

import curation.pii
from curation.filters.pii import REGIONS, Pii
from curation.pii import phone_matcher
from curation.pii.find import KINDS, Search, find

ALL = Search(tuple((kind, 0.4) for kind in KINDS), REGIONS)
PARTS = (
    *(
        "1",
        "12 ",
        "1.",
        "1-",
        "1/",
        "1:",
        "(1)",
        "a",
        "a.",
        "a@",
        "a@b.",
        "@",
        "%40",
        " ",
        "\n",
        "_",
        "-",
        ".",
        ":",
        "/",
    ),
    *(
        "://",
        "://a:",
        "x",
        "ext",
        ",",
        ";",
        "+",
        "+1 ",
        "part no ",
        "and ",
        "message-id: <a> <",
        "ssh -p 1 ",
        "é",
        "邮1",
    ),
    *("A1", "DE12 3456 ", "AB", "<", "#", "eyJa.", "sk-a", "BEGIN ", "2a02:", "::", "f", "v. "),
)


def expressions() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every compiled expression of the modules in curation/pii, also in dictionaries and in clues, by its name."""
    for module in pkgutil.iter_modules(curation.pii.__path__):
        loaded = importlib.import_module(f"curation.pii.{module.name}")
        for name, value in vars(loaded).items():
            for number, one in enumerate(_patterns_in(value)):
                yield f"{module.name}.{name}{number or ''}", one


def _patterns_in(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _patterns_in(part)
    elif hasattr(value, "before") and hasattr(value, "after"):
        yield from _patterns_in((value.before, value.after))


EXPRESSIONS = dict(expressions())


def test_all_expressions_are_known() -> None:
    """The expressions of all modules are tested, among them those in dictionaries and of context words."""
    assert len(EXPRESSIONS) > 60
    assert {"phones._DATE", "context._CLUES", "recognizers._IBAN", "numbering._LAST_EXTENSION"} <= EXPRESSIONS.keys()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name: str) -> None:
    """The time to search a text with an expression grows no faster than the text."""
    for part in PARTS:
        assert_linear(partial(matches, EXPRESSIONS[name]), partial(repeated, part), 3_000)


def matches(expression: re.Pattern[str], text: str) -> int:
    return sum(1 for _ in expression.finditer(text))


def repeated(part: str, size: int) -> str:
    return part * (size // len(part))


@pytest.mark.parametrize("kind", LINES)
def test_texts(kind: str) -> None:
    """The time to find all kinds of personal data grows no faster than the text, whatever is in it."""
    assert_linear(search, lambda size: adversarial(kind, size), 2_000, factor=16)


def search(text: str) -> None:
    """Search a text for the first time: numbers kept from a search before make short texts faster."""
    phone_matcher._find_numbers.cache_clear()
    find(pa.array([text]), ALL)


def test_replacing() -> None:
    """Replacing ten thousand matches in one text, in all passes, takes linear time."""
    pii = Pii()
    assert_linear(
        lambda text: list(pii.replacements(pa.array([text]), frozenset())),
        lambda size: "ann@firma.de +1 212 736 5000 ext 5\n" * (size // 35),
        10_000,
    )
