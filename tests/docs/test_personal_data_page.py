"""docs/personal-data.md matches the code: the types, the number of replacements and the keys of the table."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from curation.filters.pii import MAX_PASSES, SIGNALS, Pii
from curation.pii import replacements
from curation.pii.find import KINDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "personal-data.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_key_with_its_default() -> None:
    """The table lists exactly the keys of [pii], in order, with their defaults as TOML."""
    documented = re.findall(r"^\| `(\w+)` \| `([^|]+)` \|", section("Keys of `[pii]`"), re.MULTILINE)
    defaults = {field.name: field.default for field in fields(Pii) if field.init}
    assert documented == [(name, as_toml(value)) for name, value in defaults.items()]


def as_toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def test_every_type_with_the_number_of_its_replacements() -> None:
    """The table lists each type with the number of its replacements."""
    documented = re.findall(
        r"^\| `(\w+)`.*\| ([\d,; ]+) \|$", section("What is found and what replaces it"), re.MULTILINE
    )
    assert [name for name, _ in documented] == list(SIGNALS)
    for name, shown in documented:
        counts = [int(count.replace(",", "")) for count in shown.split(";")]
        found = {replacements._FAKES[name](number, "") for number in range(5000)}
        assert len(found) == counts[0], name
    assert len({replacements._FAKES["ip"](number, "::") for number in range(70_000)}) == 65_535


def test_the_order_of_types_and_the_passes() -> None:
    """The order in which overlapping types win, and the number of passes, are those of the code."""
    assert ", ".join(f"`{name}`" for name in KINDS) in " ".join(section("How it is found").split())
    assert f"at most {MAX_PASSES} times" in PAGE
