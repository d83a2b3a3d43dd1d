"""Every regular expression takes time linear in its input: pages and run folders are written by strangers.

Inputs are made from the expression itself, by repeating its parts and adding a character that does not fit, and from a
fixed collection of what such texts are full of.
"""

from __future__ import annotations

import ast
import importlib
import re
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest
import regex
from source_files import ROOT, module_of, sources

SIZES = (32, 1_024, 16_384)
"""Characters of the inputs, growing, so that an expression of quadratic or exponential time fails early."""

GROWTH = 64
"""How many times longer an input may take than one of a sixteenth of its length: between linear and quadratic."""

FAST = 0.03
"""CPU seconds that any input may take: quadratic time takes over 0.1 for the longest one."""

GIVE_UP = 1.0
"""CPU seconds after which a search is interrupted."""

COMMON = (
    *" \t\n0aAé<>=\"'.:/-_&+(@#,*", "\r\n", "<!--", "-->", "a ", "a.", "a:", "a-", "1 ", "1.", "1-", "1:", "a=", " a=",
    "<a ", "<a>", "a@", "/.", "::", "a\n", " \n", "<a href=\"x\" b='", "a1.-:/ ",
)  # fmt: skip

MISFITS = ("", "\0", "!", "\n", "a")
"""Ends of inputs, one of which an expression does not expect."""


class Slow(BaseException):
    """A search takes too long; no handler may catch it."""


def patterns_in(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Compiled expressions in a module's global, a container, a class or an instance of the project."""
    if isinstance(value, (re.Pattern, regex.Pattern)):
        yield name, value
    elif isinstance(getattr(value, "__self__", None), (re.Pattern, regex.Pattern)):  # `re.compile("x").match`
        yield name, value.__self__
    elif depth < 4:
        for part, inner in parts_of(value):
            yield from patterns_in(inner, f"{name}{part}", depth + 1)


def parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", inner) for key, inner in [*value.items(), *((key, key) for key in value)])
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{number}]", inner) for number, inner in enumerate(value))
    elif isinstance(value, type) and value.__module__.startswith("curation"):
        yield from ((f".{key}", inner) for key, inner in vars(value).items() if not key.startswith("__"))
    elif type(value).__module__.startswith("curation"):
        names = [*getattr(value, "__dict__", ()), *getattr(value, "__slots__", ())]
        yield from ((f".{key}", getattr(value, key)) for key in names if hasattr(value, key))


USE = re.compile(r"\b(_?[A-Z][A-Z0-9_]*)\.(search|match|fullmatch|sub|subn|split|findall|finditer)\b")

METHODS = ("finditer", "fullmatch")
"""Methods to try where it is not known which are used: searching and matching once are the beginning of these."""


@cache
def uses() -> Mapping[str, set[str]]:
    """Which methods of an expression that is a global the project uses."""
    found: dict[str, set[str]] = {}
    for path in sources():
        for name, method in USE.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(method if method in ("match", "fullmatch") else "finditer")
    return found


