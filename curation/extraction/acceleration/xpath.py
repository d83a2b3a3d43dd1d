"""Compiles XPath expressions that clean web pages to Python functions with the same results, much faster.

libxml2 calls back into Python for each `re:test` of each element and wraps every attribute that it passes. Here lxml's
tag iterator walks the tree, and `curation.extraction.acceleration.attribute_tests` remembers the results of all
expressions' tests for a value.

The supported grammar is that of location paths with one step: `.//*` or `.//tag` with predicates on attributes (`@a`,
`@a|@b`, `=`, `contains`, `starts-with`, `translate`, EXSLT's `re:test`), `self::tag`, `.//tag`, `not`, `and`, `or`, a
final `[1]`, the first of all `(…)[1]`, and unions of these. `compiled` returns other expressions unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from curation.extraction.acceleration.attribute_tests import AttributeTests, Literals, literals_of

Test = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<literal>'[^']*'|"[^"]*")|(?P<attribute>@[\w-]+)|self::(?P<self>[\w-]+)|\.//(?P<below>[\w-]+|\*)"""
    r"""|(?P<name>[A-Za-z][\w-]*(?::[\w-]+)?)|(?P<sign>[()\[\]|=,]|1(?!\d)))"""
)


class UnsupportedExpression(Exception):
    """The expression is outside the grammar."""


def compiled(expression: Any, vocabulary: AttributeTests) -> Callable[[Any], Any]:
    """A function that returns the same list for an element as the `lxml.etree.XPath` given, or that XPath itself.

    Args:
        expression: The `lxml.etree.XPath`; returned as it is if its grammar is not supported.
        vocabulary: Where the tests on attributes are registered, shared by all expressions.
    """
    try:
        return Union(_Parser(expression.path, vocabulary).union(), vocabulary)
    except UnsupportedExpression:
        return expression  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class AttributeTest:
    """Tests the first attribute of an element, in source order, that is one of `names`.

    Attributes:
        names: Names of the attributes.
        bit: The bit of the test in `vocabulary`.
        absent: The result if the element has none of the attributes.
        vocabulary: Results of tests by value.
    """

    names: tuple[str, ...]
    bit: int
    absent: bool
    vocabulary: AttributeTests

    def __call__(self, element: Any) -> bool:
        """Whether an element passes the test."""
        for name, value in element.items():
            if name in self.names:
                return bool(self.vocabulary[value] & self.bit)
        return self.absent


@dataclass(frozen=True, slots=True)
class Either:
    """A disjunction of tests."""

    tests: tuple[Test, ...]

    def __call__(self, element: Any) -> bool:
        """Whether an element passes any of the tests."""
        return any(test(element) for test in self.tests)


@dataclass(slots=True)
class DescendantStep:
    """Descendants with one of the tags that pass all tests, in document order.

    Attributes:
        tags: Names of elements; empty means any.
        tests: Tests that an element must pass.
        first_child: Give only the first match of each parent.
        first: Give only the first match of all.
        bits: By attribute, the bits of tests of which an element must pass at least one to be considered.
    """

    tags: tuple[str, ...]
    tests: list[Test] = field(default_factory=list)
    first_child: bool = False
    first: bool = False
    bits: dict[str, int] = field(default_factory=dict)

    def prepare(self) -> None:
        """Turn the first test that requires an attribute into a filter of candidates.

        The filter accepts any attribute of `@a|@b` instead of only the first; if that can matter, the test is kept too.
        """
        for position, test in enumerate(self.tests):
            parts = test.tests if isinstance(test, Either) else (test,)
            needing = [part for part in parts if isinstance(part, AttributeTest) and not part.absent]
            if len(needing) == len(parts):
                for part in needing:
                    self.bits |= {name: self.bits.get(name, 0) | part.bit for name in part.names}
                if all(len(part.names) == 1 for part in needing):
                    del self.tests[position]
                return

    def find(self, tree: Any, vocabulary: AttributeTests) -> list[Any]:
        """All matches, or only the first if `first` is set."""
        found: list[Any] = []
        parents: set[Any] = set()
        for element in self.candidates(tree, vocabulary):
            if self.tests and not all(test(element) for test in self.tests):
                continue
            if self.first_child:
                parent = element.getparent()
                if parent in parents:
                    continue
                parents.add(parent)
            found.append(element)
            if self.first:
                break
        return found

    def candidates(self, tree: Any, vocabulary: AttributeTests) -> Iterator[Any]:
        """Elements with one of the tags and an attribute that passes the filter."""
        bits = self.bits
        for element in tree.iterdescendants(*self.tags or "*"):
            if not bits:
                yield element
                continue
            for name, value in element.items():
                if name in bits and bits[name] & vocabulary[value]:
                    yield element
                    break


