"""Benchmark items from files that the user names: JSON Lines or Parquet with a question, an answer, a passage, choices.

A file may follow its path by the names of its fields: `tests.jsonl#question=prompt&answer=canonical_solution`. The
suite is named after the file. None are shipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qsl

from curation.errors import InputError
from curation.text.text_files import read_rows, text_files
from curation.text.valid import valid_text

FIELDS = ("question", "answer", "passage", "choices")
_ENDINGS = (".gz", ".zst", ".jsonl", ".json", ".ndjson", ".parquet")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a benchmark.

    Attributes:
        suite: Name of the suite.
        key: Its id, or its number in the file.
        question: The question; "" if there is none.
        answer: The answer as text.
        passage: The text that the question is about.
        choices: The choices, in order.
    """

    suite: str
    key: str
    question: str
    answer: str
    passage: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """A file of items: its path, and the names of its fields by `FIELDS`."""

    path: str
    names: Mapping[str, str]
    chosen: frozenset[str]

    @property
    def name(self) -> str:
        """The name of the suite: of its file, without endings."""
        name = PurePosixPath(self.path).name
        while name.endswith(_ENDINGS):
            name = name[: name.rindex(".")]
        return name

    def items(self) -> Iterator[Item]:
        """The items; InputError if the file cannot be read."""
        return (self._item(row, number) for number, row in enumerate(read_rows(self.path)))

    def check(self) -> None:
        """Read until every field was seen that must be there.

        Raises:
            InputError: The file cannot be read, has no items, or lacks a field.
        """
        found: set[str] = set()
        seen: set[str] = set()
        for row in read_rows(self.path):
            seen.update(map(str, row))
            found.update(field for field in FIELDS if row.get(self.names[field]) is not None)
            if self.chosen <= found and found - {"choices"}:
                return
        if not seen:
            raise InputError(f"{self.path}: no items")
        has = f"its fields are {', '.join(sorted(seen)[:20])}"
        for field in sorted(self.chosen - found):
            raise InputError(f"{self.path}: no item has the field {self.names[field]!r} for the {field}; {has}")
        if not found - {"choices"}:
            names = ", ".join(f"{self.names[field]!r}" for field in FIELDS[:3])
            raise InputError(
                f"{self.path}: no item has any of the fields {names}; {has}; name them: PATH#question=NAME"
            )

    def _item(self, row: Mapping[str, Any], number: int) -> Item:
        choices = _texts(row.get(self.names["choices"]))
        answer = row.get(self.names["answer"])
        if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
            answer = choices[answer]
        question, passage = (" ".join(_texts(row.get(self.names[field]))) for field in ("question", "passage"))
        key = next((row[name] for name in ("id", "task_id") if row.get(name) is not None), number)
        return Item(self.name, valid_text(str(key)), question, " ".join(_texts(answer)), passage, tuple(choices))


def _texts(value: Any) -> list[str]:
    """The texts in a value: a text, a number, a list, or a mapping with a list under "text"."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return _texts(value.get("text"))
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return [valid_text(str(value))]


def suites(against: tuple[str, ...]) -> list[Suite]:
    """The suites that the arguments name: files and folders, each with names of fields or without.

    Raises:
        InputError: A file does not exist or a field is not one of `FIELDS`.
    """
    found = []
    for argument in against:
        path, _, fragment = argument.partition("#")
        named = dict(parse_qsl(fragment))
        unknown = sorted(set(named) - {*FIELDS})
        if unknown or (fragment and not named):
            raise InputError(f"{argument}: after # come names of fields: #question=NAME&answer=NAME; {FIELDS} exist")
        names = {field: named.get(field, field) for field in FIELDS}
        found += [Suite(file, names, frozenset(named)) for file in text_files([path])]
    return found