def literals_in(path: Path) -> Iterator[tuple[str, Any, str]]:
    """Expressions that are written in a call, such as `re.sub("a+", …)`, and the method called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            kind = {"re": re, "regex": regex}.get(ast.unparse(node.func.value))
            if kind is not None and isinstance(node.args[0], ast.Constant) and node.func.attr != "compile":
                method = node.func.attr if node.func.attr in ("match", "fullmatch") else "finditer"
                yield f"line {node.lineno}", kind.compile(node.args[0].value), method


def all_patterns(path: Path) -> dict[str, tuple[Any, Sequence[str]]]:
    """The expressions of a file and the methods used, by where they are."""
    name = module_of(path)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    found: dict[str, tuple[Any, Sequence[str]]] = {}
    for where, pattern, method in literals_in(path):
        found[f"{where}: {method}"] = pattern, (method,)
    for key, value in vars(module).items():
        for where, pattern in patterns_in(value, key) if not key.startswith("__") else ():
            found[where] = pattern, sorted(uses().get(where, METHODS))
    return found


def characters(choices: Sequence[tuple[Any, Any]]) -> list[str]:
    """Some characters of a set: one of each of its parts."""
    if choices[0][0] is codes.NEGATE:
        excluded = {character for character in map(chr, range(256)) if matches(choices[1:], character)}
        return [character for character in "a 1.<\n\"'" if character not in excluded] or ["é"]
    return [chr(value if code is codes.LITERAL else value[0]) for code, value in choices if code in RANGES] + [
        character
        for code, value in choices
        if code is codes.CATEGORY
        for character in "a 1.\n"
        if matches([(code, value)], character)
    ]


RANGES = (codes.LITERAL, codes.RANGE)
CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d", codes.CATEGORY_NOT_DIGIT: r"\D", codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S", codes.CATEGORY_WORD: r"\w", codes.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


def matches(choices: Sequence[tuple[Any, Any]], character: str) -> bool:
    for code, value in choices:
        if code is codes.LITERAL and ord(character) == value:
            return True
        if code is codes.RANGE and value[0] <= ord(character) <= value[1]:
            return True
        if code is codes.CATEGORY and re.match(CATEGORIES[value], character):
            return True
    return False


def spellings(parsed: Any, repeats: list[tuple[str, str]], before: str = "", pick: int = 0) -> str:
    """A text that the parsed expression matches, nearly; `pick` chooses among alternatives.

    Args:
        parsed: The parsed expression, or a part of it.
        repeats: Gets each part that may be repeated, with the text before it.
        before: Text before this part.
        pick: Number of the alternative to take, where there are any.
    """
    text = ""
    for code, value in parsed:
        if code is codes.LITERAL:
            text += chr(value)
        elif code is codes.NOT_LITERAL:
            text += "a" if value != ord("a") else "b"
        elif code is codes.ANY:
            text += "a .1"[pick % 4]
        elif code is codes.IN:
            choices = characters(value)
            text += choices[pick % len(choices)]
        elif code is codes.BRANCH:
            branches = [spellings(branch, repeats, before + text, pick) for branch in value[1]]
            text += branches[pick % len(branches)]
        elif code is codes.SUBPATTERN:
            text += spellings(value[3], repeats, before + text, pick)
        elif code is codes.ATOMIC_GROUP:
            text += spellings(value, repeats, before + text, pick)
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            low, high, inner = value
            part = spellings(inner, repeats, before + text, pick)
            if high > 8:
                repeats.append((before + text, part))
            text += part * max(low, 1)
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            spellings(value[1], repeats, before + text, pick)
    return text


def inputs(pattern: Any) -> list[tuple[str, str, str]]:
    """Adversarial inputs: what comes first, what is repeated, what comes last."""
    made: dict[tuple[str, str, str], None] = {("", part, ""): None for part in COMMON}
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    flags = pattern.flags & (re.VERBOSE | re.IGNORECASE | re.DOTALL | re.MULTILINE)
    try:
        parsed = _parser.parse(source, flags)
    except re.error:  # the syntax of the package regex
        return [*made]
    for pick in range(4):
        repeats: list[tuple[str, str]] = []
        whole = spellings(parsed, repeats, pick=pick)
        starts = dict.fromkeys([whole[: len(whole) // 2], whole[:-1], whole, *(start for start, _ in repeats)])
        for start in starts:
            made |= {("", start, end): None for end in ("", "\0")}
        for start, part in repeats:
            made |= {(start, part, end): None for end in MISFITS}
            made |= {("", start + part, ""): None, (start, part + " ", "\0"): None}
    return [row for row in made if row[1]]


def seconds(pattern: Any, methods: Sequence[str], text: str | bytes) -> float:
    """CPU time to apply methods to a text; of iterators, to the end."""
    began = time.process_time()
    for method in methods:
        found = getattr(pattern, method)(text)
        deque(found if method == "finditer" else (), maxlen=0)
    return time.process_time() - began


def slow_input(pattern: Any, methods: Sequence[str] = METHODS) -> str | None:
    """The input for which time grows faster than its length, None if there is none."""
    for start, part, end in inputs(pattern):
        before = 0.0
        for size in SIZES:
            text: str | bytes = start + part * (size // len(part) + 1) + end
            if isinstance(pattern.pattern, bytes):
                text = str(text).encode("latin-1", "replace")
            signal.setitimer(signal.ITIMER_PROF, GIVE_UP)
            try:
                taken = seconds(pattern, methods, text)
                for _ in range(3 if taken > FAST else 0):
                    taken = min(taken, seconds(pattern, methods, text))
            except Slow:
                return f"{start!r} + {part!r} * {size // len(part)} + {end!r} takes seconds"
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            if taken > max(FAST, before * GROWTH):
                return (
                    f"{start!r} + {part!r} * {size // len(part)} + {end!r} takes {taken:.3f} s, before {before:.4f} s"
                )
            before = taken
    return None


def interrupt(number: int, frame: object) -> None:
    raise Slow


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_expressions_take_linear_time(path: Path) -> None:
    """Searching, matching and replacing take time linear in the length of the text."""
    handler = signal.signal(signal.SIGPROF, interrupt)
    try:
        slow = {name: slow_input(*used) for name, used in all_patterns(path).items()}
    finally:
        signal.signal(signal.SIGPROF, handler)
    assert not {name: example for name, example in slow.items() if example}


@pytest.mark.parametrize(
    "expression",
    [r"\s+$", r"(a|a)*b", r"<a[^>]*b", r"(\w+)*;", r"\d+(?:,\d+)*x", rb"[a-z]*\.[a-z]*:"],
    ids=repr,
)  # fmt: skip
def test_slow_expressions_are_noticed(expression: str | bytes) -> None:
    """Expressions of quadratic and exponential time are found."""
    handler = signal.signal(signal.SIGPROF, interrupt)
    try:
        assert slow_input(re.compile(expression))
    finally:
        signal.signal(signal.SIGPROF, handler)


def test_expressions_are_found() -> None:
    """Expressions are found as globals, in containers and classes, and in calls."""
    found = all_patterns(ROOT / "curation" / "text" / "urls.py")
    assert {"_ESCAPE", "_SCHEME"} <= set(found)
    assert any(name.startswith("line ") for name in all_patterns(ROOT / "curation" / "store" / "shards.py"))
    assert any("[" in name for name in all_patterns(ROOT / "curation" / "pii" / "context.py"))