class Union:
    """A union of steps, called with an element; matches are in document order."""

    def __init__(self, steps: list[DescendantStep], vocabulary: AttributeTests) -> None:
        self.vocabulary = vocabulary
        bare = [step for step in steps if step.tags and not step.tests and not (step.first or step.first_child)]
        self.steps = [step for step in steps if step not in bare]
        if bare:
            self.steps.append(DescendantStep(tuple(dict.fromkeys(tag for step in bare for tag in step.tags))))
        for step in self.steps:
            step.prepare()

    def __call__(self, tree: Any) -> list[Any]:
        """Matching descendants of `tree`."""
        results = [found for step in self.steps if (found := step.find(tree, self.vocabulary))]
        if len(results) < 2:
            return results[0] if results else []
        wanted = {element for found in results for element in found}
        return [element for element in tree.iterdescendants("*") if element in wanted]


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, path: str, vocabulary: AttributeTests) -> None:
        self.vocabulary = vocabulary
        self.tokens: list[tuple[str, str]] = []
        position, path = 0, path.strip()
        while position < len(path):
            token = _TOKEN.match(path, position)
            if token is None or token.lastgroup is None:
                raise UnsupportedExpression(path[position:])
            self.tokens.append((token.lastgroup, token.group(token.lastgroup)))
            position = token.end()
        self.tokens.append(("end", ""))
        self.at = 0

    def next(self, kind: str) -> str:
        here = self.tokens[self.at]
        if here[0] != kind:
            raise UnsupportedExpression(f"{here[1]}: not {kind}")
        self.at += 1
        return here[1]

    def accept(self, kind: str, text: str) -> bool:
        found = self.tokens[self.at] == (kind, text)
        self.at += found
        return found

    def expect(self, *signs: str) -> None:
        for sign in signs:
            if not self.accept("sign", sign):
                raise UnsupportedExpression(f"{self.tokens[self.at][1]}: not {sign}")

    def union(self) -> list[DescendantStep]:
        """union := located ("|" located)*."""
        steps = [self.located()]
        while self.accept("sign", "|"):
            steps.append(self.located())
        self.next("end")
        return steps

    def located(self) -> DescendantStep:
        """located := path | "(" path ")" "[1]"."""
        if not self.accept("sign", "("):
            return self.path()
        step = self.path()
        self.expect(")", "[", "1", "]")
        step.first = True
        return step

    def path(self) -> DescendantStep:
        """path := ".//" (tag | "*") ("[" either "]")* ("[1]")?."""
        name = self.next("below")
        step = DescendantStep(() if name == "*" else (name,))
        while self.accept("sign", "["):
            if step.first_child:
                raise UnsupportedExpression("a predicate after [1]")
            if self.accept("sign", "1"):
                step.first_child = True
            elif not step.tags and (tags := self.only_tags()):
                step.tags = tags
            else:
                step.tests.append(self.either())
            self.expect("]")
        return step

    def only_tags(self) -> tuple[str, ...]:
        """The tags of a predicate that is `self::a or self::b …` and nothing else."""
        start, tags = self.at, []
        while self.tokens[self.at][0] == "self":
            tags.append(self.next("self"))
            if not self.accept("name", "or"):
                break
        if self.tokens[self.at] == ("sign", "]"):
            return tuple(tags)
        self.at = start
        return ()

    def either(self) -> Test:
        """either := both ("or" both)*."""
        tests = [self.both()]
        while self.accept("name", "or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else Either(tuple(tests))

    def both(self) -> Test:
        """both := test ("and" test)*."""
        tests = [self.test()]
        while self.accept("name", "and"):
            tests.append(self.test())
        return tests[0] if len(tests) == 1 else lambda element: all(test(element) for test in tests)

    def test(self) -> Test:
        """test := "(" either ")" | self | below | "not" "(" either ")" | function | attribute ("=" literal)?."""
        kind, text = self.tokens[self.at]
        if kind == "self":
            self.at += 1
            return lambda element: element.tag == text
        if kind == "below" and text != "*":
            self.at += 1
            return lambda element: element.find(f".//{text}") is not None
        if kind == "attribute":
            return self.attribute_test()
        negated = self.accept("name", "not")
        if not self.accept("sign", "("):
            return self.function()
        inner = self.either()
        self.expect(")")
        return (lambda element: not inner(element)) if negated else inner

    def attribute_test(self) -> Test:
        names = self.attributes()
        if not self.accept("sign", "="):
            return self.registered(names, lambda _: True, None, absent=False)
        if len(names) > 1:
            raise UnsupportedExpression("= compares every node of a set, not the first")
        wanted = self.literal()
        return self.registered(names, wanted.__eq__, _only(wanted), absent=False)

    def function(self) -> Test:
        """function := ("contains" | "starts-with" | "re:test") "(" value "," literal ("," literal)? ")"."""
        name = self.next("name")
        self.expect("(")
        names, table = self.value()
        self.expect(",")
        wanted = self.literal()
        literals = _only(wanted)
        if name == "contains":
            test: Callable[[str], bool] = lambda value: wanted in value  # noqa: E731
        elif name == "starts-with":
            test = lambda value: value.startswith(wanted)  # noqa: E731
        elif name == "re:test":
            search, literals = re.compile(wanted, self.flags()).search, literals_of(wanted)
            test = lambda value: search(value) is not None  # noqa: E731
        else:
            raise UnsupportedExpression(name)
        self.expect(")")
        if table:
            return self.registered(names, lambda value: test(value.translate(table)), literals, test(""))
        return self.registered(names, test, literals, test(""))

    def registered(
        self, names: tuple[str, ...], test: Callable[[str], bool], literals: Literals, absent: bool
    ) -> AttributeTest:
        return AttributeTest(names, self.vocabulary.register(test, literals), absent, self.vocabulary)

    def flags(self) -> int:
        flags = self.literal() if self.accept("sign", ",") else ""
        if flags not in ("", "i"):
            raise UnsupportedExpression(flags)
        return re.IGNORECASE if flags else 0

    def value(self) -> tuple[tuple[str, ...], dict[int, int]]:
        """value := attributes | "translate" "(" attributes "," literal "," literal ")", which only lower-cases."""
        if not self.accept("name", "translate"):
            return self.attributes(), {}
        self.expect("(")
        names = self.attributes()
        self.expect(",")
        old = self.literal()
        self.expect(",")
        new = self.literal()
        self.expect(")")
        if old.lower() != new or len(set(old)) != len(old) or not old.isascii():
            raise UnsupportedExpression(f"translate {old} to {new}")
        return names, str.maketrans(old, new)

    def literal(self) -> str:
        return self.next("literal")[1:-1]

    def attributes(self) -> tuple[str, ...]:
        """attributes := "@a" ("|" "@b")*."""
        names = [self.next("attribute")[1:]]
        while self.accept("sign", "|"):
            names.append(self.next("attribute")[1:])
        return tuple(names)


def _only(literal: str) -> Literals:
    return frozenset([literal.lower()]) if literal and literal.isascii() else None
