"""Measures recall: plants items into copies of the user's own documents, and counts what the matcher finds.

The generator knows nothing of the matcher. Its edits are those that items undergo on the web: other line breaks, a
place in the middle of a long text, words replaced, left out, added and misspelled, other case and punctuation.
"""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from curation.decontamination.evals import Item

LONG = 30_000
"""Characters of a text that an item is embedded in, put together from several documents."""
EDITED = 0.1
"""Share of the words that are edited."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A document with an item in it: how it was planted, the item's place among all, and the text."""

    kind: str
    item: int
    text: str


def plants(items: Sequence[Item], hosts: Sequence[str], count: int, seed: int) -> Iterator[Plant]:
    """Plant items, one in each document, all kinds equally often.

    Args:
        items: The items, drawn from without repetition while there are enough.
        hosts: Texts of documents to plant in.
        count: Number of plants.
        seed: Seed of all choices.
    """
    chance = random.Random(seed)
    numbers = list(range(len(items)))
    chance.shuffle(numbers)
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        item = numbers[number % len(numbers)]
        text = KINDS[kind](rendered(items[item], chance), hosts, chance)
        yield Plant(kind, item, text)


def rendered(item: Item, chance: random.Random) -> str:
    """An item as pages show it: passage, question, choices with or without labels, answer with or without a heading."""
    labels = chance.choice(("A. ", "(a) ", "1) ", "- ", ""))
    lines = [item.passage, item.question]
    for number, choice in enumerate(item.choices):
        label = labels.replace("A", "ABCDEFGHIJ"[number % 10]).replace("a", "abcdefghij"[number % 10])
        lines.append(label.replace("1", str(number + 1)) + choice)
    lines.append(chance.choice(("Answer: ", "", "Solution:\n")) + item.answer)
    return "\n".join(line for line in lines if line.strip())


def _host(hosts: Sequence[str], chance: random.Random) -> str:
    return chance.choice(hosts)


def _between_lines(text: str, host: str, chance: random.Random) -> str:
    lines = host.split("\n")
    at = chance.randint(0, len(lines))
    return "\n".join([*lines[:at], text, *lines[at:]])


def _verbatim(text: str, hosts: Sequence[str], chance: random.Random) -> str:
    return _between_lines(text, _host(hosts, chance), chance)


def _rewrapped(text: str, hosts: Sequence[str], chance: random.Random) -> str:
    prefix = chance.choice(("", "> ", "    ", "| "))
    wrapped = textwrap.wrap(text, chance.randint(25, 90), initial_indent=prefix, subsequent_indent=prefix)
    return _between_lines("\n".join(wrapped), _host(hosts, chance), chance)


def _embedded(text: str, hosts: Sequence[str], chance: random.Random) -> str:
    """In the middle of a sentence of a long text, on one line."""
    parts: list[str] = []
    while sum(map(len, parts)) < LONG and len(parts) < 1000:
        parts.append(_host(hosts, chance))
    words = " ".join(parts).split(" ")
    at = chance.randint(0, len(words))
    return " ".join([*words[:at], " ".join(text.split()), *words[at:]])


def _edited(text: str, hosts: Sequence[str], chance: random.Random) -> str:
    """One word in ten replaced, left out, followed by another, swapped with the next, or misspelled."""
    words = text.split(" ")
    others = _host(hosts, chance).split() or ["other"]
    edited: list[str] = []
    for place, word in enumerate(words):
        edit = chance.choice(("replace", "omit", "add", "swap", "misspell")) if chance.random() < EDITED else ""
        if edit == "replace":
            edited.append(chance.choice(others))
        elif edit == "add":
            edited += [word, chance.choice(others)]
        elif edit == "swap" and place:
            edited.insert(-1, word)
        elif edit == "misspell":
            at = chance.randint(0, len(word))
            edited.append(word[:at] + chance.choice("abcdefghijklmnopqrstuvwxyz") + word[at:])
        elif edit != "omit":
            edited.append(word)
    return _between_lines(" ".join(edited), _host(hosts, chance), chance)


def _recased(text: str, hosts: Sequence[str], chance: random.Random) -> str:
    """Another case, and punctuation left out, typographic or in Markdown."""
    text = chance.choice((str.upper, str.lower, str.title, str.swapcase))(text)
    marks = chance.choice(("left out", "typographic", "markdown"))
    if marks == "left out":
        text = "".join(" " if not (letter.isalnum() or letter.isspace()) else letter for letter in text)
    elif marks == "typographic":
        text = text.replace("'", "’").replace('"', "”").replace("-", "–").replace("...", "…")
    else:
        text = "\n".join(f"**{line}**" for line in text.split("\n"))
    return _between_lines(text, _host(hosts, chance), chance)


KINDS: dict[str, Callable[[str, Sequence[str], random.Random], str]] = {
    "verbatim": _verbatim,
    "rewrapped": _rewrapped,
    "embedded": _embedded,
    "edited": _edited,
    "recased": _recased,
}
"""How items are planted, by name."""
